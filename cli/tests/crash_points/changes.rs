//! What is there already is changed: a ticket is shown at the door and passed on, a checkout is called off, and a session.

use crate::{
    mortal::Mortal,
    support::{
        catalogue::{places, put, session, with},
        client::{Client, Reply},
    },
};
use reqwest::Method;
use serde_json::{Value, json};

/// What became of a silent provider's charge is for a person to decide about soon.
pub const SETTINGS: &[(&str, &str)] = &[("BOXOFFICE_KEY_WINDOW_MS", "500")];

const BEFORE: &str = "change.before_commit";
const AFTER: &str = "change.after_commit";

/// A change that nobody heard of is not made, or made once.
pub async fn changes(mortal: &mut Mortal) {
    for point in [BEFORE, AFTER] {
        door(mortal, point).await;
        called_off(mortal, point).await;
        decided(mortal, point).await;
        session_called_off(mortal, point).await;
    }
    for point in ["accept.before_commit", "accept.after_commit"] {
        replaced(mortal, point).await;
    }
}

/// Sends this without a key at a death, and again behind it.
async fn twice(mortal: &mut Mortal, point: &str, path: &str, body: &Value) -> Reply {
    let request = mortal.shop.request(Method::POST, path).json(body);
    mortal.dies_at(point, request).await;
    mortal.shop.post(path, body).await
}

async fn admit(shop: &Client, code: &Value) -> Reply {
    shop.post("/v1/check-ins", &json!({"code": code})).await
}

/// One ticket admits once, and one is passed on: only its new holder gets in.
async fn door(mortal: &mut Mortal, point: &str) {
    let name = format!("ses_door_{}", point.len());
    put(&mortal.shop, "sessions", &name, session(5)).await;
    let sale = mortal.shop.buy(&places(&name, 2, "tok_visa")).await;
    let tickets = mortal.shop.get(&format!("/v1/checkouts/{}/tickets", sale["id"].as_str().unwrap())).await.expect(200)["data"].clone();
    let again = twice(mortal, point, "/v1/check-ins", &json!({"code": tickets[0]["code"]})).await;
    if point == BEFORE {
        again.expect(200);
    } else {
        again.expect_problem(409, "already_admitted");
    }
    admit(&mortal.shop, &tickets[0]["code"]).await.expect_problem(409, "already_admitted");
    let transfer = format!("/v1/tickets/{}/transfer", tickets[1]["id"].as_str().unwrap());
    let eves = twice(mortal, point, &transfer, &json!({"holder": {"name": "Eve"}})).await.expect(200);
    assert_eq!(eves["holder"]["name"], "Eve", "{point}: {eves}");
    admit(&mortal.shop, &tickets[1]["code"]).await.expect_problem(409, "ticket_replaced");
    admit(&mortal.shop, &eves["code"]).await.expect(200);
}

/// A customer who has not paid yet does not want to any more: his place is free, and nothing can be paid behind it.
async fn called_off(mortal: &mut Mortal, point: &str) {
    let name = format!("ses_off_{}", point.len());
    put(&mortal.shop, "sessions", &name, session(1)).await;
    let hosted = json!({"payment": {"hosted": {}}, "success_url": "https://shop.test/yes", "cancel_url": "https://shop.test/no"});
    let id = mortal.shop.order(&with(&places(&name, 1, "tok_visa"), hosted)).await;
    mortal.shop.until(&id, "awaiting_payment").await;
    let again = twice(mortal, point, &format!("/v1/checkouts/{id}/cancel"), &json!({})).await.expect(200);
    assert_eq!((&again["status"], &again["error"]["code"]), (&json!("canceled"), &json!("canceled")), "{point}: {again}");
    assert_eq!((mortal.shop.left(&name).await, mortal.shop.charged(&id).await), ((0, 0, 1), Vec::new()), "{point}");
}

/// A customer orders once more: the older order is called off and the newer one taken in, both or neither.
async fn replaced(mortal: &mut Mortal, point: &str) {
    let name = format!("ses_newer_{}", point.len());
    put(&mortal.shop, "sessions", &name, session(1)).await;
    let hosted = json!({"payment": {"hosted": {}}, "reference": name});
    let older = mortal.shop.order(&with(&places(&name, 1, "tok_visa"), hosted.clone())).await;
    mortal.shop.until(&older, "awaiting_payment").await;
    let newer = with(&with(&places(&name, 1, "tok_visa"), hosted), json!({"replaces_open": true}));
    let newer = mortal.post(point, "/v1/checkouts", &newer).await["id"].as_str().unwrap().to_owned();
    mortal.shop.until(&newer, "awaiting_payment").await;
    let older = mortal.shop.checkout(&older).await;
    assert_eq!((&older["status"], &older["error"]["code"]), (&json!("canceled"), &json!("replaced")), "{point}: {older}");
    assert_eq!(mortal.shop.left(&name).await, (0, 1, 0), "{point}");
    let all = mortal.shop.get(&format!("/v1/checkouts?reference={name}")).await.expect(200);
    assert_eq!(all["data"].as_array().unwrap().len(), 2, "{point}: {all}");
}

/// Nobody can find out whether a charge was made, and an operator says that it was: it is sold once.
async fn decided(mortal: &mut Mortal, point: &str) {
    let name = format!("ses_doubt_{}", point.len());
    put(&mortal.shop, "sessions", &name, session(1)).await;
    let id = mortal.shop.order(&places(&name, 1, "tok_outage")).await;
    mortal.shop.until(&id, "needs_review").await;
    let decision = json!({"outcome": "succeeded", "note": "asked the bank"});
    let again = twice(mortal, point, &format!("/v1/checkouts/{id}/resolve"), &decision).await.expect(200);
    assert_eq!((&again["status"], &again["amount_paid"]), (&json!("succeeded"), &json!(1500)), "{point}: {again}");
    assert_eq!(mortal.shop.left(&name).await, (1, 0, 0), "{point}");
}

/// Everybody gets the money back once, by one job.
async fn session_called_off(mortal: &mut Mortal, point: &str) {
    let name = format!("ses_all_{}", point.len());
    put(&mortal.shop, "sessions", &name, session(3)).await;
    let sale = mortal.shop.buy(&places(&name, 3, "tok_visa")).await;
    let job = mortal.post(point, &format!("/v1/sessions/{name}/cancel"), &json!({})).await;
    let ended = mortal.shop.eventually(&format!("/v1/jobs/{}", job["id"].as_str().unwrap()), |job| job["completed_at"].is_string()).await;
    assert_eq!((&ended["status"], &ended["total"], &ended["done"]), (&json!("succeeded"), &json!(1), &json!(1)), "{point}: {ended}");
    let jobs = mortal.shop.get("/v1/jobs").await.expect(200);
    let ours = jobs["data"].as_array().unwrap().iter().filter(|job| job["session"] == name.as_str()).count();
    assert_eq!((ours, mortal.charged(&sale).await), (1, vec!["refunded".to_owned()]), "{point}");
}
