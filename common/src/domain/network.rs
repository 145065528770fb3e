//! Where a request comes from: which proxies are believed when they say so, and how it is kept without keeping the address.

use super::secret::Secret;
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use ipnet::IpNet;
use sha2::Sha256;
use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

/// The most proxies between us and a client that are looked through.
const MAX_HOPS: usize = 32;
/// How much of an IPv6 address is one household's or one machine's, which changes the rest as it likes.
const V6_PREFIX: u32 = 64;
/// How much of the MAC is kept, bytes.
const KEPT_BYTES: usize = 16;
/// What parts this use of the seed from any other one.
const LABEL: &[u8] = b"boxoffice networks 1";

/// The proxies whose word on who they speak for is believed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustedProxies(Vec<IpNet>);

/// Not a list of addresses or networks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be addresses or networks, comma-separated, such as 10.0.0.0/8,192.0.2.7,2001:db8::/32")]
pub struct BadProxies;

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// At this address. It is personal data: it reaches no log.
    At(IpAddr),
    /// Somebody behind a proxy that nobody said was to be believed.
    Hidden,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::At(_) => "At([redacted])",
            Self::Hidden => "Hidden",
        })
    }
}

impl TrustedProxies {
    /// Reads `10.0.0.0/8,192.0.2.7`.
    ///
    /// Errors: [`BadProxies`].
    pub fn parse(text: &str) -> Result<Self, BadProxies> {
        let one = |part: &str| part.parse().or_else(|_| part.parse().map(|address: IpAddr| IpNet::from(plain(address))));
        let nets = text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(|part| one(part).map_err(|_| BadProxies));
        nets.collect::<Result<_, _>>().map(Self)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|net| net.contains(&address))
    }

    /// Whoever asks: `peer`, or the one whom proxies that are believed name in `X-Forwarded-For`, read from the right. Each proxy writes down
    /// whom it heard, so all to the left of the first stranger can be made up.
    pub fn client(&self, peer: IpAddr, forwarded: &[&str]) -> Client {
        let mut client = plain(peer);
        if !self.trusts(client) {
            // A proxy of our own that nobody told us of: all customers would be one.
            let is_proxy = !forwarded.is_empty() && is_private(client);
            return if is_proxy { Client::Hidden } else { Client::At(client) };
        }
        let hops = forwarded.iter().rev().flat_map(|line| line.rsplit(',')).map(str::trim);
        for hop in hops.take(MAX_HOPS) {
            let Some(address) = read_hop(hop) else { break };
            client = plain(address);
            if !self.trusts(client) {
                break;
            }
        }
        Client::At(client)
    }
}

/// An address as proxies write it: also with a port, and in brackets.
fn read_hop(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.split(']').next());
    let with_port = || hop.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    bare.unwrap_or(hop).parse().ok().or_else(with_port)
}

/// IPv4 in IPv6's clothes is IPv4.
fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// What names networks without telling their addresses, for one tenant and mode.
#[derive(Debug, Clone)]
pub struct NetworkKey(Secret<Vec<u8>>);

impl NetworkKey {
    /// Follows from a stored seed.
    pub fn from_seed(seed: &Secret<String>) -> Self {
        Self(Secret::new(mac(seed.reveal().as_bytes(), &[LABEL])))
    }

    /// The same for the same IPv4 address and the same IPv6 /64, and of no use without the key.
    pub fn name(&self, address: IpAddr) -> String {
        let network = match plain(address) {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << (128 - V6_PREFIX))).octets().to_vec(),
        };
        let mut mac = mac(self.0.reveal(), &[&network]);
        mac.truncate(KEPT_BYTES);
        BASE64URL_NOPAD.encode(&mac)
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // A key of any length is taken: there is always one.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &str, peer: &str, forwarded: &[&str]) -> Option<String> {
        match TrustedProxies::parse(trusted).unwrap().client(peer.parse().unwrap(), forwarded) {
            Client::At(address) => Some(address.to_string()),
            Client::Hidden => None,
        }
    }

    #[test]
    fn only_proxies_that_are_trusted_are_believed_and_only_as_far_as_the_first_stranger() {
        let at = |trusted, peer, forwarded: &[&str]| client(trusted, peer, forwarded).unwrap();
        assert_eq!(at("", "198.51.100.7", &["203.0.113.9"]), "198.51.100.7", "anybody can write that");
        assert_eq!(at("10.0.0.0/8", "10.1.1.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(at("10.0.0.0/8", "10.1.1.1", &["1.1.1.1, 203.0.113.9, 10.2.2.2"]), "203.0.113.9");
        assert_eq!(at("10.0.0.0/8", "10.1.1.1", &["1.1.1.1", "203.0.113.9", "10.2.2.2"]), "203.0.113.9");
        assert_eq!(at("10.0.0.0/8", "::ffff:10.1.1.1", &["::ffff:203.0.113.9"]), "203.0.113.9");
        assert_eq!(at("192.0.2.7,2001:db8::/32", "2001:db8::1", &["[2001:db9::5]:443"]), "2001:db9::5");
        assert_eq!(at("192.0.2.7", "192.0.2.7", &["203.0.113.9:5000"]), "203.0.113.9");
        assert_eq!(at("10.0.0.0/8", "10.1.1.1", &["203.0.113.9, unknown"]), "10.1.1.1", "what cannot be read is not looked behind");
        assert_eq!(at("10.0.0.0/8", "10.1.1.1", &[]), "10.1.1.1");
        let endless = vec!["10.3.3.3"; 1_000].join(",");
        assert_eq!(at("10.0.0.0/8", "10.1.1.1", &[&format!("203.0.113.9,{endless}")]), "10.3.3.3");
    }

    #[test]
    fn behind_a_proxy_of_ours_that_nobody_named_clients_are_nobody_rather_than_one() {
        assert_eq!(client("", "127.0.0.1", &["203.0.113.9"]), None);
        assert_eq!(client("", "fd00::1", &["203.0.113.9"]), None);
        assert_eq!(client("", "127.0.0.1", &[]).as_deref(), Some("127.0.0.1"));
    }

    #[test]
    fn what_is_no_list_of_networks_is_refused() {
        for bad in ["proxy.example", "10.0.0.0/33", "10.0.0.0/8;", "10.0.0"] {
            assert_eq!(TrustedProxies::parse(bad), Err(BadProxies), "{bad}");
        }
        assert_eq!(TrustedProxies::parse(" , ").unwrap(), TrustedProxies::default());
    }

    #[test]
    fn a_network_is_named_by_its_key_and_never_shown() {
        let key = |seed: &str| NetworkKey::from_seed(&Secret::new(seed.to_owned()));
        let name = |address: &str| key("seed").name(address.parse().unwrap());
        assert_eq!(name("2001:db8:1:2:3::4"), name("2001:db8:1:2:ffff::1"));
        assert_ne!(name("2001:db8:1:2::1"), name("2001:db8:1:3::1"));
        assert_eq!(name("203.0.113.9"), name("::ffff:203.0.113.9"));
        assert_ne!(name("203.0.113.9"), name("203.0.113.8"));
        assert_ne!(name("203.0.113.9"), key("another").name("203.0.113.9".parse().unwrap()));
        let shown = format!("{:?} {:?}", Client::At("203.0.113.9".parse().unwrap()), key("seed"));
        assert!(!shown.contains("203.0"), "{shown}");
    }
}
