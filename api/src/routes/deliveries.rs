//! `/v1/deliveries…`: events on their way, and how to send one again.

use crate::{
    auth::{Caller, CheckoutsRead, CheckoutsWrite},
    context::ApiContext,
    problem::Problem,
    respond::{List, json},
    routes::{paging::page, paths::Known},
    strict::{Limit, NoFields, Query},
    trace::TraceParent,
};
use axum::{Extension, Router, extract::State, response::Response, routing};
use boxoffice_common::{
    domain::{
        delivery::{DeliveryRecord, DeliveryStatus},
        id::{CheckoutId, DeliveryId},
    },
    ports::queue::Lane,
};
use http::StatusCode;
use serde::Deserialize;

/// The routes.
pub fn router() -> Router<ApiContext> {
    Router::new()
        .route("/v1/deliveries", routing::get(list))
        .route("/v1/deliveries/{id}", routing::get(get))
        .route("/v1/deliveries/{id}/replay", routing::post(replay))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    checkout: Option<CheckoutId>,
    status: Option<DeliveryStatus>,
    #[serde(default)]
    limit: Limit,
    cursor: Option<String>,
}

async fn list(
    caller: Caller<CheckoutsRead>,
    Query(filter): Query<Filter>,
    State(ctx): State<ApiContext>,
) -> Result<List<DeliveryRecord>, Problem> {
    let page = page(filter.limit, filter.cursor)?;
    let found = ctx.store().deliveries(caller.scope(), filter.checkout.as_ref(), filter.status, &page).await?;
    Ok(List::of(found, |delivery| delivery))
}

async fn get(caller: Caller<CheckoutsRead>, Known(id): Known<DeliveryId>, State(ctx): State<ApiContext>) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, &read(&caller, &id, &ctx).await?))
}

/// Sends it again at once, with the same `webhook-id` and body, as if for the first time.
async fn replay(
    caller: Caller<CheckoutsWrite>,
    Known(id): Known<DeliveryId>,
    State(ctx): State<ApiContext>,
    Extension(trace): Extension<TraceParent>,
    NoFields: NoFields,
) -> Result<Response, Problem> {
    if !ctx.store().replay_delivery(caller.scope(), &id).await? {
        return Err(Problem::NotFound);
    }
    ctx.hand_on(Lane::Deliveries, id.as_str(), caller.scope(), trace.as_str());
    Ok(json(StatusCode::ACCEPTED, &read(&caller, &id, &ctx).await?))
}

async fn read<P>(caller: &Caller<P>, id: &DeliveryId, ctx: &ApiContext) -> Result<DeliveryRecord, Problem> {
    ctx.store().delivery(caller.scope(), id).await?.ok_or(Problem::NotFound)
}
