//! Bounds: what is too much is refused in time, and says when to come back.

use crate::server::{Server, eventually};
use axum::{Router, middleware::from_fn_with_state, routing};
use boxoffice_common::{domain::scope::Mode, ports::store::KeyStore};
use tower::ServiceExt;

#[tokio::test]
async fn a_key_that_asks_too_often_is_told_to_wait_and_others_are_not() {
    let server = Server::start_with(|config| config.rate_limit_per_second = 5).await;
    server.add_key("bo_test_other", "other", Mode::Test, &[]).await;
    let first = server.get("/v1/sessions").await;
    assert_eq!((first.header("ratelimit-policy"), first.header("ratelimit")), ("\"default\";q=10;w=2", "\"default\";r=9;t=1"));
    let mut refused = first;
    for _ in 0..30 {
        refused = server.get("/v1/sessions").await;
        if refused.code() == 429 {
            break;
        }
    }
    assert_eq!(refused.problem(), (429, "rate_limited".to_owned()));
    assert_eq!((refused.header("retry-after"), refused.header("ratelimit")), ("1", "\"default\";r=0;t=1"));
    assert_eq!(server.get_with("/v1/sessions", &[("authorization", "Bearer bo_test_other")]).await.code(), 200);
    assert_eq!(server.get("/healthz").await.code(), 200);
}

#[tokio::test]
async fn new_checkouts_are_shed_while_too_many_wait_and_reads_go_on() {
    let server = Server::start_with(|config| config.max_queue_depth = 2).await;
    let body = serde_json::json!({"currency": "usd", "lines": [{"type": "custom", "name": "x", "unit_amount": 0}]});
    let mut id = String::new();
    for n in 0..3 {
        id = server.free(&format!("k{n}")).await;
    }
    let shed = server.checkout("k9", &body).await;
    assert_eq!(shed.problem(), (503, "overloaded".to_owned()));
    assert_eq!(shed.header("retry-after"), "1");
    assert_eq!(server.get(&format!("/v1/checkouts/{id}")).await.code(), 200);
    // Nothing was kept of it: the key is free, and works once the queue has worked off.
    assert_eq!(server.queued(boxoffice_common::ports::queue::Lane::Checkouts, 3).await.len(), 3);
    eventually(async || server.ctx.gate().estimate().position == 0).await;
    assert_eq!(server.checkout("k9", &body).await.code(), 202);
}

#[tokio::test]
async fn what_was_accepted_is_published_before_the_process_ends() {
    let server = Server::start().await;
    for n in 0..50 {
        server.free(&format!("k{n}")).await;
    }
    server.ctx.drain().await;
    assert_eq!(server.queued(boxoffice_common::ports::queue::Lane::Checkouts, 50).await.len(), 50);
}

#[tokio::test]
async fn long_answers_are_compressed_for_those_who_ask() {
    let server = Server::start().await;
    for n in 0..10 {
        server.put(&format!("/v1/sessions/s{n}"), &crate::server::yoga()).await;
    }
    let asked = server.get_with("/v1/sessions", &[("accept-encoding", "gzip")]).await;
    assert_eq!(asked.header("content-encoding"), "gzip");
    assert_eq!(server.get("/v1/sessions").await.header("content-encoding"), "");
    assert_eq!(server.get_with("/v1/sessions/s1", &[("accept-encoding", "gzip")]).await.header("content-encoding"), "");
}

#[tokio::test]
async fn a_handler_that_panics_is_answered_and_the_process_goes_on() {
    let server = Server::start().await;
    let layer = from_fn_with_state(server.ctx.clone(), boxoffice_api::edge::edge);
    let router: Router = Router::new().route("/panic", routing::get(async || -> &'static str { panic!("on purpose") })).layer(layer);
    let request = || http::Request::get("/panic").body(axum::body::Body::empty()).unwrap();
    for _ in 0..2 {
        let response = router.clone().oneshot(request()).await.unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()["content-type"]), (500, &"application/problem+json".parse().unwrap()));
        assert!(response.headers().contains_key("request-id"));
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_within_seconds() {
    let server = Server::start().await;
    assert_eq!(server.get("/v1/sessions").await.code(), 200);
    let id = server.store.keys(Some("demo")).await.unwrap()[0].id.clone();
    assert!(server.store.revoke_key(&id).await.unwrap());
    let revoked = std::time::Instant::now();
    eventually(async || server.get("/v1/sessions").await.code() == 401).await;
    assert!(revoked.elapsed() < std::time::Duration::from_secs(6), "{:?}", revoked.elapsed());
}

#[tokio::test]
async fn what_is_counted_is_told() {
    let metrics = boxoffice_api::metering::install().unwrap();
    let server = Server::start_metered(metrics).await;
    server.get("/v1/sessions").await;
    server.get("/nowhere").await;
    // A checkout that a client ends is counted as one that a worker ends.
    let id = server.free("k1").await;
    assert_eq!(server.post(&format!("/v1/checkouts/{id}/cancel")).await.code(), 200);
    let text = String::from_utf8(server.get("/metrics").await.body.to_vec()).unwrap();
    assert!(text.contains(r#"boxoffice_http_requests_total{route="/v1/sessions",method="GET",status="200"}"#), "{text}");
    assert!(text.contains(r#"boxoffice_checkouts_total{status="canceled"}"#), "{text}");
    assert!(text.contains(r#"route="unmatched""#) && text.contains("boxoffice_http_request_seconds_bucket"), "{text}");
}
