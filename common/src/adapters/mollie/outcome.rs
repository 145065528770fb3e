//! What a payment, a refund or a capture of Mollie's means for the attempt that made it.

use super::{
    answer::{Capture, Metadata, Money, Payment, Refund},
    declines::decline,
    request::saved,
};
use crate::domain::{
    attempt::{MoneyRequest, Outcome, Receipt},
    secret::Secret,
};

/// Whether it is what this request has made. What is not says nothing about it.
fn is_of(metadata: Option<&Metadata>, request: &MoneyRequest) -> bool {
    metadata.is_some_and(|ours| ours.reference == request.reference.as_str() && ours.key == request.key)
}

fn about_another() -> Outcome {
    Outcome::Unknown("the answer is about another request".to_owned())
}

fn receipt(id: &str, money: &Money) -> Result<Receipt, Outcome> {
    let (amount, currency) = money.read().map_err(|error| Outcome::Unknown(format!("an amount that cannot be read: {error}")))?;
    Ok(Receipt::of(id.to_owned(), amount, currency))
}

/// What the card of a payment can be charged again with.
pub(super) fn saved_by(payment: &Payment) -> Option<Secret<String>> {
    let (customer, mandate) = payment.customer_id.as_deref().zip(payment.mandate_id.as_deref())?;
    saved(customer, mandate).map(Secret::new)
}

/// Of a charge's payment: <https://docs.mollie.com/docs/handling-payment-status>.
pub(super) fn of_charge(payment: &Payment, request: &MoneyRequest) -> Outcome {
    if !is_of(payment.metadata.as_ref(), request) {
        return about_another();
    }
    let receipt = match receipt(&payment.id, &payment.amount) {
        Ok(receipt) => receipt,
        Err(unknown) => return unknown,
    };
    let no = |code: &str| Outcome::Declined(decline(code, Some(payment.id.clone())));
    match payment.status.as_str() {
        "paid" => {
            let reusable = saved_by(payment).filter(|_| request.keep_card);
            Outcome::Approved(Receipt { reusable, ..receipt })
        }
        "authorized" if request.capture_later => Outcome::Authorized(receipt),
        "open" | "pending" | "authorized" => {
            let provider_reference = payment.id.clone();
            match payment.checkout() {
                Some(url) => Outcome::RequiresAction { url: url.to_owned(), provider_reference },
                None => Outcome::Pending { provider_reference },
            }
        }
        "failed" => no(payment.failure().unwrap_or("failed")),
        "canceled" => no("canceled"),
        "expired" => no("expired"),
        _ => Outcome::Unknown("a payment in a state that we do not know".to_owned()),
    }
}

/// Of a void, which has no object of its own: what is said of its payment. Only an end at which nothing was taken is a yes.
pub(super) fn of_void(payment: &Payment, request: &MoneyRequest) -> Outcome {
    if payment.metadata.as_ref().is_none_or(|ours| ours.reference != request.reference.as_str()) {
        return about_another();
    }
    match payment.status.as_str() {
        "canceled" | "expired" | "failed" => receipt(&payment.id, &payment.amount).map_or_else(|unknown| unknown, Outcome::Approved),
        "paid" => Outcome::Declined(decline("already_captured", Some(payment.id.clone()))),
        // It ends by itself, one way or the other.
        "open" | "pending" => Outcome::Unknown("the customer may still pay, and Mollie calls off no such payment".to_owned()),
        "authorized" => Outcome::Unknown("not released yet".to_owned()),
        _ => Outcome::Unknown("a payment in a state that we do not know".to_owned()),
    }
}

/// Of a refund. Accepted is done: what fails later is told, and then it came back.
pub(super) fn of_refund(refund: &Refund, request: &MoneyRequest) -> Outcome {
    if !is_of(refund.metadata.as_ref(), request) {
        return about_another();
    }
    match refund.status.as_str() {
        "queued" | "pending" | "processing" | "refunded" => {
            receipt(&refund.id, &refund.amount).map_or_else(|unknown| unknown, Outcome::Approved)
        }
        "failed" => Outcome::Declined(decline("refund_failed", Some(refund.id.clone()))),
        "canceled" => Outcome::Declined(decline("refund_canceled", Some(refund.id.clone()))),
        _ => Outcome::Unknown("a refund in a state that we do not know".to_owned()),
    }
}

/// Of a capture.
pub(super) fn of_capture(capture: &Capture, request: &MoneyRequest) -> Outcome {
    if !is_of(capture.metadata.as_ref(), request) {
        return about_another();
    }
    match capture.status.as_str() {
        "succeeded" => receipt(&capture.id, &capture.amount).map_or_else(|unknown| unknown, Outcome::Approved),
        "pending" => Outcome::Pending { provider_reference: capture.id.clone() },
        "failed" => Outcome::Declined(decline("capture_failed", Some(capture.id.clone()))),
        _ => Outcome::Unknown("a capture in a state that we do not know".to_owned()),
    }
}
