//! A void: an open payment is canceled, what is held is released.

use super::{
    answer::Payment,
    base::is_id,
    outcome::of_void,
    provider::Calls,
    verdict::{Done, Said},
};
use crate::domain::attempt::{MoneyRequest, Outcome};
use http::StatusCode;

/// Calls off. Asking twice is harmless: what has ended stays so, and its end is the answer.
pub(super) async fn void(calls: &Calls<'_>, request: &MoneyRequest) -> Outcome {
    let Some(id) = request.target.as_deref().filter(|id| is_id(id, "tr_")) else {
        return Outcome::Unknown("there is no payment to call off".to_owned());
    };
    match calls.cancel(id).await {
        Said::Done(done) => of_void(&done.object, request),
        // It cannot be canceled: because it has ended, or because money is held.
        Said::Refused { .. } => match calls.payment(id).await {
            Said::Done(done) if done.object.status == "authorized" => release(calls, &done.object, request).await,
            Said::Done(done) => of_void(&done.object, request),
            said => said.without_answer(),
        },
        said => said.without_answer(),
    }
}

/// Mollie does its best, later: only the payment's own word counts.
async fn release(calls: &Calls<'_>, payment: &Payment, request: &MoneyRequest) -> Outcome {
    if payment.metadata.as_ref().is_none_or(|ours| ours.reference != request.reference.as_str()) {
        return of_void(payment, request);
    }
    match calls.release(&payment.id, &request.key).await {
        Ok(StatusCode::ACCEPTED) | Ok(StatusCode::UNPROCESSABLE_ENTITY) => match calls.payment(&payment.id).await {
            Said::Done(Done { object, .. }) => of_void(&object, request),
            said => said.without_answer(),
        },
        Ok(status) => Outcome::Unknown(format!("answered {}", status.as_u16())),
        Err(outcome) => outcome,
    }
}
