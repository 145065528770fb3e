//! The waiting list: what is given back is offered by callback, is nobody else's, and is bought with the offer.

use crate::support::{
    catalogue::{order, places, put, seated, seats, session, with},
    client::{Client, callback, fresh_key},
    system::System,
};
use boxoffice_testkit::Receiver;
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

pub async fn story(system: &System) {
    let (shop, receiver) = (system.shop(), Receiver::start().await.unwrap());
    put(&shop, "sessions", "ses_solo", session(1)).await;
    put(&shop, "sessions", "ses_crowd", session(5)).await;
    put(&shop, "sessions", "ses_seats", seated(&["A1", "A2"])).await;
    for n in 0..8 {
        put(&shop, "customers", &format!("cus_{n}"), json!({})).await;
    }
    tokio::join!(offered_taken_and_given_on(&shop, &receiver), a_crowd_gets_nothing(&shop), by_name(&shop));
}

async fn join(shop: &Client, session: &str, body: &Value) -> Value {
    shop.post(&format!("/v1/sessions/{session}/waiting-list"), body).await.expect(201)
}

async fn refund(shop: &Client, sale: &Value) {
    let path = format!("/v1/checkouts/{}/refunds", sale["id"].as_str().unwrap());
    let asked = shop.send(shop.request(Method::POST, &path).header("idempotency-key", fresh_key()).json(&json!({}))).await.expect(202);
    let refund = format!("/v1/refunds/{}", asked["id"].as_str().unwrap());
    shop.eventually(&refund, |refund| refund["status"] == "succeeded").await;
}

fn path(entry: &Value) -> String {
    format!("/v1/waiting-list/{}", entry["id"].as_str().unwrap())
}

/// A checkout that takes an offer of one place.
fn taking(session: &str, entry: &Value, token: &str) -> Value {
    let line = json!({"type": "session", "session": session, "offer": entry["id"]});
    with(&order(json!([line]), token), json!({"customer": entry["customer"]}))
}

async fn offered_taken_and_given_on(shop: &Client, receiver: &Receiver) {
    let sale = shop.buy(&places("ses_solo", 1, "tok_visa")).await;
    let mut waiting = Vec::new();
    for customer in ["cus_0", "cus_1"] {
        waiting.push(join(shop, "ses_solo", &json!({"customer": customer, "callback_url": receiver.url()})).await);
    }
    refund(shop, &sale).await;
    let told = callback(receiver, "waiting_list.offered", waiting[0]["id"].as_str().unwrap()).await.json();
    assert_eq!((&told["data"]["status"], &told["data"]["version"]), (&json!("offered"), &json!(2)));
    assert_eq!(shop.buy(&places("ses_solo", 1, "tok_visa")).await["error"]["code"], "session_full");
    // A card that is declined leaves the offer to its customer.
    let failed = shop.buy(&taking("ses_solo", &waiting[0], "tok_declined")).await;
    assert_eq!(failed["error"]["code"], "card_declined");
    assert_eq!(shop.get(&path(&waiting[0])).await.expect(200)["status"], "offered");
    assert_eq!(shop.left("ses_solo").await, (0, 1, 0));
    let bought = shop.buy(&taking("ses_solo", &waiting[0], "tok_visa")).await;
    assert_eq!(bought["status"], "succeeded", "{bought}");
    callback(receiver, "waiting_list.taken", waiting[0]["id"].as_str().unwrap()).await;
    assert_eq!(shop.get(&path(&waiting[0])).await.expect(200)["checkout"], bought["id"]);
    refund(shop, &bought).await;
    callback(receiver, "waiting_list.offered", waiting[1]["id"].as_str().unwrap()).await;
    let off = with(&session(1), json!({"status": "canceled"}));
    put(shop, "sessions", "ses_solo", off).await;
    callback(receiver, "waiting_list.expired", waiting[1]["id"].as_str().unwrap()).await;
    assert_eq!(shop.left("ses_solo").await, (0, 0, 1));
}

/// Five places come back while strangers try for them: the five who wait get them.
async fn a_crowd_gets_nothing(shop: &Client) {
    let sales = join_all((0..5).map(async |_| shop.buy(&places("ses_crowd", 1, "tok_visa")).await)).await;
    let waiting = join_all((2..7).map(async |n| join(shop, "ses_crowd", &json!({"customer": format!("cus_{n}")})).await)).await;
    let strangers = join_all((0..12).map(async |_| shop.buy(&places("ses_crowd", 1, "tok_visa")).await));
    let (strangers, _) = tokio::join!(strangers, join_all(sales.iter().map(|sale| refund(shop, sale))));
    assert!(strangers.iter().all(|stranger| stranger["error"]["code"] == "session_full"), "{strangers:?}");
    let bought = join_all(waiting.iter().map(async |entry| shop.buy(&taking("ses_crowd", entry, "tok_visa")).await)).await;
    assert!(bought.iter().all(|bought| bought["status"] == "succeeded"), "{bought:?}");
    assert_eq!(shop.left("ses_crowd").await, (5, 0, 0));
}

async fn by_name(shop: &Client) {
    let sale = shop.buy(&seats("ses_seats", &["A1", "A2"], "tok_visa")).await;
    let entry = join(shop, "ses_seats", &json!({"customer": "cus_7"})).await;
    refund(shop, &sale).await;
    let offered = shop.get(&path(&entry)).await.expect(200);
    assert_eq!((&offered["status"], &offered["seats"]), (&json!("offered"), &json!(["A1"])));
    let map = shop.get("/v1/sessions/ses_seats/availability").await.expect(200);
    assert_eq!(map["seats"], json!({"A1": "held", "A2": "available"}));
    assert_eq!(shop.buy(&seats("ses_seats", &["A1"], "tok_visa")).await["error"]["code"], "seat_taken");
    let line = json!({"type": "session", "session": "ses_seats", "seats": ["A1"], "offer": entry["id"]});
    let bought = shop.buy(&with(&order(json!([line]), "tok_visa"), json!({"customer": "cus_7"}))).await;
    assert_eq!(bought["status"], "succeeded", "{bought}");
    assert_eq!(shop.buy(&seats("ses_seats", &["A2"], "tok_visa")).await["status"], "succeeded");
}
