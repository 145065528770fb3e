//! The way to Stripe's API: one pool of kept-alive connections for all accounts, and what is known of a call without a whole answer.
//!
//! Nothing is tried twice in here. The engine sends an attempt again by its own row, under the same key, and knows what was sent before.

use super::wire::{self, StripeBase};
use crate::domain::secret::Secret;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use std::{sync::Arc, time::Duration};
use stripe_client_core::{CustomizedStripeRequest, RequestBuilder, StripeClient, StripeClientErr, StripeMethod, VERSION};
use tokio::time::Instant;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Shorter than Stripe keeps an idle connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_IDLE_CONNECTIONS: usize = 1024;
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
/// The longest wait that Stripe may ask of us.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const STRIPE_VERSION: HeaderName = HeaderName::from_static("stripe-version");
const STRIPE_ACCOUNT: HeaderName = HeaderName::from_static("stripe-account");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("stripe-should-retry");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A call without a whole answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No connection was made, or there was nothing that could be sent.
    #[error("{0}; nothing was sent")]
    NotSent(String),
    /// It may have been sent: a timeout, a reset, an answer that broke off or was too long.
    #[error("{0}; it may have been sent")]
    Unknown(String),
}

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
    hyper: HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: StripeBase,
}

/// Why no transport could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The address.
    #[error(transparent)]
    Base(#[from] wire::BadStripeUrl),
    /// TLS.
    #[error("TLS could not be set up with the built-in certificates")]
    Tls,
}

impl StripeTransport {
    /// Whether `base_url` can be an address of Stripe's API.
    pub fn may_be_at(base_url: &str) -> bool {
        StripeBase::parse(base_url).is_ok()
    }

    /// To `base_url`, as `https://api.stripe.com/`; plain HTTP only on this machine. The address ends in `/`.
    pub fn new(base_url: &str) -> Result<Arc<Self>, TransportError> {
        let base = StripeBase::parse(base_url)?;
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

    /// An account's way over it. `timeout` bounds a whole call; a connection has 2 s of it.
    pub fn connection(self: &Arc<Self>, key: &Secret<String>, timeout: Duration) -> Result<StripeConnection, wire::BadKey> {
        Ok(StripeConnection { transport: Arc::clone(self), authorization: wire::authorization(key)?, timeout })
    }
}

impl std::fmt::Debug for StripeTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StripeTransport {{ {} }}", self.base)
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
        write!(f, "StripeConnection {{ {}, key: [redacted] }}", self.transport.base)
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
        if deadline <= Instant::now() {
            return Err(CallError::NotSent("there was no time left".to_owned()));
        }
        let exchange = async {
            let response = self.transport.hyper.request(request).await.map_err(|error| {
                let words = wire::describe(&error);
                if error.is_connect() { CallError::NotSent(words) } else { CallError::Unknown(words) }
            })?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
            let body = body.map_err(|error| CallError::Unknown(format!("the answer {} broke off: {error}", head.status)))?.to_bytes();
            Ok(Answer::of(head.status, &head.headers, body))
        };
        let out_of_time = |_| CallError::Unknown(format!("no answer within {} ms", self.timeout.as_millis()));
        tokio::time::timeout_at(deadline, exchange).await.map_err(out_of_time)?
    }

    fn request(&self, built: RequestBuilder, key: Option<&str>, account: Option<&str>) -> Result<Request<Full<Bytes>>, CallError> {
        let method = method(built.method);
        // Without a key Stripe would do it as often as it is asked.
        if method == Method::POST && key.is_none() {
            return Err(CallError::NotSent("a request that changes something has to have a key".to_owned()));
        }
        let unsendable = |error: http::Error| CallError::NotSent(error.to_string());
        let uri = self.transport.base.uri(&built.path, built.query.as_deref()).map_err(unsendable)?;
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header(header::USER_AGENT, HeaderValue::from_static(wire::USER_AGENT))
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
        let seconds = text(&header::RETRY_AFTER).and_then(|text| text.trim().parse().ok());
        Self {
            status,
            request_id: text(&REQUEST_ID).filter(|id| wire::is_plain_id(id)).map(str::to_owned),
            retry_after: seconds.map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER)),
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
