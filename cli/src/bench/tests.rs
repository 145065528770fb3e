//! The load generator against a fake API whose behaviour we know: figures must tell the truth about it.

use super::{
    client::Origin,
    load::{self, Live, Outcome, Pace, Plan},
    scenario::{Kind, Scenario},
};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use boxoffice_common::domain::secret::Secret;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::TcpListener, time::Instant};
use tokio_util::sync::CancellationToken;

#[derive(Default)]
struct Fake {
    /// Key to id.
    accepted: Mutex<HashMap<String, String>>,
    posts: Mutex<u64>,
    /// No answer before this moment.
    stalled_until: Mutex<Option<Instant>>,
    /// Places of the one session there is.
    capacity: Option<u64>,
    sold: Mutex<u64>,
    /// Makes a new checkout for a repeated key, as a broken server would.
    forgets_keys: bool,
    /// Sells more than it has.
    oversells: bool,
}

async fn create(State(fake): State<Arc<Fake>>, headers: HeaderMap) -> Response {
    *fake.posts.lock().unwrap() += 1;
    let stalled = *fake.stalled_until.lock().unwrap();
    if let Some(until) = stalled {
        tokio::time::sleep_until(until).await;
    }
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    if headers["authorization"] != "Bearer bo_test_x" {
        return (StatusCode::UNAUTHORIZED, Json(json!({"code": "unauthorized"}))).into_response();
    }
    let mut accepted = fake.accepted.lock().unwrap();
    let next = format!("chk_{}", *fake.posts.lock().unwrap());
    let id = if fake.forgets_keys { next } else { accepted.entry(key).or_insert(next).clone() };
    (StatusCode::ACCEPTED, Json(json!({"id": id, "status": "queued", "error": null}))).into_response()
}

async fn poll(State(fake): State<Arc<Fake>>, Path(id): Path<String>) -> Json<Value> {
    let mut sold = fake.sold.lock().unwrap();
    if fake.capacity.is_none_or(|capacity| *sold < capacity || fake.oversells) {
        *sold += 1;
        return Json(json!({"id": id, "status": "succeeded", "error": null}));
    }
    Json(json!({"id": id, "status": "failed", "error": {"code": "session_full", "message": ""}}))
}

async fn availability(State(fake): State<Arc<Fake>>) -> Json<Value> {
    Json(json!({"sold": *fake.sold.lock().unwrap(), "held": 0, "available": 0}))
}

async fn serve(fake: Fake) -> (Arc<Fake>, Origin) {
    let fake = Arc::new(fake);
    let app = Router::new()
        .route("/v1/checkouts", post(create))
        .route("/v1/checkouts/{id}", get(poll))
        .route("/v1/sessions/{id}", put(|| async { Json(json!({})) }))
        .route("/v1/sessions/{id}/availability", get(availability))
        .with_state(Arc::clone(&fake));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (fake, Origin::new(&url, &Secret::new("bo_test_x".to_owned())).unwrap())
}

async fn load(origin: &Origin, kind: Kind, plan: Plan) -> (Outcome, Arc<Scenario>) {
    let scenario = Arc::new(Scenario::new(kind, "bench-test".to_owned()));
    scenario.prepare(origin).await.unwrap();
    (load::drive(origin, &scenario, plan, &Arc::new(Live::default())).await.unwrap(), scenario)
}

fn closed(count: u64) -> Plan {
    Plan { pace: Pace::Closed, connections: 8, count: Some(count), duration: None, seed: 7, stop: CancellationToken::new() }
}

#[tokio::test]
async fn a_closed_loop_sells_exactly_what_was_asked() {
    let (fake, origin) = serve(Fake::default()).await;
    let (outcome, _) = load(&origin, Kind::Card, closed(500)).await;
    assert_eq!((outcome.tally.in_status("succeeded"), outcome.tally.failed_to_end()), (500, 0));
    assert_eq!(*fake.posts.lock().unwrap(), 500);
    assert_eq!(fake.accepted.lock().unwrap().len(), 500, "keys must differ");
}

#[tokio::test]
async fn an_open_loop_keeps_its_rate() {
    let (_, origin) = serve(Fake::default()).await;
    let plan = Plan {
        pace: Pace::Open(200),
        connections: 32,
        count: None,
        duration: Some(Duration::from_millis(500)),
        seed: 7,
        stop: CancellationToken::new(),
    };
    let (outcome, _) = load(&origin, Kind::Card, plan).await;
    assert_eq!(outcome.tally.ended(), 100);
    assert!(outcome.took >= Duration::from_millis(495), "the schedule was rushed: {:?}", outcome.took);
}

#[tokio::test]
async fn a_stall_is_charged_to_everybody_who_was_due_in_it() {
    let (fake, origin) = serve(Fake::default()).await;
    *fake.stalled_until.lock().unwrap() = Some(Instant::now() + Duration::from_millis(500));
    // One connection: without correction, 99 of 100 checkouts would look fast.
    let plan = Plan { pace: Pace::Open(200), connections: 1, count: Some(100), duration: None, seed: 7, stop: CancellationToken::new() };
    let (outcome, _) = load(&origin, Kind::Card, plan).await;
    assert!(outcome.tally.latency_ms(0.5) > 100.0, "the median is {} ms", outcome.tally.latency_ms(0.5));
}

#[tokio::test]
async fn a_sold_out_session_is_no_error_and_its_checks_hold() {
    let (_, origin) = serve(Fake { capacity: Some(5_000), ..Fake::default() }).await;
    let (outcome, scenario) = load(&origin, Kind::Hot, closed(6_000)).await;
    assert_eq!((outcome.tally.in_status("succeeded"), outcome.tally.failures["session_full"]), (5_000, 1_000));
    let checks = scenario.check(&origin, &outcome.tally, 6_000).await.unwrap();
    assert!(checks.iter().all(|check| check.holds), "{checks:?}");
}

#[tokio::test]
async fn overselling_breaks_a_check() {
    let (_, origin) = serve(Fake { capacity: Some(5_000), oversells: true, ..Fake::default() }).await;
    let (outcome, scenario) = load(&origin, Kind::Hot, closed(5_001)).await;
    let checks = scenario.check(&origin, &outcome.tally, 5_001).await.unwrap();
    assert!(checks.iter().any(|check| !check.holds), "{checks:?}");
}

#[tokio::test]
async fn a_repeated_key_must_answer_with_the_same_checkout() {
    let (fake, origin) = serve(Fake::default()).await;
    let (outcome, _) = load(&origin, Kind::Replay, closed(400)).await;
    assert!(outcome.tally.replays > 10 && outcome.tally.failed_to_end() == 0);
    assert_eq!(*fake.posts.lock().unwrap(), 400 + outcome.tally.replays);

    let (_, origin) = serve(Fake { forgets_keys: true, ..Fake::default() }).await;
    let (outcome, _) = load(&origin, Kind::Replay, closed(400)).await;
    assert!(outcome.tally.errors["a repeated key made a second checkout"] > 10);
}

#[tokio::test]
async fn a_refusal_is_counted_by_its_code() {
    let (_, origin) = serve(Fake::default()).await;
    let wrong = Origin::new(origin.url().as_str(), &Secret::new("bo_test_y".to_owned())).unwrap();
    let (outcome, _) = load(&wrong, Kind::Card, closed(5)).await;
    assert_eq!(outcome.tally.errors["401 unauthorized"], 5);
}

#[test]
fn a_synchronous_order_is_json_whatever_the_run_is_called() {
    use rand::SeedableRng;
    let mut rng = rand::rngs::SmallRng::seed_from_u64(1);
    for name in ["bench-0000000007", "bench-4294967295"] {
        let scenario = Scenario::new(Kind::Momence, name.to_owned());
        let order = scenario.order(3, &mut rng);
        let body: Value = serde_json::from_slice(&order.body).unwrap();
        let (member, item) = (body["memberId"].as_u64().unwrap(), &body["items"][0]);
        assert!(order.is_synchronous && member < 1 << 53 && item["sessionId"] == member, "{body}");
        assert!((0..100).any(|number| scenario.session(number) == member.to_string()), "{body}");
    }
}

#[test]
fn a_seats_order_names_two_different_seats_that_exist() {
    use rand::SeedableRng;
    let mut rng = rand::rngs::SmallRng::seed_from_u64(1);
    let scenario = Scenario::new(Kind::Seats, "bench-test".to_owned());
    for number in 0..2_000 {
        let body: Value = serde_json::from_slice(&scenario.order(number, &mut rng).body).unwrap();
        let seats = &body["lines"][0]["seats"];
        assert_ne!(seats[0], seats[1]);
        for seat in seats.as_array().unwrap() {
            let (row, place) = seat.as_str().unwrap().split_at(1);
            assert!(("A"..="Y").contains(&row) && (1..=40).contains(&place.parse::<u32>().unwrap()), "{seat}");
        }
    }
}
