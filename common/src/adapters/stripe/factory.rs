//! Stripe's accounts, as the registry makes and looks after them.

use super::{STRIPE, StripeEvents, StripeProvider, StripeTransport};
use crate::{
    adapters::{
        provider_events::EventSource,
        provider_registry::{AccountAdapter, CheckFailed, NotBuilt, NotIdentified, ProviderFactory},
    },
    domain::provider_account::{Credentials, ProviderAccount, ProviderKind},
    ports::{provider::PaymentProvider, provider_book::ProviderBook, vault::CardVault},
};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};

/// Makes adapters of accounts with Stripe, all over one pool of connections.
pub struct StripeFactory {
    transport: Arc<StripeTransport>,
    timeout: Duration,
}

impl StripeFactory {
    /// `timeout` bounds all calls that one request takes.
    pub const fn new(transport: Arc<StripeTransport>, timeout: Duration) -> Self {
        Self { transport, timeout }
    }
}

impl ProviderFactory for StripeFactory {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Stripe
    }

    fn build(&self, account: &ProviderAccount, credentials: &Credentials) -> Result<Arc<dyn AccountAdapter>, NotBuilt> {
        let Credentials::Stripe(credentials) = credentials else { return Err(NotBuilt(format!("its credentials are none of {STRIPE}'s"))) };
        let (id, mode) = (account.id.as_str(), account.scope.mode());
        let provider = StripeProvider::new(id, mode, &credentials.secret_key, &self.transport, self.timeout);
        let provider = provider.map_err(|error| NotBuilt(error.to_string()))?.with_publishable_key(credentials.publishable_key.clone());
        let tenant = account.scope.tenant().to_owned();
        let events = StripeEvents::new(id.to_owned(), tenant, mode, credentials.webhook_secrets.clone());
        Ok(Arc::new(StripeAccount { provider: Arc::new(provider), events: Arc::new(events) }))
    }
}

/// One account.
struct StripeAccount {
    provider: Arc<StripeProvider>,
    events: Arc<StripeEvents>,
}

#[async_trait]
impl AccountAdapter for StripeAccount {
    fn provider(&self) -> Arc<dyn PaymentProvider> {
        Arc::clone(&self.provider) as _
    }

    fn events(&self) -> Arc<dyn EventSource> {
        Arc::clone(&self.events) as _
    }

    fn book(&self) -> Option<Arc<dyn ProviderBook>> {
        Some(Arc::clone(&self.provider) as _)
    }

    fn vault(&self) -> Option<Arc<dyn CardVault>> {
        Some(Arc::clone(&self.provider) as _)
    }

    async fn own_id(&self) -> Result<Option<String>, NotIdentified> {
        self.provider.own_id().await
    }

    async fn check(&self) -> Result<String, CheckFailed> {
        let mend =
            "look at the key in Stripe's dashboard, under Developers, API keys, and put the right one with `boxoffice providers set-keys`";
        match self.provider.check().await {
            Ok(()) => Ok("Stripe takes its key".to_owned()),
            Err(problem) => Err(CheckFailed { problem, mend: mend.to_owned() }),
        }
    }
}
