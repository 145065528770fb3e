//! A provider's own book, page by page from the newest on: what `reconcile` holds against our attempts. Reading changes nothing.

use crate::domain::{provider_book::BookRow, time::Timestamp};
use async_trait::async_trait;
use std::time::Duration;

/// A page of the book, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookPage {
    /// As many as the provider's pages have, none older than asked for.
    pub rows: Vec<BookRow>,
    /// What to ask for the next page with; `None` on the last one.
    pub next: Option<String>,
}

/// Why the book could not be read. It may be asked for again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the provider's book could not be read: {cause}")]
pub struct BookError {
    /// For people.
    pub cause: String,
    /// How long the provider asks us to wait.
    pub retry_after: Option<Duration>,
}

/// The book of one account. Each call ends within the account's own timeout.
#[async_trait]
pub trait ProviderBook: Send + Sync {
    /// Payments that were made at `since` or later; `after` is what the page before told.
    async fn payments(&self, since: Timestamp, after: Option<&str>) -> Result<BookPage, BookError>;

    /// Refunds that were made at `since` or later; `after` is what the page before told.
    async fn refunds(&self, since: Timestamp, after: Option<&str>) -> Result<BookPage, BookError>;

    /// One payment by the provider's id. `None`: the book has no such payment.
    async fn payment(&self, id: &str) -> Result<Option<BookRow>, BookError>;

    /// One refund of a payment by the provider's id. `None`: the book has no such refund.
    async fn refund(&self, payment: &str, id: &str) -> Result<Option<BookRow>, BookError>;
}
