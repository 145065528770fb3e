//! Where a tenant's charges may go, as it stands now.

use super::store::StoreError;
use crate::domain::{
    routing::{self, Routing},
    scope::Scope,
};
use async_trait::async_trait;
use std::sync::Arc;

/// Who knows. May be a few seconds old.
#[async_trait]
pub trait Routes: Send + Sync {
    /// The accounts and the rules of a tenant in one mode.
    async fn routing(&self, scope: &Scope) -> Result<Arc<Routing>, StoreError>;
}

/// Everything goes to the sandbox, with test keys; with live ones nothing goes anywhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct SandboxOnly;

#[async_trait]
impl Routes for SandboxOnly {
    async fn routing(&self, scope: &Scope) -> Result<Arc<Routing>, StoreError> {
        Ok(if scope.is_live() { routing::nowhere() } else { routing::to_the_sandbox() })
    }
}
