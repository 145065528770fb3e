//! Accounts that tenants have with payment providers, which of them a charge goes to, and how each of them does.

use super::error::StoreError;
use crate::domain::{
    id::ProviderAccountId,
    provider_account::{CircuitState, Hints, ProviderAccount, ProviderKind},
    routing::RoutingRules,
    scope::Scope,
    secret::Secret,
    time::Timestamp,
};
use async_trait::async_trait;
use std::time::Duration;

/// An account as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAccount {
    /// What everybody may see.
    pub account: ProviderAccount,
    /// Its credentials, sealed.
    pub sealed: Secret<String>,
}

/// An account to be kept.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Ours.
    pub id: ProviderAccountId,
    /// Whose.
    pub scope: Scope,
    /// With whom.
    pub provider: ProviderKind,
    /// What the tenant calls it.
    pub name: String,
    /// Whether charges may go there from now on.
    pub enabled: bool,
    /// What may be shown.
    pub hints: Hints,
    /// The credentials, sealed.
    pub sealed: Secret<String>,
}

/// What is to be changed of an account; the rest stays.
#[derive(Debug, Clone, Default)]
pub struct AccountChange {
    /// Another name.
    pub name: Option<String>,
    /// Enabled or disabled.
    pub enabled: Option<bool>,
    /// Other credentials, sealed, and what may be shown of them.
    pub credentials: Option<(Secret<String>, Hints)>,
}

/// What a change came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountChanged {
    /// As it is now.
    Done(Box<StoredAccount>),
    /// No such account in this scope: 404.
    Missing,
    /// Somebody else has changed it since it was read. Nothing was written: read it again.
    Moved,
}

/// Rules as they are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredRules {
    /// What was put last; none where nothing was.
    pub rules: RoutingRules,
    /// Grows with every put; 0 where there was none.
    pub version: i64,
}

/// How a process finds a provider's account to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldHealth {
    /// The account's id, or the provider that has no accounts.
    pub account: String,
    /// Its circuit.
    pub circuit: CircuitState,
    /// What went wrong there last, and how long ago.
    pub last_error: Option<(String, Duration)>,
}

/// How all processes together find an account to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The worst that any of them has told lately.
    pub circuit: CircuitState,
    /// What went wrong last in any of them, and when.
    pub last_error: Option<(String, Timestamp)>,
}

impl Default for Health {
    /// Nobody has complained.
    fn default() -> Self {
        Self { circuit: CircuitState::Closed, last_error: None }
    }
}

/// Accounts with payment providers.
#[async_trait]
pub trait ProviderAccountStore: Send + Sync {
    /// Keeps a new account. `None`: the tenant has [`crate::domain::provider_account::MAX_ACCOUNTS`] in this mode.
    async fn add_account(&self, new: &NewAccount) -> Result<Option<ProviderAccount>, StoreError>;

    /// Changes an account that is still at `version`.
    async fn change_account(
        &self,
        scope: &Scope,
        id: &ProviderAccountId,
        version: i64,
        change: &AccountChange,
    ) -> Result<AccountChanged, StoreError>;

    /// All accounts of a scope, the oldest first.
    async fn accounts(&self, scope: &Scope) -> Result<Vec<StoredAccount>, StoreError>;

    /// An account by its id, whosever it is: the caller holds it against a scope.
    async fn account(&self, id: &ProviderAccountId) -> Result<Option<StoredAccount>, StoreError>;

    /// Everybody's accounts with a provider, those that are enabled before the others, the oldest first, at most `limit`.
    async fn accounts_with(&self, provider: ProviderKind, limit: u32) -> Result<Vec<StoredAccount>, StoreError>;

    /// Everybody's accounts behind `after`, by id, at most `limit`.
    async fn all_accounts(&self, after: Option<&ProviderAccountId>, limit: u32) -> Result<Vec<StoredAccount>, StoreError>;

    /// Where a tenant's charges go.
    async fn routing_rules(&self, scope: &Scope) -> Result<StoredRules, StoreError>;

    /// Replaces them.
    async fn put_routing_rules(&self, scope: &Scope, rules: &RoutingRules) -> Result<StoredRules, StoreError>;

    /// Keeps what `process` tells of accounts, in the place of what it has told of them before.
    async fn tell_health(&self, process: &str, told: &[ToldHealth]) -> Result<(), StoreError>;

    /// How these accounts do, in their order. A circuit counts for as long as `fresh`: who told it may have died since.
    async fn health(&self, accounts: &[&str], fresh: Duration) -> Result<Vec<Health>, StoreError>;

    /// Forgets what was told longer ago than `keep`, at most `limit`; says how many.
    async fn forget_health(&self, keep: Duration, limit: u32) -> Result<u64, StoreError>;
}
