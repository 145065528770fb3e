//! What an address for callbacks must look like: `https`, a public host, a sane port, nothing hidden.

use super::address_filter::{AddressFilter, Forbidden};
use std::{fmt, net::IpAddr};
use url::{Host, Url};

/// The longest address, in bytes.
pub const MAX_URL_BYTES: usize = 2_048;

/// Why an address is refused. The text is for whoever registered it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// More than [`MAX_URL_BYTES`].
    #[error("is longer than {MAX_URL_BYTES} bytes")]
    TooLong,
    /// Not a URL, or written so that parsers disagree on it.
    #[error("is not an absolute URL of visible ASCII or letters, without blanks and backslashes")]
    Malformed,
    /// Neither `https` nor, where private addresses are allowed, `http`.
    #[error("must begin with https://")]
    Scheme,
    /// `user:password@`.
    #[error("must not hold a user name or password")]
    Credentials,
    /// `#…`.
    #[error("must not have a fragment: it would never be sent")]
    Fragment,
    /// A port of something that is not a web server.
    #[error("names a port that callbacks are not sent to")]
    Port,
    /// `localhost`, `*.internal`, a name without a dot.
    #[error("names a host that is not on the public internet")]
    LocalName,
    /// An IP address that is refused.
    #[error(transparent)]
    Address(#[from] Forbidden),
}

/// An address that may be called, as far as can be told without resolving its name; the resolver tells the rest.
/// `Debug` shows the host only: paths and queries carry tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// Checks `text`. `allow_private` is the operator's word that callbacks may stay in their own network: then `http`,
    /// any port and any host pass.
    pub fn parse(text: &str, allow_private: bool) -> Result<Self, BadUrl> {
        if text.len() > MAX_URL_BYTES {
            return Err(BadUrl::TooLong);
        }
        // The parser would strip or turn these in silence; another one on the way might read them otherwise.
        if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err(BadUrl::Malformed);
        }
        let url = Url::parse(text).map_err(|_| BadUrl::Malformed)?;
        match url.scheme() {
            "https" => {}
            "http" if allow_private => {}
            _ => return Err(BadUrl::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadUrl::Credentials);
        }
        if url.fragment().is_some() {
            return Err(BadUrl::Fragment);
        }
        // The parser spells it out (percent-encoding, Punycode), which can make it longer.
        if url.as_str().len() > MAX_URL_BYTES {
            return Err(BadUrl::TooLong);
        }
        let url = Self(url);
        if !allow_private {
            url.check_port()?;
            url.check_host()?;
        }
        Ok(url)
    }

    /// The address, normalised.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The address in parts.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// The host when it is an IP address, however it was spelled: such a host is never resolved.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Ipv4(v4) => Some(v4.into()),
            Host::Ipv6(v6) => Some(v6.into()),
            Host::Domain(_) => None,
        }
    }

    fn check_port(&self) -> Result<(), BadUrl> {
        let port = self.0.port_or_known_default().unwrap_or(0);
        let is_web = matches!(port, 80 | 443) || (port >= 1024 && !INTERNAL_PORTS.contains(&port));
        if is_web { Ok(()) } else { Err(BadUrl::Port) }
    }

    fn check_host(&self) -> Result<(), BadUrl> {
        if let Some(address) = self.ip() {
            return Ok(AddressFilter::public_only().check(address)?);
        }
        let name = self.0.host_str().unwrap_or("").trim_end_matches('.');
        let local = LOCAL_DOMAINS.iter().any(|domain| name == *domain || name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')));
        if local || !name.contains('.') { Err(BadUrl::LocalName) } else { Ok(()) }
    }
}

impl fmt::Debug for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/…", self.0.scheme(), self.0.host_str().unwrap_or(""))
    }
}

/// Names that only mean something inside a network (RFC 6761, 6762, 8375, 9476, and ICANN's `internal`).
const LOCAL_DOMAINS: &[&str] =
    &["localhost", "localhost.localdomain", "localdomain", "local", "internal", "intranet", "home.arpa", "alt", "test", "invalid", "onion"];

/// Ports from 1024 on where something else than a web server listens by default: databases, brokers, caches, container and
/// cluster control, remote desktops, proxies.
const INTERNAL_PORTS: &[u16] = &[
    1080, 1433, 1434, 1521, 1723, 1883, 2049, 2181, 2375, 2376, 2377, 2379, 2380, 3128, 3260, 3306, 3389, 4369, 5432, 5601, 5671, 5672,
    5900, 5984, 5985, 5986, 6000, 6379, 6443, 6667, 7000, 7001, 8086, 8125, 8300, 8301, 8500, 8600, 9042, 9092, 9100, 9200, 9300, 10250,
    10255, 11211, 15672, 25672, 26257, 26379, 27017, 27018, 27019, 50070, 61616,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Option<BadUrl> {
        PublicUrl::parse(text, false).err()
    }

    #[test]
    fn addresses_of_shops_pass() {
        for good in [
            "https://shop.example/hooks",
            "https://shop.example:8443/hooks?token=abc",
            "https://shop.example:443",
            "https://shop.example:80/",
            "https://SHOP.example./hooks",
            "https://bücher.example/hooks",
            "https://8.8.8.8/hooks",
            "https://[2606:4700::1111]/hooks",
            "https://notlocalhost.example/",
            "https://localhost.example/",
        ] {
            assert_eq!(refusal(good), None, "{good}");
        }
        assert_eq!(PublicUrl::parse("https://SHOP.example", false).unwrap().as_str(), "https://shop.example/");
    }

    #[test]
    fn every_spelling_of_a_private_address_is_seen_through() {
        for (spelling, range) in [
            ("https://127.0.0.1/", "loopback"),
            ("https://127.0.0.1./", "loopback"),
            ("https://127.1/", "loopback"),
            ("https://127.0.1/", "loopback"),
            ("https://2130706433/", "loopback"),
            ("https://017700000001/", "loopback"),
            ("https://0177.0.0.1/", "loopback"),
            ("https://0x7f000001/", "loopback"),
            ("https://0x7f.0.0.1/", "loopback"),
            ("https://0X7F.1/", "loopback"),
            ("https://①②⑦.⓪.⓪.①/", "loopback"),
            ("https://127。0。0。1/", "loopback"),
            ("https://%31%32%37.0.0.1/", "loopback"),
            ("https://0/", "this network"),
            ("https://0xa9fea9fe/", "cloud metadata"),
            ("https://2852039166/", "cloud metadata"),
            ("https://[::1]/", "loopback"),
            ("https://[0:0:0:0:0:0:0:1]/", "loopback"),
            ("https://[::ffff:127.0.0.1]/", "loopback"),
            ("https://[::ffff:7f00:1]/", "loopback"),
            ("https://[::127.0.0.1]/", "IPv4-compatible"),
            ("https://[64:ff9b::a00:1]/", "private"),
            ("https://[2002:7f00:1::]/", "6to4"),
            ("https://[fd00:ec2::254]/", "unique local"),
            ("https://10.0.0.1:8443/", "private"),
        ] {
            assert_eq!(refusal(spelling), Some(BadUrl::Address(Forbidden { range })), "{spelling}");
        }
    }

    #[test]
    fn what_is_no_public_address_is_refused() {
        for (bad, why) in [
            ("", BadUrl::Malformed),
            ("shop.example/hooks", BadUrl::Malformed),
            ("/hooks", BadUrl::Malformed),
            ("https://", BadUrl::Malformed),
            ("https://shop example/", BadUrl::Malformed),
            (" https://shop.example/", BadUrl::Malformed),
            ("https://shop.example/\n", BadUrl::Malformed),
            ("https://sho\tp.example/", BadUrl::Malformed),
            ("https:\\\\shop.example\\", BadUrl::Malformed),
            ("https://shop.example\\@127.0.0.1/", BadUrl::Malformed),
            ("https://256.0.0.1/", BadUrl::Malformed),
            ("https://[fe80::1%25eth0]/", BadUrl::Malformed),
            ("https://shop.example:99999/", BadUrl::Malformed),
            ("http://shop.example/", BadUrl::Scheme),
            ("HTTP://shop.example/", BadUrl::Scheme),
            ("ftp://shop.example/", BadUrl::Scheme),
            ("file:///etc/passwd", BadUrl::Scheme),
            ("gopher://shop.example/", BadUrl::Scheme),
            ("javascript:alert(1)", BadUrl::Scheme),
            ("unix:/run/docker.sock", BadUrl::Scheme),
            ("https://user@shop.example/", BadUrl::Credentials),
            ("https://user:pass@shop.example/", BadUrl::Credentials),
            ("https://:pass@shop.example/", BadUrl::Credentials),
            ("https://shop.example@127.0.0.1/", BadUrl::Credentials),
            ("https://shop.example/#hooks", BadUrl::Fragment),
            ("https://shop.example:0/", BadUrl::Port),
            ("https://shop.example:22/", BadUrl::Port),
            ("https://shop.example:25/", BadUrl::Port),
            ("https://shop.example:6379/", BadUrl::Port),
            ("https://shop.example:5432/", BadUrl::Port),
            ("https://localhost/", BadUrl::LocalName),
            ("https://LOCALHOST./", BadUrl::LocalName),
            ("https://hooks.localhost/", BadUrl::LocalName),
            ("https://localhost.localdomain/", BadUrl::LocalName),
            ("https://printer.local/", BadUrl::LocalName),
            ("https://metadata.google.internal/", BadUrl::LocalName),
            ("https://intranet/", BadUrl::LocalName),
            ("https://redis/", BadUrl::LocalName),
        ] {
            assert_eq!(refusal(bad), Some(why), "{bad}");
        }
        assert_eq!(refusal(&format!("https://shop.example/{}", "x".repeat(2048))), Some(BadUrl::TooLong));
        assert_eq!(refusal(&format!("https://shop.example/{}", "é".repeat(600))), Some(BadUrl::TooLong));
    }

    #[test]
    fn an_operator_who_allows_private_addresses_gets_http_and_any_host_and_port() {
        for good in ["http://127.0.0.1:1234/hooks", "http://receiver:80/", "https://localhost:6379/"] {
            assert!(PublicUrl::parse(good, true).is_ok(), "{good}");
        }
        assert_eq!(PublicUrl::parse("ftp://127.0.0.1/", true), Err(BadUrl::Scheme));
        assert_eq!(PublicUrl::parse("http://u:p@127.0.0.1/", true), Err(BadUrl::Credentials));
    }

    #[test]
    fn a_dump_shows_the_host_only() {
        let url = PublicUrl::parse("https://shop.example/hooks?token=hush", false).unwrap();
        assert_eq!(format!("{url:?}"), "https://shop.example/…");
    }
}
