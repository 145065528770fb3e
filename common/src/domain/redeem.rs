//! Paying with memberships: which places each of them pays for, and at what price.
//!
//! Memberships pay in the order in which they are named, for the places of the lines in their order, one credit for one place, until
//! their credits are used up. A place that is paid so has the price that it would have had: money pays for the rest.

use super::{
    bought_membership::{BoughtMembership, Spendable},
    catalogue::Session,
    error::{Code, CodedError},
    id::{BoughtMembershipId, CatalogueId, CustomerId},
    incompatibility::Incompatibility,
    leg::{Cover, Tender},
    line::{Item, Line},
    membership::MembershipType,
    money::{Amount, MoneyError},
    tender::Asked,
    time::Timestamp,
};
use std::collections::HashMap;

/// Who buys, as far as it can be told before the checkout is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose<'a> {
    /// This customer.
    Known(&'a CustomerId),
    /// Somebody who is looked up with the checkout: whether the memberships are his is asked when it is begun.
    ToBeFound,
    /// Nobody we know: he has none.
    Nobody,
}

/// What memberships are held against.
#[derive(Debug, Clone, Copy)]
pub struct Redeeming<'a> {
    /// What is bought, priced.
    pub lines: &'a [Line],
    /// The sessions of the lines.
    pub sessions: &'a HashMap<CatalogueId, Session>,
    /// The memberships that are named, as far as they are there.
    pub bought: &'a [Spendable],
    /// Who buys.
    pub buyer: Whose<'a>,
    /// When.
    pub now: Timestamp,
}

/// The memberships that a client wants to pay with.
pub fn named(asked: &[Asked]) -> impl Iterator<Item = &BoughtMembershipId> {
    asked.iter().filter_map(|method| membership(&method.tender))
}

fn membership(tender: &Tender) -> Option<&BoughtMembershipId> {
    match tender {
        Tender::Membership { bought_membership, .. } => Some(bought_membership),
        _ => None,
    }
}

/// What `places` places of a line come to, less discount and with tax, when `before` are paid for already: so that all of them together
/// come to what the line does.
pub fn price(line: &Line, before: u32, places: u32) -> Result<Amount, MoneyError> {
    let whole = line.total()?;
    let up_to = |n: u32| i128::from(whole.minor()) * i128::from(n.min(line.quantity)) / i128::from(line.quantity.max(1));
    let part = up_to(before.saturating_add(places)) - up_to(before);
    i64::try_from(part).map(Amount::from_minor).map_err(|_| MoneyError::OutOfRange)
}

/// Fills in what each membership pays for, and how much that is.
///
/// Errors: `membership_incompatible`, `membership_insufficient`, `payment_amount_mismatch`, at the method.
pub fn cover(asked: &mut [Asked], on: &Redeeming<'_>) -> Result<(), CodedError> {
    check_together(asked, on)?;
    let only_memberships = asked.iter().all(|method| membership(&method.tender).is_some());
    let mut paid: Vec<u32> = vec![0; on.lines.len()];
    let mut short = None;
    for method in asked.iter_mut() {
        let Tender::Membership { bought_membership, covers } = &mut method.tender else { continue };
        let at = format!("{}.bought_membership", method.param);
        let refuse = |why: Incompatibility| CodedError::from(why).at(&at);
        let spendable = find(bought_membership, on).map_err(refuse)?;
        let fits = fitting(&spendable.bought, on).map_err(refuse)?;
        let mut left = spendable.left.unwrap_or(u32::MAX);
        let mut amount = Amount::ZERO;
        for line_at in fits {
            let (Some(line), Some(before)) = (on.lines.get(line_at), paid.get_mut(line_at)) else { continue };
            let wanted = line.quantity.saturating_sub(*before);
            let places = wanted.min(left);
            if places < wanted {
                short = Some(at.clone());
            }
            if places > 0 {
                let worth = price(line, *before, places).and_then(|worth| amount.plus(worth));
                amount = worth.map_err(|error| CodedError::new(Code::AmountOutOfRange, error.to_string()).at("payment.methods"))?;
                covers.push(Cover { line: line.id.clone(), places });
                (*before, left) = (*before + places, left - places);
            }
        }
        if covers.is_empty() {
            return Err(refuse(if left == 0 { Incompatibility::NoCreditsLeft } else { Incompatibility::NotNeeded }));
        }
        if method.amount.is_some_and(|echo| echo != amount) {
            let words = format!("the places that this membership pays for come to {amount} minor units");
            return Err(CodedError::new(Code::PaymentAmountMismatch, words).at(format!("{}.amount", method.param)));
        }
        method.amount = Some(amount);
    }
    // Others may have paid for what one was short of.
    let is_open = |(line, paid): (&Line, &u32)| matches!(line.item, Item::Session { .. }) && *paid < line.quantity;
    match short.filter(|_| only_memberships && on.lines.iter().zip(&paid).any(is_open)) {
        Some(at) => Err(CodedError::from(Incompatibility::TooFewCreditsLeft).at(at)),
        None => Ok(()),
    }
}

/// Why this membership, of which `left` credits are left, would pay for nothing of what is bought if it were named alone. Nothing: it pays,
/// perhaps together with others.
pub fn incompatibility(bought: &BoughtMembership, left: Option<u32>, on: &Redeeming<'_>) -> Option<Incompatibility> {
    match fitting(bought, on) {
        Err(why) => Some(why),
        Ok(_) => (left == Some(0)).then_some(Incompatibility::NoCreditsLeft),
    }
}

/// Several packs pay together; a subscription pays beside no other membership, and each pays once.
fn check_together(asked: &[Asked], on: &Redeeming<'_>) -> Result<(), CodedError> {
    let several = named(asked).count() > 1;
    let is_subscription = |id| find(id, on).is_ok_and(|spendable| spendable.bought.kind == MembershipType::Subscription);
    for (index, method) in asked.iter().enumerate() {
        let Some(id) = membership(&method.tender) else { continue };
        let refuse = |why: Incompatibility| Err(CodedError::from(why).at(format!("{}.bought_membership", method.param)));
        if named(asked.get(..index).unwrap_or_default()).any(|before| before == id) {
            return refuse(Incompatibility::NamedTwice);
        }
        if several && is_subscription(id) {
            let others = named(asked).filter(|other| is_subscription(*other)).count() > 1;
            return refuse(if others { Incompatibility::SeveralSubscriptions } else { Incompatibility::SubscriptionAndPack });
        }
    }
    Ok(())
}

/// Another's is as good as none.
fn find<'a>(id: &BoughtMembershipId, on: &Redeeming<'a>) -> Result<&'a Spendable, Incompatibility> {
    let is_his = |customer: &CustomerId| match on.buyer {
        Whose::Known(buyer) => buyer == customer,
        Whose::ToBeFound => true,
        Whose::Nobody => false,
    };
    let found = on.bought.iter().find(|spendable| spendable.bought.id == *id && is_his(&spendable.bought.customer));
    found.ok_or(Incompatibility::NotThere)
}

/// The places of the lines that it may pay for; why not, when there are none.
fn fitting(bought: &BoughtMembership, on: &Redeeming<'_>) -> Result<Vec<usize>, Incompatibility> {
    let mut fits = Vec::new();
    let mut why = Incompatibility::NoPlaces;
    for (index, line) in on.lines.iter().enumerate() {
        let Item::Session { session, .. } = &line.item else { continue };
        let Some(session) = on.sessions.get(session) else { continue };
        match check_session(bought, session, on.now) {
            Ok(()) => fits.push(index),
            // What it is not meant for says less than why it does not pay for what it is meant for.
            Err(Incompatibility::OtherSessions) if why != Incompatibility::NoPlaces => {}
            Err(reason) => why = reason,
        }
    }
    if fits.is_empty() { Err(why) } else { Ok(fits) }
}

/// Whether it pays for this session, now and when it starts.
pub(super) fn check_session(bought: &BoughtMembership, session: &Session, now: Timestamp) -> Result<(), Incompatibility> {
    if !session.compatible_memberships.contains(&bought.membership) {
        return Err(Incompatibility::OtherSessions);
    }
    bought.check_usable(now, session.starts_at)
}

#[cfg(test)]
#[path = "redeem_tests.rs"]
mod tests;
