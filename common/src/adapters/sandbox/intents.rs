//! Payment intents: what they are made of, and what a charge of one comes to. Pure.

use super::{
    operation::{OperationRequest, OperationStatus},
    rules::{self, Trouble, Verdict},
};
use crate::domain::{
    id::PaymentIntentId,
    money::{Amount, Currency},
    payment_intent::{IntentStatus, IntentUse, NewIntent, PaymentIntent},
    secret::Secret,
    time::Timestamp,
};

/// Its place among the intents, and a random half, as [`super::OperationId`] has them. `pi_12_9f3c…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) seq: i64,
    pub(super) nonce: i64,
}

impl Place {
    /// The public id.
    pub(super) fn id(self) -> Option<PaymentIntentId> {
        PaymentIntentId::parse(format!("{}_{}_{:016x}", PaymentIntentId::PREFIX, self.seq, self.nonce)).ok()
    }

    /// Reads an id exactly as it was written.
    pub(super) fn of(id: &PaymentIntentId) -> Option<Self> {
        let (seq, nonce) = id.as_str().strip_prefix(PaymentIntentId::PREFIX)?.strip_prefix('_')?.split_once('_')?;
        let place = Self { seq: seq.parse().ok()?, nonce: i64::from_str_radix(nonce, 16).ok()? };
        place.id().filter(|own| own == id).map(|_| place)
    }
}

/// An intent as it lies in the book.
#[derive(Debug, Clone)]
pub(super) struct Intent {
    pub(super) place: Place,
    pub(super) new: NewIntent,
    pub(super) created_at: Timestamp,
    /// The charge that took it, by its public id.
    pub(super) charge: Option<String>,
}

impl Intent {
    pub(super) fn shown(&self) -> Option<PaymentIntent> {
        let NewIntent { owner, amount, currency, .. } = &self.new;
        let status = if self.charge.is_some() { IntentStatus::Used } else { IntentStatus::Authorized };
        let (amount, currency, owner) = (*amount, *currency, owner.clone());
        Some(PaymentIntent {
            id: self.place.id()?,
            owner,
            amount,
            currency,
            status,
            charge: self.charge.clone(),
            created_at: self.created_at,
        })
    }

    /// What the card does when the intent is taken by `request`.
    pub(super) fn charge(&self, request: &OperationRequest) -> (Trouble, Verdict) {
        rules::charge(&OperationRequest { token: Some(self.new.token.clone()), intent: None, ..request.clone() })
    }
}

/// The card's no to an authorisation, if it is one. What a card does on the way (a lost answer, say) it does when the intent is taken.
pub(super) fn refusal(amount: Amount, currency: Currency, token: &Secret<String>) -> Option<&'static str> {
    let asked = OperationRequest {
        kind: crate::domain::attempt::AttemptKind::Charge,
        idempotency_key: String::new(),
        reference: String::new(),
        amount,
        currency,
        token: Some(token.clone()),
        push: None,
        intent: None,
        target: None,
        capture: false,
    };
    match rules::charge(&asked) {
        (Trouble::None, Verdict { status: OperationStatus::Declined, decline_code }) => Some(decline_code.unwrap_or("generic_decline")),
        // Nobody asks its owner here.
        (_, Verdict { status: OperationStatus::Pending, .. }) => Some("authentication_failed"),
        _ => None,
    }
}

/// Why this request cannot take the intent, if it cannot: a definite no.
pub(super) fn mismatch(intent: Option<&Intent>, wanted: &IntentUse, request: &OperationRequest) -> Option<&'static str> {
    let Some(intent) = intent.filter(|intent| intent.new.account == wanted.account) else { return Some("payment_intent_not_found") };
    let NewIntent { owner, amount, currency, .. } = &intent.new;
    if !wanted.owners.contains(owner) {
        return Some("payment_intent_owner_mismatch");
    }
    if intent.charge.is_some() {
        return Some("payment_intent_used");
    }
    if *currency != request.currency {
        return Some("payment_intent_currency_mismatch");
    }
    (*amount != request.amount).then_some("payment_intent_amount_mismatch")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let place = Place { seq: 12, nonce: 0xabc };
        assert_eq!(place.id().unwrap().as_str(), "pi_12_0000000000000abc");
        for (text, read) in [
            ("pi_12_0000000000000abc", Some(place)),
            ("pi_12_abc", None),
            ("pi_012_0000000000000abc", None),
            ("pi_x", None),
            ("ch_12_0000000000000abc", None),
        ] {
            assert_eq!(Place::of(&PaymentIntentId::parse(text).unwrap()), read, "{text}");
        }
    }

    #[test]
    fn a_card_that_says_no_authorises_nothing() {
        let of = |token: &str| refusal(Amount::from_minor(100), Currency::parse("usd").unwrap(), &Secret::new(token.to_owned()));
        assert_eq!([of("tok_visa"), of("tok_timeout_charged"), of("tok_timeout_declined"), of("tok_flaky")], [None; 4]);
        assert_eq!(
            [of("tok_insufficient_funds"), of("tok_3ds"), of("nonsense")].map(Option::unwrap),
            ["insufficient_funds", "authentication_failed", "invalid_token"]
        );
        assert_eq!(refusal(Amount::ZERO, Currency::parse("usd").unwrap(), &Secret::new("tok_visa".to_owned())), Some("invalid_amount"));
    }
}
