//! Stripe's own page to pay on: Checkout Sessions.
//!
//! A page is one of Stripe's own, at an address, or stands within the shop's own (`ui_mode=embedded_page`): that one has no address but a client
//! secret, with which Stripe's script shows it.
//!
//! Until a session was paid, the attempt goes by the session's id, because a session has no payment before the customer begins one. From the
//! approval on it goes by the payment's, which is what refunds, disputes and Stripe's dashboard go by.

use super::{
    answer::{Expandable, Session, money},
    calls::Calls,
    charge::agrees,
    intents, look_up,
    outcome::{decline, declined, given_up, no, not_done, not_seen, of_charge},
    page_request,
    verdict::{Done, Refused, Said, told},
};
use crate::domain::attempt::{EmbeddedForm, MoneyRequest, Outcome, ProviderPage, Visit};

/// Opens a page.
///
/// Stripe takes an end between half an hour and a day from now. Where ours lies elsewhere it refuses that parameter, before anything was
/// executed; the page is opened under a key of its own then, with Stripe's own end, and the engine takes it back when its time is over. A
/// moment that is worked out here instead would be another one each time that the request is sent.
pub(super) async fn open(calls: &Calls<'_>, request: &MoneyRequest, visit: &Visit, page: &ProviderPage, amount: i64) -> Outcome {
    if page.is_embedded && calls.publishable_key.is_none() {
        // No browser could show it.
        return no("publishable_key_missing");
    }
    let built = |is_open_ended| page_request::session(request, visit, page, amount, calls.account, is_open_ended);
    let mut said = calls.post::<Session>(built(false), &request.key).await;
    if matches!(&said, Said::Refused(refused) if is_about_end(refused)) {
        said = calls.post(built(true), &format!("{}l", request.key)).await;
    }
    match said {
        Said::Done(done) if done.is_replayed => match calls.session(&done.object.id).await {
            Said::Done(now) => seen(calls, request, &now),
            said => not_seen(said),
        },
        Said::Done(done) => seen(calls, request, &done),
        Said::Refused(refused) => declined(&refused),
        Said::Unknown(unknown) if unknown.is_stuck => {
            let found = look_up::find_session(calls, request, None).await;
            if agrees(&found, request) { found } else { Outcome::Unknown(unknown.cause) }
        }
        said => not_done(said),
    }
}

fn is_about_end(refused: &Refused) -> bool {
    refused.problem.param.as_deref() == Some("expires_at")
}

/// What a session says of its charge.
pub(super) fn seen(calls: &Calls<'_>, request: &MoneyRequest, done: &Done<Session>) -> Outcome {
    let (session, request_id) = (&done.object, done.request_id.as_deref());
    if !session.metadata.as_ref().is_some_and(|metadata| metadata.is_of(request.reference.as_str(), &request.key)) {
        return Outcome::Unknown(told("the answer is about another request", request_id));
    }
    let asked = session.currency.as_deref().zip(session.amount_total).and_then(|(currency, amount)| money(currency, amount));
    if asked.is_some_and(|asked| asked != (request.amount, request.currency)) {
        return Outcome::Unknown(told("the customer is asked for another amount", request_id));
    }
    let provider_reference = session.id.clone();
    match (session.status.as_deref(), &session.payment_intent) {
        (Some("open"), _) => match (&session.url, form(calls, session)) {
            (Some(url), _) => Outcome::RequiresAction { url: url.clone(), provider_reference },
            (None, Some(form)) => Outcome::RequiresForm { form, provider_reference },
            (None, None) => Outcome::Pending { provider_reference },
        },
        (Some("complete"), Some(Expandable::Whole(intent))) => match of_charge(intent, request, request_id) {
            // Nobody can pay on this page any more: what is under way goes by the page's id until it is paid.
            Outcome::Pending { .. } | Outcome::RequiresAction { .. } => Outcome::Pending { provider_reference },
            outcome => outcome,
        },
        // Paid, or being paid, and by what is not told yet.
        (Some("complete"), _) => Outcome::Pending { provider_reference },
        // A challenge that is under way at the bank may still succeed: it is over when the payment is cancelled.
        (Some("expired"), Some(Expandable::Whole(intent))) if is_under_way(&intent.status) => {
            Outcome::Unknown(told("a page that has expired, whose payment has not", request_id))
        }
        (Some("expired"), Some(Expandable::Whole(intent))) if !is_at_rest(&intent.status) => of_charge(intent, request, request_id),
        (Some("expired"), Some(Expandable::Id(_))) => Outcome::Unknown(told("a page whose payment is not told", request_id)),
        (Some("expired"), None | Some(Expandable::Whole(_))) => {
            Outcome::Declined(decline("session_expired", false, Some(provider_reference), request_id))
        }
        (status, _) => Outcome::Unknown(told(&format!("a page that is {}", status.unwrap_or("without a status")), request_id)),
    }
}

/// What a shop's page shows a session's form with.
fn form(calls: &Calls<'_>, session: &Session) -> Option<EmbeddedForm> {
    let client_secret = session.client_secret.clone()?;
    Some(EmbeddedForm { client_secret, publishable_key: calls.publishable_key?.to_owned() })
}

/// Whether somebody else than the page may still bring a payment to its end.
fn is_under_way(status: &str) -> bool {
    matches!(status, "requires_action" | "requires_confirmation")
}

/// Whether no money can come of a payment whose page has ended, once it is cancelled.
fn is_at_rest(status: &str) -> bool {
    matches!(status, "canceled" | "requires_payment_method" | "requires_action" | "requires_confirmation")
}

/// Takes a page back: its session is ended, and what was authorised on it is given up.
pub(super) async fn end(calls: &Calls<'_>, request: &MoneyRequest, id: &str) -> Outcome {
    let session = match calls.post::<Session>(page_request::expire(id), &request.key).await {
        Said::Done(done) if done.object.payment_intent.is_none() => done,
        // It has a payment, or it was refused because it is open no more: what is there now decides.
        Said::Done(_) | Said::Refused(_) => match calls.session(id).await {
            Said::Done(now) => now,
            said => return not_seen(said),
        },
        said => return not_done(said),
    };
    ended(calls, request, &session).await
}

/// What a session says of its having been taken back.
async fn ended(calls: &Calls<'_>, request: &MoneyRequest, done: &Done<Session>) -> Outcome {
    let (session, request_id) = (&done.object, done.request_id.as_deref());
    let of_us = session.metadata.as_ref().and_then(|metadata| metadata.get(super::answer::key::REFERENCE));
    if of_us != Some(request.reference.as_str()) {
        return Outcome::Unknown(told("the answer is about another request", request_id));
    }
    let intent = match &session.payment_intent {
        Some(Expandable::Whole(intent)) => Some(intent),
        Some(Expandable::Id(_)) => return Outcome::Unknown(told("a page whose payment is not told", request_id)),
        None => None,
    };
    match (session.status.as_deref(), intent) {
        (Some("expired"), None) => given_up(request, &session.id, request_id),
        (Some("expired"), Some(intent)) if intent.status == "canceled" => given_up(request, &session.id, request_id),
        // A challenge that is under way at the bank may still succeed behind the page's end.
        (Some("expired" | "complete"), Some(intent)) if intent.status == "requires_capture" || is_at_rest(&intent.status) => {
            intents::cancel(calls, request, &intent.id, &format!("{}p", request.key)).await
        }
        (Some("expired" | "complete"), Some(intent)) => intents::voided(intent, request, request_id),
        (status, _) => Outcome::Unknown(told(&format!("a page that is {}", status.unwrap_or("without a status")), request_id)),
    }
}

/// What has become of a page that was to be taken back.
pub(super) async fn look_at_end(calls: &Calls<'_>, request: &MoneyRequest, id: &str) -> Outcome {
    match calls.session(id).await {
        Said::Done(done) if done.object.status.as_deref() == Some("open") => {
            Outcome::Unknown(told("the page is still open", done.request_id.as_deref()))
        }
        Said::Done(done) => ended(calls, request, &done).await,
        said => not_seen(said),
    }
}
