//! `boxoffice audit`: the store's invariants, and the seat table held against the store.

mod seats;

use crate::{command::Audit, exit::Failure, log, wire};
use boxoffice_common::{
    adapters::seats::{Lifetimes, RedisSeats},
    config::Config,
    ports::store::{CheckoutStore, UpkeepStore},
};
use std::{process::ExitCode, time::Duration};

/// Prints every breach; exit 1 when there is any left, or when something could not be looked at.
pub async fn run(args: Audit) -> Result<ExitCode, Failure> {
    log::start("warn");
    let (config, _, store) = wire::open_store(args.data.data_dir).await?;
    store.ping().await?;
    let table = seat_table(&config)?;
    if args.repair {
        for done in store.repair().await? {
            println!("mended: {done}");
        }
        // After the store, which is what the table is held against. A table that does not answer is told below.
        if let Some(table) = &table
            && let Ok(dropped @ 1..) = seats::mend(&*store, table).await
        {
            println!("mended: {dropped} things dropped from the seat table, to be loaded again");
        }
    }
    let mut breaches = store.audit(Duration::from_secs(args.stuck_after)).await?;
    let mut unseen = None;
    if let Some(table) = &table {
        match seats::look(&*store, table).await {
            Ok(found) => breaches.extend(found.breaches),
            Err(seats::LookError::Store(error)) => return Err(error.into()),
            Err(seats::LookError::Seats(error)) => unseen = Some(error),
        }
    }
    for breach in &breaches {
        println!("{}: {}: {}", breach.rule, breach.subject, breach.finding);
    }
    let counts = store.counts(None).await?;
    let counts: Vec<String> = counts.iter().map(|(status, count)| format!("{count} {status}")).collect();
    println!("{} at {}", if counts.is_empty() { "no checkouts".to_owned() } else { counts.join(", ") }, store.now().await?);
    if let Some(error) = &unseen {
        println!("the seat table was not looked at: {error}");
    }
    match breaches.len() {
        0 if unseen.is_none() => {
            println!("every invariant holds");
            Ok(ExitCode::SUCCESS)
        }
        0 => Ok(ExitCode::FAILURE),
        count => {
            println!("{count} breaches");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The seat table that processes share. The one inside `boxoffice serve` ends with it, and nobody else sees it.
fn seat_table(config: &Config) -> Result<Option<RedisSeats>, Failure> {
    let Some(url) = &config.redis_url else { return Ok(None) };
    RedisSeats::connect(url, Lifetimes::default()).map(Some).map_err(|error| Failure::Redis(error.to_string()))
}
