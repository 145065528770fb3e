//! Refunds over the API: what is answered, what is refused, and what is whose.

use crate::server::{Reply, Server};
use boxoffice_common::{
    domain::scope::Mode,
    ports::queue::{Lane, Queue},
};
use serde_json::{Value, json};

/// Two places for cash, sold.
async fn cash(server: &Server) -> Value {
    server.yoga().await;
    let body = json!({
        "currency": "usd",
        "lines": [{"type": "session", "session": "ses_yoga", "quantity": 2}, {"type": "custom", "name": "Mat", "unit_amount": 500}],
        "payment": {"methods": [{"type": "custom", "name": "cash"}]},
    });
    let reply = server.checkout("sale", &body).await;
    assert_eq!(reply.code(), 202, "{:?}", reply.body);
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    server.work(&id).await;
    server.get(&format!("/v1/checkouts/{id}")).await.json()
}

fn path(sale: &Value) -> String {
    format!("/v1/checkouts/{}/refunds", sale["id"].as_str().unwrap())
}

async fn ask(server: &Server, sale: &Value, key: &str, body: &Value) -> Reply {
    server.post_json(&path(sale), &[("idempotency-key", key)], &body.to_string()).await
}

#[tokio::test]
async fn a_refund_is_answered_found_listed_and_replayed() {
    let server = Server::start().await;
    let sale = cash(&server).await;
    let body = json!({"amount": 1000, "reason": "rain"});
    let first = ask(&server, &sale, "k1", &body).await;
    let refund = first.json();
    assert_eq!((first.code(), first.header("idempotent-replayed")), (202, ""));
    let shown = ["object", "checkout", "status", "amount", "currency", "lines", "reason", "release_seats", "error"];
    let expected = json!(["refund", sale["id"], "succeeded", 1000, "usd", [], "rain", false, null]);
    assert_eq!(json!(shown.map(|field| refund[field].clone())), expected);
    let location = format!("/v1/refunds/{}", refund["id"].as_str().unwrap());
    assert_eq!(first.header("location"), location);
    let again = ask(&server, &sale, "k1", &body).await;
    assert_eq!((again.code(), again.header("idempotent-replayed"), &again.body), (202, "true", &first.body));
    assert_eq!(ask(&server, &sale, "k1", &json!({"amount": 999})).await.problem(), (422, "idempotency_key_reused".to_owned()));
    assert_eq!(server.get(&location).await.json(), refund);
    let line = ask(&server, &sale, "k2", &json!({"lines": [sale["lines"][1]["id"]]})).await.json();
    assert_eq!((&line["amount"], &line["release_seats"]), (&json!(500), &json!(true)));
    assert_eq!(server.get(&path(&sale)).await.json()["data"], json!([refund, line]));
    let rest = ask(&server, &sale, "k3", &json!({})).await.json();
    assert_eq!(rest["amount"], 2000);
    let after = server.get(&format!("/v1/checkouts/{}", sale["id"].as_str().unwrap())).await.json();
    assert_eq!((&after["amount_refunded"], &after["status"]), (&json!(3500), &json!("succeeded")));
    assert_eq!(server.get("/v1/sessions/ses_yoga/availability").await.json()["available"], 20);
    assert_eq!(server.queue.depth(Lane::Money).await.unwrap(), 0, "no provider has a say in cash");
}

#[tokio::test]
async fn what_cannot_go_back_is_refused_and_leaves_nothing_behind() {
    let server = Server::start().await;
    let sale = cash(&server).await;
    for (body, refused) in [
        (json!({"amount": 3501}), (422, "refund_exceeds_paid")),
        (json!({"amount": 0}), (400, "parameter_invalid")),
        (json!({"amount": -1}), (400, "parameter_invalid")),
        (json!({"lines": []}), (400, "parameter_invalid")),
        (json!({"lines": ["li_unknown"]}), (422, "resource_missing")),
        (json!({"amount": 5, "release_seats": true}), (400, "parameter_invalid")),
        (json!({"reason": ""}), (400, "parameter_invalid")),
        (json!({"much": 5}), (400, "parameter_unknown")),
    ] {
        assert_eq!(ask(&server, &sale, "k", &body).await.problem(), (refused.0, refused.1.to_owned()), "{body}");
    }
    assert_eq!(server.post_json(&path(&sale), &[], "{}").await.problem(), (400, "idempotency_key_missing".to_owned()));
    let queued = json!({"id": server.free("unsold").await});
    assert_eq!(ask(&server, &queued, "k", &json!({})).await.problem(), (409, "not_refundable".to_owned()));
    let unknown = json!({"id": "chk_unknown"});
    assert_eq!(ask(&server, &unknown, "k", &json!({})).await.problem(), (404, "not_found".to_owned()));
    assert_eq!(server.get(&path(&unknown)).await.problem(), (404, "not_found".to_owned()));
    assert_eq!(server.get("/v1/refunds/ref_unknown").await.problem(), (404, "not_found".to_owned()));
    assert_eq!(server.get(&path(&sale)).await.json()["data"], json!([]));
    let same = server.get(&format!("/v1/checkouts/{}", sale["id"].as_str().unwrap())).await.json();
    assert_eq!(same, sale, "nothing was written");
    assert_eq!(ask(&server, &sale, "k", &json!({})).await.code(), 202, "and the key was not used up");
}

#[tokio::test]
async fn cash_that_is_back_is_not_resolved_and_kept_places_are_freed_for_nothing() {
    let server = Server::start().await;
    let sale = cash(&server).await;
    let line = sale["lines"][0]["id"].clone();
    let kept = ask(&server, &sale, "k1", &json!({"lines": [line], "release_seats": false})).await.json();
    let resolve = format!("/v1/refunds/{}/resolve", kept["id"].as_str().unwrap());
    for body in [r#"{"outcome": "failed"}"#, r#"{"outcome": "succeeded", "note": "x"}"#] {
        assert_eq!(server.post_json(&resolve, &[], body).await.problem(), (409, "not_in_review".to_owned()));
    }
    assert_eq!(server.post_json(&resolve, &[], "{}").await.problem(), (400, "parameter_missing".to_owned()));
    assert_eq!(server.post_json("/v1/refunds/ref_unknown/resolve", &[], r#"{"outcome": "failed"}"#).await.problem().0, 404);
    server.add_key("bo_test_clerk", "demo", Mode::Test, &["checkouts:write", "checkouts:read"]).await;
    let clerk = [("authorization", "Bearer bo_test_clerk")];
    assert_eq!(server.post_json(&resolve, &clerk, r#"{"outcome": "failed"}"#).await.problem(), (403, "scope_missing".to_owned()));
    assert_eq!(server.get("/v1/sessions/ses_yoga/availability").await.json()["available"], 18);
    let freed = ask(&server, &sale, "k2", &json!({"lines": [line], "amount": 0, "release_seats": true})).await.json();
    assert_eq!((&freed["status"], &freed["amount"]), (&json!("succeeded"), &json!(0)));
    assert_eq!(server.get("/v1/sessions/ses_yoga/availability").await.json()["available"], 20);
}

#[tokio::test]
async fn another_tenant_sees_and_refunds_nothing() {
    let server = Server::start().await;
    let sale = cash(&server).await;
    let refund = ask(&server, &sale, "k", &json!({"amount": 5})).await.json();
    server.add_key("bo_test_other", "other", Mode::Test, &["admin", "checkouts:write", "checkouts:read"]).await;
    let theirs = [("authorization", "Bearer bo_test_other"), ("idempotency-key", "k")];
    assert_eq!(server.post_json(&path(&sale), &theirs, "{}").await.problem(), (404, "not_found".to_owned()));
    for path in [path(&sale), format!("/v1/refunds/{}", refund["id"].as_str().unwrap())] {
        assert_eq!(server.get_with(&path, &theirs[..1]).await.problem(), (404, "not_found".to_owned()));
    }
    server.add_key("bo_test_reader", "demo", Mode::Test, &["checkouts:read"]).await;
    let reader = [("authorization", "Bearer bo_test_reader"), ("idempotency-key", "k")];
    assert_eq!(server.post_json(&path(&sale), &reader, "{}").await.problem(), (403, "scope_missing".to_owned()));
}
