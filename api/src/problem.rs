//! Every error that a client can see: one enum with a status per variant, written as `application/problem+json` (RFC 9457).
//!
//! | status | when |
//! |---|---|
//! | 400 | the request cannot be read: malformed JSON, an unknown or missing field, a wrong type, a value outside its bounds, a card number |
//! | 401, 403 | no valid key; a key without the scope |
//! | 404, 405 | no such route or object in the caller's tenant and mode; not with this method |
//! | 409 | the object's state does not allow it |
//! | 413, 415 | the body is too long; it is not plain `application/json` |
//! | 422 | read and understood, but it cannot be done: unknown ids in the body, a wrong price, a bad promo code, a reused key, a feature that we lack |
//! | 429, 503 | later: `Retry-After` says when. Nothing was written, or what was written is found by the same idempotency key |
//! | 500 | our bug; the log has it under the response's `Request-Id` |

use axum::response::{IntoResponse, Response};
use boxoffice_common::{
    domain::{
        error::{Code, CodedError},
        incompatibility::Incompatibility,
        time::Timestamp,
    },
    ports::store::StoreError,
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use std::time::Duration;

/// How long a client should wait when the store or the queue does not answer.
const RETRY_UNAVAILABLE: Duration = Duration::from_secs(2);

/// An error as clients see it. `detail` is for people and never quotes secrets or personal data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// 400: not JSON as we read it (also: too deep, not UTF-8, a duplicate key).
    #[error("{0}")]
    Malformed(String),
    /// 400: a field, header or parameter is unknown, missing or wrong.
    #[error("{detail}")]
    Parameter {
        /// `parameter_unknown`, `parameter_missing`, `parameter_invalid`, …
        code: &'static str,
        /// For people.
        detail: String,
        /// Where, such as `lines[0].quantity`.
        param: Option<String>,
    },
    /// 400 or 422, by its code: the rules refuse it.
    #[error(transparent)]
    Refused(#[from] CodedError),
    /// 401.
    #[error("send Authorization: Bearer followed by a live API key")]
    Unauthenticated,
    /// 403.
    #[error("this API key lacks the scope {0}")]
    Forbidden(&'static str),
    /// 404.
    #[error("there is nothing here, or not for this API key")]
    NotFound,
    /// 405.
    #[error("this resource does not have that method")]
    MethodNotAllowed,
    /// 409.
    #[error("{detail}")]
    Conflict {
        /// What stands in the way.
        code: &'static str,
        /// For people.
        detail: String,
        /// The field that it is about.
        param: Option<&'static str>,
    },
    /// 409: somebody came in with this ticket before.
    #[error("this ticket has let somebody in already, at {at}")]
    AlreadyAdmitted {
        /// When.
        at: Timestamp,
    },
    /// 413.
    #[error("the body is longer than {0} bytes")]
    BodyTooLarge(usize),
    /// 415.
    #[error("the body must be application/json, UTF-8, without a content encoding")]
    UnsupportedMediaType,
    /// 422.
    #[error("this Idempotency-Key was used with another body")]
    IdempotencyKeyReused,
    /// 429.
    #[error("more requests than this API key may make")]
    RateLimited {
        /// When the next one is let through.
        retry_after: Duration,
    },
    /// 503: too much is under way.
    #[error("too much is waiting; nothing of this request was kept")]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// 503: the store does not answer.
    #[error("a server behind this one does not answer; repeat the request with the same Idempotency-Key")]
    Unavailable,
    /// 504: it took too long.
    #[error("it took too long; repeat the request with the same Idempotency-Key")]
    TimedOut,
    /// 500.
    #[error("something is wrong on our side")]
    Internal,
}

/// The body of a problem (RFC 9457 with our own `code` and `param`).
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody<'a> {
    /// `urn:boxoffice:problem:<code>`.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// For people.
    detail: String,
    /// Stable: what programs act on.
    code: &'a str,
    /// The field that it is about, such as `lines[0].quantity`.
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a str>,
    /// Why a membership does not pay.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Incompatibility>,
    /// With `already_admitted`: when.
    #[serde(skip_serializing_if = "Option::is_none")]
    admitted_at: Option<Timestamp>,
}

impl Problem {
    /// 400: `param` has a wrong value.
    pub fn invalid(param: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Parameter { code: "parameter_invalid", detail: detail.into(), param: Some(param.into()) }
    }

    /// 400: `param` is not given.
    pub fn missing(param: impl Into<String>) -> Self {
        let param = param.into();
        Self::Parameter { code: "parameter_missing", detail: format!("{param} is required"), param: Some(param) }
    }

    /// 422: well formed, but a feature that this engine does not have.
    pub fn unsupported(param: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Refused(CodedError::new(Code::Unsupported, detail).at(param))
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) | Self::Parameter { .. } => StatusCode::BAD_REQUEST,
            Self::Refused(error) => match error.code {
                Code::CardNumberRefused | Code::ParameterInvalid => StatusCode::BAD_REQUEST,
                _ => StatusCode::UNPROCESSABLE_ENTITY,
            },
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict { .. } | Self::AlreadyAdmitted { .. } => StatusCode::CONFLICT,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Overloaded { .. } | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "json_malformed",
            Self::Parameter { code, .. } | Self::Conflict { code, .. } => code,
            Self::Refused(error) => error.code.as_str(),
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden(_) => "scope_missing",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::AlreadyAdmitted { .. } => "already_admitted",
            Self::BodyTooLarge(_) => "body_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::RateLimited { .. } => "rate_limited",
            Self::Overloaded { .. } => "overloaded",
            Self::Unavailable => "unavailable",
            Self::TimedOut => "timed_out",
            Self::Internal => "internal",
        }
    }

    /// For people.
    pub fn detail(&self) -> String {
        match self {
            Self::Refused(error) => error.message.clone(),
            other => other.to_string(),
        }
    }

    /// The field that it is about.
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::Parameter { param, .. } => param.as_deref(),
            Self::Conflict { param, .. } => *param,
            Self::Refused(error) => error.param.as_deref(),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::Overloaded { retry_after } => Some(*retry_after),
            Self::Unavailable | Self::TimedOut => Some(RETRY_UNAVAILABLE),
            _ => None,
        }
    }
}

/// Whole seconds for `Retry-After`, rounded up and at least 1: a client that comes too early is refused again.
pub fn retry_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) => {
                tracing::warn!(why, "the store is unavailable");
                Self::Unavailable
            }
            bug @ (StoreError::Inconsistent(_) | StoreError::Corrupt(_)) => {
                tracing::error!(error = %bug, "the store refused or cannot read a row");
                Self::Internal
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, code) = (self.status(), self.code());
        let body = ProblemBody {
            kind: format!("urn:boxoffice:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: self.detail(),
            code,
            param: self.param(),
            reason: if let Self::Refused(error) = &self { error.reason } else { None },
            admitted_at: if let Self::AlreadyAdmitted { at } = &self { Some(*at) } else { None },
        };
        let text = serde_json::to_string(&body).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], text).into_response();
        let headers = response.headers_mut();
        if let Some(wait) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_seconds(wait)));
        }
        if self == Self::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(self, Self::BodyTooLarge(_)) {
            // There may be more left of the body than the server is willing to hear: then the connection ends, and a client that was
            // not told would lose its next request on it.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        // Whoever answers in other people's words says it again.
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_its_code_and_param_and_says_whether_it_could_be_read() {
        let status = |code| Problem::from(CodedError::new(code, "x").at("lines[0]")).status().as_u16();
        assert_eq!((status(Code::PriceMismatch), status(Code::ResourceMissing), status(Code::Unsupported)), (422, 422, 422));
        assert_eq!((status(Code::CardNumberRefused), status(Code::ParameterInvalid)), (400, 400));
        assert_eq!(Problem::from(CodedError::new(Code::PriceMismatch, "x").at("lines[0]")).param(), Some("lines[0]"));
    }

    #[test]
    fn a_wait_is_whole_seconds_rounded_up() {
        let seconds = |ms| retry_seconds(Duration::from_millis(ms));
        assert_eq!((seconds(0), seconds(1), seconds(1000), seconds(1001)), (1, 1, 1, 2));
    }
}
