//! What Stripe tells of its own accord, as the engine reads it.
//!
//! Source: <https://docs.stripe.com/api/events/types>.

use super::{
    answer::{Charge, Dispute, Expandable, Intent, Metadata, Refund, Session, Via, key, money},
    declines::explain,
    outcome::VOIDED,
    provider::STRIPE,
    refund::failure,
    signature::{self, HEADER},
    wire::is_plain_id,
};
use crate::{
    adapters::provider_events::{EventSource, NotGenuine},
    domain::{
        dispute::{DisputeStatus, ToldDispute},
        id::CheckoutId,
        provider_event::{About, EventAccount, Told, ToldFee, ToldMoney, Word},
        scope::Mode,
        secret::Secret,
        time::Timestamp,
    },
};
use http::HeaderMap;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// As much of an event as tells what it is, and whose.
#[derive(Deserialize)]
struct Event<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    livemode: bool,
    /// Of an account that is connected to ours, and not of ours, when it is set.
    #[serde(default)]
    account: Option<String>,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    object: &'a RawValue,
}

/// Only what is needed to know an event again.
#[derive(Deserialize)]
struct IdOfEvent {
    id: String,
}

/// An account's events.
pub struct StripeEvents {
    account: EventAccount,
    secrets: Vec<Secret<String>>,
}

impl StripeEvents {
    /// The events of the account that we call `account`, as its provider was made with, of one tenant in one mode, verified with any of these
    /// secrets; with none nothing is taken, and what was kept can be read.
    pub fn new(account: String, tenant: String, mode: Mode, secrets: Vec<Secret<String>>) -> Self {
        Self { account: EventAccount { provider: STRIPE, account, mode, tenant: Some(tenant) }, secrets }
    }

    fn is_ours(&self, event: &Event<'_>) -> bool {
        event.account.is_none() && event.livemode == (self.account.mode == Mode::Live)
    }

    /// Whose attempt an object is about; `None` when it is none of this account's.
    fn whose(&self, metadata: Option<&Metadata>) -> Option<(CheckoutId, String)> {
        let metadata = metadata?;
        let is_here = metadata.get(key::ACCOUNT).is_none_or(|account| account == self.account.account);
        let reference = CheckoutId::parse(metadata.get(key::REFERENCE)?).ok()?;
        is_here.then(|| Some((reference, metadata.get(key::KEY)?.to_owned())))?
    }
}

impl EventSource for StripeEvents {
    fn account(&self) -> &EventAccount {
        &self.account
    }

    fn verify(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<String, NotGenuine> {
        let header = headers.get(HEADER).and_then(|value| value.to_str().ok()).ok_or(NotGenuine::Header(HEADER))?;
        signature::verify(&self.secrets, header, body, now).map_err(|forged| NotGenuine::Forged(forged.to_string()))?;
        let id = serde_json::from_slice::<IdOfEvent>(body).map(|event| event.id);
        id.ok().filter(|id| is_plain_id(id)).ok_or_else(|| NotGenuine::Forged("it is signed, and has no id".to_owned()))
    }

    fn read(&self, body: &str) -> Result<Told, serde_json::Error> {
        let event: Event<'_> = serde_json::from_str(body)?;
        if !self.is_ours(&event) {
            tracing::info!(event = event.id, kind = event.kind, "an event of a connected account, or of the other mode");
            return Ok(Told::Other);
        }
        let told = match event.kind.as_str() {
            "payment_intent.succeeded"
            | "payment_intent.payment_failed"
            | "payment_intent.canceled"
            | "payment_intent.processing"
            | "payment_intent.requires_action"
            | "payment_intent.amount_capturable_updated" => self.of_intent(&event.kind, object(&event)?),
            "checkout.session.completed"
            | "checkout.session.expired"
            | "checkout.session.async_payment_succeeded"
            | "checkout.session.async_payment_failed" => self.of_session(&event.kind, object(&event)?),
            "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => self.of_refund(object(&event)?),
            "charge.dispute.created"
            | "charge.dispute.updated"
            | "charge.dispute.closed"
            | "charge.dispute.funds_withdrawn"
            | "charge.dispute.funds_reinstated" => {
                return Ok(of_dispute(&object(&event)?).map_or(Told::Other, Told::Dispute));
            }
            "charge.updated" => return Ok(self.of_charge(&object(&event)?).map_or(Told::Other, Told::Fee)),
            _ => None,
        };
        Ok(told.map_or(Told::Other, Told::Money))
    }
}

fn object<T: DeserializeOwned>(event: &Event<'_>) -> Result<T, serde_json::Error> {
    serde_json::from_str(event.data.object.get())
}

impl StripeEvents {
    fn of_intent(&self, kind: &str, intent: Intent) -> Option<ToldMoney> {
        let (reference, key) = self.whose(intent.metadata.as_ref())?;
        let via = intent.metadata().via();
        // On Stripe's page a customer may try again: its session says how that ended.
        if via == Some(Via::Page) {
            return None;
        }
        let units = match kind {
            "payment_intent.succeeded" => intent.amount_received.unwrap_or(intent.amount),
            _ => intent.amount,
        };
        let (amount, currency) = money(&intent.currency, units)?;
        let word = match kind {
            "payment_intent.succeeded" => Word::Moved,
            "payment_intent.canceled" => refused(VOIDED, false),
            // Behind a visit it could be confirmed once more: the look-up cancels it first.
            "payment_intent.payment_failed" if via != Some(Via::Visit) => {
                refused(intent.last_payment_error.as_ref().map_or("generic_decline", |problem| problem.reason()), true)
            }
            _ => Word::Asked,
        };
        let reusable = intent.reusable().filter(|_| intent.metadata().keeps_card()).map(Secret::new);
        Some(ToldMoney {
            about: About::Charge,
            reference,
            key,
            provider_reference: intent.id,
            pending_as: None,
            reusable,
            amount,
            currency,
            word,
        })
    }

    /// A charge whose fee is known by now: it stands in the balance transaction, which the event names and does not show.
    fn of_charge(&self, charge: &Charge) -> Option<ToldFee> {
        let (reference, key) = self.whose(charge.metadata.as_ref())?;
        let provider_reference = charge.payment_intent.as_ref().filter(|_| charge.is_booked())?.id().to_owned();
        Some(ToldFee { reference, key, provider_reference })
    }

    fn of_session(&self, kind: &str, session: Session) -> Option<ToldMoney> {
        let (reference, key) = self.whose(session.metadata.as_ref())?;
        let (amount, currency) = money(session.currency.as_deref()?, session.amount_total?)?;
        // Which card is to be kept stands in the payment, which a look brings.
        let keeps_card = session.metadata.as_ref().is_some_and(Metadata::keeps_card);
        let is_paid = session.payment_status.as_deref() == Some("paid") && !keeps_card;
        let word = match kind {
            "checkout.session.completed" | "checkout.session.async_payment_succeeded" if is_paid => Word::Moved,
            // With a payment that was begun a look tells, and cancels it.
            "checkout.session.expired" if session.payment_intent.is_none() => refused("session_expired", false),
            // Promised only, still on its way, or failed behind the page: a look tells.
            _ => Word::Asked,
        };
        let intent = match session.payment_intent {
            Some(Expandable::Id(id)) => Some(id),
            Some(Expandable::Whole(intent)) => Some(intent.id),
            None => None,
        };
        let (provider_reference, pending_as) = match intent.filter(|_| word == Word::Moved) {
            Some(intent) => (intent, Some(session.id)),
            None => (session.id, None),
        };
        Some(ToldMoney { about: About::Charge, reference, key, provider_reference, pending_as, reusable: None, amount, currency, word })
    }

    fn of_refund(&self, refund: Refund) -> Option<ToldMoney> {
        let (reference, key) = self.whose(refund.metadata.as_ref())?;
        let (amount, currency) = money(&refund.currency, refund.amount)?;
        let word = match refund.status.as_deref() {
            Some("succeeded" | "pending") => Word::Moved,
            Some("failed") => refused(failure(&refund), false),
            Some("canceled") => refused("refund_canceled", false),
            _ => Word::Asked,
        };
        Some(ToldMoney {
            about: About::Refund,
            reference,
            key,
            provider_reference: refund.id,
            pending_as: None,
            reusable: None,
            amount,
            currency,
            word,
        })
    }
}

/// What a bank has done about a payment. Stripe names the payment as our attempt does from its approval on.
fn of_dispute(dispute: &Dispute) -> Option<ToldDispute> {
    let (amount, currency) = money(&dispute.currency, dispute.amount)?;
    let status = match dispute.status.as_str() {
        "warning_needs_response" | "warning_under_review" => DisputeStatus::Inquiry,
        "warning_closed" => DisputeStatus::Closed,
        "needs_response" | "under_review" => DisputeStatus::Open,
        "won" => DisputeStatus::Won,
        "lost" => DisputeStatus::Lost,
        _ => return None,
    };
    Some(ToldDispute {
        charge: dispute.payment_intent.as_ref()?.id().to_owned(),
        provider_reference: dispute.id.clone(),
        amount,
        currency,
        reason: dispute.reason.clone().unwrap_or_else(|| "general".to_owned()),
        status,
    })
}

fn refused(code: &str, is_about_card: bool) -> Word {
    let (advice, words) = explain(code, is_about_card);
    Word::Refused { code: code.to_owned(), message: words.to_owned(), advice }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
