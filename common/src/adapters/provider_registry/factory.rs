//! What makes a provider of an account and its credentials.

use crate::{
    adapters::provider_events::EventSource,
    domain::provider_account::{Credentials, ProviderAccount, ProviderKind},
    ports::{provider::PaymentProvider, provider_book::ProviderBook, vault::CardVault},
};
use async_trait::async_trait;
use std::{collections::BTreeMap, sync::Arc};

/// An account could not be made to work. The words must not quote its credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotBuilt(pub String);

/// What the provider says against an account, and how to mend it. Neither quotes credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct CheckFailed {
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub mend: String,
}

/// The provider did not say whose the credentials are: it does not take them, or was not reached. The words quote none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotIdentified(pub String);

/// An account with its provider: how it is charged, how its events are read, and whether it works.
#[async_trait]
pub trait AccountAdapter: Send + Sync {
    /// Charges it, without a guard.
    fn provider(&self) -> Arc<dyn PaymentProvider>;

    /// Verifies and reads its events.
    fn events(&self) -> Arc<dyn EventSource>;

    /// Its book, as the provider keeps it, if it can be read.
    fn book(&self) -> Option<Arc<dyn ProviderBook>> {
        None
    }

    /// Where cards are kept, if the provider does that.
    fn vault(&self) -> Option<Arc<dyn CardVault>> {
        None
    }

    /// The provider's own id of the account that the credentials are of. `None`: this provider has no such thing.
    async fn own_id(&self) -> Result<Option<String>, NotIdentified> {
        Ok(None)
    }

    /// Asks the provider something that changes nothing, within its own timeout; what it said, in a few words. For `boxoffice doctor`.
    async fn check(&self) -> Result<String, CheckFailed> {
        Ok("its credentials open; the provider was not asked".to_owned())
    }
}

/// Makes adapters of one provider's accounts.
pub trait ProviderFactory: Send + Sync {
    /// Whose accounts.
    fn kind(&self) -> ProviderKind;

    /// Makes one. Asks nobody: that it works is found out when it is used.
    fn build(&self, account: &ProviderAccount, credentials: &Credentials) -> Result<Arc<dyn AccountAdapter>, NotBuilt>;
}

/// The providers that this process knows how to talk to.
#[derive(Clone, Default)]
pub struct ProviderFactories(BTreeMap<ProviderKind, Arc<dyn ProviderFactory>>);

impl ProviderFactories {
    /// With one more; in the place of another of the same provider.
    pub fn with(mut self, factory: Arc<dyn ProviderFactory>) -> Self {
        self.0.insert(factory.kind(), factory);
        self
    }

    /// The adapter of an account.
    pub fn build(&self, account: &ProviderAccount, credentials: &Credentials) -> Result<Arc<dyn AccountAdapter>, NotBuilt> {
        match self.0.get(&account.provider) {
            Some(factory) => factory.build(account, credentials),
            None => Err(NotBuilt(format!("this process cannot talk to {}", account.provider.as_str()))),
        }
    }
}
