//! What Stripe's objects and refusals mean for an attempt.

use super::{
    answer::{Intent, money},
    declines::explain,
    verdict::{Refused, Said, told},
};
use crate::domain::{
    attempt::{Decline, MoneyRequest, Outcome, Receipt},
    secret::Secret,
};
use http::StatusCode;

/// The code of what was called off.
pub(super) const VOIDED: &str = "voided";

/// A no that never reached Stripe: of such a request it will never become anything else.
pub(super) fn no(code: &str) -> Outcome {
    Outcome::Declined(decline(code, false, None, None))
}

/// A definite no with its advice and words.
pub(super) fn decline(code: &str, is_about_card: bool, provider_reference: Option<String>, request_id: Option<&str>) -> Decline {
    let (advice, words) = explain(code, is_about_card);
    let request_id = request_id.map(str::to_owned);
    Decline { decline_code: code.to_owned(), message: words.to_owned(), provider_reference, advice, request_id }
}

/// A definite no as Stripe tells it.
pub(super) fn declined(refused: &Refused) -> Outcome {
    let is_about_card = refused.status == StatusCode::PAYMENT_REQUIRED || refused.problem.kind.as_deref() == Some("card_error");
    let intent = refused.problem.payment_intent.as_ref().map(|intent| intent.id.clone());
    let code = refused.problem.reason();
    // Nothing of what Stripe's own words may quote is kept.
    tracing::debug!(code, param = refused.problem.param, status = refused.status.as_u16(), "Stripe said no");
    Outcome::Declined(decline(code, is_about_card, intent, refused.request_id.as_deref()))
}

/// A call that brought no object, for what may have been sent before.
pub(super) fn not_done<T>(said: Said<T>) -> Outcome {
    match said {
        Said::NotSent { cause, retry_after } => Outcome::NotSent { cause, retry_after },
        Said::Unknown(unknown) => Outcome::Unknown(unknown.cause),
        Said::Refused(refused) => declined(&refused),
        Said::Done(_) => Outcome::Unknown("Stripe's answer was left unread".to_owned()),
    }
}

/// A look that brought nothing says nothing about what was asked before.
pub(super) fn not_seen<T>(said: Said<T>) -> Outcome {
    match said {
        Said::Refused(refused) => {
            let words = format!("not found: answered {} {}", refused.status.as_u16(), refused.problem.reason());
            Outcome::Unknown(told(&words, refused.request_id.as_deref()))
        }
        other => not_done(other).of_a_question(),
    }
}

/// What a charge's payment says. Where the customer pays on Stripe's page, the session has the first word.
pub(super) fn of_charge(intent: &Intent, request: &MoneyRequest, request_id: Option<&str>) -> Outcome {
    if !intent.metadata().is_of(request.reference.as_str(), &request.key) {
        return Outcome::Unknown(told("the answer is about another request", request_id));
    }
    let provider_reference = intent.id.clone();
    match intent.status.as_str() {
        "succeeded" => approved(intent, request, request_id),
        "requires_capture" => match receipt(intent, intent.amount_capturable.unwrap_or(intent.amount), request, request_id) {
            Some(receipt) => Outcome::Authorized(receipt),
            None => strange_money(request_id),
        },
        // Nobody is asked for another amount than ours.
        "requires_action" if money(&intent.currency, intent.amount) != Some((request.amount, request.currency)) => {
            Outcome::Unknown(told("the customer is asked for another amount", request_id))
        }
        "requires_action" => match intent.action_url() {
            Some(url) => Outcome::RequiresAction { url: url.to_owned(), provider_reference },
            // Nobody can be sent anywhere: it is given up when its time is over.
            None => Outcome::Pending { provider_reference },
        },
        "requires_payment_method" => match &intent.last_payment_error {
            Some(problem) => Outcome::Declined(decline(problem.reason(), true, Some(provider_reference), request_id)),
            // Made, and never confirmed: it is given up when its time is over.
            None => Outcome::Pending { provider_reference },
        },
        "processing" | "requires_confirmation" => Outcome::Pending { provider_reference },
        "canceled" => Outcome::Declined(decline(VOIDED, false, Some(provider_reference), request_id)),
        status => Outcome::Unknown(told(&format!("a payment that is {status}"), request_id)),
    }
}

/// Money that was taken, with the amount and currency as they are echoed.
pub(super) fn approved(intent: &Intent, request: &MoneyRequest, request_id: Option<&str>) -> Outcome {
    let taken = intent.amount_received.unwrap_or(intent.amount);
    receipt(intent, taken, request, request_id).map_or_else(|| strange_money(request_id), Outcome::Approved)
}

fn receipt(intent: &Intent, amount: i64, request: &MoneyRequest, request_id: Option<&str>) -> Option<Receipt> {
    let (amount, currency) = money(&intent.currency, amount)?;
    let reusable = intent.reusable().filter(|_| request.keep_card).map(Secret::new);
    let request_id = request_id.map(str::to_owned);
    Some(Receipt { fee: intent.fee(), reusable, request_id, ..Receipt::of(intent.id.clone(), amount, currency) })
}

/// An echo that our books cannot hold. A person has to look.
pub(super) fn strange_money(request_id: Option<&str>) -> Outcome {
    Outcome::Unknown(told("Stripe echoes an amount or a currency that we cannot count", request_id))
}

/// That something was given up: no money is echoed with it.
pub(super) fn given_up(request: &MoneyRequest, provider_reference: &str, request_id: Option<&str>) -> Outcome {
    let request_id = request_id.map(str::to_owned);
    Outcome::Approved(Receipt { request_id, ..Receipt::of(provider_reference.to_owned(), request.amount, request.currency) })
}
