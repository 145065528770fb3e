//! What an outcome does to a checkout: the other half of `begin`.

use super::{
    attempt::{Attempt, AttemptKind, AttemptStatus, Decline, MAX_REFUSALS, Outcome, Receipt},
    begin::{new_attempt, open_void},
    checkout::Checkout,
    effects::{DecideError, Effects},
    error::{Code, CodedError},
    event::EventType,
    hosted,
    id::{CheckoutId, Entropy},
    money::Amount,
    refund,
    state::{Status, Step},
    time::Timestamp,
};
use std::time::Duration;

/// What came of an attempt.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// Whose attempt.
    pub checkout: CheckoutId,
    /// Which attempt.
    pub n: u32,
    /// The lease under which it was sent.
    pub lease_token: String,
    /// What the provider said.
    pub outcome: Outcome,
    /// When to try again, where that is what follows.
    pub retry_in: Duration,
    /// The checkout as `begin` left it: while its version is still this, it need not be read again.
    pub known: Option<Box<Checkout>>,
}

/// Decides. `None`: the attempt's outcome is known already, or a later taker has it; nothing changes.
pub fn settle(checkout: Checkout, what: &Settlement, now: Timestamp, entropy: &Entropy) -> Result<Option<Effects>, DecideError> {
    let found = checkout.attempts.iter().find(|attempt| attempt.n == what.n);
    let attempt = found.ok_or(DecideError::NoSuchAttempt(what.n))?;
    let definite = matches!(what.outcome, Outcome::Approved(_) | Outcome::Declined(_));
    // Whoever has settled gave the lease back: the same settlement again, after a lost COMMIT answer, finds it gone.
    let ours = attempt.lease_until.is_some() && attempt.lease_token.as_deref() == Some(what.lease_token.as_str());
    // A definite answer is recorded whoever brings it. What is not definite is the lease holder's to say.
    let settled = !(attempt.status.is_open() || (definite && attempt.status == AttemptStatus::NeedsReview));
    if settled || !(ours || definite) {
        return Ok(None);
    }
    let kind = attempt.request.kind;
    let mut effects = Effects::start(checkout, now);
    if ours {
        effects.attempt(what.n)?.lease_until = None;
    }
    match (kind, &what.outcome) {
        (AttemptKind::Charge | AttemptKind::Capture, Outcome::Approved(receipt)) => approved(&mut effects, what, receipt, entropy)?,
        (AttemptKind::Charge | AttemptKind::Capture, Outcome::Declined(decline)) => declined(&mut effects, what.n, decline)?,
        (AttemptKind::Void, Outcome::Approved(_)) => voided(&mut effects, what.n, entropy)?,
        (AttemptKind::Void, Outcome::Declined(decline)) => void_refused(&mut effects, what, decline)?,
        (AttemptKind::Refund, Outcome::Approved(receipt)) => refunded(&mut effects, what.n, receipt, entropy)?,
        (AttemptKind::Refund, Outcome::Declined(decline)) => refund_refused(&mut effects, what.n, decline, entropy)?,
        (AttemptKind::Charge | AttemptKind::Capture, Outcome::RequiresAction { url, provider_reference }) => {
            requires_action(&mut effects, what, url, provider_reference, entropy)?;
        }
        // No customer has a say in these: the provider has them in hand and is not done.
        (AttemptKind::Void | AttemptKind::Refund, Outcome::RequiresAction { .. }) => unknown(&mut effects, what, "not done yet")?,
        (_, Outcome::Unknown(cause)) => unknown(&mut effects, what, cause)?,
        (_, Outcome::NotSent { cause, .. }) => not_sent(&mut effects, what, cause)?,
    }
    drop_needless_voids(&mut effects)?;
    if effects.checkout.status == Status::NeedsReview {
        // Whatever comes in: only an operator goes on.
        effects.checkout.due_at = None;
    } else if effects.checkout.status.is_terminal() {
        // Whatever is still open (a void, a refund of late money) is due at once, and a retry when it says.
        due_for_the_rest(&mut effects, if definite { now } else { now.after(what.retry_in) });
    }
    Ok(Some(effects))
}

/// What is open behind an end is due from `at` on; what somebody holds, when his lease is over.
pub(super) fn due_for_the_rest(effects: &mut Effects, at: Timestamp) {
    let due = |attempt: &Attempt| attempt.lease_until.map_or(at, |until| until.max(at));
    effects.checkout.due_at = effects.checkout.open_attempt().map(due);
}

fn approved(effects: &mut Effects, what: &Settlement, receipt: &Receipt, entropy: &Entropy) -> Result<(), DecideError> {
    let attempt = effects.attempt(what.n)?;
    attempt.provider_reference = Some(receipt.provider_reference.clone());
    let (asked, currency) = (attempt.request.amount, attempt.request.currency);
    if currency != receipt.currency || receipt.amount <= Amount::ZERO || receipt.amount > Amount::MAX {
        // Nothing that our books could hold: a person has to look.
        attempt.status = AttemptStatus::NeedsReview;
        effects.note("charge.mismatch", format!("asked {asked} {currency}, took {} {}", receipt.amount, receipt.currency));
        return review(effects);
    }
    attempt.status = AttemptStatus::Approved;
    effects.note("charge.approved", format!("attempt {}", what.n));
    match effects.checkout.status {
        Status::Processing | Status::Reconciling if receipt.amount == asked => effects.succeed(entropy),
        Status::AwaitingPayment if receipt.amount == asked => {
            effects.step(Step::Resume)?;
            effects.succeed(entropy)
        }
        Status::Processing | Status::Reconciling | Status::AwaitingPayment => {
            effects.note("charge.mismatch", format!("asked {asked} {currency}, took {}", receipt.amount));
            effects.add_unapplied(what.n, receipt.amount, entropy)?;
            review(effects)
        }
        // Only an operator ends it; until then the money is nobody's.
        Status::NeedsReview => effects.add_unapplied(what.n, receipt.amount, entropy),
        Status::Queued | Status::Succeeded | Status::Failed | Status::Canceled | Status::Expired => {
            effects.add_unapplied(what.n, receipt.amount, entropy)?;
            effects.note("late_money", "the payment came after the end and goes back");
            open_refund(effects, what.n, receipt.amount, entropy)
        }
    }
}

fn declined(effects: &mut Effects, n: u32, decline: &Decline) -> Result<(), DecideError> {
    let attempt = effects.attempt(n)?;
    attempt.status = AttemptStatus::Declined;
    attempt.decline_code = Some(decline.decline_code.clone());
    attempt.provider_reference = decline.provider_reference.clone().or(attempt.provider_reference.take());
    effects.note("charge.declined", format!("attempt {n}: {}", decline.decline_code));
    let error = CodedError::new(Code::CardDeclined, decline.message.clone()).at("payment").declined(decline.decline_code.clone());
    end_unpaid(effects, error)
}

/// No charge of this checkout can take money any more.
pub(super) fn end_unpaid(effects: &mut Effects, error: CodedError) -> Result<(), DecideError> {
    match effects.checkout.status {
        Status::Processing | Status::AwaitingPayment if effects.checkout.order.hosted().is_some() => hosted::unpaid(effects, error),
        Status::Processing => effects.fail(error),
        Status::AwaitingPayment => {
            effects.step(Step::Resume)?;
            effects.fail(error)
        }
        Status::Reconciling => effects.close(effects.checkout.closing, error),
        _ => Ok(()),
    }
}

fn requires_action(
    effects: &mut Effects,
    what: &Settlement,
    url: &str,
    provider_reference: &str,
    entropy: &Entropy,
) -> Result<(), DecideError> {
    let now = effects.checkout.updated_at;
    let due = now.after(what.retry_in);
    let attempt = effects.attempt(what.n)?;
    attempt.status = AttemptStatus::RequiresAction;
    attempt.tries = attempt.tries.saturating_add(1);
    attempt.action_url = Some(url.to_owned());
    attempt.provider_reference = Some(provider_reference.to_owned());
    match effects.checkout.status {
        Status::Processing => {
            effects.step(Step::Await)?;
            // Our own page leads on to the provider's, and says what came of it.
            effects.checkout.payment_url = Some(effects.checkout.hosted_url().unwrap_or_else(|| url.to_owned()));
            effects.checkout.due_at = Some(due.min(effects.checkout.expires_at));
        }
        Status::AwaitingPayment => effects.checkout.due_at = Some(due.min(effects.checkout.expires_at)),
        Status::NeedsReview => {}
        Status::Reconciling | Status::Queued | Status::Succeeded | Status::Failed | Status::Canceled | Status::Expired => {
            // It is being closed, or its first answer was lost: the customer is not sent anywhere any more. Once a void was
            // refused, all that is left is to look again.
            let asked = effects.checkout.has_asked_to_void();
            effects.checkout.due_at = Some(if asked { due } else { now });
            if !asked {
                open_void(effects, what.n, now, entropy)?;
            }
        }
    }
    Ok(())
}

fn unknown(effects: &mut Effects, what: &Settlement, cause: &str) -> Result<(), DecideError> {
    let due = effects.checkout.updated_at.after(what.retry_in);
    let attempt = effects.attempt(what.n)?;
    attempt.tries = attempt.tries.saturating_add(1);
    // A pending action that could not be looked up is still a pending action.
    if attempt.status != AttemptStatus::RequiresAction {
        attempt.status = AttemptStatus::Unknown;
    }
    let (kind, tries) = (attempt.request.kind.as_str(), attempt.tries);
    effects.note(format!("{kind}.unknown"), format!("attempt {}, try {tries}: {cause}", what.n));
    if effects.checkout.status == Status::Processing {
        effects.step(Step::Reconcile)?;
    }
    effects.checkout.due_at = match effects.checkout.status {
        Status::AwaitingPayment => Some(due.min(effects.checkout.expires_at)),
        _ => Some(due),
    };
    Ok(())
}

fn not_sent(effects: &mut Effects, what: &Settlement, cause: &str) -> Result<(), DecideError> {
    let due = effects.checkout.updated_at.after(what.retry_in);
    let (deadline, closing) = (effects.checkout.expires_at, effects.checkout.closing);
    let attempt = effects.attempt(what.n)?;
    // A refusal before execution says nothing about what an earlier holder of the lease may have sent.
    if !attempt.was_never_sent() {
        return unknown(effects, what, cause);
    }
    attempt.tries = attempt.tries.saturating_add(1);
    let (tries, kind) = (attempt.tries, attempt.request.kind);
    // Nobody is charged for the first time after a cancel or the deadline.
    let give_up = kind == AttemptKind::Charge && (tries >= MAX_REFUSALS || closing.is_some() || due >= deadline);
    if !give_up {
        effects.note(format!("{}.refused", kind.as_str()), format!("attempt {}, try {tries}: {cause}", what.n));
        effects.checkout.due_at = Some(due);
        return Ok(());
    }
    attempt.status = AttemptStatus::NotSent;
    effects.note("charge.not_sent", format!("attempt {}: {cause}", what.n));
    end_unpaid(effects, CodedError::new(Code::ProviderUnavailable, "the payment provider could not be reached; nothing was charged"))
}

fn voided(effects: &mut Effects, n: u32, entropy: &Entropy) -> Result<(), DecideError> {
    effects.attempt(n)?.status = AttemptStatus::Approved;
    effects.note("void.approved", format!("attempt {n}"));
    if effects.checkout.approved_charge().is_some() {
        // It was approved first and undone after all: the money is back, and the books say so.
        let left = effects.checkout.amount_paid.minus(effects.checkout.amount_refunded)?;
        return if left > Amount::ZERO { effects.add_refunded(n, left, entropy) } else { Ok(()) };
    }
    let open = |attempt: &&Attempt| attempt.request.kind == AttemptKind::Charge && attempt.status.is_open();
    let charges: Vec<u32> = effects.checkout.attempts.iter().filter(open).map(|attempt| attempt.n).collect();
    for charge in charges {
        let attempt = effects.attempt(charge)?;
        attempt.status = AttemptStatus::Declined;
        attempt.decline_code = Some("voided".to_owned());
    }
    end_unpaid(effects, CodedError::new(Code::PaymentFailed, "the payment was called off before it was made"))
}

/// The provider will not void: as a rule because the money came. A look-up tells.
fn void_refused(effects: &mut Effects, what: &Settlement, decline: &Decline) -> Result<(), DecideError> {
    let now = effects.checkout.updated_at;
    let attempt = effects.attempt(what.n)?;
    attempt.status = AttemptStatus::Declined;
    attempt.decline_code = Some(decline.decline_code.clone());
    effects.note("void.refused", format!("attempt {}: {}", what.n, decline.decline_code));
    effects.checkout.due_at = Some(now);
    Ok(())
}

fn refunded(effects: &mut Effects, n: u32, receipt: &Receipt, entropy: &Entropy) -> Result<(), DecideError> {
    let attempt = effects.attempt(n)?;
    attempt.provider_reference = Some(receipt.provider_reference.clone());
    let (amount, currency) = (attempt.request.amount, attempt.request.currency);
    if (amount, currency) != (receipt.amount, receipt.currency) {
        attempt.status = AttemptStatus::NeedsReview;
        effects.note("refund.mismatch", format!("asked {amount} {currency}, gave {} {}", receipt.amount, receipt.currency));
        refund::in_doubt(effects, n)?;
        return review(effects);
    }
    attempt.status = AttemptStatus::Approved;
    if refund::gone(effects, n, entropy)? {
        return Ok(());
    }
    effects.add_refunded(n, amount, entropy)?;
    effects.note("refund.succeeded", format!("attempt {n}"));
    Ok(())
}

fn refund_refused(effects: &mut Effects, n: u32, decline: &Decline, entropy: &Entropy) -> Result<(), DecideError> {
    let attempt = effects.attempt(n)?;
    attempt.status = AttemptStatus::Declined;
    attempt.decline_code = Some(decline.decline_code.clone());
    if refund::refused(effects, n, decline, entropy)? {
        return Ok(());
    }
    effects.events.push(EventType::RefundFailed);
    effects.note("refund.failed", format!("attempt {n}: {}", decline.decline_code));
    Ok(())
}

/// A void that nobody has sent has no more sense once no charge is open: it could only undo what was sold.
pub(super) fn drop_needless_voids(effects: &mut Effects) -> Result<(), DecideError> {
    if effects.checkout.has_open_charge() {
        return Ok(());
    }
    let needless = |attempt: &&Attempt| attempt.request.kind == AttemptKind::Void && attempt.was_never_sent();
    let voids: Vec<u32> = effects.checkout.attempts.iter().filter(needless).map(|attempt| attempt.n).collect();
    for n in voids {
        effects.attempt(n)?.status = AttemptStatus::NotSent;
        effects.note("void.dropped", format!("attempt {n}: nothing is left to be voided"));
    }
    Ok(())
}

pub(super) fn open_refund(effects: &mut Effects, charge: u32, amount: Amount, entropy: &Entropy) -> Result<(), DecideError> {
    let now = effects.checkout.updated_at;
    let charge = effects.attempt(charge)?.clone();
    let mut refund = new_attempt(&effects.checkout, AttemptKind::Refund, amount, &charge.provider, now, entropy);
    refund.request.target = charge.provider_reference;
    effects.checkout.due_at = Some(now);
    effects.add_attempt(refund);
    Ok(())
}

fn review(effects: &mut Effects) -> Result<(), DecideError> {
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
