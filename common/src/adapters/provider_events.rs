//! How providers prove that an event is theirs, and how it is read. One source for each account that we have with a provider.

use crate::domain::{
    provider_event::{EventAccount, Told},
    time::Timestamp,
};
use http::HeaderMap;
use std::sync::Arc;

/// Why an event is not taken. Nothing of it is kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotGenuine {
    /// A header is missing or cannot be read.
    #[error("the header {0} is missing, or is not text")]
    Header(&'static str),
    /// Not signed by the provider, or too long ago.
    #[error("{0}")]
    Forged(String),
}

/// An account's events.
pub trait EventSource: Send + Sync {
    /// Whose.
    fn account(&self) -> &EventAccount;

    /// Whether the provider has signed just this, just now; its own id of the event. Compares in constant time.
    fn verify(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<String, NotGenuine>;

    /// What a verified event says.
    fn read(&self, body: &str) -> Result<Told, serde_json::Error>;
}

/// All accounts of which this process takes or reads events.
#[derive(Clone, Default)]
pub struct EventSources(Vec<Arc<dyn EventSource>>);

impl EventSources {
    /// With one more.
    pub fn with(mut self, source: Arc<dyn EventSource>) -> Self {
        self.0.push(source);
        self
    }

    /// The source of this provider and account.
    pub fn get(&self, provider: &str, account: &str) -> Option<&dyn EventSource> {
        let is_it = |source: &&Arc<dyn EventSource>| (source.account().provider, source.account().account.as_str()) == (provider, account);
        self.0.iter().find(is_it).map(|source| &**source)
    }
}
