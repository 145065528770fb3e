//! The client: posts until it is answered, always under the same idempotency key.

use super::{
    PATIENCE, POLL,
    order::{MEMBER, Order, PACK},
};
use reqwest::{Client, RequestBuilder, StatusCode, Url, header::HeaderMap, redirect::Policy};
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// What the pack is one of.
const MEMBERSHIP: &str = "mem_chaos";
/// More than can be used.
const CREDITS: u32 = 100_000;
/// The same, in cents.
pub const GIVEN: i64 = 1_000_000_000;

/// A checkout that was accepted.
#[derive(Debug, Clone)]
pub struct Sale {
    pub id: String,
    pub idempotency_key: String,
    pub order: Order,
    /// The shopper called it off, and had an answer.
    pub called_off: bool,
    /// What the shopper had given back, in cents.
    pub refunded: i64,
}

/// An answer with its body whole.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

/// A shop's own program.
pub struct Shop {
    client: Client,
    api_key: String,
    bases: Vec<String>,
    callback_url: String,
    turn: AtomicUsize,
}

impl Shop {
    /// Talks to the APIs at `bases` in turn.
    pub fn new(bases: Vec<String>, api_key: &str, callback_url: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().redirect(Policy::none()).timeout(Duration::from_secs(10)).build().unwrap();
        Self { client, api_key: api_key.to_owned(), bases, callback_url: callback_url.to_owned(), turn: AtomicUsize::new(0) }
    }

    /// Makes a session with so many places without names.
    pub async fn open(&self, id: &str, capacity: u32) {
        self.put_session(id, json!({"capacity": capacity})).await;
    }

    /// Makes a session with named seats.
    pub async fn open_named(&self, id: &str, seats: &[String]) {
        self.put_session(id, json!({"seats": seats})).await;
    }

    async fn put_session(&self, id: &str, places: Value) {
        self.put(
            &format!("memberships/{MEMBERSHIP}"),
            json!({"name": "Pack", "unit_amount": 100, "currency": "usd", "type": "pack", "credits": CREDITS}),
        )
        .await;
        self.put(&format!("customers/{MEMBER}"), json!({})).await;
        self.put(&format!("customers/{MEMBER}/bought-memberships/{PACK}"), json!({"membership": MEMBERSHIP, "credits": CREDITS})).await;
        self.give().await;
        let mut session = json!({"name": id, "unit_amount": super::order::PRICE, "currency": "usd", "starts_at": "2100-01-01T20:00:00Z", "compatible_memberships": [MEMBERSHIP]});
        session.as_object_mut().unwrap().extend(places.as_object().unwrap().clone());
        self.put(&format!("sessions/{id}"), session).await;
    }

    /// The customer's balance, once however often it is asked for.
    async fn give(&self) {
        let gift = json!({"amount": GIVEN, "currency": "usd", "reason": "gift"});
        let path = format!("/v1/customers/{MEMBER}/balance-adjustments");
        let request = |base: &str| self.client.post(format!("{base}{path}")).header("Idempotency-Key", "gift").json(&gift);
        let answer = self.insist(request).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    }

    /// Puts something there.
    pub async fn put(&self, path: &str, body: Value) {
        let answer = self.insist(|base| self.client.put(format!("{base}/v1/{path}")).json(&body)).await;
        assert!(answer.status.is_success(), "{path}: {} {}", answer.status, answer.body);
    }

    /// Posts until it is taken; what was answered.
    pub async fn send(&self, path: &str, idempotency_key: &str, body: &Value) -> Value {
        let request = |base: &str| self.client.post(format!("{base}{path}")).header("Idempotency-Key", idempotency_key).json(body);
        let answer = self.insist(request).await;
        assert!(answer.status.is_success(), "{path}: {} {}", answer.status, answer.body);
        answer.body
    }

    /// A page for people.
    pub async fn page(&self, path: &str) -> String {
        let answer = self.insist(|base| self.client.get(format!("{base}{path}"))).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        answer.body.as_str().unwrap_or_default().to_owned()
    }

    /// Sends a page's form until it is answered.
    pub async fn submit(&self, path: &str, form: &[(&str, &str)]) -> StatusCode {
        let body = Url::parse_with_params("form:", form).unwrap().query().unwrap_or_default().to_owned();
        let request = |base: &str| {
            self.client.post(format!("{base}{path}")).header("Content-Type", "application/x-www-form-urlencoded").body(body.clone())
        };
        self.insist(request).await.status
    }

    /// Posts an order until it is accepted.
    pub async fn buy(&self, idempotency_key: &str, order: Order) -> Sale {
        let answer = self.post(idempotency_key, &order).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{order:?}: {}", answer.body);
        let id = answer.body["id"].as_str().expect("an id").to_owned();
        Sale { id, idempotency_key: idempotency_key.to_owned(), order, called_off: false, refunded: 0 }
    }

    /// The same from two windows at once, which get the same checkout.
    pub async fn buy_twice_at_once(&self, idempotency_key: &str, order: Order) -> Sale {
        let (one, other) = tokio::join!(self.buy(idempotency_key, order.clone()), self.buy(idempotency_key, order));
        assert_eq!(one.id, other.id, "two checkouts under the key {idempotency_key}");
        one
    }

    /// The answer to an order's first POST, or the same once more.
    pub async fn post(&self, idempotency_key: &str, order: &Order) -> Answer {
        let body = order.body(&self.callback_url);
        let request = |base: &str| self.client.post(format!("{base}/v1/checkouts")).header("Idempotency-Key", idempotency_key).json(&body);
        self.insist(request).await
    }

    /// Calls a checkout off; the answer may be that it is too late.
    pub async fn call_off(&self, sale: &mut Sale) {
        let id = sale.id.clone();
        let answer = self.insist(|base| self.client.post(format!("{base}/v1/checkouts/{id}/cancel"))).await;
        let known = [StatusCode::OK, StatusCode::ACCEPTED, StatusCode::CONFLICT].contains(&answer.status);
        assert!(known, "cancel {id}: {} {}", answer.status, answer.body);
        sale.called_off |= answer.status != StatusCode::CONFLICT;
    }

    /// Has a sale given back, whole or in part. Another order has nothing to give.
    pub async fn give_back(&self, sale: &mut Sale, part: Option<i64>) {
        let body = part.map_or_else(|| json!({}), |amount| json!({"amount": amount}));
        let (id, key) = (sale.id.clone(), format!("{}-back", sale.idempotency_key));
        let request =
            |base: &str| self.client.post(format!("{base}/v1/checkouts/{id}/refunds")).header("Idempotency-Key", &key).json(&body);
        let answer = self.insist(request).await;
        match answer.status {
            StatusCode::ACCEPTED => sale.refunded = part.unwrap_or_else(|| sale.order.total()),
            StatusCode::CONFLICT => {}
            other => panic!("refund of {id}: {other} {}", answer.body),
        }
    }

    /// Reads a page until it is there.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.insist(|base| self.client.get(format!("{base}{path}"))).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        answer.body
    }

    /// Asks one API after the other until one gives a definite answer.
    async fn insist(&self, request: impl Fn(&str) -> RequestBuilder) -> Answer {
        let deadline = Instant::now() + PATIENCE;
        let mut last = String::new();
        while Instant::now() < deadline {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let base = &self.bases[turn % self.bases.len()];
            match self.once(request(base)).await {
                Ok(answer) if is_definite(&answer) => return answer,
                Ok(answer) => last = format!("{} {}", answer.status, answer.body),
                Err(error) => last = format!("{error:?}"),
            }
            tokio::time::sleep(POLL).await;
        }
        panic!("no definite answer within {} s; the last one: {last}", PATIENCE.as_secs());
    }

    async fn once(&self, request: RequestBuilder) -> reqwest::Result<Answer> {
        let response = request.bearer_auth(&self.api_key).send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await?;
        let body = serde_json::from_slice(&body).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
        Ok(Answer { status, headers, body })
    }
}

/// Whether asking again would change nothing.
fn is_definite(answer: &Answer) -> bool {
    let in_flight = answer.status == StatusCode::CONFLICT && answer.body["code"] == "idempotency_key_in_flight";
    !(answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS || in_flight)
}
