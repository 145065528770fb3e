//! What providers tell us of their own accord.

use super::{Moved, error::StoreError};
use crate::domain::{
    attempt::Decline,
    checkout::Checkout,
    dispute::ToldDispute,
    id::{CheckoutId, ProviderEventId},
    provider_event::{EventStatus, ProviderEvent},
    scope::Scope,
};
use async_trait::async_trait;
use std::time::Duration;

/// An event that was verified, and is to be kept.
#[derive(Clone)]
pub struct NewProviderEvent {
    /// Ours.
    pub id: ProviderEventId,
    /// Who told it.
    pub provider: String,
    /// Which of our accounts there, in the tenant's place, and its mode. Whose checkout it is about is found out when it is read.
    pub scope: Scope,
    /// The provider's own id.
    pub event: String,
    /// As it came.
    pub body: String,
    /// Why nothing is to be done about it, where its kind says so: it is kept as ignored, and nobody works on it. `None`: it is due.
    pub ignored: Option<&'static str>,
}

/// The most hints of one account that wait to be asked about. One more than that, and whoever sends them is asked to come again.
pub const MAX_PENDING_HINTS: u32 = 500;

/// What became of a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HintKept {
    /// It is kept, and due.
    Kept,
    /// Another one about the same waits, and the provider has not been asked since: one answer does for both.
    Waits,
    /// Too many wait already. Nothing of it is kept.
    TooMany,
}

/// What providers tell us.
#[async_trait]
pub trait ProviderEventStore: Send + Sync {
    /// Makes an event durable, and due unless it is ignored. `false` when the same one (by provider, account and the provider's id) was kept before.
    async fn keep_event(&self, event: NewProviderEvent) -> Result<bool, StoreError>;

    /// Keeps an unsigned notice, of which nothing is believed, as a hint to ask the provider about `about`. Its id is made of `about` and our
    /// own, so that a later change of the same thing is another event; and whatever waits untouched answers for those that came meanwhile: who
    /// works on a hint counts a try ([`Self::put_event_off`]) before the provider is asked.
    async fn keep_hint(&self, hint: NewProviderEvent, about: &str) -> Result<HintKept, StoreError>;

    /// One event.
    async fn provider_event(&self, id: &ProviderEventId) -> Result<Option<ProviderEvent>, StoreError>;

    /// Ends an event that is pending, with a word why. `false` when it has ended before.
    async fn close_event(&self, id: &ProviderEventId, status: EventStatus, note: &str) -> Result<bool, StoreError>;

    /// Puts a pending event off, and counts that. `false` when it has ended before.
    async fn put_event_off(&self, id: &ProviderEventId, by: Duration, note: &str) -> Result<bool, StoreError>;

    /// Takes attempt `n`, a refund that had gone, back into the books: the provider has the money again. `None` when it never went, or that is
    /// known: nothing changes.
    async fn refund_came_back(&self, checkout: &CheckoutId, n: u32, decline: &Decline) -> Result<Option<Moved>, StoreError>;

    /// The checkouts of which a charge has this id at `provider`, at most ten: an id is unique at one account only.
    async fn charged_as(&self, provider: &str, provider_reference: &str) -> Result<Vec<Checkout>, StoreError>;

    /// Takes a provider's word on a dispute of charge `n` into the books. `None`: as much is known, or more; nothing changes.
    async fn dispute_told(&self, checkout: &CheckoutId, n: u32, told: &ToldDispute) -> Result<Option<Moved>, StoreError>;

    /// The oldest events that a person has to look at, at most `limit`.
    async fn events_to_review(&self, limit: u32) -> Result<Vec<ProviderEvent>, StoreError>;

    /// A person has looked: the event is worked on once more, from its first try. `false` when it needs no review.
    async fn retry_event(&self, id: &ProviderEventId) -> Result<bool, StoreError>;

    /// A person has looked: nothing is to be done about it, and `note` says why. `false` when it needs no review.
    async fn dismiss_event(&self, id: &ProviderEventId, note: &str) -> Result<bool, StoreError>;

    /// Deletes events that have ended, need no review and came longer ago than `keep`, at most `limit`; says how many.
    async fn forget_events(&self, keep: Duration, limit: u32) -> Result<u64, StoreError>;
}
