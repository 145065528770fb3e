//! How sessions of Monime's end, and how their space is told.

use super::monime_client::{Monime, refused};
use crate::support::{catalogue::with, client::PATIENCE};
use boxoffice_testkit::{Delivery, Receiver};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Instant;

pub async fn a_session_is_called_off(client: &Monime<'_>, request: &Value) {
    let session = client.make(request).await;
    let browser = client.browser(&session);
    for _ in 0..2 {
        let off = client.ask(Method::DELETE, &format!("/{}", browser.id)).await.expect(200);
        assert_eq!((&off["success"], &off["result"]["status"], &off["result"]["id"]), (&json!(true), &json!("cancelled"), &session["id"]));
    }
    assert!(browser.load("").await.html.contains("The order was canceled"));
    // By the customer it is the same, and leads back.
    let session = client.make(request).await;
    let browser = client.browser(&session);
    let page = browser.load("").await;
    assert_eq!(browser.send(&page.html, "cancel", "").await.status, 303);
    browser.follow("?after=submit").await.leads_to_the_shop(client.shop, &browser, "https://shop.example/cart?", "canceled").await;
    assert_eq!(client.session(&session["id"]).await["status"], "cancelled");
    // Somebody asks the customer on the phone: the question is taken back first.
    let session = client.make(request).await;
    let browser = client.browser(&session);
    let page = browser.load("").await;
    // The owner of this one never looks.
    assert_eq!(browser.send(&page.html, "pay", "method=mobile_money&provider=m17&phone=%2B23270000003").await.status, 303);
    let deadline = Instant::now() + PATIENCE;
    while !browser.load("?after=submit").await.html.contains("Confirm on your phone") {
        assert!(Instant::now() < deadline, "nobody asks");
    }
    let off = client.ask(Method::DELETE, &format!("/{}", browser.id)).await.expect(202);
    assert_eq!((&off["success"], &off["result"]["status"]), (&json!(true), &json!("pending")), "{off}");
    assert_eq!(client.shop.until(&browser.id, "canceled").await["status"], "canceled");
    assert_eq!(client.session(&session["id"]).await["status"], "cancelled");
}

async fn heard(receiver: &Receiver, name: &str, id: &Value) -> Delivery {
    let is_it = |delivery: &&Delivery| delivery.json()["event"]["name"] == name && delivery.json()["object"]["id"] == *id;
    let found = receiver.wait_for(PATIENCE, |deliveries| deliveries.iter().find(is_it).cloned()).await;
    found.unwrap_or_else(|| panic!("no {name} of {id} among {:?}", receiver.deliveries()))
}

pub async fn a_space_is_told_of_the_end_signed_their_way(client: &Monime<'_>, request: &Value) {
    let (shop, client) = (client.shop, Monime { space: "spc-told", ..*client });
    let (theirs, all, ours) = (Receiver::start().await.unwrap(), Receiver::start().await.unwrap(), Receiver::start().await.unwrap());
    let put = async |id: &str, receiver: &Receiver, more: Value| {
        let body = with(&json!({"url": receiver.url(), "events": ["*"]}), more);
        shop.put(&format!("/v1/webhook-endpoints/{id}"), &body).await.expect(201)["secret"].as_str().unwrap().to_owned()
    };
    let secret = put("theirs", &theirs, json!({"format": "monime", "space": "spc-told"})).await;
    put("all", &all, json!({"format": "monime"})).await;
    let standard = put("ours", &ours, json!({"space": "spc-told"})).await;
    let shown = shop.get("/v1/webhook-endpoints/theirs").await.expect(200);
    assert_eq!((&shown["format"], &shown["space"]), (&json!("monime"), &json!("spc-told")));
    let elsewhere = Monime { space: "spc-elsewhere", ..client }.make(request).await;
    let (paid, off) = (client.make(request).await, client.make(request).await);
    Monime { space: "spc-elsewhere", ..client }.ask(Method::DELETE, &format!("/{}", elsewhere["id"].as_str().unwrap())).await.expect(200);
    client.browser(&paid).pay("tok_visa").await;
    client.ask(Method::DELETE, &format!("/{}", off["id"].as_str().unwrap())).await.expect(200);
    let told = heard(&theirs, "checkout_session.completed", &paid["id"]).await;
    told.verify_monime(&secret).unwrap();
    assert!(told.verify_monime(&standard).is_err() && told.id().is_empty());
    let event = told.json();
    assert_eq!(event["data"], client.session(&paid["id"]).await);
    assert_eq!((&event["data"]["callbackState"], &event["object"]["type"]), (&json!("cart 7"), &json!("checkout_session")));
    let fields: std::collections::BTreeSet<&str> = event.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields.into_iter().collect::<Vec<_>>(), ["apiVersion", "data", "event", "object"]);
    let canceled = heard(&theirs, "checkout_session.cancelled", &off["id"]).await;
    canceled.verify_monime(&secret).unwrap();
    // Another space's endpoint hears nothing of it; one of no space hears of all; and the standard one in our words.
    heard(&all, "checkout_session.cancelled", &elsewhere["id"]).await;
    heard(&all, "checkout_session.completed", &paid["id"]).await;
    crate::support::client::callback(&ours, "checkout.succeeded", paid["id"].as_str().unwrap()).await.verify(&standard).unwrap();
    assert!(theirs.deliveries().iter().all(|delivery| delivery.json()["object"]["id"] != elsewhere["id"]));
    assert!(ours.deliveries().iter().all(|delivery| delivery.json()["data"]["id"] != elsewhere["id"]));
    // Sent once more it is the same, byte for byte, with both secrets while one is being rotated.
    let listed = shop.get(&format!("/v1/deliveries?checkout={}&limit=100", paid["id"].as_str().unwrap())).await.expect(200);
    let of = |delivery: &&Value| delivery["endpoint"] == "theirs" && delivery["event_type"] == "checkout_session.completed";
    let delivery = listed["data"].as_array().unwrap().iter().find(of).unwrap_or_else(|| panic!("{listed}")).clone();
    assert_eq!(delivery["event"], event["event"]["id"]);
    let new = shop.post("/v1/webhook-endpoints/theirs/rotate-secret", &json!({})).await.expect(200)["secret"].as_str().unwrap().to_owned();
    // What was written in one format stays in it.
    shop.put("/v1/webhook-endpoints/theirs", &json!({"url": theirs.url(), "events": ["*"], "enabled": false})).await.expect(200);
    shop.post(&format!("/v1/deliveries/{}/replay", delivery["id"].as_str().unwrap()), &json!({})).await.expect(202);
    let same = |deliveries: &[Delivery]| deliveries.iter().filter(|sent| sent.body == told.body).nth(1).cloned();
    let again = theirs.wait_for(PATIENCE, same).await.unwrap();
    again.verify_monime(&secret).unwrap();
    again.verify_monime(&new).unwrap();
    for id in ["all", "ours"] {
        assert_eq!(shop.send(shop.request(Method::DELETE, &format!("/v1/webhook-endpoints/{id}"))).await.status, 204);
    }
}

/// A session that nobody pays in time, and one that is paid with ten cards in vain. Made under `/v1`, because theirs last for a day.
pub async fn what_ends_natively_ends_in_their_words(client: &Monime<'_>, request: &Value) {
    let (shop, client) = (client.shop, Monime { space: "spc-ends", ..*client });
    let receiver = Receiver::start().await.unwrap();
    shop.put("/v1/webhook-endpoints/ends", &json!({"url": receiver.url(), "events": ["*"], "format": "monime", "space": "spc-ends"}))
        .await
        .expect(201);
    let lines = json!([{"type": "custom", "name": "Bread", "unit_amount": 250}]);
    let brief = json!({"space": "spc-ends", "currency": "sle", "lines": lines, "payment": {"hosted": {}}, "expires_in": 10});
    let brief = shop.order(&brief).await;
    let tried = client.make(request).await;
    let browser = client.browser(&tried);
    for n in 1..=10 {
        let seen = browser.pay("tok_declined").await;
        assert!((seen.status == 303) == (n == 10), "{n}: {}", seen.html);
    }
    assert_eq!(shop.checkout(&browser.id).await["status"], "failed");
    heard(&receiver, "checkout_session.cancelled", &tried["id"]).await;
    let off = client.ask(Method::DELETE, &format!("/{}", browser.id)).await.expect(200);
    assert_eq!(off["result"]["status"], "cancelled", "it is off already");
    heard(&receiver, "checkout_session.expired", &json!(brief)).await;
    assert_eq!(client.session(&json!(brief)).await["status"], "expired");
    refused(&client.ask(Method::DELETE, &format!("/{brief}")).await, 409, "not_cancelable", None);
    let of = async |status: &str| client.ask(Method::GET, &format!("?status={status}")).await.expect(200)["result"][0]["id"].clone();
    assert_eq!((of("expired").await, of("cancelled").await), (json!(brief), tried["id"].clone()));
    assert_eq!(shop.send(shop.request(Method::DELETE, "/v1/webhook-endpoints/ends")).await.status, 204);
}
