//! What an HTTP answer of Mollie's means: <https://docs.mollie.com/reference/handling-errors>.

use super::{answer::Problem, transport::Answer};
use crate::{adapters::provider_http::CallError, domain::attempt::Outcome};
use http::StatusCode;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// What Mollie said.
#[derive(Debug, Clone)]
pub(super) enum Said<T> {
    /// It did it, or shows it.
    Done(Done<T>),
    /// 422: it was looked at, and not executed.
    Refused {
        /// The field that was wrong, where it is named.
        field: Option<String>,
    },
    /// 404. Never a no: it says what Mollie found, not what it has.
    NotFound,
    /// Not executed, for certain.
    NotSent {
        /// For people.
        cause: String,
        /// How long Mollie asks us to wait.
        retry_after: Option<Duration>,
    },
    /// Anything may have happened.
    Unknown(String),
}

/// An answer with an object.
#[derive(Debug, Clone)]
pub(super) struct Done<T> {
    pub(super) object: T,
    /// It is what was answered at first: the object may have moved since.
    pub(super) is_replayed: bool,
}

impl<T> Said<T> {
    /// What anything but an object or a refusal means for an attempt.
    pub(super) fn without_answer(self) -> Outcome {
        match self {
            Self::NotSent { cause, retry_after } => Outcome::NotSent { cause, retry_after },
            Self::Unknown(cause) => Outcome::Unknown(cause),
            Self::NotFound => Outcome::Unknown("not found".to_owned()),
            Self::Refused { field } => Outcome::Unknown(refused(field.as_deref())),
            Self::Done(_) => Outcome::Unknown("an answer of which nothing is known".to_owned()),
        }
    }
}

/// A refusal in words.
pub(super) fn refused(field: Option<&str>) -> String {
    format!("refused because of {}", field.unwrap_or("nothing that it names"))
}

/// Judges.
pub(super) fn judge<T: DeserializeOwned>(answer: Result<Answer, CallError>) -> Said<T> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(CallError::NotSent(cause)) => return Said::NotSent { cause, retry_after: None },
        Err(CallError::Unknown(cause)) => return Said::Unknown(cause),
    };
    let status = answer.status;
    if status.is_success() {
        return match serde_json::from_slice(&answer.body) {
            Ok(object) => Said::Done(Done { object, is_replayed: answer.is_replayed }),
            Err(_) => Said::Unknown(format!("an answer {} that cannot be read", status.as_u16())),
        };
    }
    let words = format!("answered {}", status.as_u16());
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Said::NotSent { cause: words, retry_after: answer.retry_after };
    }
    // A page of somebody between us knows nothing. Neither does a 5xx: the work may have been done before it.
    let problem = serde_json::from_slice::<Problem>(&answer.body).ok().filter(|problem| problem.status == status.as_u16());
    let Some(problem) = problem.filter(|_| status.is_client_error()) else { return Said::Unknown(words) };
    match status {
        // Our key, or what it may do: "your request was not executed".
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Said::NotSent { cause: words, retry_after: answer.retry_after },
        StatusCode::NOT_FOUND => Said::NotFound,
        StatusCode::UNPROCESSABLE_ENTITY => Said::Refused { field: problem.field.filter(|field| is_name(field)) },
        // 400: the key was used for something else. 409: it is in use, or the same refund was asked for a moment ago.
        _ => Said::Unknown(words),
    }
}

/// Whether it is the name of a field, and quotes nothing.
fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'[' | b']'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::body::Bytes;

    fn said(status: u16, body: &'static str) -> Said<serde_json::Value> {
        let status = StatusCode::from_u16(status).unwrap();
        judge(Ok(Answer { status, retry_after: None, is_replayed: false, body: Bytes::from_static(body.as_bytes()) }))
    }

    #[test]
    fn only_what_mollie_itself_has_refused_is_a_refusal() {
        let refusal = r#"{"status":422,"title":"Unprocessable Entity","detail":"x","field":"amount.currency"}"#;
        assert!(matches!(said(422, refusal), Said::Refused { field: Some(field) } if field == "amount.currency"));
        assert!(matches!(said(422, r#"{"status":422}"#), Said::Refused { field: None }));
        let quoting = r#"{"status":422,"field":"4111 1111 <b>"}"#;
        assert!(matches!(said(422, quoting), Said::Refused { field: None }));
        for (status, body) in [
            (422, "<html>"),
            (422, r#"{"status":400}"#),
            (400, r#"{"status":400}"#),
            (409, r#"{"status":409}"#),
            (410, r#"{"status":410}"#),
            (500, r#"{"status":500}"#),
            (502, "<html>"),
            (503, r#"{"status":503}"#),
            (302, ""),
            (200, "{"),
            (401, "<html>"),
        ] {
            assert!(matches!(said(status, body), Said::Unknown(_)), "{status} {body}");
        }
        assert!(matches!(said(404, r#"{"status":404}"#), Said::NotFound));
        for (status, body) in [(401, r#"{"status":401}"#), (403, r#"{"status":403}"#), (429, "")] {
            assert!(matches!(said(status, body), Said::NotSent { .. }), "{status}");
        }
    }
}
