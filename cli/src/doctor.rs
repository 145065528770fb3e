//! `boxoffice doctor`: checks every dependency and says what is wrong and how to mend it.

use crate::{
    exit::Failure,
    log,
    wire::{self, Sandbox},
};
use boxoffice_common::{
    adapters::{
        provider_registry::OpenedAccount,
        queue::{RabbitOptions, RabbitQueue},
        seats::{Lifetimes, RedisSeats},
        sql::SqlStore,
    },
    config::Config,
    domain::{id::Entropy, secret::Secret},
    ports::{
        clock::{Clock, SystemClock},
        queue::Queue,
        seats::Seats,
        store::{CheckoutStore, ProviderAccountStore, UpkeepStore},
    },
};
use futures::StreamExt;
use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

/// How long one check may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Clocks that differ by more are worth a word. Nothing is decided by them, but logs are read side by side.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5);

/// How many payment accounts are looked at.
const MAX_ACCOUNTS: u32 = 500;
/// How many of them at once.
const ACCOUNTS_AT_ONCE: usize = 8;

/// What a check found: well, or what is wrong and how to mend it.
type Found = Result<String, (String, &'static str)>;

/// Prints a line for each dependency; exit 1 when one does not work.
pub async fn run(data_dir: PathBuf) -> Result<ExitCode, Failure> {
    log::start("error");
    let config = match Config::from_env(data_dir) {
        Ok(config) => config,
        Err(error) => {
            println!("✗ configuration: {error}");
            return Ok(ExitCode::FAILURE);
        }
    };
    println!("✓ configuration");
    let mut well = true;
    let (store, queue, seats, sandbox) =
        tokio::join!(check(store(&config)), check(queue(&config)), check(seats(&config)), check(sandbox(&config)));
    for (name, found) in [("store", store), ("queue", queue), ("seat table", seats), ("sandbox provider", sandbox)] {
        match found {
            Ok(words) => println!("✓ {name}: {words}"),
            Err((problem, mend)) => {
                well = false;
                println!("✗ {name}: {problem}\n  → {mend}");
            }
        }
    }
    well &= accounts(&config).await;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn check(look: impl Future<Output = Found>) -> Found {
    let late =
        || Err((format!("no answer within {} s", PATIENCE.as_secs()), "check the address, the firewall, and whether the server is up"));
    tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| late())
}

/// A line for each payment account; whether all that are enabled work. Nothing where there is none, or no store: that has a line of its own.
async fn accounts(config: &Config) -> bool {
    let Ok(Some(store)) = tokio::time::timeout(PATIENCE, open(config)).await else { return true };
    let store = Arc::new(store);
    let stored = match store.all_accounts(None, MAX_ACCOUNTS).await {
        Ok(stored) => stored,
        Err(_) => return true,
    };
    let registry = match wire::accounts_alone(config, &store) {
        Ok(registry) => registry,
        Err(error) => {
            println!("✗ payment accounts: {error}");
            return false;
        }
    };
    if stored.len() >= MAX_ACCOUNTS as usize {
        println!("  only the oldest {MAX_ACCOUNTS} payment accounts are looked at");
    }
    let office = registry.office();
    let looks = stored.into_iter().map(|stored| (registry.open(stored.clone()), stored)).map(|(opened, stored)| async move {
        let late = || Err((format!("no answer within {} s", PATIENCE.as_secs()), "check the network of this machine".to_owned()));
        let asked = async {
            let words = opened.check().await.map_err(|failed| (failed.problem, failed.mend))?;
            // Whose it is was to be told when it was added: without it, another account's keys could take the place of its own.
            Ok(match office.learn(&stored).await {
                Ok(Some(own_id)) => format!("{words}; noted that it is {own_id} there"),
                Ok(None) | Err(_) => words,
            })
        };
        let found = tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| late());
        (opened, found)
    });
    let mut looks = futures::stream::iter(looks).buffered(ACCOUNTS_AT_ONCE);
    let mut well = true;
    while let Some((opened, found)) = looks.next().await {
        well &= tell(&opened, found);
    }
    well
}

/// A disabled one that does not work is told, and is no failure.
fn tell(opened: &OpenedAccount, found: Result<String, (String, String)>) -> bool {
    let account = opened.account();
    let state = if account.enabled { "" } else { ", disabled" };
    let name = format!("payment account {} ({}, {}{state}, {:?})", account.id, account.provider.as_str(), account.scope, account.name);
    match found {
        Ok(words) => {
            println!("✓ {name}: {words}");
            true
        }
        Err((problem, mend)) => {
            println!("✗ {name}: {problem}\n  → {mend}");
            !account.enabled
        }
    }
}

/// The store, if it is there and its schema is ours.
async fn open(config: &Config) -> Option<SqlStore> {
    let embedded = config.data_dir.join("boxoffice.db");
    if config.database_url.is_none() && !embedded.exists() {
        return None;
    }
    let url = config.database_url.clone().unwrap_or_else(|| Secret::new(format!("sqlite://{}", embedded.display())));
    let clock = Arc::new(SystemClock::ahead_by_ms(config.clock_ahead_ms));
    let store = SqlStore::open(&url, clock, Arc::new(Entropy::from_os())).await.ok()?;
    store.ping().await.ok()?;
    Some(store)
}

async fn store(config: &Config) -> Found {
    let mend = "check DATABASE_URL, that the server is up and that the user may connect";
    let embedded = config.data_dir.join("boxoffice.db");
    if config.database_url.is_none() && !embedded.exists() {
        return Ok(format!("embedded; {} is made at the first start", embedded.display()));
    }
    let url = config.database_url.clone().unwrap_or_else(|| Secret::new(format!("sqlite://{}", embedded.display())));
    let clock = Arc::new(SystemClock::ahead_by_ms(config.clock_ahead_ms));
    let store = SqlStore::open(&url, clock.clone(), Arc::new(Entropy::from_os())).await.map_err(|error| (error.to_string(), mend))?;
    store.ping().await.map_err(|error| (error.to_string(), "run `boxoffice migrate`"))?;
    let theirs = store.now().await.map_err(|error| (error.to_string(), mend))?;
    let apart = clock.now().since(theirs).max(theirs.since(clock.now()));
    let kind = if config.is_postgres() { "PostgreSQL" } else { "SQLite" };
    if apart > CLOCKS_DIFFER {
        return Ok(format!(
            "{kind} answers, its schema is current; its clock and ours are {} s apart (harmless, but mend it)",
            apart.as_secs()
        ));
    }
    Ok(format!("{kind} answers, its schema is current"))
}

async fn queue(config: &Config) -> Found {
    let Some(url) = &config.amqp_url else { return Ok("in this process".to_owned()) };
    let mend = "check AMQP_URL (amqp://user:password@host:5672/vhost), and that the broker is 3.10 or newer with quorum queues";
    let options = RabbitOptions { patience: PATIENCE / 2, prefix: config.queue_prefix.clone() };
    let queue = RabbitQueue::connect(url, options).await.map_err(|error| (error.to_string(), mend))?;
    queue.ping().await.map_err(|error| (error.to_string(), mend))?;
    Ok("RabbitMQ answers, its queues are declared".to_owned())
}

async fn seats(config: &Config) -> Found {
    let Some(url) = &config.redis_url else { return Ok("in this process".to_owned()) };
    let mend = "check REDIS_URL (redis://:password@host:6379/0); until it answers, a bounded number of tries goes to the store";
    let seats = RedisSeats::connect(url, Lifetimes::default()).map_err(|error| (error.to_string(), mend))?;
    seats.ping().await.map_err(|error| (error.to_string(), mend))?;
    Ok("Redis answers".to_owned())
}

async fn sandbox(config: &Config) -> Found {
    if config.sandbox_url.is_none() {
        return Ok("inside `boxoffice serve`".to_owned());
    }
    let mend = "check SANDBOX_PROVIDER_URL, and that `boxoffice sandbox` is up";
    let there = Sandbox::open(config, &Arc::new(Entropy::from_os()), "").await.map_err(|error| (error.to_string(), mend))?;
    boxoffice_api::SandboxBook::charges(&there, "doctor").await.map_err(|error| (error.to_string(), mend))?;
    Ok("answers".to_owned())
}
