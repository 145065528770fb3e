//! A studio that takes its money through Stripe: a system, a stand-in, and the account between them.

use crate::support::{
    catalogue::{put, session},
    client::Client,
    system::{Deployment, System},
};
use boxoffice_testkit::stripe::{Capture, StripeStandIn};
use serde_json::{Value, json};

/// What events of Stripe's are signed with.
pub const SECRET: &str = "whsec_standin0123456789abcdef";
/// The account's key for browsers.
pub const PUBLISHABLE: &str = "pk_test_standin0123456789";
/// 32 bytes for tests: what credentials are sealed with.
const SEALED_WITH: &str = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=";

pub struct Studio {
    pub system: System,
    pub stripe: StripeStandIn,
    pub shop: Client,
    /// The account, `pac_…`.
    pub account: String,
}

impl Studio {
    pub async fn open(deployment: Deployment) -> Self {
        Self::open_with(deployment, &[]).await
    }

    pub async fn open_with(deployment: Deployment, more: &[(&str, &str)]) -> Self {
        let stripe = StripeStandIn::start().await.unwrap();
        let mut env = vec![
            ("BOXOFFICE_SECRETS_KEY", SEALED_WITH),
            ("BOXOFFICE_STRIPE_URL", stripe.url()),
            ("BOXOFFICE_PROVIDER_TIMEOUT_MS", "4000"),
            ("BOXOFFICE_LEASE_MS", "8000"),
            ("BOXOFFICE_CALLBACK_SCHEDULE_MS", "0,200,400,800,1600"),
        ];
        env.extend_from_slice(more);
        let system = deployment.start(&env).await;
        let shop = system.shop();
        let account = add_account(&shop, "Main", &stripe, SECRET).await;
        let url = format!("{}/webhooks/stripe/{account}", system.server.base_url());
        stripe.webhooks().add(&url, SECRET);
        put(&shop, "sessions", "ses_stripe", session(1_000)).await;
        Self { system, stripe, shop, account }
    }

    pub async fn close(self) {
        self.system.finish().await;
    }

    /// What Stripe's book has captured for a checkout.
    pub fn captures(&self, checkout: &str) -> Vec<Capture> {
        self.stripe.book().captures_with("reference", checkout)
    }
}

/// Adds an account, and says its id.
pub async fn add_account(shop: &Client, name: &str, stripe: &StripeStandIn, secret: &str) -> String {
    let credentials = json!({"secret_key": stripe.secret_key(), "publishable_key": PUBLISHABLE, "webhook_secrets": [secret]});
    let added = shop.post("/v1/providers", &json!({"provider": "stripe", "name": name, "credentials": credentials})).await.expect(201);
    assert!(!added.to_string().contains(stripe.secret_key()), "{added}");
    added["id"].as_str().unwrap().to_owned()
}

/// A checkout of one place, paid with this card.
pub fn by_card(token: &str) -> Value {
    crate::support::catalogue::places("ses_stripe", 1, token)
}
