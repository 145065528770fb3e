//! Who may see and do what.

use crate::server::{Server, request, two_places, yoga};
use axum::body::Body;
use boxoffice_common::domain::scope::Mode;
use serde_json::{Value, json};

const OTHER: (&str, &str) = ("authorization", "Bearer bo_test_other");
const LIVE: (&str, &str) = ("authorization", "Bearer bo_live_demo");
const READER: (&str, &str) = ("authorization", "Bearer bo_test_reader");

async fn with_other_keys() -> Server {
    let server = Server::start().await;
    let all = ["checkouts:write", "checkouts:read", "catalog:write", "admin"];
    server.add_key("bo_test_other", "other", Mode::Test, &all).await;
    server.add_key("bo_live_demo", "demo", Mode::Live, &all).await;
    server.add_key("bo_test_reader", "demo", Mode::Test, &["checkouts:read"]).await;
    server
}

#[tokio::test]
async fn without_a_live_key_nothing_is_told() {
    let server = Server::start().await;
    server.add_key("bo_live_wrong", "demo", Mode::Test, &["admin"]).await;
    for header in ["", "Basic x", "Bearer", "Bearer x", "Bearer bo_test_unknown", "bo_test_demo", "Bearer bo_live_wrong"] {
        for path in ["/v1/checkouts", "/v1/checkouts/chk_1", "/v1/sessions", "/sandbox/charges?reference=chk_1"] {
            let reply = server.get_with(path, &[("authorization", header)]).await;
            assert_eq!(reply.problem(), (401, "unauthenticated".to_owned()), "{header} {path}");
            assert_eq!(reply.header("www-authenticate"), "Bearer");
        }
    }
}

#[tokio::test]
async fn a_live_key_cannot_pay_with_a_sandbox_card() {
    let server = with_other_keys().await;
    let live = async |method: &str, path: &str, body: &Value| {
        let headers = [LIVE, ("content-type", "application/json"), ("idempotency-key", "k1")];
        server.send(request(method, path, &headers).body(Body::from(body.to_string())).unwrap()).await
    };
    assert_eq!(live("PUT", "/v1/sessions/ses_yoga", &yoga()).await.code(), 201);
    let refused = live("POST", "/v1/checkouts", &two_places()).await;
    assert_eq!(refused.problem(), (422, "provider_not_configured".to_owned()));
    assert_eq!(refused.json()["param"], "payment.methods[0].type");
    assert_eq!(server.get_with("/v1/checkouts", &[LIVE]).await.json()["data"], json!([]));
    // The same key is free; what is paid outside, or costs nothing, is sold.
    let mut cash = two_places();
    cash["payment"]["methods"] = json!([{"type": "custom", "name": "cash"}]);
    let sold = live("POST", "/v1/checkouts", &cash).await;
    assert_eq!((sold.code(), sold.json()["livemode"].clone()), (202, json!(true)), "{:?}", sold.body);
    let free = json!({"currency": "usd", "lines": [{"type": "custom", "name": "Nothing", "unit_amount": 0}], "payment": {"methods": [{"type": "free"}]}});
    let headers = [LIVE, ("idempotency-key", "k2")];
    assert_eq!(server.post_json("/v1/checkouts", &headers, &free.to_string()).await.code(), 202);
    // A test key goes on as ever.
    server.yoga().await;
    assert_eq!(server.checkout("k1", &two_places()).await.code(), 202);
}

#[tokio::test]
async fn another_tenants_and_the_other_modes_objects_are_not_there() {
    let server = with_other_keys().await;
    server.yoga().await;
    let id = server.checkout("k1", &two_places()).await.json()["id"].as_str().unwrap().to_owned();
    server.put("/v1/customers/cus_1", &json!({"name": "Ada"})).await;
    server.put("/v1/webhook-endpoints/we_1", &json!({"url": "https://shop.example/", "events": ["*"]})).await;
    for path in [
        format!("/v1/checkouts/{id}"),
        format!("/v1/checkouts/{id}/events"),
        format!("/v1/checkouts/{id}/timeline"),
        format!("/sandbox/charges?reference={id}"),
        "/v1/sessions/ses_yoga".to_owned(),
        "/v1/sessions/ses_yoga/availability".to_owned(),
        "/v1/customers/cus_1".to_owned(),
        "/v1/webhook-endpoints/we_1".to_owned(),
    ] {
        if !path.ends_with("/events") {
            assert_eq!(server.get(&path).await.code(), 200, "{path}");
        }
        for key in [OTHER, LIVE] {
            assert_eq!(server.get_with(&path, &[key]).await.problem(), (404, "not_found".to_owned()), "{path}");
            // A client that waits learns no more.
            let waited = server.get_with(&path, &[key, ("prefer", "wait=5")]).await;
            assert_eq!(waited.code(), 404, "{path}");
        }
    }
    for action in ["cancel", "resolve"] {
        let reply = server.post_json(&format!("/v1/checkouts/{id}/{action}"), &[OTHER], r#"{"outcome":"failed"}"#).await;
        assert!([404, 400].contains(&reply.code()), "{action}");
    }
    assert_eq!(server.get(&format!("/v1/checkouts/{id}")).await.json()["status"], "queued");
    for list in ["checkouts", "sessions", "customers", "webhook-endpoints", "deliveries"] {
        let reply = server.get_with(&format!("/v1/{list}"), &[OTHER]).await;
        assert_eq!(reply.json()["data"], json!([]), "{list}");
    }
}

#[tokio::test]
async fn the_same_key_text_in_another_scope_is_another_key() {
    let server = with_other_keys().await;
    server.yoga().await;
    let reply = server.post_json("/v1/checkouts", &[OTHER, ("idempotency-key", "k1")], &two_places().to_string()).await;
    assert_eq!(reply.problem(), (422, "resource_missing".to_owned()));
    assert_eq!(server.checkout("k1", &two_places()).await.code(), 202);
}

#[tokio::test]
async fn a_key_without_the_scope_is_refused() {
    let server = with_other_keys().await;
    let id = server.free("k1").await;
    assert_eq!(server.get_with(&format!("/v1/checkouts/{id}"), &[READER]).await.code(), 200);
    assert_eq!(server.get_with("/v1/sessions", &[READER]).await.code(), 200);
    for (method, path) in [
        ("POST", "/v1/checkouts".to_owned()),
        ("POST", format!("/v1/checkouts/{id}/cancel")),
        ("POST", format!("/v1/checkouts/{id}/resolve")),
        ("PUT", "/v1/sessions/s1".to_owned()),
        ("PUT", "/v1/customers/c1".to_owned()),
        ("PUT", "/v1/webhook-endpoints/w1".to_owned()),
        ("GET", "/v1/webhook-secret".to_owned()),
        ("POST", "/v1/deliveries/dlv_1/replay".to_owned()),
    ] {
        let request = crate::server::request(method, &path, &[READER, ("content-type", "application/json"), ("idempotency-key", "k")]);
        let reply = server.send(request.body(axum::body::Body::from("{}")).unwrap()).await;
        assert_eq!(reply.problem(), (403, "scope_missing".to_owned()), "{method} {path}");
    }
}

#[tokio::test]
async fn the_sandbox_book_is_for_test_keys() {
    let server = with_other_keys().await;
    let id = server.free("k1").await;
    let book = server.get(&format!("/sandbox/charges?reference={id}")).await;
    assert_eq!(book.json(), json!({"data": [{"reference": id}]}));
    assert_eq!(server.get_with(&format!("/sandbox/charges?reference={id}"), &[LIVE]).await.code(), 404);
    assert_eq!(server.get("/sandbox/charges").await.problem(), (400, "parameter_missing".to_owned()));
}
