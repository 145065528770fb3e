//! Deliveries: an event on its way to one address.

use super::{
    id::{CheckoutId, DeliveryId, EndpointId, EventId},
    scope::Scope,
    secret::Secret,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// To be tried, or tried again.
    Pending,
    /// The receiver took it (2xx).
    Succeeded,
    /// Given up: tries used up, or refused for good (410, a forbidden address).
    Failed,
}

impl DeliveryStatus {
    /// As it stands in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Succeeded, Self::Failed].into_iter().find(|status| status.as_str() == text)
    }
}

/// A delivery as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryRecord {
    /// Public id.
    pub id: DeliveryId,
    /// The event; its id is the `webhook-id`, stable over retries.
    pub event: EventId,
    /// The event's type.
    pub event_type: String,
    /// What it is about: a checkout's id, or that of an entry of a waiting list.
    pub subject: String,
    /// The checkout that it is about; none when it is about something else.
    pub checkout: Option<CheckoutId>,
    /// The registered endpoint, or none for a checkout's own `callback_url`.
    pub endpoint: Option<EndpointId>,
    /// Where it goes.
    pub url: String,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// How often it was tried.
    pub tries: u32,
    /// The receiver's last answer.
    pub last_status_code: Option<u16>,
    /// What went wrong last, for people.
    pub last_error: Option<String>,
    /// When it is tried next.
    pub next_try_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last tried or changed.
    pub updated_at: Timestamp,
}

/// A delivery in the hands of a worker: what to send, and how to sign it.
#[derive(Debug, Clone)]
pub struct DeliveryJob {
    /// Whose.
    pub scope: Scope,
    /// The delivery.
    pub record: DeliveryRecord,
    /// The frozen body, byte for byte.
    pub body: String,
    /// Live signing secrets (`whsec_…`), newest first; two during rotation.
    pub secrets: Vec<Secret<String>>,
    /// The lease under which it is sent.
    pub lease_token: String,
}

/// What a worker may do with a delivery.
#[derive(Debug, Clone)]
pub enum DeliveryTaken {
    /// Send it.
    Send(Box<DeliveryJob>),
    /// Somebody else has it, or it is not due: not before then.
    Busy(Timestamp),
    /// Nothing to do any more.
    Done,
}

/// What became of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryResult {
    /// Which delivery.
    pub id: DeliveryId,
    /// The lease under which it was sent.
    pub lease_token: String,
    /// What follows.
    pub verdict: DeliveryVerdict,
    /// The receiver's answer.
    pub status_code: Option<u16>,
    /// What went wrong, for people.
    pub error: Option<String>,
}

/// What follows a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryVerdict {
    /// 2xx.
    Delivered,
    /// Try again after this long.
    RetryIn(std::time::Duration),
    /// Never again.
    GiveUp,
    /// 410 Gone: never again, and the endpoint is disabled.
    Disable,
}
