//! A provider's book held against ours, row by row: what differs, and whether it can be mended by itself. Nothing here changes anything.

use super::{
    attempt::{Attempt, AttemptKind, AttemptStatus},
    checkout::Checkout,
    difference::Difference,
    id::CheckoutId,
    money::{Amount, Currency},
    provider_book::{BookRow, BookStatus},
    provider_event::{About, EventAccount},
    settle,
    time::Timestamp,
};
use std::time::Duration;

/// Money in a currency: minor units.
pub type Sum = (Amount, Currency);

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What differs.
    pub difference: Difference,
    /// Of a charge or a refund.
    pub about: About,
    /// The provider's id.
    pub provider_reference: Option<String>,
    /// The checkout, where there is one.
    pub checkout: Option<CheckoutId>,
    /// Which of its attempts.
    pub n: Option<u32>,
    /// What the provider has, where that can be counted.
    pub theirs: Option<Sum>,
    /// What we have.
    pub ours: Option<Sum>,
    /// Whether the provider's word, asked for once more and settled like an event, mends it.
    pub can_be_mended: bool,
    /// Whether somebody works on it, or may be about to: it may be gone when looked at again.
    pub is_under_way: bool,
}

/// What came of holding a row against a checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared<'c> {
    /// Whether it is this account's: otherwise it is somebody else's, and no difference.
    pub is_ours: bool,
    /// The attempt that it is about.
    pub attempt: Option<&'c Attempt>,
    /// What differs.
    pub finding: Option<Finding>,
}

impl Compared<'_> {
    const SOMEBODY_ELSES: Self = Self { is_ours: false, attempt: None, finding: None };
}

/// When the comparison is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The store's time.
    pub now: Timestamp,
    /// What is younger than this may be under way.
    pub grace: Duration,
}

impl Moment {
    fn is_young(self, at: Timestamp) -> bool {
        at.after(self.grace) > self.now
    }
}

/// The checkout that a row says it is about; `None`: it is somebody else's, who may share the account with us.
pub fn reference_of(row: &BookRow, account: &EventAccount) -> Option<CheckoutId> {
    let is_here = row.account.as_ref().is_none_or(|written| *written == account.account);
    let reference = row.reference.as_deref().filter(|_| is_here && row.key.is_some())?;
    // Anything can stand there: only what we make is called ours.
    let is_made_by_us = reference.strip_prefix(CheckoutId::PREFIX).is_some_and(|rest| rest.starts_with('_'));
    CheckoutId::parse(reference).ok().filter(|_| is_made_by_us)
}

/// Holds a row against the checkout that it says it is about; `checkout`: as it is in our store, if it is.
pub fn compare<'c>(row: &BookRow, about: About, account: &EventAccount, checkout: Option<&'c Checkout>, at: Moment) -> Compared<'c> {
    let (Some(reference), Some(key)) = (reference_of(row, account), &row.key) else { return Compared::SOMEBODY_ELSES };
    let unknown = || {
        let has_moved = matches!(row.status, BookStatus::Moved | BookStatus::Promised);
        let finding = Finding { is_under_way: at.is_young(row.created_at), ..finding(Difference::UnknownReference, about, row) };
        let finding = has_moved.then(|| Finding { checkout: Some(reference.clone()), ..finding });
        Compared { is_ours: true, attempt: None, finding }
    };
    let Some(checkout) = checkout.filter(|checkout| checkout.id == reference) else { return unknown() };
    if !account.owns(checkout) {
        return Compared::SOMEBODY_ELSES;
    }
    let found = checkout.attempts.iter().find(|attempt| attempt.request.kind == about.kind() && attempt.request.key == *key);
    let Some(attempt) = found else { return unknown() };
    if !account.has_sent(attempt) {
        return Compared::SOMEBODY_ELSES;
    }
    let differs = match about {
        About::Charge => of_charge(row, attempt, checkout),
        About::Refund => of_refund(row, attempt),
    };
    let finding = differs.map(|difference| Finding {
        checkout: Some(reference.clone()),
        n: Some(attempt.n),
        ours: ours(difference, checkout, attempt),
        theirs: theirs(difference, row),
        can_be_mended: can_be_mended(difference, attempt, checkout),
        is_under_way: is_under_way(difference, row, attempt, checkout, at),
        ..finding(difference, about, row)
    });
    Compared { is_ours: true, attempt: Some(attempt), finding }
}

/// Holds a refund that nobody has asked us for against the checkouts whose charges the provider calls by the payment's id. `None`: it is of
/// nobody of ours, or moved nothing.
pub fn unasked(row: &BookRow, account: &EventAccount, charged: &[Checkout]) -> Option<Finding> {
    if row.key.is_some() || row.status != BookStatus::Moved {
        return None;
    }
    let is_it = |attempt: &Attempt| account.has_sent(attempt) && attempt.provider_reference == row.payment;
    let of_account = charged.iter().filter(|checkout| account.owns(checkout));
    let checkout = of_account.into_iter().find(|checkout| checkout.charges().any(is_it))?;
    Some(Finding { checkout: Some(checkout.id.clone()), ..finding(Difference::UnaskedRefund, About::Refund, row) })
}

/// What is to be said of an attempt that we hold for done, and that the provider's book does not have.
pub fn not_in_book(checkout: &CheckoutId, attempt: &Attempt, at: Moment) -> Finding {
    Finding {
        difference: Difference::NotInBook,
        about: if attempt.request.kind == AttemptKind::Refund { About::Refund } else { About::Charge },
        provider_reference: attempt.provider_reference.clone(),
        checkout: Some(checkout.clone()),
        n: Some(attempt.n),
        theirs: None,
        ours: Some(asked(attempt)),
        can_be_mended: false,
        is_under_way: at.is_young(attempt.created_at),
    }
}

/// What our books say moved by this attempt: nothing, when it is not done, or was taken back.
pub fn moved_by(checkout: &Checkout, attempt: &Attempt) -> Option<Sum> {
    let is_done = attempt.status == AttemptStatus::Approved && !was_taken_back(checkout, attempt);
    is_done.then(|| asked(attempt))
}

fn asked(attempt: &Attempt) -> Sum {
    (attempt.request.amount, attempt.request.currency)
}

fn was_taken_back(checkout: &Checkout, charge: &Attempt) -> bool {
    let is_newest = checkout.charge_of(charge.request.leg).is_some_and(|newest| newest.n == charge.n);
    charge.request.kind == AttemptKind::Charge && is_newest && checkout.was_voided(charge.request.leg)
}

/// On the provider's page a payment goes by the page's id until it is decided, and for ever where an operator decided: that is an id of
/// another kind, and no other payment.
fn goes_by_another_name(row: &BookRow, attempt: &Attempt) -> bool {
    let on_a_page = attempt.request.visit.as_ref().is_some_and(|visit| visit.page.is_some());
    let kind = |id: &str| id.split('_').next().map(str::to_owned);
    let is_another = |known: &String| *known != row.id && !(on_a_page && kind(known) != kind(&row.id));
    attempt.provider_reference.as_ref().is_some_and(is_another)
}

/// What differs before it is asked how it stands.
fn in_itself(row: &BookRow, attempt: &Attempt) -> Option<Difference> {
    if !matches!(row.status, BookStatus::Moved | BookStatus::Promised) {
        return None;
    }
    if goes_by_another_name(row, attempt) {
        return Some(Difference::Twice);
    }
    (row.money != Some(asked(attempt))).then_some(Difference::AmountDiffers)
}

fn of_charge(row: &BookRow, attempt: &Attempt, checkout: &Checkout) -> Option<Difference> {
    use AttemptStatus::*;
    if let Some(difference) = in_itself(row, attempt) {
        return Some(difference);
    }
    // Of what does not move, only the one that we know says anything.
    let is_another = goes_by_another_name(row, attempt);
    match (row.status, attempt.status) {
        (BookStatus::Moved, Approved) if was_taken_back(checkout, attempt) => Some(Difference::MoneyBehindNo),
        (BookStatus::Moved, Approved) => match (row.fee, checkout.fee_of(attempt)) {
            (Some(_), None) => Some(Difference::FeeMissing),
            (Some(theirs), Some(ours)) if theirs != ours => Some(Difference::FeeDiffers),
            (Some(_) | None, _) => None,
        },
        (BookStatus::Moved, Started | RequiresAction | Pending | Unknown | NeedsReview) => Some(Difference::MissedPayment),
        (BookStatus::Moved, Authorized) => Some(Difference::UnknownCapture),
        (BookStatus::Moved, Declined | NotSent) => Some(Difference::MoneyBehindNo),
        (BookStatus::Promised, Authorized) => None,
        (BookStatus::Promised, Approved) if was_taken_back(checkout, attempt) => Some(Difference::UnknownPromise),
        (BookStatus::Promised, Approved) => Some(Difference::NotTaken),
        (BookStatus::Promised, Started | RequiresAction | Pending | Unknown | NeedsReview | Declined | NotSent) => {
            Some(Difference::UnknownPromise)
        }
        (BookStatus::Open | BookStatus::Failed, _) if is_another => None,
        (BookStatus::Open | BookStatus::Failed, Approved) => (!was_taken_back(checkout, attempt)).then_some(Difference::NotTaken),
        (BookStatus::Failed, Authorized) => Some(Difference::NotTaken),
        (BookStatus::Failed, Started | RequiresAction | Pending | Unknown | NeedsReview) => Some(Difference::MissedRefusal),
        (BookStatus::Failed, Declined | NotSent) => None,
        (BookStatus::Open, Started | RequiresAction | Pending | Unknown | NeedsReview | Authorized | Declined | NotSent) => None,
    }
}

fn of_refund(row: &BookRow, attempt: &Attempt) -> Option<Difference> {
    use AttemptStatus::*;
    if let Some(difference) = in_itself(row, attempt) {
        return Some(difference);
    }
    let is_another = goes_by_another_name(row, attempt);
    match (row.status, attempt.status) {
        (BookStatus::Moved, Approved) => None,
        (BookStatus::Moved, Started | RequiresAction | Pending | Unknown | NeedsReview | Authorized) => Some(Difference::MissedRefund),
        (BookStatus::Moved, Declined | NotSent) => Some(Difference::RefundBehindNo),
        (BookStatus::Failed, _) if is_another => None,
        (BookStatus::Failed, Approved) => Some(Difference::RefundFailed),
        (BookStatus::Failed, Started | RequiresAction | Pending | Unknown | NeedsReview | Authorized) => Some(Difference::MissedRefusal),
        (BookStatus::Failed, Declined | NotSent) => None,
        // It waits for a balance, or for the customer: it is on its way, or fails later.
        (BookStatus::Open | BookStatus::Promised, _) => None,
    }
}

fn can_be_mended(difference: Difference, attempt: &Attempt, checkout: &Checkout) -> bool {
    let was_refused = attempt.status == AttemptStatus::Declined && !was_taken_back(checkout, attempt);
    difference.may_be_mended() && (difference != Difference::MoneyBehindNo || was_refused)
}

fn is_under_way(difference: Difference, row: &BookRow, attempt: &Attempt, checkout: &Checkout, at: Moment) -> bool {
    let is_young = at.is_young(attempt.created_at.max(row.created_at));
    // Somebody has it in his hands; or what undoes or captures it is about to be sent.
    let is_held = checkout.attempts.iter().any(|other| other.is_leased(at.now));
    let undo = |other: &Attempt| other.n > attempt.n && other.request.leg == attempt.request.leg && other.status.is_open();
    let waits = match difference {
        Difference::MoneyBehindNo => attempt.status == AttemptStatus::Declined && !settle::may_be_taken_after_all(checkout, attempt),
        Difference::UnknownCapture | Difference::UnknownPromise | Difference::NotTaken => checkout.attempts.iter().any(undo),
        _ => false,
    };
    is_young || is_held || waits
}

fn ours(difference: Difference, checkout: &Checkout, attempt: &Attempt) -> Option<Sum> {
    match difference {
        Difference::FeeMissing | Difference::FeeDiffers => checkout.fee_of(attempt).map(|fee| (fee.amount, fee.currency)),
        Difference::AmountDiffers => Some(asked(attempt)),
        _ => moved_by(checkout, attempt),
    }
}

fn theirs(difference: Difference, row: &BookRow) -> Option<Sum> {
    match difference {
        Difference::FeeMissing | Difference::FeeDiffers => row.fee.map(|fee| (fee.amount, fee.currency)),
        _ => row.money,
    }
}

fn finding(difference: Difference, about: About, row: &BookRow) -> Finding {
    Finding {
        difference,
        about,
        provider_reference: Some(row.id.clone()),
        checkout: None,
        n: None,
        theirs: row.money,
        ours: None,
        can_be_mended: false,
        is_under_way: false,
    }
}

#[cfg(test)]
#[path = "reconcile_tests.rs"]
mod tests;
