//! API keys.

use super::error::StoreError;
use crate::domain::{id::KeyId, scope::Scope, time::Timestamp};
use async_trait::async_trait;

/// An API key as it is kept: hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Public id.
    pub id: KeyId,
    /// Whose.
    pub scope: Scope,
    /// `checkouts:write`, `checkouts:read`, `catalog:write`, `admin`.
    pub scopes: Vec<String>,
    /// The first characters, to tell keys apart.
    pub hint: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// API keys.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// Keeps a key by its SHA-256 (hex). The same hash again changes nothing.
    async fn add_key(&self, key: &ApiKey, hash: &str) -> Result<(), StoreError>;

    /// The live key with this hash.
    async fn key_by_hash(&self, hash: &str) -> Result<Option<ApiKey>, StoreError>;

    /// All keys, of one tenant when given (at most 1,000).
    async fn keys(&self, tenant: Option<&str>) -> Result<Vec<ApiKey>, StoreError>;

    /// Revokes. `false` when there is no such live key.
    async fn revoke_key(&self, id: &KeyId) -> Result<bool, StoreError>;
}
