//! For tests: a Stripe that gives the answers it was told to, in their order, and remembers what it was asked.

use super::{provider::StripeProvider, transport::StripeTransport};
use crate::domain::{
    attempt::{Attempt, AttemptKind, AttemptStatus, MoneyRequest, ProviderPage, Visit},
    id::{AttemptId, CheckoutId},
    money::{Amount, Currency},
    scope::Mode,
    secret::Secret,
    time::Timestamp,
};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::net::TcpListener;

/// A request as it came: `POST /v1/refunds under chk_1_2`.
pub(super) type Asked = Arc<Mutex<Vec<String>>>;

#[derive(Clone)]
struct Script {
    answers: Arc<Mutex<VecDeque<(u16, bool, Value)>>>,
    asked: Asked,
}

/// A provider over such a server. An answer is a status, whether it is replayed, and a body; behind the last one comes 500.
pub(super) async fn provider(answers: impl IntoIterator<Item = (u16, bool, Value)>) -> (StripeProvider, Asked) {
    let script = Script { answers: Arc::new(Mutex::new(answers.into_iter().collect())), asked: Asked::default() };
    let asked = Arc::clone(&script.asked);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap());
    let app = Router::new().fallback(answer).with_state(script);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let transport = StripeTransport::new(&base).unwrap();
    let key = Secret::new("sk_test_1".to_owned());
    let provider = StripeProvider::new("pac_1", Mode::Test, &key, &transport, Duration::from_secs(20)).unwrap();
    (provider, asked)
}

async fn answer(State(script): State<Script>, method: Method, uri: Uri, headers: HeaderMap, _: Bytes) -> Response {
    let key = headers.get("idempotency-key").map_or("", |key| key.to_str().unwrap());
    let under = if key.is_empty() { String::new() } else { format!(" under {key}") };
    script.asked.lock().unwrap().push(format!("{method} {}{under}", uri.path()));
    let next = script.answers.lock().unwrap().pop_front();
    let (status, is_replayed, body) = next.unwrap_or((500, false, json!({ "error": { "type": "api_error" } })));
    let replayed = if is_replayed { "true" } else { "false" };
    (StatusCode::from_u16(status).unwrap(), [("request-id", "req_1"), ("idempotent-replayed", replayed)], axum::Json(body)).into_response()
}

pub(super) fn charge(token: &str) -> MoneyRequest {
    MoneyRequest {
        token: Some(Secret::new(token.to_owned())),
        ..MoneyRequest::new(AttemptKind::Charge, CheckoutId::parse("chk_1").unwrap(), 1, Amount::from_minor(1500), Currency::USD)
    }
}

pub(super) fn visit(token: &str) -> MoneyRequest {
    MoneyRequest { visit: Some(Visit { return_url: "https://box.example/back".to_owned(), page: None }), ..charge(token) }
}

pub(super) fn page(is_embedded: bool) -> MoneyRequest {
    let page = ProviderPage { is_embedded, title: "Yoga & tea".to_owned(), expires_at: Timestamp::from_millis(1_800_003_600_000) };
    let visit = Visit { return_url: "https://box.example/back".to_owned(), page: Some(page) };
    MoneyRequest { visit: Some(visit), token: None, ..charge("") }
}

pub(super) fn about(kind: AttemptKind, target: &str, amount: i64) -> MoneyRequest {
    MoneyRequest {
        kind,
        key: "chk_1_2".to_owned(),
        amount: Amount::from_minor(amount),
        target: Some(target.to_owned()),
        token: None,
        ..charge("")
    }
}

pub(super) fn attempt(request: MoneyRequest, provider_reference: Option<&str>) -> Attempt {
    let (id, at) = (AttemptId::parse("pat_1").unwrap(), Timestamp::from_millis(1_800_000_000_000));
    Attempt {
        status: AttemptStatus::Unknown,
        provider_reference: provider_reference.map(str::to_owned),
        tries: 1,
        ..Attempt::recorded(id, 1, "stripe".to_owned(), request, at)
    }
}

/// A payment as the documentation shows it, as far as it matters here.
pub(super) fn intent(status: &str, via: &str) -> Value {
    json!({
        "id": "pi_1", "object": "payment_intent", "status": status, "amount": 1500, "currency": "usd", "created": 1_800_000_000,
        "amount_received": if status == "succeeded" { 1500 } else { 0 },
        "amount_capturable": if status == "requires_capture" { 1500 } else { 0 },
        "metadata": { "reference": "chk_1", "key": "chk_1_1", "account": "pac_1", "via": via },
        "latest_charge": { "id": "ch_1", "object": "charge", "balance_transaction": { "id": "txn_1", "fee": 74, "net": 1426, "currency": "usd" } },
        "customer": "cus_1", "payment_method": "pm_1", "livemode": false,
    })
}

pub(super) fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

pub(super) fn session(status: &str, intent: Value) -> Value {
    json!({
        "id": "cs_test_1", "object": "checkout.session", "status": status, "payment_status": "unpaid", "amount_total": 1500,
        "currency": "usd", "payment_intent": intent, "livemode": false,
        "url": if status == "open" { json!("https://checkout.stripe.com/c/pay/cs_test_1") } else { Value::Null },
        "metadata": { "reference": "chk_1", "key": "chk_1_1", "account": "pac_1", "via": "page" },
    })
}

/// A session within the shop's own page.
pub(super) fn embedded_session() -> Value {
    let mut session = session("open", Value::Null);
    (session["url"], session["client_secret"]) = (Value::Null, json!("cs_test_1_secret_planted"));
    session
}

pub(super) fn refund(status: &str) -> Value {
    json!({
        "id": "re_1", "object": "refund", "amount": 500, "currency": "usd", "status": status, "payment_intent": "pi_1",
        "metadata": { "reference": "chk_1", "key": "chk_1_2", "account": "pac_1" },
    })
}

pub(super) fn error(kind: &str, code: &str) -> Value {
    json!({ "error": { "type": kind, "code": code, "message": "Stripe's words" } })
}
