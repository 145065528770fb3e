//! Refunds that a client asks for: what may go back of a sale, to where it came from, and what follows when it has.
//!
//! Always: a refund is decided under its checkout's lock, and what is still on its way counts as gone. Never is more promised than was
//! paid, because a provider that is asked twice gives twice.

use super::{
    attempt::{AttemptKind, AttemptStatus, Decline},
    checkout::Checkout,
    effects::{ClaimChange, DecideError, Effects},
    error::{Code, CodedError},
    event::EventType,
    id::{CheckoutId, Entropy, LineId, RefundId},
    late_money,
    line::{Item, Line},
    money::{Amount, Currency, MoneyError},
    refund_credits, refund_membership,
    refund_part::{self, PENDING, RefundPart},
    refund_terms,
    state::Status,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// The most refunds of one checkout.
pub const MAX_REFUNDS: usize = 100;

/// Where a refund stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// On its way to the provider.
    Pending,
    /// The money went back.
    Succeeded,
    /// A definite no; what was booked is taken back.
    Failed,
    /// Nobody could find out whether it went back. It counts as gone.
    NeedsReview,
}

impl RefundStatus {
    /// Every status, for documentation and tests.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Succeeded, Self::Failed, Self::NeedsReview];

    /// As it stands in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::NeedsReview => "needs_review",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// A refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// Public id.
    pub id: RefundId,
    /// Of which checkout.
    pub checkout: CheckoutId,
    /// What each leg of the payment gives back; none when nothing was paid.
    pub parts: Vec<RefundPart>,
    /// Minor units.
    pub amount: Amount,
    /// The checkout's currency.
    pub currency: Currency,
    /// For which lines; none when it is not about lines.
    pub lines: Vec<LineId>,
    /// Whether it is about money that came too late, and not about the sale.
    pub late_payment: bool,
    /// The client's own words.
    pub reason: Option<String>,
    /// Whether the places come free when it has succeeded.
    pub release_seats: bool,
    /// Whether the credits that paid for those places stay used.
    pub keep_credits: bool,
    /// Where it stands.
    pub status: RefundStatus,
    /// Why it failed.
    pub error: Option<CodedError>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What a client asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefundAsk {
    /// How much; all that is left, or the lines' worth, when not said.
    pub amount: Option<Amount>,
    /// For which lines; none: for the checkout as such.
    pub lines: Vec<LineId>,
    /// The client's own words.
    pub reason: Option<String>,
    /// Whether places come free. Not said: they do, unless it is a part that is about no line.
    pub release_seats: Option<bool>,
    /// That the credits which paid for places that come free stay used: the customer came off late, say.
    pub keep_credits: bool,
    /// That money which came too late is meant, and not the sale. Of a checkout that sold nothing it need not be said.
    pub late_payment: bool,
}

/// Why nothing goes back. Nothing is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Only what was sold can be given back.
    NotSold(Status),
    /// The rules refuse it.
    Refused(CodedError),
}

impl From<CodedError> for Refusal {
    fn from(error: CodedError) -> Self {
        Self::Refused(error)
    }
}

impl Refund {
    /// Whether it gave its money back, or may yet.
    pub fn counts(&self) -> bool {
        self.status != RefundStatus::Failed
    }

    /// Whether a line of which `left` is left is done with, as far as it is about what paid: places may have been freed for nothing, and
    /// the money of the line, or the credits that paid for it, are still there.
    pub(super) fn gave_back(&self, checkout: &Checkout, line: &LineId, left: Amount) -> bool {
        !self.amount.is_zero() || (left.is_zero() && !self.kept_credits_of(checkout, line))
    }

    /// Whether the credits that paid for a line stay used for it.
    pub(super) fn kept_credits_of(&self, checkout: &Checkout, line: &LineId) -> bool {
        self.keep_credits && refund_credits::pay_for(checkout, line)
    }

    /// Where it stands as a whole: it is done when every part is, and has failed when one has and none is under way.
    fn standing(&self) -> RefundStatus {
        let any = |status| self.parts.iter().any(|part| part.status == status);
        let order = [RefundStatus::Pending, RefundStatus::NeedsReview, RefundStatus::Failed];
        order.into_iter().find(|&status| any(status)).unwrap_or(RefundStatus::Succeeded)
    }

    /// The lines of which the places come free, and the memberships end.
    pub(super) fn freed<'c>(&'c self, checkout: &'c Checkout) -> impl Iterator<Item = &'c Line> {
        let is_freed = |line: &&Line| self.release_seats && (self.lines.is_empty() || self.lines.contains(&line.id));
        places(checkout).filter(is_freed)
    }
}

fn places(checkout: &Checkout) -> impl Iterator<Item = &Line> {
    checkout.order.lines.iter().filter(|line| matches!(line.item, Item::Session { .. }) || line.item.bought_membership().is_some())
}

/// What can still be promised back of the sale: what was paid without what went back and what is on its way, or may be, and without late
/// money.
pub fn refundable(checkout: &Checkout) -> Result<Amount, MoneyError> {
    let may_go = |status: AttemptStatus| status.is_open() || status == AttemptStatus::NeedsReview;
    let under_way = checkout.attempts.iter().filter(|attempt| attempt.request.kind == AttemptKind::Refund && may_go(attempt.status));
    let under_way = under_way.map(|attempt| attempt.request.amount).try_fold(Amount::ZERO, Amount::plus)?;
    let parts = checkout.refunds.iter().flat_map(|refund| &refund.parts);
    let waiting = parts.filter(|part| part.attempt.is_none() && matches!(part.status, RefundStatus::Pending | RefundStatus::NeedsReview));
    let waiting = waiting.map(|part| part.amount).try_fold(Amount::ZERO, Amount::plus)?;
    let left = checkout.amount_paid.minus(checkout.amount_refunded)?.minus(under_way)?.minus(waiting)?;
    // A bank may take back what we have given back as well.
    Ok(left.minus(late_money::refused(checkout)?)?.minus(checkout.amount_disputed()?)?.max(Amount::ZERO))
}

/// What can still go back of a line: what it came to, less what refunds of it gave or may give, and no more than is left of the sale.
/// Where a refund was of several lines, all of it may have been this one's.
pub fn left_of(checkout: &Checkout, line: &LineId) -> Result<Amount, MoneyError> {
    let worth = refund_part::left_by_line(checkout)?.get(line).copied().unwrap_or_default();
    let of_it = checkout.refunds.iter().filter(|refund| refund.counts() && refund.lines.contains(line));
    let gone = of_it.map(|refund| refund.amount).try_fold(Amount::ZERO, Amount::plus)?;
    Ok(worth.minus(gone.min(worth))?.min(refundable(checkout)?))
}

/// The refund that frees a line's place, or may yet: one that has done so, if there is one.
pub fn freeing<'c>(checkout: &'c Checkout, line: &LineId) -> Option<&'c Refund> {
    let frees = |refund: &&Refund| refund.counts() && refund.freed(checkout).any(|freed| freed.id == *line);
    let mut found = checkout.refunds.iter().filter(frees);
    let first = found.clone().next();
    found.find(|refund| refund.status == RefundStatus::Succeeded).or(first)
}

/// Decides on a refund, and opens it or, where no provider is asked, does it.
pub fn open(
    checkout: Checkout,
    id: &RefundId,
    ask: &RefundAsk,
    now: Timestamp,
    entropy: &Entropy,
) -> Result<Result<Effects, Refusal>, DecideError> {
    if late_money::is_meant(&checkout, ask)? {
        let mut effects = match late_money::open(checkout, id, ask, now, entropy)? {
            Ok(effects) => effects,
            Err(refused) => return Ok(Err(refused.into())),
        };
        finish(&mut effects, id, None)?;
        return Ok(Ok(effects));
    }
    if checkout.status != Status::Succeeded {
        return Ok(Err(Refusal::NotSold(checkout.status)));
    }
    let terms = match refund_terms::terms(&checkout, id, ask, now)? {
        Ok(terms) => terms,
        Err(refused) => return Ok(Err(refused.into())),
    };
    let mut effects = Effects::start(checkout, now);
    effects.note("refund.requested", format!("{id}: {} {}", terms.amount, terms.currency));
    effects.ended = refund_membership::given_back(&effects.checkout, &terms).into_iter().map(|id| (id, Some(now))).collect();
    let mut refund = terms;
    if let Err(refused) = refund_part::open(&mut effects, &mut refund, entropy)? {
        return Ok(Err(refused.into()));
    }
    effects.add_refund(refund);
    finish(&mut effects, id, None)?;
    Ok(Ok(effects))
}

/// The provider gave back what attempt `n` carries. `false`: no client asked for it.
pub(super) fn gone(effects: &mut Effects, n: u32, entropy: &Entropy) -> Result<bool, DecideError> {
    let Some((id, part)) = refund_part::carried_by(&effects.checkout, n) else { return Ok(false) };
    // The promise becomes money that went.
    effects.book_refunded(n, part.amount, PENDING, None, entropy)?;
    mark(effects, &id, n, RefundStatus::Succeeded);
    refund_credits::settle(effects, &id, entropy)?;
    finish(effects, &id, None)?;
    Ok(true)
}

/// The provider will not give it back: what was booked is taken back. `false`: no client asked for it.
pub(super) fn refused(effects: &mut Effects, n: u32, decline: &Decline, entropy: &Entropy) -> Result<bool, DecideError> {
    let Some((id, part)) = refund_part::carried_by(&effects.checkout, n) else { return Ok(false) };
    refund_part::book_refused(effects, &id, &part, entropy)?;
    mark(effects, &id, n, RefundStatus::Failed);
    refund_credits::settle(effects, &id, entropy)?;
    let error = CodedError::new(Code::RefundRefused, decline.message.clone()).declined(decline.decline_code.clone());
    finish(effects, &id, Some(error))?;
    Ok(true)
}

/// Nobody knows whether attempt `n` gave it back.
pub(super) fn in_doubt(effects: &mut Effects, n: u32) -> Result<(), DecideError> {
    let Some((id, _)) = refund_part::carried_by(&effects.checkout, n) else { return Ok(()) };
    mark(effects, &id, n, RefundStatus::NeedsReview);
    let parts = effects.refund(&id).map(|refund| &mut refund.parts).into_iter();
    for parts in parts.filter(|parts| !parts.iter().any(|part| part.attempt.is_some() && part.status == RefundStatus::Pending)) {
        // Credits that wait for this money wait for whoever decides on it.
        parts.iter_mut().filter(|part| part.status == RefundStatus::Pending).for_each(|part| part.status = RefundStatus::NeedsReview);
    }
    finish(effects, &id, None)
}

fn mark(effects: &mut Effects, id: &RefundId, n: u32, status: RefundStatus) {
    let parts = effects.refund(id).map(|refund| refund.parts.iter_mut()).into_iter().flatten();
    parts.filter(|part| part.attempt == Some(n)).for_each(|part| part.status = status);
}

/// Writes down where it stands now, and what follows from that.
fn finish(effects: &mut Effects, id: &RefundId, error: Option<CodedError>) -> Result<(), DecideError> {
    let words = error.as_ref().and_then(|error| error.decline_code.clone());
    let Some(refund) = effects.refund(id) else { return Ok(()) };
    refund.error = error.or(refund.error.take());
    refund.status = refund.standing();
    let refund = refund.clone();
    let said = words.map_or_else(|| id.to_string(), |words| format!("{id}: {words}"));
    match refund.status {
        RefundStatus::Succeeded => {
            let freed: Vec<LineId> = refund.freed(&effects.checkout).map(|line| line.id.clone()).collect();
            if !freed.is_empty() {
                effects.claims = if refund.keep_credits { ClaimChange::FreePlaces(freed) } else { ClaimChange::GiveBack(freed) };
            }
            effects.events.push(EventType::RefundSucceeded);
            effects.note("refund.succeeded", said);
        }
        RefundStatus::Failed => {
            let ended = refund_membership::given_back(&effects.checkout, &refund);
            effects.ended.extend(ended.into_iter().map(|id| (id, None)));
            effects.events.push(EventType::RefundFailed);
            effects.note("refund.failed", said);
        }
        RefundStatus::NeedsReview => effects.note("refund.needs_review", said),
        RefundStatus::Pending => {}
    }
    Ok(())
}

#[cfg(test)]
#[path = "refund_tests.rs"]
pub(super) mod tests;
