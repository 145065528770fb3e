//! `/v1/sessions…`: sessions, and what is left of them.

use super::catalogue;
use crate::{
    auth::{AnyKey, Caller, CatalogWrite},
    context::ApiContext,
    problem::Problem,
    respond::{List, etag, json},
    routes::{
        paging::Paging,
        paths::{Known, New},
    },
    strict::{Query, Strict},
};
use axum::{extract::State, response::Response};
use boxoffice_common::{
    domain::{
        catalogue::{Kind, Session},
        id::CatalogueId,
    },
    ports::store::{Availability, StoreError},
};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(put, get)).routes(routes!(availability))
}

/// Creates or replaces.
#[utoipa::path(
    put,
    path = "/v1/sessions/{id}",
    tag = "catalogue",
    params(("id" = CatalogueId, Path, description = "The id")),
    request_body = Session,
    responses(
        (status = 201, description = "Created", body = Session),
        (status = 200, description = "Replaced", body = Session),
        (status = 409, description = "What is sold or held does not fit, or the external id is taken"),
    ),
)]
async fn put(
    caller: Caller<CatalogWrite>,
    id: New<CatalogueId>,
    State(ctx): State<ApiContext>,
    body: Strict<Session>,
) -> Result<Response, Problem> {
    catalogue::put(caller, id, &ctx, body).await
}

/// One.
#[utoipa::path(
    get,
    path = "/v1/sessions/{id}",
    tag = "catalogue",
    params(("id" = CatalogueId, Path, description = "The id")),
    responses(
        (status = 200, description = "The object", body = Session),
        (status = 404, description = "Not there"),
    ),
)]
async fn get(
    caller: Caller<AnyKey>,
    id: Known<CatalogueId>,
    headers: HeaderMap,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    catalogue::get::<Session>(caller, id, &headers, &ctx).await
}

/// A page, by id.
#[utoipa::path(
    get,
    path = "/v1/sessions",
    tag = "catalogue",
    params(Paging),
    responses(
        (status = 200, description = "A page", body = List<Session>),
    ),
)]
async fn list(caller: Caller<AnyKey>, paging: Query<Paging>, State(ctx): State<ApiContext>) -> Result<List<Box<RawValue>>, Problem> {
    catalogue::list::<Session>(caller, paging, &ctx).await
}

/// What is left of a session.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Availability)]
struct AvailabilityView<'a> {
    capacity: u32,
    sold: u32,
    held: u32,
    available: u32,
    /// Grows with every change.
    version: i64,
    /// Every named seat: `available`, `held` or `sold`. Empty when places have no names.
    seats: BTreeMap<&'a str, &'a str>,
}

impl<'a> AvailabilityView<'a> {
    fn new(session: &'a Session, left: &'a Availability) -> Self {
        let names = session.seats.iter().flatten().map(|seat| (seat.as_str(), "available"));
        let taken = left.taken_seats.iter().map(|(seat, state)| (seat.as_str(), state.as_str()));
        let Availability { capacity, sold, held, available, version, .. } = *left;
        Self { capacity, sold, held, available, version, seats: names.chain(taken).collect() }
    }
}

/// What is left of a session, seat by seat where they have names.
#[utoipa::path(
    get,
    path = "/v1/sessions/{id}/availability",
    tag = "catalogue",
    params(("id" = CatalogueId, Path, description = "The id")),
    responses(
        (status = 200, description = "Now", body = AvailabilityView),
        (status = 404, description = "Not there"),
    ),
)]
async fn availability(caller: Caller<AnyKey>, Known(id): Known<CatalogueId>, State(ctx): State<ApiContext>) -> Result<Response, Problem> {
    let row = ctx.store().get(caller.scope(), Kind::Session, &id).await?.ok_or(Problem::NotFound)?;
    let session: Session = serde_json::from_str(&row.doc).map_err(|error| StoreError::Corrupt(format!("session {id}: {error}")))?;
    let left = ctx.store().availability(caller.scope(), &id).await?.ok_or(Problem::NotFound)?;
    let mut response = json(StatusCode::OK, &AvailabilityView::new(&session, &left));
    response.headers_mut().insert(header::ETAG, etag(left.version));
    Ok(response)
}
