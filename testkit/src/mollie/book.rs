//! The stand-in's book: what was created, where it stands, and how it moves on.

use super::{
    call::{Call, Refusal, Reply},
    hooks::{Hook, SignedEvent},
    money::{Money, iso},
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::{
    collections::HashMap,
    time::{Duration, UNIX_EPOCH},
};

/// Where a payment stands (docs.mollie.com/docs/handling-payment-status).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentStatus {
    /// Created, and nothing else has happened.
    Open,
    /// Begun, and not complete.
    Pending,
    /// Held, and to be captured.
    Authorized,
    /// Taken.
    Paid,
    /// Called off.
    Canceled,
    /// Abandoned.
    Expired,
    /// Refused.
    Failed,
}

impl PaymentStatus {
    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Pending => "pending",
            Self::Authorized => "authorized",
            Self::Paid => "paid",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
            Self::Failed => "failed",
        }
    }
}

/// A payment.
#[derive(Debug, Clone)]
pub struct Payment {
    /// `tr_…`.
    pub id: String,
    /// What is asked for.
    pub amount: Money,
    /// Where it stands.
    pub status: PaymentStatus,
    /// As it came.
    pub metadata: Value,
    /// Minor units that were captured.
    pub captured: i64,
    /// Minor units of refunds that have not failed and were not called off.
    pub refunded: i64,
    /// Under which key it was created.
    pub key: Option<String>,
    pub(super) description: String,
    pub(super) method: Option<String>,
    pub(super) sequence: &'static str,
    pub(super) redirect_url: Option<String>,
    pub(super) webhook_url: Option<String>,
    pub(super) manual_capture: bool,
    pub(super) card_token: Option<String>,
    pub(super) customer: Option<String>,
    pub(super) mandate: Option<String>,
    pub(super) stores_card: bool,
    pub(super) failure: Option<String>,
    /// Unix time, ms; so are the others.
    pub(super) created: i64,
    pub(super) moved: i64,
    pub(super) expires: i64,
}

/// A refund.
#[derive(Debug, Clone)]
pub struct Refund {
    /// `re_…`.
    pub id: String,
    /// Of which payment.
    pub payment: String,
    /// How much.
    pub amount: Money,
    /// `queued`, `pending`, `processing`, `refunded`, `failed` or `canceled`.
    pub status: &'static str,
    /// As it came.
    pub metadata: Value,
    /// Under which key it was created.
    pub key: Option<String>,
    pub(super) description: String,
    pub(super) created: i64,
}

/// A capture.
#[derive(Debug, Clone)]
pub struct Capture {
    /// `cpt_…`.
    pub id: String,
    /// Of which payment.
    pub payment: String,
    /// How much.
    pub amount: Money,
    /// `pending`, `succeeded` or `failed`.
    pub status: &'static str,
    /// As it came.
    pub metadata: Value,
    pub(super) created: i64,
}

/// Money that a bank took back.
#[derive(Debug, Clone)]
pub(super) struct Chargeback {
    pub(super) id: String,
    pub(super) payment: String,
    pub(super) amount: Money,
    pub(super) created: i64,
    pub(super) reversed: Option<i64>,
}

/// A customer, with the card that may be charged again.
#[derive(Debug, Clone)]
pub struct Customer {
    /// `cst_…`.
    pub id: String,
    pub(super) metadata: Value,
    pub(super) created: i64,
    pub(super) mandates: Vec<Mandate>,
}

/// What allows another charge.
#[derive(Debug, Clone)]
pub(super) struct Mandate {
    pub(super) id: String,
    pub(super) is_valid: bool,
    /// Why charges on it fail, where they do.
    pub(super) fails_with: Option<String>,
    pub(super) created: i64,
}

/// An answer that is remembered under its key.
struct Remembered {
    fingerprint: (String, Vec<u8>),
    reply: Reply,
    at: i64,
    is_answered: bool,
}

/// What the book says of a key.
pub(super) enum Known {
    /// Nothing: execute it.
    Not,
    /// Answered so before.
    Replay(Reply),
    /// Refused: in use, or used for something else.
    Refused(Refusal),
}

/// How long a key is remembered (docs.mollie.com/reference/api-idempotency).
const KEY_LIFE_MS: i64 = 3_600_000;

#[derive(Default)]
pub(super) struct Book {
    pub(super) payments: Vec<Payment>,
    pub(super) refunds: Vec<Refund>,
    pub(super) captures: Vec<Capture>,
    pub(super) chargebacks: Vec<Chargeback>,
    pub(super) customers: Vec<Customer>,
    pub(super) hooks: Vec<Hook>,
    keys: HashMap<String, Remembered>,
    made: u64,
    /// How far the stand-in's clock was set forward, ms.
    ahead: i64,
    /// Where signed events go, and with which secret they are signed.
    pub(super) subscription: Option<(String, String)>,
    pub(super) captures_wait: bool,
    pub(super) releases_wait: bool,
    pub(super) refunds_queue: bool,
}

impl Book {
    /// Unix time, ms.
    pub(super) fn now(&self) -> i64 {
        let ms = UNIX_EPOCH.elapsed().map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0));
        ms.saturating_add(self.ahead)
    }

    /// Sets the clock forward.
    pub(super) fn pass(&mut self, time: Duration) {
        self.ahead = self.ahead.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 2));
        self.expire();
    }

    /// A new id. They look random and are not: a run can be read.
    pub(super) fn id(&mut self, prefix: &str) -> String {
        self.made += 1;
        format!("{prefix}_{:012X}", self.made.wrapping_mul(0x9E37_79B9_7F4A_7C15) & 0xFFFF_FFFF_FFFF)
    }

    /// What is remembered of this key and request.
    pub(super) fn known(&mut self, key: &str, call: &Call) -> Known {
        let (now, fingerprint) = (self.now(), (call.path.clone(), call.bytes.to_vec()));
        self.keys.retain(|_, remembered| now - remembered.at < KEY_LIFE_MS);
        match self.keys.get(key) {
            None => Known::Not,
            Some(known) if known.fingerprint != fingerprint => Known::Refused(Refusal::new(
                400,
                "Bad Request",
                "The idempotency key was used before for another endpoint or with other parameters.",
            )),
            Some(known) if !known.is_answered => {
                Known::Refused(Refusal::new(409, "Conflict", "A request with this idempotency key is still being processed."))
            }
            Some(known) => Known::Replay(Reply { is_replay: true, ..known.reply.clone() }),
        }
    }

    /// Remembers what a key was answered with; until it is answered, the key is in use.
    pub(super) fn remember(&mut self, key: &str, call: &Call, reply: Reply) {
        let remembered = Remembered { fingerprint: (call.path.clone(), call.bytes.to_vec()), reply, at: self.now(), is_answered: false };
        self.keys.insert(key.to_owned(), remembered);
    }

    pub(super) fn answered(&mut self, key: &str) {
        if let Some(known) = self.keys.get_mut(key) {
            known.is_answered = true;
        }
    }

    pub(super) fn payment(&mut self, id: &str) -> Result<&mut Payment, Refusal> {
        self.expire();
        self.payments.iter_mut().find(|payment| payment.id == id).ok_or_else(|| Refusal::not_found("payment", id))
    }

    /// Whatever was open for too long is so no more.
    pub(super) fn expire(&mut self) {
        let now = self.now();
        let late = |payment: &&Payment| payment.status == PaymentStatus::Open && payment.expires <= now;
        let late: Vec<String> = self.payments.iter().filter(late).map(|payment| payment.id.clone()).collect();
        for id in late {
            self.advance(&id, PaymentStatus::Expired, None);
        }
    }

    /// Moves a payment on, and tells of it where Mollie does. Nothing, where it is at its end. Whether it moved.
    pub(super) fn advance(&mut self, id: &str, to: PaymentStatus, failure: Option<&str>) -> bool {
        let now = self.now();
        let Some(payment) = self.payments.iter_mut().find(|payment| payment.id == id) else { return false };
        let may = match payment.status {
            PaymentStatus::Open | PaymentStatus::Pending => true,
            PaymentStatus::Authorized => matches!(to, PaymentStatus::Paid | PaymentStatus::Canceled | PaymentStatus::Failed),
            PaymentStatus::Paid | PaymentStatus::Canceled | PaymentStatus::Expired | PaymentStatus::Failed => false,
        };
        if !may {
            return false;
        }
        let to = if to == PaymentStatus::Paid && payment.manual_capture && payment.captured == 0 { PaymentStatus::Authorized } else { to };
        (payment.status, payment.moved) = (to, now);
        if to == PaymentStatus::Paid {
            payment.captured = payment.amount.minor;
        }
        payment.failure = failure.map(str::to_owned);
        let wants_mandate = payment.stores_card && payment.mandate.is_none();
        if wants_mandate && matches!(to, PaymentStatus::Paid | PaymentStatus::Authorized) {
            let (customer, token) = (payment.customer.clone(), payment.card_token.clone().unwrap_or_default());
            let mandate = self.allow(customer.as_deref().unwrap_or_default(), &token);
            if let Some(payment) = self.payments.iter_mut().find(|payment| payment.id == id) {
                payment.mandate = mandate;
            }
        }
        if !matches!(to, PaymentStatus::Open | PaymentStatus::Pending) {
            self.tell(id, &format!("payment.{}", to.as_str()), None);
        }
        true
    }

    fn allow(&mut self, customer: &str, token: &str) -> Option<String> {
        let (id, created) = (self.id("mdt"), self.now());
        let customer = self.customers.iter_mut().find(|one| one.id == customer)?;
        let fails_with = token.strip_prefix("tkn_saved_fail_").map(str::to_owned);
        customer.mandates.push(Mandate { id: id.clone(), is_valid: true, fails_with, created });
        Some(id)
    }

    /// Moves a refund on, and tells of it. Whether there is such a refund.
    pub(super) fn move_refund(&mut self, id: &str, to: &'static str) -> bool {
        let Some(refund) = self.refunds.iter_mut().find(|refund| refund.id == id) else { return false };
        let was_gone = matches!(refund.status, "failed" | "canceled");
        refund.status = to;
        let (payment, minor) = (refund.payment.clone(), refund.amount.minor);
        if matches!(to, "failed" | "canceled")
            && !was_gone
            && let Some(payment) = self.payments.iter_mut().find(|one| one.id == payment)
        {
            payment.refunded -= minor;
        }
        if matches!(to, "processing" | "refunded" | "failed") {
            self.tell(&payment, &format!("refund.{to}"), Some(id));
        }
        true
    }

    /// A bank takes a payment back. Its id; nothing where nothing was paid.
    pub(super) fn charge_back(&mut self, payment: &str) -> Option<String> {
        let paid = self.payments.iter().find(|one| one.id == payment && one.status == PaymentStatus::Paid)?;
        let amount = paid.amount;
        let (id, created) = (self.id("chb"), self.now());
        self.chargebacks.push(Chargeback { id: id.clone(), payment: payment.to_owned(), amount, created, reversed: None });
        self.tell(payment, "chargeback.received", None);
        Some(id)
    }

    /// The bank gives it back. Whether it had it.
    pub(super) fn reverse(&mut self, chargeback: &str) -> bool {
        let now = self.now();
        let Some(found) = self.chargebacks.iter_mut().find(|one| one.id == chargeback && one.reversed.is_none()) else { return false };
        found.reversed = Some(now);
        let payment = found.payment.clone();
        self.tell(&payment, "chargeback.reversed", None);
        true
    }

    /// Ends a capture that is pending. Whether it was.
    pub(super) fn end_capture(&mut self, id: &str, succeeds: bool) -> bool {
        let Some(capture) = self.captures.iter_mut().find(|capture| capture.id == id && capture.status == "pending") else { return false };
        capture.status = if succeeds { "succeeded" } else { "failed" };
        let (payment, minor) = (capture.payment.clone(), capture.amount.minor);
        if succeeds && let Some(payment) = self.payments.iter_mut().find(|one| one.id == payment) {
            payment.captured += minor;
        }
        let is_whole = self.payments.iter().any(|one| one.id == payment && one.captured >= one.amount.minor);
        let told = if !succeeds {
            self.advance(&payment, PaymentStatus::Failed, None)
        } else {
            is_whole && self.advance(&payment, PaymentStatus::Paid, None)
        };
        if !told {
            self.tell(&payment, if succeeds { "capture.succeeded" } else { "capture.failed" }, None);
        }
        true
    }

    /// Tells the payment's `webhookUrl`, and whoever subscribed to events.
    pub(super) fn tell(&mut self, payment: &str, kind: &str, refund: Option<&str>) {
        let Some(found) = self.payments.iter().find(|one| one.id == payment).cloned() else { return };
        if let Some(url) = found.webhook_url.clone() {
            self.hooks.push(Hook { url, id: payment.to_owned(), body: None });
        }
        let Some((url, secret)) = self.subscription.clone() else { return };
        let (event, entity) = (self.id("event"), refund.unwrap_or(payment).to_owned());
        let snapshot = match refund.and_then(|id| self.refunds.iter().find(|one| one.id == id)) {
            Some(refund) => refund.json(""),
            None => found.json(""),
        };
        let body = json!({
            "resource": "event",
            "id": event,
            "type": kind,
            "entityId": entity,
            "createdAt": iso(self.now()),
            "_embedded": {"entity": snapshot},
            "_links": {},
        })
        .to_string();
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return };
        mac.update(body.as_bytes());
        let signature = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
        self.hooks.push(Hook { url, id: entity, body: Some(SignedEvent { body, signature }) });
    }
}
