//! The engine's HTTP client for a sandbox in another process. It tells what was certainly not sent from all else.

use super::{
    http::{KEY_HEADER, NOT_EXECUTED},
    operation::{ChargeRow, OperationStatus},
};
use crate::{
    adapters::{
        callback::signature::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER},
        provider_http::{CallError, Exchange, ProviderPool, retry_after},
    },
    domain::{
        attempt::{AttemptKind, MoneyRequest},
        id::PaymentIntentId,
        money::{Amount, Currency},
        payment_intent::{IntentUse, NewIntent, PaymentIntent},
        push::PushKind,
        time::Timestamp,
    },
};
use http::{HeaderValue, Method, Request, StatusCode, Uri, header, uri::PathAndQuery};
use http_body_util::Full;
use hyper::body::Bytes;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, time::Duration};
use tokio::time::Instant;

const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Why a text is no address of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an http:// or https:// address of a sandbox provider, such as http://127.0.0.1:8090")]
pub struct BaseUrlError;

/// A whole answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Bytes,
}

pub(super) struct Client {
    pool: ProviderPool,
    base: http::uri::Parts,
    prefix: String,
    timeout: Duration,
}

impl Client {
    pub(super) fn new(base_url: &str, timeout: Duration) -> Result<Self, BaseUrlError> {
        let base: Uri = base_url.trim_end_matches('/').parse().map_err(|_| BaseUrlError)?;
        let has_login = base.authority().is_none_or(|authority| authority.as_str().contains('@'));
        if !matches!(base.scheme_str(), Some("http" | "https")) || has_login || base.query().is_some() {
            return Err(BaseUrlError);
        }
        let prefix = base.path().trim_end_matches('/').to_owned();
        let pool = ProviderPool::new().map_err(|_| BaseUrlError)?;
        Ok(Self { pool, base: base.into_parts(), prefix, timeout })
    }

    /// Sends a money request under its key.
    pub(super) async fn send(&self, request: &MoneyRequest) -> Result<Answer, CallError> {
        let path = match request.kind {
            AttemptKind::Charge => "/sandbox/charges",
            AttemptKind::Capture => "/sandbox/captures",
            AttemptKind::Void => "/sandbox/voids",
            AttemptKind::Refund => "/sandbox/refunds",
        };
        let body = serde_json::to_vec(&RequestBody::of(request)).map_err(|error| CallError::NotSent(error.to_string()))?;
        let key = HeaderValue::from_str(&request.key).map_err(|error| CallError::NotSent(error.to_string()))?;
        self.call(Method::POST, path, Some(key), body.into()).await
    }

    /// Asks what became of the request with this key.
    pub(super) async fn look_up(&self, reference: &str, key: &str) -> Result<Answer, CallError> {
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("reference", reference)
            .append_pair("idempotency_key", key)
            .finish();
        self.call(Method::GET, &format!("/sandbox/operations?{query}"), None, Bytes::new()).await
    }

    /// The book's charges for a reference.
    pub(super) async fn charges(&self, reference: &str) -> Result<Vec<ChargeRow>, CallError> {
        let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("reference", reference).finish();
        let answer = self.call(Method::GET, &format!("/sandbox/charges?{query}"), None, Bytes::new()).await?;
        let page = serde_json::from_slice::<ChargesBody>(&answer.body);
        page.map(|page| page.data).map_err(|_| CallError::Unknown(format!("no book in an answer {}", answer.status)))
    }

    /// Authorises money before there is a checkout. `Err`: the card's no.
    pub(super) async fn authorize_intent(&self, new: &NewIntent) -> Result<Result<PaymentIntent, String>, CallError> {
        let body = serde_json::to_vec(new).map_err(|error| CallError::NotSent(error.to_string()))?;
        // Its key is nobody's: an intent that is never used costs nothing.
        let key = Some(HeaderValue::from_static("none"));
        let answer = self.call(Method::POST, "/sandbox/payment-intents", key, body.into()).await?;
        if answer.status == StatusCode::PAYMENT_REQUIRED
            && let Some(code) = answer.code()
        {
            return Ok(Err(code.into_owned()));
        }
        answer.intent().map(Ok)
    }

    /// An intent of an account's.
    pub(super) async fn intent(&self, account: &str, id: &PaymentIntentId) -> Result<Option<PaymentIntent>, CallError> {
        let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("account", account).finish();
        let answer = self.call(Method::GET, &format!("/sandbox/payment-intents/{id}?{query}"), None, Bytes::new()).await?;
        if answer.status == StatusCode::NOT_FOUND { Ok(None) } else { answer.intent().map(Some) }
    }

    /// Tells somebody something, signed. Whether it was taken.
    pub(super) async fn tell(&self, id: &str, at: Timestamp, signature: &str, body: String) -> bool {
        let request = self.request(Method::POST, "", None, body.into()).ok().and_then(|mut request| {
            let headers =
                [(ID_HEADER, id.to_owned()), (TIMESTAMP_HEADER, at.seconds().to_string()), (SIGNATURE_HEADER, signature.to_owned())];
            for (name, value) in headers {
                request.headers_mut().insert(name, HeaderValue::try_from(value).ok()?);
            }
            request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Some(request)
        });
        let Some(request) = request else { return false };
        self.pool.exchange(request, self.within()).await.is_ok_and(|(head, _)| head.status.is_success())
    }

    async fn call(&self, method: Method, path: &str, key: Option<HeaderValue>, body: Bytes) -> Result<Answer, CallError> {
        let request = self.request(method, path, key, body).map_err(|error| CallError::NotSent(error.to_string()))?;
        let (head, body) = self.pool.exchange(request, self.within()).await?;
        Ok(Answer { status: head.status, retry_after: retry_after(&head.headers), body })
    }

    fn within(&self) -> Exchange {
        Exchange { deadline: Instant::now() + self.timeout, max_answer: MAX_ANSWER_BYTES }
    }

    fn request(&self, method: Method, path: &str, key: Option<HeaderValue>, body: Bytes) -> Result<Request<Full<Bytes>>, http::Error> {
        let path: PathAndQuery = if self.prefix.is_empty() { path.parse()? } else { format!("{}{path}", self.prefix).parse()? };
        let mut uri = Uri::builder().path_and_query(path);
        if let (Some(scheme), Some(authority)) = (&self.base.scheme, &self.base.authority) {
            uri = uri.scheme(scheme.clone()).authority(authority.clone());
        }
        let mut request = Request::builder().method(method).uri(uri.build()?);
        if let Some(key) = key {
            request = request.header(KEY_HEADER, key).header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request.body(Full::new(body))
    }
}

#[derive(Serialize)]
struct RequestBody<'a> {
    reference: &'a str,
    amount: Amount,
    currency: Currency,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<MethodBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    intent: Option<&'a IntentUse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    charge: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capture: Option<bool>,
}

#[derive(Serialize)]
struct MethodBody<'a> {
    #[serde(rename = "type")]
    kind: PushKind,
    provider: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<&'a str>,
}

impl<'a> RequestBody<'a> {
    fn of(request: &'a MoneyRequest) -> Self {
        let is_charge = request.kind == AttemptKind::Charge;
        Self {
            reference: request.reference.as_str(),
            amount: request.amount,
            currency: request.currency,
            // A charge without a card is the provider's to refuse, in its own words.
            token: (is_charge && request.push.is_none() && request.intent.is_none())
                .then(|| request.token.as_ref().map_or("none", |token| token.reveal().as_str())),
            method: request.push.as_ref().filter(|_| is_charge).map(|push| MethodBody {
                kind: push.method,
                provider: &push.provider,
                phone: push.phone.as_ref().map(|phone| phone.reveal()),
            }),
            intent: request.intent.as_ref().filter(|_| is_charge),
            charge: request.target.as_deref().filter(|_| !is_charge),
            capture: request.capture_later.then_some(false),
        }
    }
}

#[derive(Deserialize)]
struct ChargesBody {
    data: Vec<ChargeRow>,
}

/// An operation as it is answered; what we do not use is left out.
#[derive(Deserialize)]
pub(super) struct OperationAnswer<'a> {
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    pub(super) kind: AttemptKind,
    #[serde(borrow)]
    pub(super) reference: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) idempotency_key: Cow<'a, str>,
    pub(super) amount: Amount,
    pub(super) currency: Currency,
    pub(super) status: OperationStatus,
    #[serde(borrow, default)]
    pub(super) decline_code: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) action_url: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ProblemAnswer<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
}

impl Answer {
    /// The operation, when it is one.
    pub(super) fn operation(&self) -> Option<OperationAnswer<'_>> {
        serde_json::from_slice(&self.body).ok().filter(|_| matches!(self.status, StatusCode::OK | StatusCode::PAYMENT_REQUIRED))
    }

    /// The payment intent, when it is one.
    fn intent(&self) -> Result<PaymentIntent, CallError> {
        let told = serde_json::from_slice(&self.body).ok().filter(|_| self.status.is_success());
        told.ok_or_else(|| CallError::Unknown(format!("no payment intent in an answer {}", self.status)))
    }

    /// The code of a refusal.
    pub(super) fn code(&self) -> Option<Cow<'_, str>> {
        serde_json::from_slice::<ProblemAnswer<'_>>(&self.body).ok().map(|problem| problem.code)
    }

    /// Whether it says that nothing was executed.
    pub(super) fn is_refusal(&self) -> bool {
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => true,
            // A gateway's 503 may stand for a connection that broke after sending.
            StatusCode::SERVICE_UNAVAILABLE => self.code().is_some_and(|code| code == NOT_EXECUTED),
            _ => false,
        }
    }
}
