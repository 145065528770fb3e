//! What Mollie tells of its own accord, in two ways (<https://docs.mollie.com/reference/webhooks>, <https://docs.mollie.com/reference/webhooks-new>).
//!
//! The classic webhook is a form with a payment's id, and anybody can send one: it is a hint to ask Mollie, and nothing else. A next-generation
//! webhook is signed, and is taken by its own id. What either is about is asked of Mollie with our key before anything is believed: what stands
//! in a body may be old by the time that it is read.

use super::{
    answer::{Chargeback, Metadata, Money, Payment, Refund},
    base::is_id,
    declines::decline,
    outcome::saved_by,
    provider::{MOLLIE, MollieProvider},
    verdict::Said,
};
use crate::{
    adapters::provider_events::{AskError, EventSource, NotGenuine},
    domain::{
        dispute::{DisputeStatus, ToldDispute},
        id::CheckoutId,
        provider_event::{About, EventAccount, Told, ToldMoney, Word},
        secret::Secret,
        time::Timestamp,
    },
};
use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use serde::Deserialize;
use sha2::Sha256;

const SIGNATURE: &str = "x-mollie-signature";
const PREFIX: &str = "sha256=";
/// The longest form that is a hint: an id, and room to spare.
const MAX_FORM_BYTES: usize = 256;

/// An account's events.
pub struct MollieEvents {
    account: EventAccount,
    provider: MollieProvider,
    secrets: Vec<Secret<String>>,
}

impl MollieEvents {
    /// Of `account`, asked about over `provider`; signed ones are verified with any of `secrets`, and with none of them none is taken.
    pub fn new(account: EventAccount, provider: MollieProvider, secrets: Vec<Secret<String>>) -> Self {
        debug_assert_eq!(account.provider, MOLLIE);
        Self { account, provider, secrets }
    }

    fn is_signed(&self, body: &[u8], signature: &str) -> bool {
        let given = signature.strip_prefix(PREFIX).unwrap_or(signature);
        let Ok(given) = data_encoding::HEXLOWER_PERMISSIVE.decode(given.as_bytes()) else { return false };
        self.secrets.iter().any(|secret| {
            let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()) else { return false };
            mac.update(body);
            mac.verify_slice(&given).is_ok()
        })
    }
}

/// A next-generation event, as far as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventBody {
    id: String,
    #[serde(default)]
    entity_id: Option<String>,
    #[serde(default, rename = "_embedded")]
    embedded: Option<Embedded>,
}

#[derive(Deserialize)]
struct Embedded {
    #[serde(default)]
    entity: Option<Entity>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entity {
    #[serde(default)]
    payment_id: Option<String>,
}

impl EventBody {
    /// The payment: what changed, or what that belongs to.
    fn payment(self) -> Option<String> {
        let of_entity = self.embedded.and_then(|embedded| embedded.entity).and_then(|entity| entity.payment_id);
        [self.entity_id, of_entity].into_iter().flatten().find(|id| is_id(id, "tr_"))
    }
}

/// The payment that a form names, and nothing beside it.
fn of_form(body: &[u8]) -> Option<String> {
    if body.len() > MAX_FORM_BYTES {
        return None;
    }
    let mut fields = url::form_urlencoded::parse(body);
    let (name, id) = fields.next()?;
    (name == "id" && fields.next().is_none() && is_id(&id, "tr_")).then(|| id.into_owned())
}

#[async_trait]
impl EventSource for MollieEvents {
    fn account(&self) -> &EventAccount {
        &self.account
    }

    fn verify(&self, headers: &HeaderMap, body: &[u8], _now: Timestamp) -> Result<String, NotGenuine> {
        let signature = headers.get(SIGNATURE).and_then(|value| value.to_str().ok()).ok_or(NotGenuine::Header(SIGNATURE))?;
        if !self.is_signed(body, signature) {
            return Err(NotGenuine::Forged("signed with none of the secrets that are set".to_owned()));
        }
        // No time is signed: the same event again is known by its id, and says no more than to ask.
        let event: EventBody = serde_json::from_slice(body).map_err(|_| NotGenuine::Forged("no event".to_owned()))?;
        Ok(event.id)
    }

    fn hint(&self, headers: &HeaderMap, body: &[u8]) -> Option<String> {
        // What claims to be signed has to be.
        if headers.contains_key(SIGNATURE) { None } else { of_form(body) }
    }

    fn read(&self, body: &str) -> Result<Told, serde_json::Error> {
        if let Some(payment) = of_form(body.as_bytes()) {
            return Ok(Told::Ask(payment));
        }
        Ok(serde_json::from_str::<EventBody>(body)?.payment().map_or(Told::Other, Told::Ask))
    }

    async fn ask(&self, about: &str) -> Result<Vec<Told>, AskError> {
        if !is_id(about, "tr_") {
            return Err(AskError::Unknown);
        }
        match self.provider.calls().whole_payment(about).await {
            Said::Done(done) => told(&done.object),
            // Made up, or of another account. A payment of ours is there before anybody is told of it.
            Said::NotFound => Err(AskError::Unknown),
            Said::NotSent { cause, retry_after } => Err(AskError::Later { cause, retry_after }),
            Said::Unknown(cause) => Err(AskError::Later { cause, retry_after: None }),
            Said::Refused { .. } => Err(AskError::Unknown),
        }
    }
}

/// What a payment says of itself, of its refunds and of what banks took back. What is not ours says nothing.
fn told(payment: &Payment) -> Result<Vec<Told>, AskError> {
    let mut all = Vec::new();
    if let Some(ours) = &payment.metadata {
        let told = money(About::Charge, ours, &payment.id, &payment.amount, of_payment(payment))?;
        all.extend(told.map(|told| Told::Money(ToldMoney { reusable: saved_by(payment), ..told })));
    }
    for refund in payment.refunds() {
        if let Some(ours) = &refund.metadata {
            all.extend(money(About::Refund, ours, &refund.id, &refund.amount, of_refund(refund))?.map(Told::Money));
        }
    }
    if payment.metadata.is_some() {
        for chargeback in payment.chargebacks() {
            all.push(Told::Dispute(dispute(payment, chargeback)?));
        }
    }
    Ok(all)
}

fn money(about: About, ours: &Metadata, id: &str, money: &Money, word: Word) -> Result<Option<ToldMoney>, AskError> {
    // What is no reference of ours is of somebody else.
    let Ok(reference) = CheckoutId::parse(ours.reference.clone()) else { return Ok(None) };
    let (amount, currency) = money.read().map_err(|_| AskError::Unreadable)?;
    Ok(Some(ToldMoney {
        about,
        reference,
        key: ours.key.clone(),
        provider_reference: id.to_owned(),
        pending_as: None,
        reusable: None,
        amount,
        currency,
        word,
    }))
}

/// Mollie tells when a chargeback comes and when it is reversed. That it stays is told by nothing.
fn dispute(payment: &Payment, chargeback: &Chargeback) -> Result<ToldDispute, AskError> {
    let (amount, currency) = chargeback.amount.read().map_err(|_| AskError::Unreadable)?;
    let reason = chargeback.reason.as_ref().map(|reason| reason.code.as_str()).filter(|code| is_id(code, ""));
    Ok(ToldDispute {
        charge: payment.id.clone(),
        provider_reference: chargeback.id.clone(),
        amount,
        currency,
        reason: reason.unwrap_or("chargeback").to_owned(),
        status: if chargeback.reversed_at.is_some() { DisputeStatus::Won } else { DisputeStatus::Open },
    })
}

fn of_payment(payment: &Payment) -> Word {
    match payment.status.as_str() {
        "paid" => Word::Moved,
        "failed" => refused(payment.failure().unwrap_or("failed")),
        ended @ ("canceled" | "expired") => refused(ended),
        // What is held is found by the look-up: it is under way.
        _ => Word::Asked,
    }
}

fn of_refund(refund: &Refund) -> Word {
    match refund.status.as_str() {
        "queued" | "pending" | "processing" | "refunded" => Word::Moved,
        "failed" => refused("refund_failed"),
        "canceled" => refused("refund_canceled"),
        _ => Word::Asked,
    }
}

fn refused(code: &str) -> Word {
    let decline = decline(code, None);
    Word::Refused { code: decline.decline_code, message: decline.message, advice: decline.advice }
}
