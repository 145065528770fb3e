//! `GET /r/{token}` and `GET /t/{token}`, each with `.pdf` behind it for paper.

use super::{
    html,
    links::Keys,
    pdf,
    sale::{Receipt, TicketPage},
};
use crate::{context::ApiContext, problem::Problem};
use axum::{
    extract::{Path, State},
    response::Response,
};
use boxoffice_common::domain::{
    checkout::Checkout,
    page_link::{checkout_of, is_same, ticket_of},
    state::Status,
    ticket::Ticket,
};

/// The token, and whether paper is asked for.
fn asked(text: &str) -> (&str, bool) {
    text.strip_suffix(".pdf").map_or((text, false), |token| (token, true))
}

/// A receipt. Whatever is wrong with the link, the answer is the same.
pub(super) async fn receipt(State(ctx): State<ApiContext>, Path(text): Path<String>) -> Response {
    let (token, on_paper) = asked(&text);
    let found = async {
        let (checkout, keys) = sold(&ctx, token).await?;
        Receipt::of(&ctx, &checkout, &keys).await
    };
    match found.await {
        Ok(receipt) if on_paper => pdf::answer(&format!("receipt-{}", receipt.order), pdf::receipt(&receipt)),
        Ok(receipt) => html::receipt(&receipt),
        Err(problem) => html::trouble(&problem),
    }
}

/// A ticket. A link from before it was passed on is wrong, too.
pub(super) async fn ticket(State(ctx): State<ApiContext>, Path(text): Path<String>) -> Response {
    let (token, on_paper) = asked(&text);
    let found = async {
        let (ticket, keys) = held(&ctx, token).await?;
        TicketPage::of(&ctx, &ticket, &keys).await
    };
    match found.await {
        Ok(ticket) if on_paper => pdf::answer(&ticket.id, pdf::ticket(&ticket)),
        Ok(ticket) => html::ticket(&ticket),
        Err(problem) => html::trouble(&problem),
    }
}

async fn sold(ctx: &ApiContext, token: &str) -> Result<(Checkout, Keys), Problem> {
    let id = checkout_of(token).ok_or(Problem::NotFound)?;
    let checkout = ctx.store().checkout(&id).await?.filter(|checkout| checkout.status == Status::Succeeded).ok_or(Problem::NotFound)?;
    let keys = Keys::of(ctx, &checkout.scope).await?;
    if is_same(token, &keys.page.receipt(&checkout.scope, &id)) { Ok((checkout, keys)) } else { Err(Problem::NotFound) }
}

async fn held(ctx: &ApiContext, token: &str) -> Result<(Ticket, Keys), Problem> {
    let id = ticket_of(token).ok_or(Problem::NotFound)?;
    // Whose it is says the checkout: the link has to be genuine in that scope.
    let (checkout, _) = boxoffice_common::domain::ticket::place_of(&id).ok_or(Problem::NotFound)?;
    let scope = ctx.store().checkout(&checkout).await?.ok_or(Problem::NotFound)?.scope;
    let ticket = ctx.store().ticket(&scope, &id).await?.ok_or(Problem::NotFound)?;
    let keys = Keys::of(ctx, &scope).await?;
    if is_same(token, &keys.page.ticket(&ticket)) { Ok((ticket, keys)) } else { Err(Problem::NotFound) }
}
