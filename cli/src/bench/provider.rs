//! Whom the engine under load charges through: its sandbox, or Stripe, whose part is played in this process.

use super::{
    args::BenchArgs,
    client::{Connection, Origin, Question},
    error::BenchError,
    scenario::{Check, put},
};
use boxoffice_testkit::{
    program::Recipe,
    stripe::{Settings, StripeStandIn},
};
use clap::ValueEnum;
use data_encoding::BASE64;
use http::Method;
use serde::Deserialize;
use serde_json::json;

/// What events are signed with.
const WEBHOOK_SECRET: &str = "whsec_bench0123456789abcdef";
/// How many payments its book keeps; of older ones nothing is checked.
const KEPT: usize = 200_000;

/// Whom the servers charge through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Provider {
    /// The sandbox.
    Sandbox,
    /// A stand-in for Stripe's HTTP API, over HTTP.
    Stripe,
}

#[derive(Deserialize)]
struct Account {
    id: String,
}

/// Starts the stand-in that `args` ask for, if they do.
pub(super) async fn stand_in(args: &BenchArgs) -> Result<Option<StripeStandIn>, BenchError> {
    if args.provider == Provider::Sandbox {
        return Ok(None);
    }
    let stripe = StripeStandIn::start_with(Settings { kept: KEPT, ..Settings::default() }).await?;
    stripe.faults().set_latency(args.provider_latency);
    Ok(Some(stripe))
}

/// A server that finds it.
pub(super) fn found_by(recipe: Recipe, stripe: Option<&StripeStandIn>) -> Recipe {
    let Some(stripe) = stripe else { return recipe };
    let key = BASE64.encode(&rand::random::<[u8; 32]>());
    recipe.env("BOXOFFICE_STRIPE_URL", stripe.url()).env("BOXOFFICE_SECRETS_KEY", key)
}

/// Tells the server at `origin` how its provider is to be reached, and the provider how long it takes. `sandbox` is where the sandbox is.
pub(super) async fn set_up(
    args: &BenchArgs,
    stripe: Option<&StripeStandIn>,
    origin: &Origin,
    url: &str,
    sandbox: &Origin,
) -> Result<(), BenchError> {
    let Some(stripe) = stripe else {
        let latency_ms = u64::try_from(args.provider_latency.as_millis()).unwrap_or(u64::MAX);
        if latency_ms == 0 {
            return Ok(());
        }
        let behaviour = json!({"latency_ms": latency_ms}).to_string();
        return put(&mut Connection::new(sandbox.clone()), Question::new(Method::POST, "/sandbox/behaviour", behaviour)).await.map(drop);
    };
    let credentials = json!({"secret_key": stripe.secret_key(), "webhook_secrets": [WEBHOOK_SECRET]});
    let body = json!({"provider": "stripe", "name": "Bench", "credentials": credentials}).to_string();
    let added = put(&mut Connection::new(origin.clone()), Question::new(Method::POST, "/v1/providers", body)).await?;
    let account: Account = serde_json::from_slice(&added.body)
        .map_err(|_| BenchError::Api { what: "adding the account".to_owned(), fault: added.unexpected() })?;
    if args.provider_events {
        stripe.webhooks().add(&format!("{url}/webhooks/stripe/{}", account.id), WEBHOOK_SECRET);
    }
    Ok(())
}

/// What must hold of its book.
pub(super) fn check(stripe: &StripeStandIn) -> Check {
    let charged = stripe.book().captures_by("reference");
    let twice = charged.values().filter(|captures| captures.len() > 1).count();
    Check { what: format!("{twice} of {} sales in Stripe's book charged twice", charged.len()), holds: twice == 0 && !charged.is_empty() }
}
