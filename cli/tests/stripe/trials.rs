//! Plans at Stripe: a free trial is begun with a card that Stripe keeps, or not at all; what is due behind it, and behind a first period that was
//! charged, is charged to that very card when nobody is there.

use crate::{
    studio::Studio,
    support::{
        catalogue::{order, put, with},
        client::Client,
        system::Deployment,
    },
};
use boxoffice_testkit::stripe::SeenRequest;
use serde_json::{Value, json};
use std::time::Duration;

const INTENTS: &str = "/v1/payment_intents";
/// The trial is over, and the first month of who has none; no second month is.
const LATER: Duration = Duration::from_secs(33 * 24 * 3600);

pub async fn story(studio: &mut Studio) {
    let shop = studio.shop.clone();
    let plan = json!({"name": "Gym", "unit_amount": 3100, "currency": "usd", "interval": "month"});
    put(&shop, "plans", "pln_month", plan.clone()).await;
    put(&shop, "plans", "pln_trial", with(&plan, json!({"trial_days": 7}))).await;
    for customer in ["cus_raw", "cus_trial", "cus_poor", "cus_month"] {
        put(&shop, "customers", customer, json!({})).await;
    }
    a_raw_token_begins_no_trial(studio).await;
    let trial = trial_with(studio, "cus_trial", "pm_card_mastercard").await;
    let poor = trial_with(studio, "cus_poor", "pm_card_chargeCustomerFail").await;
    assert!(charges(studio).is_empty(), "a trial charges nothing");
    let month = shop.buy(&plan_for("cus_month", "pln_month", &json!({"type": "card", "token": "pm_card_visa"}))).await;
    assert_eq!((&month["status"], &month["amount_paid"]), (&json!("succeeded"), &json!(3100)), "{month}");
    let month = month["lines"][0]["subscription"].as_str().unwrap().to_owned();
    let first = charges(studio).remove(0);
    assert_eq!(first.params().text("setup_future_usage"), Some("off_session"), "what is charged is kept");

    if studio.system.deployment == Deployment::Embedded {
        // Else its clock stays where the database's is.
        studio.stripe.advance(LATER);
    }
    studio.system.go_ahead(LATER).await;
    let renewed = subscription(&shop, &trial, |now| now["period"]["n"] == 1).await;
    assert_eq!(renewed["status"], "active", "{renewed}");
    is_charged_to_the_kept_card(studio, "cus_trial", "mastercard").await;
    let renewed = subscription(&shop, &month, |now| now["period"]["n"] == 2).await;
    assert_eq!(renewed["status"], "active", "{renewed}");
    is_charged_to_the_kept_card(studio, "cus_month", "visa").await;
    let unpaid = subscription(&shop, &poor, |now| now["failed_renewals"] == 1).await;
    assert_eq!((&unpaid["status"], &unpaid["error"]["code"]), (&json!("past_due"), &json!("card_declined")), "{unpaid}");
    assert_eq!(renewal_of(studio, "cus_poor").await.1, 0, "nothing was taken of it");
}

fn plan_for(customer: &str, plan: &str, method: &Value) -> Value {
    let plan = order(json!([{"type": "plan", "plan": plan}]), "");
    with(&plan, json!({"customer": customer, "payment": {"methods": [method]}}))
}

/// The requests that asked Stripe for money.
fn charges(studio: &Studio) -> Vec<SeenRequest> {
    studio.stripe.book().requests_to("POST", INTENTS)
}

async fn a_raw_token_begins_no_trial(studio: &Studio) {
    for method in [json!({"type": "card", "token": "pm_card_visa"}), json!({"type": "card", "token": "pm_card_visa", "provider": "stripe"})]
    {
        let refused = studio.shop.refused(&plan_for("cus_raw", "pln_trial", &method)).await;
        let problem = refused.expect_problem(422, "payment_method_invalid");
        assert_eq!(problem["param"], "payment.methods[0]", "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("saved_method"), "it says what to do: {problem}");
    }
    let of_nobody = studio.shop.get("/v1/subscriptions?customer=cus_raw").await.expect(200);
    assert_eq!(of_nobody["data"], json!([]));
    assert!(charges(studio).is_empty(), "Stripe was asked for nothing");
}

/// A trial that is begun with a card that was saved before. The subscription's id.
async fn trial_with(studio: &Studio, customer: &str, token: &str) -> String {
    let card = json!({"type": "card", "token": token, "brand": "unknown", "last4": "0000", "exp_month": 1, "exp_year": 2030});
    studio.shop.put(&format!("/v1/customers/{customer}/payment-methods/pm_saved"), &card).await.expect(201);
    let sale = studio.shop.buy(&plan_for(customer, "pln_trial", &json!({"type": "saved_method", "id": "pm_saved"}))).await;
    assert_eq!((&sale["status"], &sale["amount_total"]), (&json!("succeeded"), &json!(0)), "{sale}");
    let id = sale["lines"][0]["subscription"].as_str().unwrap();
    let begun = studio.shop.get(&format!("/v1/subscriptions/{id}")).await.expect(200);
    assert_eq!((&begun["status"], &begun["payment_method"]), (&json!("trialing"), &json!("pm_saved")), "{begun}");
    id.to_owned()
}

async fn subscription(shop: &Client, id: &str, holds: impl Fn(&Value) -> bool) -> Value {
    shop.eventually(&format!("/v1/subscriptions/{id}"), holds).await
}

/// The newest checkout of a customer's, and how often Stripe has taken money for it.
async fn renewal_of(studio: &Studio, customer: &str) -> (Value, usize) {
    let bought = studio.shop.get(&format!("/v1/checkouts?customer={customer}")).await.expect(200);
    assert_eq!(bought["data"].as_array().unwrap().len(), 2, "the sale and one renewal: {bought}");
    let renewal = bought["data"][0].clone();
    let taken = studio.captures(renewal["id"].as_str().unwrap()).len();
    (renewal, taken)
}

async fn is_charged_to_the_kept_card(studio: &Studio, customer: &str, brand: &str) {
    let (renewal, taken) = renewal_of(studio, customer).await;
    assert_eq!((&renewal["status"], &renewal["amount_paid"], taken), (&json!("succeeded"), &json!(3100), 1), "{renewal}");
    let intent = renewal["payment_attempts"][0]["provider_reference"].as_str().unwrap();
    let intent = studio.stripe.book().object(intent).unwrap();
    let (kept, keeper) = (intent["payment_method"].as_str().unwrap(), intent["customer"].as_str().unwrap());
    let card = studio.stripe.book().object(kept).unwrap();
    assert_eq!((&card["card"]["brand"], &card["customer"]), (&json!(brand), &json!(keeper)), "{intent}");
    let key = format!("{}_1", renewal["id"].as_str().unwrap());
    let asked = charges(studio).into_iter().find(|seen| seen.key.as_ref() == Some(&key)).unwrap();
    assert_eq!(asked.params().text("off_session"), Some("true"), "nobody is there");
}
