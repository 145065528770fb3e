//! What `boxoffice bench` can be asked.

use super::{error::BenchError, provider::Provider, scenario::Kind};
use boxoffice_common::domain::secret::Secret;
use clap::{Args, ValueEnum};
use std::{path::PathBuf, time::Duration};

/// How long a run takes when neither `--duration` nor `--count` says.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);
/// Never more connections than this: each is a socket on both sides.
const MAX_CONNECTIONS: usize = 4_096;

/// How the next checkout is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Each of `--concurrency` buyers starts the next when the last one is terminal.
    Closed,
    /// `--rate` a second, whatever the server does. Latency counts from when a checkout was due, not from when it could be sent.
    Open,
}

/// Arguments of `boxoffice bench`.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// What is bought.
    #[arg(long, value_enum, default_value_t = Kind::Card)]
    pub scenario: Kind,
    /// How the next checkout is started.
    #[arg(long, value_enum, default_value_t = Mode::Closed)]
    pub mode: Mode,
    /// Closed loop: buyers at once (64). Open loop: connections at most (one for every two checkouts a second, 16 to 1,024).
    #[arg(long)]
    pub concurrency: Option<usize>,
    /// Open loop: checkouts a second.
    #[arg(long, default_value_t = 200)]
    pub rate: u32,
    /// How long, such as 30s or 2m (10s, unless --count is given).
    #[arg(long, value_parser = duration)]
    pub duration: Option<Duration>,
    /// How many checkouts (for `hot`: 50,000).
    #[arg(long)]
    pub count: Option<u64>,
    /// Load before the measurement, not counted.
    #[arg(long, value_parser = duration, default_value = "2s")]
    pub warmup: Duration,
    /// Sell this many checkouts first, so that the store is full.
    #[arg(long, default_value_t = 0)]
    pub preload: u64,
    /// A running server, such as http://127.0.0.1:8080. Set its BOXOFFICE_RATE_LIMIT=0.
    #[arg(long, conflicts_with_all = ["embedded", "distributed"], requires = "key")]
    pub url: Option<String>,
    /// The API key for --url, with scopes to write checkouts and catalogue.
    #[arg(long, env = "BOXOFFICE_BENCH_KEY", hide_env_values = true, value_parser = secret)]
    pub key: Option<Secret<String>>,
    /// With --url: a process whose CPU time counts, such as api=1234. Repeatable.
    #[arg(long = "process", value_name = "NAME=PID", value_parser = process, requires = "url")]
    pub processes: Vec<(String, u32)>,
    /// Start `boxoffice serve` on an empty folder (the default).
    #[arg(long, conflicts_with = "distributed")]
    pub embedded: bool,
    /// Start private PostgreSQL, RabbitMQ and Redis, one API, workers and the sandbox provider.
    #[arg(long)]
    pub distributed: bool,
    /// With --distributed: how many workers.
    #[arg(long, default_value_t = 2)]
    pub workers: usize,
    /// Whom the servers that are started charge through. Stripe is played by this process: its CPU time is the load generator's.
    #[arg(long, value_enum, default_value_t = Provider::Sandbox, conflicts_with = "url")]
    pub provider: Provider,
    /// How long that provider takes for each call, such as 20ms.
    #[arg(long, value_parser = duration, default_value = "0ms", conflicts_with = "url")]
    pub provider_latency: Duration,
    /// With --provider stripe: it also tells of each payment by signed events, as Stripe does.
    #[arg(long, conflicts_with = "url")]
    pub provider_events: bool,
    /// Also measure the raw operations under a checkout, and how the whole compares with their sum.
    #[arg(long, conflicts_with = "url")]
    pub floor: bool,
    /// A variable for the servers that are started, such as BOXOFFICE_PREFETCH=64. Repeatable.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    pub env: Vec<(String, String)>,
    /// Also write the report to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

impl BenchArgs {
    /// When the load ends: after so many, after so long, or whichever comes first.
    pub(super) fn end(&self) -> (Option<u64>, Option<Duration>) {
        match (self.count.or(self.scenario.default_count()), self.duration) {
            (None, None) => (None, Some(DEFAULT_DURATION)),
            end => end,
        }
    }

    /// How the next checkout is started. New sales beside a drain come whatever the server does.
    pub(super) fn mode(&self) -> Mode {
        if self.scenario == Kind::Drain { Mode::Open } else { self.mode }
    }

    /// How many connections the load uses.
    pub(super) fn connections(&self) -> usize {
        let by_rate = usize::try_from(self.rate).unwrap_or(MAX_CONNECTIONS).div_ceil(2).clamp(16, 1_024);
        let default = if self.mode() == Mode::Open { by_rate } else { 64 };
        self.concurrency.unwrap_or(default).clamp(1, MAX_CONNECTIONS)
    }

    /// Refuses what would measure nothing.
    pub(super) fn check(&self) -> Result<(), BenchError> {
        let wrong = |text: &str| Err(BenchError::Usage(text.to_owned()));
        if self.mode() == Mode::Open && self.rate == 0 {
            return wrong("--rate must be at least 1");
        }
        if self.distributed && self.workers == 0 {
            return wrong("--workers must be at least 1");
        }
        if self.provider_events && self.provider != Provider::Stripe {
            return wrong("--provider-events are told by --provider stripe only");
        }
        if self.count == Some(0) || self.duration.is_some_and(|duration| duration.is_zero()) {
            return wrong("nothing to do: --count and --duration must be more than nothing");
        }
        Ok(())
    }
}

/// `500ms`, `30s`, `2m`; a bare number is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| format!("{text:?} is not a time such as 30s"))?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "" | "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        _ => Err(format!("{unit:?} is not ms, s or m")),
    }
}

fn secret(text: &str) -> Result<Secret<String>, std::convert::Infallible> {
    Ok(Secret::new(text.to_owned()))
}

fn process(text: &str) -> Result<(String, u32), String> {
    let (name, pid) = variable(text)?;
    pid.parse().map(|pid| (name, pid)).map_err(|_| format!("{pid:?} is not a process id"))
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
