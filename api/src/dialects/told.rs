//! Whose words a path is answered in, and how each says what is wrong.

use super::loop_payments;
use crate::problem::Problem;
use axum::response::Response;
use http::header;

/// One of other people's APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Loop's payments.
    Loop,
}

impl Dialect {
    /// Whose words this path is answered in; nobody's where it is the native API's.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let is_under = |folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        (is_under("/loop") || path == "/v1/checkout" || is_under("/v1/payments")).then_some(Self::Loop)
    }

    /// The schema of what it says is wrong, in the description of the API.
    pub(crate) const fn schema_of_faults(self) -> &'static str {
        match self {
            Self::Loop => "LoopError",
        }
    }

    /// The same answer in its words. What is no problem of ours stays as it is.
    pub(crate) fn retold(self, mut response: Response) -> Response {
        let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
        let (status, text) = match self {
            Self::Loop => loop_payments::fault(&problem),
        };
        let (mut parts, _) = response.into_parts();
        parts.status = status;
        parts.headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        Response::from_parts(parts, text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_answered_in_the_words_of_whose_it_is() {
        for theirs in ["/loop", "/loop/", "/loop/v1/checkout", "/loop/nothing", "/v1/checkout", "/v1/payments", "/v1/payments/chk_1"] {
            assert_eq!(Dialect::of(theirs), Some(Dialect::Loop), "{theirs}");
        }
        for ours in ["/", "/v1/checkouts", "/v1/checkout/x", "/v1/subscriptions/sub_1", "/loops", "/v1/paymentsx", "/pay/x"] {
            assert_eq!(Dialect::of(ours), None, "{ours}");
        }
    }
}
