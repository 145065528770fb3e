//! What a request to Stripe is made of: the address, the key's header, and words for what went wrong.

use crate::domain::secret::Secret;
use http::{HeaderValue, Uri, uri::PathAndQuery};
use std::{error::Error as _, fmt, net::IpAddr};

/// Where Stripe is.
pub const STRIPE_URL: &str = "https://api.stripe.com/";

pub(super) const USER_AGENT: &str = concat!("boxoffice/", env!("CARGO_PKG_VERSION"));

/// The longest id of Stripe's that we take. They say 255 for theirs.
const MAX_ID: usize = 255;

/// Why a text is no address of Stripe's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not https:// with a host and a final slash, such as https://api.stripe.com/; http:// is for a stand-in on this machine only")]
pub struct BadStripeUrl;

/// Why a text is no key of Stripe's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a secret or restricted key of Stripe's: they begin with sk_ or rk_")]
pub struct BadKey;

/// The API's address.
#[derive(Debug)]
pub(super) struct StripeBase {
    parts: http::uri::Parts,
    prefix: String,
}

impl StripeBase {
    pub(super) fn parse(text: &str) -> Result<Self, BadStripeUrl> {
        let uri: Uri = text.parse().map_err(|_| BadStripeUrl)?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or(BadStripeUrl)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        let may = match uri.scheme_str() {
            Some("https") => !host.is_empty(),
            Some("http") => is_here,
            _ => false,
        };
        if !may || uri.query().is_some() || !text.ends_with('/') {
            return Err(BadStripeUrl);
        }
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { parts: uri.into_parts(), prefix })
    }

    /// The address of `path`, which begins with a slash.
    pub(super) fn uri(&self, path: &str, query: Option<&str>) -> Result<Uri, http::Error> {
        let question = if query.is_some_and(|query| !query.is_empty()) { "?" } else { "" };
        let path: PathAndQuery = format!("{}/v1{path}{question}{}", self.prefix, query.unwrap_or_default()).parse()?;
        let mut uri = Uri::builder().path_and_query(path);
        if let (Some(scheme), Some(authority)) = (&self.parts.scheme, &self.parts.authority) {
            uri = uri.scheme(scheme.clone()).authority(authority.clone());
        }
        uri.build()
    }
}

impl fmt::Display for StripeBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
        let scheme = text(self.parts.scheme.as_ref().map(|scheme| scheme.as_str()));
        let authority = text(self.parts.authority.as_ref().map(|authority| authority.as_str()));
        write!(f, "{scheme}://{authority}{}/", self.prefix)
    }
}

/// The header that proves who we are.
pub(super) fn authorization(key: &Secret<String>) -> Result<HeaderValue, BadKey> {
    let text = key.reveal();
    let is_key = (text.starts_with("sk_") || text.starts_with("rk_")) && is_plain_id(text);
    let mut value = HeaderValue::from_str(&format!("Bearer {text}")).map_err(|_| BadKey)?;
    value.set_sensitive(true);
    if is_key { Ok(value) } else { Err(BadKey) }
}

/// Whether a text may stand for an id in a path, in a log and in the store: letters, digits, `_` and `-`, and not too many of them.
pub(super) fn is_plain_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(plain)
}

/// An error with its causes: hyper's own words alone say little.
pub(super) fn describe(error: &hyper_util::client::legacy::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        source = cause.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_address_is_taken_and_plain_http_only_on_this_machine() {
        for good in [STRIPE_URL, "http://127.0.0.1:9000/", "http://[::1]:9000/", "http://localhost:9000/", "https://proxy.example/stripe/"]
        {
            assert!(StripeBase::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "api.stripe.com/",
            "https://api.stripe.com",
            "http://api.stripe.com/",
            "http://10.0.0.1/",
            "https://sk_live_x@api.stripe.com/",
            "https://api.stripe.com/?x=/",
            "ftp://127.0.0.1/",
            "https:///",
        ] {
            assert!(StripeBase::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_are_put_behind_the_version() {
        let base = StripeBase::parse("https://proxy.example/stripe/").unwrap();
        assert_eq!(base.uri("/refunds", None).unwrap().to_string(), "https://proxy.example/stripe/v1/refunds");
        let stripe = StripeBase::parse(STRIPE_URL).unwrap();
        assert_eq!(stripe.uri("/refunds", Some("limit=1")).unwrap().to_string(), "https://api.stripe.com/v1/refunds?limit=1");
        assert_eq!(stripe.to_string(), STRIPE_URL);
    }

    #[test]
    fn a_key_is_a_key_and_shows_itself_nowhere() {
        let header = authorization(&Secret::new("sk_test_4eC39".to_owned())).unwrap();
        assert!(header.is_sensitive() && !format!("{header:?}").contains("4eC39"));
        for bad in ["", "pk_test_1", "sk_test 1", "sk_test\n", "whsec_1"] {
            assert_eq!(authorization(&Secret::new(bad.to_owned())), Err(BadKey), "{bad:?}");
        }
    }
}
