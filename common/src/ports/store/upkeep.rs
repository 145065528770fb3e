//! Checks and upkeep of the whole store.

use super::error::StoreError;
use crate::domain::{scope::Mode, state::Status};
use async_trait::async_trait;
use serde::Serialize;
use std::time::Duration;

/// A broken invariant, in words for an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Breach {
    /// Which rule: `oversold`, `stock_drift`, `seat_twice`, `ledger_unbalanced`, `approved_without_sale`, `hold_without_checkout`, `stuck`.
    pub rule: String,
    /// About what.
    pub subject: String,
    /// What was found.
    pub finding: String,
}

/// Checks and upkeep of the whole store.
#[async_trait]
pub trait UpkeepStore: Send + Sync {
    /// Applies migrations. Safe to run by many at once.
    async fn migrate(&self) -> Result<(), StoreError>;

    /// Whether the store answers, and its schema is the one that we know.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Recomputes every invariant; at most 1,000 breaches. `stuck_after`: how far behind its `due_at` a row may be.
    async fn audit(&self, stuck_after: Duration) -> Result<Vec<Breach>, StoreError>;

    /// Mends what can be mended from the claims and attempts (counters that drifted, rows that lost their `due_at`);
    /// says what it did.
    async fn repair(&self) -> Result<Vec<String>, StoreError>;

    /// Deletes idempotency rows older than `keep`, at most `limit`; says how many.
    async fn forget_answers(&self, keep: Duration, limit: u32) -> Result<u64, StoreError>;

    /// Checkouts by status in a scope or all, for metrics and doctor.
    async fn counts(&self, mode: Option<Mode>) -> Result<Vec<(Status, u64)>, StoreError>;
}
