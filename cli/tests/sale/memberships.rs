//! Memberships from the shop to the audit: a pack is sold, its credits pay for places together with a card, run out, and come back.

use crate::support::{
    catalogue::{put, session, with},
    client::{Client, fresh_key},
    system::System,
};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

pub async fn story(system: &System) {
    let shop = system.shop();
    let pack = json!({"name": "Three classes", "unit_amount": 4000, "currency": "usd", "type": "pack", "credits": 3});
    put(&shop, "memberships", "mem_three", pack).await;
    put(&shop, "customers", "cus_member", json!({"name": "Member"})).await;
    put(&shop, "sessions", "ses_members", with(&session(50), json!({"compatible_memberships": ["mem_three"]}))).await;
    let bought = sold(&shop).await;
    the_last_credits(&shop, &bought).await;
    saved(&shop).await;
}

/// A saved card pays, and is shown nowhere.
async fn saved(shop: &Client) {
    let path = "/v1/customers/cus_member/payment-methods/pm_1";
    let card = json!({"type": "card", "token": "tok_visa", "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2030});
    assert_eq!(shop.put(path, &card).await.status, 201);
    let place = json!([{"type": "session", "session": "ses_members", "quantity": 1}]);
    let sale = shop.buy(&paid(place, json!([{"type": "saved_method", "id": "pm_1"}]))).await;
    assert_eq!(sale["status"], "succeeded", "{sale}");
    assert_eq!(shop.charged(sale["id"].as_str().unwrap()).await, ["captured"]);
    assert!(!sale.to_string().contains("tok_visa") && !shop.get(path).await.text.contains("tok_visa"));
}

fn paid(lines: Value, methods: Value) -> Value {
    json!({"customer": "cus_member", "currency": "usd", "lines": lines, "payment": {"methods": methods}})
}

fn path(bought: &str) -> String {
    format!("/v1/customers/cus_member/bought-memberships/{bought}")
}

async fn credits(shop: &Client, bought: &str) -> [u64; 3] {
    let pack = shop.get(&path(bought)).await.expect(200);
    ["credits_used", "credits_held", "credits_left"].map(|field| pack[field].as_u64().unwrap())
}

/// A pack that is paid by card: it is there when the checkout has succeeded.
async fn sold(shop: &Client) -> String {
    let line = json!([{"type": "membership", "membership": "mem_three"}]);
    let card = |token: &str| json!([{"type": "card", "token": token}]);
    let declined = shop.buy(&paid(line.clone(), card("tok_declined"))).await;
    let never = declined["lines"][0]["bought_membership"].as_str().unwrap();
    assert_eq!((declined["status"].as_str(), shop.get(&path(never)).await.status), (Some("failed"), 404));
    let sale = shop.buy(&paid(line, card("tok_visa"))).await;
    assert_eq!(sale["status"], "succeeded", "{sale}");
    let bought = sale["lines"][0]["bought_membership"].as_str().unwrap().to_owned();
    assert_eq!(credits(shop, &bought).await, [0, 0, 3]);
    bought
}

/// Ten checkouts at once for three credits: three are sold, and the refund of one gives its credit back.
async fn the_last_credits(shop: &Client, bought: &str) {
    let place = json!([{"type": "session", "session": "ses_members", "quantity": 1}]);
    let body = paid(place, json!([{"type": "membership", "bought_membership": bought}]));
    let replies = join_all((0..10).map(|_| async { shop.submit(&fresh_key(), &body).await })).await;
    let accepted: Vec<String> =
        replies.iter().filter(|reply| reply.status == 202).map(|reply| reply.json()["id"].as_str().unwrap().to_owned()).collect();
    let refused = replies.iter().filter(|reply| reply.status == 422).map(|reply| reply.json()["code"].clone());
    assert!(refused.clone().all(|code| code == "membership_insufficient"), "{:?}", refused.collect::<Vec<_>>());
    let ends = join_all(accepted.iter().map(|id| shop.settled(id))).await;
    let sold: Vec<&Value> = ends.iter().filter(|end| end["status"] == "succeeded").collect();
    assert_eq!((sold.len(), credits(shop, bought).await), (3, [3, 0, 0]));
    assert!(ends.iter().all(|end| end["status"] == "succeeded" || end["error"]["code"] == "membership_insufficient"), "{ends:?}");
    assert_eq!(shop.charged(sold[0]["id"].as_str().unwrap()).await, [""; 0], "no provider is asked");
    let refunds = format!("/v1/checkouts/{}/refunds", sold[0]["id"].as_str().unwrap());
    let refund = shop.request(Method::POST, &refunds).header("idempotency-key", fresh_key()).json(&json!({}));
    assert_eq!(shop.send(refund).await.expect(202)["status"], "succeeded");
    assert_eq!((credits(shop, bought).await, shop.left("ses_members").await), ([2, 0, 1], (2, 0, 48)));
}
