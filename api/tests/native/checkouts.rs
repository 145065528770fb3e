//! Making, reading and ending checkouts.

use crate::server::{Server, eventually, two_places, yoga};
use boxoffice_common::{domain::state::Status, ports::queue::Lane};
use serde_json::{Value, json};

#[tokio::test]
async fn a_checkout_is_accepted_shown_as_documented_and_handed_to_the_queue() {
    let server = Server::start().await;
    server.yoga().await;
    let reply = server.checkout("k1", &two_places()).await;
    assert_eq!(reply.code(), 202, "{:?}", reply.body);
    let checkout = reply.json();
    let id = checkout["id"].as_str().unwrap();
    assert!(id.starts_with("chk_"));
    assert_eq!(reply.header("location"), format!("/v1/checkouts/{id}"));
    for (field, value) in [
        ("object", json!("checkout")),
        ("status", json!("queued")),
        ("livemode", json!(false)),
        ("currency", json!("usd")),
        ("amount_subtotal", json!(3000)),
        ("amount_total", json!(3000)),
        ("amount_paid", json!(0)),
        ("customer", Value::Null),
        ("error", Value::Null),
        ("metadata", json!({})),
        ("version", json!(1)),
        ("completed_at", Value::Null),
    ] {
        assert_eq!(checkout[field], value, "{field}");
    }
    assert_eq!(checkout["lines"][0]["session"], "ses_yoga");
    assert!(checkout["queue"]["position"].is_u64() && checkout["queue"]["estimated_wait_ms"].is_u64());
    let shown = server.get(&format!("/v1/checkouts/{id}")).await;
    assert_eq!((shown.code(), shown.header("etag")), (200, "\"1\""));
    assert_eq!(shown.json()["lines"], checkout["lines"]);
    let work = server.queued(Lane::Checkouts, 1).await;
    assert_eq!((work[0].id.as_str(), work[0].scope.as_str(), work[0].wants[0].quantity), (id, "demo/test", 2));
    assert_eq!(work[0].trace.as_ref().map(String::len), Some(55));
}

#[tokio::test]
async fn a_described_customer_is_made_once_and_found_again() {
    let server = Server::start().await;
    let mut body = json!({
        "currency": "usd", "customer": {"external_id": "u1", "email": "ada@example.com"},
        "lines": [{"type": "custom", "name": "Nothing", "unit_amount": 0}],
    });
    let first = server.checkout("k1", &body).await.json()["customer"].clone();
    let again = server.checkout("k2", &body).await.json()["customer"].clone();
    assert!(first.as_str().unwrap().starts_with("cus_"));
    assert_eq!(first, again);
    body["customer"] = first;
    assert_eq!(server.checkout("k3", &body).await.code(), 202);
    body["customer"] = json!("cus_nobody");
    let refused = server.checkout("k4", &body).await;
    assert_eq!((refused.problem(), refused.json()["param"].clone()), ((422, "resource_missing".to_owned()), json!("customer")));
}

#[tokio::test]
async fn a_version_that_the_client_has_is_not_sent_again() {
    let server = Server::start().await;
    let id = server.free("k1").await;
    let path = format!("/v1/checkouts/{id}");
    let known = server.get_with(&path, &[("if-none-match", "\"0\", W/\"1\"")]).await;
    assert_eq!((known.code(), known.body.len(), known.header("etag")), (304, 0, "\"1\""));
    server.work(&id).await;
    let changed = server.get_with(&path, &[("if-none-match", "\"1\"")]).await;
    assert_eq!((changed.code(), changed.header("etag"), changed.json()["status"].clone()), (200, "\"2\"", json!("succeeded")));
    assert!(changed.json().get("queue").is_none());
}

#[tokio::test]
async fn a_queued_checkout_is_canceled_again_and_again_and_an_ended_one_is_not() {
    let server = Server::start().await;
    let id = server.free("k1").await;
    let path = format!("/v1/checkouts/{id}/cancel");
    let canceled = server.post(&path).await;
    assert_eq!((canceled.code(), canceled.json()["status"].clone()), (200, json!("canceled")));
    assert_eq!(server.post(&path).await.code(), 200);
    let sold = server.free("k2").await;
    assert_eq!(server.work(&sold).await, Status::Succeeded);
    assert_eq!(server.post(&format!("/v1/checkouts/{sold}/cancel")).await.problem(), (409, "not_cancelable".to_owned()));
    assert_eq!(server.post("/v1/checkouts/chk_nothing/cancel").await.problem(), (404, "not_found".to_owned()));
    let unknown = server.post_json(&path, &[], r#"{"force": true}"#).await;
    assert_eq!(unknown.problem(), (400, "parameter_unknown".to_owned()));
}

#[tokio::test]
async fn only_a_checkout_that_needs_review_can_be_resolved() {
    let server = Server::start().await;
    let id = server.free("k1").await;
    let resolve = async |id: &str, body: &str| server.post_json(&format!("/v1/checkouts/{id}/resolve"), &[], body).await.problem();
    assert_eq!(resolve(&id, r#"{"outcome": "succeeded", "note": "seen in the bank"}"#).await, (409, "not_in_review".to_owned()));
    assert_eq!(resolve(&id, r#"{"outcome": "maybe"}"#).await, (400, "parameter_invalid".to_owned()));
    assert_eq!(resolve("chk_nothing", r#"{"outcome": "failed"}"#).await, (404, "not_found".to_owned()));
}

#[tokio::test]
async fn the_timeline_tells_what_happened_oldest_first() {
    let server = Server::start().await;
    let id = server.free("k1").await;
    server.work(&id).await;
    let timeline = server.get(&format!("/v1/checkouts/{id}/timeline")).await.json();
    let what: Vec<_> = timeline["data"].as_array().unwrap().iter().map(|entry| entry["what"].as_str().unwrap()).collect();
    assert_eq!((what.first(), what.last()), (Some(&"accepted"), Some(&"checkout.succeeded")));
    assert_eq!(timeline["next_cursor"], Value::Null);
}

#[tokio::test]
async fn lists_are_narrowed_and_paged() {
    let server = Server::start().await;
    server.yoga().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        let mut body = two_places();
        body["reference"] = json!(format!("order-{n}"));
        ids.push(server.checkout(&format!("k{n}"), &body).await.json()["id"].as_str().unwrap().to_owned());
    }
    let free = server.free("free").await;
    let listed = async |query: &str| -> (Vec<String>, Value) {
        let reply = server.get(&format!("/v1/checkouts{query}")).await;
        assert_eq!(reply.code(), 200, "{query}: {:?}", reply.body);
        let body = reply.json();
        let ids = body["data"].as_array().unwrap().iter().map(|checkout| checkout["id"].as_str().unwrap().to_owned()).collect();
        (ids, body["next_cursor"].clone())
    };
    assert_eq!(listed("?reference=order-3").await.0, [ids[3].clone()]);
    assert_eq!(listed("?session=ses_yoga").await.0.len(), 5);
    assert_eq!(listed("?status=succeeded").await.0.len(), 0);
    assert_eq!(listed("?created_after=2099-01-01T00:00:00Z").await.0.len(), 0);
    let (mut seen, mut cursor) = listed("?limit=4").await;
    assert_eq!(seen[0], free);
    while let Some(after) = cursor.as_str() {
        let (more, next) = listed(&format!("?limit=4&cursor={after}")).await;
        seen.extend(more);
        cursor = next;
    }
    ids.push(free);
    ids.reverse();
    assert_eq!(seen, ids);
    for bad in ["?limit=0", "?limit=x", "?status=paid", "?created_after=now", "?session=a%20b", "?cursor=%00", "?statu=queued"] {
        assert_eq!(server.get(&format!("/v1/checkouts{bad}")).await.code(), 400, "{bad}");
    }
}

#[tokio::test]
async fn a_cancel_is_heard_by_those_who_wait() {
    let server = Server::start().await;
    let id = server.free("k1").await;
    let path = format!("/v1/checkouts/{id}");
    let waiting = server.get_with(&path, &[("prefer", "wait=20")]);
    let cancel = async {
        eventually(async || server.ctx.waiters().count() == 1).await;
        server.post(&format!("{path}/cancel")).await
    };
    let started = std::time::Instant::now();
    let (heard, canceled) = tokio::join!(waiting, cancel);
    assert_eq!((heard.json()["status"].clone(), canceled.code()), (json!("canceled"), 200));
    assert!(started.elapsed().as_secs() < 5);
}

#[tokio::test]
async fn a_session_that_is_not_sold_any_more_is_the_workers_to_refuse() {
    let server = Server::start().await;
    let mut past = yoga();
    past["starts_at"] = json!("2020-01-01T10:00:00Z");
    assert_eq!(server.put("/v1/sessions/ses_yoga", &past).await.code(), 201);
    assert_eq!(server.checkout("k1", &two_places()).await.code(), 202);
}
