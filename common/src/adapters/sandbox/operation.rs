//! What the book is made of: operations, their ids and states, and the requests for them.

use crate::domain::{
    attempt::AttemptKind,
    money::{Amount, Currency},
    payment_intent::{IntentUse, MAX_OWNER},
    push::PushMethod,
    secret::Secret,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// The longest idempotency key that the sandbox takes, as the strictest of the real providers do.
pub const MAX_KEY_BYTES: usize = 36;
/// The longest reference, token or target.
const MAX_TEXT_BYTES: usize = 255;
/// The most names by which an intent's owner is known.
const MAX_OWNERS: usize = 8;

/// Where an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationStatus {
    /// A charge that waits for the customer to act.
    Pending,
    /// A charge that was promised and not taken.
    Authorized,
    /// The money was taken; also a capture that was done.
    Captured,
    /// Given up before it was taken; also a void that was done.
    Voided,
    /// A charge given back whole; also a refund that was done.
    Refunded,
    /// A definite no.
    Declined,
}

impl OperationStatus {
    const ALL: [Self; 6] = [Self::Pending, Self::Authorized, Self::Captured, Self::Voided, Self::Refunded, Self::Declined];

    /// As it stands in JSON and in the book.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Authorized => "authorized",
            Self::Captured => "captured",
            Self::Voided => "voided",
            Self::Refunded => "refunded",
            Self::Declined => "declined",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// The public id: its place in the book, and a random half so that nobody guesses it. `ch_12_9f3c…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OperationId {
    /// What was asked.
    pub kind: AttemptKind,
    /// Counts up from 1.
    pub seq: i64,
    /// Random, not negative.
    pub nonce: i64,
}

const fn prefix(kind: AttemptKind) -> &'static str {
    match kind {
        AttemptKind::Charge => "ch",
        AttemptKind::Capture => "cp",
        AttemptKind::Void => "vo",
        AttemptKind::Refund => "re",
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{:016x}", prefix(self.kind), self.seq, self.nonce)
    }
}

impl OperationId {
    /// Reads an id exactly as it was written.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '_');
        let (start, seq, nonce) = (parts.next()?, parts.next()?, parts.next()?);
        let kind = [AttemptKind::Charge, AttemptKind::Capture, AttemptKind::Void, AttemptKind::Refund]
            .into_iter()
            .find(|k| prefix(*k) == start)?;
        let id = Self { kind, seq: seq.parse().ok()?, nonce: i64::from_str_radix(nonce, 16).ok()? };
        // One spelling only: no sign, no leading zero, no capitals.
        (id.seq > 0 && id.nonce >= 0 && id.to_string() == text).then_some(id)
    }
}

/// An operation as it stands in the book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its public id.
    pub id: OperationId,
    /// The caller's key.
    pub idempotency_key: String,
    /// The caller's reference.
    pub reference: String,
    /// Minor units.
    pub amount: Amount,
    /// Its currency.
    pub currency: Currency,
    /// Where it stands now.
    pub status: OperationStatus,
    /// How much of a charge was given back.
    pub amount_refunded: Amount,
    /// The charge that it is about.
    pub target: Option<String>,
    /// Why it was declined.
    pub decline_code: Option<String>,
    /// When it was executed.
    pub created_at: Timestamp,
    /// How the customer is asked: `mobile_money/m17`. Nothing of a card.
    pub method: Option<String>,
    /// What a customer who is asked does.
    pub(super) script: Option<String>,
}

/// A charge as `GET /sandbox/charges` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeRow {
    /// The provider's id.
    pub id: String,
    /// The caller's reference: the checkout.
    pub reference: String,
    /// The key under which it was made.
    pub idempotency_key: String,
    /// Minor units.
    pub amount: Amount,
    /// Its currency.
    pub currency: Currency,
    /// Where it stands now.
    pub status: OperationStatus,
    /// How much was given back.
    pub amount_refunded: Amount,
    /// How the customer is asked: `mobile_money/m17`. Nothing of a card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
}

impl From<Operation> for ChargeRow {
    fn from(charge: Operation) -> Self {
        Self {
            id: charge.id.to_string(),
            reference: charge.reference,
            idempotency_key: charge.idempotency_key,
            amount: charge.amount,
            currency: charge.currency,
            status: charge.status,
            amount_refunded: charge.amount_refunded,
            method: charge.method,
        }
    }
}

/// What a caller asks for.
#[derive(Debug, Clone)]
pub struct OperationRequest {
    /// What to do.
    pub kind: AttemptKind,
    /// The caller's key, 1 to 36 visible ASCII characters.
    pub idempotency_key: String,
    /// The caller's reference.
    pub reference: String,
    /// Minor units.
    pub amount: Amount,
    /// Its currency.
    pub currency: Currency,
    /// The card, for a charge.
    pub token: Option<Secret<String>>,
    /// Whom the customer is asked by, for a charge without a card.
    pub push: Option<PushMethod>,
    /// The payment intent that a charge takes instead.
    pub intent: Option<IntentUse>,
    /// The charge that a capture, void or refund is about.
    pub target: Option<String>,
    /// Whether a charge takes the money at once, or authorises only.
    pub capture: bool,
}

impl OperationRequest {
    /// Names the part that is out of bounds. Nothing of such a request is executed or kept.
    pub fn check(&self) -> Result<(), &'static str> {
        let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let text_fits = |text: &str| (1..=MAX_TEXT_BYTES).contains(&text.len()) && visible(text);
        if !(1..=MAX_KEY_BYTES).contains(&self.idempotency_key.len()) || !visible(&self.idempotency_key) {
            return Err("idempotency_key");
        }
        if !text_fits(&self.reference) {
            return Err("reference");
        }
        if !self.token.as_ref().is_none_or(|token| text_fits(token.reveal())) {
            return Err("token");
        }
        if !self.target.as_deref().is_none_or(text_fits) {
            return Err("charge");
        }
        let intent_fits = |intent: &IntentUse| {
            let owners = &intent.owners;
            text_fits(&intent.account) && owners.len() <= MAX_OWNERS && owners.iter().all(|owner| owner.len() <= MAX_OWNER * 4)
        };
        if !self.intent.as_ref().is_none_or(intent_fits) {
            return Err("intent");
        }
        Ok(())
    }

    /// The first 128 bits of the SHA-256 of the request's canonical form, which the key must always come with.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        let texts = [
            self.kind.as_str(),
            &self.reference,
            self.token.as_ref().map_or("", |token| token.reveal()),
            self.target.as_deref().unwrap_or(""),
        ];
        for text in texts {
            // Lengths keep "ab" + "c" apart from "a" + "bc".
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
        hash.update(self.amount.minor().to_be_bytes());
        hash.update(self.currency.as_str().as_bytes());
        hash.update([u8::from(self.capture)]);
        if let Some(push) = &self.push {
            for text in [push.method.as_str(), &push.provider, push.phone.as_ref().map_or("", |phone| phone.reveal())] {
                hash.update((text.len() as u64).to_be_bytes());
                hash.update(text.as_bytes());
            }
        }
        if let Some(IntentUse { id, account, owners }) = &self.intent {
            for text in [id.as_str(), account].into_iter().chain(owners.iter().map(String::as_str)) {
                hash.update((text.len() as u64).to_be_bytes());
                hash.update(text.as_bytes());
            }
        }
        let digest = hash.finalize();
        data_encoding::BASE64URL_NOPAD.encode(digest.get(..16).unwrap_or(&digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> OperationRequest {
        OperationRequest {
            kind: AttemptKind::Charge,
            idempotency_key: "k".to_owned(),
            reference: "chk_1".to_owned(),
            amount: Amount::from_minor(1500),
            currency: Currency::parse("usd").unwrap(),
            token: Some(Secret::new("tok_visa".to_owned())),
            push: None,
            intent: None,
            target: None,
            capture: true,
        }
    }

    #[test]
    fn an_id_has_one_spelling() {
        let id = OperationId { kind: AttemptKind::Refund, seq: 12, nonce: 0xabc };
        assert_eq!(id.to_string(), "re_12_0000000000000abc");
        assert_eq!(OperationId::parse("re_12_0000000000000abc"), Some(id));
        for bad in [
            "re_12_abc",
            "re_012_0000000000000abc",
            "re_12_0000000000000ABC",
            "xx_12_0000000000000abc",
            "re_12",
            "re_-1_0000000000000abc",
            "",
        ] {
            assert_eq!(OperationId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_part_of_a_request_counts_in_its_hash_except_the_key() {
        let base = request();
        let intent = |owner: &str| {
            let id = crate::domain::id::PaymentIntentId::parse("pi_1").unwrap();
            Some(IntentUse { id, account: "demo/test".to_owned(), owners: vec![owner.to_owned()] })
        };
        let changed: [OperationRequest; 8] = [
            OperationRequest { kind: AttemptKind::Refund, ..request() },
            OperationRequest { reference: "chk_2".to_owned(), ..request() },
            OperationRequest { amount: Amount::from_minor(1501), ..request() },
            OperationRequest { currency: Currency::parse("eur").unwrap(), ..request() },
            OperationRequest { token: None, ..request() },
            OperationRequest { target: Some("ch_1".to_owned()), ..request() },
            OperationRequest { capture: false, ..request() },
            OperationRequest { intent: intent("ada"), ..request() },
        ];
        for other in changed {
            assert_ne!(other.hash(), base.hash(), "{other:?}");
        }
        let taken_by = |owner| OperationRequest { intent: intent(owner), ..request() }.hash();
        assert_ne!(taken_by("ada"), taken_by("bo"));
        assert_eq!(OperationRequest { idempotency_key: "other".to_owned(), ..request() }.hash(), base.hash());
    }

    #[test]
    fn a_key_is_one_to_thirty_six_visible_characters() {
        let checked = |key: &str| OperationRequest { idempotency_key: key.to_owned(), ..request() }.check();
        assert_eq!(checked(&"x".repeat(36)), Ok(()));
        for bad in ["", "a b", "é", &"x".repeat(37)] {
            assert_eq!(checked(bad), Err("idempotency_key"), "{bad}");
        }
    }

    #[test]
    fn a_card_token_never_shows_in_a_dump() {
        assert!(!format!("{:?}", request()).contains("tok_visa"));
    }
}
