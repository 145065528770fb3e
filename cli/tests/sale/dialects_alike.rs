//! The same purchase, made through each API in a tenant of its own, leaves the same books.

use super::hosted::Browser;
use crate::support::{
    catalogue::{put, session},
    client::{Client, fresh_key},
    ledger::{Entry, entries},
    system::System,
};
use reqwest::Method;
use serde_json::{Value, json};

/// Who buys, by the name that every client has for him.
const BUYER: &str = "7";
/// What is sold, for 1500 usd; the same in the catalogue of each tenant.
const PLACE: &str = "100";

pub async fn story(system: &System) {
    let mut books = Vec::new();
    for api in ["native", "momence", "classmanager", "loop", "monime", "bokamera"] {
        let shop = system.newcomer(&format!("alike-{api}"), &[]).await;
        stock(&shop).await;
        let checkout = match api {
            "native" => native(&shop).await,
            "momence" => momence(&shop).await,
            "classmanager" => classmanager(&shop).await,
            "loop" => loop_payments(&shop).await,
            "monime" => monime(&shop).await,
            _ => bokamera(&shop).await,
        };
        let sold = shop.until(&checkout, "succeeded").await;
        assert_eq!((&sold["amount_paid"], &sold["currency"]), (&json!(1500), &json!("usd")), "{api}: {sold}");
        assert_eq!(shop.charged(&checkout).await, ["captured"], "{api}");
        books.push((api, book(&shop).await));
    }
    let (_, ours) = &books[0];
    assert!(ours.0.len() >= 2 && ours.1.as_array().is_some_and(|balances| balances.len() >= 2), "{ours:?}");
    for (api, theirs) in &books {
        assert_eq!(theirs, ours, "{api}");
    }
}

/// What is sold, and a buyer with a card.
async fn stock(shop: &Client) {
    put(shop, "sessions", PLACE, session(5)).await;
    put(shop, "customers", "cus_7", json!({"external_id": BUYER, "family": "fml_7", "email": "buyer@example.com"})).await;
    let card =
        json!({"type": "card", "token": "tok_visa", "brand": "visa", "last4": "4242", "exp_month": 3, "exp_year": 2061, "default": true});
    assert_eq!(shop.put("/v1/customers/cus_7/payment-methods/9", &card).await.status, 201);
}

/// Every entry of every transaction, and what each account comes to. What is sold is a line of its own kind in each API.
async fn book(shop: &Client) -> (Vec<Entry>, Value) {
    let transactions = shop.get("/v1/ledger/transactions?limit=100").await.expect(200);
    let booked = entries(&transactions).into_iter().map(|entry| Entry { is: String::new(), ..entry }).collect();
    (booked, shop.get("/v1/ledger/balances").await.expect(200)["data"].clone())
}

async fn native(shop: &Client) -> String {
    let line = json!({"type": "session", "session": PLACE});
    let payment = json!({"methods": [{"type": "saved_method", "id": "9"}]});
    let sold = shop.buy(&json!({"currency": "usd", "customer": "cus_7", "lines": [line], "payment": payment})).await;
    sold["id"].as_str().unwrap().to_owned()
}

async fn momence(shop: &Client) -> String {
    let item = json!({"id": "1", "type": "session", "sessionId": 100, "attemptedPriceInCurrency": "15.00"});
    let method = json!({"id": "1", "type": "saved_payment_method", "savedPaymentMethodId": 9});
    let cart = json!({"memberId": 7, "items": [item], "paymentMethods": [method]});
    shop.post("/api/v2/host/checkout", &cart).await.expect(200);
    newest(shop).await
}

async fn classmanager(shop: &Client) -> String {
    let plans = json!([{"id": "pp_1", "name": "Term", "unit_amount": 1500}]);
    let class = json!({"name": "Ballet", "starts_at": "2060-08-16T07:00:00Z", "capacity": 5, "unit_amount": 9000, "currency": "usd", "pricing_plans": plans});
    put(shop, "sessions", "cls_1", class).await;
    let intent = json!({"token": "tok_visa", "amount": 1500, "currency": "usd", "owner": "family:fml_7"});
    let intent = shop.post("/sandbox/payment-intents", &intent).await.expect(201)["id"].clone();
    let enrolment = json!({"classId": "cls_1", "studentId": BUYER, "pricingPlanId": "pp_1"});
    let basket = json!({"items": {"enrolments": [enrolment], "trials": []}, "paymentIntentId": intent});
    let told = shop.post("/v1/basket/fml_7/checkout", &basket).await.expect(200);
    told[0]["transaction"]["orderId"].as_str().unwrap().to_owned()
}

async fn loop_payments(shop: &Client) -> String {
    let paid = shop.post("/v1/checkout", &json!({"customer_id": BUYER, "amount_cents": 1500})).await.expect(201);
    paid["id"].as_str().unwrap().to_owned()
}

async fn monime(shop: &Client) -> String {
    let item = json!({"type": "custom", "name": "Evening class", "price": {"currency": "usd", "value": 1500}, "quantity": 1});
    let request =
        shop.request(Method::POST, "/v1/checkout-sessions").header("Idempotency-Key", fresh_key()).header("Monime-Space-Id", "spc-1");
    let made = shop.send(request.json(&json!({"name": "Alike", "lineItems": [item]}))).await.expect(200);
    on_the_page(shop, &made["result"]["id"], &made["result"]["redirectUrl"]).await
}

async fn bokamera(shop: &Client) -> String {
    let articles = json!([{"ArticleId": 100, "ArticleTypeId": 1, "Quantity": 1}]);
    let company = "6f9619ff-8b86-d011-b42d-00c04fc964ff";
    let order = json!({"CompanyId": company, "CountryCode": "SE", "Articles": articles, "InternalReferenceId": "booking-1"});
    let made = shop.post("/payment/stripe/v1/checkout", &order).await.expect(200);
    on_the_page(shop, &made["SessionId"], &made["Url"]).await
}

/// Pays on our page.
async fn on_the_page(shop: &Client, id: &Value, url: &Value) -> String {
    let [id, url] = [id, url].map(|text| text.as_str().unwrap().to_owned());
    Browser { http: shop.with_key(None), url, id: id.clone(), from: None }.pay("tok_visa").await;
    id
}

async fn newest(shop: &Client) -> String {
    shop.get("/v1/checkouts?limit=1").await.expect(200)["data"][0]["id"].as_str().unwrap().to_owned()
}
