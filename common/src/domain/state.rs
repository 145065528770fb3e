//! The states of a checkout and the one function that moves between them.
//!
//! ```text
//! queued ─┬─► processing ─┬─► succeeded                     (refunds hang off it)
//!         │               ├─► failed                        (a coded reason; claims released)
//!         │               ├─► awaiting_payment ─┬─► processing
//!         │               │                     └─► reconciling
//!         │               └─► reconciling ─────┬─► succeeded | failed | canceled | expired
//!         │                                    ├─► awaiting_payment    (asked again, the provider asks the customer; on our page a no leaves another try)
//!         │                                    └─► needs_review ─► succeeded | failed   (an operator decides)
//!         └─► succeeded | failed | canceled | expired       (no outside call was needed, or none was made)
//! ```

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a checkout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Durable; no worker has begun it.
    Queued,
    /// Everything scarce is claimed and a charge may be on its way.
    Processing,
    /// The customer has to act on a provider's page.
    AwaitingPayment,
    /// Whether money moved is not known, or a provider has still to confirm a cancel. Claims stay.
    Reconciling,
    /// We could not find out. An operator decides.
    NeedsReview,
    /// Sold.
    Succeeded,
    /// Not sold, for a coded reason.
    Failed,
    /// Called off by the client before money moved.
    Canceled,
    /// Its deadline passed before money moved.
    Expired,
}

/// What happens to a checkout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Claims are made and an attempt is recorded.
    Begin,
    /// The customer was sent to act, or may try once more.
    Await,
    /// The customer acted; the charge goes on.
    Resume,
    /// The outcome is unknown, or a cancel needs the provider's word.
    Reconcile,
    /// Nothing that we may do can find out.
    Review,
    /// It is paid, or nothing was due.
    Succeed,
    /// A definite no.
    Fail,
    /// Called off.
    Cancel,
    /// Too late.
    Expire,
}

/// A step that no checkout in that state can take. Always our bug: the store refuses to write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a checkout that is {from} cannot {step:?}")]
pub struct IllegalStep {
    /// Where it stood.
    pub from: Status,
    /// What was asked.
    pub step: Step,
}

impl Status {
    /// Every state, for documentation and tests.
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Processing,
        Self::AwaitingPayment,
        Self::Reconciling,
        Self::NeedsReview,
        Self::Succeeded,
        Self::Failed,
        Self::Canceled,
        Self::Expired,
    ];

    /// Where `step` leads. Terminal states never change.
    pub fn after(self, step: Step) -> Result<Self, IllegalStep> {
        use Status::*;
        match (self, step) {
            (Queued, Step::Begin) | (AwaitingPayment, Step::Resume) => Ok(Processing),
            (Processing | Reconciling, Step::Await) => Ok(AwaitingPayment),
            (Processing | AwaitingPayment, Step::Reconcile) => Ok(Reconciling),
            (Reconciling, Step::Review) => Ok(NeedsReview),
            (Queued | Processing | Reconciling | NeedsReview, Step::Succeed) => Ok(Succeeded),
            (Queued | Processing | Reconciling | NeedsReview, Step::Fail) => Ok(Failed),
            (Queued | Reconciling, Step::Cancel) => Ok(Canceled),
            (Queued | Reconciling, Step::Expire) => Ok(Expired),
            (from, step) => Err(IllegalStep { from, step }),
        }
    }

    /// Whether nothing can change it any more.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled | Self::Expired)
    }

    /// As it stands in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Processing => "processing",
            Self::AwaitingPayment => "awaiting_payment",
            Self::Reconciling => "reconciling",
            Self::NeedsReview => "needs_review",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [Step; 9] =
        [Step::Begin, Step::Await, Step::Resume, Step::Reconcile, Step::Review, Step::Succeed, Step::Fail, Step::Cancel, Step::Expire];

    #[test]
    fn terminal_states_never_change() {
        for status in Status::ALL.into_iter().filter(|status| status.is_terminal()) {
            for step in STEPS {
                assert_eq!(status.after(step), Err(IllegalStep { from: status, step }));
            }
        }
    }

    #[test]
    fn nothing_is_canceled_or_expired_behind_a_charge() {
        for status in [Status::Processing, Status::AwaitingPayment, Status::NeedsReview] {
            assert!(status.after(Step::Cancel).is_err());
            assert!(status.after(Step::Expire).is_err());
        }
    }

    #[test]
    fn every_state_can_reach_an_end() {
        for start in Status::ALL {
            let mut reached = vec![start];
            let mut next = 0;
            while let Some(&status) = reached.get(next) {
                next += 1;
                let new = STEPS.iter().filter_map(|&step| status.after(step).ok());
                for status in new.collect::<Vec<_>>() {
                    if !reached.contains(&status) {
                        reached.push(status);
                    }
                }
            }
            assert!(reached.iter().any(|status| status.is_terminal()), "{start} has no way out");
        }
    }

    #[test]
    fn names_survive_the_store() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
    }
}
