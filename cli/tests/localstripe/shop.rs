//! The whole system in front of localstripe: a sale, its event, a decline, a kept card and a refund.

use crate::{
    server::{KEY, LONG, LocalStripe},
    support::{
        catalogue::{places, put, session, with},
        client::fresh_key,
        system::System,
    },
    without::Without,
};
use serde_json::{Value, json};

const SECRET: &str = "whsec_localstripe0123456789";
/// 32 bytes for tests: what credentials are sealed with.
const SEALED_WITH: &str = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_sells_takes_its_events_keeps_a_card_and_gives_back() {
    let mut stripe = LocalStripe::start().await;
    let way = Without::start(stripe.url(), None).await;
    let system = System::embedded(&[("BOXOFFICE_SECRETS_KEY", SEALED_WITH), ("BOXOFFICE_STRIPE_URL", way.url())]).await;
    let shop = system.shop();
    let credentials = json!({"secret_key": KEY, "webhook_secrets": [SECRET]});
    let added = shop.post("/v1/providers", &json!({"provider": "stripe", "name": "Main", "credentials": credentials})).await.expect(201);
    let hook = format!("{}/webhooks/stripe/{}", system.server.base_url(), added["id"].as_str().unwrap());
    stripe.tell(&hook, SECRET).await;
    put(&shop, "sessions", "ses_local", session(100)).await;
    let sold = shop.buy(&places("ses_local", 1, "pm_card_visa")).await;
    let id = sold["id"].as_str().unwrap();
    assert_eq!((&sold["status"], &sold["amount_paid"]), (&json!("succeeded"), &json!(1500)), "{sold}");
    let intents = stripe.all("payment_intents").await;
    assert_eq!((intents.len(), &intents[0]["metadata"]["reference"]), (1, &json!(id)));
    // The event comes a second behind the answer, and says what is known.
    let taken = stripe.program.wait_for_line("\"payment_intent.succeeded\" successfully delivered", LONG).await;
    assert!(taken.is_some(), "{:?}", stripe.program.log());
    let refused = shop.buy(&places("ses_local", 1, "pm_card_chargeCustomerFail")).await;
    assert_eq!((&refused["status"], &refused["error"]["code"]), (&json!("failed"), &json!("card_declined")), "{refused}");
    // From here on somebody signs with another secret.
    stripe.tell(&hook, "whsec_of_somebody_else").await;
    let ada = a_kept_card_pays(&system).await;
    let forged = stripe.program.wait_for_line("failed with response code 4", LONG).await;
    assert!(forged.is_some(), "{:?}", stripe.program.log());
    let asked = shop.request(reqwest::Method::POST, &format!("/v1/checkouts/{id}/refunds")).header("idempotency-key", fresh_key());
    let refund = shop.send(asked.json(&json!({"amount": 500}))).await;
    assert!(refund.status < 300, "{}", refund.text);
    shop.eventually(&format!("/v1/checkouts/{id}"), |checkout| checkout["amount_refunded"] == 500).await;
    let refunds = stripe.all("refunds").await;
    assert_eq!((refunds.len(), &refunds[0]["amount"], &refunds[0]["payment_intent"]), (1, &json!(500), &intents[0]["id"]));
    // Three were asked for, and nobody twice.
    let charged: Vec<Value> = stripe.all("payment_intents").await.iter().map(|intent| intent["metadata"]["reference"].clone()).collect();
    assert_eq!(charged, [json!(id), refused["id"].clone(), json!(ada)]);
    system.finish().await;
}

/// Which checkout.
async fn a_kept_card_pays(system: &System) -> String {
    let shop = system.shop();
    shop.put("/v1/customers/ada", &json!({"name": "Ada"})).await.expect(201);
    let card = json!({"type": "card", "token": "pm_card_visa", "brand": "unknown", "last4": "0000", "exp_month": 1, "exp_year": 2030});
    let kept = shop.put("/v1/customers/ada/payment-methods/pm_ada", &card).await.expect(201);
    assert_eq!((&kept["brand"], &kept["last4"]), (&json!("visa"), &json!("4242")), "{kept}");
    let saved = json!({"customer": "ada", "payment": {"methods": [{"type": "saved_method", "id": "pm_ada"}]}});
    let sold = shop.buy(&with(&places("ses_local", 1, ""), saved)).await;
    assert_eq!(sold["status"], "succeeded", "{sold}");
    sold["id"].as_str().unwrap().to_owned()
}
