//! Giving a membership back: its price leaves what is owed in places, and it ends as soon as the refund is asked for.
//!
//! Always: it ends before the money goes, because credits that are used meanwhile would be places for nothing. It goes on when the
//! provider refuses the refund.

use super::{
    checkout::Checkout,
    effects::Effects,
    error::{Code, CodedError},
    id::{BoughtMembershipId, CatalogueId},
    ledger::{MEMBERSHIPS, REVENUE, UNAPPLIED, account_of_line},
    line::Line,
    money::{Amount, MoneyError},
    refund::{Refund, RefundAsk},
};
use std::collections::HashMap;

/// The memberships that end with a refund, and go on if it fails: those that no other refund has ended.
pub(super) fn given_back(checkout: &Checkout, refund: &Refund) -> Vec<BoughtMembershipId> {
    let others = || checkout.refunds.iter().filter(|other| other.counts() && other.id != refund.id);
    let ended_before = |line: &Line| others().any(|other| other.freed(checkout).any(|freed| freed.id == line.id));
    refund.freed(checkout).filter(|line| !ended_before(line)).filter_map(|line| line.item.bought_membership()).cloned().collect()
}

/// Whether credits are used, or held, of memberships that would be given back for their whole price. `taken`: how many are.
pub fn check_unused(effects: &Effects, ask: &RefundAsk, taken: &HashMap<CatalogueId, u32>) -> Result<(), CodedError> {
    let is_used = |id: &BoughtMembershipId| taken.get(&id.in_stock()).is_some_and(|&taken| taken > 0);
    let used = effects.ended.iter().find(|(id, ended)| ended.is_some() && is_used(id));
    match used.filter(|_| ask.amount.is_none()) {
        None => Ok(()),
        Some((id, _)) => {
            let words = format!("credits of {id} are used: say the amount that goes back for the rest");
            Err(CodedError::new(Code::MembershipUsed, words).at("amount"))
        }
    }
}

/// What lines came to, and what of it is memberships. Minor units.
struct Worth {
    all: i128,
    memberships: i128,
}

fn worth<'l>(lines: impl Iterator<Item = &'l Line>) -> Worth {
    let mut worth = Worth { all: 0, memberships: 0 };
    for line in lines {
        let came_to = i128::from(line.amount.minor()) - i128::from(line.discount_amount.minor()) + i128::from(line.tax_amount.minor());
        worth.all += came_to;
        worth.memberships += if account_of_line(line) == MEMBERSHIPS { came_to } else { 0 };
    }
    worth
}

fn concerned<'c>(checkout: &'c Checkout, refund: &'c Refund) -> impl Iterator<Item = &'c Line> {
    checkout.order.lines.iter().filter(|line| refund.lines.is_empty() || refund.lines.contains(&line.id))
}

/// Whether it can be told which part of a refund is a membership's: of memberships beside other things only whole lines, or all at once.
pub(super) fn check_parts(checkout: &Checkout, refund: &Refund) -> Result<(), CodedError> {
    let worth = worth(concerned(checkout, refund));
    let is_mixed = worth.memberships != 0 && worth.memberships != worth.all;
    if is_mixed && i128::from(refund.amount.minor()) != worth.all {
        let words = "a membership was sold beside other things: name the lines of the one or of the others";
        return Err(CodedError::new(Code::ParameterInvalid, words).at("lines"));
    }
    Ok(())
}

/// What a refund takes off which account.
pub(super) fn taken_off(checkout: &Checkout, refund: &Refund) -> Result<Vec<(&'static str, Amount)>, MoneyError> {
    if refund.late_payment {
        return Ok(vec![(UNAPPLIED, refund.amount)]);
    }
    let worth = worth(concerned(checkout, refund));
    // Exact: all, nothing, or the whole of mixed lines.
    let part = i128::from(refund.amount.minor()) * worth.memberships / worth.all.max(1);
    let memberships = Amount::from_minor(i64::try_from(part).map_err(|_| MoneyError::OutOfRange)?);
    let parts = [(REVENUE, refund.amount.minus(memberships)?), (MEMBERSHIPS, memberships)];
    Ok(parts.into_iter().filter(|(_, amount)| !amount.is_zero()).collect())
}
