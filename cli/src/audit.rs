//! `boxoffice audit`.

use crate::{command::Audit, exit::Failure, log, wire};
use boxoffice_common::ports::store::{CheckoutStore, UpkeepStore};
use std::{process::ExitCode, time::Duration};

/// Prints every breach; exit 1 when there is any left.
pub async fn run(args: Audit) -> Result<ExitCode, Failure> {
    log::start("warn");
    let (_, _, store) = wire::open_store(args.data.data_dir).await?;
    store.ping().await?;
    if args.repair {
        for done in store.repair().await? {
            println!("mended: {done}");
        }
    }
    let breaches = store.audit(Duration::from_secs(args.stuck_after)).await?;
    for breach in &breaches {
        println!("{}: {}: {}", breach.rule, breach.subject, breach.finding);
    }
    let counts = store.counts(None).await?;
    let counts: Vec<String> = counts.iter().map(|(status, count)| format!("{count} {status}")).collect();
    println!("{} at {}", if counts.is_empty() { "no checkouts".to_owned() } else { counts.join(", ") }, store.now().await?);
    if breaches.is_empty() {
        println!("every invariant holds");
        Ok(ExitCode::SUCCESS)
    } else {
        println!("{} breaches", breaches.len());
        Ok(ExitCode::FAILURE)
    }
}
