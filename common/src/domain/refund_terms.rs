//! What a refund that a client asks for comes to, and whether it may be: how much, of which lines, what comes free, and what of it are credits.

use super::{
    checkout::Checkout,
    error::{Code, CodedError},
    id::{LineId, RefundId},
    line::Line,
    money::{Amount, MoneyError},
    refund::{MAX_REFUNDS, Refund, RefundAsk, RefundStatus, refundable},
    refund_credits, refund_membership, refund_part,
    time::Timestamp,
};

/// Everything about it but the attempts, checked.
pub(super) fn terms(checkout: &Checkout, id: &RefundId, ask: &RefundAsk, now: Timestamp) -> Result<Result<Refund, CodedError>, MoneyError> {
    let worth = match worth(checkout, ask)? {
        Ok(worth) => worth,
        Err(refused) => return Ok(Err(refused)),
    };
    let left = refundable(checkout)?;
    let about_lines = !ask.lines.is_empty();
    let is_whole = !about_lines && ask.amount.is_none_or(|amount| amount == left);
    let release_seats = ask.release_seats.unwrap_or(about_lines || is_whole);
    // Credits that were kept then can still go back.
    let gave = |other: &Refund, id: &LineId| other.counts() && !other.keep_credits && other.freed(checkout).any(|line| line.id == *id);
    let gone = |id: &LineId| checkout.refunds.iter().any(|other| gave(other, id));
    let goes_back = |id: &LineId| release_seats && (!about_lines || ask.lines.contains(id)) && !gone(id);
    let mut credits = refund_credits::of_lines(checkout, goes_back)?;
    let by_credits = credits.iter().map(|(_, amount)| *amount).try_fold(Amount::ZERO, Amount::plus)?;
    // Where they are kept, what they paid of the lines does not go back in any other way.
    let worth = if ask.keep_credits && about_lines { worth.minus(by_credits)? } else { worth };
    let amount = match ask.amount {
        Some(amount) => amount,
        None if about_lines => worth,
        // Credits go back with their places: where either is kept, all of the money is all there is.
        None if !release_seats || ask.keep_credits => refund_part::money_left(checkout)?.min(left),
        None => left,
    };
    if ask.keep_credits {
        credits.clear();
    }
    let by_credits = if ask.keep_credits { Amount::ZERO } else { by_credits };
    let parts = refund_part::split(checkout, amount, &credits)?;
    let is_there = parts.is_some();
    let refund = Refund {
        id: id.clone(),
        checkout: checkout.id.clone(),
        parts: parts.unwrap_or_default(),
        amount,
        currency: checkout.order.currency,
        lines: ask.lines.clone(),
        late_payment: false,
        reason: ask.reason.clone(),
        release_seats,
        keep_credits: ask.keep_credits,
        status: RefundStatus::Pending,
        error: None,
        created_at: now,
        updated_at: now,
    };
    let bounds = Bounds { left, worth, by_credits, is_whole, is_there };
    Ok(why_not(checkout, &refund, &bounds).map_or(Ok(refund), Err))
}

/// What a refund is held against. Minor units.
struct Bounds {
    /// What is left of the sale.
    left: Amount,
    /// What is left of the lines that are named.
    worth: Amount,
    /// What of it are credits, which go back with their places.
    by_credits: Amount,
    /// Whether it is all that is left of the sale.
    is_whole: bool,
    /// Whether the methods of the payment have as much left.
    is_there: bool,
}

/// Why it may not be: the first that stands in its way.
fn why_not(checkout: &Checkout, refund: &Refund, bounds: &Bounds) -> Option<CodedError> {
    let Refund { amount, release_seats, keep_credits, .. } = *refund;
    let Bounds { left, worth, by_credits, is_whole, is_there } = *bounds;
    let about_lines = !refund.lines.is_empty();
    let invalid = |words: &str, at: &str| Some(CodedError::new(Code::ParameterInvalid, words).at(at));
    let exceeds = |words: &str| Some(CodedError::new(Code::RefundExceedsPaid, words).at("amount"));
    if checkout.refunds.len() >= MAX_REFUNDS {
        Some(CodedError::new(Code::Unsupported, format!("a checkout has {MAX_REFUNDS} refunds at the most")))
    } else if release_seats && !about_lines && !is_whole {
        invalid("a part frees the places of its lines: name them", "release_seats")
    } else if keep_credits && !release_seats {
        invalid("credits are kept where places come free", "keep_credits")
    } else if amount < Amount::ZERO {
        invalid("an amount is not negative", "amount")
    } else if about_lines && amount > worth {
        exceeds(&format!("{amount} is more than what is left of the lines, which is {worth} minor units"))
    } else if by_credits > amount {
        invalid(&format!("credits have paid {by_credits} minor units of it, and go back with their places"), "amount")
    } else if amount > left {
        exceeds(&format!("{amount} is more than what is left, which is {left} minor units"))
    } else if !is_there {
        exceeds("more than what is left beside credits, which go back with their places only")
    } else if amount.is_zero() && !frees_anything(checkout, refund) {
        exceeds("nothing is left to be given back")
    } else {
        refund_membership::check_parts(checkout, refund).err()
    }
}

/// What lines came to, as far as it has not gone back; each may be given back by name once.
fn worth(checkout: &Checkout, ask: &RefundAsk) -> Result<Result<Amount, CodedError>, MoneyError> {
    let lines = &ask.lines;
    let frees_for_nothing = ask.amount.is_some_and(Amount::is_zero) && ask.release_seats == Some(true);
    let left = refund_part::left_by_line(checkout)?;
    let mut worth = Amount::ZERO;
    for (at, id) in lines.iter().enumerate() {
        let param = format!("lines[{at}]");
        let Some(left) = left.get(id) else {
            return Ok(Err(CodedError::new(Code::ResourceMissing, "the checkout has no such line").at(param)));
        };
        if lines.iter().take(at).any(|before| before == id) {
            return Ok(Err(CodedError::new(Code::ParameterInvalid, "a line stands there twice").at(param)));
        }
        // Places that were kept then may still be freed, for nothing more; and money may still go back of places that were freed for nothing.
        let is_it = |refund: &Refund| if frees_for_nothing { refund.release_seats } else { refund.gave_back(checkout, id, *left) };
        let was_given = |refund: &Refund| refund.counts() && refund.lines.contains(id) && is_it(refund);
        if checkout.refunds.iter().any(was_given) {
            return Ok(Err(CodedError::new(Code::RefundExceedsPaid, "this line was given back already, or is being").at(param)));
        }
        worth = worth.plus(*left)?;
    }
    Ok(Ok(worth))
}

/// Whether it frees places that no other refund frees, or gives back credits that were kept when theirs came free.
fn frees_anything(checkout: &Checkout, refund: &Refund) -> bool {
    let is_less = |other: &Refund, line: &LineId| !refund.keep_credits && other.kept_credits_of(checkout, line);
    let others = || checkout.refunds.iter().filter(|other| other.counts());
    let is_done = |other: &Refund, line: &Line| other.freed(checkout).any(|freed| freed.id == line.id) && !is_less(other, &line.id);
    refund.freed(checkout).any(|line| !others().any(|other| is_done(other, line)))
}
