//! Plans: sold with a card that stays, or not at all; what a shop can do about the subscription; who is told.

use crate::support::{
    catalogue::{order, put, with},
    client::{Client, callback},
    system::System,
};
use boxoffice_testkit::Receiver;
use serde_json::{Value, json};

pub async fn story(system: &System) {
    let (shop, receiver) = (system.shop(), Receiver::start().await.unwrap());
    let plan = json!({"name": "Gym", "unit_amount": 3100, "currency": "usd", "interval": "month"});
    put(&shop, "plans", "pln_gym", plan.clone()).await;
    put(&shop, "plans", "pln_trial", with(&plan, json!({"trial_days": 14}))).await;
    put(&shop, "plans", "pln_gone", with(&plan, json!({"status": "archived"}))).await;
    let pack = json!({"name": "Eight", "unit_amount": 0, "currency": "usd", "type": "pack", "credits": 8});
    put(&shop, "memberships", "mem_eight", pack).await;
    put(&shop, "plans", "pln_first", with(&plan, json!({"anchor_day": 1, "proration": "first_period", "membership": "mem_eight"}))).await;
    put(&shop, "customers", "cus_gym", json!({})).await;
    what_does_not_renew_is_refused(&shop).await;
    a_sale_starts_it_and_a_failed_one_does_not(&shop, &receiver).await;
    a_part_of_a_period_and_what_it_gives(&shop).await;
    what_a_shop_can_do(&shop, &receiver).await;
}

fn plans(plans: &[&str]) -> Value {
    let lines: Vec<Value> = plans.iter().map(|plan| json!({"type": "plan", "plan": plan})).collect();
    with(&order(json!(lines), "tok_visa"), json!({"customer": "cus_gym"}))
}

fn paid(methods: Value) -> Value {
    with(&plans(&["pln_gym"]), json!({"payment": {"methods": methods}}))
}

async fn what_does_not_renew_is_refused(shop: &Client) {
    let cash = json!({"type": "custom", "name": "cash"});
    for (body, status, code, param) in [
        (paid(json!([cash])), 422, "payment_method_invalid", "payment.methods[0]"),
        (paid(json!([{"type": "card", "token": "tok_visa", "amount": 100}, cash])), 422, "payment_method_invalid", "payment.methods"),
        (with(&plans(&["pln_gym"]), json!({"payment": {"hosted": {}}})), 422, "payment_method_invalid", "payment"),
        (with(&plans(&["pln_gym"]), json!({"customer": null})), 400, "parameter_missing", "customer"),
        (plans(&["pln_gone"]), 422, "resource_missing", "lines[0].plan"),
        (plans(&["pln_gym", "pln_none"]), 422, "resource_missing", "lines[1].plan"),
    ] {
        let problem = shop.refused(&body).await.expect_problem(status, code);
        assert_eq!(problem["param"], param, "{body}");
    }
    // A trial costs nothing now, and needs a method all the same.
    let mut free = plans(&["pln_trial"]);
    free.as_object_mut().unwrap().remove("payment");
    shop.refused(&free).await.expect_problem(422, "payment_method_invalid");
    let bad = shop
        .put("/v1/plans/pln_bad", &json!({"name": "x", "unit_amount": 1, "currency": "usd", "interval": "month", "anchor_day": 32}))
        .await;
    assert_eq!(bad.expect_problem(400, "parameter_invalid")["param"], "anchor_day");
}

async fn a_sale_starts_it_and_a_failed_one_does_not(shop: &Client, receiver: &Receiver) {
    let declined = shop.buy(&with(&paid(json!([{"type": "card", "token": "tok_declined"}])), json!({}))).await;
    let never = declined["lines"][0]["subscription"].as_str().unwrap();
    assert_eq!((declined["status"].as_str(), shop.get(&format!("/v1/subscriptions/{never}")).await.status), (Some("failed"), 404));
    let body = with(&plans(&["pln_gym", "pln_trial"]), json!({"callback_url": receiver.url()}));
    let sale = shop.buy(&body).await;
    assert_eq!((&sale["status"], &sale["amount_total"]), (&json!("succeeded"), &json!(3100)), "{sale}");
    for (line, status, n) in [(0, "active", 1), (1, "trialing", 0)] {
        let line = &sale["lines"][line];
        let id = line["subscription"].as_str().unwrap();
        let told = callback(receiver, "subscription.created", id).await.json();
        let subscription = shop.get(&format!("/v1/subscriptions/{id}")).await.expect(200);
        assert_eq!(told["data"], subscription);
        assert_eq!((&subscription["status"], &subscription["period"]["n"]), (&json!(status), &json!(n)));
        assert_eq!((&subscription["period"], &subscription["due_at"]), (&line["period"], &line["period"]["until"]));
        let method = subscription["payment_method"].as_str().unwrap();
        let method = shop.get(&format!("/v1/customers/cus_gym/payment-methods/{method}")).await;
        assert!(!method.text.contains("tok_visa") && method.expect(200).get("brand").is_none());
    }
}

/// A price for what is left of the month, and eight credits until then.
async fn a_part_of_a_period_and_what_it_gives(shop: &Client) {
    let body = with(&plans(&["pln_first"]), json!({}));
    let sale = shop.buy(&body).await;
    let line = &sale["lines"][0];
    let due = line["amount"].as_i64().unwrap();
    assert!((0..3100).contains(&due) && line["terms"]["unit_amount"] == 3100, "{line}");
    assert!(line["period"]["until"].as_str().unwrap().ends_with("-01T00:00:00.000Z"), "{line}");
    let bought = line["gives"]["bought_membership"].as_str().unwrap();
    let bought = shop.get(&format!("/v1/customers/cus_gym/bought-memberships/{bought}")).await.expect(200);
    assert_eq!((&bought["credits_left"], &bought["valid_until"]), (&json!(8), &line["period"]["until"]));
}

async fn what_a_shop_can_do(shop: &Client, receiver: &Receiver) {
    let sale = shop.buy(&with(&plans(&["pln_gym"]), json!({"callback_url": receiver.url()}))).await;
    let id = sale["lines"][0]["subscription"].as_str().unwrap();
    let path = |action: &str| format!("/v1/subscriptions/{id}{action}");
    let holiday = json!({"reason": "holiday"});
    for (action, body, status, reason) in [
        ("/pause", &holiday, "paused", json!("holiday")),
        ("/pause", &json!({}), "paused", json!("holiday")),
        ("/resume", &json!({}), "active", json!(null)),
    ] {
        let changed = shop.post(&path(action), body).await.expect(200);
        assert_eq!((&changed["status"], &changed["pause_reason"]), (&json!(status), &reason), "{action}");
    }
    shop.post(&path("/pause"), &json!({"reason": "x".repeat(256)})).await.expect_problem(400, "parameter_invalid");
    callback(receiver, "subscription.updated", id).await;
    shop.post(&path("/payment-method"), &json!({"id": "pm_none"})).await.expect_problem(422, "payment_method_invalid");
    let card = json!({"type": "card", "token": "tok_declined", "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2030});
    assert_eq!(shop.put("/v1/customers/cus_gym/payment-methods/pm_other", &card).await.status, 201);
    assert_eq!(shop.post(&path("/payment-method"), &json!({"id": "pm_other"})).await.expect(200)["payment_method"], "pm_other");
    let ending = shop.post(&path("/cancel"), &json!({"at_period_end": true})).await.expect(200);
    assert_eq!((&ending["status"], &ending["cancel_at_period_end"]), (&json!("active"), &json!(true)));
    let listed = shop.get("/v1/subscriptions?customer=cus_gym&status=active&limit=1").await.expect(200);
    assert_eq!(listed["data"][0]["id"], id, "newest first");
    let ended = shop.post(&path("/cancel"), &json!({})).await.expect(200);
    assert_eq!((&ended["status"], &ended["due_at"]), (&json!("canceled"), &Value::Null));
    callback(receiver, "subscription.canceled", id).await;
    assert_eq!(shop.post(&path("/cancel"), &json!({})).await.expect(200), ended, "asked again");
    shop.post(&path("/resume"), &json!({})).await.expect_problem(409, "subscription_ended");
    shop.post("/v1/subscriptions/sub_none/pause", &json!({})).await.expect_problem(404, "not_found");
}
