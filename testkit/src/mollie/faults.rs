//! What goes wrong on demand: the next request of a kind meets the next fault that waits for its kind.

use super::call::Call;
use axum::http::Method;
use std::time::Duration;

/// Which requests a fault waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Any of the API.
    Anything,
    /// `GET`.
    Reads,
    /// `POST /v2/payments`.
    CreatePayment,
    /// `DELETE /v2/payments/{id}` and `POST …/release-authorization`.
    GiveUp,
    /// `POST …/captures`.
    CreateCapture,
    /// `POST …/refunds`.
    CreateRefund,
    /// `POST /v2/customers`.
    CreateCustomer,
}

impl Which {
    pub(super) fn fits(self, call: &Call) -> bool {
        let is = |method: Method, end: &str| call.method == method && call.path.ends_with(end);
        match self {
            Self::Anything => true,
            Self::Reads => call.method == Method::GET,
            Self::CreatePayment => is(Method::POST, "/v2/payments"),
            Self::GiveUp => call.method == Method::DELETE || is(Method::POST, "/release-authorization"),
            Self::CreateCapture => is(Method::POST, "/captures"),
            Self::CreateRefund => is(Method::POST, "/refunds"),
            Self::CreateCustomer => is(Method::POST, "/v2/customers"),
        }
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends, and nothing was executed.
    CutBefore,
    /// It is executed, and the connection ends after so many bytes of the answer.
    CutAfter(usize),
    /// It is executed at once and answered late. Until then its key is in use.
    Late(Duration),
    /// It is executed late.
    Slow(Duration),
    /// An error object with this status; executed or not. An executed one is what the key is answered with from then on.
    Status(u16, Executed),
    /// A gateway's page with status 502, no JSON.
    Html(Executed),
    /// 429, not executed, with `Retry-After` in seconds where there is one.
    RateLimited(Option<u32>),
    /// 200 and nothing that is JSON, executed.
    Garbage,
}

/// Whether the request was executed all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Executed {
    /// It was.
    Yes,
    /// It was not.
    No,
}
