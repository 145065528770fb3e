//! What no process can decide: a person has to look, and an operator decides.

use super::{
    attempt::{AttemptKind, AttemptStatus},
    effects::{DecideError, Effects},
    refund,
    state::{Status, Step},
};

/// Nobody may try again: an operator decides.
pub(super) fn leave_to_operator(effects: &mut Effects, n: u32, why: &str) -> Result<(), DecideError> {
    let attempt = effects.attempt(n)?;
    attempt.status = AttemptStatus::NeedsReview;
    attempt.lease_until = None;
    let is_charge = attempt.request.kind == AttemptKind::Charge;
    effects.note("attempt.needs_review", format!("attempt {n}: {why}"));
    refund::in_doubt(effects, n)?;
    if effects.checkout.status.is_terminal() {
        // Of a charge an operator has decided already; it was only looked for in case the decision was wrong.
        if !is_charge {
            effects.ask_for_review();
        }
        let now = effects.checkout.updated_at;
        effects.checkout.due_at = effects.checkout.open_attempt().map(|_| now);
        return Ok(());
    }
    review(effects)
}

/// A person has to look at the checkout. What has ended stays as it is, and is looked at all the same.
pub(super) fn review(effects: &mut Effects) -> Result<(), DecideError> {
    match effects.checkout.status {
        Status::Processing | Status::AwaitingPayment => {
            effects.step(Step::Reconcile)?;
            effects.step(Step::Review)?;
        }
        Status::Reconciling => effects.step(Step::Review)?,
        Status::Queued | Status::NeedsReview => {}
        Status::Succeeded | Status::Failed | Status::Canceled | Status::Expired => effects.ask_for_review(),
    }
    effects.checkout.due_at = None;
    Ok(())
}
