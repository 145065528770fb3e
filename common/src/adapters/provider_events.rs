//! How providers prove that an event is theirs, and how it is read. One source for each account that we have with a provider.

use crate::domain::{
    provider_event::{EventAccount, Told},
    time::Timestamp,
};
use async_trait::async_trait;
use http::HeaderMap;
use std::{sync::Arc, time::Duration};

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

/// Why a provider that was asked has said nothing that could be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// It did not answer, or not with a word on this: it is asked again.
    #[error("the provider could not be asked: {cause}")]
    Later {
        /// For people.
        cause: String,
        /// How long the provider asks us to wait.
        retry_after: Option<Duration>,
    },
    /// It knows nothing of the kind in this account.
    #[error("the provider knows of no such thing")]
    Unknown,
    /// It says something that we cannot count.
    #[error("the provider's answer cannot be read")]
    Unreadable,
}

/// An account's events.
#[async_trait]
pub trait EventSource: Send + Sync {
    /// Whose.
    fn account(&self) -> &EventAccount;

    /// Whether the provider has signed just this, just now; its own id of the event. Compares in constant time.
    fn verify(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<String, NotGenuine>;

    /// What an unsigned notice asks to look at, where the provider sends such: anybody may have sent it. It is kept as a hint to ask the
    /// provider, within bounds, and proves nothing.
    fn hint(&self, headers: &HeaderMap, body: &[u8]) -> Option<String> {
        let _ = (headers, body);
        None
    }

    /// What an event says that was kept.
    fn read(&self, body: &str) -> Result<Told, serde_json::Error>;

    /// What the provider itself says of what [`Told::Ask`] names, with our key, within its own timeout.
    async fn ask(&self, about: &str) -> Result<Vec<Told>, AskError> {
        let _ = about;
        Err(AskError::Unknown)
    }
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
    pub fn get(&self, provider: &str, account: &str) -> Option<&Arc<dyn EventSource>> {
        let is_it = |source: &&Arc<dyn EventSource>| (source.account().provider, source.account().account.as_str()) == (provider, account);
        self.0.iter().find(is_it)
    }
}
