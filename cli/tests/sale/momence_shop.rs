//! A shop with what Momence's clients name by numbers.

use crate::support::{
    catalogue::{PAST, put, session, with},
    client::{Client, Reply},
};
use serde_json::{Value, json};

/// The member 12345.
pub const MEMBER: &str = "cus_momence";

pub async fn pay(shop: &Client, path: &str, body: &Value) -> Reply {
    shop.post(path, body).await
}

/// A cart of the member's.
pub fn cart(items: Value, methods: Value) -> Value {
    json!({"memberId": 12345, "items": items, "paymentMethods": methods})
}

/// A place by the member's card.
pub fn buy(session: u64, price: &str) -> Value {
    let item = json!({"id": "1", "type": "session", "sessionId": session, "attemptedPriceInCurrency": price});
    cart(json!([item]), json!([{"id": "1", "type": "saved_payment_method", "savedPaymentMethodId": 5155}]))
}

/// The same answer without the numbers that are given anew each time.
pub fn numbered(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.as_u64().is_some_and(|number| (1_000_000_000..=2_147_483_647).contains(&number)) => {
            json!("<number>")
        }
        Value::Array(values) => values.iter().map(numbered).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), numbered(value))).collect::<serde_json::Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

pub async fn card(shop: &Client, customer: &str, id: &str, token: &str) {
    let card = json!({"type": "card", "token": token, "brand": "visa", "last4": "4242", "exp_month": 3, "exp_year": 2061});
    let put = shop.put(&format!("/v1/customers/{customer}/payment-methods/{id}"), &card).await;
    assert!(matches!(put.status, 200 | 201), "{}", put.text);
}

async fn pack(shop: &Client, customer: &str, id: &str, body: Value) {
    let put = shop.put(&format!("/v1/customers/{customer}/bought-memberships/{id}"), &body).await;
    assert!(matches!(put.status, 200 | 201), "{}", put.text);
}

async fn sessions(shop: &Client) {
    let members = json!({"compatible_memberships": ["789", "790"]});
    put(shop, "sessions", "15525", with(&session(10_000), with(&members, json!({"unit_amount": 1050})))).await;
    put(shop, "sessions", "15000", with(&session(10_000), json!({"unit_amount": 0}))).await;
    put(shop, "sessions", "100", with(&session(10_000), members)).await;
    put(shop, "sessions", "101", with(&session(10), json!({"status": "draft"}))).await;
    put(shop, "sessions", "102", with(&session(10), json!({"status": "canceled"}))).await;
    put(shop, "sessions", "103", with(&session(10), json!({"starts_at": PAST}))).await;
    put(shop, "sessions", "104", with(&session(10), json!({"sales_end_at": PAST}))).await;
    put(shop, "sessions", "105", with(&session(10), json!({"dropins_allowed": false}))).await;
    put(shop, "sessions", "106", session(0)).await;
    put(shop, "sessions", "107", with(&session(10), json!({"purchase_limit": 1}))).await;
    put(shop, "sessions", "108", with(&session(10), json!({"required_tag": "vip"}))).await;
    put(shop, "sessions", "109", session(10)).await;
    put(shop, "sessions", "110", with(&session(10), json!({"min_age": 90}))).await;
    put(shop, "sessions", "200", with(&session(10), json!({"unit_amount": 1000, "tax_rate_bp": 2000}))).await;
    put(shop, "sessions", "201", with(&session(10), json!({"unit_amount": 1000, "tax_rate_bp": 1000, "currency": "jpy"}))).await;
}

/// Puts everything on sale, and gives the member what there is to pay with.
pub async fn open(shop: &Client) {
    let pack_of = |name: &str, price: i64, more: Value| with(&json!({"name": name, "unit_amount": price, "currency": "usd"}), more);
    put(
        shop,
        "memberships",
        "789",
        pack_of("Ten classes", 4999, json!({"type": "pack", "credits": 10, "valid_for": {"count": 50, "unit": "year"}})),
    )
    .await;
    put(shop, "memberships", "790", pack_of("Gold", 9900, json!({"type": "subscription"}))).await;
    put(shop, "memberships", "791", pack_of("Pilates only", 900, json!({"type": "pack", "credits": 5}))).await;
    put(shop, "memberships", "mem_words", pack_of("Pilates only", 900, json!({"type": "pack", "credits": 5}))).await;
    sessions(shop).await;
    put(shop, "customers", MEMBER, json!({"external_id": "12345"})).await;
    put(shop, "customers", "cus_young", json!({"external_id": "12346", "date_of_birth": "2001-02-03"})).await;
    card(shop, MEMBER, "5155", "tok_visa").await;
    card(shop, MEMBER, "5156", "tok_declined").await;
    for (id, body) in [
        ("25568", json!({"membership": "789", "credits": 1000})),
        ("25569", json!({"membership": "789", "credits": 1000})),
        ("25570", json!({"membership": "790"})),
        ("25571", json!({"membership": "790"})),
        ("25572", json!({"membership": "789"})),
        ("25573", json!({"membership": "789", "credits": 1})),
        ("25574", json!({"membership": "791"})),
        ("25575", json!({"membership": "789", "valid_until": "2059-01-01T00:00:00Z"})),
        ("25576", json!({"membership": "789", "valid_from": "2059-01-01T00:00:00Z"})),
    ] {
        pack(shop, MEMBER, id, body).await;
    }
    pack(shop, "cus_young", "30001", json!({"membership": "789"})).await;
    assert_eq!(shop.post(&format!("/v1/customers/{MEMBER}/bought-memberships/25572/freeze"), &json!({})).await.status, 200);
    // The last credit of one is used, and the member has as many places of one session as he may have.
    let line = json!({"type": "session", "session": "100", "quantity": 1});
    let limited = json!({"type": "session", "session": "107", "quantity": 1});
    let cash = json!({"methods": [{"type": "custom", "name": "cash"}]});
    let had = shop.buy(&json!({"customer": MEMBER, "currency": "usd", "lines": [limited], "payment": cash})).await;
    assert_eq!(had["status"], "succeeded", "{had}");
    let methods = json!({"methods": [{"type": "membership", "bought_membership": "25573"}]});
    let used = shop.buy(&json!({"customer": MEMBER, "currency": "usd", "lines": [line], "payment": methods})).await;
    assert_eq!(used["status"], "succeeded", "{used}");
    let ways = json!([{"id": "3", "name": "Cash at the desk"}, {"id": "4", "name": "Invoice", "note_required": true}]);
    shop.put("/v1/settings", &json!({"custom_payment_methods": ways})).await.expect(200);
}
