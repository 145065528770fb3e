//! A provider's connections, and one exchange over them.
//!
//! hyper's own pooled client, not reqwest: a call costs about half as much CPU, and its errors say whether a connection was ever made.
//! Nothing is tried twice in here, and no redirect is followed: the engine sends an attempt again by its own row, under the same key, and
//! knows what was sent before.

use super::address::BadAddress;
use http::{HeaderMap, Request, header, response::Parts};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as HyperClient, Error as HyperError, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use std::{error::Error as _, time::Duration};
use tokio::time::Instant;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Shorter than servers usually keep an idle connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_IDLE_CONNECTIONS: usize = 1024;
/// The longest wait that a provider may ask of us.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Why no way to a provider could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The address.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// TLS.
    #[error("TLS could not be set up with the built-in certificates")]
    Tls,
}

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

/// How long a whole exchange may take, and how long its answer may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exchange {
    /// When it has to be over.
    pub(crate) deadline: Instant,
    /// The most that is read of an answer's body, in bytes.
    pub(crate) max_answer: usize,
}

/// Kept-alive connections to one provider: one pool for the process, whatever the number of accounts.
pub struct ProviderPool {
    hyper: HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl ProviderPool {
    /// With the certificates that are built in; a connection has two seconds.
    pub fn new() -> Result<Self, TransportError> {
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
        Ok(Self { hyper })
    }

    /// Sends a request, and waits for its whole answer.
    pub(crate) async fn exchange(&self, request: Request<Full<Bytes>>, within: Exchange) -> Result<(Parts, Bytes), CallError> {
        let begun = Instant::now();
        if within.deadline <= begun {
            return Err(CallError::NotSent("there was no time left".to_owned()));
        }
        let exchange = async {
            let response = self.hyper.request(request).await.map_err(|error| {
                let words = describe(&error);
                if error.is_connect() { CallError::NotSent(words) } else { CallError::Unknown(words) }
            })?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, within.max_answer).collect().await;
            let body = body.map_err(|error| CallError::Unknown(format!("the answer {} broke off: {error}", head.status)))?.to_bytes();
            Ok((head, body))
        };
        let out_of_time = |_| CallError::Unknown(format!("no answer within {} ms", (within.deadline - begun).as_millis()));
        tokio::time::timeout_at(within.deadline, exchange).await.map_err(out_of_time)?
    }
}

/// `Retry-After` in seconds, at most an hour.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

/// An error with its causes: hyper's own words alone say little.
fn describe(error: &HyperError) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        source = cause.source();
    }
    words
}
