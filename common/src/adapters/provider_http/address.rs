//! Where a provider's API is.

use http::{Uri, uri::PathAndQuery, uri::Scheme};
use std::{fmt, net::IpAddr};

/// Why a text is no address of a provider's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not https:// with a host and a final slash, such as https://api.stripe.com/; http:// is for a stand-in on this machine only")]
pub struct BadAddress;

/// The address of a provider's API: money and keys go to no other machine without TLS.
#[derive(Debug)]
pub struct ApiAddress {
    parts: http::uri::Parts,
    prefix: String,
}

impl ApiAddress {
    /// As `https://api.stripe.com/`; plain HTTP only on this machine. It ends in `/`.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        let uri: Uri = text.parse().map_err(|_| BadAddress)?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or(BadAddress)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        let may = match uri.scheme_str() {
            Some("https") => !host.is_empty(),
            Some("http") => is_here,
            _ => false,
        };
        if !may || uri.query().is_some() || !text.ends_with('/') {
            return Err(BadAddress);
        }
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { parts: uri.into_parts(), prefix })
    }

    /// Whether it is a stand-in's: nobody else is spoken to without TLS.
    pub fn is_here(&self) -> bool {
        self.parts.scheme == Some(Scheme::HTTP)
    }

    /// The address of `path`, which begins with a slash and may have a query.
    pub(crate) fn uri(&self, path: &str) -> Result<Uri, http::Error> {
        let path: PathAndQuery = format!("{}{path}", self.prefix).parse()?;
        let mut uri = Uri::builder().path_and_query(path);
        if let (Some(scheme), Some(authority)) = (&self.parts.scheme, &self.parts.authority) {
            uri = uri.scheme(scheme.clone()).authority(authority.clone());
        }
        uri.build()
    }
}

impl fmt::Display for ApiAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.parts.scheme.as_ref().map_or("", |scheme| scheme.as_str());
        let authority = self.parts.authority.as_ref().map_or("", |authority| authority.as_str());
        write!(f, "{scheme}://{authority}{}/", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::{mollie::MOLLIE_URL, stripe::STRIPE_URL};

    #[test]
    fn only_a_whole_address_is_taken_and_plain_http_only_on_this_machine() {
        let here = ["http://127.0.0.1:9000/", "http://[::1]:9000/", "http://localhost:9000/"];
        for address in here {
            assert!(ApiAddress::parse(address).unwrap().is_here(), "{address}");
        }
        for elsewhere in [STRIPE_URL, MOLLIE_URL, "https://proxy.example/stripe/", "https://127.0.0.1/"] {
            assert!(!ApiAddress::parse(elsewhere).unwrap().is_here(), "{elsewhere}");
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
            assert_eq!(ApiAddress::parse(bad).err(), Some(BadAddress), "{bad}");
        }
    }

    #[test]
    fn paths_are_put_behind_what_stands_in_the_address() {
        let proxy = ApiAddress::parse("https://proxy.example/mollie/").unwrap();
        assert_eq!(proxy.uri("/v2/payments?limit=1").unwrap(), "https://proxy.example/mollie/v2/payments?limit=1");
        assert_eq!(ApiAddress::parse(STRIPE_URL).unwrap().to_string(), STRIPE_URL);
    }
}
