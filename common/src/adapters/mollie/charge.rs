//! A charge: a payment, and before it a customer where the card is to be kept.

use super::{
    answer::{Customer, Payment},
    declines,
    outcome::of_charge,
    provider::Calls,
    request::{self, Means},
    verdict::{Done, Said},
};
use crate::domain::attempt::{MoneyRequest, Outcome};

/// Charges.
pub(super) async fn charge(calls: &Calls<'_>, request: &MoneyRequest) -> Outcome {
    let means = match Means::of(request) {
        Ok(means) => means,
        Err(code) => return Outcome::Declined(declines::decline(code, None)),
    };
    let keeps = request.keep_card && !matches!(means, Means::Saved { .. });
    let customer = match keeps {
        false => None,
        true => match customer(calls, request).await {
            Ok(id) => Some(id),
            Err(outcome) => return outcome,
        },
    };
    let Ok(body) = request::payment(request, means, customer.as_deref(), calls.webhook_url()) else {
        return Outcome::NotSent { cause: "the request could not be written".to_owned(), retry_after: None };
    };
    match calls.post::<Payment>("/v2/payments", &request.key, body).await {
        Said::Done(Done { object, is_replayed: false }) => of_charge(&object, request),
        // As it stood when it was made. Only as far as it cannot be asked for now is that the newest we know.
        Said::Done(Done { object, is_replayed: true }) => match calls.payment(&object.id).await {
            Said::Done(now) => of_charge(&now.object, request),
            _ => of_charge(&object, request),
        },
        Said::Refused { field } => Outcome::Declined(declines::of_field(field.as_deref())),
        said => said.without_answer(),
    }
}

/// Somebody for the mandate to hang on. No money moves by it: whatever goes wrong, the payment was not sent.
async fn customer(calls: &Calls<'_>, request: &MoneyRequest) -> Result<String, Outcome> {
    let not_sent = |cause: String| Outcome::NotSent { cause, retry_after: None };
    let body = request::customer(request).map_err(|error| not_sent(error.to_string()))?;
    // A key is good for one endpoint only.
    let key = format!("{}c", request.key);
    match calls.post::<Customer>("/v2/customers", &key, body).await {
        Said::Done(done) => Ok(done.object.id),
        Said::NotSent { cause, retry_after } => Err(Outcome::NotSent { cause, retry_after }),
        Said::Unknown(cause) => Err(not_sent(format!("the customer was not made: {cause}"))),
        Said::NotFound | Said::Refused { .. } => Err(Outcome::Declined(declines::decline("request_refused", None))),
    }
}
