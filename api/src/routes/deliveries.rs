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
use axum::{Extension, extract::State, response::Response};
use boxoffice_common::{
    domain::{
        delivery::{DeliveryRecord, DeliveryStatus},
        id::{CheckoutId, DeliveryId},
    },
    ports::queue::Lane,
};
use http::StatusCode;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get)).routes(routes!(replay))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only about this checkout.
    checkout: Option<CheckoutId>,
    /// Only in this state.
    status: Option<DeliveryStatus>,
    /// 1 to 100; 20 when left out.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Deliveries, newest first.
#[utoipa::path(
    get,
    path = "/v1/deliveries",
    tag = "webhooks",
    params(Filter),
    responses(
        (status = 200, description = "A page", body = List<DeliveryRecord>),
    ),
)]
async fn list(
    caller: Caller<CheckoutsRead>,
    Query(filter): Query<Filter>,
    State(ctx): State<ApiContext>,
) -> Result<List<DeliveryRecord>, Problem> {
    let page = page(filter.limit, filter.cursor)?;
    let found = ctx.store().deliveries(caller.scope(), filter.checkout.as_ref(), filter.status, &page).await?;
    Ok(List::of(found, |delivery| delivery))
}

/// One.
#[utoipa::path(
    get,
    path = "/v1/deliveries/{id}",
    tag = "webhooks",
    params(("id" = DeliveryId, Path, description = "The id")),
    responses(
        (status = 200, description = "The delivery", body = DeliveryRecord),
        (status = 404, description = "Not there"),
    ),
)]
async fn get(caller: Caller<CheckoutsRead>, Known(id): Known<DeliveryId>, State(ctx): State<ApiContext>) -> Result<Response, Problem> {
    Ok(json(StatusCode::OK, &read(&caller, &id, &ctx).await?))
}

/// Sends it again at once, with the same `webhook-id` and body, as if for the first time.
#[utoipa::path(
    post,
    path = "/v1/deliveries/{id}/replay",
    tag = "webhooks",
    params(("id" = DeliveryId, Path, description = "The id")),
    responses(
        (status = 202, description = "Due at once", body = DeliveryRecord),
        (status = 404, description = "Not there"),
    ),
)]
async fn replay(
    caller: Caller<CheckoutsWrite>,
    Known(id): Known<DeliveryId>,
    State(ctx): State<ApiContext>,
    Extension(trace): Extension<TraceParent>,
    _: NoFields,
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
