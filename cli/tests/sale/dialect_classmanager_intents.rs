//! A basket is paid with an intent, once, however often it is asked for.

use super::classmanager_school::{authorized, authorized_by, basket, check_out, morning, refused, school, trial};
use crate::support::{
    catalogue::{put, with},
    client::{Client, fresh_key},
    system::System,
};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// A provider is waited for longer than an answer waits.
pub const SLOW: &[(&str, &str)] = &[("BOXOFFICE_PROVIDER_TIMEOUT_MS", "12000"), ("BOXOFFICE_LEASE_MS", "20000")];

pub async fn an_intent_pays_one_basket_once(system: &System, shop: &Client) {
    let not_with = async |intent: Value, exception: &str| {
        refused(&check_out(shop, "", &morning(intent)).await, 422, exception);
    };
    not_with(authorized(shop, "tok_visa", 499).await, "payment_intent_amount_mismatch").await;
    not_with(authorized_by(shop, "tok_visa", 500, "family:fml_weasley").await, "payment_intent_owner_mismatch").await;
    let euros = json!({"token": "tok_visa", "amount": 500, "currency": "eur", "owner": "family:fml_potter"});
    not_with(shop.post("/sandbox/payment-intents", &euros).await.expect(201)["id"].clone(), "payment_intent_currency_mismatch").await;
    let stranger = system.newcomer("other-school", &[]).await;
    not_with(authorized(&stranger, "tok_visa", 500).await, "payment_intent_not_found").await;
    not_with(authorized(shop, "tok_timeout_declined", 500).await, "generic_decline").await;
    let card = shop.post("/sandbox/payment-intents", &with(&euros, json!({"token": "tok_declined"}))).await;
    assert_eq!(card.expect_problem(422, "card_declined")["param"], "token");
    let intent = authorized(shop, "tok_visa", 500).await;
    check_out(shop, "", &morning(intent.clone())).await.expect(200);
    let another = basket(&[], &[trial("2060-08-20", "09:00:00")], intent);
    refused(&check_out(shop, "", &another).await, 422, "payment_intent_used");
    // By any name of who pays, too.
    for owner in ["external_id:stu_harry", "customer:cus_harry"] {
        check_out(shop, "", &morning(authorized_by(shop, "tok_visa", 500, owner).await)).await.expect(200);
    }
    // Of eight who come with one at the same time one pays, and the places of the others are free again.
    let (intent, before) = (authorized(shop, "tok_visa", 500).await, shop.left("ses_paid").await);
    let keyed = || {
        let request = shop.request(Method::POST, "/v1/basket/fml_potter/checkout");
        shop.send(request.header("idempotency-key", fresh_key()).json(&morning(intent.clone())))
    };
    let replies = join_all((0..8).map(|_| keyed())).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1, "{replies:?}");
    replies.iter().filter(|reply| reply.status != 200).for_each(|reply| drop(refused(reply, 422, "payment_intent_used")));
    assert_eq!(shop.left("ses_paid").await.0, before.0 + 1);
    a_native_checkout_pays_with_one(shop).await;
}

async fn a_native_checkout_pays_with_one(shop: &Client) {
    let methods = |intent: &Value, rest: &[Value]| {
        let mut methods = vec![json!({"type": "payment_intent", "id": intent})];
        methods.extend(rest.iter().cloned());
        json!({"currency": "usd", "customer": "cus_harry", "lines": [{"type": "custom", "name": "Shoes", "unit_amount": 800}], "payment": {"methods": methods}})
    };
    let sale = shop.buy(&methods(&authorized(shop, "tok_visa", 800).await, &[])).await;
    assert_eq!((&sale["status"], &sale["amount_paid"]), (&json!("succeeded"), &json!(800)), "{sale}");
    let id = sale["id"].as_str().unwrap();
    let refund = shop
        .request(Method::POST, &format!("/v1/checkouts/{id}/refunds"))
        .header("idempotency-key", fresh_key())
        .json(&json!({"amount": 300}));
    let refund = shop.send(refund).await.expect(202);
    shop.eventually(&format!("/v1/refunds/{}", refund["id"].as_str().unwrap()), |refund| refund["status"] == "succeeded").await;
    assert_eq!(shop.charges(id).await[0]["amount_refunded"], 300);
    let lost = shop.buy(&methods(&authorized(shop, "tok_timeout_not_charged", 800).await, &[])).await;
    assert_eq!((&lost["status"], shop.charged(lost["id"].as_str().unwrap()).await), (&json!("succeeded"), vec!["captured".to_owned()]));
    // Beside a card that is refused it is given up, and beside one that is not both are taken.
    let split = |token: &str| json!({"type": "card", "token": token, "amount": 300});
    let both = shop.buy(&methods(&authorized(shop, "tok_visa", 500).await, &[split("tok_visa")])).await;
    assert_eq!((&both["status"], shop.charged(both["id"].as_str().unwrap()).await.len()), (&json!("succeeded"), 2), "{both}");
    let undone = shop.buy(&methods(&authorized(shop, "tok_visa", 500).await, &[split("tok_declined")])).await;
    assert_eq!(undone["status"], "failed", "{undone}");
    let charged = shop.charged(undone["id"].as_str().unwrap()).await;
    assert!(charged.iter().any(|status| status == "voided") && !charged.iter().any(|status| status == "captured"), "{charged:?}");
    let used = shop.buy(&methods(&json!("pi_1_0000000000000000"), &[])).await;
    assert_eq!((&used["error"]["code"], &used["error"]["decline_code"]), (&json!("payment_failed"), &json!("payment_intent_not_found")));
    let guest = json!({"currency": "usd", "lines": [{"type": "custom", "name": "Shoes", "unit_amount": 800}], "payment": {"methods": [{"type": "payment_intent", "id": "pi_1"}]}});
    shop.refused(&guest).await.expect_problem(400, "parameter_missing");
}

pub async fn a_key_and_no_key(shop: &Client) {
    let body = morning(authorized(shop, "tok_visa", 500).await);
    let key = fresh_key();
    let keyed = async |mount: &str, body: &Value| {
        let request = shop.request(Method::POST, &format!("{mount}/v1/basket/fml_potter/checkout"));
        shop.send(request.header("idempotency-key", &key).json(body)).await
    };
    let first = keyed("", &body).await.expect(200);
    let again = keyed("/classmanager", &body).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.expect(200), first, "wherever it is mounted");
    let other = morning(authorized(shop, "tok_visa", 500).await);
    refused(&keyed("", &other).await, 422, "idempotency_key_reused");
    // What was sold is told, whatever has become of the family since.
    let harry = |family: &str| json!({"external_id": "stu_harry", "family": family, "name": "Harry Potter", "date_of_birth": "2014-01-01"});
    put(shop, "customers", "cus_harry", harry("fml_dursley")).await;
    assert_eq!(keyed("", &body).await.expect(200)[0]["transaction"]["orderId"], first[0]["transaction"]["orderId"]);
    refused(&check_out(shop, "", &other).await, 403, "participant_not_in_family");
    put(shop, "customers", "cus_harry", harry("fml_potter")).await;
    // An intent pays once: the same request without a key can mean nothing but that sale.
    let sold = check_out(shop, "", &other).await.expect(200);
    assert_eq!(check_out(shop, "", &other).await.expect(200), sold);
}

/// The provider takes its time, and the client's patience ends first, twice.
pub async fn a_client_that_heard_nothing_is_not_charged_again(shop: &Client) {
    let (intent, before) = (authorized(shop, "tok_timeout_charged", 500).await, shop.left("ses_paid").await.0);
    let body = morning(intent);
    for _ in 0..2 {
        let request = shop.request(Method::POST, "/v1/basket/fml_potter/checkout").timeout(Duration::from_millis(700)).json(&body);
        assert!(request.send().await.is_err(), "the provider is slower than this");
    }
    let (told, twin) = tokio::join!(check_out(shop, "", &body), check_out(shop, "/classmanager", &body));
    let (told, twin) = (told.expect(200), twin.expect(200));
    assert_eq!(told, twin);
    assert_eq!(shop.left("ses_paid").await.0, before + 1);
    assert_eq!(shop.charged(told[0]["transaction"]["orderId"].as_str().unwrap()).await, ["captured"]);
}

/// A provider that takes longer than an answer waits: the answer leaves the request open, and the same one finds the same sale.
pub async fn slow(system: &System) {
    let shop = system.shop();
    school(&shop).await;
    let body = morning(authorized(&shop, "tok_timeout_charged", 500).await);
    let first = check_out(&shop, "", &body).await;
    refused(&first, 503, "processing");
    assert!(first.header("retry-after").is_some());
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    let told = loop {
        let reply = check_out(&shop, "/classmanager", &body).await;
        assert!(matches!(reply.status, 200 | 503) && tokio::time::Instant::now() < deadline, "{}", reply.text);
        if reply.status == 200 {
            break reply.json();
        }
    };
    assert_eq!(shop.charged(told[0]["transaction"]["orderId"].as_str().unwrap()).await, ["captured"]);
    assert_eq!(shop.left("ses_paid").await.0, 1);
}
