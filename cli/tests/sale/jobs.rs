//! A session that is called off: everybody gets back what was paid for it, and nobody else anything.

use crate::support::{
    catalogue::{order, places, put, session, with},
    client::{Client, fresh_key},
    system::System,
};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

pub async fn story(system: &System) {
    let shop = system.shop();
    put(&shop, "sessions", "ses_off", session(20)).await;
    put(&shop, "sessions", "ses_on", session(20)).await;
    put(&shop, "customers", "cus_waits", json!({})).await;
    let cards = join_all((0..4).map(async |_| shop.buy(&places("ses_off", 1, "tok_visa")).await)).await;
    let cash = json!({"payment": {"methods": [{"type": "custom", "name": "cash"}]}});
    let cash = shop.buy(&with(&places("ses_off", 2, "tok_visa"), cash)).await;
    let line = |session: &str| json!({"type": "session", "session": session, "quantity": 1});
    let both = shop.buy(&order(json!([line("ses_off"), line("ses_on")]), "tok_visa")).await;
    let undecided = shop.buy(&places("ses_off", 1, "tok_3ds")).await;
    assert_eq!(undecided["status"], "awaiting_payment");
    let before = give_back(&shop, &cards[0]).await;
    // The rest of it is sold, so that somebody waits.
    let filler = shop.buy(&places("ses_off", 13, "tok_visa")).await;
    let entry = shop.post("/v1/sessions/ses_off/waiting-list", &json!({"customer": "cus_waits"})).await.expect(201);

    let job = shop.post("/v1/sessions/ses_off/cancel", &json!({"reason": "rain"})).await.expect(202);
    assert_eq!(job["total"], 7, "who had got it back is not among them: {job}");
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    let ended = shop.eventually(&path, |job| job["completed_at"].is_string()).await;
    assert_eq!((&ended["status"], &ended["done"], &ended["failed"]), (&json!("succeeded"), &json!(7), &json!(0)), "{ended}");
    for (sale, paid, refunded) in
        [(&cards[1], 1500, 1500), (&cards[3], 1500, 1500), (&cash, 3000, 3000), (&both, 3000, 1500), (&filler, 19500, 19500)]
    {
        let after = shop.checkout(sale["id"].as_str().unwrap()).await;
        assert_eq!((&after["amount_paid"], &after["amount_refunded"]), (&json!(paid), &json!(refunded)), "{after}");
    }
    assert_eq!(shop.checkout(undecided["id"].as_str().unwrap()).await["status"], "canceled");
    let refunds = shop.get(&format!("/v1/checkouts/{}/refunds", both["id"].as_str().unwrap())).await.expect(200);
    assert_eq!((refunds["data"].as_array().unwrap().len(), &refunds["data"][0]["reason"]), (1, &json!("rain")));
    assert_eq!(shop.charged(cards[0]["id"].as_str().unwrap()).await, ["refunded"], "once: {before}");
    assert_eq!((shop.left("ses_off").await, shop.left("ses_on").await), ((0, 0, 20), (1, 0, 19)));
    let waiting = format!("/v1/waiting-list/{}", entry["id"].as_str().unwrap());
    let expired = shop.eventually(&waiting, |entry| entry["status"] != "waiting").await;
    assert_eq!((&expired["status"], &expired["seats"]), (&json!("expired"), &json!([])), "nothing of it was offered");
    assert_eq!(shop.buy(&places("ses_off", 1, "tok_visa")).await["error"]["code"], "session_unavailable");
}

async fn give_back(shop: &Client, sale: &Value) -> Value {
    let path = format!("/v1/checkouts/{}/refunds", sale["id"].as_str().unwrap());
    let asked = shop.send(shop.request(Method::POST, &path).header("idempotency-key", fresh_key()).json(&json!({}))).await.expect(202);
    shop.eventually(&format!("/v1/refunds/{}", asked["id"].as_str().unwrap()), |refund| refund["status"] == "succeeded").await
}
