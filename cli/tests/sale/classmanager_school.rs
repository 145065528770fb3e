//! A school with what ClassManager's clients name, and the baskets that they check out.

use crate::support::{
    catalogue::{put, with},
    client::{Client, Reply},
};
use serde_json::{Value, json};

/// Where it is mounted: as published, and whole.
pub const MOUNTS: [&str; 2] = ["", "/classmanager"];

/// A school in Berlin with a class, its occurrences, and two families.
pub async fn school(shop: &Client) {
    assert_eq!(shop.put("/v1/settings", &json!({"time_zone": "Europe/Berlin"})).await.status, 200);
    let plans =
        json!([{"id": "pp_term", "name": "Whole term", "unit_amount": 12_000}, {"id": "pp_free", "name": "Scholarship", "unit_amount": 0}]);
    let class = json!({"name": "Ballet", "starts_at": "2060-08-16T07:00:00Z", "capacity": 90, "unit_amount": 1500, "currency": "usd", "pricing_plans": plans});
    put(shop, "sessions", "cls_ballet", with(&class, json!({"tax_rate_bp": 1000}))).await;
    put(shop, "sessions", "cls_full", with(&class, json!({"capacity": 0}))).await;
    put(shop, "sessions", "cls_yen", with(&class, json!({"currency": "jpy"}))).await;
    put(shop, "sessions", "cls_infants", with(&class, json!({"max_age": 5}))).await;
    let trial = json!({"name": "Ballet, a morning", "class": "cls_ballet", "starts_at": "2060-08-20T07:00:00Z", "capacity": 50, "unit_amount": 500, "currency": "usd"});
    put(shop, "sessions", "ses_paid", trial.clone()).await;
    // Called off, and first by its id.
    put(shop, "sessions", "ses_off", with(&trial, json!({"status": "canceled"}))).await;
    put(shop, "sessions", "ses_free", with(&trial, json!({"starts_at": "2060-08-27T07:00:00Z", "unit_amount": 0, "capacity": 9}))).await;
    put(shop, "sessions", "ses_passed", with(&trial, json!({"starts_at": "2020-08-20T07:00:00Z"}))).await;
    for (id, external, family, name) in [
        ("cus_lily", "mum", "fml_potter", "Lily Potter"),
        ("cus_harry", "stu_harry", "fml_potter", "Harry Potter"),
        ("cus_ginny", "stu_ginny", "fml_weasley", "Ginny Weasley"),
    ] {
        let person = json!({"external_id": external, "family": family, "name": name, "date_of_birth": "2014-01-01"});
        put(shop, "customers", id, person).await;
    }
}

pub async fn authorized(shop: &Client, token: &str, amount: i64) -> Value {
    authorized_by(shop, token, amount, "family:fml_potter").await
}

pub async fn authorized_by(shop: &Client, token: &str, amount: i64, owner: &str) -> Value {
    let intent = json!({"token": token, "amount": amount, "currency": "usd", "owner": owner});
    shop.post("/sandbox/payment-intents", &intent).await.expect(201)["id"].clone()
}

pub fn enrolment(class: &str, student: &str, plan: &str) -> Value {
    json!({"classId": class, "studentId": student, "pricingPlanId": plan})
}

pub fn trial(date: &str, time: &str) -> Value {
    json!({"classId": "cls_ballet", "studentId": "stu_harry", "trialAt": date, "time": time})
}

pub fn basket(enrolments: &[Value], trials: &[Value], intent: Value) -> Value {
    json!({"items": {"enrolments": enrolments, "trials": trials}, "paymentIntentId": intent})
}

/// A trial that costs 500.
pub fn morning(intent: Value) -> Value {
    basket(&[], &[trial("2060-08-20", "09:00")], intent)
}

pub async fn check_out(shop: &Client, mount: &str, body: &Value) -> Reply {
    shop.post(&format!("{mount}/v1/basket/fml_potter/checkout"), body).await
}

pub async fn quote(shop: &Client, mount: &str, family: &str, items: &Value) -> Reply {
    let items: String = items.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
    shop.get(&format!("{mount}/v1/basket/{family}/quote?items={items}")).await
}

#[track_caller]
pub fn refused(reply: &Reply, status: u16, exception: &str) -> String {
    let body = reply.json();
    assert_eq!((reply.status, body["exception"].as_str()), (status, Some(exception)), "{}", reply.text);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!((&body["statusCode"], body.as_object().unwrap().len()), (&json!(status), 3), "{body}");
    body["messages"][0].as_str().unwrap().to_owned()
}
