//! A tenant's settings.

use super::error::StoreError;
use crate::domain::{scope::Scope, settings::Settings};
use async_trait::async_trait;

/// Settings as they are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredSettings {
    /// What was put last; the defaults where nothing was.
    pub settings: Settings,
    /// Grows with every put; 0 where there was none.
    pub version: i64,
}

/// A tenant's settings.
#[async_trait]
pub trait SettingsStore: Send + Sync {
    /// What is in force.
    async fn settings(&self, scope: &Scope) -> Result<StoredSettings, StoreError>;

    /// Replaces them.
    async fn put_settings(&self, scope: &Scope, settings: &Settings) -> Result<StoredSettings, StoreError>;
}
