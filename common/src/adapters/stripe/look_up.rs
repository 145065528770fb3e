//! What became of an attempt: by Stripe's id when that is known, else by what we wrote into the object. That nothing is found is never a no.

use super::{
    answer::{Intent, List, Session, Via},
    calls::Calls,
    intents::{self, Target},
    outcome::{VOIDED, not_seen, of_charge},
    page, refund,
    verdict::{Done, Said},
    wire::is_plain_id,
};
use crate::domain::{
    attempt::{Attempt, AttemptKind, MoneyRequest, Outcome},
    time::Timestamp,
};
use std::time::Duration;
use stripe_checkout::checkout_session::ListCheckoutSession;
use stripe_client_core::StripeRequest;
use stripe_core::payment_intent::{ListPaymentIntent, SearchPaymentIntent};
use stripe_types::RangeQueryTs;

/// How many objects a page of a list has, and how many pages are looked at.
const PAGE: i64 = 100;
const MAX_PAGES: usize = 3;
/// Stripe's clock may be behind ours.
const CLOCKS_DIFFER_BY: Duration = Duration::from_secs(60);

/// Looks.
pub(super) async fn look_up(calls: &Calls<'_>, attempt: &Attempt) -> Outcome {
    let (request, known) = (&attempt.request, attempt.provider_reference.as_deref());
    match request.kind {
        AttemptKind::Charge => match known.and_then(Target::parse) {
            Some(Target::Intent(id)) => settle_found(calls, request, id).await,
            Some(Target::Session(id)) => match calls.session(id).await {
                Said::Done(done) => page::seen(calls, request, &done),
                said => not_seen(said),
            },
            None if is_page(request) => find_session(calls, request, Some(attempt.created_at)).await,
            None => find_charge(calls, request, Some(attempt.created_at)).await,
        },
        AttemptKind::Capture | AttemptKind::Void => match Target::of(request) {
            Some(Target::Intent(id)) => match calls.intent(id).await {
                Said::Done(done) if request.kind == AttemptKind::Capture => {
                    intents::captured(&done.object, request, done.request_id.as_deref())
                }
                Said::Done(done) => intents::voided(&done.object, request, done.request_id.as_deref()),
                said => not_seen(said),
            },
            Some(Target::Session(id)) => page::look_at_end(calls, request, id).await,
            None => Outcome::Unknown("not found".to_owned()),
        },
        AttemptKind::Refund => refund::look_up(calls, request, known).await,
    }
}

fn is_page(request: &MoneyRequest) -> bool {
    request.visit.as_ref().is_some_and(|visit| visit.page.is_some())
}

/// What a charge's payment says now. One that was refused behind a visit is cancelled first: the customer brought its client secret back in
/// the address, and could confirm it once more.
pub(super) async fn settle(calls: &Calls<'_>, request: &MoneyRequest, done: Done<Intent>) -> Outcome {
    let outcome = of_charge(&done.object, request, done.request_id.as_deref());
    match (&outcome, done.object.metadata().via()) {
        (Outcome::Declined(decline), Some(Via::Visit)) if decline.decline_code != VOIDED => {
            match intents::lay_to_rest(calls, request, &done.object).await {
                Ok(()) => outcome,
                Err(otherwise) => otherwise,
            }
        }
        _ => outcome,
    }
}

/// Finds a payment by what we wrote into it: by search first, which is one call and lags, then in the list, which does not lag and is long.
pub(super) async fn find_charge(calls: &Calls<'_>, request: &MoneyRequest, since: Option<Timestamp>) -> Outcome {
    // Checkouts and keys are plain text; what is not is not searched for.
    if is_plain_id(request.reference.as_str()) && is_plain_id(&request.key) {
        let query = format!("metadata['reference']:'{}' AND metadata['key']:'{}'", request.reference, request.key);
        if let Said::Done(done) = calls.get::<List<Intent>>(SearchPaymentIntent::new(query).limit(10).build()).await
            && let Some(id) = ours(&done.object.data, request)
        {
            return settle_found(calls, request, id).await;
        }
    }
    let mut list = ListPaymentIntent::new().limit(PAGE);
    if let Some(from) = from(since) {
        list = list.created(from);
    }
    for _ in 0..MAX_PAGES {
        let page = match calls.get::<List<Intent>>(list.build()).await {
            Said::Done(done) => done.object,
            said => return not_seen(said),
        };
        if let Some(id) = ours(&page.data, request) {
            return settle_found(calls, request, id).await;
        }
        match page.data.last().filter(|_| page.has_more) {
            Some(last) => list = list.starting_after(last.id.clone()),
            None => break,
        }
    }
    Outcome::Unknown("not found".to_owned())
}

/// A list shows a payment without its fee, and a search as it was a while ago.
async fn settle_found(calls: &Calls<'_>, request: &MoneyRequest, id: &str) -> Outcome {
    match calls.intent(id).await {
        Said::Done(done) => settle(calls, request, done).await,
        said => not_seen(said),
    }
}

fn ours<'i>(intents: &'i [Intent], request: &MoneyRequest) -> Option<&'i str> {
    let is_ours = |intent: &&Intent| intent.metadata().is_of(request.reference.as_str(), &request.key);
    intents.iter().find(is_ours).map(|intent| intent.id.as_str())
}

/// Finds a page by what we wrote into it. There is no search for them.
pub(super) async fn find_session(calls: &Calls<'_>, request: &MoneyRequest, since: Option<Timestamp>) -> Outcome {
    let mut list = ListCheckoutSession::new().limit(PAGE);
    if let Some(from) = from(since) {
        list = list.created(from);
    }
    for _ in 0..MAX_PAGES {
        let page = match calls.get::<List<Session>>(list.build()).await {
            Said::Done(done) => done.object,
            said => return not_seen(said),
        };
        let is_ours =
            |session: &&Session| session.metadata.as_ref().is_some_and(|metadata| metadata.is_of(request.reference.as_str(), &request.key));
        if let Some(found) = page.data.iter().find(is_ours) {
            return match calls.session(&found.id).await {
                Said::Done(done) => page::seen(calls, request, &done),
                said => not_seen(said),
            };
        }
        match page.data.last().filter(|_| page.has_more) {
            Some(last) => list = list.starting_after(last.id.clone()),
            None => break,
        }
    }
    Outcome::Unknown("not found".to_owned())
}

fn from(since: Option<Timestamp>) -> Option<RangeQueryTs> {
    since.map(|since| RangeQueryTs::gte(since.before(CLOCKS_DIFFER_BY).seconds().max(0)))
}
