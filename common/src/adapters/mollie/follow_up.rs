//! Captures and refunds: what follows on a payment.

use super::{
    answer::{Capture, Refund},
    base::is_id,
    declines::decline,
    outcome::{of_capture, of_refund},
    provider::Calls,
    request,
    verdict::{Done, Said},
};
use crate::domain::attempt::{MoneyRequest, Outcome};

/// Takes what is held.
pub(super) async fn capture(calls: &Calls<'_>, request: &MoneyRequest) -> Outcome {
    let Some((id, body)) = payment_and_body(request) else { return no_payment() };
    match calls.post::<Capture>(&format!("/v2/payments/{id}/captures"), &request.key, body).await {
        Said::Done(Done { object, is_replayed: false }) => of_capture(&object, request),
        Said::Done(Done { object, is_replayed: true }) => match calls.captures(id).await {
            Said::Done(list) => match list.object.into_items().iter().find(|one| one.id == object.id) {
                Some(now) => of_capture(now, request),
                None => of_capture(&object, request),
            },
            _ => of_capture(&object, request),
        },
        // What became of the payment decides, and only what was seen of it.
        Said::Refused { .. } => match calls.payment(id).await {
            Said::Done(done) => match done.object.status.as_str() {
                "authorized" | "expired" | "canceled" | "failed" => Outcome::Declined(decline("capture_failed", None)),
                status => Outcome::Unknown(format!("a capture was refused of a payment that is {status}")),
            },
            said => said.without_answer(),
        },
        said => said.without_answer(),
    }
}

/// Gives back.
pub(super) async fn refund(calls: &Calls<'_>, request: &MoneyRequest) -> Outcome {
    let Some((id, body)) = payment_and_body(request) else { return no_payment() };
    match calls.post::<Refund>(&format!("/v2/payments/{id}/refunds"), &request.key, body).await {
        Said::Done(Done { object, is_replayed: false }) => of_refund(&object, request),
        Said::Done(Done { object, is_replayed: true }) => match calls.refund(id, &object.id).await {
            Said::Done(now) => of_refund(&now.object, request),
            _ => of_refund(&object, request),
        },
        Said::Refused { field } => {
            let is_too_much = field.is_some_and(|field| field.starts_with("amount"));
            Outcome::Declined(decline(if is_too_much { "exceeds_captured" } else { "not_captured" }, None))
        }
        said => said.without_answer(),
    }
}

fn payment_and_body(request: &MoneyRequest) -> Option<(&str, Vec<u8>)> {
    let id = request.target.as_deref().filter(|id| is_id(id, "tr_"))?;
    request::part(request).ok().map(|body| (id, body))
}

fn no_payment() -> Outcome {
    Outcome::Unknown("there is no payment that it could be about".to_owned())
}
