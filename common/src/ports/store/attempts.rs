//! Attempts as they are gone through by time, whichever checkouts they are of.

use super::error::StoreError;
use super::paging::{Page, PageRequest};
use crate::domain::{
    attempt::Attempt,
    id::{CheckoutId, ProviderAccountId},
    scope::Scope,
    time::Timestamp,
};
use async_trait::async_trait;

/// Which attempts are gone through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoneAt {
    /// As it stands in attempts.
    pub provider: String,
    /// Which account there.
    pub account: ProviderAccountId,
    /// Whose.
    pub scope: Scope,
    /// Recorded then or later.
    pub since: Timestamp,
    /// Recorded before.
    pub until: Timestamp,
}

/// An attempt that the provider did, as far as we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoneAttempt {
    /// Of which checkout.
    pub checkout: CheckoutId,
    /// The attempt.
    pub attempt: Attempt,
}

/// Attempts by time.
#[async_trait]
pub trait AttemptStore: Send + Sync {
    /// A page of the charges and refunds that an account has done, the oldest first. What was promised, and taken by a capture, is a charge.
    async fn done_at(&self, of: &DoneAt, page: &PageRequest) -> Result<Page<DoneAttempt>, StoreError>;
}
