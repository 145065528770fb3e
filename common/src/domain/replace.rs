//! A checkout that takes the place of what is open under its reference: what becomes of the earlier ones, and when it may begin itself.
//!
//! Of both only one is ever paid. What nobody was asked money for is called off at once. Of an earlier one whose payment is under way the
//! provider has the word, and the new one waits for its end: paid after all, it stays paid, and the new one fails.

use super::{
    checkout::{Checkout, Closing},
    effects::{DecideError, Effects},
    ends::{self, CancelAnswer},
    error::{Code, CodedError},
    id::{CheckoutId, Entropy},
    state::Status,
    time::Timestamp,
};
use std::time::Duration;

/// The most open checkouts that one takes the place of. *Because* all of them are locked and called off in one transaction.
pub const MAX_REPLACED: usize = 100;
/// How soon it is looked again whether an earlier one has ended, and how late at the most.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));

/// What becomes of the earlier ones.
#[derive(Debug, Default)]
pub struct Replaced {
    /// Calls them off.
    pub effects: Vec<Effects>,
    /// Those that have not ended by that: the new one waits for them.
    pub behind: Vec<CheckoutId>,
}

/// Calls off what is open of `earlier`. What has ended, paid or not, is left alone.
pub fn replace(earlier: impl IntoIterator<Item = Checkout>, now: Timestamp, entropy: &Entropy) -> Result<Replaced, DecideError> {
    let mut replaced = Replaced::default();
    for checkout in earlier.into_iter().filter(|checkout| !checkout.status.is_terminal()) {
        let id = checkout.id.clone();
        let (effects, has_ended) = match ends::call_off(checkout, Closing::Replace, now, entropy)? {
            CancelAnswer::Canceled(effects) => (effects, true),
            CancelAnswer::Closing(effects) => (effects, false),
            // An operator has to decide whether it is paid.
            CancelAnswer::NotCancelable => (None, false),
        };
        replaced.effects.extend(effects.map(|effects| *effects));
        if !has_ended {
            replaced.behind.push(id);
        }
    }
    Ok(replaced)
}

/// Whether a checkout that waits for earlier ones may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Now.
    Now,
    /// Look again then.
    NotBefore(Timestamp),
    /// Never, for this reason.
    Never(CodedError),
}

/// Decides by how the earlier ones stand. It is looked less often the longer it takes.
pub fn turn(checkout: &Checkout, earlier: &[Status], now: Timestamp) -> Turn {
    if earlier.contains(&Status::Succeeded) {
        let words = "the checkout whose place it was to take was paid after all";
        return Turn::Never(CodedError::new(Code::AlreadyPaid, words).at("reference"));
    }
    if earlier.iter().all(|status| status.is_terminal()) {
        return Turn::Now;
    }
    let (soonest, latest) = LOOK_AGAIN;
    Turn::NotBefore(now.after((now.since(checkout.created_at) / 2).clamp(soonest, latest)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{order::Order, scope::Scope};

    fn queued(now: Timestamp) -> Checkout {
        let order: Order = serde_json::from_str(
            r#"{"currency": "usd", "lines": [], "totals": {"subtotal": 0, "discount": 0, "tax": 0, "total": 0}, "legs": []}"#,
        )
        .unwrap();
        let scope = Scope::parse("demo/test").unwrap();
        Checkout::queued(CheckoutId::parse("chk_1").unwrap(), scope, order, now, now.after(Duration::from_secs(60)))
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn it_waits_for_every_earlier_one_and_begins_only_if_none_was_paid() {
        let checkout = queued(at(0));
        let turn = |earlier: &[Status]| turn(&checkout, earlier, at(10_000));
        assert_eq!(turn(&[]), Turn::Now);
        assert_eq!(turn(&[Status::Canceled, Status::Expired, Status::Failed]), Turn::Now);
        for open in [Status::Reconciling, Status::NeedsReview] {
            assert_eq!(turn(&[Status::Canceled, open]), Turn::NotBefore(at(15_000)));
            assert!(matches!(turn(&[open, Status::Succeeded]), Turn::Never(error) if error.code == Code::AlreadyPaid));
        }
    }

    #[test]
    fn it_is_looked_less_often_the_longer_it_takes() {
        let looks = [(0, 100), (200, 300), (1_000, 1_500), (600_000, 660_000)];
        for (now, next) in looks {
            assert_eq!(turn(&queued(at(0)), &[Status::Reconciling], at(now)), Turn::NotBefore(at(next)));
        }
    }

    #[test]
    fn what_has_ended_is_left_alone_and_what_waits_for_nobody_ends_at_once() {
        let entropy = Entropy::from_seed(1);
        let of = |status| Checkout { status, ..queued(at(0)) };
        for ended in [Status::Succeeded, Status::Failed, Status::Canceled, Status::Expired] {
            let replaced = replace([of(ended)], at(1), &entropy).unwrap();
            assert!(replaced.effects.is_empty() && replaced.behind.is_empty());
        }
        let replaced = replace([of(Status::Queued), of(Status::NeedsReview)], at(1), &entropy).unwrap();
        let ends: Vec<_> =
            replaced.effects.iter().map(|effects| (effects.status(), effects.checkout.error.as_ref().map(|error| error.code))).collect();
        assert_eq!(ends, [(Status::Canceled, Some(Code::Replaced))]);
        assert_eq!(replaced.behind.len(), 1, "whether the other one is paid nobody knows");
    }
}
