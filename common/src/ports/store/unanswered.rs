//! Requests that come without an idempotency key, as those of other people's APIs do.

use super::error::StoreError;
use crate::domain::scope::Scope;
use async_trait::async_trait;
use std::time::Duration;

/// A request that makes something, and names no key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Unkeyed {
    /// Whose.
    pub scope: Scope,
    /// Method and path, with their parameters.
    pub route: String,
    /// SHA-256 of the canonical body, hex.
    pub body_hash: String,
}

/// What has been asked for without a key, and not been answered yet.
#[async_trait]
pub trait UnansweredStore: Send + Sync {
    /// The key that such a request has: that of an earlier one like it, not older than `within`, whose answer has not gone out; or else `fresh`.
    async fn join_unanswered(&self, request: &Unkeyed, fresh: &str, within: Duration) -> Result<String, StoreError>;

    /// The answer under `key` has gone out: from now on the same request is another one. Nothing where it has another key by now.
    async fn was_answered(&self, request: &Unkeyed, key: &str) -> Result<(), StoreError>;

    /// Forgets those that were asked for longer ago than `keep`, at most `limit`; answers how many.
    async fn forget_unanswered(&self, keep: Duration, limit: u32) -> Result<u64, StoreError>;
}
