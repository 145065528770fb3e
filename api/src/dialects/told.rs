//! Whose words a path is answered in, and how each says what is wrong.

use super::{bokamera, checksum::Checksum, classmanager, loop_payments, momence, monime};
use crate::problem::Problem;
use axum::{extract::Request, response::Response};
use http::{HeaderValue, StatusCode, header};
use std::borrow::Cow;

/// One of other people's APIs, as the edge and the description of the API know it.
pub(crate) struct Dialect {
    /// Under what it is whole: `/loop`.
    pub(super) prefix: &'static str,
    /// Whether a path outside the prefix is one of its own.
    pub(super) is_at_root: fn(&str) -> bool,
    /// The name of the schema of what it says is wrong.
    pub(super) schema_of_faults: fn() -> Cow<'static, str>,
    /// A problem in its words.
    pub(super) fault: fn(&Problem) -> (StatusCode, String),
    /// What it writes into the headers of every answer, if anything: of the request's id and its sum.
    pub(super) heads: Option<fn(&mut Response, &str, &str)>,
}

/// A request that is answered in the words of one of them.
pub(crate) struct Heard {
    dialect: &'static Dialect,
    sum: Option<Checksum>,
}

impl Heard {
    /// `None` where it is the native API's.
    pub(crate) fn of(request: &mut Request) -> Option<Self> {
        let dialect = Dialect::of(request.uri().path())?;
        Some(Self { dialect, sum: dialect.heads.map(|_| Checksum::of(request)) })
    }

    /// The answer in its words, and with its headers. `id` is the request's.
    pub(crate) fn answer(self, response: Response, id: &str) -> Response {
        let mut response = self.dialect.retold(response);
        if let (Some(heads), Some(sum)) = (self.dialect.heads, self.sum) {
            heads(&mut response, id, &sum.text());
        }
        response
    }
}

/// Every one.
static ALL: [&Dialect; 5] = [&momence::DIALECT, &classmanager::DIALECT, &loop_payments::DIALECT, &monime::DIALECT, &bokamera::DIALECT];

impl Dialect {
    /// Whose words this path is answered in; nobody's where it is the native API's.
    pub(crate) fn of(path: &str) -> Option<&'static Self> {
        ALL.into_iter().find(|dialect| is_under(path, dialect.prefix) || (dialect.is_at_root)(path))
    }

    /// Whether a path is under its own prefix.
    pub(crate) fn is_whole(&self, path: &str) -> bool {
        is_under(path, self.prefix)
    }

    /// The schema of what it says is wrong, in the description of the API.
    pub(crate) fn schema_of_faults(&self) -> Cow<'static, str> {
        (self.schema_of_faults)()
    }

    /// The same answer in its words. What is no problem of ours stays as it is.
    pub(crate) fn retold(&self, mut response: Response) -> Response {
        let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
        let (status, text) = (self.fault)(&problem);
        let (mut parts, _) = response.into_parts();
        parts.status = status;
        parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Response::from_parts(parts, text.into())
    }
}

/// Whether a path is this folder or something in it.
pub(super) fn is_under(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_answered_in_the_words_of_whose_it_is() {
        for (theirs, prefix) in [
            ("/loop", "/loop"),
            ("/loop/", "/loop"),
            ("/loop/v1/checkout", "/loop"),
            ("/loop/nothing", "/loop"),
            ("/v1/checkout", "/loop"),
            ("/v1/payments", "/loop"),
            ("/v1/payments/chk_1", "/loop"),
            ("/momence/api/v2/host/checkout", "/momence"),
            ("/api/v2/host/checkout", "/momence"),
            ("/api/v2/host/nothing", "/momence"),
            ("/api/v2/member/checkout/prices", "/momence"),
            ("/monime/nothing", "/monime"),
            ("/v1/checkout-sessions", "/monime"),
            ("/v1/checkout-sessions/chk_1", "/monime"),
            ("/classmanager", "/classmanager"),
            ("/classmanager/v1/nothing", "/classmanager"),
            ("/v1/basket/fml_1/checkout", "/classmanager"),
            ("/v1/balances", "/classmanager"),
            ("/v1/transactions/", "/classmanager"),
            ("/payment/stripe/v1/checkout", "/bokamera"),
            ("/payment/stripe/v1/checkout.json", "/bokamera"),
            ("/payment/stripe/v1/checkout/status", "/bokamera"),
            ("/bokamera/payment/stripe/v1/checkout", "/bokamera"),
        ] {
            assert_eq!(Dialect::of(theirs).map(|dialect| dialect.prefix), Some(prefix), "{theirs}");
        }
        for ours in [
            "/",
            "/api",
            "/api/v2",
            "/api/v2/hosts",
            "/v1/checkouts",
            "/v1/checkout/x",
            "/v1/subscriptions/sub_1",
            "/loops",
            "/v1/paymentsx",
            "/pay/x",
            "/payment",
            "/payment/stripes",
        ] {
            assert!(Dialect::of(ours).is_none(), "{ours}");
        }
    }

    #[test]
    fn no_path_is_two_ones() {
        for path in
            ["/api/v2/host/checkout", "/v1/checkout", "/v1/payments/chk_1", "/v1/checkout-sessions/chk_1", "/payment/stripe/v1/checkout"]
        {
            assert_eq!(ALL.into_iter().filter(|dialect| (dialect.is_at_root)(path)).count(), 1, "{path}");
        }
        for one in ALL {
            assert_eq!(ALL.into_iter().filter(|other| other.prefix == one.prefix).count(), 1);
            assert!(!ALL.into_iter().any(|other| (other.is_at_root)(one.prefix)));
        }
    }
}
