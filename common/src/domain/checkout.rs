//! A checkout as the store keeps it: the frozen order, and the few things about it that change.

use super::{
    attempt::{Attempt, AttemptKind, AttemptStatus},
    error::CodedError,
    id::CheckoutId,
    money::Amount,
    order::Order,
    refund::Refund,
    scope::Scope,
    state::Status,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// Why a checkout is being closed while a provider could still take money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closing {
    /// The client asked.
    Cancel,
    /// The deadline passed.
    Expire,
}

impl Closing {
    /// As it stands in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Expire => "expire",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Cancel, Self::Expire].into_iter().find(|closing| closing.as_str() == text)
    }
}

/// A checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// Public id.
    pub id: CheckoutId,
    /// Whose.
    pub scope: Scope,
    /// Where it stands.
    pub status: Status,
    /// Grows by one with every change: the ETag.
    pub version: i64,
    /// What was bought, frozen.
    pub order: Order,
    /// What was taken, minor units.
    pub amount_paid: Amount,
    /// What was given back, minor units.
    pub amount_refunded: Amount,
    /// Why it failed.
    pub error: Option<CodedError>,
    /// Where the customer has to act.
    pub payment_url: Option<String>,
    /// What it becomes once the provider confirms that it can take no money.
    pub closing: Option<Closing>,
    /// When somebody should look at it next; nothing to do when `None`.
    pub due_at: Option<Timestamp>,
    /// How often the rescuer published it again since it last moved.
    pub rescues: u32,
    /// `queued` and `awaiting_payment` end here.
    pub expires_at: Timestamp,
    /// When it was made durable.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it became terminal.
    pub completed_at: Option<Timestamp>,
    /// Its attempts, by `n`.
    pub attempts: Vec<Attempt>,
    /// The refunds that clients asked for, oldest first. Read under the checkout's lock only: nobody else decides by them.
    pub refunds: Vec<Refund>,
}

impl Checkout {
    /// The attempt whose outcome is still to come and that is to be worked on next: an undo before a charge, and of several undos
    /// the one that was tried least, so that one without an answer holds up no other.
    pub fn open_attempt(&self) -> Option<&Attempt> {
        let undo = |attempt: &&Attempt| attempt.request.kind != AttemptKind::Charge;
        let open = || self.attempts.iter().filter(|attempt| attempt.status.is_open());
        open().filter(undo).min_by_key(|attempt| attempt.tries).or_else(|| open().next())
    }

    /// Whether a charge's outcome is still to come.
    pub fn has_open_charge(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.request.kind == AttemptKind::Charge && attempt.status.is_open())
    }

    /// Whether the provider was asked to void, or is being asked. A void that nobody got an answer to may be asked for once more:
    /// an operator has looked in between.
    pub fn has_asked_to_void(&self) -> bool {
        let mut voids = self.attempts.iter().filter(|attempt| attempt.request.kind == AttemptKind::Void);
        voids.clone().count() > 1 || voids.any(|void| void.status != AttemptStatus::NeedsReview)
    }

    /// The charge that succeeded.
    pub fn approved_charge(&self) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.request.kind == AttemptKind::Charge && attempt.status == AttemptStatus::Approved)
    }

    /// The number of the next attempt.
    pub fn next_n(&self) -> u32 {
        self.attempts.iter().map(|attempt| attempt.n).max().unwrap_or(0).saturating_add(1)
    }
}
