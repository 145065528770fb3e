//! The parts of a refund: one for each leg of the payment that gives something back, each to where it came from.
//!
//! What goes back is taken from the legs in the reverse order of the payment, the last leg first, and from those that a bank has taken money
//! of only when the others have no more, and never what the bank has. A provider carries the part of its own leg as an attempt; what was paid without one is settled in the books at once; credits go back with their
//! places only (`refund_credits`).

use super::{
    attempt::{Attempt, AttemptKind, AttemptStatus},
    balance::{BalanceMove, MoveState},
    checkout::Checkout,
    effects::{DecideError, Effects},
    error::{Code, CodedError},
    id::{Entropy, LineId, RefundId},
    ledger::{self, Entry, LedgerKind},
    leg::{Leg, Tender},
    money::{Amount, MoneyError},
    refund::{Refund, RefundStatus},
    refund_credits, refund_membership, saga,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What is promised back and has not gone yet.
pub(super) const PENDING: &str = "refunds_pending";

/// What one leg gives back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundPart {
    /// The place of the leg.
    pub leg: usize,
    /// Its method: `card`, `custom`, ….
    pub method: String,
    /// Minor units.
    pub amount: Amount,
    /// The attempt that carries it; none where no provider is asked.
    pub attempt: Option<u32>,
    /// Where it stands.
    pub status: RefundStatus,
}

impl RefundPart {
    /// Whether it gave its money back, or may yet.
    pub fn counts(&self) -> bool {
        self.status != RefundStatus::Failed
    }
}

/// Which legs give back how much of `amount`, of which `credits` go back by themselves. `None`: they have not that much left.
pub(super) fn split(checkout: &Checkout, amount: Amount, credits: &[(usize, Amount)]) -> Result<Option<Vec<RefundPart>>, MoneyError> {
    let mut missing = amount;
    let mut parts = Vec::new();
    for &(leg, amount) in credits {
        missing = missing.minus(amount)?;
        parts.push(RefundPart { leg, method: "membership".to_owned(), amount, attempt: None, status: RefundStatus::Pending });
    }
    let mut legs = Vec::with_capacity(checkout.order.legs.len());
    for (leg, paid) in checkout.order.legs.iter().enumerate().rev().filter(|(_, leg)| !refund_credits::is_credits(leg)) {
        legs.push((disputed(checkout, leg)? > Amount::ZERO, leg, paid));
    }
    legs.sort_by_key(|(is_disputed, ..)| *is_disputed);
    for (_, leg, paid) in legs {
        let share = rest(checkout, leg, paid)?.min(missing);
        if share > Amount::ZERO {
            missing = missing.minus(share)?;
            let method = paid.tender.type_name().to_owned();
            parts.push(RefundPart { leg, method, amount: share, attempt: None, status: RefundStatus::Pending });
        }
    }
    Ok(missing.is_zero().then_some(parts))
}

/// What a leg has left to give back: neither given back yet, nor taken back by a bank. Minor units.
fn rest(checkout: &Checkout, leg: usize, paid: &Leg) -> Result<Amount, MoneyError> {
    let gone = given_back(checkout, leg, RefundPart::counts)?.plus(voided(checkout, leg))?.plus(disputed(checkout, leg)?)?;
    Ok(paid.amount.minus(gone)?.max(Amount::ZERO))
}

/// What banks have taken back of the charge that a leg's refunds are of. Minor units.
fn disputed(checkout: &Checkout, leg: usize) -> Result<Amount, MoneyError> {
    checkout.charge_to_refund(leg).map_or(Ok(Amount::ZERO), |charge| checkout.amount_disputed_of(charge.n))
}

/// What refunds that were asked for give back of what a leg paid of the sale, of the parts that `is_meant` says.
pub(super) fn given_back(checkout: &Checkout, leg: usize, is_meant: impl Fn(&RefundPart) -> bool) -> Result<Amount, MoneyError> {
    let of_sale = checkout.refunds.iter().filter(|refund| !refund.late_payment);
    let parts = of_sale.flat_map(|refund| &refund.parts).filter(|part| part.leg == leg && is_meant(part));
    parts.map(|part| part.amount).try_fold(Amount::ZERO, Amount::plus)
}

/// What a void that was confirmed late gave back of a leg although its charge had been approved: all of it, and no refund was asked for.
/// Its charge stays approved, because it was. One that was declined before it was approved came behind its void, which gave nothing back.
fn voided(checkout: &Checkout, leg: usize) -> Amount {
    let is_gone = |charge: &&Attempt| charge.status == AttemptStatus::Approved && charge.decline_code.is_none() && checkout.was_voided(leg);
    checkout.charge_of(leg).filter(is_gone).map_or(Amount::ZERO, |charge| charge.request.amount)
}

/// What can still go back of each line by its name: what it came to, less what a refund that named it gave back before another of its
/// parts was refused. Such a refund has failed and is asked for again; what went back of it is gone all the same, from its lines in
/// their order.
pub(super) fn left_by_line(checkout: &Checkout) -> Result<HashMap<&LineId, Amount>, MoneyError> {
    let mut left = HashMap::with_capacity(checkout.order.lines.len());
    for line in &checkout.order.lines {
        left.insert(&line.id, line.amount.minus(line.discount_amount)?.plus(line.tax_amount)?);
    }
    for refund in checkout.refunds.iter().filter(|refund| !refund.counts()) {
        let went = refund.parts.iter().filter(|part| part.status == RefundStatus::Succeeded);
        let mut went = went.map(|part| part.amount).try_fold(Amount::ZERO, Amount::plus)?;
        for line in &refund.lines {
            let Some(of_line) = left.get_mut(line) else { continue };
            let share = went.min(*of_line);
            (*of_line, went) = (of_line.minus(share)?, went.minus(share)?);
        }
    }
    Ok(left)
}

/// What all legs but those of credits have left. Minor units.
pub(super) fn money_left(checkout: &Checkout) -> Result<Amount, MoneyError> {
    let legs = checkout.order.legs.iter().enumerate().filter(|(_, leg)| !refund_credits::is_credits(leg));
    legs.map(|(at, leg)| rest(checkout, at, leg)).try_fold(Amount::ZERO, |sum, rest| sum.plus(rest?))
}

/// Opens every part: at a provider, or in the books, where it is done at once. The refund's first booking is one transaction.
pub(super) fn open(effects: &mut Effects, refund: &mut Refund, entropy: &Entropy) -> Result<Result<(), CodedError>, DecideError> {
    let charge_of = |effects: &Effects, leg: usize| effects.checkout.charge_to_refund(leg).map(|charge| charge.n);
    let mut entries = Vec::with_capacity(refund.parts.len() + 1);
    let about = Some(refund.id.to_string());
    let detail = detail(&effects.checkout, &refund.lines).to_owned();
    for (account, amount) in refund_membership::taken_off(&effects.checkout, refund)? {
        entries.push(Entry { account: account.to_owned(), amount, detail: detail.clone(), entity: about.clone() });
    }
    let outside = |part: &RefundPart| effects.checkout.order.legs.get(part.leg).is_some_and(Leg::is_outside);
    let credits_wait = refund.parts.iter().any(outside);
    for part in &mut refund.parts {
        let Some(leg) = effects.checkout.order.legs.get(part.leg).cloned() else { continue };
        let account = if leg.is_outside() {
            let Some(charge) = charge_of(effects, part.leg) else {
                return Ok(Err(CodedError::new(Code::PaymentMethodInvalid, "no charge is known that could be given back")));
            };
            part.attempt = Some(saga::open_about(effects, AttemptKind::Refund, charge, Some(part.amount), entropy)?);
            PENDING.to_owned()
        } else if credits_wait && refund_credits::is_credits(&leg) {
            PENDING.to_owned()
        } else {
            part.status = RefundStatus::Succeeded;
            effects.checkout.amount_refunded = effects.checkout.amount_refunded.plus(part.amount)?;
            effects.balance.extend(to_balance(effects, &refund.id, part, &leg));
            ledger::account_of(&effects.checkout, part.leg, &leg)
        };
        entries.push(Entry { account, amount: part.amount.negated(), detail: "refund".to_owned(), entity: about.clone() });
    }
    if !entries.is_empty() {
        effects.post(LedgerKind::Refund, entries, entropy);
    }
    Ok(Ok(()))
}

/// What a part gives back to the customer's balance, where it came from there.
fn to_balance(effects: &Effects, id: &RefundId, part: &RefundPart, leg: &Leg) -> Option<BalanceMove> {
    let customer = effects.checkout.order.customer.clone().filter(|_| matches!(leg.tender, Tender::Balance {}))?;
    Some(BalanceMove { customer, source: id.to_string(), n: part.leg, amount: part.amount, state: MoveState::Booked })
}

/// The type of the one line that it is about.
fn detail<'c>(checkout: &'c Checkout, lines: &[LineId]) -> &'c str {
    match lines {
        [only] => checkout.order.lines.iter().find(|line| line.id == *only).map_or("refund", |line| line.item.type_name()),
        _ => "refund",
    }
}

/// The part that attempt `n` carries, if a client asked for it.
pub(super) fn carried_by(checkout: &Checkout, n: u32) -> Option<(RefundId, RefundPart)> {
    let carries = |refund: &Refund| refund.parts.iter().find(|part| part.attempt == Some(n)).map(|part| (refund.id.clone(), part.clone()));
    checkout.refunds.iter().find_map(carries)
}

/// The provider will not give a part back: what was booked of it is taken back.
pub(super) fn book_refused(effects: &mut Effects, id: &RefundId, part: &RefundPart, entropy: &Entropy) -> Result<(), DecideError> {
    let Some(refund) = effects.checkout.refunds.iter().find(|refund| refund.id == *id).cloned() else { return Ok(()) };
    let detail = detail(&effects.checkout, &refund.lines).to_owned();
    let entry = |account: &str, amount, detail: &str| Entry {
        account: account.to_owned(),
        amount,
        detail: detail.to_owned(),
        entity: Some(id.to_string()),
    };
    let failed = refund.parts.iter().filter(|other| !other.counts());
    let before = failed.map(|other| other.amount).try_fold(Amount::ZERO, Amount::plus)?;
    let until = before.plus(part.amount)?;
    let mut rest = part.amount;
    let mut entries = Vec::with_capacity(3);
    // Of each account as much as its share of all parts that failed so far, less what was taken back before: nothing is lost to rounding.
    let mut accounts = refund_membership::taken_off(&effects.checkout, &refund)?;
    let first = (!accounts.is_empty()).then(|| accounts.remove(0));
    for (account, booked) in accounts {
        let share = share(booked, until, refund.amount).minus(share(booked, before, refund.amount))?;
        rest = rest.minus(share)?;
        entries.push(entry(account, share.negated(), &detail));
    }
    entries.extend(first.map(|(account, _)| entry(account, rest.negated(), &detail)));
    entries.push(entry(PENDING, part.amount, "refund"));
    effects.post(LedgerKind::RefundReversal, entries, entropy);
    Ok(())
}

/// `booked * part / whole`, rounded down. `part` is at most `whole`, so that it fits.
fn share(booked: Amount, part: Amount, whole: Amount) -> Amount {
    let share = i128::from(booked.minor()) * i128::from(part.minor()) / i128::from(whole.minor()).max(1);
    Amount::from_minor(i64::try_from(share).unwrap_or(0))
}

#[cfg(test)]
#[path = "refund_part_tests.rs"]
mod tests;
