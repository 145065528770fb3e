//! `GET /return/{link}`: a customer who confirmed a payment at a provider's page, of a checkout that is paid by a card's token and not on a
//! page of ours. What came of it is waited for here, and the shop's own page is where it leads.

use super::{
    drawing::{page_of, see_other},
    headers::Frame,
    redirect,
    templates::{ProblemPage, Shop},
    trouble::{LATER, Trouble},
};
use crate::{context::ApiContext, trace::TraceParent, waiting::Interest};
use axum::{
    Extension,
    extract::{Path, Query, State, rejection::QueryRejection},
    response::Response,
};
use boxoffice_common::domain::{checkout::Checkout, hosted, state::Status};
use http::StatusCode;
use serde::Deserialize;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long the customer waits here for an answer before the page is sent, which asks again.
const PATIENCE: Duration = Duration::from_secs(10);

/// How the customer comes back: see `Visit::TURNED_BACK`. What a provider adds is not read: whoever comes may have written it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Way {
    #[serde(default)]
    turned_back: Option<u8>,
}

pub(super) async fn show(
    State(ctx): State<ApiContext>,
    Path(link): Path<String>,
    way: Result<Query<Way>, QueryRejection>,
    Extension(trace): Extension<TraceParent>,
) -> Result<Response, Trouble> {
    let Some((id, token)) = hosted::read_link(&link) else { return Err(Trouble::Missing) };
    let mut checkout = ctx.store().checkout(&id).await?.filter(|checkout| is_link_of(checkout, token)).ok_or(Trouble::Missing)?;
    // Who turned back is told at once how to go on: no answer is on its way.
    let has_turned_back = way.is_ok_and(|Query(way)| way.turned_back.is_some());
    let deadline = Instant::now() + if has_turned_back { Duration::ZERO } else { PATIENCE };
    if let Some(ticket) = ctx.waiters().register_guest(&id, Interest::Any) {
        if let Some(moved) = ctx.store().look_now(&id).await? {
            ctx.after(moved, trace.as_str()).await;
        }
        while is_under_way(&checkout) {
            checkout = ctx.store().checkout(&id).await?.ok_or(Trouble::Missing)?;
            let woken = ctx.shutdown().run_until_cancelled(ticket.woken());
            if !is_under_way(&checkout) || !matches!(timeout_at(deadline, woken).await, Ok(Some(()))) {
                break;
            }
        }
    }
    if let Some(shop) = redirect::back(&ctx, &checkout, checkout.status).await? {
        return Ok(see_other(&shop));
    }
    let again = is_under_way(&checkout).then(|| (LATER, format!("/return/{link}")));
    let (heading, words) = words(&checkout);
    // Whoever came back without paying finds the way there again.
    let to_pay = checkout.payment_url.clone().filter(|url| url.starts_with("https://") || url.starts_with("http://"));
    let page = ProblemPage { shop: Shop::nobody(), heading, words, again: to_pay };
    Ok(page_of(StatusCode::OK, &Frame::default(), &page, again))
}

/// Whether a provider was told this link.
fn is_link_of(checkout: &Checkout, token: &str) -> bool {
    let mut visits = checkout.attempts.iter().filter_map(|attempt| attempt.request.visit.as_ref());
    visits.any(|visit| visit.leads_back_by(token))
}

const fn is_under_way(checkout: &Checkout) -> bool {
    matches!(checkout.status, Status::Queued | Status::Processing | Status::AwaitingPayment | Status::Reconciling)
}

const fn words(checkout: &Checkout) -> (&'static str, &'static str) {
    match checkout.status {
        Status::Succeeded => ("Thank you", "It is paid. You can close this page and go back to the shop."),
        Status::Failed | Status::Canceled | Status::Expired => {
            ("It was not paid", "Nothing was charged. You can close this page and go back to the shop.")
        }
        Status::NeedsReview => ("We are looking into your payment", "Whether it went through is not clear yet. Please do not pay again."),
        Status::AwaitingPayment => (
            "Your payment is not complete yet",
            "If you have confirmed it, wait a moment: the answer is on its way. If not, you can go back and pay.",
        ),
        Status::Queued | Status::Processing | Status::Reconciling => {
            ("Your payment is being checked…", "Please do not close this page, and do not pay again.")
        }
    }
}
