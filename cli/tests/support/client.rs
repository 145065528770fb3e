//! A small JSON client, as a shop would write it.

use boxoffice_testkit::Receiver;
use reqwest::{
    Method, RequestBuilder,
    header::{HeaderMap, HeaderName},
};
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// How long anything may take before a test gives up: a debug build on a busy machine is slow.
pub const PATIENCE: Duration = Duration::from_secs(45);
const POLL: Duration = Duration::from_millis(40);

/// Somebody with an API key, or without one.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: Option<String>,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    /// The body; null when it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body of an answer that has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    /// A problem with this status, code and param, told as RFC 9457 says.
    #[track_caller]
    pub fn expect_problem(&self, status: u16, code: &str) -> Value {
        let body = self.json();
        assert_eq!((self.status, body["code"].as_str().unwrap_or_default()), (status, code), "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!((&body["status"], &body["type"]), (&json!(status), &json!(format!("urn:boxoffice:problem:{code}"))));
        assert!(self.header("request-id").is_some_and(|id| id.starts_with("req_")), "{:?}", self.headers);
        body
    }
}

/// A key that was never used before.
pub fn fresh_key() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("e2e-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

impl Client {
    pub fn new(base: &str, key: Option<&str>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(Duration::from_secs(90));
        Self { http: http.build().unwrap(), base: base.to_owned(), key: key.map(str::to_owned) }
    }

    /// The same client with another key.
    pub fn with_key(&self, key: Option<&str>) -> Self {
        Self { key: key.map(str::to_owned), ..self.clone() }
    }

    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }

    /// A request to a path of the server, or to any other URL.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let request = self.http.request(method, url);
        if let Some(key) = &self.key { request.bearer_auth(key) } else { request }
    }

    pub async fn send(&self, request: RequestBuilder) -> Reply {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Reply { status, headers, text: response.text().await.unwrap() }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn get_with(&self, path: &str, name: &'static str, value: &str) -> Reply {
        self.send(self.request(Method::GET, path).header(HeaderName::from_static(name), value)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    /// A POST without an idempotency key.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// Asks for a checkout under a key.
    pub async fn submit(&self, key: &str, body: &Value) -> Reply {
        self.send(self.request(Method::POST, "/v1/checkouts").header("idempotency-key", key).json(body)).await
    }

    /// Makes a checkout and returns its id.
    pub async fn order(&self, body: &Value) -> String {
        let reply = self.submit(&fresh_key(), body).await;
        let checkout = reply.clone().expect(202);
        let id = checkout["id"].as_str().unwrap().to_owned();
        assert_eq!(reply.header("location"), Some(format!("/v1/checkouts/{id}").as_str()));
        assert_eq!((&checkout["object"], &checkout["status"]), (&json!("checkout"), &json!("queued")));
        id
    }

    /// Makes a checkout that is refused at once.
    pub async fn refused(&self, body: &Value) -> Reply {
        self.submit(&fresh_key(), body).await
    }

    pub async fn checkout(&self, id: &str) -> Value {
        self.get(&format!("/v1/checkouts/{id}")).await.expect(200)
    }

    /// The checkout once it has ended, or a customer or an operator has to act.
    pub async fn settled(&self, id: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let checkout = self.get_with(&format!("/v1/checkouts/{id}"), "prefer", "wait=20").await.expect(200);
            let status = checkout["status"].as_str().unwrap_or_default();
            if !matches!(status, "queued" | "processing" | "reconciling") {
                return checkout;
            }
            assert!(Instant::now() < deadline, "not settled: {checkout}");
        }
    }

    /// Buys, and waits for what comes of it.
    pub async fn buy(&self, body: &Value) -> Value {
        self.settled(&self.order(body).await).await
    }

    /// The checkout once it has this status.
    pub async fn until(&self, id: &str, status: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let checkout = self.checkout(id).await;
            if checkout["status"] == status {
                return checkout;
            }
            assert!(Instant::now() < deadline, "not {status}: {checkout}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// An object once `holds` of it.
    pub async fn eventually(&self, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let value = self.get(path).await.expect(200);
            if holds(&value) {
                return value;
            }
            assert!(Instant::now() < deadline, "{path} stays {value}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Everything that happened to a checkout, as text.
    pub async fn timeline(&self, id: &str) -> String {
        self.get(&format!("/v1/checkouts/{id}/timeline")).await.expect(200).to_string()
    }

    /// What the sandbox's own book says of a checkout.
    pub async fn charges(&self, id: &str) -> Vec<Value> {
        let book = self.get(&format!("/sandbox/charges?reference={id}")).await.expect(200);
        book["data"].as_array().unwrap().clone()
    }

    /// The states of its charges in that book.
    pub async fn charged(&self, id: &str) -> Vec<String> {
        self.charges(id).await.iter().map(|charge| charge["status"].as_str().unwrap().to_owned()).collect()
    }

    /// `(sold, held, available)` of a session.
    pub async fn left(&self, session: &str) -> (u64, u64, u64) {
        let left = self.get(&format!("/v1/sessions/{session}/availability")).await.expect(200);
        let number = |field: &str| left[field].as_u64().unwrap();
        assert_eq!(number("capacity"), number("sold") + number("held") + number("available"), "{left}");
        (number("sold"), number("held"), number("available"))
    }
}

/// Waits for an event of this type about this checkout, and returns it.
pub async fn callback(receiver: &Receiver, kind: &str, checkout: &str) -> boxoffice_testkit::Delivery {
    let about = |delivery: &&boxoffice_testkit::Delivery| {
        let event = delivery.json();
        event["type"] == kind && event["data"]["id"] == checkout
    };
    let found = receiver.wait_for(PATIENCE, |deliveries| deliveries.iter().find(about).cloned()).await;
    found.unwrap_or_else(|| panic!("no {kind} of {checkout} among {:?}", receiver.deliveries()))
}
