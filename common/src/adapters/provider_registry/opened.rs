//! An account as this process works with it. Its guard outlives every reading of the row, and every change but that of the key: how a
//! provider does is learnt in minutes, and must not be forgotten because somebody has renamed it.

use super::factory::{AccountAdapter, CheckFailed, ProviderFactories};
use crate::{
    adapters::{
        provider_events::EventSource,
        provider_guard::{GuardLimits, Guarded},
    },
    domain::{
        attempt::{Attempt, MoneyRequest, Outcome},
        provider_account::{Credentials, ProviderAccount},
        secret::Secret,
    },
    ports::{
        provider::{Capabilities, PaymentProvider, Seen},
        provider_book::ProviderBook,
        vault::CardVault,
    },
};
use async_trait::async_trait;
use std::sync::{Arc, PoisonError, RwLock};

/// What to do about an account that does not open.
const MEND: &str = "set BOXOFFICE_SECRETS_KEY as it was when the account was added (older keys behind the newest one, comma-separated), or give \
                    its credentials anew with `boxoffice providers set-keys`";

/// An account that was opened, or why it does not open.
pub struct OpenedAccount {
    account: ProviderAccount,
    /// As it was sealed when it was opened: while that is the same, so is everything in here.
    sealed: Secret<String>,
    state: Result<Arc<Working>, String>,
}

struct Working {
    credentials: Credentials,
    adapter: Arc<dyn AccountAdapter>,
    events: Arc<dyn EventSource>,
    behind: Arc<Replaceable>,
    guarded: Arc<Guarded<Arc<Replaceable>>>,
}

impl OpenedAccount {
    /// An account that does not open; the words say why.
    pub(super) fn broken(account: ProviderAccount, sealed: Secret<String>, why: String) -> Self {
        Self { account, sealed, state: Err(why) }
    }

    /// The same account as it stands in the store now, where its secrets are the same.
    pub(super) fn renewed(&self, account: ProviderAccount, sealed: &Secret<String>) -> Option<Self> {
        (self.sealed == *sealed).then(|| Self { account, sealed: sealed.clone(), state: self.state.clone() })
    }

    /// Opened with these credentials. What is known of `before`, the same account, goes over to it.
    pub(super) fn open(
        account: ProviderAccount,
        sealed: Secret<String>,
        credentials: Credentials,
        before: Option<&Self>,
        factories: &ProviderFactories,
        limits: GuardLimits,
    ) -> Self {
        let before = before.and_then(|before| before.state.as_ref().ok());
        if let Some(same) = before.filter(|before| before.credentials == credentials) {
            return Self { account, sealed, state: Ok(Arc::clone(same)) };
        }
        let adapter = match factories.build(&account, &credentials) {
            Ok(adapter) => adapter,
            Err(error) => return Self::broken(account, sealed, error.to_string()),
        };
        let (behind, guarded) = match before.filter(|before| before.credentials.key() == credentials.key()) {
            Some(before) => {
                before.behind.replace(adapter.provider());
                (Arc::clone(&before.behind), Arc::clone(&before.guarded))
            }
            None => {
                let behind = Arc::new(Replaceable(RwLock::new(adapter.provider())));
                let guarded = Guarded::for_account(Arc::clone(&behind), limits, account.id.clone());
                (behind, Arc::new(guarded))
            }
        };
        let working = Working { credentials, events: adapter.events(), adapter, behind, guarded };
        Self { account, sealed, state: Ok(Arc::new(working)) }
    }

    /// What everybody may see of it.
    pub const fn account(&self) -> &ProviderAccount {
        &self.account
    }

    /// Why it does not work here, in words that say what to do; nothing where it does.
    pub fn problem(&self) -> Option<&str> {
        self.state.as_ref().err().map(String::as_str)
    }

    /// The provider, guarded.
    pub(super) fn provider(&self) -> Option<Arc<dyn PaymentProvider>> {
        let working = self.state.as_ref().ok()?;
        Some(Arc::clone(&working.guarded) as Arc<dyn PaymentProvider>)
    }

    /// Its events.
    pub(super) fn events(&self) -> Option<&Arc<dyn EventSource>> {
        self.state.as_ref().ok().map(|working| &working.events)
    }

    /// Where its cards are kept, if they are.
    pub(super) fn vault(&self) -> Option<Arc<dyn CardVault>> {
        self.state.as_ref().ok().and_then(|working| working.adapter.vault())
    }

    /// Its book, as the provider keeps it; nothing where the account does not work here.
    pub fn book(&self) -> Option<Arc<dyn ProviderBook>> {
        self.state.as_ref().ok().and_then(|working| working.adapter.book())
    }

    /// How it does, as far as this process has seen.
    pub(super) fn seen(&self) -> Option<Seen> {
        self.state.as_ref().ok().map(|working| working.guarded.seen())
    }

    /// Asks the provider whether the account works. See [`AccountAdapter::check`].
    pub async fn check(&self) -> Result<String, CheckFailed> {
        match &self.state {
            Ok(working) => working.adapter.check().await,
            Err(why) => Err(CheckFailed { problem: why.clone(), mend: MEND.to_owned() }),
        }
    }
}

/// A provider in whose place another one of the same account can be put.
struct Replaceable(RwLock<Arc<dyn PaymentProvider>>);

impl Replaceable {
    fn now(&self) -> Arc<dyn PaymentProvider> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, provider: Arc<dyn PaymentProvider>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = provider;
    }
}

#[async_trait]
impl PaymentProvider for Replaceable {
    fn name(&self) -> &'static str {
        self.now().name()
    }

    fn capabilities(&self) -> Capabilities {
        self.now().capabilities()
    }

    async fn send(&self, request: &MoneyRequest) -> Outcome {
        self.now().send(request).await
    }

    async fn look_up(&self, attempt: &Attempt) -> Outcome {
        self.now().look_up(attempt).await
    }
}
