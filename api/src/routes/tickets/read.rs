//! Tickets as they are, and the keys that verify their codes.

use super::view::{TicketView, keys};
use crate::{
    auth::{AnyKey, Caller, CheckoutsRead},
    context::ApiContext,
    problem::Problem,
    receipts::links::Keys,
    respond::{List, json},
    routes::{paging::Paging, paths::Known},
    strict::Query,
};
use axum::{extract::State, response::Response};
use boxoffice_common::domain::{
    id::{CheckoutId, TicketId},
    ticket::place_of,
    ticket_code::PublicKey,
};
use http::StatusCode;
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().routes(routes!(tickets)).routes(routes!(get)).routes(routes!(ticket_keys))
}

/// The tickets of a checkout, in the order of its lines and seats: none until it has succeeded.
#[utoipa::path(
    get,
    path = "/v1/checkouts/{id}/tickets",
    tag = "tickets",
    params(("id" = CheckoutId, Path, description = "The checkout's id"), Paging),
    responses(
        (status = 200, description = "A page", body = List<TicketView>),
        (status = 404, description = "No such checkout"),
    ),
)]
async fn tickets(
    caller: Caller<CheckoutsRead>,
    Known(checkout): Known<CheckoutId>,
    paging: Query<Paging>,
    State(ctx): State<ApiContext>,
) -> Result<List<TicketView>, Problem> {
    let asked = paging.page()?;
    let wrong = || Problem::invalid("cursor", "is the next_cursor of the page before");
    let after = asked.after.map(|cursor| {
        let (of, place) = TicketId::parse(cursor).ok().as_ref().and_then(place_of).ok_or_else(wrong)?;
        if of == checkout { Ok(place) } else { Err(wrong()) }
    });
    let limit = asked.limit;
    let found = ctx.store().tickets(caller.scope(), &checkout, after.transpose()?, limit + 1).await?;
    let mut page = found.ok_or(Problem::NotFound)?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_last = page.len() <= shown;
    page.truncate(shown);
    let next_cursor = page.last().filter(|_| !is_last).map(|ticket| ticket.id.to_string());
    let keys = Keys::of(&ctx, caller.scope()).await?;
    Ok(List::with_cursor(page.into_iter().map(|ticket| TicketView::new(&ctx, ticket, &keys)).collect(), next_cursor))
}

/// One.
#[utoipa::path(
    get,
    path = "/v1/tickets/{id}",
    tag = "tickets",
    params(("id" = TicketId, Path, description = "The id")),
    responses(
        (status = 200, description = "The ticket", body = TicketView),
        (status = 404, description = "Not there"),
    ),
)]
async fn get(caller: Caller<CheckoutsRead>, Known(id): Known<TicketId>, State(ctx): State<ApiContext>) -> Result<Response, Problem> {
    let ticket = ctx.store().ticket(caller.scope(), &id).await?.ok_or(Problem::NotFound)?;
    Ok(json(StatusCode::OK, &TicketView::new(&ctx, ticket, &Keys::of(&ctx, caller.scope()).await?)))
}

/// A JSON Web Key Set (RFC 7517).
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = TicketKeys)]
struct KeySet {
    keys: Vec<PublicKey>,
}

/// The public keys that verify this tenant's tickets, for doors without a network.
#[utoipa::path(
    get,
    path = "/v1/ticket-keys",
    tag = "tickets",
    responses(
        (status = 200, description = "Ed25519 keys (RFC 8037); the first one signs", body = KeySet),
    ),
)]
async fn ticket_keys(caller: Caller<AnyKey>, State(ctx): State<ApiContext>) -> Result<Response, Problem> {
    let keys = keys(&ctx, caller.scope()).await?.iter().map(|key| key.public()).collect();
    Ok(json(StatusCode::OK, &KeySet { keys }))
}
