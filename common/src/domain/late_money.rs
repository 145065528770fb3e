//! Late money that did not go back by itself: what came for a checkout that could not use it, and of which the refund was refused or came
//! back, or nobody knows what became of it. Its merchant asks for it by a refund of its own, which is booked out of `unapplied`, and out
//! of nothing that was sold.

use super::{
    attempt::{Attempt, AttemptKind, AttemptStatus},
    checkout::Checkout,
    effects::{DecideError, Effects},
    error::{Code, CodedError},
    id::{Entropy, RefundId},
    ledger::{Entry, LedgerKind, UNAPPLIED},
    money::{Amount, MoneyError},
    refund::{MAX_REFUNDS, Refund, RefundAsk, RefundStatus},
    refund_part::{self, PENDING, RefundPart},
    saga,
    state::Status,
    time::Timestamp,
};

/// What is left of one late charge.
struct Left {
    charge: u32,
    leg: usize,
    amount: Amount,
    /// The refund that somebody has to find out about, if that is why it is left.
    in_doubt: Option<u32>,
}

/// What came late and is neither back nor on its way, charge by charge. What a void gave back of it is gone: of a checkout that sold nothing
/// all that was taken and did not go back is late money, and no more than that is left.
fn left(checkout: &Checkout) -> Result<Vec<Left>, MoneyError> {
    let is_sold = checkout.status == Status::Succeeded;
    let mut most = checkout.amount_paid.minus(checkout.amount_refunded)?;
    let undoes = |undo: &&Attempt| undo.request.kind == AttemptKind::Refund && (!is_sold || checkout.undoes_late_money(undo.n));
    let mut left = Vec::new();
    for charge in checkout.approved_charges() {
        let of_it = |undo: &&Attempt| undo.request.leg == charge.request.leg && undo.request.target == charge.provider_reference;
        let Some(newest) = checkout.attempts.iter().filter(undoes).rfind(of_it) else { continue };
        let in_doubt = match newest.status {
            AttemptStatus::Declined => None,
            // Once it is asked for, its refund is what an operator decides about.
            AttemptStatus::NeedsReview if refund_part::carried_by(checkout, newest.n).is_none() => Some(newest.n),
            _ => {
                if newest.status != AttemptStatus::Approved && !is_sold {
                    most = most.minus(newest.request.amount)?;
                }
                continue;
            }
        };
        left.push(Left { charge: charge.n, leg: charge.request.leg, amount: newest.request.amount, in_doubt });
    }
    if !is_sold {
        for one in &mut left {
            one.amount = one.amount.min(most.max(Amount::ZERO));
            most = most.minus(one.amount)?;
        }
    }
    left.retain(|one| one.amount > Amount::ZERO);
    Ok(left)
}

/// What of a sale's money is late and was refused on its way back: it is no part of what can be given back of the sale. Minor units.
pub(super) fn refused(checkout: &Checkout) -> Result<Amount, MoneyError> {
    let refused = left(checkout)?.into_iter().filter(|one| one.in_doubt.is_none());
    refused.map(|one| one.amount).try_fold(Amount::ZERO, Amount::plus)
}

/// Whether what is asked is late money, which comes behind an end: nothing else can be given back of a checkout that sold nothing.
pub(super) fn is_meant(checkout: &Checkout, ask: &RefundAsk) -> Result<bool, MoneyError> {
    if !checkout.status.is_terminal() {
        return Ok(false);
    }
    Ok(ask.late_payment || (checkout.status != Status::Succeeded && !left(checkout)?.is_empty()))
}

/// Opens the refund of all late money that is left. What somebody has to find out about is sent to nobody: it is his to decide, as of any
/// refund.
pub(super) fn open(
    checkout: Checkout,
    id: &RefundId,
    ask: &RefundAsk,
    now: Timestamp,
    entropy: &Entropy,
) -> Result<Result<Effects, CodedError>, DecideError> {
    let left = left(&checkout)?;
    let amount = left.iter().map(|one| one.amount).try_fold(Amount::ZERO, Amount::plus)?;
    if let Err(refused) = check(&checkout, ask, amount) {
        return Ok(Err(refused));
    }
    let method = |leg: usize| checkout.order.legs.get(leg).map_or("card", |leg| leg.tender.type_name()).to_owned();
    let mut parts: Vec<(RefundPart, u32)> = Vec::with_capacity(left.len());
    for Left { charge, leg, amount, in_doubt } in left {
        let status = if in_doubt.is_some() { RefundStatus::NeedsReview } else { RefundStatus::Pending };
        parts.push((RefundPart { leg, method: method(leg), amount, attempt: in_doubt, status }, charge));
    }
    let currency = checkout.order.currency;
    let mut effects = Effects::start(checkout, now);
    effects.note("refund.requested", format!("{id}: {amount} {currency} of late money"));
    let about =
        |account: &str, amount| Entry { account: account.to_owned(), amount, detail: "refund".to_owned(), entity: Some(id.to_string()) };
    effects.post(LedgerKind::Refund, vec![about(UNAPPLIED, amount), about(PENDING, amount.negated())], entropy);
    for (part, charge) in parts.iter_mut().filter(|(part, _)| part.attempt.is_none()) {
        part.attempt = Some(saga::open_about(&mut effects, AttemptKind::Refund, *charge, Some(part.amount), entropy)?);
    }
    effects.add_refund(Refund {
        id: id.clone(),
        checkout: effects.checkout.id.clone(),
        parts: parts.into_iter().map(|(part, _)| part).collect(),
        amount,
        currency,
        lines: Vec::new(),
        late_payment: true,
        reason: ask.reason.clone(),
        release_seats: false,
        keep_credits: false,
        status: RefundStatus::Pending,
        error: None,
        created_at: now,
        updated_at: now,
    });
    Ok(Ok(effects))
}

fn check(checkout: &Checkout, ask: &RefundAsk, amount: Amount) -> Result<(), CodedError> {
    let refuse = |code, words: &str, param: &str| Err(CodedError::new(code, words).at(param));
    if checkout.refunds.len() >= MAX_REFUNDS {
        return Err(CodedError::new(Code::Unsupported, format!("a checkout has {MAX_REFUNDS} refunds at the most")));
    }
    if !ask.lines.is_empty() {
        return refuse(Code::ParameterInvalid, "late money is about no line", "lines");
    }
    if ask.release_seats == Some(true) {
        return refuse(Code::ParameterInvalid, "late money has no places", "release_seats");
    }
    if ask.keep_credits {
        return refuse(Code::ParameterInvalid, "late money is no credits", "keep_credits");
    }
    if amount.is_zero() {
        return refuse(Code::RefundExceedsPaid, "no late money is left: it went back, is on its way, or never came", "late_payment");
    }
    match ask.amount {
        Some(asked) if asked != amount => {
            let words = format!("late money goes back whole: leave it out, or say {amount}");
            Err(CodedError::new(Code::RefundExceedsPaid, words).at("amount"))
        }
        Some(_) | None => Ok(()),
    }
}
