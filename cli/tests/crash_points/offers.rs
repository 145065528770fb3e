//! A place is given back, offered to who waits, and bought, and a pack is sold, spent and given back.

use crate::{
    mortal::Mortal,
    support::{
        catalogue::{order, places, put, session, with},
        client::Client,
    },
};
use serde_json::{Value, json};

/// What a refund by card and a sale by card cross, from the POST to the end.
const BY_CARD: [&str; 8] = [
    "accept.before_commit",
    "accept.after_commit",
    "begin.before_commit",
    "begin.after_commit",
    "charge.before_send",
    "charge.after_send",
    "settle.before_commit",
    "settle.after_commit",
];
/// What a sale crosses of which nobody outside is asked.
const WITHOUT_A_CARD: [&str; 4] = ["accept.before_commit", "accept.after_commit", "begin.before_commit", "begin.after_commit"];
/// What a refund crosses that is done in the books at once.
const AT_ONCE: [&str; 2] = ["accept.before_commit", "accept.after_commit"];

/// The last place is given back, offered to who waits, and taken; strangers get nothing in between.
pub async fn offers(mortal: &mut Mortal) {
    put(&mortal.shop, "customers", "cus_waits", json!({})).await;
    for (n, point) in BY_CARD.into_iter().enumerate() {
        let name = format!("ses_{n}");
        put(&mortal.shop, "sessions", &name, session(1)).await;
        let sale = mortal.shop.buy(&places(&name, 1, "tok_visa")).await;
        let list = format!("/v1/sessions/{name}/waiting-list");
        let entry = mortal.shop.post(&list, &json!({"customer": "cus_waits"})).await.expect(201);
        mortal.refund(point, &sale).await;
        assert_eq!(mortal.charged(&sale).await, ["refunded"], "{point}");
        let path = format!("/v1/waiting-list/{}", entry["id"].as_str().unwrap());
        let offered = mortal.shop.get(&path).await.expect(200);
        assert_eq!(
            (&offered["status"], &offered["version"], mortal.shop.left(&name).await),
            (&json!("offered"), &json!(2), (0, 1, 0)),
            "{point}"
        );
        assert_eq!(mortal.shop.buy(&places(&name, 1, "tok_visa")).await["error"]["code"], "session_full");
        let line = json!({"type": "session", "session": name, "offer": entry["id"]});
        let taken = mortal.buy(point, &with(&order(json!([line]), "tok_visa"), json!({"customer": "cus_waits"}))).await;
        let entry = mortal.shop.get(&path).await.expect(200);
        assert_eq!((&entry["status"], &entry["checkout"]), (&json!("taken"), &taken["id"]), "{point}");
        assert_eq!((mortal.shop.left(&name).await, mortal.charged(&taken).await), ((1, 0, 0), vec!["captured".to_owned()]), "{point}");
    }
}

/// Packs are sold by card, spent for a place each, and get their credit back.
pub async fn packs(mortal: &mut Mortal) {
    let pack = json!({"name": "Two", "unit_amount": 4000, "currency": "usd", "type": "pack", "credits": 2});
    put(&mortal.shop, "memberships", "mem_two", pack).await;
    put(&mortal.shop, "customers", "cus_member", json!({})).await;
    put(&mortal.shop, "sessions", "ses_members", with(&session(50), json!({"compatible_memberships": ["mem_two"]}))).await;
    let paid = |lines: Value, method: Value| json!({"customer": "cus_member", "currency": "usd", "lines": lines, "payment": {"methods": [method]}});
    let bought_memberships = "/v1/customers/cus_member/bought-memberships";
    let mut pack = String::new();
    for (n, point) in BY_CARD.into_iter().skip(3).enumerate() {
        let line = json!([{"type": "membership", "membership": "mem_two"}]);
        let sale = mortal.buy(point, &paid(line, json!({"type": "card", "token": "tok_visa"}))).await;
        assert_eq!(mortal.charged(&sale).await, ["captured"], "{point}");
        let all = mortal.shop.get(bought_memberships).await.expect(200);
        assert_eq!(all["data"].as_array().unwrap().len(), n + 1, "one for each sale: {point}");
        pack = sale["lines"][0]["bought_membership"].as_str().unwrap().to_owned();
    }
    let path = format!("{bought_memberships}/{pack}");
    let credits = async |shop: &Client| {
        let pack = shop.get(&path).await.expect(200);
        ["credits_used", "credits_held", "credits_left"].map(|field| pack[field].as_u64().unwrap())
    };
    for (n, point) in WITHOUT_A_CARD.into_iter().enumerate() {
        let line = json!([{"type": "session", "session": "ses_members", "quantity": 1}]);
        let sale = mortal.buy(point, &paid(line, json!({"type": "membership", "bought_membership": pack}))).await;
        assert_eq!((credits(&mortal.shop).await, mortal.shop.left("ses_members").await), ([1, 0, 1], (1, 0, 49)), "{point}");
        let point = AT_ONCE[n % AT_ONCE.len()];
        mortal.refund(point, &sale).await;
        assert_eq!((credits(&mortal.shop).await, mortal.shop.left("ses_members").await), ([0, 0, 2], (0, 0, 50)), "{point}");
    }
}
