//! What payment providers tell us: taken only when they have signed it just now, and once.

use crate::server::{Server, events_secret};
use axum::body::{Body, to_bytes};
use boxoffice_common::{
    adapters::callback::signature::{self, generate_secret},
    domain::{
        id::{Entropy, ProviderEventId},
        secret::Secret,
        time::Timestamp,
    },
    ports::{
        clock::{Clock, SystemClock},
        queue::Lane,
        store::ProviderEventStore,
    },
};
use http::{Request, StatusCode};
use serde_json::Value;
use std::time::Duration;
use tower::ServiceExt;

const BODY: &str = r#"{"id": "sev_1", "type": "charge.captured"}"#;

struct Told<'t> {
    path: &'t str,
    id: &'t str,
    secret: Secret<String>,
    at: Timestamp,
    body: &'t str,
    sent: Vec<u8>,
}

fn told() -> Told<'static> {
    let at = SystemClock::default().now();
    Told { path: "/webhooks/sandbox/test", id: "sev_1", secret: events_secret(), at, body: BODY, sent: BODY.into() }
}

fn signed(told: Told<'_>) -> Request<Body> {
    let signed = signature::sign(&[told.secret], told.id, told.at, told.body.as_bytes()).unwrap();
    Request::post(told.path)
        .header("webhook-id", told.id)
        .header("webhook-timestamp", told.at.seconds().to_string())
        .header("webhook-signature", signed)
        .body(Body::from(told.sent))
        .unwrap()
}

async fn tell(server: &Server, told: Told<'_>) -> (StatusCode, Value) {
    send(server, signed(told)).await
}

async fn send(server: &Server, request: Request<Body>) -> (StatusCode, Value) {
    let response = server.router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn an_event_that_was_signed_just_now_is_kept_once_and_handed_on_once() {
    let server = Server::start().await;
    for _ in 0..3 {
        let (status, answer) = tell(&server, told()).await;
        assert_eq!((status, &answer["received"]), (StatusCode::OK, &Value::Bool(true)), "{answer}");
    }
    let work = server.queued(Lane::Events, 1).await;
    let kept = server.store.provider_event(&ProviderEventId::parse(work[0].id.as_str()).unwrap()).await.unwrap().unwrap();
    assert_eq!((kept.event.as_str(), kept.body.as_str()), ("sev_1", BODY));
    assert!(!format!("{kept:?}").contains("captured"), "what customers told a provider is in no dump");
}

#[tokio::test]
async fn an_event_of_a_kind_that_we_do_nothing_about_is_kept_once_and_handed_to_nobody() {
    let server = Server::start().await;
    let body = r#"{"id": "sev_0", "type": "balance.available"}"#;
    for _ in 0..2 {
        let (status, answer) = tell(&server, Told { id: "sev_0", body, sent: body.into(), ..told() }).await;
        assert_eq!((status, &answer["received"]), (StatusCode::OK, &Value::Bool(true)), "{answer}");
    }
    // One behind it that is of use is the first that is handed on.
    assert_eq!(tell(&server, told()).await.0, StatusCode::OK);
    let work = server.queued(Lane::Events, 1).await;
    let handed_on = server.store.provider_event(&ProviderEventId::parse(work[0].id.as_str()).unwrap()).await.unwrap().unwrap();
    assert_eq!((handed_on.event.as_str(), work.len()), ("sev_1", 1));
    assert_eq!(server.store.forget_events(Duration::ZERO, 10).await.unwrap(), 1, "it is kept, and done with");
}

#[tokio::test]
async fn whatever_is_wrong_with_an_event_it_is_one_and_the_same_refusal_and_nothing_is_kept() {
    let server = Server::start().await;
    let (now, stranger) = (told().at, generate_secret(&Entropy::from_os()));
    let seconds_off = |seconds: i64| Timestamp::from_millis(now.millis() + seconds * 1000);
    let (long_id, large) = ("x".repeat(256), "x".repeat(512 * 1024 + 1));
    let refusals = [
        ("another secret", Told { secret: stranger, ..told() }),
        ("too old", Told { at: seconds_off(-302), ..told() }),
        ("from the future", Told { at: seconds_off(302), ..told() }),
        ("another body", Told { sent: BODY.replace("captured", "declined").into(), ..told() }),
        ("a longer body", Told { sent: [BODY, " "].concat().into(), ..told() }),
        ("no such account", Told { path: "/webhooks/sandbox/live", ..told() }),
        ("no such provider", Told { path: "/webhooks/stripe/test", ..told() }),
        ("no text as an account", Told { path: "/webhooks/sandbox/%ff", ..told() }),
        ("a NUL, of which no database keeps a text", Told { body: "{\"id\": \"\0\"}", sent: "{\"id\": \"\0\"}".into(), ..told() }),
        ("too large", Told { body: &large, sent: large.clone().into(), ..told() }),
        ("too long an id", Told { id: &long_id, ..told() }),
        ("no id", Told { id: "", ..told() }),
    ];
    let mut answers = Vec::new();
    for (why, told) in refusals {
        answers.push((why, tell(&server, told).await));
    }
    for header in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut request = signed(told());
        request.headers_mut().remove(header);
        answers.push((header, send(&server, request).await));
    }
    for (why, (status, mut answer)) in answers {
        answer.as_object_mut().unwrap().remove("request_id");
        assert_eq!((status, &answer["code"]), (StatusCode::BAD_REQUEST, &Value::from("event_not_genuine")), "{why}: {answer}");
        assert_eq!(answer["detail"], "not signed by this provider for this account, or not just now", "{why}");
    }
    // The first that is genuine is new: nothing of the others was kept.
    assert_eq!(tell(&server, told()).await.0, StatusCode::OK);
    assert_eq!(server.queued(Lane::Events, 1).await.len(), 1);
    assert_eq!(server.store.forget_events(Duration::ZERO, 10).await.unwrap(), 0, "there is one event, and it is pending");
}

#[tokio::test]
async fn both_ends_of_the_tolerance_and_the_longest_body_are_taken() {
    let server = Server::start().await;
    for (id, off) in [("sev_1", -295_000), ("sev_2", 295_000)] {
        let at = Timestamp::from_millis(told().at.millis() + off);
        assert_eq!(tell(&server, Told { id, at, ..told() }).await.0, StatusCode::OK, "{off}");
    }
    let longest = "x".repeat(512 * 1024);
    assert_eq!(tell(&server, Told { id: "sev_3", body: &longest, sent: longest.clone().into(), ..told() }).await.0, StatusCode::OK);
}
