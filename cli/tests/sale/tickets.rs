//! After the sale: tickets by card, shown at the door, passed on, given back.

use crate::support::{
    catalogue::{places, put, session},
    client::{Client, fresh_key},
    system::System,
};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

pub async fn story(system: &System) {
    let shop = system.shop();
    put(&shop, "sessions", "ses_door", session(10)).await;
    let sale = shop.buy(&places("ses_door", 3, "tok_visa")).await;
    let id = sale["id"].as_str().unwrap();
    let tickets = of(&shop, id).await;
    assert_eq!(tickets.len(), 3);
    fifty_at_the_door(&shop, &tickets[0]).await;
    let eves = shop.post(&path(&tickets[1], "transfer"), &json!({"holder": {"name": "Eve"}})).await.expect(200);
    shop.post("/v1/check-ins", &json!({"code": tickets[1]["code"]})).await.expect_problem(409, "ticket_replaced");
    shop.post("/v1/check-ins", &json!({"code": eves["code"]})).await.expect(200);
    shop.post(&path(&tickets[1], "undo-check-in"), &json!({})).await.expect(200);
    // The money goes back, and with it the places.
    let refunds = format!("/v1/checkouts/{id}/refunds");
    let refund = shop.send(shop.request(Method::POST, &refunds).header("idempotency-key", fresh_key()).json(&json!({}))).await.expect(202);
    shop.eventually(&format!("/v1/refunds/{}", refund["id"].as_str().unwrap()), |refund| refund["status"] == "succeeded").await;
    assert!(of(&shop, id).await.iter().all(|ticket| ticket["status"] == "void" && ticket["code"].is_null()));
    shop.post("/v1/check-ins", &json!({"code": eves["code"]})).await.expect_problem(409, "ticket_void");
    let failed = shop.buy(&places("ses_door", 1, "tok_declined")).await;
    assert!(of(&shop, failed["id"].as_str().unwrap()).await.is_empty(), "nothing was sold");
}

async fn of(shop: &Client, checkout: &str) -> Vec<Value> {
    shop.get(&format!("/v1/checkouts/{checkout}/tickets")).await.expect(200)["data"].as_array().unwrap().clone()
}

fn path(ticket: &Value, what: &str) -> String {
    format!("/v1/tickets/{}/{what}", ticket["id"].as_str().unwrap())
}

async fn fifty_at_the_door(shop: &Client, ticket: &Value) {
    let body = json!({"code": ticket["code"], "session": "ses_door"});
    let answers = join_all((0..50).map(|_| shop.post("/v1/check-ins", &body))).await;
    let (admitted, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((admitted.len(), refused.len()), (1, 49));
    for answer in refused {
        let problem = answer.expect_problem(409, "already_admitted");
        assert_eq!(problem["admitted_at"], admitted[0].json()["admitted_at"]);
    }
}
