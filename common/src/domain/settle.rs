//! What an outcome does to a checkout: the other half of `begin`.

use super::{
    attempt::{Attempt, AttemptKind, AttemptStatus, CustomerAction, Decline, MAX_REFUSALS, Outcome, Receipt},
    charge,
    checkout::{Checkout, Closing},
    effects::{DecideError, Effects},
    error::{Code, CodedError},
    event::EventType,
    hosted,
    id::{CheckoutId, Entropy},
    money::Amount,
    refund::{self, RefundStatus},
    refund_part,
    review::{leave_to_operator, review},
    routing::Routing,
    saga,
    state::{Status, Step},
    time::Timestamp,
};
use std::{sync::Arc, time::Duration};

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
    /// Whether nobody looks again: where this is no answer, a person has to find one.
    pub is_last_look: bool,
    /// Where charges go that follow.
    pub routing: Arc<Routing>,
    /// The checkout as `begin` left it: while its version is still this, it need not be read again.
    pub known: Option<Box<Checkout>>,
}

/// Decides. `None`: the attempt's outcome is known already, or a later taker has it; nothing changes.
pub fn settle(checkout: Checkout, what: &Settlement, now: Timestamp, entropy: &Entropy) -> Result<Option<Effects>, DecideError> {
    let found = checkout.attempts.iter().find(|attempt| attempt.n == what.n);
    let attempt = found.ok_or(DecideError::NoSuchAttempt(what.n))?;
    let definite = matches!(what.outcome, Outcome::Approved(_) | Outcome::Authorized(_) | Outcome::Declined(_));
    // Whoever has settled gave the lease back: the same settlement again, after a lost COMMIT answer, finds it gone.
    let ours = attempt.lease_until.is_some() && attempt.lease_token.as_deref() == Some(what.lease_token.as_str());
    // A definite answer is recorded whoever brings it. What is not definite is the lease holder's to say.
    let open = attempt.status.is_open() || (definite && attempt.status == AttemptStatus::NeedsReview);
    let settled = !(open || is_taken_after_all(&checkout, attempt, &what.outcome));
    if settled || !(ours || definite) {
        return late_fee(checkout, what, now, entropy);
    }
    let kind = attempt.request.kind;
    let mut effects = Effects::start(checkout, now).routed_by(&what.routing);
    if ours {
        effects.attempt(what.n)?.lease_until = None;
    }
    match (kind, &what.outcome) {
        (AttemptKind::Charge | AttemptKind::Capture, Outcome::Approved(receipt)) => approved(&mut effects, what, receipt, entropy)?,
        (AttemptKind::Charge, Outcome::Authorized(receipt)) => authorized(&mut effects, what, receipt, entropy)?,
        (AttemptKind::Charge, Outcome::Declined(decline)) => declined(&mut effects, what, decline, entropy)?,
        (AttemptKind::Capture, Outcome::Declined(decline)) => capture_refused(&mut effects, what.n, decline, entropy)?,
        (AttemptKind::Void, Outcome::Approved(_)) => voided(&mut effects, what.n, entropy)?,
        (AttemptKind::Void, Outcome::Declined(decline)) => void_refused(&mut effects, what, decline)?,
        (AttemptKind::Refund, Outcome::Approved(receipt)) => refunded(&mut effects, what.n, receipt, entropy)?,
        (AttemptKind::Refund, Outcome::Declined(decline)) => refund_refused(&mut effects, what.n, decline, entropy)?,
        (AttemptKind::Charge, Outcome::RequiresAction { url, provider_reference }) => {
            let action = CustomerAction::Visit(url.clone());
            customers_turn(&mut effects, what, Some(action), provider_reference, entropy)?;
        }
        (AttemptKind::Charge, Outcome::RequiresForm { form, provider_reference }) => {
            let action = CustomerAction::Form(form.clone());
            customers_turn(&mut effects, what, Some(action), provider_reference, entropy)?;
        }
        (AttemptKind::Charge, Outcome::Pending { provider_reference }) => {
            customers_turn(&mut effects, what, None, provider_reference, entropy)?;
        }
        // No customer has a say in these: the provider has them in hand and is not done.
        (
            AttemptKind::Capture | AttemptKind::Void | AttemptKind::Refund,
            Outcome::RequiresAction { .. } | Outcome::RequiresForm { .. } | Outcome::Pending { .. } | Outcome::Authorized(_),
        ) => {
            unknown(&mut effects, what, "not done yet")?;
        }
        (_, Outcome::Unknown(cause)) => unknown(&mut effects, what, cause)?,
        (_, Outcome::NotSent { cause, .. }) => not_sent(&mut effects, what, cause, entropy)?,
    }
    if what.is_last_look && !definite && is_left_without_answer(&effects.checkout, what.n) {
        let why = "nobody could find out what became of it, neither by its key nor by looking for it";
        leave_to_operator(&mut effects, what.n, why)?;
    }
    saga::drop_needless_voids(&mut effects)?;
    if is_over(&effects.checkout) {
        // The charge had its no by itself, from whomever, and there was nothing left to be taken back.
        let why = hosted::called_off(&effects.checkout);
        saga::give_up(&mut effects, why, entropy)?;
    }
    if effects.checkout.status == Status::NeedsReview {
        // Whatever comes in: only an operator goes on.
        effects.checkout.due_at = None;
    } else if effects.checkout.status.is_terminal() {
        // Whatever is still open (a void, a refund of late money) is due at once, and a retry when it says.
        due_for_the_rest(&mut effects, if definite { now } else { now.after(what.retry_in) });
    } else if definite && effects.checkout.status == Status::Reconciling && effects.checkout.open_attempt().is_some_and(is_fresh) {
        // The next leg's undo waits for nobody: what is due now was the lease's end of the one before.
        effects.checkout.due_at = Some(now);
    }
    Ok(Some(effects))
}

/// Whether the last look has left it as it was: no customer is waited for, and no undo was opened that goes first.
fn is_left_without_answer(checkout: &Checkout, n: u32) -> bool {
    let is_open = checkout.attempts.iter().any(|attempt| attempt.n == n && attempt.status.is_open());
    is_open && checkout.status != Status::AwaitingPayment && !checkout.open_attempt().is_some_and(is_fresh)
}

/// What is known already may have been told by an event, which says nothing of the provider's fee: the answer does.
fn late_fee(checkout: Checkout, what: &Settlement, now: Timestamp, entropy: &Entropy) -> Result<Option<Effects>, DecideError> {
    let Outcome::Approved(Receipt { fee: Some(fee), request_id, .. }) = &what.outcome else { return Ok(None) };
    let is_missing = |charge: &Attempt| charge.n == what.n && charge.status == AttemptStatus::Approved && checkout.fee_of(charge).is_none();
    if !checkout.charges().any(is_missing) {
        return Ok(None);
    }
    let mut effects = Effects::start(checkout, now);
    effects.book_fee(what.n, *fee, entropy)?;
    let attempt = effects.attempt(what.n)?;
    attempt.request_id = request_id.clone().or(attempt.request_id.take());
    if attempt.lease_token.as_deref() == Some(what.lease_token.as_str()) {
        attempt.lease_until = None;
    }
    Ok(Some(effects))
}

/// The provider said no to a charge, or that it was taken back, and took the money all the same.
fn is_taken_after_all(checkout: &Checkout, attempt: &Attempt, outcome: &Outcome) -> bool {
    let was_refused = (attempt.request.kind, attempt.status) == (AttemptKind::Charge, AttemptStatus::Declined);
    was_refused && matches!(outcome, Outcome::Approved(_)) && may_be_taken_after_all(checkout, attempt)
}

/// Whether what a refused charge took all the same can be settled now. While another try is under way that has to be settled first. So has
/// a newer try of its leg that an operator has to decide on: he may find that try paid, and the sale would count this money in its place.
pub(super) fn may_be_taken_after_all(checkout: &Checkout, charge: &Attempt) -> bool {
    let newest = checkout.charge_of(charge.request.leg).map(|newest| newest.n);
    let waits_for_operator = checkout.status == Status::NeedsReview && newest != Some(charge.n);
    checkout.status.is_terminal() || !(waits_for_operator || checkout.open_attempt().is_some())
}

/// Whether nothing is under way any more of what was being sorted out, and nothing can come of it.
fn is_over(checkout: &Checkout) -> bool {
    let may_come = |charge: &Attempt| !matches!(charge.status, AttemptStatus::Declined | AttemptStatus::NotSent);
    checkout.status == Status::Reconciling && checkout.open_attempt().is_none() && !checkout.charges().any(may_come)
}

fn is_fresh(attempt: &Attempt) -> bool {
    attempt.status == AttemptStatus::Started && attempt.lease_until.is_none() && attempt.tries == 0
}

/// What is open behind an end is due from `at` on; what somebody holds, when his lease is over.
pub(super) fn due_for_the_rest(effects: &mut Effects, at: Timestamp) {
    let due = |attempt: &Attempt| attempt.lease_until.map_or(at, |until| until.max(at));
    effects.checkout.due_at = effects.checkout.open_attempt().map(due);
}

fn approved(effects: &mut Effects, what: &Settlement, receipt: &Receipt, entropy: &Entropy) -> Result<(), DecideError> {
    let attempt = effects.attempt(what.n)?;
    attempt.provider_reference = Some(receipt.provider_reference.clone());
    let (kind, asked, currency, leg) = (attempt.request.kind, attempt.request.amount, attempt.request.currency, attempt.request.leg);
    if currency != receipt.currency || receipt.amount <= Amount::ZERO || receipt.amount > Amount::MAX {
        // Nothing that our books could hold: a person has to look.
        attempt.status = AttemptStatus::NeedsReview;
        effects.note("charge.mismatch", format!("asked {asked} {currency}, took {} {}", receipt.amount, receipt.currency));
        return review(effects);
    }
    attempt.status = AttemptStatus::Approved;
    attempt.reusable = receipt.reusable.clone();
    attempt.request_id = receipt.request_id.clone().or(attempt.request_id.take());
    // Of a capture it may be known with its charge, which an event has told of.
    let is_booked = effects.checkout.charge_of(leg).is_some_and(|charge| kind == AttemptKind::Capture && charge.fee.is_some());
    if let Some(fee) = receipt.fee.filter(|_| !is_booked) {
        effects.book_fee(what.n, fee, entropy)?;
    }
    effects.note(format!("{}.approved", kind.as_str()), format!("attempt {}", what.n));
    // What a capture takes is its charge's.
    let charge = effects.checkout.charge_of(leg).filter(|_| kind == AttemptKind::Capture).map_or(what.n, |charge| charge.n);
    let attempt = effects.attempt(charge)?;
    if charge != what.n && attempt.status == AttemptStatus::Approved {
        // It was seen there before: the money is in the books.
        return Ok(());
    }
    attempt.status = AttemptStatus::Approved;
    match effects.checkout.status {
        Status::Processing | Status::Reconciling | Status::AwaitingPayment if receipt.amount == asked => {
            came_through(effects, Some(charge), entropy)
        }
        Status::Processing | Status::Reconciling | Status::AwaitingPayment => {
            effects.note("charge.mismatch", format!("asked {asked} {currency}, took {}", receipt.amount));
            effects.add_unapplied(charge, receipt.amount, entropy)?;
            review(effects)
        }
        // Only an operator ends it; until then the money is nobody's.
        Status::NeedsReview => effects.add_unapplied(charge, receipt.amount, entropy),
        // An operator sold what was promised, and here it comes.
        Status::Succeeded if kind == AttemptKind::Capture => Ok(()),
        Status::Queued | Status::Succeeded | Status::Failed | Status::Canceled | Status::Expired => {
            effects.add_unapplied(charge, receipt.amount, entropy)?;
            effects.note("late_money", "the payment came after the end and goes back");
            saga::open_about(effects, AttemptKind::Refund, charge, Some(receipt.amount), entropy).map(drop)
        }
    }
}

/// Promised, and taken when every other leg is, too.
fn authorized(effects: &mut Effects, what: &Settlement, receipt: &Receipt, entropy: &Entropy) -> Result<(), DecideError> {
    let attempt = effects.attempt(what.n)?;
    attempt.provider_reference = Some(receipt.provider_reference.clone());
    let (asked, currency) = (attempt.request.amount, attempt.request.currency);
    if (asked, currency) != (receipt.amount, receipt.currency) {
        attempt.status = AttemptStatus::NeedsReview;
        effects.note("charge.mismatch", format!("asked {asked} {currency}, promised {} {}", receipt.amount, receipt.currency));
        return review(effects);
    }
    attempt.status = AttemptStatus::Authorized;
    effects.note("charge.authorized", format!("attempt {}", what.n));
    match effects.checkout.status {
        Status::Processing | Status::Reconciling | Status::AwaitingPayment => came_through(effects, None, entropy),
        // An operator decides what becomes of it.
        Status::NeedsReview => Ok(()),
        Status::Queued | Status::Succeeded | Status::Failed | Status::Canceled | Status::Expired => {
            effects.note("late_money", "the promise came after the end and is given up");
            let leg = effects.attempt(what.n)?.request.leg;
            match (effects.checkout.was_refused_a_void(leg), effects.checkout.has_asked_to_void(leg)) {
                (true, _) => review(effects),
                (false, true) => Ok(()),
                (false, false) => saga::open_about(effects, AttemptKind::Void, what.n, None, entropy).map(drop),
            }
        }
    }
}

fn came_through(effects: &mut Effects, taken: Option<u32>, entropy: &Entropy) -> Result<(), DecideError> {
    if effects.checkout.status == Status::AwaitingPayment {
        effects.step(Step::Resume)?;
    }
    saga::go_on(effects, taken, CodedError::new(Code::PaymentFailed, "the payment was called off before it was made"), entropy)
}

fn declined(effects: &mut Effects, what: &Settlement, decline: &Decline, entropy: &Entropy) -> Result<(), DecideError> {
    let n = what.n;
    let attempt = effects.attempt(n)?;
    attempt.status = AttemptStatus::Declined;
    attempt.decline_code = Some(decline.decline_code.clone());
    attempt.provider_reference = decline.provider_reference.clone().or(attempt.provider_reference.take());
    attempt.request_id = decline.request_id.clone().or(attempt.request_id.take());
    effects.note("charge.declined", format!("attempt {n}: {}", decline.decline_code));
    if charge::go_on_elsewhere(effects, n, decline.advice, what.retry_in, entropy)? {
        return Ok(());
    }
    let request = &effects.attempt(n)?.request;
    let code = if request.push.is_some() || request.intent.is_some() { Code::PaymentFailed } else { Code::CardDeclined };
    let error = CodedError::new(code, decline.message.clone()).at("payment").declined(decline.decline_code.clone());
    saga::give_up(effects, error, entropy)
}

/// A promise that cannot be kept.
fn capture_refused(effects: &mut Effects, n: u32, decline: &Decline, entropy: &Entropy) -> Result<(), DecideError> {
    let attempt = effects.attempt(n)?;
    attempt.status = AttemptStatus::Declined;
    attempt.decline_code = Some(decline.decline_code.clone());
    let leg = attempt.request.leg;
    effects.note("capture.declined", format!("attempt {n}: {}", decline.decline_code));
    let promised = effects.checkout.charge_of(leg).filter(|charge| charge.status == AttemptStatus::Authorized);
    if let Some(charge) = promised.map(|charge| charge.n) {
        let charge = effects.attempt(charge)?;
        charge.status = AttemptStatus::Declined;
        charge.decline_code = Some(decline.decline_code.clone());
    }
    if effects.checkout.status == Status::Succeeded {
        // An operator sold it on this promise.
        effects.ask_for_review();
    }
    let error = CodedError::new(Code::PaymentFailed, decline.message.clone()).at("payment").declined(decline.decline_code.clone());
    saga::give_up(effects, error, entropy)
}

/// The customer has to do something, or was asked by the provider itself.
fn customers_turn(
    effects: &mut Effects,
    what: &Settlement,
    action: Option<CustomerAction>,
    provider_reference: &str,
    entropy: &Entropy,
) -> Result<(), DecideError> {
    let now = effects.checkout.updated_at;
    let due = now.after(what.retry_in);
    let attempt = effects.attempt(what.n)?;
    let leg = attempt.request.leg;
    attempt.status = if action.is_some() { AttemptStatus::RequiresAction } else { AttemptStatus::Pending };
    attempt.tries = attempt.tries.saturating_add(1);
    let url = action.as_ref().and_then(CustomerAction::url).map(str::to_owned);
    attempt.action = action;
    attempt.provider_reference = Some(provider_reference.to_owned());
    let is_their_turn = effects.checkout.status == Status::Processing || charge::may_be_asked_after_all(&effects.checkout, leg);
    match effects.checkout.status {
        Status::Processing | Status::Reconciling if is_their_turn => {
            effects.step(Step::Await)?;
            // Our own page leads on to the provider's, and says what came of it.
            effects.checkout.payment_url = effects.checkout.hosted_url().or(url);
            effects.checkout.due_at = Some(due.min(effects.checkout.expires_at));
        }
        Status::AwaitingPayment => effects.checkout.due_at = Some(due.min(effects.checkout.expires_at)),
        Status::NeedsReview => {}
        Status::Processing
        | Status::Reconciling
        | Status::Queued
        | Status::Succeeded
        | Status::Failed
        | Status::Canceled
        | Status::Expired => {
            // It is being closed, or its first answer was lost and its time is as good as over: nobody is sent anywhere any more. Once a
            // void was refused, all that is left is to look again.
            let asked = effects.checkout.has_asked_to_void(leg);
            if charge::comes_too_late(&effects.checkout) {
                effects.checkout.closing = Some(Closing::Expire);
            }
            let waits = asked && !effects.checkout.open_attempt().is_some_and(is_fresh);
            effects.checkout.due_at = Some(if waits { due } else { now });
            if !asked {
                saga::open_about(effects, AttemptKind::Void, what.n, None, entropy)?;
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
    if !attempt.status.is_the_customers() {
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

fn not_sent(effects: &mut Effects, what: &Settlement, cause: &str, entropy: &Entropy) -> Result<(), DecideError> {
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
    if kind == AttemptKind::Charge && charge::go_on_unsent(effects, what.n, cause, entropy)? {
        return Ok(());
    }
    if !give_up {
        effects.note(format!("{}.refused", kind.as_str()), format!("attempt {}, try {tries}: {cause}", what.n));
        effects.checkout.due_at = Some(due);
        return Ok(());
    }
    effects.attempt(what.n)?.status = AttemptStatus::NotSent;
    effects.note("charge.not_sent", format!("attempt {}: {cause}", what.n));
    let error = CodedError::new(Code::ProviderUnavailable, "the payment provider could not be reached; nothing was charged");
    saga::give_up(effects, error, entropy)
}

fn voided(effects: &mut Effects, n: u32, entropy: &Entropy) -> Result<(), DecideError> {
    let void = effects.attempt(n)?;
    void.status = AttemptStatus::Approved;
    let leg = void.request.leg;
    effects.note("void.approved", format!("attempt {n}"));
    let charge = effects.checkout.charge_of(leg).map(|charge| (charge.n, charge.status, charge.request.amount));
    match charge {
        Some((charge, AttemptStatus::Approved, amount)) => {
            // It was approved first and undone after all: the money is back, and the books say so. A no before the yes has had its day:
            // by it `refund_part::voided` would take the yes for one behind this void.
            effects.attempt(charge)?.decline_code = None;
            let left = effects.checkout.amount_paid.minus(effects.checkout.amount_refunded)?;
            // What others paid beside it, also without a provider, it cannot have given back; nor what went back of it before.
            let gone = refund_part::given_back(&effects.checkout, leg, |part| part.status == RefundStatus::Succeeded)?;
            let back = if effects.checkout.order.legs.len() > 1 { left.min(amount.minus(gone)?) } else { left };
            return if back > Amount::ZERO { effects.add_refunded(n, back, entropy) } else { Ok(()) };
        }
        Some((charge, status, _)) if status.is_open() || status == AttemptStatus::Authorized => {
            let charge = effects.attempt(charge)?;
            charge.status = AttemptStatus::Declined;
            charge.decline_code = Some("voided".to_owned());
        }
        Some(_) | None => {}
    }
    saga::give_up(effects, hosted::called_off(&effects.checkout), entropy)
}

/// The provider will not void: as a rule because the money came. A look-up tells.
fn void_refused(effects: &mut Effects, what: &Settlement, decline: &Decline) -> Result<(), DecideError> {
    let now = effects.checkout.updated_at;
    let attempt = effects.attempt(what.n)?;
    attempt.status = AttemptStatus::Declined;
    attempt.decline_code = Some(decline.decline_code.clone());
    let leg = attempt.request.leg;
    effects.note("void.refused", format!("attempt {}: {}", what.n, decline.decline_code));
    let promised = effects.checkout.charge_of(leg).filter(|charge| charge.status == AttemptStatus::Authorized);
    if let Some(n) = promised.map(|charge| charge.n) {
        let charge = effects.attempt(n)?;
        (charge.status, charge.tries) = (AttemptStatus::Unknown, 0);
    }
    // Whoever looks for the charge just now is waited for.
    let held = effects.checkout.open_attempt().and_then(|open| open.lease_until);
    effects.checkout.due_at = Some(held.map_or(now, |until| until.max(now)));
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
    saga::give_up(effects, CodedError::new(Code::PaymentFailed, "the payment was called off before it was made"), entropy)
}

fn refund_refused(effects: &mut Effects, n: u32, decline: &Decline, entropy: &Entropy) -> Result<(), DecideError> {
    let attempt = effects.attempt(n)?;
    attempt.status = AttemptStatus::Declined;
    attempt.decline_code = Some(decline.decline_code.clone());
    if refund::refused(effects, n, decline, entropy)? {
        return Ok(());
    }
    effects.note("refund.failed", format!("attempt {n}: {}", decline.decline_code));
    if effects.checkout.status == Status::Reconciling {
        // Taken for a sale that is not to be, and it does not go back.
        return review(effects);
    }
    effects.events.push(EventType::RefundFailed);
    Ok(())
}
