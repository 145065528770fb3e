//! Taking and giving up what was authorised or is pending.

use super::{
    answer::Intent,
    calls::Calls,
    outcome::{approved, decline, declined, given_up, no, not_done, not_seen},
    page, request, units,
    verdict::{Refused, Said, told},
    wire::is_plain_id,
};
use crate::domain::attempt::{MoneyRequest, Outcome};

/// The charge that a request is about, by Stripe's own id.
pub(super) enum Target<'a> {
    /// A payment.
    Intent(&'a str),
    /// A page that was not paid on, as far as we know.
    Session(&'a str),
}

impl<'a> Target<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if !is_plain_id(text) {
            return None;
        }
        match text.split_once('_')?.0 {
            "pi" => Some(Self::Intent(text)),
            "cs" => Some(Self::Session(text)),
            _ => None,
        }
    }

    pub(super) fn of(request: &'a MoneyRequest) -> Option<Self> {
        Self::parse(request.target.as_deref()?)
    }
}

/// Takes what was authorised.
pub(super) async fn capture(calls: &Calls<'_>, request: &MoneyRequest) -> Outcome {
    let Some(Target::Intent(id)) = Target::of(request) else { return no("charge_not_found") };
    let Some(amount) = units::to_stripe(request.currency, request.amount) else { return no("amount_not_countable") };
    match calls.post::<Intent>(request::capture(id, amount), &request.key).await {
        Said::Done(done) => captured(&done.object, request, done.request_id.as_deref()),
        Said::Refused(refused) => match now(calls, id, &refused).await {
            // By another key, or in Stripe's dashboard: it was taken once.
            Ok(intent) if intent.status == "requires_capture" => declined(&refused),
            Ok(intent) => captured(&intent, request, refused.request_id.as_deref()),
            Err(outcome) => outcome,
        },
        said => not_done(said),
    }
}

/// What a payment says of its capture.
pub(super) fn captured(intent: &Intent, request: &MoneyRequest, request_id: Option<&str>) -> Outcome {
    if let Some(outcome) = of_another(intent, request, request_id) {
        return outcome;
    }
    match intent.status.as_str() {
        "succeeded" => approved(intent, request, request_id),
        "canceled" => Outcome::Declined(decline("charge_expired_for_capture", false, Some(intent.id.clone()), request_id)),
        // That it was not taken yet is no promise that it will not be.
        status => Outcome::Unknown(told(&format!("a payment that is {status}"), request_id)),
    }
}

/// Gives up what is pending or was authorised.
pub(super) async fn void(calls: &Calls<'_>, request: &MoneyRequest) -> Outcome {
    match Target::of(request) {
        Some(Target::Intent(id)) => cancel(calls, request, id, &request.key).await,
        Some(Target::Session(id)) => page::end(calls, request, id).await,
        None => no("charge_not_found"),
    }
}

/// Cancels a payment. That it is cancelled already is a yes, that it was taken a definite no.
pub(super) async fn cancel(calls: &Calls<'_>, request: &MoneyRequest, id: &str, key: &str) -> Outcome {
    match calls.post::<Intent>(request::cancel(id), key).await {
        Said::Done(done) => voided(&done.object, request, done.request_id.as_deref()),
        Said::Refused(refused) => match now(calls, id, &refused).await {
            Ok(intent) => voided(&intent, request, refused.request_id.as_deref()),
            Err(outcome) => outcome,
        },
        said => not_done(said),
    }
}

/// What a payment says of its being given up.
pub(super) fn voided(intent: &Intent, request: &MoneyRequest, request_id: Option<&str>) -> Outcome {
    if let Some(outcome) = of_another(intent, request, request_id) {
        return outcome;
    }
    match intent.status.as_str() {
        "canceled" => given_up(request, &intent.id, request_id),
        "succeeded" => Outcome::Declined(decline("charge_already_captured", false, Some(intent.id.clone()), request_id)),
        // The bank has it in hand, and it cannot be called back.
        "processing" => Outcome::Declined(decline("cannot_be_canceled", false, Some(intent.id.clone()), request_id)),
        status => Outcome::Unknown(told(&format!("a payment that is {status}"), request_id)),
    }
}

/// The payment as it is behind a refusal: as the refusal shows it, else as it is seen now. What is not found is no proof of anything.
async fn now(calls: &Calls<'_>, id: &str, refused: &Refused) -> Result<Intent, Outcome> {
    if let Some(intent) = refused.problem.payment_intent.as_deref().filter(|intent| intent.id == id) {
        return Ok(intent.clone());
    }
    match calls.intent(id).await {
        Said::Done(done) => Ok(done.object),
        said => Err(not_seen(said)),
    }
}

/// `Some` when the payment is none of this checkout's.
fn of_another(intent: &Intent, request: &MoneyRequest, request_id: Option<&str>) -> Option<Outcome> {
    let is_ours = intent.metadata().get(super::answer::key::REFERENCE) == Some(request.reference.as_str());
    (!is_ours).then(|| Outcome::Unknown(told("the answer is about another request", request_id)))
}

/// Ends a payment that was refused and that its customer could confirm once more; `Ok` when nobody can any more.
pub(super) async fn lay_to_rest(calls: &Calls<'_>, request: &MoneyRequest, intent: &Intent) -> Result<(), Outcome> {
    let key = format!("{}x", request.key);
    match calls.post::<Intent>(request::cancel(&intent.id), &key).await {
        Said::Done(done) if done.object.status == "canceled" => Ok(()),
        Said::Done(done) => Err(Outcome::Unknown(told(&format!("a payment that is {}", done.object.status), done.request_id.as_deref()))),
        Said::Refused(refused) => match now(calls, &intent.id, &refused).await? {
            intent if intent.status == "canceled" => Ok(()),
            // He did, and it is on its way or has come.
            intent if intent.status != "requires_payment_method" => {
                Err(super::outcome::of_charge(&intent, request, refused.request_id.as_deref()))
            }
            _ => Err(Outcome::Unknown(told("a refused payment could not be cancelled", refused.request_id.as_deref()))),
        },
        said => Err(not_seen(said)),
    }
}
