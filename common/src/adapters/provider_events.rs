//! How providers prove that an event is theirs, and how it is read. One source for each account that we have with a provider.

use crate::domain::{
    id::ProviderEventId,
    provider_event::{EventAccount, EventStatus, OF_NO_USE, Told},
    time::Timestamp,
};
use async_trait::async_trait;
use http::HeaderMap;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

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

/// Why nothing is to be done about an event, where its kind alone says so, whatever we know of what it is about. What cannot be read is worked on like
/// any other: so is what makes the reading panic, which must not keep an event of a provider's from being kept.
pub fn of_no_use(source: &dyn EventSource, body: &str) -> Option<&'static str> {
    let told = catch_unwind(AssertUnwindSafe(|| source.read(body)));
    matches!(told, Ok(Ok(Told::Other))).then_some(OF_NO_USE)
}

/// Says in the log and the metrics what an event came to.
pub fn note_end(event: &ProviderEventId, provider: &str, account: &str, status: EventStatus, note: &str) {
    if status == EventStatus::NeedsReview {
        tracing::warn!(%event, provider, account, note, "what the provider told changed nothing; somebody has to look");
    } else {
        tracing::info!(%event, provider, account, status = status.as_str(), note, "told by the provider");
    }
    metrics::counter!("boxoffice_provider_events_total", "provider" => provider.to_owned(), "status" => status.as_str()).increment(1);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::scope::Mode;

    /// Says what its body asks for.
    struct Teller(EventAccount);

    impl EventSource for Teller {
        fn account(&self) -> &EventAccount {
            &self.0
        }

        fn verify(&self, _: &HeaderMap, _: &[u8], _: Timestamp) -> Result<String, NotGenuine> {
            Ok(String::new())
        }

        fn read(&self, body: &str) -> Result<Told, serde_json::Error> {
            assert_ne!(body, "a bug");
            serde_json::from_str::<Option<String>>(body).map(|about| about.map_or(Told::Other, Told::Ask))
        }
    }

    #[test]
    fn only_what_can_be_read_and_is_of_no_kind_of_ours_is_of_no_use() {
        let teller = Teller(EventAccount { provider: "sandbox", account: "test".to_owned(), mode: Mode::Test, tenant: None });
        let of_no_use = |body| of_no_use(&teller, body);
        assert_eq!((of_no_use("null"), of_no_use("\"tr_1\"")), (Some(OF_NO_USE), None));
        assert_eq!((of_no_use("{"), of_no_use("a bug")), (None, None), "whoever works on it counts the try");
    }
}
