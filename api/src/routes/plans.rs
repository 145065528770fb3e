//! `/v1/plans…`

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
use axum::{extract::State, response::Response};
use boxoffice_common::domain::{id::CatalogueId, plan::Plan};
use http::HeaderMap;
use serde_json::value::RawValue;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(put, get))
}

/// Creates or replaces.
#[utoipa::path(
    put,
    path = "/v1/plans/{id}",
    tag = "catalogue",
    params(("id" = CatalogueId, Path, description = "The id")),
    request_body = Plan,
    responses(
        (status = 201, description = "Created", body = Plan),
        (status = 200, description = "Replaced", body = Plan),
    ),
)]
async fn put(
    caller: Caller<CatalogWrite>,
    id: New<CatalogueId>,
    State(ctx): State<ApiContext>,
    body: Strict<Plan>,
) -> Result<Response, Problem> {
    catalogue::put(caller, id, &ctx, body).await
}

/// One.
#[utoipa::path(
    get,
    path = "/v1/plans/{id}",
    tag = "catalogue",
    params(("id" = CatalogueId, Path, description = "The id")),
    responses(
        (status = 200, description = "The object", body = Plan),
        (status = 404, description = "Not there"),
    ),
)]
async fn get(
    caller: Caller<AnyKey>,
    id: Known<CatalogueId>,
    headers: HeaderMap,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    catalogue::get::<Plan>(caller, id, &headers, &ctx).await
}

/// A page, by id.
#[utoipa::path(
    get,
    path = "/v1/plans",
    tag = "catalogue",
    params(Paging),
    responses(
        (status = 200, description = "A page", body = List<Plan>),
    ),
)]
async fn list(caller: Caller<AnyKey>, paging: Query<Paging>, State(ctx): State<ApiContext>) -> Result<List<Box<RawValue>>, Problem> {
    catalogue::list::<Plan>(caller, paging, &ctx).await
}
