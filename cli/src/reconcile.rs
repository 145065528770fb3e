//! `boxoffice reconcile`: a provider's book held against ours, and what differs mended where that is safe.

mod json;
mod progress;
mod report;
mod seen;
mod tally;
mod walk;
mod when;

use crate::{command::Reconcile, exit::Failure, log, wire};
use boxoffice_common::{
    adapters::{provider_registry::ProviderRegistry, sql::SqlStore},
    domain::{
        id::ProviderAccountId,
        provider_account::{ProviderAccount, ProviderKind},
        reconcile::Moment,
    },
    ports::store::{CheckoutStore, ProviderAccountStore, StoredAccount, UpkeepStore},
};
use boxoffice_worker::WorkerContext;
use std::{process::ExitCode, sync::Arc};
use tally::Tally;
use walk::{Walk, Window};

/// How many accounts are read at once.
const PAGE: u32 = 100;
/// The command could not be carried out, or was told what it cannot do. 1 says that the books differ.
const FAILED: u8 = 2;

/// What the walk works with.
struct Office {
    store: Arc<SqlStore>,
    registry: Arc<ProviderRegistry>,
    /// Only with `--repair`.
    mender: Option<Arc<WorkerContext>>,
}

/// For whom it is told, on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A report of each account when it was gone through.
    People,
    /// JSON lines, as it is found.
    Json,
}

/// What came of looking at one account.
struct Looked {
    account: ProviderAccount,
    /// For people.
    name: String,
    /// However far it came.
    tally: Tally,
    /// Why there was nothing to be looked at: it is disabled, and does not work here.
    passed_over: Option<String>,
    /// What kept it from its end.
    failure: Option<Failure>,
}

/// Reports what differs; exit 0 when nothing does, or all of it was mended, 1 when something is left, 2 when it could not be looked at.
pub async fn run(args: Reconcile) -> ExitCode {
    match reconciled(args).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(FAILED)
        }
    }
}

/// Whether the books agree in the end.
async fn reconciled(args: Reconcile) -> Result<bool, Failure> {
    log::start("warn");
    let provider = ProviderKind::parse(&args.provider).ok_or_else(|| {
        let known = ProviderKind::ALL.map(ProviderKind::as_str).join(", ");
        Failure::Setup(format!("--provider: there is no such provider; there are {known}"))
    })?;
    let grace = when::span(&args.grace).ok_or_else(|| bad("--grace", "a time such as 90s, 5m or 1h"))?;
    let office = open(&args).await?;
    let now = office.store.now().await?;
    let since = when::moment(&args.since, now).ok_or_else(|| bad("--since", when::WORDS))?;
    let until = args.until.as_deref().map_or(Some(now), |until| when::moment(until, now)).ok_or_else(|| bad("--until", when::WORDS))?;
    let window = Window { since, until: until.min(now) };
    if window.since >= window.until {
        return Err(Failure::Setup("--since has to be before --until, and not in the future".to_owned()));
    }
    let accounts = accounts(&office.store, provider, args.account.as_deref()).await?;
    let form = if args.json { Form::Json } else { Form::People };
    let mut looked = Vec::with_capacity(accounts.len());
    // Whichever fails, the others are looked at all the same.
    for stored in accounts {
        let one = one(&office, stored, window, Moment { now, grace }, form).await;
        if form == Form::People {
            report::print(&one);
        }
        looked.push(one);
    }
    if form == Form::Json {
        json::summary(provider, window, &looked)?;
    }
    let agree = looked.iter().all(|looked| looked.tally.agrees());
    let mut failed = looked.into_iter().filter_map(|looked| looked.failure).peekable();
    while let Some(failure) = failed.next() {
        if failed.peek().is_none() {
            return Err(failure);
        }
        eprintln!("error: {failure}");
    }
    if form == Form::People {
        println!("{}", if agree { "the books agree" } else { "the books differ" });
    }
    Ok(agree)
}

/// Looks at one account. One that is disabled and does not work is told, and is no failure.
async fn one(office: &Office, stored: StoredAccount, window: Window, moment: Moment, form: Form) -> Looked {
    let opened = office.registry.open(stored);
    let account = opened.account();
    let name = format!("{} ({}, {}, {:?})", account.id, account.provider.as_str(), account.scope, account.name);
    let mut looked = Looked { account: account.clone(), name, tally: Tally::default(), passed_over: None, failure: None };
    let Some(book) = opened.book() else {
        let problem = opened.problem().unwrap_or("its book cannot be read");
        let words = format!("{} does not work here: {problem}; `boxoffice doctor` says what to do", looked.name);
        if account.enabled {
            looked.failure = Some(Failure::Setup(words));
        } else {
            looked.passed_over = Some(words);
        }
        return looked;
    };
    let (tally, gone) = Walk::new(office, book, account, window, moment, form).run().await;
    looked.tally = tally;
    looked.failure = gone.err().map(|failure| Failure::Reconcile(looked.name.clone(), Box::new(failure)));
    looked
}

/// With `--repair` all that a worker has: what is mended is followed up like an event. Otherwise the store and the accounts.
async fn open(args: &Reconcile) -> Result<Office, Failure> {
    let data_dir = args.data.data_dir.clone();
    if args.repair {
        let engine = wire::engine(data_dir, false).await?;
        let registry = wire::registry(&engine, None)?;
        let mender = wire::worker_context(&engine, Arc::clone(&registry))?;
        return Ok(Office { store: engine.store, registry, mender: Some(mender) });
    }
    let (config, _, store) = wire::open_store(data_dir).await?;
    store.ping().await?;
    let registry = Arc::new(wire::accounts_alone(&config, &store)?);
    Ok(Office { store, registry, mender: None })
}

/// The one that is named, or all of the provider's. One that is disabled has a book, too.
async fn accounts(store: &SqlStore, provider: ProviderKind, named: Option<&str>) -> Result<Vec<StoredAccount>, Failure> {
    if let Some(named) = named {
        let id = ProviderAccountId::parse(named).map_err(|_| bad("--account", "an account's id, pac_…"))?;
        let found = store.account(&id).await?.filter(|stored| stored.account.provider == provider);
        let found = found.ok_or_else(|| {
            Failure::Setup(format!("--account: there is no such account with {}; `boxoffice providers list` shows them", provider.as_str()))
        })?;
        return Ok(vec![found]);
    }
    let (mut found, mut after) = (Vec::new(), None::<ProviderAccountId>);
    loop {
        let page = store.all_accounts(after.as_ref(), PAGE).await?;
        after = page.last().map(|stored| stored.account.id.clone());
        let is_last = page.len() < PAGE as usize;
        found.extend(page.into_iter().filter(|stored| stored.account.provider == provider));
        if is_last || after.is_none() {
            break;
        }
    }
    if found.is_empty() {
        return Err(Failure::Setup(format!("there is no account with {}", provider.as_str())));
    }
    Ok(found)
}

fn bad(option: &str, wanted: &str) -> Failure {
    Failure::Setup(format!("{option} wants {wanted}"))
}
