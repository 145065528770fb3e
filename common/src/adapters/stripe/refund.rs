//! Giving money back.

use super::{
    answer::{List, Refund, money},
    calls::Calls,
    charge::agrees,
    intents::Target,
    outcome::{decline, declined, no, not_done, not_seen, strange_money},
    request, units,
    verdict::{Done, Said, told},
    wire::is_plain_id,
};
use crate::domain::attempt::{MoneyRequest, Outcome, Receipt};
use http::StatusCode;
use stripe_client_core::StripeRequest;
use stripe_core::refund::{ListRefund, RetrieveRefund};

/// How many refunds a page of a list has, and how many pages are looked at.
const PAGE: i64 = 100;
const MAX_PAGES: usize = 3;

/// Gives back.
pub(super) async fn refund(calls: &Calls<'_>, request: &MoneyRequest) -> Outcome {
    let intent = match intent_of(calls, request).await {
        Ok(intent) => intent,
        Err(outcome) => return outcome,
    };
    let Some(amount) = units::to_stripe(request.currency, request.amount) else { return no("amount_not_countable") };
    match calls.post::<Refund>(request::refund(request, &intent, amount, calls.account), &request.key).await {
        // It may have failed since.
        Said::Done(done) if done.is_replayed => retrieve(calls, request, &done.object.id).await,
        Said::Done(done) => seen(request, &done),
        // "Not found" is never a no: the key may be of another account than the payment is of.
        Said::Refused(refused) if refused.status == StatusCode::NOT_FOUND || refused.problem.is("resource_missing") => {
            Outcome::Unknown(told("the payment is not found", refused.request_id.as_deref()))
        }
        Said::Refused(refused) => declined(&refused),
        Said::Unknown(unknown) if unknown.is_stuck => {
            let found = find(calls, request, &intent).await;
            if agrees(&found, request) { found } else { Outcome::Unknown(unknown.cause) }
        }
        said => not_done(said),
    }
}

/// The payment that a refund is about. What was told by its page alone goes by the page's id.
async fn intent_of(calls: &Calls<'_>, request: &MoneyRequest) -> Result<String, Outcome> {
    let id = match Target::of(request) {
        Some(Target::Intent(id)) => return Ok(id.to_owned()),
        Some(Target::Session(id)) => id,
        None => return Err(no("charge_not_found")),
    };
    match calls.session(id).await {
        Said::Done(done) => match done.object.intent_id() {
            Some(intent) => Ok(intent.to_owned()),
            None => Err(no("charge_not_found")),
        },
        // Nothing was asked for yet.
        Said::Refused(refused) => {
            let cause = told("the page that was paid on is not found", refused.request_id.as_deref());
            Err(Outcome::NotSent { cause, retry_after: None })
        }
        Said::NotSent { cause, retry_after } => Err(Outcome::NotSent { cause, retry_after }),
        Said::Unknown(unknown) => Err(Outcome::NotSent { cause: unknown.cause, retry_after: None }),
    }
}

/// What became of a refund: by Stripe's id when that is known, else by what we wrote into it.
pub(super) async fn look_up(calls: &Calls<'_>, request: &MoneyRequest, known: Option<&str>) -> Outcome {
    if let Some(id) = known.filter(|id| is_plain_id(id)) {
        return retrieve(calls, request, id).await;
    }
    match intent_of(calls, request).await {
        Ok(intent) => find(calls, request, &intent).await,
        Err(_) => Outcome::Unknown("not found".to_owned()),
    }
}

async fn retrieve(calls: &Calls<'_>, request: &MoneyRequest, id: &str) -> Outcome {
    match calls.get::<Refund>(RetrieveRefund::new(id).build()).await {
        Said::Done(done) => seen(request, &done),
        said => not_seen(said),
    }
}

/// Looks through the payment's refunds. There is no search for them, and a list does not lag.
async fn find(calls: &Calls<'_>, request: &MoneyRequest, intent: &str) -> Outcome {
    let mut list = ListRefund::new().payment_intent(intent).limit(PAGE);
    for _ in 0..MAX_PAGES {
        let page = match calls.get::<List<Refund>>(list.build()).await {
            Said::Done(done) => done,
            said => return not_seen(said),
        };
        let last = page.object.data.last().map(|refund| refund.id.clone());
        let is_ours =
            |refund: &Refund| refund.metadata.as_ref().is_some_and(|metadata| metadata.is_of(request.reference.as_str(), &request.key));
        if let Some(refund) = page.object.data.into_iter().find(is_ours) {
            return seen(request, &Done { object: refund, is_replayed: false, request_id: page.request_id });
        }
        match last.filter(|_| page.object.has_more) {
            Some(last) => list = list.starting_after(last),
            None => break,
        }
    }
    Outcome::Unknown("not found".to_owned())
}

/// What a refund says. One that is pending has left our balance and is on its way: if it comes back, an event says so.
fn seen(request: &MoneyRequest, done: &Done<Refund>) -> Outcome {
    let (refund, request_id) = (&done.object, done.request_id.as_deref());
    if !refund.metadata.as_ref().is_some_and(|metadata| metadata.is_of(request.reference.as_str(), &request.key)) {
        return Outcome::Unknown(told("the answer is about another request", request_id));
    }
    let provider_reference = refund.id.clone();
    match refund.status.as_deref() {
        Some("succeeded" | "pending") | None => match money(&refund.currency, refund.amount) {
            Some((amount, currency)) => {
                let request_id = request_id.map(str::to_owned);
                Outcome::Approved(Receipt { request_id, ..Receipt::of(provider_reference, amount, currency) })
            }
            None => strange_money(request_id),
        },
        // The customer has to say where to. It is not on its way.
        Some("requires_action") => Outcome::Pending { provider_reference },
        Some("failed") => Outcome::Declined(decline(failure(refund), false, Some(provider_reference), request_id)),
        Some("canceled") => Outcome::Declined(decline("refund_canceled", false, Some(provider_reference), request_id)),
        Some(status) => Outcome::Unknown(told(&format!("a refund that is {status}"), request_id)),
    }
}

/// The reason of a refund that failed.
pub(super) fn failure(refund: &Refund) -> &str {
    refund.failure_reason.as_deref().unwrap_or("refund_failed")
}
