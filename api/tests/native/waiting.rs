//! Waiting for a checkout: by `Prefer: wait`, and by stream.

use crate::server::{Server, eventually, request, two_places};
use axum::body::Body;
use boxoffice_api::waiting::BEAT;
use boxoffice_common::{
    domain::{
        attempt::{Outcome, Receipt},
        begin::Begin,
        id::CheckoutId,
        money::{Amount, Currency},
        scope::{Mode, Scope},
        settle::Settlement,
    },
    ports::{
        announcer::{Announcement, Announcer},
        store::{CheckoutStore, Next, Settled},
    },
};
use futures::StreamExt;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tower::ServiceExt;

#[tokio::test]
async fn a_client_that_waits_is_woken_by_the_result() {
    let server = Server::start().await;
    let id = server.free("k1").await;
    let path = format!("/v1/checkouts/{id}");
    let work = async {
        eventually(async || server.ctx.waiters().count() == 3).await;
        let started = Instant::now();
        server.work(&id).await;
        started
    };
    let wait = [("prefer", "wait=30")];
    let (one, two, three, started) =
        tokio::join!(server.get_with(&path, &wait), server.get_with(&path, &wait), server.get_with(&path, &wait), work);
    for reply in [one, two, three] {
        assert_eq!((reply.code(), reply.header("preference-applied")), (200, "wait=30"));
        assert_eq!(reply.json()["status"], "succeeded");
    }
    assert!(started.elapsed() < BEAT - Duration::from_millis(100), "the beat woke them, not the announcement: {:?}", started.elapsed());
    assert_eq!(server.ctx.waiters().count(), 0);
}

#[tokio::test]
async fn a_lost_announcement_costs_only_a_beat() {
    let server = Server::start().await;
    let id = server.free("k1").await;
    let path = format!("/v1/checkouts/{id}");
    let cancel_in_silence = async {
        eventually(async || server.ctx.waiters().count() == 1).await;
        let scope = Scope::new("demo", Mode::Test).unwrap();
        server.store.cancel(&scope, &CheckoutId::parse(id.as_str()).unwrap()).await.unwrap();
    };
    let started = Instant::now();
    let wait = [("prefer", "wait=30")];
    let (reply, ()) = tokio::join!(server.get_with(&path, &wait), cancel_in_silence);
    assert_eq!(reply.json()["status"], "canceled");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_wait_ends_at_once_when_it_is_settled_and_at_its_end_when_it_is_not() {
    let server = Server::start().await;
    let queued = server.free("k1").await;
    let started = Instant::now();
    let reply = server.get_with(&format!("/v1/checkouts/{queued}"), &[("prefer", "wait=1")]).await;
    assert_eq!(reply.json()["status"], "queued");
    assert!((Duration::from_millis(950)..BEAT).contains(&started.elapsed()), "{:?}", started.elapsed());
    let sold = server.free("k2").await;
    server.work(&sold).await;
    let started = Instant::now();
    assert_eq!(server.get_with(&format!("/v1/checkouts/{sold}"), &[("prefer", "wait=30")]).await.json()["status"], "succeeded");
    assert!(started.elapsed() < BEAT);
}

#[tokio::test]
async fn whoever_waits_is_answered_when_the_process_stops() {
    let server = Server::start().await;
    let id = server.free("k1").await;
    let stop = async {
        eventually(async || server.ctx.waiters().count() == 1).await;
        server.shutdown.cancel();
    };
    let started = Instant::now();
    let (path, wait) = (format!("/v1/checkouts/{id}"), [("prefer", "wait=60")]);
    let (reply, ()) = tokio::join!(server.get_with(&path, &wait), stop);
    assert_eq!(reply.json()["status"], "queued");
    assert!(started.elapsed() < BEAT);
    assert_eq!(server.get("/readyz").await.code(), 503);
}

/// The events of a stream that ends: type, id and data of each.
fn events(body: &[u8]) -> Vec<(String, i64, Value)> {
    let text = String::from_utf8(body.to_vec()).unwrap();
    let field = |event: &str, name: &str| {
        event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(|value| value.trim().to_owned())).unwrap_or_default()
    };
    let blocks = text.split("\n\n").filter(|block| block.contains("data"));
    blocks
        .map(|event| (field(event, "event"), field(event, "id").parse().unwrap(), serde_json::from_str(&field(event, "data")).unwrap()))
        .collect()
}

#[tokio::test]
async fn a_stream_begins_with_what_is_and_ends_with_the_end() {
    let server = Server::start().await;
    let id = server.free("k1").await;
    let path = format!("/v1/checkouts/{id}/events");
    let response = server.router.clone().oneshot(request("GET", &path, &[]).body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut chunks = response.into_body().into_data_stream();
    let mut seen = chunks.next().await.unwrap().unwrap().to_vec();
    assert_eq!(events(&seen)[0].0, "checkout.queued");
    server.work(&id).await;
    let rest = async {
        while let Some(chunk) = chunks.next().await {
            seen.extend_from_slice(&chunk.unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(5), rest).await.expect("the stream ends by itself");
    let events = events(&seen);
    assert_eq!(
        events.iter().map(|(kind, id, _)| (kind.as_str(), *id)).collect::<Vec<_>>(),
        [("checkout.queued", 1), ("checkout.succeeded", 2)]
    );
    assert_eq!((events[1].2["id"].clone(), events[1].2["version"].clone()), (json!(id), json!(2)));
    assert_eq!(server.ctx.waiters().count(), 0);
}

/// Begins or resumes a checkout as a worker whose provider then says `outcome`, and announces both.
async fn try_charge(server: &Server, id: &str, lease_token: &str, outcome: Outcome) {
    let checkout = CheckoutId::parse(id).unwrap();
    let begin = Begin {
        checkout: checkout.clone(),
        lease_token: lease_token.to_owned(),
        lease_for: Duration::from_secs(30),
        routing: boxoffice_common::domain::routing::to_the_sandbox(),
        key_window: Duration::from_secs(3600),
    };
    let Next::Act { n, checkout: begun, .. } = server.store.begin(begin).await.unwrap().next else { panic!("nothing to charge") };
    server.announcer.announce(Announcement { checkout: checkout.clone(), version: begun.version, status: begun.status });
    let settlement = Settlement {
        checkout: checkout.clone(),
        n,
        lease_token: lease_token.to_owned(),
        outcome,
        retry_in: Duration::ZERO,
        routing: boxoffice_common::domain::routing::to_the_sandbox(),
        is_last_look: false,
        known: None,
    };
    let Settled::Moved(moved) = server.store.settle(settlement).await.unwrap() else { panic!("settled before") };
    server.announcer.announce(Announcement { checkout, version: moved.version, status: moved.status });
}

#[tokio::test]
async fn a_stream_tells_nothing_twice_although_the_version_moves() {
    let server = Server::start().await;
    server.yoga().await;
    let id = server.checkout("k1", &two_places()).await.json()["id"].as_str().unwrap().to_owned();
    let refused = || Outcome::NotSent { cause: "busy".to_owned(), retry_after: None };
    let usd = Currency::parse("usd").unwrap();
    let path = format!("/v1/checkouts/{id}/events");
    try_charge(&server, &id, "first", refused()).await;
    let response = server.router.clone().oneshot(request("GET", &path, &[]).body(Body::empty()).unwrap()).await.unwrap();
    let mut chunks = response.into_body().into_data_stream();
    let mut seen = chunks.next().await.unwrap().unwrap().to_vec();
    // Two more leases and refusals move the version by four, and what a client sees not at all.
    for lease in ["second", "third"] {
        try_charge(&server, &id, lease, refused()).await;
        let quiet = tokio::time::timeout(Duration::from_millis(100), chunks.next()).await;
        assert!(quiet.is_err(), "nothing new, and still there came {quiet:?}");
    }
    let receipt = Receipt::of("ch_1".to_owned(), Amount::from_minor(3000), usd);
    try_charge(&server, &id, "fourth", Outcome::Approved(receipt)).await;
    let rest = async {
        while let Some(chunk) = chunks.next().await {
            seen.extend_from_slice(&chunk.unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(10), rest).await.expect("the stream ends by itself");
    let events: Vec<_> = events(&seen).into_iter().map(|(kind, version, _)| (kind, version)).collect();
    assert_eq!(events, [("checkout.processing".to_owned(), 3), ("checkout.succeeded".to_owned(), 9)]);
}

#[tokio::test]
async fn a_stream_goes_on_where_the_client_left_it() {
    let server = Server::start().await;
    let id = server.free("k1").await;
    server.work(&id).await;
    let path = format!("/v1/checkouts/{id}/events");
    let reply = server.get_with(&path, &[("last-event-id", "1")]).await;
    assert_eq!(events(&reply.body).iter().map(|(kind, ..)| kind.as_str()).collect::<Vec<_>>(), ["checkout.succeeded"]);
    // Nothing can follow: an EventSource is told not to come back.
    assert_eq!(server.get_with(&path, &[("last-event-id", "2")]).await.code(), 204);
    assert_eq!(server.get("/v1/checkouts/chk_nothing/events").await.problem(), (404, "not_found".to_owned()));
}
