//! The stand-in for Stripe's HTTP API as a program: for trying by hand, and as a target of load.
//!
//! `stripe_stand_in --listen 127.0.0.1:0 --latency-ms 20 --secret-key sk_test_… --webhook-url http://… --webhook-secret whsec_… --kept 20000`
//! prints its address and its key, and serves until SIGINT or SIGTERM.

use boxoffice_testkit::stripe::{Settings, StartError, StripeStandIn};
use std::{collections::BTreeMap, process::ExitCode, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "usage: stripe_stand_in [--listen ADDRESS:PORT] [--latency-ms N] [--secret-key sk_test_…] \
                     [--webhook-url URL --webhook-secret whsec_…] [--kept N]";
const OPTIONS: [&str; 6] = ["--listen", "--latency-ms", "--secret-key", "--webhook-url", "--webhook-secret", "--kept"];

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}\n{USAGE}")]
    Usage(String),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("signals: {0}")]
    Signals(#[from] std::io::Error),
}

/// What was asked for.
#[derive(Debug)]
struct Wishes {
    settings: Settings,
    latency: Duration,
    webhook: Option<(String, String)>,
}

impl Wishes {
    fn read(mut args: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut given = BTreeMap::new();
        while let Some(name) = args.next() {
            let known = OPTIONS.iter().find(|option| **option == name).ok_or_else(|| Failure::Usage(format!("unknown option {name}")))?;
            let value = args.next().ok_or_else(|| Failure::Usage(format!("{name} has no value")))?;
            given.insert(*known, value);
        }
        let wrong = |name: &str| Failure::Usage(format!("{name} cannot be read"));
        let mut settings = Settings { secret_key: given.remove("--secret-key"), ..Settings::default() };
        if let Some(listen) = given.remove("--listen") {
            settings.listen = listen.parse().map_err(|_| wrong("--listen"))?;
        }
        if let Some(kept) = given.remove("--kept") {
            settings.kept = kept.parse().map_err(|_| wrong("--kept"))?;
        }
        let latency = given.remove("--latency-ms").map_or(Ok(0), |text| text.parse().map_err(|_| wrong("--latency-ms")))?;
        let webhook = match (given.remove("--webhook-url"), given.remove("--webhook-secret")) {
            (Some(url), Some(secret)) => Some((url, secret)),
            (None, None) => None,
            _ => return Err(Failure::Usage("--webhook-url and --webhook-secret belong together".to_owned())),
        };
        Ok(Self { settings, latency: Duration::from_millis(latency), webhook })
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("stripe_stand_in: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let wishes = Wishes::read(std::env::args().skip(1))?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stand_in = StripeStandIn::start_with(wishes.settings).await?;
    stand_in.faults().set_latency(wishes.latency);
    if let Some((url, secret)) = &wishes.webhook {
        stand_in.webhooks().add(url, secret);
    }
    println!("{} {}", stand_in.url(), stand_in.secret_key());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
