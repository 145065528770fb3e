//! What an answer of Stripe's means for a request under a key: done, a definite no, not executed, or unknown. Decided by status and type of
//! error, in one place.
//!
//! Sources: <https://docs.stripe.com/api/errors>, <https://docs.stripe.com/api/idempotent_requests>, <https://docs.stripe.com/error-low-level>.
//! What Stripe stores under a key is the answer of a request that began to execute, a 500 among them. What failed the checks of its
//! parameters, came beside a request under the same key, or was turned away, is not stored and was not executed.

use super::{
    answer::{Problem, ProblemBody},
    transport::Answer,
};
use crate::adapters::provider_http::CallError;
use http::StatusCode;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// What came of one call.
#[derive(Debug)]
pub(super) enum Said<T> {
    /// It was done, and this is the object.
    Done(Done<T>),
    /// A definite no: asked again under the same key, Stripe says the same.
    Refused(Box<Refused>),
    /// It was not executed.
    NotSent { cause: String, retry_after: Option<Duration> },
    /// Nobody knows.
    Unknown(Unknown),
}

#[derive(Debug)]
pub(super) struct Done<T> {
    pub(super) object: T,
    /// Whether it is what Stripe said the first time: the object may have moved on since.
    pub(super) is_replayed: bool,
    pub(super) request_id: Option<String>,
}

/// A no, and under which request.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) problem: Problem,
    pub(super) request_id: Option<String>,
}

#[derive(Debug)]
pub(super) struct Unknown {
    pub(super) cause: String,
    /// Stripe repeats it for as long as it remembers the key, because it failed, or has the key for other parameters: to ask again is no use,
    /// to look is.
    pub(super) is_stuck: bool,
}

impl<T> Said<T> {
    pub(super) fn unknown(cause: impl Into<String>) -> Self {
        Self::Unknown(Unknown { cause: cause.into(), is_stuck: false })
    }

    /// The same without the object.
    pub(super) fn without<U>(self) -> Result<Done<T>, Said<U>> {
        match self {
            Self::Done(done) => Ok(done),
            Self::Refused(refused) => Err(Said::Refused(refused)),
            Self::NotSent { cause, retry_after } => Err(Said::NotSent { cause, retry_after }),
            Self::Unknown(unknown) => Err(Said::Unknown(unknown)),
        }
    }
}

/// A cause with the id that Stripe's support asks for.
pub(super) fn told(words: &str, request_id: Option<&str>) -> String {
    match request_id {
        Some(id) => format!("{words}, request {id}"),
        None => words.to_owned(),
    }
}

/// Judges.
pub(super) fn judge<T: DeserializeOwned>(answer: Result<Answer, CallError>) -> Said<T> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(CallError::NotSent(cause)) => return Said::NotSent { cause, retry_after: None },
        Err(CallError::Unknown(cause)) => return Said::unknown(cause),
    };
    let request_id = answer.request_id.clone();
    if answer.status.is_success() {
        return match serde_json::from_slice(&answer.body) {
            Ok(object) => Said::Done(Done { object, is_replayed: answer.is_replayed, request_id }),
            Err(_) => Said::unknown(told(&format!("an answer {} that cannot be read", answer.status), request_id.as_deref())),
        };
    }
    let problem = serde_json::from_slice::<ProblemBody>(&answer.body).ok().map(|body| body.error);
    refused(&answer, problem)
}

fn refused<T>(answer: &Answer, problem: Option<Problem>) -> Said<T> {
    let status = answer.status;
    let code = problem.as_ref().map_or("no error of Stripe's", Problem::reason);
    let words = told(&format!("answered {} {code}", status.as_u16()), answer.request_id.as_deref());
    let unknown = |is_stuck: bool| Said::Unknown(Unknown { cause: words.clone(), is_stuck });
    // Before its queue, or a lock that another request held: not executed. Without a time of its own: at once, as far as Stripe is concerned.
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Said::NotSent { cause: words, retry_after: Some(answer.retry_after.unwrap_or(Duration::ZERO)) };
    }
    if status.is_server_error() {
        return unknown(answer.is_replayed);
    }
    // A page of somebody between us, who knows about what.
    let Some(problem) = problem.filter(|_| status.is_client_error()) else { return unknown(false) };
    match (status, problem.kind.as_deref()) {
        // Our key, or what it may do. With another key of the same account the same request may go through.
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => Said::NotSent { cause: words, retry_after: None },
        // Another request has this key in its hands, or something outside Stripe failed half-way.
        (StatusCode::CONFLICT | StatusCode::FAILED_DEPENDENCY | StatusCode::REQUEST_TIMEOUT, _) | (_, Some("api_error")) => unknown(false),
        (_, Some("idempotency_error")) => unknown(true),
        // By its own word no answer that will stay: asked again it may say otherwise.
        _ if answer.should_retry == Some(true) => unknown(false),
        (StatusCode::BAD_REQUEST | StatusCode::PAYMENT_REQUIRED | StatusCode::NOT_FOUND, Some("card_error" | "invalid_request_error")) => {
            Said::Refused(Box::new(Refused { status, problem, request_id: answer.request_id.clone() }))
        }
        _ => unknown(false),
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
