//! Adding and changing accounts: what is secret of them is checked, sealed for its own row, and never seen again.

use crate::{
    adapters::sealing::{NotOpened, NotSealed, Sealer},
    domain::{
        error::CodedError,
        id::{Entropy, ProviderAccountId},
        provider_account::{CredentialParts, Credentials, MAX_ACCOUNTS, ProviderAccount, ProviderKind, check_name},
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
}

/// What sealed credentials are bound to: copied to another row, tenant, mode or provider they do not open.
fn place(id: &ProviderAccountId, provider: ProviderKind, scope: &Scope) -> String {
    format!("provider_account/{id}/{}/{scope}", provider.as_str())
}

impl AccountOffice {
    /// Without a sealer nothing can be added, and nothing opens.
    pub fn new(store: Arc<dyn ProviderAccountStore>, sealer: Option<Arc<Sealer>>) -> Self {
        Self { store, sealer }
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
        let new = NewAccount { id, scope: scope.clone(), provider, name, enabled, hints, sealed };
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
                    let place = place(id, stored.account.provider, scope);
                    Some((seal(sealer, &credentials, &place)?, credentials.hints()))
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
            // Whoever has lost the key that sealed them can still give all of them anew.
            Err(error) if parts.is_empty() => Err(AccountError::NotOpened(error)),
            Err(error) => parts.build(provider, mode).map_err(|_| AccountError::NotOpened(error)),
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
