//! `/v1/promo-codes…`

use super::catalogue;
use crate::{
    auth::{AnyKey, Caller, CatalogWrite},
    context::ApiContext,
    problem::Problem,
    respond::List,
    routes::{
        paging::Paging,
        paths::{Known, New},
    },
    strict::{Query, Strict},
};
use axum::{Router, extract::State, response::Response, routing};
use boxoffice_common::domain::{catalogue::PromoCode, id::CatalogueId};
use http::HeaderMap;
use serde_json::value::RawValue;

/// The routes.
pub fn router() -> Router<ApiContext> {
    Router::new().route("/v1/promo-codes", routing::get(list)).route("/v1/promo-codes/{id}", routing::put(put).get(get))
}

async fn put(
    caller: Caller<CatalogWrite>,
    id: New<CatalogueId>,
    State(ctx): State<ApiContext>,
    body: Strict<PromoCode>,
) -> Result<Response, Problem> {
    catalogue::put(caller, id, &ctx, body).await
}

async fn get(
    caller: Caller<AnyKey>,
    id: Known<CatalogueId>,
    headers: HeaderMap,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    catalogue::get::<PromoCode>(caller, id, &headers, &ctx).await
}

async fn list(caller: Caller<AnyKey>, paging: Query<Paging>, State(ctx): State<ApiContext>) -> Result<List<Box<RawValue>>, Problem> {
    catalogue::list::<PromoCode>(caller, paging, &ctx).await
}
