//! An operator's word about a refund: the only way out of `needs_review`. And how it comes to our books, by an operator's word or by the
//! provider's own, that a provider did not give back after all what it had said it would.

use super::{
    attempt::{Attempt, AttemptKind, AttemptStatus, Decline},
    checkout::Checkout,
    effects::{DecideError, Effects},
    ends::Verdict,
    event::EventType,
    id::{Entropy, RefundId},
    money::Amount,
    refund::{self, Refund, RefundStatus},
    refund_credits,
    refund_part::{self, PENDING, RefundPart},
    review,
    settle::due_for_the_rest,
    time::Timestamp,
    timeline::TimelineEntry,
};

/// How the decision stands in the timeline.
pub const RESOLVED: &str = "refund.resolved";
/// Why it failed, in the place of a provider's reason.
const DECLINE_CODE: &str = "resolved_by_operator";

/// What comes of an operator's word.
#[derive(Debug)]
pub enum Resolution {
    /// It is decided.
    Decided(Box<Effects>),
    /// There is nothing about this refund, or this part of it, that could be decided so.
    Nothing,
    /// More than one part could be meant, and each has its own provider's answer.
    WhichPart,
}

/// Decides about the one part of which that can be said, or about the `part` at that place in the refund. What is not decided changes nothing.
///
/// What needs review becomes what the verdict says. What a provider has given back can still fail: bank accounts are closed, and the money
/// comes back to the provider. Places that came free stay free, because they may be sold again; what failed can be asked for once more.
pub fn resolve(
    checkout: Checkout,
    id: &RefundId,
    part: Option<usize>,
    verdict: Verdict,
    note: &str,
    now: Timestamp,
    entropy: &Entropy,
) -> Result<Resolution, DecideError> {
    let Some(found) = checkout.refunds.iter().find(|refund| refund.id == *id) else { return Ok(Resolution::Nothing) };
    // A part that is named has a standing of its own: others of it may have failed before.
    let status = match (part.map_or(Some(found.status), |at| found.parts.get(at).map(|part| part.status)), verdict) {
        (Some(RefundStatus::NeedsReview), _) => RefundStatus::NeedsReview,
        (Some(RefundStatus::Succeeded), Verdict::Failed) => RefundStatus::Succeeded,
        (Some(RefundStatus::Pending | RefundStatus::Succeeded | RefundStatus::Failed) | None, _) => return Ok(Resolution::Nothing),
    };
    if status == RefundStatus::Succeeded && has_credits(&checkout, &found.parts) {
        return Ok(Resolution::Nothing);
    }
    let could_be_meant = |(at, meant): &(usize, &RefundPart)| part.is_none_or(|part| part == *at) && meant.status == status;
    let mut parts = found.parts.iter().enumerate().filter(could_be_meant).filter_map(|(_, meant)| Some((meant.clone(), meant.attempt?)));
    let Some((meant, n)) = parts.next() else { return Ok(Resolution::Nothing) };
    if parts.next().is_some() {
        return Ok(Resolution::WhichPart);
    }
    drop(parts);
    let mut effects = Effects::start(checkout, now);
    effects.note(RESOLVED, words(id, part, verdict, note));
    match verdict {
        Verdict::Succeeded => {
            effects.attempt(n)?.status = AttemptStatus::Approved;
            refund::gone(&mut effects, n, entropy)?;
        }
        Verdict::Failed => {
            if status == RefundStatus::Succeeded {
                effects.book_refunded(n, meant.amount.negated(), PENDING, Some(id), entropy)?;
            }
            let attempt = effects.attempt(n)?;
            attempt.status = AttemptStatus::Declined;
            attempt.decline_code = Some(DECLINE_CODE.to_owned());
            let decline = Decline::new(DECLINE_CODE.to_owned(), "an operator found that it did not go back".to_owned(), None);
            refund::refused(&mut effects, n, &decline, entropy)?;
        }
    }
    due_for_the_rest(&mut effects, now);
    Ok(Resolution::Decided(Box::new(effects)))
}

/// Decides what follows when the provider tells that what attempt `n` had given back came back to it. `None`: it never went, that is known, or
/// credits went with it; nothing changes.
///
/// Of a refund that a client has asked for, this attempt's part has failed and can be asked for once more; places that came free stay free.
/// What went back unasked is there again, and is told of.
pub fn came_back(checkout: Checkout, n: u32, decline: &Decline, now: Timestamp, entropy: &Entropy) -> Result<Option<Effects>, DecideError> {
    let went = |attempt: &&Attempt| (attempt.n, attempt.request.kind, attempt.status) == (n, AttemptKind::Refund, AttemptStatus::Approved);
    let Some(amount) = checkout.attempts.iter().find(went).map(|attempt| attempt.request.amount) else { return Ok(None) };
    if gave_credits(&checkout, n) {
        return Ok(None);
    }
    let part = refund_part::carried_by(&checkout, n);
    let mut effects = Effects::start(checkout, now);
    effects.note("refund.came_back", format!("attempt {n}: {}", decline.decline_code));
    let attempt = effects.attempt(n)?;
    attempt.status = AttemptStatus::Declined;
    attempt.decline_code = Some(decline.decline_code.clone());
    match part {
        Some((id, part)) => {
            // Back to where only the promise stood.
            effects.book_refunded(n, part.amount.negated(), PENDING, Some(&id), entropy)?;
            refund::refused(&mut effects, n, decline, entropy)?;
        }
        None => take_back_unasked(&mut effects, n, amount, entropy)?,
    }
    if effects.checkout.status.is_terminal() {
        due_for_the_rest(&mut effects, now);
    }
    Ok(Some(effects))
}

/// Whether credits went back with what attempt `n` gave back. They may be used again by now: they cannot be taken back.
pub fn gave_credits(checkout: &Checkout, n: u32) -> bool {
    let carries = |refund: &&Refund| refund.parts.iter().any(|part| part.attempt == Some(n));
    checkout.refunds.iter().find(carries).is_some_and(|refund| has_credits(checkout, &refund.parts))
}

fn has_credits(checkout: &Checkout, parts: &[RefundPart]) -> bool {
    parts.iter().any(|part| checkout.order.legs.get(part.leg).is_some_and(refund_credits::is_credits))
}

/// What came too late, or had to be undone, is ours to give back once more.
fn take_back_unasked(effects: &mut Effects, n: u32, amount: Amount, entropy: &Entropy) -> Result<(), DecideError> {
    let account = effects.checkout.account_undone(n);
    effects.book_refunded(n, amount.negated(), account, None, entropy)?;
    if effects.checkout.status.is_terminal() {
        effects.events.push(EventType::RefundFailed);
        return Ok(());
    }
    review::review(effects)
}

/// Whether the same words have decided it, or the `part` of it, before.
pub fn was_resolved(refund: &Refund, timeline: &[TimelineEntry], part: Option<usize>, verdict: Verdict, note: &str) -> bool {
    let status = part.map_or(Some(refund.status), |at| refund.parts.get(at).map(|part| part.status));
    let is_so = match verdict {
        Verdict::Succeeded => status == Some(RefundStatus::Succeeded),
        Verdict::Failed => status == Some(RefundStatus::Failed),
    };
    let (about, said) = (subject(&refund.id, part), words(&refund.id, part, verdict, note));
    // The last word about it: an earlier one may have been taken back.
    let is_about =
        |entry: &&TimelineEntry| entry.what == RESOLVED && entry.detail.as_ref().is_some_and(|detail| detail.starts_with(&about));
    is_so && timeline.iter().rfind(is_about).is_some_and(|last| last.detail.as_ref() == Some(&said))
}

fn subject(id: &RefundId, part: Option<usize>) -> String {
    part.map_or_else(|| format!("{id} "), |at| format!("{id} part {at} "))
}

fn words(id: &RefundId, part: Option<usize>, verdict: Verdict, note: &str) -> String {
    let verdict = match verdict {
        Verdict::Succeeded => "succeeded",
        Verdict::Failed => "failed",
    };
    format!("{}{verdict}: {note}", subject(id, part))
}
