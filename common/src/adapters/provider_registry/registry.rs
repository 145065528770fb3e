//! Who is asked for a provider, a source of events, or where a charge goes. What is here was read of the store in the last few seconds.

use super::{factory::ProviderFactories, lately::Lately, office::AccountOffice, opened::OpenedAccount};
use crate::{
    adapters::{
        provider_events::{EventSource, EventSources},
        provider_guard::GuardLimits,
        providers::Providers,
        sealing::NotOpened,
    },
    domain::{
        attempt::SANDBOX,
        id::ProviderAccountId,
        provider_account::{CircuitState, ProviderKind},
        routing::{Candidate, Route, Routing, RoutingRules},
        scope::{Mode, Scope},
    },
    newest::Newest,
    ports::{
        provider::{PaymentProvider, Seen},
        routes::Routes,
        store::{ProviderAccountStore, StoreError, StoredAccount},
        vault::CardVault,
    },
};
use async_trait::async_trait;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// The most accounts that are open at once. Beyond it the circuit of the one opened first is forgotten, and it is opened anew when needed.
const MAX_OPEN: usize = 2_000;
/// The most scopes of which it is remembered where their charges go.
const MAX_SCOPES: usize = 10_000;
/// The most accounts that are remembered by their ids, and the most ids of which it is remembered that there is none.
const MAX_IDS: usize = 10_000;
/// The most accounts whose secrets an event that names no account is tried with.
pub const MAX_TRIED: u32 = 100;

/// The registry. An attempt names its provider and account for ever, so both can be asked for as long as attempts are open.
pub struct ProviderRegistry {
    store: Arc<dyn ProviderAccountStore>,
    office: AccountOffice,
    factories: ProviderFactories,
    limits: GuardLimits,
    /// Providers that need no account.
    fixed: Providers,
    fixed_events: EventSources,
    opened: Mutex<Newest<ProviderAccountId, Arc<OpenedAccount>, MAX_OPEN>>,
    scopes: Lately<Scope, Arc<Known>, MAX_SCOPES>,
    ids: Lately<ProviderAccountId, Arc<OpenedAccount>, MAX_IDS>,
    kinds: Lately<ProviderKind, Arc<Vec<Arc<OpenedAccount>>>, 16>,
    has_complained: AtomicBool,
}

/// What is known of a scope.
struct Known {
    /// Those that work, the oldest first.
    accounts: Vec<Arc<OpenedAccount>>,
    /// Whether there is any at all, also one that is disabled or does not work.
    has_accounts: bool,
    rules: RoutingRules,
    /// As it was told last: the same one is given out while no circuit turns.
    routing: Mutex<Option<Arc<Routing>>>,
}

impl ProviderRegistry {
    /// `fixed` and `fixed_events` serve everybody: the sandbox. `limits` bound each account by itself.
    pub fn new(
        store: Arc<dyn ProviderAccountStore>,
        office: AccountOffice,
        factories: ProviderFactories,
        limits: GuardLimits,
        fixed: Providers,
        fixed_events: EventSources,
    ) -> Self {
        Self {
            store,
            office,
            factories,
            limits,
            fixed,
            fixed_events,
            opened: Mutex::default(),
            scopes: Lately::default(),
            ids: Lately::default(),
            kinds: Lately::default(),
            has_complained: AtomicBool::new(false),
        }
    }

    /// Adds and changes accounts. Whoever does calls [`Self::forget`].
    pub const fn office(&self) -> &AccountOffice {
        &self.office
    }

    /// The provider of an attempt. `None`: there is none of this name, or the account is not this scope's, or does not work here. One that is
    /// disabled still serves what is open there.
    pub async fn provider(
        &self,
        provider: &str,
        account: Option<&ProviderAccountId>,
        scope: &Scope,
    ) -> Result<Option<Arc<dyn PaymentProvider>>, StoreError> {
        let Some(id) = account else { return Ok(self.fixed.get(provider).cloned()) };
        let found = self.by_id(id).await?;
        let is_it = |opened: &Arc<OpenedAccount>| {
            let account = opened.account();
            account.provider.as_str() == provider && account.scope == *scope
        };
        Ok(found.filter(is_it).and_then(|opened| opened.provider()))
    }

    /// Where this account's cards are kept. `None`: the account is not this scope's, does not work here, or its provider keeps none.
    pub async fn vault(&self, account: &ProviderAccountId, scope: &Scope) -> Result<Option<Arc<dyn CardVault>>, StoreError> {
        let found = self.by_id(account).await?.filter(|opened| opened.account().scope == *scope && opened.account().enabled);
        Ok(found.and_then(|opened| opened.vault()))
    }

    /// How events of this account are verified and read.
    pub async fn source(&self, provider: &str, account: &str) -> Result<Option<Arc<dyn EventSource>>, StoreError> {
        if let Some(source) = self.fixed_events.get(provider, account) {
            return Ok(Some(Arc::clone(source)));
        }
        let is_ours = account.strip_prefix(ProviderAccountId::PREFIX).is_some_and(|rest| rest.starts_with('_'));
        let Some(id) = ProviderAccountId::parse(account).ok().filter(|_| is_ours && ProviderKind::parse(provider).is_some()) else {
            return Ok(None);
        };
        let found = self.by_id(&id).await?.filter(|opened| opened.account().provider.as_str() == provider);
        Ok(found.and_then(|opened| opened.events().cloned()))
    }

    /// The sources of everybody's accounts with a provider, those that are enabled before the others, the oldest first, at most [`MAX_TRIED`]: for events that name no account.
    pub async fn sources(&self, provider: ProviderKind) -> Result<Vec<Arc<dyn EventSource>>, StoreError> {
        let read = async {
            let stored = self.store.accounts_with(provider, MAX_TRIED).await?;
            Ok(Arc::new(stored.into_iter().map(|stored| self.open(stored)).collect::<Vec<_>>()))
        };
        let accounts = self.kinds.get(&provider, read).await?;
        Ok(accounts.iter().filter_map(|opened| opened.events().cloned()).collect())
    }

    /// All accounts of a scope, as they are in the store now.
    pub async fn accounts(&self, scope: &Scope) -> Result<Vec<Arc<OpenedAccount>>, StoreError> {
        Ok(self.store.accounts(scope).await?.into_iter().map(|stored| self.open(stored)).collect())
    }

    /// How everything does that this process has sent something to, by the account's id or the provider's name.
    pub fn seen(&self) -> Vec<(String, Seen)> {
        let fixed = self.fixed.names().filter_map(|name| Some((name.to_owned(), self.fixed.get(name)?.seen())));
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let accounts = opened.values().filter_map(|opened| Some((opened.account().id.to_string(), opened.seen()?)));
        fixed.chain(accounts).collect()
    }

    /// Something was changed here: this process reads it anew. Others notice within seconds.
    pub fn forget(&self, scope: &Scope, account: Option<&ProviderAccountId>) {
        self.scopes.forget(scope);
        if let Some(id) = account {
            self.ids.forget(id);
            ProviderKind::ALL.iter().for_each(|kind| self.kinds.forget(kind));
        }
    }

    async fn by_id(&self, id: &ProviderAccountId) -> Result<Option<Arc<OpenedAccount>>, StoreError> {
        let read = async { Ok(self.store.account(id).await?.map(|stored| self.open(stored))) };
        self.ids.find(id, read).await
    }

    async fn read_scope(&self, scope: &Scope) -> Result<Arc<Known>, StoreError> {
        let rules = self.store.routing_rules(scope).await?.rules;
        let stored = self.store.accounts(scope).await?;
        let has_accounts = !stored.is_empty();
        let accounts = stored.into_iter().map(|stored| self.open(stored)).filter(|opened| opened.problem().is_none()).collect();
        Ok(Arc::new(Known { accounts, has_accounts, rules, routing: Mutex::default() }))
    }

    fn candidates(&self, scope: &Scope, known: &Known) -> Vec<Candidate> {
        let enabled = known.accounts.iter().filter(|opened| opened.account().enabled);
        let of_accounts = enabled.filter_map(|opened| {
            let account = opened.account();
            let route = Route { provider: account.provider.as_str().to_owned(), account: Some(account.id.clone()) };
            let is_failing = opened.seen()?.circuit == CircuitState::Open;
            Some(Candidate { route, takes: account.takes(), is_failing, is_named_only: false })
        });
        let sandbox = (scope.mode() == Mode::Test).then(|| Routing::default().candidates).into_iter().flatten();
        let is_failing = self.fixed.get(SANDBOX).is_some_and(|sandbox| sandbox.seen().circuit == CircuitState::Open);
        let is_named_only = known.has_accounts;
        of_accounts.chain(sandbox.map(|sandbox| Candidate { is_failing, is_named_only, ..sandbox })).collect()
    }

    /// The account as this process works with it, whatever is known of it kept.
    pub fn open(&self, stored: StoredAccount) -> Arc<OpenedAccount> {
        let id = stored.account.id.clone();
        // Held while it is opened, so that one account has one guard.
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let before = opened.get(&id).cloned();
        if let Some(before) = &before
            && before.account().version > stored.account.version
        {
            // Read before, and come later.
            return Arc::clone(before);
        }
        let renewed = before.as_ref().and_then(|before| before.renewed(stored.account.clone(), &stored.sealed));
        let account = Arc::new(renewed.unwrap_or_else(|| self.open_anew(stored, before.as_deref())));
        opened.insert(id, Arc::clone(&account));
        account
    }

    fn open_anew(&self, stored: StoredAccount, before: Option<&OpenedAccount>) -> OpenedAccount {
        let found = self.office.open(&stored);
        let StoredAccount { account, sealed } = stored;
        let opened = match found {
            Ok(credentials) => OpenedAccount::open(account, sealed, credentials, before, &self.factories, self.limits),
            Err(NotOpened::NoKey) => {
                if !self.has_complained.swap(true, Ordering::Relaxed) {
                    let words = "there are accounts with payment providers, and no BOXOFFICE_SECRETS_KEY to open their credentials with: none of them works";
                    tracing::error!("{words}");
                }
                return OpenedAccount::broken(account, sealed, NotOpened::NoKey.to_string());
            }
            Err(error) => OpenedAccount::broken(account, sealed, error.to_string()),
        };
        if let Some(problem) = opened.problem() {
            let account = opened.account();
            tracing::error!(account = %account.id, scope = %account.scope, problem, "an account with a payment provider does not work");
        }
        opened
    }
}

#[async_trait]
impl Routes for ProviderRegistry {
    async fn routing(&self, scope: &Scope) -> Result<Arc<Routing>, StoreError> {
        let known = self.scopes.get(scope, self.read_scope(scope)).await?;
        let mut last = known.routing.lock().unwrap_or_else(PoisonError::into_inner);
        let candidates = self.candidates(scope, &known);
        if let Some(same) = last.as_ref().filter(|routing| routing.candidates == candidates) {
            return Ok(Arc::clone(same));
        }
        let routing = Arc::new(Routing { candidates, rules: known.rules.clone(), key_windows: key_windows() });
        *last = Some(Arc::clone(&routing));
        Ok(routing)
    }
}

/// The sandbox's and every other provider's, whichever accounts there are and open: a key is forgotten by the provider, and not by us.
fn key_windows() -> Vec<(String, Duration)> {
    let others = ProviderKind::ALL.into_iter().map(|kind| (kind.as_str().to_owned(), kind.key_window()));
    Routing::default().key_windows.into_iter().chain(others).collect()
}

impl std::fmt::Debug for ProviderRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderRegistry").field("fixed", &self.fixed).finish_non_exhaustive()
    }
}
