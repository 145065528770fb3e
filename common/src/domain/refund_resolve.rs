//! An operator's word about a refund: the only way out of `needs_review`. And how it comes to our books, by an operator's word or by the
//! provider's own, that a provider did not give back after all what it had said it would.

use super::{
    attempt::{Attempt, AttemptKind, AttemptStatus, Decline},
    checkout::Checkout,
    effects::{DecideError, Effects},
    ends::Verdict,
    event::EventType,
    id::{Entropy, RefundId},
    ledger::{self, Entry, LedgerKind},
    money::Amount,
    refund::{self, Refund, RefundStatus},
    refund_credits,
    refund_part::{self, PENDING, RefundPart},
    settle::{self, due_for_the_rest},
    state::Status,
    time::Timestamp,
    timeline::TimelineEntry,
};

/// How the decision stands in the timeline.
pub const RESOLVED: &str = "refund.resolved";
/// Why it failed, in the place of a provider's reason.
const DECLINE_CODE: &str = "resolved_by_operator";

/// Decides. `None`: there is nothing about this refund that could be decided so; nothing changes.
///
/// What needs review becomes what the verdict says. What a provider has given back can still fail: bank accounts are closed, and the money
/// comes back to the provider. Places that came free stay free, because they may be sold again; what failed can be asked for once more.
pub fn resolve(
    checkout: Checkout,
    id: &RefundId,
    verdict: Verdict,
    note: &str,
    now: Timestamp,
    entropy: &Entropy,
) -> Result<Option<Effects>, DecideError> {
    let Some(found) = checkout.refunds.iter().find(|refund| refund.id == *id) else { return Ok(None) };
    let status = match (found.status, verdict) {
        (RefundStatus::NeedsReview, _) => RefundStatus::NeedsReview,
        (RefundStatus::Succeeded, Verdict::Failed) => RefundStatus::Succeeded,
        (RefundStatus::Pending | RefundStatus::Succeeded | RefundStatus::Failed, _) => return Ok(None),
    };
    if status == RefundStatus::Succeeded && has_credits(&checkout, &found.parts) {
        return Ok(None);
    }
    let is_meant = |part: &&RefundPart| part.status == status && part.attempt.is_some();
    let parts: Vec<RefundPart> = found.parts.iter().filter(is_meant).cloned().collect();
    if parts.is_empty() {
        return Ok(None);
    }
    let mut effects = Effects::start(checkout, now);
    effects.note(RESOLVED, words(id, verdict, note));
    for part in parts {
        let Some(n) = part.attempt else { continue };
        match verdict {
            Verdict::Succeeded => {
                effects.attempt(n)?.status = AttemptStatus::Approved;
                refund::gone(&mut effects, n, entropy)?;
            }
            Verdict::Failed => {
                if status == RefundStatus::Succeeded {
                    take_back(&mut effects, n, &part, id, entropy)?;
                }
                let attempt = effects.attempt(n)?;
                attempt.status = AttemptStatus::Declined;
                attempt.decline_code = Some(DECLINE_CODE.to_owned());
                let decline = Decline {
                    decline_code: DECLINE_CODE.to_owned(),
                    message: "an operator found that it did not go back".to_owned(),
                    provider_reference: None,
                };
                refund::refused(&mut effects, n, &decline, entropy)?;
            }
        }
    }
    due_for_the_rest(&mut effects, now);
    Ok(Some(effects))
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
            take_back(&mut effects, n, &part, &id, entropy)?;
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
    let account = if effects.checkout.status == Status::Succeeded { ledger::REVENUE } else { "unapplied" };
    let attempt = effects.attempt(n)?;
    let entries = ledger::refund_entries(&format!("provider:{}", attempt.provider), account, amount.negated(), attempt.id.as_str());
    effects.post(LedgerKind::RefundReversal, entries, entropy);
    effects.checkout.amount_refunded = effects.checkout.amount_refunded.minus(amount)?;
    if effects.checkout.status.is_terminal() {
        effects.events.push(EventType::RefundFailed);
        return Ok(());
    }
    settle::review(effects)
}

/// Money that went is there again: back to where only the promise stood.
fn take_back(effects: &mut Effects, n: u32, part: &RefundPart, id: &RefundId, entropy: &Entropy) -> Result<(), DecideError> {
    let account = format!("provider:{}", effects.attempt(n)?.provider);
    let entry =
        |account: &str, amount| Entry { account: account.to_owned(), amount, detail: "refund".to_owned(), entity: Some(id.to_string()) };
    effects.post(LedgerKind::RefundReversal, vec![entry(&account, part.amount), entry(PENDING, part.amount.negated())], entropy);
    effects.checkout.amount_refunded = effects.checkout.amount_refunded.minus(part.amount)?;
    Ok(())
}

/// Whether the same words have decided it before.
pub fn was_resolved(status: RefundStatus, timeline: &[TimelineEntry], id: &RefundId, verdict: Verdict, note: &str) -> bool {
    let is_so = match verdict {
        Verdict::Succeeded => status == RefundStatus::Succeeded,
        Verdict::Failed => status == RefundStatus::Failed,
    };
    let said = words(id, verdict, note);
    // The last word about it: an earlier one may have been taken back.
    let about =
        |entry: &&TimelineEntry| entry.what == RESOLVED && entry.detail.as_ref().is_some_and(|detail| detail.starts_with(id.as_str()));
    is_so && timeline.iter().rfind(about).is_some_and(|last| last.detail.as_ref() == Some(&said))
}

fn words(id: &RefundId, verdict: Verdict, note: &str) -> String {
    let verdict = match verdict {
        Verdict::Succeeded => "succeeded",
        Verdict::Failed => "failed",
    };
    format!("{id} {verdict}: {note}")
}
