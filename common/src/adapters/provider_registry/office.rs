//! Adding and changing accounts: what is secret of them is checked, sealed for its own row, and never seen again.

use super::factory::{NotIdentified, ProviderFactories};
use crate::{
    adapters::sealing::{NotOpened, NotSealed, Sealer},
    domain::{
        error::CodedError,
        id::{Entropy, ProviderAccountId},
        provider_account::{CredentialParts, Credentials, Hints, MAX_ACCOUNTS, ProviderAccount, ProviderKind, check_name},
        scope::Scope,
        secret::Secret,
        time::Timestamp,
    },
    ports::store::{AccountChange, AccountChanged, NewAccount, ProviderAccountStore, StoreError, StoredAccount},
};
use std::sync::Arc;

/// How often a change is tried while others change the same account.
const TRIES: u32 = 5;
/// How many accounts are read at once to be sealed anew.
const PAGE: u32 = 100;

/// An account as somebody asks for it.
#[derive(Debug, Clone)]
pub struct NewProviderAccount {
    /// With whom.
    pub provider: ProviderKind,
    /// What the tenant calls it.
    pub name: String,
    /// Whether charges may go there from now on.
    pub enabled: bool,
    /// What it takes to act in its name.
    pub credentials: CredentialParts,
}

/// What somebody wants to be changed; the rest stays.
#[derive(Debug, Clone, Default)]
pub struct AccountEdit {
    /// Another name.
    pub name: Option<String>,
    /// Enabled or disabled.
    pub enabled: Option<bool>,
    /// Other credentials, all or a part.
    pub credentials: Option<CredentialParts>,
}

/// What sealing everything anew came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resealed {
    /// Sealed anew, with the first key.
    pub done: u32,
    /// Were so before.
    pub current: u32,
    /// Do not open with any key, or were changed by somebody else just now.
    pub left: u32,
}

/// Why an account is not added or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// What was given is wrong.
    #[error(transparent)]
    Refused(#[from] CodedError),
    /// There is no key to seal with.
    #[error(
        "this server has no BOXOFFICE_SECRETS_KEY to seal keys of providers with: make one with `boxoffice providers new-key`, set it for every process, and start them again"
    )]
    NoKey,
    /// A part of its credentials is to stay, and they do not open.
    #[error("its credentials cannot be opened ({0}): give all of them anew")]
    NotOpened(NotOpened),
    /// No randomness.
    #[error(transparent)]
    NotSealed(#[from] NotSealed),
    /// As many as a tenant may have.
    #[error("a tenant has at most {MAX_ACCOUNTS} accounts in a mode")]
    TooMany,
    /// No such account in this scope.
    #[error("there is no such account")]
    Missing,
    /// The keys are of another account with the provider than those before: what is open would be looked for there, and not be found.
    #[error("these keys are of {new}, and this account is {known} at its provider: add another account for them, and disable this one")]
    OtherAccount {
        /// The provider's own id of this account.
        known: String,
        /// That of the account that the keys are of.
        new: String,
    },
    /// The provider did not say whose the keys are, and there is something to compare it with.
    #[error(
        "the provider did not say whose these keys are ({0}), and nothing was changed: try again, with keys that may read their account"
    )]
    NotIdentified(NotIdentified),
    /// Others change it all the time.
    #[error("somebody else has changed it at this moment: try again")]
    Moved,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Adds and changes accounts.
#[derive(Clone)]
pub struct AccountOffice {
    store: Arc<dyn ProviderAccountStore>,
    sealer: Option<Arc<Sealer>>,
    /// How providers are asked whose keys are.
    factories: ProviderFactories,
}

/// What sealed credentials are bound to: copied to another row, tenant, mode or provider they do not open.
fn place(id: &ProviderAccountId, provider: ProviderKind, scope: &Scope) -> String {
    format!("provider_account/{id}/{}/{scope}", provider.as_str())
}

impl AccountOffice {
    /// Without a sealer nothing can be added, and nothing opens.
    pub fn new(store: Arc<dyn ProviderAccountStore>, sealer: Option<Arc<Sealer>>) -> Self {
        Self { store, sealer, factories: ProviderFactories::default() }
    }

    /// The same that asks providers whose keys are, before it takes them.
    pub fn asking(self, factories: ProviderFactories) -> Self {
        Self { factories, ..self }
    }

    /// The provider's own id of the account that these credentials are of. `None`: it has none, or there is no way to ask it from here.
    async fn own_id(&self, account: &ProviderAccount, credentials: &Credentials) -> Result<Option<String>, NotIdentified> {
        match self.factories.build(account, credentials) {
            Ok(adapter) => adapter.own_id().await,
            Err(_) => Ok(None),
        }
    }

    /// Whose the new keys of an account are, where they may take the place of those before. An account that no provider has ever
    /// been able to tell us of has nothing open there, and takes any.
    async fn same_owner(&self, stored: &StoredAccount, new: &Credentials) -> Result<Option<String>, AccountError> {
        let (account, before) = (&stored.account, self.open(stored).ok());
        let known = account.hints.account.clone();
        if before.as_ref().is_some_and(|before| before.key() == new.key()) {
            return Ok(known);
        }
        let known = match (known, &before) {
            (None, Some(before)) => self.own_id(account, before).await.ok().flatten(),
            (known, _) => known,
        };
        match (known, self.own_id(account, new).await) {
            (Some(known), Ok(Some(new))) if known != new => Err(AccountError::OtherAccount { known, new }),
            (Some(_), Err(error)) => Err(AccountError::NotIdentified(error)),
            (None, Err(_)) => Ok(None),
            (known, Ok(new)) => Ok(new.or(known)),
        }
    }

    /// Learns from the provider whose an account is, where that was never told: by its own keys, which stay as they are. `None`: it was known, or
    /// cannot be learnt now, or somebody has changed the account at this moment.
    pub async fn learn(&self, stored: &StoredAccount) -> Result<Option<String>, StoreError> {
        let StoredAccount { account, sealed } = stored;
        let Some(credentials) = self.open(stored).ok().filter(|_| account.hints.account.is_none()) else { return Ok(None) };
        let Some(own_id) = self.own_id(account, &credentials).await.ok().flatten() else { return Ok(None) };
        let hints = Hints { account: Some(own_id.clone()), ..account.hints.clone() };
        let change = AccountChange { credentials: Some((sealed.clone(), hints)), ..AccountChange::default() };
        let changed = self.store.change_account(&account.scope, &account.id, account.version, &change).await?;
        Ok(match changed {
            // With the same seal a change of somebody else's looks like our own that was not answered: what stands there now tells.
            AccountChanged::Done(after) if after.account.hints.account.as_ref() == Some(&own_id) => Some(own_id),
            AccountChanged::Done(_) | AccountChanged::Missing | AccountChanged::Moved => None,
        })
    }

    /// Whether there is a key to seal with.
    pub const fn has_key(&self) -> bool {
        self.sealer.is_some()
    }

    /// Adds an account.
    pub async fn add(
        &self,
        scope: &Scope,
        new: NewProviderAccount,
        entropy: &Entropy,
        now: Timestamp,
    ) -> Result<ProviderAccount, AccountError> {
        let sealer = self.sealer.as_deref().ok_or(AccountError::NoKey)?;
        let NewProviderAccount { provider, name, enabled, credentials } = new;
        check_name(&name)?;
        let credentials = credentials.build(provider, scope.mode())?;
        let id = ProviderAccountId::generate(entropy, now);
        let (sealed, hints) = (seal(sealer, &credentials, &place(&id, provider, scope))?, credentials.hints());
        let scope = scope.clone();
        let account = ProviderAccount { id, scope, provider, name, enabled, hints, created_at: now, updated_at: now, version: 0 };
        // Whether they work is the doctor's business; whose they are is good to know before the first change.
        let own_id = self.own_id(&account, &credentials).await.unwrap_or_default();
        let ProviderAccount { id, scope, name, hints, .. } = account;
        let hints = Hints { account: own_id, ..hints };
        let new = NewAccount { id, scope, provider, name, enabled, hints, sealed };
        self.store.add_account(&new).await?.ok_or(AccountError::TooMany)
    }

    /// Changes an account.
    pub async fn change(&self, scope: &Scope, id: &ProviderAccountId, edit: AccountEdit) -> Result<ProviderAccount, AccountError> {
        edit.name.as_deref().map_or(Ok(()), check_name)?;
        for _ in 0..TRIES {
            let stored = self.store.account(id).await?.filter(|stored| stored.account.scope == *scope).ok_or(AccountError::Missing)?;
            let credentials = edit.credentials.clone().map(|parts| self.changed(&stored, parts)).transpose()?;
            let credentials = match credentials {
                None => None,
                Some(credentials) => {
                    let sealer = self.sealer.as_deref().ok_or(AccountError::NoKey)?;
                    let account = self.same_owner(&stored, &credentials).await?;
                    let place = place(id, stored.account.provider, scope);
                    Some((seal(sealer, &credentials, &place)?, Hints { account, ..credentials.hints() }))
                }
            };
            let change = AccountChange { name: edit.name.clone(), enabled: edit.enabled, credentials };
            match self.store.change_account(scope, id, stored.account.version, &change).await? {
                AccountChanged::Done(stored) => return Ok(stored.account),
                AccountChanged::Missing => return Err(AccountError::Missing),
                AccountChanged::Moved => {}
            }
        }
        Err(AccountError::Moved)
    }

    fn changed(&self, stored: &StoredAccount, parts: CredentialParts) -> Result<Credentials, AccountError> {
        let (provider, mode) = (stored.account.provider, stored.account.scope.mode());
        match self.open(stored) {
            Ok(before) => Ok(parts.change(before, mode)?),
            Err(NotOpened::NoKey) => Err(AccountError::NoKey),
            // Whoever has lost the key that sealed them can still give all of them anew. What is left out stays, and a secret cannot.
            Err(error) if parts.webhook_secrets.is_none() && stored.account.hints.webhook_secrets > 0 => {
                Err(AccountError::NotOpened(error))
            }
            Err(error) => {
                let publishable_key = parts.publishable_key.or_else(|| stored.account.hints.publishable_key.clone());
                let parts = CredentialParts { publishable_key, ..parts };
                parts.build(provider, mode).map_err(|_| AccountError::NotOpened(error))
            }
        }
    }

    /// Opens an account's credentials.
    pub fn open(&self, stored: &StoredAccount) -> Result<Credentials, NotOpened> {
        let StoredAccount { account, sealed } = stored;
        let sealer = self.sealer.as_deref().ok_or(NotOpened::NoKey)?;
        let plain = sealer.open(sealed, &place(&account.id, account.provider, &account.scope))?;
        let credentials: Credentials = serde_json::from_str(plain.reveal()).map_err(|_| NotOpened::Damaged)?;
        if credentials.provider() == account.provider { Ok(credentials) } else { Err(NotOpened::Damaged) }
    }

    /// Seals everybody's credentials with the key that seals now. Then the other keys can go.
    pub async fn reseal(&self) -> Result<Resealed, AccountError> {
        let sealer = self.sealer.as_deref().ok_or(AccountError::NoKey)?;
        let (mut count, mut after) = (Resealed::default(), None);
        loop {
            let page = self.store.all_accounts(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(count) };
            after = Some(last.account.id.clone());
            for stored in &page {
                if sealer.is_current(&stored.sealed) {
                    count.current += 1;
                    continue;
                }
                let Ok(credentials) = self.open(stored) else {
                    count.left += 1;
                    continue;
                };
                let account = &stored.account;
                let sealed = seal(sealer, &credentials, &place(&account.id, account.provider, &account.scope))?;
                let change = AccountChange { credentials: Some((sealed, account.hints.clone())), ..AccountChange::default() };
                match self.store.change_account(&account.scope, &account.id, account.version, &change).await? {
                    AccountChanged::Done(_) => count.done += 1,
                    AccountChanged::Missing | AccountChanged::Moved => count.left += 1,
                }
            }
        }
    }
}

fn seal(sealer: &Sealer, credentials: &Credentials, place: &str) -> Result<Secret<String>, NotSealed> {
    let plain = serde_json::to_string(credentials).map(Secret::new).map_err(|_| NotSealed)?;
    sealer.seal(&plain, place)
}
