//! What the sandbox decides: what each card does, and what may become of a charge. Pure.

use super::{
    operation::{Operation, OperationRequest, OperationStatus},
    push,
};
use crate::domain::{attempt::AttemptKind, money::Amount};
use std::time::Duration;

/// How an operation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Its state.
    pub status: OperationStatus,
    /// Why, when declined.
    pub decline_code: Option<&'static str>,
}

impl Verdict {
    const fn done(status: OperationStatus) -> Self {
        Self { status, decline_code: None }
    }

    const fn declined(code: &'static str) -> Self {
        Self { status: OperationStatus::Declined, decline_code: Some(code) }
    }
}

/// What a card makes happen around the execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// So many requests are refused before one is executed.
    RefuseFirst(u32),
    /// The first request is lost on its way and never executed.
    LoseFirstRequest,
    /// It is executed, and the first answer is lost.
    LoseFirstAnswer,
    /// The first answer takes so long.
    Slow(Duration),
    /// No request is ever executed or answered.
    Never,
}

/// What a charge of this card comes to, and the trouble on the way.
pub fn charge(request: &OperationRequest) -> (Trouble, Verdict) {
    let approved = Verdict::done(if request.capture { OperationStatus::Captured } else { OperationStatus::Authorized });
    let token = request.token.as_ref().map_or("", |token| token.reveal().as_str());
    let (trouble, verdict) = match token {
        "tok_visa" => (Trouble::None, approved),
        "tok_declined" => (Trouble::None, Verdict::declined("generic_decline")),
        "tok_insufficient_funds" => (Trouble::None, Verdict::declined("insufficient_funds")),
        "tok_expired_card" => (Trouble::None, Verdict::declined("expired_card")),
        "tok_3ds" => (Trouble::None, Verdict::done(OperationStatus::Pending)),
        "tok_flaky" => (Trouble::RefuseFirst(2), approved),
        "tok_timeout_charged" => (Trouble::LoseFirstAnswer, approved),
        "tok_timeout_not_charged" => (Trouble::LoseFirstRequest, approved),
        "tok_timeout_declined" => (Trouble::LoseFirstAnswer, Verdict::declined("generic_decline")),
        "tok_slow" => (Trouble::Slow(Duration::from_secs(3)), approved),
        "tok_outage" => (Trouble::Never, approved),
        _ => (Trouble::None, Verdict::declined("invalid_token")),
    };
    if is_payable(request.amount) { (trouble, verdict) } else { (Trouble::None, Verdict::declined("invalid_amount")) }
}

pub(super) fn is_payable(amount: Amount) -> bool {
    amount > Amount::ZERO && amount <= Amount::MAX
}

/// What a capture, void or refund comes to. Changes `charge`, the one that it is about, when it is done.
pub fn change(request: &OperationRequest, charge: Option<&mut Operation>) -> Verdict {
    let Some(charge) = charge.filter(|charge| charge.id.kind == AttemptKind::Charge && charge.reference == request.reference) else {
        return Verdict::declined("charge_not_found");
    };
    if charge.currency != request.currency {
        return Verdict::declined("currency_mismatch");
    }
    match request.kind {
        AttemptKind::Charge => Verdict::declined("invalid_request"),
        AttemptKind::Capture => capture(request, charge),
        AttemptKind::Void => void(charge),
        AttemptKind::Refund => refund(request, charge),
    }
}

fn capture(request: &OperationRequest, charge: &mut Operation) -> Verdict {
    match charge.status {
        OperationStatus::Authorized if request.amount == charge.amount => {
            charge.status = OperationStatus::Captured;
            Verdict::done(OperationStatus::Captured)
        }
        OperationStatus::Authorized => Verdict::declined("amount_mismatch"),
        OperationStatus::Captured | OperationStatus::Refunded => Verdict::declined("already_captured"),
        OperationStatus::Pending | OperationStatus::Voided | OperationStatus::Declined => Verdict::declined("not_authorized"),
    }
}

fn void(charge: &mut Operation) -> Verdict {
    if charge.status == OperationStatus::Pending && !push::can_be_taken_back(charge) {
        return Verdict::declined("cannot_be_canceled");
    }
    match charge.status {
        // Voided before: what is asked holds already.
        OperationStatus::Pending | OperationStatus::Authorized | OperationStatus::Voided => {
            charge.status = OperationStatus::Voided;
            Verdict::done(OperationStatus::Voided)
        }
        OperationStatus::Captured | OperationStatus::Refunded => Verdict::declined("already_captured"),
        OperationStatus::Declined => Verdict::declined("already_declined"),
    }
}

fn refund(request: &OperationRequest, charge: &mut Operation) -> Verdict {
    match charge.status {
        OperationStatus::Refunded => return Verdict::declined("already_refunded"),
        OperationStatus::Captured => {}
        OperationStatus::Pending | OperationStatus::Authorized | OperationStatus::Voided | OperationStatus::Declined => {
            return Verdict::declined("not_captured");
        }
    }
    if !is_payable(request.amount) {
        return Verdict::declined("invalid_amount");
    }
    if push::refuses_refund(charge) {
        return Verdict::declined("refund_not_possible");
    }
    match charge.amount_refunded.plus(request.amount) {
        Ok(refunded) if refunded <= charge.amount => {
            charge.amount_refunded = refunded;
            if refunded == charge.amount {
                charge.status = OperationStatus::Refunded;
            }
            Verdict::done(OperationStatus::Refunded)
        }
        Ok(_) | Err(_) => Verdict::declined("exceeds_captured"),
    }
}

/// The customer's word on a pending charge. `false` when it is not pending any more: nothing changes.
pub fn act(charge: &mut Operation, approve: bool) -> bool {
    if charge.id.kind != AttemptKind::Charge || charge.status != OperationStatus::Pending || !push::has_page(charge) {
        return false;
    }
    if approve {
        charge.status = OperationStatus::Captured;
    } else {
        charge.status = OperationStatus::Declined;
        charge.decline_code = Some("authentication_failed".to_owned());
    }
    true
}

/// A decline in words.
pub fn decline_message(code: &str) -> &'static str {
    match code {
        "generic_decline" => "The card was declined.",
        "insufficient_funds" => "The card has insufficient funds.",
        "expired_card" => "The card has expired.",
        "account_closed" => "The customer's account is closed, and the money came back.",
        "refund_not_possible" => "The money cannot go back to the customer now.",
        "cannot_be_canceled" => "The customer has been asked, and the question cannot be taken back.",
        "timed_out" => "The customer did not answer in time.",
        "customer_refused" => "The customer refused the payment on the phone.",
        "authentication_failed" => "The customer refused the payment.",
        "voided" => "The payment was called off before it was made.",
        "payment_intent_not_found" => "There is no such payment intent.",
        "payment_intent_used" => "The payment intent has paid for something else.",
        "payment_intent_amount_mismatch" => "The payment intent is for another amount.",
        "payment_intent_currency_mismatch" => "The payment intent is in another currency.",
        "payment_intent_owner_mismatch" => "The payment intent belongs to somebody else.",
        "invalid_token" => "There is no such card token.",
        "invalid_amount" => "The amount must be positive and not more than 10^12.",
        "charge_not_found" => "There is no such charge.",
        "currency_mismatch" => "The charge has another currency.",
        "amount_mismatch" => "An authorised amount is captured whole.",
        "already_captured" => "The money has been taken.",
        "already_declined" => "The charge was declined.",
        "already_refunded" => "The charge has been given back whole.",
        "not_authorized" => "There is nothing authorised to capture.",
        "not_captured" => "No money was taken that could be given back.",
        "exceeds_captured" => "More than is left of the charge.",
        _ => "The operation was declined.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        adapters::sandbox::operation::OperationId,
        domain::{money::Currency, secret::Secret, time::Timestamp},
    };

    fn charge_in(status: OperationStatus) -> Operation {
        Operation {
            id: OperationId { kind: AttemptKind::Charge, seq: 1, nonce: 1 },
            idempotency_key: "chk_1_1".to_owned(),
            reference: "chk_1".to_owned(),
            amount: Amount::from_minor(1000),
            currency: Currency::parse("usd").unwrap(),
            status,
            amount_refunded: Amount::ZERO,
            target: None,
            decline_code: None,
            created_at: Timestamp::from_millis(0),
            method: None,
            script: None,
        }
    }

    fn request(kind: AttemptKind, amount: i64) -> OperationRequest {
        OperationRequest {
            kind,
            idempotency_key: "chk_1_2".to_owned(),
            reference: "chk_1".to_owned(),
            amount: Amount::from_minor(amount),
            currency: Currency::parse("usd").unwrap(),
            token: Some(Secret::new("tok_visa".to_owned())),
            push: None,
            intent: None,
            target: Some("ch_1".to_owned()),
            capture: true,
        }
    }

    #[test]
    fn refunds_add_up_to_the_charge_and_no_further() {
        let mut charge = charge_in(OperationStatus::Captured);
        let mut code = |amount| change(&request(AttemptKind::Refund, amount), Some(&mut charge)).decline_code;
        assert_eq!(code(400), None);
        assert_eq!(code(601), Some("exceeds_captured"));
        assert_eq!(code(0), Some("invalid_amount"));
        assert_eq!(code(i64::MAX), Some("invalid_amount"));
        assert_eq!(code(600), None);
        assert_eq!(code(1), Some("already_refunded"));
        assert_eq!((charge.status, charge.amount_refunded.minor()), (OperationStatus::Refunded, 1000));
    }

    #[test]
    fn a_refund_that_is_refused_once_goes_at_the_second_time_of_asking() {
        let mut charge = Operation { script: Some(push::Script::Keeper.as_str().to_owned()), ..charge_in(OperationStatus::Captured) };
        let mut code = |amount| change(&request(AttemptKind::Refund, amount), Some(&mut charge)).decline_code;
        assert_eq!(code(1000), Some("refund_not_possible"));
        assert_eq!(code(1000), None);
        assert_eq!((charge.status, charge.amount_refunded.minor()), (OperationStatus::Refunded, 1000));
    }

    #[test]
    fn what_was_taken_cannot_be_voided_and_what_was_voided_cannot_be_taken() {
        let code = |status, kind| change(&request(kind, 1000), Some(&mut charge_in(status))).decline_code;
        assert_eq!(code(OperationStatus::Captured, AttemptKind::Void), Some("already_captured"));
        assert_eq!(code(OperationStatus::Refunded, AttemptKind::Void), Some("already_captured"));
        assert_eq!(code(OperationStatus::Voided, AttemptKind::Capture), Some("not_authorized"));
        assert_eq!(code(OperationStatus::Pending, AttemptKind::Refund), Some("not_captured"));
        let mut voided = charge_in(OperationStatus::Pending);
        assert_eq!(change(&request(AttemptKind::Void, 1000), Some(&mut voided)), Verdict::done(OperationStatus::Voided));
        assert!(!act(&mut voided, true));
        assert_eq!(voided.status, OperationStatus::Voided);
    }

    #[test]
    fn a_change_needs_its_own_charge() {
        let mut charge = charge_in(OperationStatus::Captured);
        let foreign = OperationRequest { reference: "chk_2".to_owned(), ..request(AttemptKind::Refund, 1) };
        assert_eq!(change(&foreign, Some(&mut charge)).decline_code, Some("charge_not_found"));
        assert_eq!(change(&request(AttemptKind::Refund, 1), None).decline_code, Some("charge_not_found"));
        let euros = OperationRequest { currency: Currency::parse("eur").unwrap(), ..request(AttemptKind::Refund, 1) };
        assert_eq!(change(&euros, Some(&mut charge)).decline_code, Some("currency_mismatch"));
        assert_eq!(charge, charge_in(OperationStatus::Captured));
    }

    #[test]
    fn every_decline_has_its_own_words() {
        for token in ["tok_declined", "tok_insufficient_funds", "tok_expired_card", "nonsense"] {
            let ask = OperationRequest { token: Some(Secret::new(token.to_owned())), ..request(AttemptKind::Charge, 1) };
            let code = charge(&ask).1.decline_code.unwrap();
            assert_ne!(decline_message(code), decline_message("?"), "{token}");
        }
    }
}
