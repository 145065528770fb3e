//! Mollie's address, and what may stand in a path there.

use http::{Uri, uri::PathAndQuery};
use std::{fmt, net::IpAddr};

/// Where Mollie is, unless `BOXOFFICE_MOLLIE_URL` says otherwise.
pub const MOLLIE_URL: &str = "https://api.mollie.com/";

/// The longest id of Mollie's that we take; theirs have about 25 characters.
const MAX_ID: usize = 64;

/// Why a text is no address of Mollie's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not https:// with a host and a final slash, such as https://api.mollie.com/; http:// is for a stand-in on this machine only")]
pub struct BadMollieUrl;

/// The API's address.
#[derive(Debug)]
pub(super) struct MollieBase {
    parts: http::uri::Parts,
    prefix: String,
}

impl MollieBase {
    pub(super) fn parse(text: &str) -> Result<Self, BadMollieUrl> {
        let uri: Uri = text.parse().map_err(|_| BadMollieUrl)?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or(BadMollieUrl)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        let may = match uri.scheme_str() {
            Some("https") => !host.is_empty(),
            Some("http") => is_here,
            _ => false,
        };
        if !may || uri.query().is_some() || !text.ends_with('/') {
            return Err(BadMollieUrl);
        }
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { parts: uri.into_parts(), prefix })
    }

    /// Whether it is a stand-in's: nobody else is spoken to without TLS.
    pub(super) fn is_here(&self) -> bool {
        self.parts.scheme == Some(http::uri::Scheme::HTTP)
    }

    /// The address of `path`, which begins with a slash and may have a query.
    pub(super) fn uri(&self, path: &str) -> Result<Uri, http::Error> {
        let path: PathAndQuery = format!("{}{path}", self.prefix).parse()?;
        let mut uri = Uri::builder().path_and_query(path);
        if let (Some(scheme), Some(authority)) = (&self.parts.scheme, &self.parts.authority) {
            uri = uri.scheme(scheme.clone()).authority(authority.clone());
        }
        uri.build()
    }
}

impl fmt::Display for MollieBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.parts.scheme.as_ref().map_or("", |scheme| scheme.as_str());
        let authority = self.parts.authority.as_ref().map_or("", |authority| authority.as_str());
        write!(f, "{scheme}://{authority}{}/", self.prefix)
    }
}

/// Whether a text may stand for an id in a path and in the store: `prefix`, and then letters, digits and `_`.
pub(super) fn is_id(text: &str, prefix: &str) -> bool {
    let rest = text.strip_prefix(prefix).unwrap_or_default();
    (1..=MAX_ID).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_address_is_taken_and_plain_http_only_on_this_machine() {
        for good in [MOLLIE_URL, "http://127.0.0.1:9000/", "http://[::1]:9000/", "http://localhost:9000/", "https://proxy.example/mollie/"]
        {
            assert!(MollieBase::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "api.mollie.com/",
            "https://api.mollie.com",
            "http://api.mollie.com/",
            "https://me@api.mollie.com/",
            "https://x/?a=1",
            "ftp://x/",
        ] {
            assert_eq!(MollieBase::parse(bad).err(), Some(BadMollieUrl), "{bad}");
        }
        let base = MollieBase::parse("https://proxy.example/mollie/").unwrap();
        assert_eq!(base.uri("/v2/payments?limit=1").unwrap(), "https://proxy.example/mollie/v2/payments?limit=1");
    }

    #[test]
    fn an_id_cannot_lead_elsewhere() {
        assert!(is_id("tr_5B8cwPMGnU6qLbRvo7qEZo", "tr_"));
        for bad in ["tr_", "tr_a/refunds", "tr_a?x", "re_5B8", "tr_é", "tr_..", &format!("tr_{}", "a".repeat(65))] {
            assert!(!is_id(bad, "tr_"), "{bad}");
        }
    }
}
