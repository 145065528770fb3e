//! Giving back credits: they go with the place that they have paid for, and with nothing else.
//!
//! Money that is given back for other reasons never comes out of a membership. Where a provider gives back another part of the same
//! refund, the credits wait for it: they are back together with the place, or not at all.

use super::{
    checkout::Checkout,
    effects::{DecideError, Effects},
    id::{Entropy, LineId, RefundId},
    ledger::{self, LedgerKind},
    leg::{Leg, Tender},
    money::{Amount, MoneyError},
    redeem,
    refund::RefundStatus,
    refund_part::{self, PENDING, RefundPart},
};
use std::collections::HashMap;

/// Whether a leg is paid with credits.
pub(super) const fn is_credits(leg: &Leg) -> bool {
    matches!(leg.tender, Tender::Membership { .. })
}

/// Whether credits paid for a line, or for some of its places.
pub(super) fn pay_for(checkout: &Checkout, line: &LineId) -> bool {
    let covers = checkout.order.legs.iter().filter_map(|leg| match &leg.tender {
        Tender::Membership { covers, .. } => Some(covers),
        _ => None,
    });
    covers.flatten().any(|cover| cover.line == *line)
}

/// What credits paid of the lines that go back, by the place of their leg.
pub(super) fn of_lines(checkout: &Checkout, goes_back: impl Fn(&LineId) -> bool) -> Result<Vec<(usize, Amount)>, MoneyError> {
    let mut paid: HashMap<&LineId, u32> = HashMap::new();
    let mut found = Vec::new();
    for (at, leg) in checkout.order.legs.iter().enumerate() {
        let Tender::Membership { covers, .. } = &leg.tender else { continue };
        let mut amount = Amount::ZERO;
        for cover in covers {
            let Some(line) = checkout.order.lines.iter().find(|line| line.id == cover.line) else { continue };
            let before = paid.entry(&line.id).or_default();
            if goes_back(&line.id) {
                amount = amount.plus(redeem::price(line, *before, cover.places)?)?;
            }
            *before += cover.places;
        }
        if !amount.is_zero() {
            found.push((at, amount));
        }
    }
    Ok(found)
}

/// Ends the parts of a refund that waited for what a provider gives back.
pub(super) fn settle(effects: &mut Effects, id: &RefundId, entropy: &Entropy) -> Result<(), DecideError> {
    let Some(refund) = effects.checkout.refunds.iter().find(|refund| refund.id == *id).cloned() else { return Ok(()) };
    let is_open = |part: &&RefundPart| matches!(part.status, RefundStatus::Pending | RefundStatus::NeedsReview);
    let carried = |status| refund.parts.iter().any(|part| part.attempt.is_some() && part.status == status);
    for waiting in refund.parts.iter().filter(is_open).filter(|part| part.attempt.is_none()) {
        let status = if carried(RefundStatus::Pending) {
            RefundStatus::Pending
        } else if carried(RefundStatus::NeedsReview) {
            RefundStatus::NeedsReview
        } else if carried(RefundStatus::Failed) {
            refund_part::book_refused(effects, id, waiting, entropy)?;
            RefundStatus::Failed
        } else {
            let Some(leg) = effects.checkout.order.legs.get(waiting.leg) else { continue };
            let account = ledger::account_of(&effects.checkout, waiting.leg, leg);
            let entries = ledger::refund_entries(&account, PENDING, waiting.amount, id.as_str());
            effects.post(LedgerKind::Refund, entries, entropy);
            effects.checkout.amount_refunded = effects.checkout.amount_refunded.plus(waiting.amount)?;
            RefundStatus::Succeeded
        };
        let parts = effects.refund(id).map(|refund| refund.parts.iter_mut()).into_iter().flatten();
        parts.filter(|part| part.leg == waiting.leg).for_each(|part| part.status = status);
    }
    Ok(())
}
