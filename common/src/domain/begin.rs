//! What a worker may do with a checkout that it was handed: begin it, resume it, or leave it alone.

use super::{
    attempt::{Attempt, AttemptKind, AttemptStatus, MAX_TAKEOVERS},
    balance, charge,
    checkout::{Checkout, Closing},
    claim::ClaimState,
    effects::{ClaimChange, DecideError, Effects},
    eligibility::{World, claim_everything},
    error::{Code, CodedError},
    hosted,
    id::{CheckoutId, Entropy},
    replace::{self, Turn},
    review,
    routing::Routing,
    saga,
    state::{Status, Step},
    time::Timestamp,
};
use std::{sync::Arc, time::Duration};

/// How long what is not known is looked for behind its key's window, at the most; where the window is shorter, as long again. *Because* what is not
/// known by then has met a provider that was down for as long, and a look finds the payment when it is back, where a person would have to.
const LOOKED_FOR: Duration = Duration::from_secs(3600);

/// A worker's request to work on a checkout.
#[derive(Debug, Clone)]
pub struct Begin {
    /// Which.
    pub checkout: CheckoutId,
    /// Random, this worker's own for this piece of work: a lost COMMIT answer is told by it.
    pub lease_token: String,
    /// How long nobody else may send.
    pub lease_for: Duration,
    /// Where charges go.
    pub routing: Arc<Routing>,
    /// How long, from when an attempt was recorded, its key may be sent again at the most; the provider's own window may be shorter.
    pub key_window: Duration,
}

impl Begin {
    fn key_window_of(&self, attempt: &Attempt) -> Duration {
        self.routing.key_window(&attempt.provider, self.key_window)
    }
}

/// What the worker has to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Send the attempt's request, or send it again.
    Send,
    /// Ask the provider what became of it.
    LookUp,
    /// The same, for the last time: what does not answer now is a person's.
    LastLook,
}

/// The decision.
#[derive(Debug, Clone, PartialEq)]
pub enum Begun {
    /// Nothing to do: it has ended, or an operator has to decide.
    Done,
    /// Somebody else holds it, or it is not due: not before then.
    Busy(Timestamp),
    /// It ended, or moved on, without an outside call.
    Moved(Box<Effects>),
    /// Write this, then act on attempt `n`.
    Act {
        /// What to write first.
        effects: Box<Effects>,
        /// The attempt.
        n: u32,
        /// What to do with it.
        action: Action,
    },
}

/// Decides. `world` is what the store read under its locks; claims made here are taken out of it, so that a batch is
/// decided one after the other.
pub fn begin(checkout: Checkout, ask: &Begin, world: &mut World, now: Timestamp, entropy: &Entropy) -> Result<Begun, DecideError> {
    match checkout.status {
        Status::Queued => return begin_queued(checkout, ask, world, now, entropy),
        // Only an operator moves it, whatever message comes by.
        Status::NeedsReview => return Ok(Begun::Done),
        Status::Processing | Status::AwaitingPayment | Status::Reconciling => {}
        // A void or a refund may be left.
        Status::Succeeded | Status::Failed | Status::Canceled | Status::Expired => {}
    }
    let Some(attempt) = checkout.open_attempt() else {
        return if checkout.status == Status::AwaitingPayment { await_customer(checkout, now) } else { Ok(Begun::Done) };
    };
    let n = attempt.n;
    let ours = attempt.lease_token.as_deref() == Some(ask.lease_token.as_str());
    if ours && attempt.is_leased(now) {
        // Our own COMMIT went through although its answer was lost.
        let action = action_for(&checkout, attempt, ask, now);
        return Ok(Begun::Act { effects: Box::new(Effects::start(checkout, now)), n, action });
    }
    if attempt.is_leased(now) {
        return Ok(Begun::Busy(attempt.lease_until.unwrap_or(now)));
    }
    if let Some(due) = checkout.due_at.filter(|&due| due > now) {
        return Ok(Begun::Busy(due));
    }
    resume(checkout, n, ask, now, entropy)
}

/// Whether `begin` may end a checkout that was begun before, and give back what it has claimed: nothing of it can have been sent.
pub fn may_give_back(checkout: &Checkout) -> bool {
    !checkout.status.is_terminal() && checkout.open_attempt().is_none_or(Attempt::was_never_sent)
}

fn begin_queued(checkout: Checkout, ask: &Begin, world: &mut World, now: Timestamp, entropy: &Entropy) -> Result<Begun, DecideError> {
    let mut effects = Effects::start(checkout, now).routed_by(&ask.routing);
    if now >= effects.checkout.expires_at {
        effects.close(Some(Closing::Expire), CodedError::new(Code::Expired, "not begun in time"))?;
        return Ok(Begun::Moved(Box::new(effects)));
    }
    if let Some(earlier) = world.earlier.get(&effects.checkout.id) {
        match replace::turn(&effects.checkout, earlier, now) {
            Turn::Now => {}
            Turn::NotBefore(later) => return Ok(put_off(effects, later, now)),
            Turn::Never(error) => {
                effects.fail(error)?;
                return Ok(Begun::Moved(Box::new(effects)));
            }
        }
    }
    let outside = effects.checkout.order.outside_legs().next().map(|(leg, _)| leg);
    // On our page the customer has not chosen yet.
    let asked = outside.filter(|_| effects.checkout.order.hosted().is_none()).map(|leg| charge::first(&effects, leg));
    if asked.as_ref().is_some_and(Option::is_none) {
        effects.fail(charge::nobody_takes_it())?;
        return Ok(Begun::Moved(Box::new(effects)));
    }
    let state = if outside.is_some() { ClaimState::Held } else { ClaimState::Sold };
    match claim_everything(&effects.checkout, state, world) {
        Err(error) => {
            effects.fail(error)?;
            Ok(Begun::Moved(Box::new(effects)))
        }
        Ok(claims) => {
            effects.claims = ClaimChange::Insert(claims);
            effects.balance = balance::moves(&effects.checkout, state);
            for (_, amount) in balance::spent(&effects.checkout.order).collect::<Vec<_>>() {
                let what = if outside.is_some() { "balance.held" } else { "balance.spent" };
                effects.note(what, format!("{amount} {}", effects.checkout.order.currency));
            }
            let Some(leg) = outside else {
                effects.succeed(entropy)?;
                return Ok(Begun::Moved(Box::new(effects)));
            };
            effects.step(Step::Begin)?;
            let Some((route, means)) = asked.flatten() else {
                hosted::await_payment(&mut effects)?;
                return Ok(Begun::Moved(Box::new(effects)));
            };
            let n = saga::open_charge(&mut effects, leg, &route, means, entropy);
            lease(&mut effects, n, ask, now)?;
            effects.note("begun", format!("attempt {n} with {}", route.provider));
            Ok(Begun::Act { effects: Box::new(effects), n, action: Action::Send })
        }
    }
}

/// It waits for another one to end.
fn put_off(mut effects: Effects, later: Timestamp, now: Timestamp) -> Begun {
    if let Some(due) = effects.checkout.due_at.filter(|&due| due > now) {
        return Begun::Busy(due);
    }
    effects.checkout.due_at = Some(later);
    Begun::Moved(Box::new(effects))
}

/// Nobody was asked for money: it is the customer's turn, until the deadline.
fn await_customer(checkout: Checkout, now: Timestamp) -> Result<Begun, DecideError> {
    if now < checkout.expires_at {
        return Ok(Begun::Busy(checkout.expires_at));
    }
    let mut effects = Effects::start(checkout, now);
    hosted::expire(&mut effects)?;
    Ok(Begun::Moved(Box::new(effects)))
}

/// Goes on with an open attempt that nobody holds.
fn resume(checkout: Checkout, n: u32, ask: &Begin, now: Timestamp, entropy: &Entropy) -> Result<Begun, DecideError> {
    let mut effects = Effects::start(checkout, now).routed_by(&ask.routing);
    let (deadline, closing) = (effects.checkout.expires_at, effects.checkout.closing);
    let attempt = effects.attempt(n)?;
    let never_sent = attempt.was_never_sent();
    let is_charge = attempt.request.kind == AttemptKind::Charge;
    let ended = effects.checkout.completed_at;
    let attempt = effects.attempt(n)?;
    let is_over = now >= deadline || ended.is_some() || closing.is_some();
    if never_sent && is_charge && is_over {
        // Nobody is charged for the first time after the deadline, nor behind a cancel or the end.
        attempt.status = AttemptStatus::NotSent;
        effects.note("charge.not_sent", format!("attempt {n}: too late"));
        saga::give_up(&mut effects, CodedError::new(Code::Expired, "not charged in time; nothing was sent"), entropy)?;
        return Ok(Begun::Moved(Box::new(effects)));
    }
    let died_holding = attempt.lease_until.is_some();
    if died_holding {
        attempt.takeovers += 1;
    }
    let (takeovers, status, leg) = (attempt.takeovers, attempt.status, attempt.request.leg);
    if died_holding {
        effects.note("lease.taken_over", format!("attempt {n}, time {takeovers}"));
    }
    if takeovers > MAX_TAKEOVERS {
        review::leave_to_operator(&mut effects, n, "its workers died or stalled too often")?;
        return Ok(Begun::Moved(Box::new(effects)));
    }
    let may_void = status.is_the_customers() && !effects.checkout.has_asked_to_void(leg);
    let waits_for_customer = may_void && effects.checkout.status == Status::AwaitingPayment;
    if may_void && (!waits_for_customer || now >= deadline) {
        if effects.checkout.status == Status::AwaitingPayment {
            effects.step(Step::Reconcile)?;
            effects.checkout.closing = Some(Closing::Expire);
        }
        effects.attempt(n)?.lease_until = None;
        let n = saga::open_about(&mut effects, AttemptKind::Void, n, None, entropy)?;
        lease(&mut effects, n, ask, now)?;
        return Ok(Begun::Act { effects: Box::new(effects), n, action: Action::Send });
    }
    lease(&mut effects, n, ask, now)?;
    let attempt = effects.attempt(n)?.clone();
    let action = action_for(&effects.checkout, &attempt, ask, now);
    Ok(Begun::Act { effects: Box::new(effects), n, action })
}

/// What is left to be done once the attempt's key is good no more: sent again it would take the money, or give it back, a second time, so that it is
/// only looked for.
fn look_behind_window(checkout: &Checkout, attempt: &Attempt, ask: &Begin, now: Timestamp) -> Option<Action> {
    // What was under way at the end, a charge behind an operator's decision or a refund, is looked for as long again as it was pursued before.
    let is_charge = attempt.request.kind == AttemptKind::Charge;
    let pursued = checkout.completed_at.filter(|&end| is_charge || is_old_refund(attempt, end));
    let window = ask.key_window_of(attempt);
    let looked_until = pursued.unwrap_or(attempt.created_at).after(window).after(window.min(LOOKED_FOR));
    match now {
        now if now <= attempt.created_at.after(window) => None,
        now if now <= looked_until => Some(Action::LookUp),
        _ => Some(Action::LastLook),
    }
}

/// Whether it was to give money back before the end.
fn is_old_refund(attempt: &Attempt, end: Timestamp) -> bool {
    attempt.request.kind == AttemptKind::Refund && attempt.created_at < end
}

fn action_for(checkout: &Checkout, attempt: &Attempt, ask: &Begin, now: Timestamp) -> Action {
    debug_assert!(checkout.status != Status::Queued);
    let was_perhaps_sent = attempt.status != AttemptStatus::Started || attempt.takeovers > 0;
    let waits_for_customer = attempt.status.is_the_customers() && checkout.status == Status::AwaitingPayment;
    // A key that was never used has no window yet, and who waits for a customer only looks.
    if was_perhaps_sent
        && !waits_for_customer
        && let Some(look) = look_behind_window(checkout, attempt, ask, now)
    {
        return look;
    }
    match (attempt.request.kind, attempt.status) {
        (_, AttemptStatus::RequiresAction | AttemptStatus::Pending) => Action::LookUp,
        // It has ended, and nobody wants the money any more. Whether the provider has it is all that is left to be known.
        (AttemptKind::Charge, _) if checkout.status.is_terminal() => Action::LookUp,
        // Nothing is left to be voided: executed now, it would undo what was sold.
        (AttemptKind::Void, _) if !checkout.can_be_voided(attempt.request.leg) => Action::LookUp,
        // Sent again it would be answered as it was at first.
        (AttemptKind::Charge, AttemptStatus::Unknown) if checkout.was_refused_a_void(attempt.request.leg) => Action::LookUp,
        _ => Action::Send,
    }
}

fn lease(effects: &mut Effects, n: u32, ask: &Begin, now: Timestamp) -> Result<(), DecideError> {
    let until = now.after(ask.lease_for);
    let attempt = effects.attempt(n)?;
    attempt.lease_token = Some(ask.lease_token.clone());
    attempt.lease_until = Some(until);
    // If this worker dies, the rescuer finds the row when its lease has run out.
    effects.checkout.due_at = Some(until);
    Ok(())
}
