//! The way back to the shop: one of the checkout's own two addresses, with a signed query. Nothing in a request can name another one.

use crate::context::ApiContext;
use boxoffice_common::{
    adapters::callback::signature::{self, generate_secret},
    domain::{checkout::Checkout, error::Code, secret::Secret, state::Status},
    ports::store::StoreError,
};
use tokio::time::Instant;
use url::Url;

/// The state once more, by the name that Monime's clients read it by: their sessions stand in spaces.
const IN_A_SPACE: &str = "callbackState";

/// What is signed: four lines, the last one empty where the checkout has no `callback_state`. No part can hold a line break.
fn canonical(checkout: &Checkout, end: Status) -> String {
    let state = checkout.order.callback_state.as_deref().unwrap_or_default();
    format!("v1\n{}\n{end}\n{state}", checkout.id)
}

/// The address that fits how it ended: `success_url` when it is paid, else `cancel_url`.
fn address(checkout: &Checkout, end: Status) -> Option<&str> {
    match end {
        Status::Succeeded => checkout.order.success_url.as_deref(),
        Status::Canceled | Status::Expired | Status::Failed => checkout.order.cancel_url.as_deref(),
        _ => None,
    }
}

fn with_query(address: &str, checkout: &Checkout, end: Status, secret: &Secret<String>) -> Option<Url> {
    let filled = address.replace("{CHECKOUT_ID}", checkout.id.as_str());
    // Addresses were checked when the checkout was made; what is not one is nowhere to go.
    let mut url = Url::parse(&filled).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let signature = signature::sign_text(secret, &canonical(checkout, end)).ok()?;
    let ours = ["checkout_id", "status", "callback_state", IN_A_SPACE, "signature"];
    if url.query_pairs().any(|(name, _)| ours.contains(&name.as_ref())) {
        // One value for each name: what reads the query must not have to choose.
        let kept: Vec<(String, String)> = url.query_pairs().into_owned().filter(|(name, _)| !ours.contains(&name.as_str())).collect();
        url.query_pairs_mut().clear().extend_pairs(kept);
    }
    let mut query = url.query_pairs_mut();
    query.append_pair("checkout_id", checkout.id.as_str()).append_pair("status", end.as_str());
    if let Some(state) = &checkout.order.callback_state {
        query.append_pair("callback_state", state);
        if checkout.order.space.is_some() {
            query.append_pair(IN_A_SPACE, state);
        }
    }
    query.append_pair("signature", &signature);
    drop(query);
    Some(url)
}

/// Whether it ended for another one of its reference: that one leads back to the shop, and an end that is told here would be taken for its.
pub(super) fn leads_nowhere(checkout: &Checkout) -> bool {
    checkout.error.as_ref().is_some_and(|error| matches!(error.code, Code::Replaced | Code::AlreadyPaid))
}

/// Where the browser goes from a checkout that has ended so, if the shop said so. Of one that is paid only what is frozen is looked at.
pub(super) async fn back(ctx: &ApiContext, checkout: &Checkout, end: Status) -> Result<Option<String>, StoreError> {
    let Some(address) = address(checkout, end).filter(|_| !leads_nowhere(checkout)) else { return Ok(None) };
    let secret = match ctx.pages().secret_of(&checkout.scope) {
        Some(secret) => secret,
        None => {
            let asked = Instant::now();
            let secret = ctx.store().default_secret(&checkout.scope, &generate_secret(ctx.entropy())).await?;
            ctx.pages().read_secret(&checkout.scope, asked, secret)
        }
    };
    Ok(with_query(address, checkout, end, &secret).map(String::from))
}

#[cfg(test)]
#[path = "redirect_tests.rs"]
mod tests;
