//! The ends that people and the clock ask for: a cancel, an expiry, an operator's decision.

use super::{
    attempt::{Attempt, AttemptKind, AttemptStatus},
    checkout::{Checkout, Closing},
    effects::{DecideError, Effects},
    error::{Code, CodedError},
    id::Entropy,
    money::Amount,
    saga,
    settle::due_for_the_rest,
    state::{Status, Step},
    time::Timestamp,
    timeline::TimelineEntry,
};
use std::time::Duration;

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
pub fn cancel(checkout: Checkout, now: Timestamp, entropy: &Entropy) -> Result<CancelAnswer, DecideError> {
    call_off(checkout, Closing::Cancel, now, entropy)
}

/// The same, for whatever reason: `closing` says how it ends.
pub(super) fn call_off(checkout: Checkout, closing: Closing, now: Timestamp, entropy: &Entropy) -> Result<CancelAnswer, DecideError> {
    let requested = if closing == Closing::Replace { "replace.requested" } else { "cancel.requested" };
    let otherwise = CodedError::new(Code::Canceled, "canceled before it was paid");
    match (checkout.status, checkout.closing) {
        (Status::Queued, _) => {
            let mut effects = Effects::start(checkout, now);
            effects.close(Some(closing), otherwise)?;
            Ok(CancelAnswer::Canceled(Some(Box::new(effects))))
        }
        (Status::Processing | Status::AwaitingPayment, _) => {
            let mut effects = Effects::start(checkout, now);
            let unsent = effects.checkout.open_attempt().filter(|attempt| attempt.was_never_sent()).map(|attempt| attempt.n);
            effects.step(Step::Reconcile)?;
            effects.checkout.closing = Some(closing);
            if let Some(n) = unsent {
                effects.attempt(n)?.status = AttemptStatus::NotSent;
            }
            // Behind a charge that may be on its way nobody goes before its lease ends.
            let leased = effects.checkout.open_attempt().map(|attempt| attempt.lease_until.unwrap_or(now));
            effects.checkout.due_at = leased;
            if leased.is_none() {
                saga::give_up(&mut effects, otherwise, entropy)?;
            }
            if effects.status().is_terminal() {
                return Ok(CancelAnswer::Canceled(Some(Box::new(effects))));
            }
            effects.note(requested, "waiting for the provider's word");
            Ok(CancelAnswer::Closing(Some(Box::new(effects))))
        }
        // It is being undone already, for a reason of its own.
        (Status::Reconciling, None) if checkout.error.is_some() => Ok(CancelAnswer::Closing(None)),
        (Status::Reconciling, None) => {
            let mut effects = Effects::start(checkout, now);
            effects.checkout.closing = Some(closing);
            effects.note(requested, "waiting for the provider's word");
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
    // What was being undone before it was sold is no late money, by whichever clock: see [`Checkout::undoes_late_money`].
    let newest = checkout.attempts.iter().map(|attempt| attempt.created_at).max().filter(|_| verdict == Verdict::Succeeded);
    let now = newest.map_or(now, |newest| now.max(newest.after(Duration::from_millis(1))));
    let mut effects = Effects::start(checkout, now);
    effects.note(RESOLVED, note);
    match verdict {
        Verdict::Succeeded => {
            take_the_word(&mut effects)?;
            say_if_no_card_is_kept(&mut effects);
            effects.apply_what_came(entropy)?;
            effects.succeed(entropy)?;
            let promised = effects.checkout.charges().filter(|charge| charge.status == AttemptStatus::Authorized);
            for n in promised.map(|charge| charge.n).collect::<Vec<_>>() {
                saga::open_about(&mut effects, AttemptKind::Capture, n, None, entropy)?;
            }
        }
        Verdict::Failed => {
            effects.fail(CodedError::new(Code::ResolvedByOperator, "an operator found that it was not paid"))?;
            pursue_unclear_charges(&mut effects)?;
            pursue_unclear_refunds(&mut effects)?;
            give_back(&mut effects, entropy)?;
        }
    }
    saga::drop_needless_voids(&mut effects)?;
    due_for_the_rest(&mut effects, now);
    Ok(Some(effects))
}

/// The operator's word stands for the provider's about the newest charge of each leg that is unclear: the provider's own, if it still
/// comes, finds the charge approved. Of a capture that is unclear, too.
fn take_the_word(effects: &mut Effects) -> Result<(), DecideError> {
    let unclear = |status: AttemptStatus| status.is_open() || status == AttemptStatus::NeedsReview;
    let legs = effects.checkout.order.legs.len();
    let newest = (0..legs).filter_map(|leg| effects.checkout.charge_of(leg)).filter(|charge| unclear(charge.status)).map(|charge| charge.n);
    let captures = effects.checkout.attempts.iter().filter(|a| a.request.kind == AttemptKind::Capture && unclear(a.status));
    let captured = captures.flat_map(|capture| {
        let charge = effects.checkout.charge_of(capture.request.leg).map(|charge| charge.n);
        charge.into_iter().chain([capture.n])
    });
    for n in newest.chain(captured).collect::<Vec<_>>() {
        effects.attempt(n)?.status = AttemptStatus::Approved;
    }
    Ok(())
}

/// What a kept card is charged with again comes with the provider's answer, which an operator's word stands in for. The subscription is sold
/// all the same; whoever looks after it has to know that its renewals need another method.
fn say_if_no_card_is_kept(effects: &mut Effects) {
    let is_lost = |charge: &Attempt| charge.request.keep_card && charge.reusable.is_none();
    if let Some(n) = effects.checkout.approved_charges().last().filter(|charge| is_lost(charge)).map(|charge| charge.n) {
        let words =
            "whether the provider has kept the card is not known: its renewals need another payment method, set before the first is due";
        effects.note("subscription.card_not_kept", format!("attempt {n}: {words}"));
    }
}

/// Opens the way back of all that came, and gives up what was promised.
fn give_back(effects: &mut Effects, entropy: &Entropy) -> Result<(), DecideError> {
    let mut left = effects.checkout.amount_paid.minus(effects.checkout.amount_refunded)?;
    let mut taken: Vec<(u32, Amount)> = effects.checkout.approved_charges().map(|charge| (charge.n, charge.request.amount)).collect();
    let under_way =
        |effects: &Effects, n: u32| {
            let leg = effects.checkout.attempts.iter().find(|attempt| attempt.n == n).map(|charge| charge.request.leg);
            effects.checkout.attempts.iter().any(|a| {
                a.request.kind == AttemptKind::Refund && Some(a.request.leg) == leg && !matches!(a.status, AttemptStatus::Declined)
            })
        };
    taken.retain(|(n, _)| !under_way(effects, *n));
    let may_go = |a: &&Attempt| a.request.kind == AttemptKind::Refund && (a.status.is_open() || a.status == AttemptStatus::NeedsReview);
    for a in effects.checkout.attempts.iter().filter(may_go) {
        left = left.minus(a.request.amount)?;
    }
    let last = taken.pop();
    for (n, asked) in taken {
        let back = asked.min(left);
        left = left.minus(back)?;
        saga::open_about(effects, AttemptKind::Refund, n, Some(back), entropy)?;
    }
    if let Some((n, _)) = last.filter(|_| left > Amount::ZERO) {
        saga::open_about(effects, AttemptKind::Refund, n, Some(left), entropy)?;
    }
    let promised = effects.checkout.charges().filter(|charge| charge.status == AttemptStatus::Authorized);
    for (n, leg) in promised.map(|charge| (charge.n, charge.request.leg)).collect::<Vec<_>>() {
        if !effects.checkout.has_asked_to_void(leg) {
            saga::open_about(effects, AttemptKind::Void, n, None, entropy)?;
        }
    }
    Ok(())
}

/// An operator may be wrong, and the provider may have the money all the same: it is asked on, and what it turns out to have goes
/// back (`approved`, `requires_action`). Nothing is sent for this, so neither key nor take-overs stand in the way.
fn pursue_unclear_charges(effects: &mut Effects) -> Result<(), DecideError> {
    pursue_unclear(effects, AttemptKind::Charge, "the provider is asked whether it has the money after all")
}

/// What was to go back while the payment was undone, and of which nobody knows whether it did: as long as its key is good it is sent once
/// more, later it is looked for (`begin`). Left alone it would stand in the books as money that nobody gives back.
fn pursue_unclear_refunds(effects: &mut Effects) -> Result<(), DecideError> {
    pursue_unclear(effects, AttemptKind::Refund, "the provider is asked whether it has gone back")
}

fn pursue_unclear(effects: &mut Effects, kind: AttemptKind, what: &str) -> Result<(), DecideError> {
    let unclear = |attempt: &&Attempt| attempt.request.kind == kind && attempt.status == AttemptStatus::NeedsReview;
    let attempts: Vec<u32> = effects.checkout.attempts.iter().filter(unclear).map(|attempt| attempt.n).collect();
    for n in attempts {
        let attempt = effects.attempt(n)?;
        (attempt.status, attempt.takeovers, attempt.tries) = (AttemptStatus::Unknown, 0, 0);
        effects.note(format!("{}.pursued", kind.as_str()), format!("attempt {n}: {what}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::refund::tests::Sale;

    #[test]
    fn an_operators_word_keeps_no_card_and_the_timeline_says_so() {
        for keep_card in [true, false] {
            let Sale { mut checkout, entropy, now, .. } = Sale::by_card();
            (checkout.status, checkout.amount_paid, checkout.completed_at) = (Status::NeedsReview, Amount::ZERO, None);
            checkout.attempts[0].status = AttemptStatus::NeedsReview;
            checkout.attempts[0].request.keep_card = keep_card;
            let effects = resolve(checkout, Verdict::Succeeded, "seen in the dashboard", now, &entropy).unwrap().unwrap();
            assert_eq!(effects.checkout.status, Status::Succeeded);
            let says = effects.timeline.iter().any(|entry| entry.what == "subscription.card_not_kept");
            assert_eq!(says, keep_card, "{:?}", effects.timeline);
        }
    }
}
