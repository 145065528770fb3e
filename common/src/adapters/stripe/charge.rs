//! Charges by token: one request that makes a PaymentIntent and confirms it.

use super::{
    answer::{IdOnly, Intent},
    calls::Calls,
    look_up,
    outcome::{declined, no, not_done, not_seen, of_charge},
    page,
    request::{self, Token},
    units,
    verdict::{Done, Refused, Said},
};
use crate::domain::attempt::{MoneyRequest, Outcome};

/// Charges, or opens the page to pay on.
pub(super) async fn charge(calls: &Calls<'_>, request: &MoneyRequest) -> Outcome {
    if request.push.is_some() || request.intent.is_some() {
        return no("method_not_supported");
    }
    let amount = match units::to_stripe(request.currency, request.amount) {
        Some(amount) if amount > 0 => amount,
        Some(_) => return no("invalid_amount"),
        None => return no("amount_not_countable"),
    };
    if let Some((visit, page)) = request.visit.as_ref().and_then(|visit| visit.page.as_ref().map(|page| (visit, page))) {
        return Box::pin(page::open(calls, request, visit, page, amount)).await;
    }
    let Some(token) = request.token.as_ref().and_then(|token| Token::parse(token.reveal())) else { return no("invalid_token") };
    let keeper = match keeper(calls, request, token).await {
        Ok(keeper) => keeper,
        Err(outcome) => return outcome,
    };
    let built = request::charge(request, token, amount, keeper.as_deref(), calls.account);
    match calls.post::<Intent>(built, &request.key).await {
        Said::Done(done) => answered(calls, request, done).await,
        Said::Refused(refused) => refused_charge(&refused),
        // The same answer would come again and again. Whether there is a payment is what matters.
        Said::Unknown(unknown) if unknown.is_stuck => {
            // In a box, as other rare ways below: whoever waits for an answer need not have room for them.
            let found = Box::pin(look_up::find_charge(calls, request, None)).await;
            if agrees(&found, request) { found } else { Outcome::Unknown(unknown.cause) }
        }
        said => not_done(said),
    }
}

/// The customer that a new card is to be kept with, made under a key of its own. Whatever goes wrong here, no money was asked for.
async fn keeper(calls: &Calls<'_>, request: &MoneyRequest, token: Token<'_>) -> Result<Option<String>, Outcome> {
    if !request.keep_card || token.is_saved() {
        return Ok(None);
    }
    let built = request::customer(request.reference.as_str(), calls.account);
    match calls.post::<IdOnly>(built, &format!("{}c", request.key)).await.without::<IdOnly>() {
        Ok(done) => Ok(Some(done.object.id)),
        Err(Said::Unknown(unknown)) => {
            let cause = format!("no customer to keep the card with: {}; no payment was asked for", unknown.cause);
            Err(Outcome::NotSent { cause, retry_after: None })
        }
        Err(said) => Err(not_done(said)),
    }
}

async fn answered(calls: &Calls<'_>, request: &MoneyRequest, done: Done<Intent>) -> Outcome {
    let is_over = matches!(done.object.status.as_str(), "succeeded" | "canceled");
    if !done.is_replayed || is_over {
        return of_charge(&done.object, request, done.request_id.as_deref());
    }
    // What Stripe said the first time. It may have moved on since.
    match calls.intent(&done.object.id).await {
        Said::Done(now) => Box::pin(look_up::settle(calls, request, now)).await,
        said => not_seen(said),
    }
}

/// Whether what was found is an answer to this very request. Under a key that Stripe has for other parameters there may be another payment.
pub(super) fn agrees(found: &Outcome, request: &MoneyRequest) -> bool {
    match found {
        Outcome::Approved(receipt) | Outcome::Authorized(receipt) => {
            (receipt.amount, receipt.currency) == (request.amount, request.currency)
        }
        Outcome::Declined(_) | Outcome::RequiresAction { .. } | Outcome::RequiresForm { .. } | Outcome::Pending { .. } => true,
        Outcome::Unknown(_) | Outcome::NotSent { .. } => false,
    }
}

/// A refusal is an end once the payment that it left behind is at rest. Nobody but us can confirm that: its client secret was told to nobody.
fn refused_charge(refused: &Refused) -> Outcome {
    match refused.problem.payment_intent.as_ref().map(|intent| intent.status.as_str()) {
        None | Some("requires_payment_method" | "canceled") => declined(refused),
        Some(status) => Outcome::Unknown(format!("refused with {}, and the payment is {status}", refused.problem.reason())),
    }
}
