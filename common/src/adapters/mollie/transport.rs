//! The way to Mollie's API: one pool of kept-alive connections for all accounts, and what is known of a call without a whole answer.

use crate::{
    adapters::provider_http::{ApiAddress, CallError, Exchange, ProviderPool, TransportError, USER_AGENT, retry_after},
    domain::secret::Secret,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use hyper::body::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// A page of 250 payments is about half of it.
const MAX_ANSWER_BYTES: usize = 2 * 1024 * 1024;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

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
    pool: ProviderPool,
    address: ApiAddress,
}

impl MollieTransport {
    /// To `address`, as `https://api.mollie.com/`; plain HTTP only on this machine. It ends in `/`.
    pub fn new(address: &str) -> Result<Arc<Self>, TransportError> {
        let address = ApiAddress::parse(address)?;
        Ok(Arc::new(Self { pool: ProviderPool::new()?, address }))
    }

    /// Whether it leads to a stand-in on this machine.
    pub fn is_here(&self) -> bool {
        self.address.is_here()
    }
}

impl std::fmt::Debug for MollieTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MollieTransport {{ {} }}", self.address)
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
        write!(f, "MollieConnection {{ {}, key: [redacted] }}", self.transport.address)
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
        let request = self.request(method, path, key, body).map_err(|error| CallError::NotSent(error.to_string()))?;
        let (head, body) = self.transport.pool.exchange(request, Exchange { deadline, max_answer: MAX_ANSWER_BYTES }).await?;
        Ok(Answer::of(head.status, &head.headers, body))
    }

    fn request(&self, method: Method, path: &str, key: Option<&str>, body: Option<Vec<u8>>) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(self.transport.address.uri(path)?)
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
        Self { status, retry_after: retry_after(headers), is_replayed: text(&REPLAYED) == Some("true"), body }
    }
}
