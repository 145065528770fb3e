//! A payment as a saga: every leg is claimed or authorised before any is captured, and what cannot be completed is undone, once.
//!
//! ```text
//! charge leg 1 ─► charge leg 2 ─► … ─► capture leg 1 ─► capture leg 2 ─► … ─► sold
//!      └──────────────┴── a no, a cancel, an expiry ──► void what is promised, refund what was taken ─► failed | canceled | expired
//! ```
//!
//! A leg that cannot be promised first (mobile money, a bank, a wallet) is asked last, when all others are: its money is taken at the
//! customer's yes, and what was promised is captured behind it. There is one such leg at the most.
//!
//! With one leg there is nothing to wait for: its charge takes the money at once. One step is under way at a time, each an attempt of
//! its own; the order of the legs is the order of the steps.

use super::{
    attempt::{Attempt, AttemptKind, AttemptStatus, MoneyRequest},
    charge::{self, Means},
    checkout::Checkout,
    effects::{DecideError, Effects},
    error::CodedError,
    hosted,
    id::{AttemptId, Entropy},
    money::Amount,
    review::review,
    routing::Route,
    state::{Status, Step},
    subscription,
};

/// What a fresh attempt is to do.
struct NewAttempt<'a> {
    kind: AttemptKind,
    /// The place of the leg.
    leg: usize,
    /// Minor units.
    amount: Amount,
    route: &'a Route,
    /// The charge that it is about.
    target: Option<String>,
}

/// Records a fresh attempt with its key and its frozen request, and says its number.
fn open(effects: &mut Effects, what: NewAttempt<'_>, means: Means, entropy: &Entropy) -> u32 {
    let checkout = &effects.checkout;
    let (n, now) = (checkout.next_n(), checkout.updated_at);
    let is_charge = what.kind == AttemptKind::Charge;
    let Means { token, push, intent, page, off_session } = means;
    let visit = if is_charge && !off_session { charge::visit(checkout, what.leg, what.route, page, entropy) } else { None };
    let request = MoneyRequest {
        token,
        intent,
        target: what.target,
        leg: what.leg,
        capture_later: is_charge && checkout.is_split() && push.is_none() && page.is_none(),
        push,
        account: what.route.account.clone(),
        keep_card: is_charge && what.route.account.is_some() && subscription::starts(checkout),
        visit,
        off_session,
        ..MoneyRequest::new(what.kind, checkout.id.clone(), n, what.amount, checkout.order.currency)
    };
    effects.add_attempt(Attempt::recorded(AttemptId::generate(entropy, now), n, what.route.provider.clone(), request, now));
    effects.checkout.due_at = Some(now);
    n
}

/// Records the charge of a leg by these means.
pub(super) fn open_charge(effects: &mut Effects, leg: usize, route: &Route, means: Means, entropy: &Entropy) -> u32 {
    let amount = effects.checkout.order.legs.get(leg).map_or(Amount::ZERO, |leg| leg.amount);
    open(effects, NewAttempt { kind: AttemptKind::Charge, leg, amount, route, target: None }, means, entropy)
}

/// Records something to be done about charge `n`: a capture or a void of all of it, a refund of `amount`.
pub(super) fn open_about(
    effects: &mut Effects,
    kind: AttemptKind,
    n: u32,
    amount: Option<Amount>,
    entropy: &Entropy,
) -> Result<u32, DecideError> {
    let charge = effects.checkout.attempts.iter().find(|attempt| attempt.n == n).ok_or(DecideError::NoSuchAttempt(n))?.clone();
    let amount = amount.unwrap_or(charge.request.amount);
    let route = charge.route();
    let what = NewAttempt { kind, leg: charge.request.leg, amount, route: &route, target: charge.provider_reference };
    let n = open(effects, what, Means::default(), entropy);
    effects.note(format!("{}.opened", kind.as_str()), format!("attempt {n}"));
    Ok(n)
}

/// Whether what has come so far is to go back: a leg was refused, or the client or the clock wants the end and nothing is taken yet.
/// A single charge that turns out paid is a sale all the same.
pub(super) fn is_unwinding(checkout: &Checkout) -> bool {
    let mut captures = checkout.attempts.iter().filter(|attempt| attempt.request.kind == AttemptKind::Capture);
    let is_being_taken = captures.any(|capture| capture.status != AttemptStatus::NotSent);
    (checkout.status == Status::Reconciling && checkout.error.is_some())
        || (checkout.closing.is_some() && checkout.is_split() && !is_being_taken)
}

/// A leg has come through: on to the next step, to the sale, or back. `taken`: the charge of which the money came just now.
pub(super) fn go_on(effects: &mut Effects, taken: Option<u32>, otherwise: CodedError, entropy: &Entropy) -> Result<(), DecideError> {
    let checkout = &effects.checkout;
    let outside: Vec<usize> = checkout.order.outside_legs().map(|(leg, _)| leg).collect();
    let unasked = outside.iter().copied().find(|&leg| checkout.charge_of(leg).is_none());
    let promised = checkout.charges().find(|charge| charge.status == AttemptStatus::Authorized).map(|charge| charge.n);
    let unwinding = is_unwinding(checkout);
    if let Some(n) = taken.filter(|_| unwinding || unasked.is_some() || promised.is_some()) {
        // It is the sale's only when all of it is there.
        let amount = effects.attempt(n)?.request.amount;
        effects.add_unapplied(n, amount, entropy)?;
    }
    if unwinding {
        return give_up(effects, otherwise, entropy);
    }
    match (unasked, promised) {
        (Some(leg), _) => {
            let Some((route, means)) = charge::first(effects, leg) else { return give_up(effects, charge::nobody_takes_it(), entropy) };
            open_charge(effects, leg, &route, means, entropy);
            Ok(())
        }
        (None, Some(n)) => open_about(effects, AttemptKind::Capture, n, None, entropy).map(drop),
        (None, None) => {
            effects.apply_what_came(entropy)?;
            effects.succeed(entropy)
        }
    }
}

/// It will not be paid. What is promised is voided and what was taken is refunded; when nothing is left of either, and no charge can
/// come any more, it ends: as `closing` says, else for the reason that was known first.
pub(super) fn give_up(effects: &mut Effects, otherwise: CodedError, entropy: &Entropy) -> Result<(), DecideError> {
    if !matches!(effects.checkout.status, Status::Processing | Status::AwaitingPayment | Status::Reconciling) {
        return Ok(());
    }
    drop_needless_voids(effects)?;
    if hosted::may_go_on(&effects.checkout) {
        // The customer may choose another way.
        return hosted::unpaid(effects, otherwise);
    }
    if let Some(void) = hosted::waits_for_void(&effects.checkout) {
        effects.checkout.due_at = Some(void.lease_until.unwrap_or(effects.checkout.updated_at));
        return Ok(());
    }
    let open_before = effects.checkout.open_attempt().is_some();
    if !undo(effects, entropy)? {
        return review(effects);
    }
    let checkout = &effects.checkout;
    let may_come = |charge: &Attempt| charge.status.is_open() || charge.status == AttemptStatus::Authorized;
    if checkout.charges().any(may_come) || checkout.amount_paid > checkout.amount_refunded {
        if checkout.closing.is_none() && checkout.error.is_none() {
            effects.checkout.error = Some(otherwise);
        }
        if effects.checkout.status != Status::Reconciling {
            effects.step(Step::Reconcile)?;
        }
        if !open_before {
            effects.checkout.due_at = Some(effects.checkout.updated_at);
        }
        return Ok(());
    }
    let error = effects.checkout.error.take().unwrap_or(otherwise);
    match effects.checkout.status {
        Status::AwaitingPayment => {
            effects.step(Step::Resume)?;
            effects.fail(error)
        }
        Status::Reconciling => effects.close(effects.checkout.closing, error),
        _ => effects.fail(error),
    }
}

/// Opens the undoing of every leg that came through and of which none is under way. `false`: one of them was refused, so that a person
/// has to look.
pub(super) fn undo(effects: &mut Effects, entropy: &Entropy) -> Result<bool, DecideError> {
    let checkout = &effects.checkout;
    let promised: Vec<(u32, usize)> = checkout
        .charges()
        .filter(|charge| charge.status == AttemptStatus::Authorized)
        .map(|charge| (charge.n, charge.request.leg))
        .collect();
    let taken: Vec<u32> = checkout.approved_charges().map(|charge| charge.n).collect();
    for (n, leg) in promised {
        if effects.checkout.was_refused_a_void(leg) {
            return Ok(false);
        }
        if !effects.checkout.has_asked_to_void(leg) {
            open_about(effects, AttemptKind::Void, n, None, entropy)?;
        }
    }
    for n in taken {
        let Some(leg) = effects.checkout.attempts.iter().find(|attempt| attempt.n == n).map(|charge| charge.request.leg) else { continue };
        let mut refunds =
            effects.checkout.attempts.iter().filter(|a| a.request.kind == AttemptKind::Refund && a.request.leg == leg).peekable();
        if refunds.peek().is_none() {
            open_about(effects, AttemptKind::Refund, n, None, entropy)?;
        } else if refunds.all(|refund| refund.status == AttemptStatus::Declined) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A void that nobody has sent has no more sense once its charge cannot come: it could only undo what was sold.
pub(super) fn drop_needless_voids(effects: &mut Effects) -> Result<(), DecideError> {
    let checkout = &effects.checkout;
    let needless = |a: &&Attempt| a.request.kind == AttemptKind::Void && a.was_never_sent() && !checkout.can_be_voided(a.request.leg);
    let voids: Vec<u32> = checkout.attempts.iter().filter(needless).map(|attempt| attempt.n).collect();
    for n in voids {
        effects.attempt(n)?.status = AttemptStatus::NotSent;
        effects.note("void.dropped", format!("attempt {n}: nothing is left to be voided"));
    }
    Ok(())
}
