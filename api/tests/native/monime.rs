//! A client of Monime's that hears nothing for a while, and what an endpoint may be put as.

use crate::server::{Reply, Server};
use boxoffice_common::domain::state::Status;
use serde_json::{Value, json};
use std::time::Duration;

const SPACE: (&str, &str) = ("monime-space-id", "spc-slow");

async fn make(server: &Server, key: &str) -> Reply {
    let body = json!({"name": "Slow", "lineItems": [{"name": "Tea", "price": {"currency": "SLE", "value": 250}}]});
    server.post_json("/v1/checkout-sessions", &[("idempotency-key", key), SPACE], &body.to_string()).await
}

async fn made(server: &Server) -> Vec<Value> {
    server.get("/v1/checkouts?space=spc-slow").await.json()["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_client_that_hung_up_finds_the_session_that_it_made() {
    let server = Server::start().await;
    // No worker comes, and the client does not wait.
    assert!(tokio::time::timeout(Duration::from_millis(300), make(&server, "hung-up")).await.is_err());
    let found = made(&server).await;
    assert_eq!((found.len(), &found[0]["status"]), (1, &json!("queued")));
    let id = found[0]["id"].as_str().unwrap();
    assert_eq!(server.work(id).await, Status::AwaitingPayment);
    let again = make(&server, "hung-up").await;
    assert_eq!((again.code(), again.header("monime-cache")), (200, "irc"));
    let session = again.json()["result"].clone();
    assert_eq!((&session["id"], &session["status"]), (&found[0]["id"], &json!("pending")));
    assert_eq!(session["redirectUrl"], server.get(&format!("/v1/checkouts/{id}")).await.json()["payment_url"]);
    assert_eq!(made(&server).await.len(), 1);
}

#[tokio::test]
async fn an_answer_does_not_wait_for_ever_and_says_what_it_would_have_said() {
    let server = Server::start().await;
    let first = make(&server, "patient").await;
    assert_eq!(first.code(), 200, "{:?}", first.body);
    let session = first.json()["result"].clone();
    assert_eq!(session["status"], "pending");
    assert!(session["redirectUrl"].as_str().unwrap().contains("/pay/chk_"), "{session}");
    assert_eq!(server.work(session["id"].as_str().unwrap()).await, Status::AwaitingPayment);
    assert_eq!(make(&server, "patient").await.body, first.body);
}

#[tokio::test]
async fn an_endpoint_has_a_format_that_there_is_and_hears_of_one_space_or_all() {
    let server = Server::start().await;
    let put = async |more: Value| {
        let mut body = json!({"url": "https://shop.example/hooks", "events": ["*"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.put("/v1/webhook-endpoints/one", &body).await
    };
    for (more, param) in [(json!({"format": "xml"}), "format"), (json!({"space": "a b"}), "space"), (json!({"space": ""}), "space")] {
        let reply = put(more).await;
        assert_eq!((reply.code(), reply.json()["param"].as_str()), (400, Some(param)), "{:?}", reply.body);
    }
    assert_eq!(put(json!({"format": "monime", "space": "north"})).await.code(), 201);
    let shown = async || server.get("/v1/webhook-endpoints/one").await.json();
    assert_eq!((&shown().await["format"], &shown().await["space"]), (&json!("monime"), &json!("north")));
    // Put anew, what is left out is as if it had never been said.
    assert_eq!(put(json!({})).await.code(), 200);
    assert_eq!((&shown().await["format"], &shown().await["space"]), (&json!("standard"), &json!(null)));
}
