//! Things to sell and ways to buy them. Bodies are plain JSON: what a shop would write.

use super::client::Client;
use serde_json::{Value, json};

/// Far enough away for every test.
pub const FUTURE: &str = "2060-06-01T18:00:00Z";
pub const PAST: &str = "2020-06-01T18:00:00Z";

/// A session with so many places at 1500 usd.
pub fn session(capacity: u32) -> Value {
    json!({"name": "Evening class", "starts_at": FUTURE, "capacity": capacity, "unit_amount": 1500, "currency": "usd"})
}

/// A session with named seats at 5000 usd.
pub fn seated(seats: &[&str]) -> Value {
    json!({"name": "Gala", "starts_at": FUTURE, "seats": seats, "unit_amount": 5000, "currency": "usd"})
}

/// `body` with the fields of `more` put in or replaced.
pub fn with(body: &Value, more: Value) -> Value {
    let (mut body, Value::Object(more)) = (body.clone(), more) else { panic!("an object is needed") };
    body.as_object_mut().unwrap().extend(more);
    body
}

/// Puts an object on sale.
pub async fn put(shop: &Client, kind: &str, id: &str, object: Value) -> Value {
    let reply = shop.put(&format!("/v1/{kind}/{id}"), &object).await;
    assert!(matches!(reply.status, 200 | 201), "{kind}/{id}: {} {}", reply.status, reply.text);
    assert_eq!(reply.json()["id"], id);
    reply.json()
}

/// A checkout of these lines, by card.
pub fn order(lines: Value, token: &str) -> Value {
    json!({"currency": "usd", "lines": lines, "payment": {"methods": [{"type": "card", "token": token}]}})
}

/// So many places of a session, by card.
pub fn places(session: &str, quantity: u32, token: &str) -> Value {
    order(json!([{"type": "session", "session": session, "quantity": quantity}]), token)
}

/// Named seats, by card.
pub fn seats(session: &str, seats: &[&str], token: &str) -> Value {
    order(json!([{"type": "session", "session": session, "seats": seats}]), token)
}

/// Something that is not in the catalogue and never runs out, by card.
pub fn custom(unit_amount: i64, token: &str) -> Value {
    order(json!([{"type": "custom", "name": "Shoe hire", "unit_amount": unit_amount}]), token)
}
