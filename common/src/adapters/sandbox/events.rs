//! What the sandbox tells of its own accord, as the engine reads it: JSON, signed as Standard Webhooks are.

use super::{operation::OperationStatus, rules::decline_message};
use crate::{
    adapters::{
        callback::signature::{self, ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, TOLERANCE},
        provider_events::{EventSource, NotGenuine},
    },
    domain::{
        attempt::{Advice, AttemptKind, SANDBOX},
        id::CheckoutId,
        money::{Amount, Currency},
        provider_event::{About, EventAccount, Told, ToldMoney, Word},
        scope::Mode,
        secret::Secret,
        time::Timestamp,
    },
};
use http::HeaderMap;
use serde::{Deserialize, Serialize};

/// The sandbox's one account with us: everybody's, with test keys.
pub const ACCOUNT: &str = "test";
/// Where its events go.
pub const PATH: &str = "/webhooks/sandbox/test";

/// An event on the wire.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EventBody {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) created_at: Timestamp,
    pub(super) data: OperationTold,
}

/// The charge or refund that it is about.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OperationTold {
    pub(super) id: String,
    pub(super) kind: AttemptKind,
    pub(super) reference: String,
    pub(super) idempotency_key: String,
    pub(super) amount: Amount,
    pub(super) currency: Currency,
    pub(super) status: OperationStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) decline_code: Option<String>,
}

/// Only as much as is needed to tell what it is.
#[derive(Deserialize)]
struct KindOnly {
    #[serde(rename = "type")]
    kind: String,
}

/// The sandbox's events as the engine takes them.
pub struct SandboxEvents {
    account: EventAccount,
    secrets: Vec<Secret<String>>,
}

impl SandboxEvents {
    /// Verified with any of these secrets; with none nothing is taken, and what was kept can be read.
    pub fn new(secrets: Vec<Secret<String>>) -> Self {
        Self { account: EventAccount { provider: SANDBOX, account: ACCOUNT.to_owned(), mode: Mode::Test, tenant: None }, secrets }
    }
}

impl EventSource for SandboxEvents {
    fn account(&self) -> &EventAccount {
        &self.account
    }

    fn verify(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<String, NotGenuine> {
        let text = |name: &'static str| headers.get(name).and_then(|value| value.to_str().ok()).ok_or(NotGenuine::Header(name));
        let (id, timestamp, signatures) = (text(ID_HEADER)?, text(TIMESTAMP_HEADER)?, text(SIGNATURE_HEADER)?);
        let mut refused = NotGenuine::Forged("no secret is set to verify it with".to_owned());
        for secret in &self.secrets {
            match signature::verify(secret, id, timestamp, signatures, body, now, TOLERANCE) {
                Ok(()) => return Ok(id.to_owned()),
                Err(error) => refused = NotGenuine::Forged(error.to_string()),
            }
        }
        Err(refused)
    }

    fn read(&self, body: &str) -> Result<Told, serde_json::Error> {
        let KindOnly { kind } = serde_json::from_str(body)?;
        let about = match kind.as_str() {
            "charge.pending" | "charge.captured" | "charge.declined" | "charge.voided" => About::Charge,
            "refund.failed" => About::Refund,
            _ => return Ok(Told::Other),
        };
        let data = serde_json::from_str::<EventBody>(body)?.data;
        let word = match data.status {
            OperationStatus::Captured => Word::Moved,
            OperationStatus::Pending => Word::Asked,
            OperationStatus::Declined | OperationStatus::Voided => {
                let code = data.decline_code.unwrap_or_else(|| data.status.as_str().to_owned());
                Word::Refused { message: decline_message(&code).to_owned(), code, advice: Advice::AskCustomer }
            }
            OperationStatus::Authorized | OperationStatus::Refunded => return Ok(Told::Other),
        };
        // What is no reference of ours is of somebody else.
        let Ok(reference) = CheckoutId::parse(data.reference) else { return Ok(Told::Other) };
        Ok(Told::Money(ToldMoney {
            about,
            reference,
            key: data.idempotency_key,
            provider_reference: data.id,
            pending_as: None,
            reusable: None,
            amount: data.amount,
            currency: data.currency,
            word,
        }))
    }
}
