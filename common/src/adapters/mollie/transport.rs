//! The way to Mollie's API: one pool of kept-alive connections for all accounts, and what is known of a call without a whole answer.
//!
//! hyper's own pooled client, for the sandbox's reasons: less CPU a call, and errors that say whether a connection was ever made. Nothing is
//! tried twice in here, and no redirect is followed.

use super::base::{BadMollieUrl, MollieBase};
use crate::domain::secret::Secret;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use std::{error::Error as _, sync::Arc, time::Duration};
use tokio::time::Instant;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Shorter than servers usually keep an idle connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_IDLE_CONNECTIONS: usize = 512;
/// A page of 250 payments is about half of it.
const MAX_ANSWER_BYTES: usize = 2 * 1024 * 1024;
/// The longest wait that Mollie may ask of us.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);
const USER_AGENT: &str = concat!("boxoffice/", env!("CARGO_PKG_VERSION"));

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Why no transport could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The address.
    #[error(transparent)]
    Base(#[from] BadMollieUrl),
    /// TLS.
    #[error("TLS could not be set up with the built-in certificates")]
    Tls,
}

/// A call without a whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CallError {
    /// No connection was made: nothing was sent.
    NotSent(String),
    /// It may have been sent.
    Unknown(String),
}

/// A whole answer, whatever it says.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    /// An earlier answer under the same key: as things stood then.
    pub(super) is_replayed: bool,
    pub(super) body: Bytes,
}

/// The pool: one for the process, whatever the number of accounts.
pub struct MollieTransport {
    hyper: HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: MollieBase,
}

impl MollieTransport {
    /// Whether this is an address that [`Self::new`] takes.
    pub fn may_be_at(base_url: &str) -> bool {
        MollieBase::parse(base_url).is_ok()
    }

    /// To `base_url`, as `https://api.mollie.com/`; plain HTTP only on this machine. The address ends in `/`.
    pub fn new(base_url: &str) -> Result<Arc<Self>, TransportError> {
        let base = MollieBase::parse(base_url)?;
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        connector.enforce_http(false);
        let tls = HttpsConnectorBuilder::new().with_provider_and_webpki_roots(rustls::crypto::ring::default_provider());
        let connector = tls.map_err(|_| TransportError::Tls)?.https_or_http().enable_http1().wrap_connector(connector);
        let hyper = HyperClient::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .build(connector);
        Ok(Arc::new(Self { hyper, base }))
    }

    /// Whether it leads to a stand-in on this machine.
    pub fn is_here(&self) -> bool {
        self.base.is_here()
    }
}

impl std::fmt::Debug for MollieTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MollieTransport {{ {} }}", self.base)
    }
}

/// An account's way to Mollie.
#[derive(Clone)]
pub struct MollieConnection {
    transport: Arc<MollieTransport>,
    /// Marked as sensitive: no dump of the headers shows it.
    authorization: HeaderValue,
    timeout: Duration,
}

impl std::fmt::Debug for MollieConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MollieConnection {{ {}, key: [redacted] }}", self.transport.base)
    }
}

impl MollieConnection {
    /// `None`: the key cannot stand in a header.
    pub(super) fn new(transport: &Arc<MollieTransport>, key: &Secret<String>, timeout: Duration) -> Option<Self> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", key.reveal())).ok()?;
        authorization.set_sensitive(true);
        Some(Self { transport: Arc::clone(transport), authorization, timeout })
    }

    /// When what begins now has to be over, however many calls it takes.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Sends a request, and waits for its whole answer until `deadline`.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<Vec<u8>>,
        deadline: Instant,
    ) -> Result<Answer, CallError> {
        if deadline <= Instant::now() {
            return Err(CallError::NotSent("there was no time left".to_owned()));
        }
        let request = self.request(method, path, key, body).map_err(|error| CallError::NotSent(error.to_string()))?;
        let exchange = async {
            let response = self.transport.hyper.request(request).await.map_err(|error| {
                let words = describe(&error);
                if error.is_connect() { CallError::NotSent(words) } else { CallError::Unknown(words) }
            })?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
            let body = body.map_err(|error| CallError::Unknown(format!("the answer broke off: {error}")))?.to_bytes();
            Ok(Answer::of(head.status, &head.headers, body))
        };
        let out_of_time = |_| CallError::Unknown(format!("no answer within {} ms", self.timeout.as_millis()));
        tokio::time::timeout_at(deadline, exchange).await.map_err(out_of_time)?
    }

    fn request(&self, method: Method, path: &str, key: Option<&str>, body: Option<Vec<u8>>) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(self.transport.base.uri(path)?)
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        if let Some(key) = key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request.body(Full::new(body.unwrap_or_default().into()))
    }
}

impl Answer {
    fn of(status: StatusCode, headers: &HeaderMap, body: Bytes) -> Self {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let seconds = text(&header::RETRY_AFTER).and_then(|text| text.trim().parse().ok());
        Self {
            status,
            retry_after: seconds.map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER)),
            is_replayed: text(&REPLAYED) == Some("true"),
            body,
        }
    }
}

/// An error with its causes: hyper's own words alone say little.
fn describe(error: &hyper_util::client::legacy::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        source = cause.source();
    }
    words
}
