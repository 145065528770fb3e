//! What became of an attempt: by Mollie's own id where it is known, else by what we wrote beside it.

use super::{
    base::is_id,
    outcome::{of_capture, of_charge, of_refund, of_void},
    provider::Calls,
    verdict::{Done, Said},
};
use crate::domain::{
    attempt::{Attempt, AttemptKind, MoneyRequest, Outcome},
    time::Timestamp,
};
use std::time::Duration;

/// How many pages of the newest payments are looked through. Beyond that nobody knows.
const MAX_PAGES: usize = 8;
/// How far Mollie's clock and ours may differ.
const CLOCKS: Duration = Duration::from_secs(3600);

/// Looks it up. Not finding it is no answer.
pub(super) async fn look_up(calls: &Calls<'_>, attempt: &Attempt) -> Outcome {
    let (request, known) = (&attempt.request, attempt.provider_reference.as_deref());
    match request.kind {
        AttemptKind::Charge => match known.filter(|id| is_id(id, "tr_")) {
            Some(id) => match calls.payment(id).await {
                Said::Done(done) => of_charge(&done.object, request),
                said => said.without_answer(),
            },
            None => search(calls, request, attempt.created_at).await,
        },
        AttemptKind::Void | AttemptKind::Capture | AttemptKind::Refund => {
            let Some(payment) = request.target.as_deref().filter(|id| is_id(id, "tr_")) else { return not_found() };
            about(calls, request, payment).await
        }
    }
}

fn not_found() -> Outcome {
    Outcome::Unknown("not found".to_owned())
}

async fn about(calls: &Calls<'_>, request: &MoneyRequest, payment: &str) -> Outcome {
    match request.kind {
        AttemptKind::Capture => match calls.captures(payment).await {
            Said::Done(Done { object, .. }) => {
                let all = object.into_items();
                let ours = all.iter().find(|one| one.metadata.as_ref().is_some_and(|ours| ours.key == request.key));
                ours.map_or_else(not_found, |one| of_capture(one, request))
            }
            said => said.without_answer(),
        },
        AttemptKind::Refund => match calls.refunds(payment).await {
            Said::Done(Done { object, .. }) => {
                let all = object.into_items();
                let ours = all.iter().find(|one| one.metadata.as_ref().is_some_and(|ours| ours.key == request.key));
                ours.map_or_else(not_found, |one| of_refund(one, request))
            }
            said => said.without_answer(),
        },
        AttemptKind::Void | AttemptKind::Charge => match calls.payment(payment).await {
            Said::Done(done) => of_void(&done.object, request),
            said => said.without_answer(),
        },
    }
}

/// Through the newest payments, until they are older than the attempt. Mollie has no search by what we wrote beside a payment.
async fn search(calls: &Calls<'_>, request: &MoneyRequest, since: Timestamp) -> Outcome {
    let mut from = None;
    for _ in 0..MAX_PAGES {
        let page = match calls.payments(from.as_deref()).await {
            Said::Done(done) => done.object,
            said => return said.without_answer(),
        };
        let next = page.next();
        let payments = page.into_items();
        let is_ours = |ours: &super::answer::Metadata| ours.key == request.key && ours.reference == request.reference.as_str();
        if let Some(payment) = payments.iter().find(|one| one.metadata.as_ref().is_some_and(is_ours)) {
            return of_charge(payment, request);
        }
        let is_old = payments.last().and_then(super::answer::Payment::created).is_some_and(|at| at < since.before(CLOCKS));
        from = next.filter(|_| !is_old);
        if from.is_none() {
            break;
        }
    }
    not_found()
}
