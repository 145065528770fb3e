//! `/v1/sessions…`: sessions, and what is left of them.

use super::catalogue;
use crate::{
    auth::{AnyKey, Caller, CatalogWrite},
    context::ApiContext,
    problem::Problem,
    respond::{List, etag, json},
    routes::{
        paging::page,
        paths::{Known, New},
    },
    strict::{Limit, Query, Strict},
};
use axum::{extract::State, response::Response};
use boxoffice_common::{
    domain::{
        catalogue::{Kind, Session},
        id::CatalogueId,
        time::Timestamp,
    },
    ports::store::{Availability, Occurrences, StoreError},
};
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
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

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only the occurrences of this class, by their start.
    class: Option<CatalogueId>,
    /// Of a class: only those that start then or later.
    from: Option<Timestamp>,
    /// Of a class: only those that start before.
    to: Option<Timestamp>,
    /// 1 to 100; 20 when left out.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page, by id; of a class, by start.
#[utoipa::path(
    get,
    path = "/v1/sessions",
    tag = "catalogue",
    params(Filter),
    responses(
        (status = 200, description = "A page", body = List<Session>),
    ),
)]
async fn list(caller: Caller<AnyKey>, Query(filter): Query<Filter>, State(ctx): State<ApiContext>) -> Result<List<Box<RawValue>>, Problem> {
    let Filter { class, from, to, limit, cursor } = filter;
    let page = page(limit, cursor)?;
    let Some(class) = class else {
        return match (from, to) {
            (None, None) => catalogue::shown(ctx.store().list(caller.scope(), Kind::Session, &page).await?),
            (Some(_), _) => Err(Problem::invalid("from", "goes with a class")),
            (None, Some(_)) => Err(Problem::invalid("to", "goes with a class")),
        };
    };
    catalogue::shown(ctx.store().occurrences(caller.scope(), &Occurrences { class, from, to }, &page).await?)
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
