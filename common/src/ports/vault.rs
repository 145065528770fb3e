//! Keeping cards with a provider, so that they can be charged again.

use crate::domain::{attempt::Decline, payment_method::CardFace, secret::Secret};
use async_trait::async_trait;
use std::time::Duration;

/// A card that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCard {
    /// What to charge it with, in the provider's adapter's own form.
    pub token: Secret<String>,
    /// What the customer knows it by; nothing when it is no card.
    pub face: Option<CardFace>,
}

/// Why a card was not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// A definite no: for the customer.
    #[error("{}", .0.message)]
    Declined(Decline),
    /// Nobody knows, or it was not sent. The same key may be used again: a card is kept once.
    #[error("the provider did not say whether it keeps the card: {cause}")]
    TryAgain {
        /// For people who run this.
        cause: String,
        /// How long the provider asks us to wait.
        retry_after: Option<Duration>,
    },
}

/// Where a provider keeps the cards of one account. Ends within its own timeout.
#[async_trait]
pub trait CardVault: Send + Sync {
    /// Keeps the card of `token`. `label` is what the provider knows the customer by, an id of ours; `key` is this request's, at most 35
    /// characters: asked again under it, the same is answered, and nothing is kept twice.
    async fn keep(&self, key: &str, label: &str, token: &Secret<String>) -> Result<KeptCard, VaultError>;
}
