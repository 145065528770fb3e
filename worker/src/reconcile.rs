//! What `boxoffice reconcile` mends: an attempt is looked up at the provider, and its word goes the way of an event.
//!
//! Nothing is written that a provider's event would not write. Whoever works on the attempt at the same time, here or in another process,
//! settles it by the same compare-and-set: one of the two finds it settled.

use crate::{
    WorkerContext,
    lane::StepError,
    provider_event::{Carried, carry_out},
};
use boxoffice_common::domain::{
    attempt::{Attempt, AttemptKind, AttemptStatus, Decline, Outcome, Receipt},
    checkout::Checkout,
    id::CheckoutId,
    provider_event::{About, EventAccount, ToldMoney, Verdict, Word, judge},
};

/// What came of mending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mended {
    /// The checkout moved, and whoever has to be told is told.
    Moved,
    /// Our books agree by now.
    Agrees,
    /// Not now, or not like this: the words say why. Nothing was changed.
    Not(&'static str),
}

/// Why an attempt could not be mended. What was written, if anything, is whole; its follow-ups are due.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct MendError(StepError);

/// Asks the provider what became of attempt `n`, a charge or a refund of this account, and settles it by that word as by an event. What
/// somebody else holds is left alone. May be repeated.
pub async fn mend(context: &WorkerContext, account: &EventAccount, checkout: &CheckoutId, n: u32) -> Result<Mended, MendError> {
    try_to_mend(context, account, checkout, n).await.map_err(MendError)
}

async fn try_to_mend(context: &WorkerContext, account: &EventAccount, id: &CheckoutId, n: u32) -> Result<Mended, StepError> {
    let Some(checkout) = context.store.checkout(id).await? else { return Ok(Mended::Not("there is no such checkout")) };
    let Some(attempt) = checkout.attempts.iter().find(|attempt| attempt.n == n) else { return Ok(Mended::Not("there is no such attempt")) };
    if !account.owns(&checkout) || !account.has_sent(attempt) {
        return Ok(Mended::Not("it is of another account"));
    }
    let now = context.store.now().await?;
    if checkout.attempts.iter().any(|attempt| attempt.is_leased(now)) {
        return Ok(Mended::Not("a worker has it in hand"));
    }
    let provider = context.registry.provider(&attempt.provider, attempt.request.account.as_ref(), &checkout.scope).await?;
    let Some(provider) = provider else { return Ok(Mended::Not("its account does not work here")) };
    let outcome = provider.look_up(attempt).await;
    let Some(told) = told(&checkout, attempt, &outcome) else {
        return Ok(Mended::Not("the provider gives no definite answer about it now"));
    };
    let verdict = with_all_that_was_said(judge(&checkout, account, &told), attempt, outcome);
    Ok(match carry_out(context, &checkout, verdict, None).await? {
        Carried::Moved => Mended::Moved,
        Carried::Known => Mended::Agrees,
        Carried::Review(why) | Carried::Later(why) => Mended::Not(why),
    })
}

/// The provider's answer in the words of an event. Nothing but a definite one says anything.
fn told(checkout: &Checkout, attempt: &Attempt, outcome: &Outcome) -> Option<ToldMoney> {
    let about = match attempt.request.kind {
        AttemptKind::Charge => About::Charge,
        AttemptKind::Refund => About::Refund,
        AttemptKind::Capture | AttemptKind::Void => return None,
    };
    let (provider_reference, amount, currency, reusable, word) = match outcome {
        Outcome::Approved(Receipt { provider_reference, amount, currency, reusable, .. }) => {
            (provider_reference.clone(), *amount, *currency, reusable.clone(), Word::Moved)
        }
        Outcome::Declined(Decline { provider_reference, decline_code, message, advice, .. }) => {
            let known = provider_reference.clone().or_else(|| attempt.provider_reference.clone())?;
            let word = Word::Refused { code: decline_code.clone(), message: message.clone(), advice: *advice };
            (known, attempt.request.amount, attempt.request.currency, None, word)
        }
        Outcome::Authorized(_)
        | Outcome::RequiresAction { .. }
        | Outcome::RequiresForm { .. }
        | Outcome::Pending { .. }
        | Outcome::Unknown(_)
        | Outcome::NotSent { .. } => {
            return None;
        }
    };
    Some(ToldMoney {
        about,
        reference: checkout.id.clone(),
        key: attempt.request.key.clone(),
        provider_reference,
        // It was asked for by the name that we know.
        pending_as: attempt.provider_reference.clone(),
        reusable,
        amount,
        currency,
        word,
    })
}

/// An answer says more than an event: the fee, and by which request. Of a charge that is known it is the fee that is missing.
fn with_all_that_was_said(verdict: Verdict, attempt: &Attempt, outcome: Outcome) -> Verdict {
    let n = attempt.n;
    let is_known = attempt.request.kind == AttemptKind::Charge && attempt.status == AttemptStatus::Approved;
    let lacks_fee = is_known && attempt.fee.is_none() && matches!(&outcome, Outcome::Approved(receipt) if receipt.fee.is_some());
    match verdict {
        Verdict::Settle { .. } => Verdict::Settle { n, outcome },
        Verdict::Known if lacks_fee => Verdict::Settle { n, outcome },
        verdict => verdict,
    }
}
