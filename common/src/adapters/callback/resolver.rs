//! Names to addresses, filtered. It sits inside the connector, so that what was checked is what is connected to: a name
//! that answers with a public address when asked first and with a private one later (rebinding) gains nothing.

use super::address_filter::{AddressFilter, Forbidden};
use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Semaphore;

/// How long a name may take to resolve.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// How many names are resolved at once. A look-up holds a thread until the system's resolver gives up on it, so names that
/// never answer must not take all threads.
const MAX_LOOKUPS: usize = 32;

/// Why a name leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// All its addresses are refused.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// No such name, or no answer from the name servers.
    #[error("the host name does not resolve")]
    NotFound,
    /// No answer in time.
    #[error("the host name did not resolve in time")]
    TimedOut,
}

/// Asks for the addresses of a name.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// All addresses of `host`.
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
#[derive(Debug)]
pub struct SystemLookup {
    permits: Arc<Semaphore>,
}

impl Default for SystemLookup {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(MAX_LOOKUPS)) }
    }
}

#[async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(io::Error::other)?;
        let host = host.to_owned();
        // A task of its own: when the caller stops waiting, the thread is still busy, and the permit must count it.
        let task = tokio::spawn(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await.map(|addresses| addresses.map(|address| address.ip()).collect());
            drop(permit);
            found
        });
        task.await.map_err(io::Error::other)?
    }
}

/// The connector's resolver.
#[derive(Clone)]
pub struct FilteringResolver {
    lookup: Arc<dyn Lookup>,
    filter: Arc<AddressFilter>,
    timeout: Duration,
}

impl FilteringResolver {
    /// Asks `lookup`, and gives on what `filter` lets through.
    pub fn new(lookup: Arc<dyn Lookup>, filter: AddressFilter, timeout: Duration) -> Self {
        Self { lookup, filter: Arc::new(filter), timeout }
    }

    /// The addresses of `host` that may be connected to; never an empty list.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let found = tokio::time::timeout(self.timeout, self.lookup.lookup(host)).await.map_err(|_| ResolveError::TimedOut)?;
        let found = found.map_err(|_| ResolveError::NotFound)?;
        let mut refused = None;
        let passed: Vec<IpAddr> = found
            .into_iter()
            .filter(|&address| match self.filter.check(address) {
                Ok(()) => true,
                Err(forbidden) => {
                    refused.get_or_insert(forbidden);
                    false
                }
            })
            .collect();
        match refused {
            _ if !passed.is_empty() => Ok(passed),
            Some(forbidden) => Err(forbidden.into()),
            None => Err(ResolveError::NotFound),
        }
    }
}

impl Resolve for FilteringResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.addresses(name.as_str()).await?;
            // Port 0: the connector puts in the URL's.
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::{collections::VecDeque, sync::Mutex};

    /// Answers from a script, one answer a look-up; then as the last time.
    pub(in crate::adapters::callback) struct Scripted(Mutex<VecDeque<Vec<IpAddr>>>);

    impl Scripted {
        pub(in crate::adapters::callback) fn new(answers: &[&[&str]]) -> Arc<Self> {
            let parse = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
            Arc::new(Self(Mutex::new(answers.iter().map(parse).collect())))
        }
    }

    #[async_trait]
    impl Lookup for Scripted {
        async fn lookup(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
            let mut script = self.0.lock().unwrap();
            let answer = if script.len() > 1 { script.pop_front() } else { script.front().cloned() };
            answer.ok_or_else(|| io::Error::other("no such name"))
        }
    }

    struct Never;

    #[async_trait]
    impl Lookup for Never {
        async fn lookup(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
            std::future::pending().await
        }
    }

    fn strict(lookup: Arc<dyn Lookup>) -> FilteringResolver {
        FilteringResolver::new(lookup, AddressFilter::public_only(), Duration::from_secs(5))
    }

    #[tokio::test]
    async fn of_mixed_answers_only_the_public_addresses_are_left() {
        let resolver = strict(Scripted::new(&[&["10.0.0.1", "8.8.8.8", "::1", "2606:4700::1111"]]));
        let passed: Vec<String> = resolver.addresses("shop.example").await.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(passed, ["8.8.8.8", "2606:4700::1111"]);
    }

    #[tokio::test]
    async fn a_name_that_turns_private_is_refused_from_then_on() {
        let resolver = strict(Scripted::new(&[&["8.8.8.8"], &["127.0.0.1"]]));
        assert!(resolver.resolve("shop.example".parse().unwrap()).await.is_ok());
        let refused = resolver.resolve("shop.example".parse().unwrap()).await.err().unwrap();
        assert_eq!(refused.downcast_ref(), Some(&ResolveError::Forbidden(Forbidden { range: "loopback" })));
    }

    #[tokio::test]
    async fn names_that_do_not_resolve_are_told_apart() {
        assert_eq!(strict(Scripted::new(&[])).addresses("shop.example").await, Err(ResolveError::NotFound));
        assert_eq!(strict(Scripted::new(&[&[]])).addresses("shop.example").await, Err(ResolveError::NotFound));
        let hasty = FilteringResolver::new(Arc::new(Never), AddressFilter::public_only(), Duration::from_millis(20));
        assert_eq!(hasty.addresses("shop.example").await, Err(ResolveError::TimedOut));
    }

    #[tokio::test]
    async fn the_systems_own_name_for_loopback_is_refused() {
        let refused = strict(Arc::new(SystemLookup::default())).addresses("localhost").await;
        assert_eq!(refused, Err(ResolveError::Forbidden(Forbidden { range: "loopback" })));
    }
}
