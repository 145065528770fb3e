//! The way to Stripe's API: one pool of kept-alive connections for all accounts, and what is known of a call without a whole answer.
//!
//! Nothing is tried twice in here. The engine sends an attempt again by its own row, under the same key, and knows what was sent before.

use super::wire;
use crate::{
    adapters::provider_http::{ApiAddress, CallError, Exchange, ProviderPool, TransportError, USER_AGENT, retry_after},
    domain::secret::Secret,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use hyper::body::Bytes;
use std::{sync::Arc, time::Duration};
use stripe_client_core::{CustomizedStripeRequest, RequestBuilder, StripeClient, StripeClientErr, StripeMethod, VERSION};
use tokio::time::Instant;

const MAX_ANSWER_BYTES: usize = 1024 * 1024;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const STRIPE_VERSION: HeaderName = HeaderName::from_static("stripe-version");
const STRIPE_ACCOUNT: HeaderName = HeaderName::from_static("stripe-account");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("stripe-should-retry");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A whole answer, whatever it says.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its HTTP status.
    pub status: StatusCode,
    /// `Request-Id`: what Stripe's support asks for.
    pub request_id: Option<String>,
    /// `Retry-After`, at most an hour.
    pub retry_after: Option<Duration>,
    /// `Stripe-Should-Retry`: Stripe's own word on whether asking again makes sense.
    pub should_retry: Option<bool>,
    /// `Idempotent-Replayed`: an earlier answer under the same key, word for word.
    pub is_replayed: bool,
    /// At most 1 MiB.
    pub body: Bytes,
}

/// The pool: one for the process, whatever the number of accounts.
pub struct StripeTransport {
    pool: ProviderPool,
    address: ApiAddress,
}

impl StripeTransport {
    /// To `address`, as `https://api.stripe.com/`; plain HTTP only on this machine. It ends in `/`.
    pub fn new(address: &str) -> Result<Arc<Self>, TransportError> {
        let address = ApiAddress::parse(address)?;
        Ok(Arc::new(Self { pool: ProviderPool::new()?, address }))
    }

    /// An account's way over it. `timeout` bounds a whole call; a connection has 2 s of it.
    pub fn connection(self: &Arc<Self>, key: &Secret<String>, timeout: Duration) -> Result<StripeConnection, wire::BadKey> {
        Ok(StripeConnection { transport: Arc::clone(self), authorization: wire::authorization(key)?, timeout })
    }
}

impl std::fmt::Debug for StripeTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StripeTransport {{ {} }}", self.address)
    }
}

/// An account's way to Stripe.
#[derive(Clone)]
pub struct StripeConnection {
    transport: Arc<StripeTransport>,
    /// Marked as sensitive: no dump of the headers shows it.
    authorization: HeaderValue,
    timeout: Duration,
}

impl std::fmt::Debug for StripeConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StripeConnection {{ {}, key: [redacted] }}", self.transport.address)
    }
}

impl StripeConnection {
    /// When a call that begins now has to be over.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Sends a request, under `key` if it changes anything, and waits for its whole answer until `deadline`. Redirects are not followed.
    pub async fn call(&self, built: RequestBuilder, key: Option<&str>, deadline: Instant) -> Result<Answer, CallError> {
        let (method, path) = (method(built.method), built.path.clone());
        let request = self.request(built, key, None)?;
        let answer = self.exchange(request, deadline).await;
        match &answer {
            Ok(answer) => tracing::debug!(
                %method, path, status = answer.status.as_u16(), request_id = answer.request_id, replayed = answer.is_replayed, "Stripe answered"
            ),
            Err(error) => tracing::debug!(%method, path, %error, "Stripe did not answer"),
        }
        answer
    }

    async fn exchange(&self, request: Request<Full<Bytes>>, deadline: Instant) -> Result<Answer, CallError> {
        let (head, body) = self.transport.pool.exchange(request, Exchange { deadline, max_answer: MAX_ANSWER_BYTES }).await?;
        Ok(Answer::of(head.status, &head.headers, body))
    }

    fn request(&self, built: RequestBuilder, key: Option<&str>, account: Option<&str>) -> Result<Request<Full<Bytes>>, CallError> {
        let method = method(built.method);
        // Without a key Stripe would do it as often as it is asked.
        if method == Method::POST && key.is_none() {
            return Err(CallError::NotSent("a request that changes something has to have a key".to_owned()));
        }
        let unsendable = |error: http::Error| CallError::NotSent(error.to_string());
        let query = built.query.filter(|query| !query.is_empty()).map(|query| format!("?{query}")).unwrap_or_default();
        let uri = self.transport.address.uri(&format!("/v1{}{query}", built.path)).map_err(unsendable)?;
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header(header::USER_AGENT, HeaderValue::from_static(USER_AGENT))
            .header(STRIPE_VERSION, VERSION.as_str());
        for (name, value) in [(IDEMPOTENCY_KEY, key), (STRIPE_ACCOUNT, account)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let body = built.body.unwrap_or_default();
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        }
        request.body(Full::new(body.into())).map_err(unsendable)
    }
}

const fn method(method: StripeMethod) -> Method {
    match method {
        StripeMethod::Get => Method::GET,
        StripeMethod::Post => Method::POST,
        StripeMethod::Delete => Method::DELETE,
    }
}

impl Answer {
    fn of(status: StatusCode, headers: &HeaderMap, body: Bytes) -> Self {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            status,
            request_id: text(&REQUEST_ID).filter(|id| wire::is_plain_id(id)).map(str::to_owned),
            retry_after: retry_after(headers),
            should_retry: text(&SHOULD_RETRY).and_then(|text| text.parse().ok()),
            is_replayed: text(&REPLAYED) == Some("true"),
            body,
        }
    }
}

/// Why a request of the generated types had no body to read. The engine's own calls are judged in more detail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// There was no whole answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Stripe answered with an error.
    #[error("Stripe answered {status}, request {}", request_id.as_deref().unwrap_or("without an id"))]
    Status {
        /// The HTTP status.
        status: u16,
        /// Stripe's id of the request.
        request_id: Option<String>,
    },
    /// The body is not what was expected.
    #[error("Stripe's answer could not be read: {0}")]
    Unreadable(String),
}

impl StripeClientErr for ClientError {
    fn deserialize_err(words: impl std::fmt::Display) -> Self {
        Self::Unreadable(words.to_string())
    }
}

/// For requests of the generated types whose answers are wanted whole. A `POST` needs the strategy `Idempotent`.
impl StripeClient for StripeConnection {
    type Err = ClientError;

    async fn execute(&self, request: CustomizedStripeRequest) -> Result<Bytes, ClientError> {
        let (built, its_own) = request.into_pieces();
        let key = its_own.request_strategy.and_then(|strategy| strategy.get_key());
        let account = its_own.account_id.as_ref().map(|id| id.as_str());
        let request = self.request(built, key.as_ref().map(|key| key.as_str()), account)?;
        let deadline = Instant::now() + its_own.timeout.unwrap_or(self.timeout).min(self.timeout);
        let answer = self.exchange(request, deadline).await?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        Err(ClientError::Status { status: answer.status.as_u16(), request_id: answer.request_id })
    }
}

#[cfg(test)]
#[path = "transport_tests.rs"]
mod tests;
