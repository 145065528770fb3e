//! Endpoints, secrets and deliveries.

use crate::server::{Server, request};
use axum::body::Body;
use boxoffice_common::ports::queue::Lane;
use serde_json::{Value, json};

#[tokio::test]
async fn an_endpoints_secret_is_shown_when_it_is_made_and_when_it_is_rotated() {
    let server = Server::start().await;
    let put = json!({"url": "https://shop.example/hooks", "events": ["checkout.succeeded"]});
    let created = server.put("/v1/webhook-endpoints/we_1", &put).await;
    assert_eq!(created.code(), 201);
    let first = created.json()["secret"].as_str().unwrap().to_owned();
    assert!(first.starts_with("whsec_"));
    let replaced = server.put("/v1/webhook-endpoints/we_1", &put).await;
    assert_eq!((replaced.code(), replaced.json().get("secret")), (200, None));
    let shown = server.get("/v1/webhook-endpoints/we_1").await.json();
    assert_eq!((shown["enabled"].clone(), shown.get("secret")), (json!(true), None));
    let rotated = server.post("/v1/webhook-endpoints/we_1/rotate-secret").await;
    assert!(rotated.json()["secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_") && secret != first));
    assert_eq!(server.post("/v1/webhook-endpoints/nothing/rotate-secret").await.code(), 404);
    let delete = async || server.send(request("DELETE", "/v1/webhook-endpoints/we_1", &[]).body(Body::empty()).unwrap()).await.code();
    assert_eq!((delete().await, delete().await), (204, 404));
}

#[tokio::test]
async fn an_endpoint_that_makes_no_sense_is_refused() {
    let server = Server::start_with(|config| config.allow_private_callbacks = false).await;
    for (body, param) in [
        (json!({"url": "https://shop.example/", "events": []}), "events"),
        (json!({"url": "https://shop.example/", "events": ["checkout.paid"]}), "events[0]"),
        (json!({"url": "https://127.0.0.1/", "events": ["*"]}), "url"),
        (json!({"url": "http://169.254.169.254/latest", "events": ["*"]}), "url"),
        (json!({"url": "file:///etc/passwd", "events": ["*"]}), "url"),
    ] {
        let reply = server.put("/v1/webhook-endpoints/we_1", &body).await;
        assert_eq!((reply.code(), reply.json()["param"].clone()), (400, json!(param)), "{body}");
    }
}

#[tokio::test]
async fn the_default_secret_stays_until_it_is_rotated() {
    let server = Server::start().await;
    let secret = async || server.get("/v1/webhook-secret").await.json()["secret"].as_str().unwrap().to_owned();
    let first = secret().await;
    assert_eq!(secret().await, first);
    let rotated = server.post("/v1/webhook-secret/rotate").await.json()["secret"].as_str().unwrap().to_owned();
    assert_ne!(rotated, first);
    assert_eq!(secret().await, rotated);
}

#[tokio::test]
async fn a_delivery_can_be_found_and_sent_again() {
    let server = Server::start().await;
    server.put("/v1/webhook-endpoints/we_1", &json!({"url": "https://shop.example/", "events": ["*"]})).await;
    let id = server.free("k1").await;
    server.work(&id).await;
    let found = server.get(&format!("/v1/deliveries?checkout={id}&status=pending")).await.json();
    let delivery = &found["data"][0];
    assert_eq!((delivery["event_type"].clone(), delivery["endpoint"].clone()), (json!("checkout.succeeded"), json!("we_1")));
    let path = format!("/v1/deliveries/{}", delivery["id"].as_str().unwrap());
    assert_eq!(server.get(&path).await.json()["checkout"], json!(id));
    assert_eq!(server.post(&format!("{path}/replay")).await.code(), 202);
    assert_eq!(server.queued(Lane::Deliveries, 1).await[0].id, delivery["id"]);
    assert_eq!(server.post("/v1/deliveries/dlv_nothing/replay").await.code(), 404);
    assert_eq!(server.get("/v1/deliveries?checkout=chk_nothing").await.json()["next_cursor"], Value::Null);
}
