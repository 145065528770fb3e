//! Mollie's accounts, as the registry makes and looks after them.

use super::{MOLLIE, MollieEvents, MollieProvider, MollieSetup, MollieTransport};
use crate::{
    adapters::{
        provider_events::EventSource,
        provider_registry::{AccountAdapter, CheckFailed, NotBuilt, NotIdentified, ProviderFactory},
    },
    domain::{
        provider_account::{Credentials, ProviderAccount, ProviderKind},
        provider_event::EventAccount,
    },
    ports::{provider::PaymentProvider, provider_book::ProviderBook},
};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};

/// Makes adapters of accounts with Mollie, all over one pool of connections.
pub struct MollieFactory {
    transport: Arc<MollieTransport>,
    timeout: Duration,
    /// How Mollie reaches us, without a slash at the end; nothing where it cannot.
    public_url: Option<String>,
}

impl MollieFactory {
    /// `timeout` bounds all calls that one request takes. Mollie refuses a payment whose address for events it cannot reach, so `public_url`
    /// counts only as `https://`, or beside a stand-in; without one payments are looked up.
    pub fn new(transport: Arc<MollieTransport>, timeout: Duration, public_url: Option<String>) -> Self {
        let public_url = public_url.filter(|url| url.starts_with("https://") || transport.is_here());
        Self { transport, timeout, public_url }
    }
}

impl ProviderFactory for MollieFactory {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Mollie
    }

    fn build(&self, account: &ProviderAccount, credentials: &Credentials) -> Result<Arc<dyn AccountAdapter>, NotBuilt> {
        let Credentials::Mollie(credentials) = credentials else { return Err(NotBuilt(format!("its credentials are none of {MOLLIE}'s"))) };
        let webhook_url = self.public_url.as_ref().map(|url| format!("{url}/webhooks/{MOLLIE}/{}", account.id));
        let setup = MollieSetup { timeout: self.timeout, webhook_url };
        let mode = account.scope.mode();
        let provider =
            MollieProvider::new(mode, &credentials.api_key, &self.transport, setup).map_err(|error| NotBuilt(error.to_string()))?;
        let tenant = Some(account.scope.tenant().to_owned());
        let known_as = EventAccount { provider: MOLLIE, account: account.id.to_string(), mode, tenant };
        let events = MollieEvents::new(known_as, provider.clone(), Vec::new());
        Ok(Arc::new(MollieAccount { provider: Arc::new(provider), events: Arc::new(events) }))
    }
}

/// One account.
struct MollieAccount {
    provider: Arc<MollieProvider>,
    events: Arc<MollieEvents>,
}

#[async_trait]
impl AccountAdapter for MollieAccount {
    fn provider(&self) -> Arc<dyn PaymentProvider> {
        Arc::clone(&self.provider) as _
    }

    fn events(&self) -> Arc<dyn EventSource> {
        Arc::clone(&self.events) as _
    }

    async fn own_id(&self) -> Result<Option<String>, NotIdentified> {
        self.provider.own_id().await.map(Some)
    }

    fn book(&self) -> Option<Arc<dyn ProviderBook>> {
        Some(Arc::clone(&self.provider) as _)
    }

    async fn check(&self) -> Result<String, CheckFailed> {
        let mend =
            "look at the key in Mollie's dashboard, under Developers, API keys, and put the right one with `boxoffice providers set-keys`";
        match self.provider.check().await {
            Ok(profile) => Ok(format!("Mollie takes its key, of the profile {profile}")),
            Err(problem) => Err(CheckFailed { problem, mend: mend.to_owned() }),
        }
    }
}
