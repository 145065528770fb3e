//! `boxoffice providers …`: tenants' accounts with payment providers. Secrets come in by the environment or standard input, and never go out.

use crate::{
    command::{OneAccount, ProviderSecrets, Providers, Whose},
    exit::{Failure, io},
    log, wire,
};
use boxoffice_common::{
    adapters::{
        provider_registry::{AccountEdit, AccountError, AccountOffice, NewProviderAccount},
        sealing::Sealer,
        sql::SqlStore,
    },
    domain::{
        id::{Entropy, ProviderAccountId},
        provider_account::{CredentialParts, ProviderAccount, ProviderKind},
        scope::{Mode, Scope},
        secret::Secret,
    },
    ports::store::{CheckoutStore, ProviderAccountStore, UpkeepStore},
};
use std::{io::Read, path::PathBuf, sync::Arc};

/// The longest JSON that is read from standard input, bytes.
const MAX_STDIN: u64 = 64 * 1024;
const NO_SECRET: &str =
    "no secret is given: set STRIPE_SECRET_KEY, STRIPE_PUBLISHABLE_KEY, STRIPE_WEBHOOK_SECRETS or MOLLIE_API_KEY, or pass --stdin";
/// How many accounts are read at once.
const PAGE: u32 = 100;

/// Lists, adds or changes accounts.
pub async fn run(command: Providers) -> Result<(), Failure> {
    log::start("warn");
    match command {
        Providers::List { tenant, data } => list(tenant.as_deref(), data.data_dir).await,
        Providers::Add { provider, name, disabled, whose, secrets, data } => {
            let provider = ProviderKind::parse(&provider).ok_or_else(|| {
                let known = ProviderKind::ALL.map(ProviderKind::as_str).join(", ");
                Failure::Setup(format!("--provider: there is no such provider; there are {known}"))
            })?;
            let scope = scope(&whose)?;
            let new = NewProviderAccount { provider, name, enabled: !disabled, credentials: secrets.read(provider)? };
            let (store, office, entropy) = open(data.data_dir).await?;
            let account = office.add(&scope, new, &entropy, store.now().await?).await.map_err(failed)?;
            show(&account);
            let path = format!("/webhooks/{}/{}", account.provider.as_str(), account.id);
            eprintln!(
                "tell the provider to send its events to {path} of your public address; `boxoffice doctor` asks it whether the key works"
            );
            Ok(())
        }
        Providers::Enable(one) => switch(one, true).await,
        Providers::Disable(one) => switch(one, false).await,
        Providers::SetKeys { id, secrets, data } => {
            edit(&id, data.data_dir, |account| {
                let credentials = secrets.read(account.provider)?;
                if credentials.is_empty() {
                    return Err(Failure::Setup(NO_SECRET.to_owned()));
                }
                Ok(AccountEdit { credentials: Some(credentials), ..AccountEdit::default() })
            })
            .await
        }
        Providers::NewKey => {
            let key = Sealer::generate_key().map_err(|error| Failure::Setup(error.to_string()))?;
            println!("{}", key.reveal());
            eprintln!(
                "set it as BOXOFFICE_SECRETS_KEY of every process; to replace a key, put the new one in front of the old one, with a comma"
            );
            Ok(())
        }
        Providers::Reseal(data) => {
            let (_, office, _) = open(data.data_dir).await?;
            let done = office.reseal().await.map_err(failed)?;
            println!("{} sealed anew, {} were so before", done.done, done.current);
            if done.left == 0 {
                return Ok(());
            }
            Err(Failure::Setup(format!(
                "{} do not open with any key of BOXOFFICE_SECRETS_KEY, or were changed just now: `boxoffice doctor` says which",
                done.left
            )))
        }
    }
}

async fn open(data_dir: PathBuf) -> Result<(Arc<SqlStore>, AccountOffice, Arc<Entropy>), Failure> {
    let (config, entropy, store) = wire::open_store(data_dir).await?;
    store.migrate().await?;
    let office = wire::account_office(&config, &store)?;
    Ok((store, office, entropy))
}

async fn list(tenant: Option<&str>, data_dir: PathBuf) -> Result<(), Failure> {
    let (_, _, store) = wire::open_store(data_dir).await?;
    store.ping().await?;
    let mut after = None;
    loop {
        let page = store.all_accounts(after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.account.id.clone());
        let is_theirs = |account: &&ProviderAccount| tenant.is_none_or(|tenant| tenant == account.scope.tenant());
        page.iter().map(|stored| &stored.account).filter(is_theirs).for_each(show);
    }
}

fn show(account: &ProviderAccount) {
    let ProviderAccount { id, scope, provider, name, enabled, hints, created_at, .. } = account;
    let state = if *enabled { "enabled" } else { "disabled" };
    let secrets = hints.webhook_secrets;
    println!("{id}  {scope}  {}  {state}  {}  {secrets} webhook secrets  {created_at}  {name}", provider.as_str(), hints.key);
}

async fn switch(one: OneAccount, enabled: bool) -> Result<(), Failure> {
    edit(&one.id, one.data.data_dir, |_| Ok(AccountEdit { enabled: Some(enabled), ..AccountEdit::default() })).await
}

async fn edit(id: &str, data_dir: PathBuf, edit: impl FnOnce(&ProviderAccount) -> Result<AccountEdit, Failure>) -> Result<(), Failure> {
    let unknown = || Failure::Setup("there is no such account: `boxoffice providers list` shows them".to_owned());
    let id = ProviderAccountId::parse(id).map_err(|_| unknown())?;
    let (store, office, _) = open(data_dir).await?;
    let stored = store.account(&id).await?.ok_or_else(unknown)?;
    let edit = edit(&stored.account)?;
    let account = office.change(&stored.account.scope, &id, edit).await.map_err(failed)?;
    show(&account);
    eprintln!("every process knows within some seconds");
    Ok(())
}

fn scope(whose: &Whose) -> Result<Scope, Failure> {
    let mode = if whose.live { Mode::Live } else { Mode::Test };
    Scope::new(&whose.tenant, mode).map_err(|error| Failure::Setup(format!("--tenant: {error}")))
}

fn failed(error: AccountError) -> Failure {
    match error {
        AccountError::Store(error) => Failure::Store(error),
        AccountError::Refused(error) => {
            let param = error.param.map(|param| format!("{param} ")).unwrap_or_default();
            Failure::Setup(format!("{param}{}", error.message))
        }
        other => Failure::Setup(other.to_string()),
    }
}

impl ProviderSecrets {
    /// What is given. Of the environment only what `provider` has: the other's may be set for another account.
    fn read(&self, provider: ProviderKind) -> Result<CredentialParts, Failure> {
        if self.stdin {
            let mut text = String::new();
            std::io::stdin().lock().take(MAX_STDIN).read_to_string(&mut text).map_err(io("reading standard input"))?;
            // The library's words may quote a secret.
            let bad = |_| {
                Failure::Setup("standard input is no JSON object with secret_key, publishable_key, webhook_secrets or api_key".to_owned())
            };
            return serde_json::from_str(&text).map_err(bad);
        }
        let get = |name: &str, of: ProviderKind| std::env::var(name).ok().filter(|value| provider == of && !value.is_empty());
        let stripe = |name| get(name, ProviderKind::Stripe);
        let list = |text: String| text.split(',').map(|secret| Secret::new(secret.trim().to_owned())).collect();
        Ok(CredentialParts {
            secret_key: stripe("STRIPE_SECRET_KEY").map(Secret::new),
            publishable_key: stripe("STRIPE_PUBLISHABLE_KEY"),
            webhook_secrets: stripe("STRIPE_WEBHOOK_SECRETS").map(list),
            api_key: get("MOLLIE_API_KEY", ProviderKind::Mollie).map(Secret::new),
        })
    }
}
