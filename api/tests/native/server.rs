//! The API as a test sees it: a router over an empty store, and a client with a key.

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
};
use boxoffice_api::{ApiConfig, ApiContext, ApiParts, BookUnavailable, SandboxBook, key};
use boxoffice_common::{
    adapters::{
        announce::MemoryAnnouncer,
        card_tries::MemoryCardTries,
        provider_events::EventSources,
        provider_guard::GuardLimits,
        provider_registry::{AccountOffice, ProviderFactories, ProviderRegistry},
        providers::Providers,
        queue::MemoryQueue,
        sandbox::SandboxEvents,
        sealing::Sealer,
        seats::MemorySeats,
        sql::SqlStore,
    },
    domain::{
        begin::Begin,
        id::{CheckoutId, Entropy, KeyId, PaymentIntentId},
        money::{Amount, Currency},
        network::TrustedProxies,
        payment_intent::{IntentStatus, NewIntent, PaymentIntent},
        scope::{Mode, Scope},
        secret::Secret,
        state::Status,
        time::Timestamp,
    },
    ports::{
        announcer::{Announcement, Announcer},
        clock::{Clock, SystemClock},
        queue::{Lane, Queue},
        store::{ApiKey, CheckoutStore, KeyStore, Next, UpkeepStore},
    },
};
use http::{HeaderMap, Request, StatusCode};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// The key of tenant `demo` in test mode, with all scopes.
pub const KEY: &str = "bo_test_demo";

/// What the sandbox signs its events with.
pub fn events_secret() -> Secret<String> {
    Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned())
}

/// The providers that a server knows how to talk to, and what it seals keys with.
#[derive(Default)]
pub struct WithProviders {
    pub factories: ProviderFactories,
    pub key: Option<Secret<String>>,
}

pub struct Server {
    pub router: Router,
    pub ctx: ApiContext,
    pub store: Arc<SqlStore>,
    pub queue: Arc<MemoryQueue>,
    pub announcer: Arc<MemoryAnnouncer>,
    pub shutdown: CancellationToken,
    _dir: tempfile::TempDir,
}

/// A book that says which reference it was asked for.
struct EchoBook;

#[async_trait::async_trait]
impl SandboxBook for EchoBook {
    async fn charges(&self, reference: &str) -> Result<Value, BookUnavailable> {
        Ok(json!({"data": [{"reference": reference}]}))
    }

    async fn authorize_intent(&self, new: NewIntent) -> Result<Result<PaymentIntent, String>, BookUnavailable> {
        let (id, created_at) = (PaymentIntentId::parse("pi_1").unwrap(), Timestamp::from_millis(0));
        let NewIntent { owner, amount, currency, token, .. } = new;
        if token.reveal() == "tok_declined" {
            return Ok(Err("generic_decline".to_owned()));
        }
        Ok(Ok(PaymentIntent { id, owner, amount, currency, status: IntentStatus::Authorized, charge: None, created_at }))
    }

    async fn intent(&self, account: &str, id: &PaymentIntentId) -> Result<Option<PaymentIntent>, BookUnavailable> {
        let (amount, currency) = (Amount::from_minor(1), Currency::parse("usd").unwrap());
        let (owner, created_at, id) = ("cus_mark".to_owned(), Timestamp::from_millis(0), id.clone());
        let intent = PaymentIntent { id, owner, amount, currency, status: IntentStatus::Authorized, charge: None, created_at };
        Ok((account == "demo/test").then_some(intent))
    }
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// Status and `code` of a problem.
    pub fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{:?}", self.body);
        let body = self.json();
        assert_eq!(body["status"], self.status.as_u16());
        assert!(!body["detail"].as_str().unwrap().is_empty() && !body["title"].as_str().unwrap().is_empty());
        (self.status.as_u16(), body["code"].as_str().unwrap().to_owned())
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn code(&self) -> u16 {
        self.status.as_u16()
    }
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_metered(metrics: PrometheusHandle) -> Self {
        Self::build(|_| {}, Some(metrics), WithProviders::default()).await
    }

    pub async fn start_with(change: impl FnOnce(&mut ApiConfig)) -> Self {
        Self::build(change, None, WithProviders::default()).await
    }

    /// With accounts at providers, if there is a key to seal them with.
    pub async fn start_with_providers(providers: WithProviders) -> Self {
        Self::build(|_| {}, None, providers).await
    }

    async fn build(change: impl FnOnce(&mut ApiConfig), metrics: Option<PrometheusHandle>, providers: WithProviders) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let entropy = Arc::new(Entropy::from_os());
        let url = Secret::new(format!("sqlite:{}", dir.path().join("store.db").display()));
        let store = Arc::new(SqlStore::open(&url, Arc::clone(&clock), Arc::clone(&entropy)).await.unwrap());
        store.migrate().await.unwrap();
        let mut config = ApiConfig {
            allow_private_callbacks: true,
            public_url: "https://pay.example".to_owned(),
            rate_limit_per_second: 0,
            max_queue_depth: 1_000,
            trusted_proxies: TrustedProxies::default(),
            card_testing: None,
        };
        change(&mut config);
        let (queue, announcer) = (Arc::new(MemoryQueue::new()), Arc::new(MemoryAnnouncer::new()));
        let shutdown = CancellationToken::new();
        let events = EventSources::default()
            .with(Arc::new(SandboxEvents::new(vec![events_secret()])))
            .with(Arc::new(crate::provider_hints::Hinting::default()));
        let sealer = providers.key.map(|key| Arc::new(Sealer::parse(&key).unwrap()));
        let limits = GuardLimits::within(Duration::from_secs(30), Duration::from_secs(10), 8);
        let office = AccountOffice::new(store.clone(), sealer);
        let registry = ProviderRegistry::new(store.clone(), office, providers.factories, limits, Providers::new(), events);
        let ctx = ApiContext::start(ApiParts {
            store: Arc::clone(&store) as _,
            queue: Arc::clone(&queue) as _,
            seats: Arc::new(MemorySeats::default()),
            announcer: Arc::clone(&announcer) as _,
            clock,
            entropy,
            config,
            card_tries: Arc::new(MemoryCardTries::new(Duration::from_secs(900))),
            sandbox: Some(Arc::new(EchoBook)),
            registry: Arc::new(registry),
            metrics,
            shutdown: shutdown.clone(),
        });
        let router = boxoffice_api::router(ctx.clone());
        let server = Self { router, ctx, store, queue, announcer, shutdown, _dir: dir };
        server.add_key(KEY, "demo", Mode::Test, &["checkouts:write", "checkouts:read", "catalog:write", "admin"]).await;
        server
    }

    pub async fn add_key(&self, text: &str, tenant: &str, mode: Mode, scopes: &[&str]) {
        let new = key::from_text(text.to_owned());
        let key = ApiKey {
            id: KeyId::parse(format!("key_{}", &new.hash[..20])).unwrap(),
            scope: Scope::new(tenant, mode).unwrap(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            hint: new.hint,
            created_at: SystemClock::default().now(),
            revoked_at: None,
        };
        self.store.add_key(&key, &new.hash).await.unwrap();
    }

    pub async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        assert!(!parts.headers["request-id"].is_empty());
        let body = tokio::time::timeout(Duration::from_secs(30), to_bytes(body, 4 << 20)).await.unwrap().unwrap();
        Reply { status: parts.status, headers: parts.headers, body }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.get_with(path, &[]).await
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.send(request("GET", path, headers).body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, path: &str) -> Reply {
        self.send(request("POST", path, &[]).body(Body::empty()).unwrap()).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        let request = request("PUT", path, &[("content-type", "application/json")]);
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    pub async fn post_json(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let request = request("POST", path, headers).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    pub async fn checkout(&self, key: &str, body: &Value) -> Reply {
        self.post_json("/v1/checkouts", &[("idempotency-key", key)], &body.to_string()).await
    }

    /// A session with 20 places at 15.00 usd.
    pub async fn yoga(&self) {
        assert_eq!(self.put("/v1/sessions/ses_yoga", &yoga()).await.code(), 201);
    }

    /// A session that no membership pays for.
    pub async fn yoga_for_anybody(&self) {
        assert_eq!(self.put("/v1/sessions/ses_anybody", &yoga()).await.code(), 201);
    }

    /// A free checkout, accepted.
    pub async fn free(&self, key: &str) -> String {
        let body = json!({"currency": "usd", "lines": [{"type": "custom", "name": "Nothing", "unit_amount": 0}]});
        let reply = self.checkout(key, &body).await;
        assert_eq!(reply.code(), 202, "{:?}", reply.body);
        reply.json()["id"].as_str().unwrap().to_owned()
    }

    /// Does a worker's work on a checkout that needs no provider, and announces it.
    pub async fn work(&self, id: &str) -> Status {
        let begin = Begin {
            checkout: CheckoutId::parse(id).unwrap(),
            lease_token: "lease".to_owned(),
            lease_for: Duration::from_secs(30),
            routing: boxoffice_common::domain::routing::to_the_sandbox(),
            key_window: Duration::from_secs(3600),
        };
        match self.store.begin(begin).await.unwrap().next {
            Next::Moved(moved) => {
                let (version, status) = (moved.version, moved.status);
                self.announcer.announce(Announcement { checkout: moved.checkout, version, status });
                status
            }
            other => panic!("{other:?}"),
        }
    }

    /// What the queue holds in a lane, once `count` messages are there.
    pub async fn queued(&self, lane: Lane, count: u64) -> Vec<boxoffice_common::ports::queue::Work> {
        eventually(async || self.queue.depth(lane).await.unwrap() >= count).await;
        let mut consumer = self.queue.consume(lane, 100).await.unwrap();
        let mut work = Vec::new();
        while let Ok(Some(taken)) = tokio::time::timeout(Duration::from_millis(100), consumer.next()).await {
            work.push(taken.work);
            assert!(taken.receipt.ack().await);
        }
        work
    }
}

/// Waits until `is_so`, at most 10 s.
pub async fn eventually(is_so: impl AsyncFn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !is_so().await {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A request with the demo key, unless `headers` have another.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> http::request::Builder {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "authorization") {
        request = request.header("authorization", format!("Bearer {KEY}"));
    }
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

pub fn yoga() -> Value {
    json!({"name": "Yoga", "starts_at": "2099-01-01T10:00:00Z", "capacity": 20, "unit_amount": 1500, "currency": "usd"})
}

/// Two places in the yoga session, by card.
pub fn two_places() -> Value {
    json!({
        "currency": "usd",
        "lines": [{"type": "session", "session": "ses_yoga", "quantity": 2, "unit_amount": 1500}],
        "payment": {"methods": [{"type": "card", "token": "tok_visa"}]},
    })
}
