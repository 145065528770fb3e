//! Giving back what was sold: the client asks, the provider's own book shows it once, and the places can be sold again.

use crate::support::{
    catalogue::{places, put, seated, seats, session, with},
    client::{Client, PATIENCE, fresh_key},
    system::System,
};
use boxoffice_testkit::Receiver;
use reqwest::Method;
use serde_json::{Value, json};

pub async fn story(system: &System) {
    let (shop, receiver) = (system.shop(), Receiver::start().await.unwrap());
    put(&shop, "sessions", "ses_refunds", session(10)).await;
    put(&shop, "sessions", "ses_gala", seated(&["A1", "A2"])).await;
    tokio::join!(parts_and_the_rest(&shop, &receiver), seats_are_sold_again(&shop));
    what_was_not_sold(&shop).await;
}

async fn ask(shop: &Client, sale: &Value, key: &str, body: &Value) -> crate::support::client::Reply {
    let path = format!("/v1/checkouts/{}/refunds", sale["id"].as_str().unwrap());
    shop.send(shop.request(Method::POST, &path).header("idempotency-key", key).json(body)).await
}

/// Asks, and waits for what comes of it.
async fn refunded(shop: &Client, sale: &Value, body: &Value) -> Value {
    let refund = ask(shop, sale, &fresh_key(), body).await.expect(202);
    assert_eq!((&refund["status"], &refund["checkout"]), (&json!("pending"), &sale["id"]), "{refund}");
    let reply = shop.get_with(&format!("/v1/refunds/{}", refund["id"].as_str().unwrap()), "prefer", "wait=60").await;
    assert_eq!(reply.header("preference-applied"), Some("wait=60"));
    let refund = reply.expect(200);
    assert_ne!(refund["status"], "pending", "the answer waits: {refund}");
    refund
}

async fn parts_and_the_rest(shop: &Client, receiver: &Receiver) {
    let sale = shop.buy(&with(&places("ses_refunds", 2, "tok_visa"), json!({"callback_url": receiver.url()}))).await;
    let id = sale["id"].as_str().unwrap();
    let (key, body) = (fresh_key(), json!({"amount": 1000, "reason": "late"}));
    let first = ask(shop, &sale, &key, &body).await;
    let again = ask(shop, &sale, &key, &body).await;
    assert_eq!((again.status, again.header("idempotent-replayed"), &again.text), (202, Some("true"), &first.text));
    ask(shop, &sale, &key, &json!({})).await.expect_problem(422, "idempotency_key_reused");
    ask(shop, &sale, &fresh_key(), &json!({"amount": 2001})).await.expect_problem(422, "refund_exceeds_paid");
    let rest = refunded(shop, &sale, &json!({})).await;
    assert_eq!((&rest["status"], &rest["amount"], &rest["release_seats"]), (&json!("succeeded"), &json!(2000), &json!(true)));
    let after = shop.eventually(&format!("/v1/checkouts/{id}"), |checkout| checkout["amount_refunded"] == 3000).await;
    assert_eq!((&after["status"], &after["amount_paid"]), (&json!("succeeded"), &json!(3000)));
    let book = shop.charges(id).await;
    assert_eq!(book[0]["amount_refunded"], 3000, "{book:?}");
    assert_eq!(shop.charged(id).await, ["refunded"], "one charge, given back once");
    let about = |delivery: &boxoffice_testkit::Delivery| {
        let event = delivery.json();
        event["type"] == "refund.succeeded" && event["refund"]["id"] == rest["id"] && event["refund"]["status"] == "succeeded"
    };
    let told = receiver.wait_for(PATIENCE, |deliveries| deliveries.iter().find(|delivery| about(delivery)).cloned()).await;
    assert_eq!(told.expect("no callback about the refund").json()["data"]["id"], sale["id"]);
    let timeline = shop.get(&format!("/v1/checkouts/{id}/timeline")).await.expect(200);
    let count = |what: &str| timeline["data"].as_array().unwrap().iter().filter(|entry| entry["what"] == what).count();
    assert_eq!((count("refund.requested"), count("refund.succeeded")), (2, 2), "{timeline}");
    assert_eq!(shop.left("ses_refunds").await, (0, 0, 10), "both places came back");
}

async fn seats_are_sold_again(shop: &Client) {
    let sale = shop.buy(&seats("ses_gala", &["A1", "A2"], "tok_visa")).await;
    let kept = refunded(shop, &sale, &json!({"amount": 5000})).await;
    assert_eq!((&kept["status"], &kept["release_seats"]), (&json!("succeeded"), &json!(false)));
    assert_eq!(shop.left("ses_gala").await, (2, 0, 0));
    let freed = refunded(shop, &sale, &json!({"lines": [sale["lines"][0]["id"]], "amount": 5000})).await;
    assert_eq!((&freed["status"], &freed["release_seats"]), (&json!("succeeded"), &json!(true)));
    assert_eq!(shop.left("ses_gala").await, (0, 0, 2));
    assert_eq!(shop.buy(&seats("ses_gala", &["A2"], "tok_visa")).await["status"], "succeeded");
}

/// Only what was sold goes back.
async fn what_was_not_sold(shop: &Client) {
    let failed = shop.buy(&places("ses_refunds", 1, "tok_declined")).await;
    ask(shop, &failed, &fresh_key(), &json!({})).await.expect_problem(409, "not_refundable");
    assert_eq!(shop.charged(failed["id"].as_str().unwrap()).await, ["declined"]);
}
