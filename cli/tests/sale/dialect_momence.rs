//! A client that is written for Momence's host checkout changes its base URL and its key.

use super::momence_shop::{MEMBER, buy, cart, numbered, open, pay};
use crate::support::{
    catalogue::{FUTURE, PAST, put, session, with},
    client::{Client, Reply, fresh_key},
    system::System,
};
use boxoffice_testkit::snapshot::steady;
use reqwest::Method;
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

/// A provider is waited for longer than an answer waits.
pub const SLOW: &[(&str, &str)] = &[("BOXOFFICE_PROVIDER_TIMEOUT_MS", "12000"), ("BOXOFFICE_LEASE_MS", "20000")];
/// Where it is mounted: as published, and whole.
const MOUNTS: [&str; 2] = ["", "/momence"];

pub async fn story(system: &System) {
    let shop = system.shop();
    let published: Value = serde_json::from_str(include_str!("../fixtures/momence_checkout.json")).unwrap();
    open(&shop).await;
    for mount in MOUNTS {
        for side in ["host", "member"] {
            let base = format!("{mount}/api/v2/{side}/checkout");
            what_is_published_is_answered_as_published(&shop, &base, &published).await;
            each_error_of_the_page_has_its_situation(&shop, &base, &published).await;
        }
        whatever_is_wrong_is_said_in_their_shape(system, &shop, mount).await;
    }
    prices_are_with_and_without_tax_and_a_right_one_is_demanded(&shop, &published).await;
    every_membership_is_told_with_what_keeps_it_from_paying(&shop, &published).await;
    several_packs_pay_together(&shop).await;
    what_the_member_has_to_confirm_is_told_and_stays_open(&shop).await;
    the_books_are_the_same_as_of_a_sale_of_ours(&shop).await;
    a_key_and_no_key(&shop).await;
    a_client_that_heard_nothing_is_not_charged_again(&shop).await;
}

/// Every documented field is there, of a documented type, and nothing else.
#[track_caller]
fn fits(value: &Value, published: &Value, schema: &str) {
    let (fields, schema) = (value.as_object().unwrap(), published["schemas"][schema].as_object().unwrap());
    assert_eq!(fields.keys().collect::<BTreeSet<_>>(), schema.keys().collect::<BTreeSet<_>>(), "{value}");
    for (field, kinds) in schema {
        let kind = match &fields[field] {
            Value::String(_) => "string",
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
            Value::Number(number) if number.is_i64() => "integer",
            Value::Number(_) => "number",
        };
        assert!(kinds.as_array().unwrap().contains(&json!(kind)), "{field} in {value}");
    }
}

#[track_caller]
fn refused(reply: &Reply, status: u16, kind: &str) -> String {
    let body = reply.json();
    assert_eq!((reply.status, body["type"].as_str()), (status, Some(kind)), "{}", reply.text);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()) && body.as_object().unwrap().len() == 2, "{body}");
    body["message"].as_str().unwrap().to_owned()
}

async fn what_is_published_is_answered_as_published(shop: &Client, base: &str, published: &Value) {
    for name in ["membership", "saved", "subscription", "custom", "free"] {
        let body = &published["requests"][name];
        let purchase = pay(shop, base, body).await.expect(200);
        fits(&purchase, published, "purchase");
        let [item] = purchase["purchasedItems"].as_array().unwrap().as_slice() else { panic!("{purchase}") };
        fits(item, published, if name == "subscription" { "membership" } else { "session" });
        insta::assert_json_snapshot!(format!("momence_{name}"), steady(&numbered(&purchase)));
        // It stands in the books like a sale of ours.
        let sold = shop.get(&format!("/v1/checkouts?customer={MEMBER}&limit=1")).await.expect(200)["data"][0].clone();
        assert_eq!((&sold["status"], &sold["currency"]), (&json!("succeeded"), &json!("usd")), "{sold}");
        let charges = if matches!(name, "saved" | "subscription") { vec!["captured".to_owned()] } else { Vec::new() };
        assert_eq!(shop.charged(sold["id"].as_str().unwrap()).await, charges, "{name}");
    }
}

/// A situation for each: what has to be told, and what is asked for.
fn situations() -> Vec<(&'static str, Value)> {
    let saved = json!([{"id": "1", "type": "saved_payment_method", "savedPaymentMethodId": 5155}]);
    let packs = |ids: &[u64]| {
        let method = |(at, id): (usize, &u64)| json!({"id": at.to_string(), "type": "membership", "boughtMembershipId": id});
        ids.iter().enumerate().map(method).collect::<Value>()
    };
    let places = |sessions: &[u64]| {
        let item = |(at, id): (usize, &u64)| json!({"id": at.to_string(), "type": "session", "sessionId": id, "attemptedPriceInCurrency": "15.00"});
        sessions.iter().enumerate().map(item).collect::<Value>()
    };
    let yoga = |methods: Value| cart(places(&[100]), methods);
    let member = json!([{"id": "1", "type": "subscription", "membershipId": 789, "attemptedPriceInCurrency": "49.99"}]);
    let first = places(&[100])[0].clone();
    vec![
        ("err-no-payment-methods", yoga(json!([]))),
        ("err-no-payment-methods", json!({"memberId": 12345, "items": places(&[100])})),
        ("err-no-items", cart(json!([]), saved.clone())),
        ("err-too-many-items", cart(places(&[100; 51]), saved.clone())),
        ("err-combined-payment-methods", yoga(json!([packs(&[25568])[0], {"id": "x", "type": "free"}]))),
        ("err-cannot-pay-for-membership-with-membership", cart(member, packs(&[25568]))),
        ("err-multiple-membership-types", yoga(packs(&[25568, 25570]))),
        ("err-multiple-subscriptions", yoga(packs(&[25570, 25571]))),
        ("err-saved-card-not-found", yoga(json!([{"id": "1", "type": "saved_payment_method", "savedPaymentMethodId": 9999}]))),
        ("err-cart-validation-failed", cart(json!([with(&first, json!({"attemptedPriceInCurrency": "14.99"}))]), saved.clone())),
        ("err-cart-validation-failed", cart(json!([with(&first, json!({"attemptedPriceInCurrency": "14.99"}))]), packs(&[25568]))),
        ("err-cart-validation-failed", cart(places(&[404]), saved.clone())),
        ("err-cart-validation-failed", with(&yoga(saved.clone()), json!({"memberId": 404}))),
        ("err-payment-failed", yoga(json!([{"id": "1", "type": "saved_payment_method", "savedPaymentMethodId": 5156}]))),
        ("err-duplicate-membership-payment-methods", yoga(packs(&[25568, 25568]))),
        ("err-invalid-membership-payment-method", yoga(packs(&[404]))),
        ("err-invalid-membership-payment-method", yoga(packs(&[30001]))),
        ("err-incompatible-membership", yoga(packs(&[25572]))),
        ("err-incompatible-membership", yoga(packs(&[25573]))),
        ("err-incompatible-membership", cart(places(&[109]), packs(&[25568]))),
        ("err-unsupported-payment-methods", yoga(json!([{"id": "1", "type": "cheque"}]))),
        ("err-unsupported-payment-methods", yoga(json!([{"id": "1", "type": "free"}]))),
        ("err-session-has-invalid-state", cart(places(&[101]), saved.clone())),
        ("err-session-has-invalid-state", cart(places(&[102]), saved.clone())),
        ("err-session-has-passed", cart(places(&[103]), saved.clone())),
        ("err-session-sales-ended", cart(places(&[104]), saved.clone())),
        ("err-session-dropins-not-allowed", cart(places(&[105]), saved.clone())),
        ("err-session-is-full", cart(places(&[106]), saved.clone())),
        ("err-session-purchase-limit-reached", cart(places(&[107]), saved.clone())),
        ("err-session-access-restricted", cart(places(&[108]), saved.clone())),
        ("err-duplicate-item-ids", cart(json!([first, first]), saved.clone())),
        (
            "err-duplicate-payment-method-ids",
            yoga(json!([packs(&[25568])[0], with(&packs(&[25569])[0], json!({"boughtMembershipId": 25569}))])),
        ),
        ("err-unsupported-item-type", cart(json!([with(&first, json!({"type": "appointment"}))]), saved.clone())),
        ("err-missing-customer-date-of-birth", cart(places(&[110]), saved.clone())),
        (
            "err-customer-age-prevents-from-action",
            with(&cart(places(&[110]), json!([{"type": "custom", "customPaymentMethodId": 3}])), json!({"memberId": 12346})),
        ),
        ("err-invalid-custom-payment-method", yoga(json!([{"id": "1", "type": "custom", "customPaymentMethodId": 404}]))),
        ("err-invalid-custom-payment-method", yoga(json!([{"id": "1", "type": "custom", "customPaymentMethodId": 4}]))),
    ]
}

async fn each_error_of_the_page_has_its_situation(shop: &Client, base: &str, published: &Value) {
    let mut seen = BTreeSet::new();
    for (kind, body) in situations() {
        let reply = pay(shop, base, &body).await;
        assert_eq!(reply.json()["type"], kind, "{body}: {}", reply.text);
        refused(&reply, 400, kind);
        fits(&reply.json(), published, "error");
        seen.insert(kind);
    }
    let listed: BTreeSet<&str> = published["errors"].as_array().unwrap().iter().map(|kind| kind.as_str().unwrap()).collect();
    assert_eq!(seen, listed);
}

async fn whatever_is_wrong_is_said_in_their_shape(system: &System, shop: &Client, mount: &str) {
    let path = format!("{mount}/api/v2/host/checkout");
    let good = buy(100, "15.00");
    for (body, at) in [
        (with(&good, json!({"memberId": null})), "memberId"),
        (with(&good, json!({"memberId": -1})), "memberId"),
        (with(&good, json!({"memberId": "4242424242424242"})), "memberId"),
        (with(&good, json!({"items": {}})), "items"),
        (with(&good, json!({"items": [1]})), "items[0]"),
        (with(&good, json!({"items": [{"type": "session", "sessionId": 1.5, "attemptedPriceInCurrency": "1"}]})), "items[0].sessionId"),
        (with(&good, json!({"items": [{"type": "session", "attemptedPriceInCurrency": "1"}]})), "items[0].sessionId"),
        (with(&good, json!({"items": [{"type": "session", "sessionId": 100}]})), "items[0].attemptedPriceInCurrency"),
        (
            with(&good, json!({"items": [{"type": "session", "sessionId": 100, "attemptedPriceInCurrency": 15}]})),
            "items[0].attemptedPriceInCurrency",
        ),
        (buy(100, "fifteen"), "items[0].attemptedPriceInCurrency"),
        (buy(100, "15.001"), "items[0].attemptedPriceInCurrency"),
        (buy(100, "1500"), "items[0].attemptedPriceInCurrency"),
    ] {
        let message = refused(&pay(shop, &path, &body).await, 400, "err-cart-validation-failed");
        assert!(message.starts_with(&format!("{at}: ")), "{body}: {message}");
    }
    refused(&pay(&shop.with_key(None), &path, &good).await, 401, "err-unauthenticated");
    refused(&shop.send(shop.request(Method::POST, &path).body("{")).await, 415, "err-unsupported-media-type");
    let broken = shop.request(Method::POST, &path).header("content-type", "application/json").body("{");
    refused(&shop.send(broken).await, 400, "err-cart-validation-failed");
    refused(&shop.get(&path).await, 405, "err-method-not-allowed");
    refused(&shop.get(&format!("{mount}/api/v2/host/nothing")).await, 404, "err-not-found");
    // What they do not document is no reason to refuse.
    assert_eq!(pay(shop, &path, &with(&good, json!({"a_new_field": [1]}))).await.status, 200);
    let stranger = system.newcomer(&format!("momence{}", mount.len()), &["--scopes", "checkouts:read"]).await;
    refused(&pay(&stranger, &path, &good).await, 403, "err-scope-missing");
    refused(&pay(&stranger, &format!("{path}/prices"), &good).await, 400, "err-cart-validation-failed");
}

async fn prices_are_with_and_without_tax_and_a_right_one_is_demanded(shop: &Client, published: &Value) {
    let items = json!([
        {"id": "a", "type": "session", "sessionId": 200},
        {"id": "b", "type": "subscription", "membershipId": "789"},
        {"type": "session", "sessionId": 15525},
    ]);
    let asked = json!({"memberId": 12345, "items": items, "paymentMethods": [], "homeLocationId": 1});
    for path in ["/api/v2/host/checkout/prices", "/momence/api/v2/member/checkout/prices"] {
        let prices = pay(shop, path, &asked).await.expect(200);
        fits(&prices, published, "prices");
        prices["itemsWithPrices"].as_array().unwrap().iter().for_each(|price| fits(price, published, "price"));
        insta::assert_json_snapshot!("momence_prices", steady(&prices));
    }
    let yen = json!({"memberId": 12345, "items": [{"id": "1", "type": "session", "sessionId": 201}]});
    assert_eq!(pay(shop, "/api/v2/host/checkout/prices", &yen).await.expect(200)["totalInCurrency"], "1100");
    let mixed = json!({"memberId": 12345, "items": [{"type": "session", "sessionId": 201}, {"type": "session", "sessionId": 200}]});
    refused(&pay(shop, "/api/v2/host/checkout/prices", &mixed).await, 400, "err-cart-validation-failed");
    // The one with tax is the right one, and another one sells nothing.
    for wrong in ["10.00", "11.99", "0"] {
        refused(&pay(shop, "/api/v2/host/checkout", &buy(200, wrong)).await, 400, "err-cart-validation-failed");
    }
    assert_eq!(shop.left("200").await.0, 0);
    pay(shop, "/api/v2/host/checkout", &buy(200, "12")).await.expect(200);
    assert_eq!(shop.left("200").await.0, 1);
}

async fn every_membership_is_told_with_what_keeps_it_from_paying(shop: &Client, published: &Value) {
    let asked = json!({"memberId": 12345, "items": [{"id": "1", "type": "session", "sessionId": 100}]});
    let told = pay(shop, "/api/v2/host/checkout/compatible-memberships", &asked).await.expect(200);
    let items = told["items"].as_array().unwrap();
    for item in items {
        fits(&item["boughtMembership"], published, "bought");
        fits(&item["boughtMembership"]["membership"], published, "origin");
    }
    let why = |id: u64| {
        let found = items.iter().find(|item| item["boughtMembership"]["id"] == id).unwrap_or_else(|| panic!("{id}: {told}"));
        found["incompatibility"].as_str().map(str::to_owned)
    };
    for (id, code) in [
        (25568, None),
        (25570, None),
        (25572, Some("session-bought-membership-frozen")),
        (25573, Some("session-bought-membership-no-event-credits-left")),
        (25574, Some("session-membership-excluded")),
        (25575, Some("session-bought-membership-pack-will-expire")),
        (25576, Some("session-bought-membership-starts-later")),
    ] {
        assert_eq!(why(id).as_deref(), code, "{id}");
    }
    // What was bought here before is told by the number that it was told by then.
    let bought = pay(shop, "/api/v2/host/checkout", &published["requests"]["subscription"]).await.expect(200);
    let id = bought["purchasedItems"][0]["boughtMembershipId"].clone();
    let told = pay(shop, "/api/v2/member/checkout/compatible-memberships", &asked).await.expect(200);
    let new = told["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["boughtMembership"]["id"] == id)
        .unwrap_or_else(|| panic!("{id}: {told}"));
    insta::assert_json_snapshot!("momence_compatible", steady(&numbered(new)));
    let pays = json!([{"id": "1", "type": "membership", "boughtMembershipId": id}]);
    pay(shop, "/api/v2/host/checkout", &with(&buy(100, "15.00"), json!({"paymentMethods": pays}))).await.expect(200);
    // So is one of the catalogue's whose id is no number, and it is sold by that.
    let ours = shop.put(&format!("/v1/customers/{MEMBER}/bought-memberships/25577"), &json!({"membership": "mem_words"})).await;
    assert_eq!(ours.status, 201, "{}", ours.text);
    let told = pay(shop, "/api/v2/host/checkout/compatible-memberships", &asked).await.expect(200);
    let new = told["items"].as_array().unwrap().iter().find(|item| item["boughtMembership"]["id"] == 25577).unwrap();
    let number = new["boughtMembership"]["membership"]["id"].clone();
    let item = json!([{"id": "1", "type": "subscription", "membershipId": number, "attemptedPriceInCurrency": "9.00"}]);
    let bought = pay(shop, "/api/v2/host/checkout", &with(&buy(100, "15.00"), json!({"items": item}))).await.expect(200);
    assert_eq!(bought["purchasedItems"][0]["type"], "membership", "{bought}");
    let only = json!({"memberId": 12345, "items": [{"id": "1", "type": "subscription", "membershipId": 789}]});
    let told = pay(shop, "/api/v2/host/checkout/compatible-memberships", &only).await.expect(200);
    assert!(
        told["items"].as_array().unwrap().iter().all(|item| item["incompatibility"] == "session-bought-membership-invalid-type"),
        "{told}"
    );
}

async fn several_packs_pay_together(shop: &Client) {
    let one = |id: &str| json!({"membership": "789", "credits": 1, "metadata": {"id": id}});
    for id in ["31001", "31002"] {
        shop.put(&format!("/v1/customers/{MEMBER}/bought-memberships/{id}"), &one(id)).await;
    }
    let place = |id: &str| json!({"id": id, "type": "session", "sessionId": 100, "attemptedPriceInCurrency": "15.00"});
    let methods = json!([
        {"id": "1", "type": "membership", "boughtMembershipId": 31001},
        {"id": "2", "type": "membership", "boughtMembershipId": 31002},
    ]);
    let purchase = pay(shop, "/api/v2/host/checkout", &cart(json!([place("a"), place("b")]), methods)).await.expect(200);
    assert_eq!(purchase["purchasedItems"].as_array().unwrap().len(), 2);
    for id in ["31001", "31002"] {
        let pack = shop.get(&format!("/v1/customers/{MEMBER}/bought-memberships/{id}")).await.expect(200);
        assert_eq!(pack["credits_left"], 0, "{pack}");
    }
}

async fn what_the_member_has_to_confirm_is_told_and_stays_open(shop: &Client) {
    super::momence_shop::card(shop, MEMBER, "5158", "tok_3ds").await;
    let by_3ds = json!([{"id": "1", "type": "saved_payment_method", "savedPaymentMethodId": 5158}]);
    let body = with(&buy(100, "15.00"), json!({"paymentMethods": by_3ds}));
    for _ in 0..2 {
        let message = refused(&pay(shop, "/api/v2/host/checkout", &body).await, 503, "err-checkout-pending");
        assert!(message.contains("http"), "{message}");
    }
    let sold = shop.get(&format!("/v1/checkouts?customer={MEMBER}&status=awaiting_payment")).await.expect(200);
    let [only] = sold["data"].as_array().unwrap().as_slice() else { panic!("{sold}") };
    let path = format!("/v1/checkouts/{}", only["id"].as_str().unwrap());
    shop.post(&format!("{path}/cancel"), &json!({})).await;
    shop.eventually(&path, |checkout| checkout["status"] == "canceled").await;
    refused(&pay(shop, "/api/v2/host/checkout", &body).await, 400, "err-payment-failed");
}

async fn the_books_are_the_same_as_of_a_sale_of_ours(shop: &Client) {
    pay(shop, "/api/v2/host/checkout", &buy(200, "12.00")).await.expect(200);
    let theirs = shop.get(&format!("/v1/checkouts?customer={MEMBER}&limit=1")).await.expect(200)["data"][0].clone();
    let methods = json!({"methods": [{"type": "saved_method", "id": "5155"}]});
    let line = json!({"type": "session", "session": "200", "total_amount": 1200});
    let ours = shop.buy(&json!({"customer": MEMBER, "currency": "usd", "lines": [line], "payment": methods})).await;
    shop.books_agree(&theirs["id"], &ours["id"]).await;
}

async fn a_key_and_no_key(shop: &Client) {
    let (body, key) = (buy(100, "15.00"), fresh_key());
    let keyed =
        async |path: &str, body: &Value| shop.send(shop.request(Method::POST, path).header("idempotency-key", &key).json(body)).await;
    let first = keyed("/api/v2/host/checkout", &body).await.expect(200);
    let again = keyed("/momence/api/v2/host/checkout", &body).await;
    assert_eq!((again.header("idempotent-replayed"), again.json()), (Some("true"), first.clone()));
    refused(&keyed("/api/v2/host/checkout", &buy(100, "15")).await, 400, "err-idempotency-key-reused");
    // Prices change, and what was bought before stays bought.
    put(shop, "sessions", "100", with(&session(10_000), json!({"unit_amount": 1600}))).await;
    assert_eq!(keyed("/api/v2/host/checkout", &body).await.expect(200), first);
    refused(&pay(shop, "/api/v2/host/checkout", &body).await, 400, "err-cart-validation-failed");
    put(shop, "sessions", "100", with(&session(10_000), json!({"compatible_memberships": ["789", "790"]}))).await;
    let other = pay(shop, "/api/v2/host/checkout", &body).await.expect(200);
    assert_ne!(other["purchasedItems"], first["purchasedItems"]);
}

/// The provider takes its time, and the client's patience ends first, twice.
async fn a_client_that_heard_nothing_is_not_charged_again(shop: &Client) {
    let body = slow_buyer(shop).await;
    for _ in 0..2 {
        let request = shop.request(Method::POST, "/api/v2/host/checkout").timeout(Duration::from_millis(700)).json(&body);
        assert!(request.send().await.is_err(), "the provider is slower than this");
    }
    let (one, twin) = tokio::join!(pay(shop, "/api/v2/host/checkout", &body), pay(shop, "/momence/api/v2/host/checkout", &body));
    assert_eq!(one.expect(200), twin.expect(200));
    assert_eq!(of_slow(shop).await, ["captured"]);
}

async fn slow_buyer(shop: &Client) -> Value {
    put(shop, "customers", "cus_slow", json!({"external_id": "777"})).await;
    super::momence_shop::card(shop, "cus_slow", "5157", "tok_timeout_charged").await;
    put(shop, "sessions", "120", with(&session(100), json!({"starts_at": FUTURE}))).await;
    with(
        &buy(120, "15.00"),
        json!({"memberId": 777, "paymentMethods": [{"id": "1", "type": "saved_payment_method", "savedPaymentMethodId": 5157}]}),
    )
}

/// What the one sale to the slow member was charged.
async fn of_slow(shop: &Client) -> Vec<String> {
    let all = shop.get("/v1/checkouts?customer=cus_slow").await.expect(200);
    let [only] = all["data"].as_array().unwrap().as_slice() else { panic!("{all}") };
    let id = only["id"].as_str().unwrap();
    assert_eq!(shop.settled(id).await["status"], "succeeded");
    shop.charged(id).await
}

/// A provider that takes longer than an answer waits: what is told leaves the request open, and the same one finds the same sale.
pub async fn slow(system: &System) {
    let shop = system.shop();
    let body = slow_buyer(&shop).await;
    let first = pay(&shop, "/api/v2/host/checkout", &body).await;
    refused(&first, 503, "err-checkout-pending");
    assert_eq!(first.header("retry-after"), Some("2"));
    assert_eq!(of_slow(&shop).await, ["captured"]);
    let bought = pay(&shop, "/api/v2/host/checkout", &body).await.expect(200);
    assert!(bought["purchasedItems"][0]["sessionBookingId"].is_i64(), "{bought}");
    assert_eq!(of_slow(&shop).await, ["captured"]);
    // What a member waits for that has begun already is told by the session itself.
    put(&shop, "sessions", "121", with(&session(1), json!({"starts_at": PAST}))).await;
    refused(&pay(&shop, "/api/v2/host/checkout", &with(&body, buy_of(121))).await, 400, "err-session-has-passed");
}

fn buy_of(session: u64) -> Value {
    json!({"items": buy(session, "15.00")["items"]})
}
