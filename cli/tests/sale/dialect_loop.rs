//! A client that is written for Loop's payments API changes its base URL and its key.

use crate::support::{
    catalogue::{custom, put, with},
    client::{Client, Reply, fresh_key},
    system::System,
};
use boxoffice_testkit::snapshot::steady;
use insta::assert_json_snapshot;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// A provider is waited for longer than an answer waits.
pub const SLOW: &[(&str, &str)] = &[("BOXOFFICE_PROVIDER_TIMEOUT_MS", "12000"), ("BOXOFFICE_LEASE_MS", "20000")];
/// Where it is mounted: as published, and whole.
const MOUNTS: [&str; 2] = ["", "/loop"];

pub async fn story(system: &System) {
    let shop = system.shop();
    let published: Value = serde_json::from_str(include_str!("../fixtures/loop_payment.json")).unwrap();
    let kinds = json!([{"id": "blue", "name": "Blue"}, {"id": "red", "name": "Red", "unit_amount": 2700}]);
    put(&shop, "products", "prd_mat", json!({"name": "Mat", "unit_amount": 2500, "currency": "usd", "variants": kinds})).await;
    put(&shop, "plans", "pln_loop", json!({"name": "Gym", "unit_amount": 3100, "currency": "usd", "interval": "month"})).await;
    put(&shop, "promo-codes", "LOOP10", json!({"percent_off_bp": 1000})).await;
    put(&shop, "customers", "cus_7", json!({"external_id": "member-7"})).await;
    card(&shop, "cus_7", "tok_visa").await;
    for mount in MOUNTS {
        what_is_published_is_answered_as_published(&shop, mount, &published).await;
        what_cannot_be_done_is_said_in_their_words(system, &shop, mount).await;
    }
    who_has_saved_nothing_pays_on_our_page(&shop).await;
    a_key_and_no_key(&shop).await;
    a_client_that_heard_nothing_is_not_charged_again(&shop).await;
    another_ones_card_is_never_charged(&shop).await;
    the_books_are_the_same_as_of_a_sale_of_ours(&shop).await;
}

async fn card(shop: &Client, customer: &str, token: &str) {
    let card = json!({"type": "card", "token": token, "brand": "visa", "last4": "4242", "exp_month": 3, "exp_year": 2061, "default": true});
    let put = shop.put(&format!("/v1/customers/{customer}/payment-methods/pm_1"), &card).await;
    assert!(matches!(put.status, 200 | 201), "{}", put.text);
}

async fn pay(shop: &Client, mount: &str, body: &Value) -> Reply {
    shop.post(&format!("{mount}/v1/checkout"), body).await
}

/// Every documented field is there, of a documented type.
fn is_a_payment(payment: &Value, published: &Value) {
    for (field, kinds) in published["schema"].as_object().unwrap() {
        let kind = match &payment[field] {
            Value::String(_) => "string",
            Value::Null if payment.as_object().unwrap().contains_key(field) => "null",
            other => panic!("{field} is {other} in {payment}"),
        };
        assert!(kinds.as_array().unwrap().contains(&json!(kind)), "{field} in {payment}");
    }
    for time in ["created_at", "updated_at"] {
        assert!(payment[time].as_str().unwrap().ends_with('Z'), "{payment}");
    }
}

async fn what_is_published_is_answered_as_published(shop: &Client, mount: &str, published: &Value) {
    let requests = &published["requests"];
    for (name, amount, mode, order) in [
        ("amount", "4200", "one_shot", json!("order-77")),
        ("products", "6930", "one_shot", json!(null)),
        ("plan", "3100", "subscription", json!(null)),
    ] {
        let payment = pay(shop, mount, &requests[name]).await.expect(201);
        is_a_payment(&payment, published);
        let told = ["customer_id", "order_id", "amount_cents", "currency", "status", "mode"].map(|field| payment[field].clone());
        let expected = [json!("member-7"), order, json!(amount), json!("usd"), json!("succeeded"), json!(mode)];
        assert_eq!(told, expected, "{name}: {payment}");
        assert_json_snapshot!(format!("loop_{name}"), steady(&payment));
        assert!(payment["stripe_payment_intent_id"].is_string(), "{payment}");
        let id = payment["id"].as_str().unwrap();
        assert_eq!(shop.get(&format!("{mount}/v1/payments/{id}")).await.expect(200), payment);
        assert_eq!(shop.charged(id).await, ["captured"]);
        assert_eq!(payment["subscription_id"].is_string(), mode == "subscription");
        if mode == "subscription" {
            a_subscription_is_shown_and_paused(shop, &payment).await;
        }
    }
    let products = shop.get("/v1/checkouts?limit=3").await.expect(200)["data"]
        .as_array()
        .unwrap()
        .iter()
        .any(|checkout| checkout["metadata"]["stripe_customer_id"] == "cus_at_stripe" && checkout["promo_code"] == "LOOP10");
    assert!(products, "what they say is kept");
}

async fn a_subscription_is_shown_and_paused(shop: &Client, payment: &Value) {
    let path = format!("/loop/v1/subscriptions/{}", payment["subscription_id"].as_str().unwrap());
    let shown = shop.get(&path).await.expect(200);
    let fields = ["customer_id", "subscription_plan_id", "status", "amount_cents"].map(|field| shown[field].clone());
    assert_eq!(fields, [json!("member-7"), json!("pln_loop"), json!("active"), json!("3100")], "{shown}");
    for _ in 0..2 {
        let paused = shop.post(&format!("{path}/pause"), &json!({"reason": "holiday"})).await.expect(200);
        assert_eq!((&paused["id"], &paused["status"]), (&shown["id"], &json!("paused")));
        let id = shown["id"].as_str().unwrap();
        assert_eq!(shop.get(&format!("/v1/subscriptions/{id}")).await.expect(200)["pause_reason"], "holiday");
    }
    refused(&shop.get("/loop/v1/subscriptions/sub_none").await, 404, "not_found");
    refused(&shop.post("/loop/v1/subscriptions/sub_none/pause", &json!({})).await, 404, "not_found");
}

#[track_caller]
fn refused(reply: &Reply, status: u16, error: &str) {
    let body = reply.json();
    assert_eq!((reply.status, body["error"].as_str()), (status, Some(error)), "{}", reply.text);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()) && body.as_object().unwrap().len() == 2, "{body}");
}

async fn what_cannot_be_done_is_said_in_their_words(system: &System, shop: &Client, mount: &str) {
    let amount = json!({"customer_id": "member-7", "amount_cents": 100});
    let item = json!({"product_id": "prd_mat", "variant_id": "blue", "qty": 1, "unit_amount_cents": 2500});
    let items = |more: Value| json!({"customer_id": "member-7", "line_items": [with(&item, more)]});
    for (body, error) in [
        (json!({}), "parameter_missing"),
        (with(&amount, json!({"customer_id": ""})), "parameter_invalid"),
        (json!({"customer_id": "member-7"}), "parameter_missing"),
        (json!({"customer_id": 7, "amount_cents": 100}), "parameter_invalid"),
        (with(&amount, json!({"amount_cents": 0})), "parameter_invalid"),
        (with(&amount, json!({"amount_cents": 1.5})), "parameter_invalid"),
        (with(&amount, json!({"currency": "dollars"})), "parameter_invalid"),
        (with(&amount, json!({"promo_code": "NONE"})), "promo_code_invalid"),
        (with(&amount, json!({"order_id": "4242424242424242"})), "card_number_refused"),
        (with(&amount, json!({"subscription_plan_id": "pln_loop"})), "price_mismatch"),
        (with(&items(json!({})), json!({"subscription_plan_id": "pln_loop"})), "parameter_invalid"),
        (json!({"customer_id": "member-7", "subscription_plan_id": "pln_none"}), "resource_missing"),
        (json!({"customer_id": "member-7", "line_items": []}), "parameter_invalid"),
        (items(json!({"qty": 0})), "parameter_invalid"),
        (items(json!({"unit_amount_cents": 2400})), "price_mismatch"),
        (items(json!({"unit_amount_cents": -1})), "parameter_invalid"),
        (items(json!({"variant_id": "green"})), "resource_missing"),
        (items(json!({"product_id": "prd_none"})), "resource_missing"),
        (with(&items(json!({})), json!({"amount_cents": 2400})), "parameter_invalid"),
    ] {
        let reply = pay(shop, mount, &body).await;
        assert_eq!(reply.status, 400, "{body}: {}", reply.text);
        refused(&reply, 400, error);
    }
    let said = pay(shop, mount, &items(json!({"unit_amount_cents": 2400}))).await.json();
    assert!(said["message"].as_str().unwrap().starts_with("line_items[0].unit_amount_cents: "), "{said}");
    // What they do not document is no reason to refuse: fields of a later version, say.
    assert_eq!(pay(shop, mount, &with(&amount, json!({"a_new_field": [1]}))).await.status, 201);
    refused(&pay(&shop.with_key(None), mount, &amount).await, 401, "unauthenticated");
    refused(&shop.send(shop.request(Method::POST, &format!("{mount}/v1/checkout")).body("{")).await, 415, "unsupported_media_type");
    let broken = shop.request(Method::POST, &format!("{mount}/v1/checkout")).header("content-type", "application/json").body("{");
    refused(&shop.send(broken).await, 400, "json_malformed");
    refused(&shop.get(&format!("{mount}/v1/checkout")).await, 405, "method_not_allowed");
    refused(&shop.get(&format!("{mount}/v1/payments/chk_none")).await, 404, "not_found");
    refused(&shop.get("/loop/v1/nothing").await, 404, "not_found");
    let sale = pay(shop, mount, &amount).await.expect(201);
    let stranger = system.newcomer(&format!("strangers{}", mount.len()), &["--scopes", "checkouts:read"]).await;
    refused(&stranger.get(&format!("{mount}/v1/payments/{}", sale["id"].as_str().unwrap())).await, 404, "not_found");
    refused(&pay(&stranger, mount, &amount).await, 403, "scope_missing");
}

async fn who_has_saved_nothing_pays_on_our_page(shop: &Client) {
    // Nobody knows this one yet.
    let payment = pay(shop, "", &json!({"customer_id": "member-new", "amount_cents": 900})).await.expect(201);
    assert_eq!((&payment["status"], &payment["stripe_payment_intent_id"]), (&json!("requires_payment"), &json!(null)), "{payment}");
    let page = shop.with_key(None).get(payment["payment_url"].as_str().unwrap()).await;
    assert!(page.status == 200 && page.text.contains("9.00"), "{}", page.text);
    refused(&pay(shop, "", &json!({"customer_id": "member-new", "subscription_plan_id": "pln_loop"})).await, 400, "payment_method_invalid");
    put(shop, "customers", "cus_poor", json!({"external_id": "member-poor"})).await;
    card(shop, "cus_poor", "tok_declined").await;
    let declined = pay(shop, "", &json!({"customer_id": "member-poor", "amount_cents": 900})).await.expect(201);
    assert_eq!((&declined["status"], &declined["failure_code"]), (&json!("failed"), &json!("card_declined")), "{declined}");
}

async fn a_key_and_no_key(shop: &Client) {
    let body = json!({"customer_id": "member-7", "amount_cents": 700, "order_id": "keyed"});
    let key = fresh_key();
    let keyed = async |body: &Value| shop.send(shop.request(Method::POST, "/v1/checkout").header("idempotency-key", &key).json(body)).await;
    let (first, again) = (keyed(&body).await.expect(201), keyed(&body).await.expect(201));
    assert_eq!(first, again);
    assert_eq!(keyed(&body).await.header("idempotent-replayed"), Some("true"));
    let whole = shop.request(Method::POST, "/loop/v1/checkout").header("idempotency-key", &key).json(&body);
    assert_eq!(shop.send(whole).await.expect(201), first, "wherever it is mounted");
    refused(&keyed(&with(&body, json!({"amount_cents": 701}))).await, 400, "idempotency_key_reused");
    // Without one each is a purchase of its own, once the one before was answered.
    let unkeyed = with(&body, json!({"order_id": "unkeyed"}));
    let (first, second) = (pay(shop, "", &unkeyed).await.expect(201), pay(shop, "", &unkeyed).await.expect(201));
    assert_ne!(first["id"], second["id"]);
}

async fn of_order(shop: &Client, order: &str) -> Vec<Value> {
    let all = shop.get(&format!("/v1/checkouts?reference={order}")).await.expect(200);
    all["data"].as_array().unwrap().clone()
}

/// The provider takes its time, and the client's patience ends first, twice.
async fn a_client_that_heard_nothing_is_not_charged_again(shop: &Client) {
    put(shop, "customers", "cus_slow", json!({"external_id": "member-slow"})).await;
    card(shop, "cus_slow", "tok_timeout_charged").await;
    let body = json!({"customer_id": "member-slow", "amount_cents": 800, "order_id": "slow"});
    for _ in 0..2 {
        let request = shop.request(Method::POST, "/v1/checkout").timeout(Duration::from_millis(700)).json(&body);
        assert!(request.send().await.is_err(), "the provider is slower than this");
    }
    let (payment, twin) = tokio::join!(pay(shop, "", &body), pay(shop, "/loop", &body));
    let (payment, twin) = (payment.expect(201), twin.expect(201));
    assert_eq!(payment["id"], twin["id"]);
    let checkouts = of_order(shop, "slow").await;
    assert_eq!((checkouts.len(), &checkouts[0]["id"]), (1, &payment["id"]), "{checkouts:?}");
    let id = payment["id"].as_str().unwrap();
    assert_eq!(shop.settled(id).await["status"], "succeeded");
    assert_eq!(shop.charged(id).await, ["captured"]);
}

/// Nobody whom their client does not know is charged, whatever he is called here.
async fn another_ones_card_is_never_charged(shop: &Client) {
    put(shop, "customers", "91001", json!({"external_id": "somebody"})).await;
    card(shop, "91001", "tok_visa").await;
    let new = pay(shop, "", &json!({"customer_id": "91001", "amount_cents": 500})).await.expect(201);
    assert_eq!((&new["status"], &new["customer_id"]), (&json!("requires_payment"), &json!("91001")), "{new}");
    put(shop, "customers", "cus_1002", json!({"family": "fam"})).await;
    put(shop, "customers", "cus_1003", json!({"family": "fam"})).await;
    card(shop, "cus_1002", "tok_visa").await;
    let relative = pay(shop, "", &json!({"customer_id": "cus_1003", "amount_cents": 500})).await.expect(201);
    assert_eq!(relative["status"], "requires_payment");
    let owner = pay(shop, "", &json!({"customer_id": "cus_1002", "amount_cents": 500})).await.expect(201);
    assert_eq!((&owner["status"], &owner["customer_id"]), (&json!("succeeded"), &json!("cus_1002")));
}

/// A provider that takes longer than an answer waits: what is told for now leaves the request open, and the same one finds the same payment.
pub async fn slow(system: &System) {
    let shop = system.shop();
    put(&shop, "customers", "cus_slow", json!({"external_id": "member-slow"})).await;
    card(&shop, "cus_slow", "tok_timeout_charged").await;
    let body = json!({"customer_id": "member-slow", "amount_cents": 800, "order_id": "slow"});
    let first = pay(&shop, "", &body).await.expect(201);
    assert_eq!(first["status"], "processing", "{first}");
    let id = first["id"].as_str().unwrap();
    assert_eq!(pay(&shop, "", &body).await.expect(201)["id"], id);
    assert_eq!(shop.settled(id).await["status"], "succeeded");
    assert_eq!((of_order(&shop, "slow").await.len(), shop.charged(id).await), (1, vec!["captured".to_owned()]));
}

async fn the_books_are_the_same_as_of_a_sale_of_ours(shop: &Client) {
    let theirs = pay(shop, "", &json!({"customer_id": "member-7", "amount_cents": 1300})).await.expect(201);
    let methods = json!({"methods": [{"type": "saved_method", "id": "pm_1"}]});
    let ours = shop.buy(&with(&custom(1300, "tok_visa"), json!({"customer": "cus_7", "payment": methods}))).await;
    shop.books_agree(&theirs["id"], &ours["id"]).await;
}
