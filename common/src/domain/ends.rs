//! The ends that people and the clock ask for: a cancel, an expiry, an operator's decision.

use super::{
    attempt::{Attempt, AttemptKind, AttemptStatus},
    checkout::{Checkout, Closing},
    effects::{DecideError, Effects},
    error::{Code, CodedError},
    id::Entropy,
    money::Amount,
    settle::{drop_needless_voids, due_for_the_rest, open_refund},
    state::{Status, Step},
    time::Timestamp,
    timeline::TimelineEntry,
};

/// How an operator's decision stands in the timeline.
pub const RESOLVED: &str = "resolved";

/// What a request to cancel comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum CancelAnswer {
    /// It is canceled, or was before: 200.
    Canceled(Option<Box<Effects>>),
    /// The provider has to confirm first: 202. `None` when that is under way already.
    Closing(Option<Box<Effects>>),
    /// It has ended otherwise: 409.
    NotCancelable,
}

/// Cancels before the charge, or asks the provider to give up what it could still take.
pub fn cancel(checkout: Checkout, now: Timestamp) -> Result<CancelAnswer, DecideError> {
    let otherwise = CodedError::new(Code::Canceled, "canceled before it was paid");
    match (checkout.status, checkout.closing) {
        (Status::Queued, _) => {
            let mut effects = Effects::start(checkout, now);
            effects.close(Some(Closing::Cancel), otherwise)?;
            Ok(CancelAnswer::Canceled(Some(Box::new(effects))))
        }
        (Status::Processing | Status::AwaitingPayment, _) => {
            let mut effects = Effects::start(checkout, now);
            let leased = effects.checkout.open_attempt().and_then(|attempt| attempt.lease_until);
            let unsent = effects.checkout.open_attempt().filter(|attempt| attempt.was_never_sent()).map(|attempt| attempt.n);
            // Nobody was asked for money yet: it was the customer's turn.
            let nothing_open = effects.status() == Status::AwaitingPayment && effects.checkout.open_attempt().is_none();
            effects.step(Step::Reconcile)?;
            if let Some(n) = unsent {
                effects.attempt(n)?.status = AttemptStatus::NotSent;
            }
            if unsent.is_some() || nothing_open {
                effects.close(Some(Closing::Cancel), otherwise)?;
                return Ok(CancelAnswer::Canceled(Some(Box::new(effects))));
            }
            effects.checkout.closing = Some(Closing::Cancel);
            // Behind a charge that may be on its way nobody goes before its lease ends.
            effects.checkout.due_at = Some(leased.unwrap_or(now));
            effects.note("cancel.requested", "waiting for the provider's word");
            Ok(CancelAnswer::Closing(Some(Box::new(effects))))
        }
        (Status::Reconciling, None) => {
            let mut effects = Effects::start(checkout, now);
            effects.checkout.closing = Some(Closing::Cancel);
            effects.note("cancel.requested", "waiting for the provider's word");
            Ok(CancelAnswer::Closing(Some(Box::new(effects))))
        }
        (Status::Reconciling, Some(_)) => Ok(CancelAnswer::Closing(None)),
        (Status::Canceled, _) => Ok(CancelAnswer::Canceled(None)),
        (Status::NeedsReview | Status::Succeeded | Status::Failed | Status::Expired, _) => Ok(CancelAnswer::NotCancelable),
    }
}

/// Ends a queued checkout whose deadline has passed. `None` when there is nothing to end.
pub fn expire(checkout: Checkout, now: Timestamp) -> Result<Option<Effects>, DecideError> {
    if checkout.status != Status::Queued || now < checkout.expires_at {
        return Ok(None);
    }
    let mut effects = Effects::start(checkout, now);
    effects.close(Some(Closing::Expire), CodedError::new(Code::Expired, "not begun in time"))?;
    Ok(Some(effects))
}

/// What an operator found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The money is ours: sell.
    Succeeded,
    /// It is not, or goes back: release.
    Failed,
}

/// Whether an operator has ended the checkout with these very words: asked again, after an answer that was lost, it is no conflict.
pub fn was_resolved(status: Status, timeline: &[TimelineEntry], verdict: Verdict, note: &str) -> bool {
    let end = match verdict {
        Verdict::Succeeded => Status::Succeeded,
        Verdict::Failed => Status::Failed,
    };
    status == end && timeline.iter().any(|entry| entry.what == RESOLVED && entry.detail.as_deref() == Some(note))
}

/// The only way out of `needs_review`. `None` when the checkout is not there.
pub fn resolve(
    checkout: Checkout,
    verdict: Verdict,
    note: &str,
    now: Timestamp,
    entropy: &Entropy,
) -> Result<Option<Effects>, DecideError> {
    if checkout.status != Status::NeedsReview {
        return Ok(None);
    }
    let mut effects = Effects::start(checkout, now);
    effects.note(RESOLVED, note);
    let charge = effects.checkout.approved_charge().map(|charge| charge.n);
    match (verdict, charge) {
        (Verdict::Succeeded, Some(n)) => {
            // What came is the sale's now, as it was asked for.
            let came = effects.checkout.amount_paid;
            effects.add_unapplied(n, came.negated(), entropy)?;
            effects.succeed(entropy)?;
        }
        (Verdict::Succeeded, None) => {
            // The operator's word stands for the provider's: its own, if it still comes, finds the charge approved.
            let unclear = |attempt: &&Attempt| attempt.status.is_open() || attempt.status == AttemptStatus::NeedsReview;
            let charges = effects.checkout.attempts.iter().filter(|attempt| attempt.request.kind == AttemptKind::Charge);
            if let Some(n) = charges.filter(unclear).map(|charge| charge.n).next_back() {
                effects.attempt(n)?.status = AttemptStatus::Approved;
            }
            effects.succeed(entropy)?;
        }
        (Verdict::Failed, charge) => {
            let left = effects.checkout.amount_paid.minus(effects.checkout.amount_refunded)?;
            effects.fail(CodedError::new(Code::ResolvedByOperator, "an operator found that it was not paid"))?;
            pursue_unclear_charges(&mut effects)?;
            if let Some(n) = charge.filter(|_| left > Amount::ZERO) {
                open_refund(&mut effects, n, left, entropy)?;
            }
        }
    }
    drop_needless_voids(&mut effects)?;
    due_for_the_rest(&mut effects, now);
    Ok(Some(effects))
}

/// An operator may be wrong, and the provider may have the money all the same: it is asked on, and what it turns out to have goes
/// back (`approved`, `requires_action`). Nothing is sent for this, so neither key nor take-overs stand in the way.
fn pursue_unclear_charges(effects: &mut Effects) -> Result<(), DecideError> {
    let unclear = |attempt: &&Attempt| attempt.request.kind == AttemptKind::Charge && attempt.status == AttemptStatus::NeedsReview;
    let charges: Vec<u32> = effects.checkout.attempts.iter().filter(unclear).map(|attempt| attempt.n).collect();
    for n in charges {
        let attempt = effects.attempt(n)?;
        (attempt.status, attempt.takeovers, attempt.tries) = (AttemptStatus::Unknown, 0, 0);
        effects.note("charge.pursued", format!("attempt {n}: the provider is asked whether it has the money after all"));
    }
    Ok(())
}
