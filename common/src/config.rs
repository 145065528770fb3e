//! Configuration: environment with embedded defaults, checked as a whole before anything starts.

use crate::{
    adapters::{callback::signature::sign_text, mollie::MOLLIE_URL, provider_http::ApiAddress, sealing::Sealer, stripe::STRIPE_URL},
    domain::{
        card_testing::{Limits, MOST_KEPT},
        network::TrustedProxies,
        secret::Secret,
    },
};
use std::{path::PathBuf, time::Duration};

/// What a process is told by its environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// `DATABASE_URL`: `postgres:…` or `sqlite:…`; unset: SQLite in the data directory.
    pub database_url: Option<Secret<String>>,
    /// `AMQP_URL`; unset: the in-process queue.
    pub amqp_url: Option<Secret<String>>,
    /// `REDIS_URL`; unset: the in-process seat table and announcer.
    pub redis_url: Option<Secret<String>>,
    /// `SANDBOX_PROVIDER_URL`; unset: the sandbox runs inside `serve`.
    pub sandbox_url: Option<String>,
    /// `SANDBOX_WEBHOOK_SECRET`: `whsec_…`, with which the sandbox signs what it tells us; unset: `serve` with a sandbox of its own makes one, others take nothing.
    pub sandbox_webhook_secret: Option<Secret<String>>,
    /// `BOXOFFICE_SECRETS_KEY`: what credentials of tenants' accounts with payment providers are sealed with; several, comma-separated: the first
    /// seals, all open. Unset: there can be no such accounts, and those that there are do not work.
    pub secrets_key: Option<Secret<String>>,
    /// `BOXOFFICE_STRIPE_URL`: where Stripe's API is (`https://api.stripe.com/`); plain HTTP for a stand-in on this machine only.
    pub stripe_url: String,
    /// `BOXOFFICE_MOLLIE_URL`: where Mollie's API is (`https://api.mollie.com/`); plain HTTP for a stand-in on this machine only.
    pub mollie_url: String,
    /// `BOXOFFICE_PUBLIC_URL`: how browsers reach this server, for links; unset: the listening address.
    pub public_url: Option<String>,
    /// `--data-dir`: where the embedded databases lie.
    pub data_dir: PathBuf,
    /// `BOXOFFICE_ALLOW_PRIVATE_CALLBACKS=true`: callbacks may go to private addresses.
    pub allow_private_callbacks: bool,
    /// `BOXOFFICE_CLOCK_AHEAD_MS`: for tests of clocks that disagree.
    pub clock_ahead_ms: i64,
    /// `BOXOFFICE_LEASE_MS`: how long a worker may hold an attempt (30,000).
    pub lease: Duration,
    /// `BOXOFFICE_PROVIDER_TIMEOUT_MS`: the whole of one provider call (10,000). Shorter than the lease.
    pub provider_timeout: Duration,
    /// `BOXOFFICE_PROVIDER_CONCURRENCY`: calls to one provider at once (256).
    pub provider_concurrency: usize,
    /// `BOXOFFICE_KEY_WINDOW_MS`: how long an unknown outcome is pursued (23 h; the sandbox remembers keys for 24 h).
    pub key_window: Duration,
    /// `BOXOFFICE_PREFETCH`: checkouts in hand at once per worker (256).
    pub prefetch: u16,
    /// `BOXOFFICE_RATE_LIMIT`: requests per second and key, with as many in a burst of two seconds; 0: no limit (0 with `--demo`, else 1,000).
    pub rate_limit_per_second: u32,
    /// `BOXOFFICE_TRUSTED_PROXIES`: addresses and networks, comma-separated, whose `X-Forwarded-For` is believed. Unset: nobody's.
    pub trusted_proxies: TrustedProxies,
    /// `BOXOFFICE_CARD_TESTING` (`on`; `off` with `--demo`), and `…_WINDOW_MS` (900,000), `…_FREE` (4), `…_WAIT_MS` (5,000), `…_STOP` (20) and `…_TENANT` (100):
    /// from when on tries to pay by card on our page are slowed and stopped. `None`: never.
    pub card_testing: Option<Limits>,
    /// `BOXOFFICE_MAX_QUEUE_DEPTH`: above it, new checkouts are shed with 503 (100,000).
    pub max_queue_depth: u64,
    /// `BOXOFFICE_CALLBACK_SCHEDULE_MS`: comma-separated waits before each callback try, instead of the standard ones; for tests.
    pub callback_schedule: Option<Vec<Duration>>,
    /// `BOXOFFICE_CALLBACK_TIMEOUT_MS`: the whole of one callback try (15,000). A worker that dies in one is waited for four times as long.
    pub callback_timeout: Duration,
    /// `BOXOFFICE_CALLBACK_CA_FILE`: certificates (PEM) that callbacks trust beside the system's, for receivers with a CA of their own.
    pub callback_ca_file: Option<PathBuf>,
    /// `BOXOFFICE_QUEUE_PREFIX`: what every name on the broker begins with, so that installations can share one (`boxoffice`).
    pub queue_prefix: String,
    /// `BOXOFFICE_RESCUE_MS`: how often overdue work is looked for (1,000), and after which grace it counts as overdue.
    pub rescue_every: Duration,
}

/// What is wrong with the environment and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {problem}")]
pub struct ConfigError {
    /// The variable.
    pub variable: &'static str,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl Config {
    /// Reads the process's environment.
    pub fn from_env(data_dir: PathBuf) -> Result<Self, ConfigError> {
        Self::read(data_dir, &|name| std::env::var(name).ok())
    }

    /// Reads variables through `get`.
    pub fn read(data_dir: PathBuf, get: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let text = |name: &str| get(name).filter(|value| !value.is_empty());
        let number = |name: &'static str, default: u64| match text(name) {
            None => Ok(default),
            Some(value) => value.parse().map_err(|_| ConfigError { variable: name, problem: format!("{value:?} is not a whole number") }),
        };
        let millis = |name, default| number(name, default).map(Duration::from_millis);
        let schedule =
            |value: String| value.split(',').map(|ms| ms.trim().parse().map(Duration::from_millis)).collect::<Result<Vec<_>, _>>();
        let count = |name, default| number(name, default).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        let usual = Limits::default();
        let limits = Limits {
            window: millis("BOXOFFICE_CARD_TESTING_WINDOW_MS", 900_000)?,
            free: count("BOXOFFICE_CARD_TESTING_FREE", usual.free.into())?,
            wait: millis("BOXOFFICE_CARD_TESTING_WAIT_MS", 5_000)?,
            stop: count("BOXOFFICE_CARD_TESTING_STOP", usual.stop.into())?,
            tenant: count("BOXOFFICE_CARD_TESTING_TENANT", usual.tenant.into())?,
        };
        let config = Self {
            database_url: text("DATABASE_URL").map(Secret::new),
            amqp_url: text("AMQP_URL").map(Secret::new),
            redis_url: text("REDIS_URL").map(Secret::new),
            sandbox_url: text("SANDBOX_PROVIDER_URL"),
            sandbox_webhook_secret: text("SANDBOX_WEBHOOK_SECRET").map(Secret::new),
            secrets_key: text("BOXOFFICE_SECRETS_KEY").map(Secret::new),
            stripe_url: text("BOXOFFICE_STRIPE_URL").unwrap_or_else(|| STRIPE_URL.to_owned()),
            mollie_url: text("BOXOFFICE_MOLLIE_URL").unwrap_or_else(|| MOLLIE_URL.to_owned()),
            public_url: text("BOXOFFICE_PUBLIC_URL").map(|url| url.trim_end_matches('/').to_owned()),
            data_dir,
            allow_private_callbacks: text("BOXOFFICE_ALLOW_PRIVATE_CALLBACKS").is_some_and(|value| value == "true"),
            clock_ahead_ms: match text("BOXOFFICE_CLOCK_AHEAD_MS") {
                None => 0,
                Some(value) => value.parse().map_err(|_| ConfigError {
                    variable: "BOXOFFICE_CLOCK_AHEAD_MS",
                    problem: format!("{value:?} is not a whole number"),
                })?,
            },
            lease: millis("BOXOFFICE_LEASE_MS", 30_000)?,
            provider_timeout: millis("BOXOFFICE_PROVIDER_TIMEOUT_MS", 10_000)?,
            provider_concurrency: usize::try_from(number("BOXOFFICE_PROVIDER_CONCURRENCY", 256)?).unwrap_or(256).max(1),
            key_window: millis("BOXOFFICE_KEY_WINDOW_MS", 23 * 3600 * 1000)?,
            prefetch: u16::try_from(number("BOXOFFICE_PREFETCH", 256)?).unwrap_or(u16::MAX).max(1),
            rate_limit_per_second: u32::try_from(number("BOXOFFICE_RATE_LIMIT", 1_000)?).unwrap_or(u32::MAX),
            trusted_proxies: TrustedProxies::parse(&text("BOXOFFICE_TRUSTED_PROXIES").unwrap_or_default())
                .map_err(|error| ConfigError { variable: "BOXOFFICE_TRUSTED_PROXIES", problem: error.to_string() })?,
            card_testing: match text("BOXOFFICE_CARD_TESTING").as_deref() {
                None | Some("on") => Some(limits),
                Some("off") => None,
                Some(_) => return Err(ConfigError { variable: "BOXOFFICE_CARD_TESTING", problem: "must be on or off".to_owned() }),
            },
            max_queue_depth: number("BOXOFFICE_MAX_QUEUE_DEPTH", 100_000)?,
            callback_schedule: match text("BOXOFFICE_CALLBACK_SCHEDULE_MS") {
                None => None,
                Some(value) => Some(schedule(value).map_err(|_| ConfigError {
                    variable: "BOXOFFICE_CALLBACK_SCHEDULE_MS",
                    problem: "not a list of whole numbers, such as 0,200,1000".to_owned(),
                })?),
            },
            callback_timeout: millis("BOXOFFICE_CALLBACK_TIMEOUT_MS", 15_000)?,
            callback_ca_file: text("BOXOFFICE_CALLBACK_CA_FILE").map(PathBuf::from),
            queue_prefix: text("BOXOFFICE_QUEUE_PREFIX").unwrap_or_else(|| "boxoffice".to_owned()),
            rescue_every: millis("BOXOFFICE_RESCUE_MS", 1_000)?,
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let wrong = |variable, problem: &str| Err(ConfigError { variable, problem: problem.to_owned() });
        if let Some(url) = &self.database_url {
            let known = ["postgres:", "postgresql:", "sqlite:"].iter().any(|scheme| url.reveal().starts_with(scheme));
            if !known {
                return wrong("DATABASE_URL", "must begin with postgres: or sqlite:");
            }
        }
        if self.sandbox_webhook_secret.as_ref().is_some_and(|secret| sign_text(secret, "").is_err()) {
            return wrong("SANDBOX_WEBHOOK_SECRET", "must be whsec_ followed by the Base64 of 24 to 64 bytes");
        }
        if let Err(error) = self.secrets_key.as_ref().map(Sealer::parse).transpose() {
            return wrong("BOXOFFICE_SECRETS_KEY", &error.to_string());
        }
        if ApiAddress::parse(&self.stripe_url).is_err() {
            return wrong("BOXOFFICE_STRIPE_URL", "must be https:// with a host and a final slash, or http:// on this machine");
        }
        if ApiAddress::parse(&self.mollie_url).is_err() {
            return wrong("BOXOFFICE_MOLLIE_URL", "must be https:// with a host and a final slash, or http:// on this machine");
        }
        if self.provider_timeout >= self.lease {
            return wrong("BOXOFFICE_PROVIDER_TIMEOUT_MS", "must be shorter than BOXOFFICE_LEASE_MS: a call may not outlive its lease");
        }
        if let Some(limits) = self.card_testing {
            if limits.window.is_zero() {
                return wrong("BOXOFFICE_CARD_TESTING_WINDOW_MS", "must be at least 1");
            }
            let most = u32::try_from(MOST_KEPT).unwrap_or(u32::MAX);
            if limits.free == 0 || limits.stop <= limits.free || limits.stop > most {
                return wrong(
                    "BOXOFFICE_CARD_TESTING_STOP",
                    "must be above BOXOFFICE_CARD_TESTING_FREE, which is at least 1, and at most 100",
                );
            }
            if limits.tenant == 0 {
                return wrong("BOXOFFICE_CARD_TESTING_TENANT", "must be at least 1");
            }
        }
        for (variable, duration) in [("BOXOFFICE_RESCUE_MS", self.rescue_every), ("BOXOFFICE_CALLBACK_TIMEOUT_MS", self.callback_timeout)] {
            if duration.is_zero() {
                return wrong(variable, "must be at least 1");
            }
        }
        Ok(())
    }

    /// Whether the store is a PostgreSQL server.
    pub fn is_postgres(&self) -> bool {
        self.database_url.as_ref().is_some_and(|url| url.reveal().starts_with("postgres"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let get = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Config::read(PathBuf::from("data"), &get)
    }

    #[test]
    fn nothing_set_means_embedded() {
        let config = read(&[]).unwrap();
        assert!(config.database_url.is_none() && config.amqp_url.is_none() && config.redis_url.is_none());
    }

    #[test]
    fn a_wrong_value_is_named() {
        let variable = |pairs| read(pairs).unwrap_err().variable;
        assert_eq!(variable(&[("DATABASE_URL", "mysql://x")]), "DATABASE_URL");
        assert_eq!(variable(&[("BOXOFFICE_LEASE_MS", "soon")]), "BOXOFFICE_LEASE_MS");
        assert_eq!(variable(&[("BOXOFFICE_LEASE_MS", "5000")]), "BOXOFFICE_PROVIDER_TIMEOUT_MS");
        assert_eq!(variable(&[("SANDBOX_WEBHOOK_SECRET", "hunter2")]), "SANDBOX_WEBHOOK_SECRET");
        assert_eq!(variable(&[("BOXOFFICE_MOLLIE_URL", "http://api.mollie.com/")]), "BOXOFFICE_MOLLIE_URL");
        assert_eq!(variable(&[("BOXOFFICE_CALLBACK_TIMEOUT_MS", "0")]), "BOXOFFICE_CALLBACK_TIMEOUT_MS");
        assert_eq!(variable(&[("BOXOFFICE_SECRETS_KEY", "hunter2")]), "BOXOFFICE_SECRETS_KEY");
        assert_eq!(variable(&[("BOXOFFICE_TRUSTED_PROXIES", "proxy.example")]), "BOXOFFICE_TRUSTED_PROXIES");
        assert_eq!(variable(&[("BOXOFFICE_CARD_TESTING", "maybe")]), "BOXOFFICE_CARD_TESTING");
        for (name, value) in [("FREE", "0"), ("FREE", "20"), ("STOP", "4"), ("STOP", "101")] {
            let name = format!("BOXOFFICE_CARD_TESTING_{name}");
            assert_eq!(read(&[(&name, value)]).unwrap_err().variable, "BOXOFFICE_CARD_TESTING_STOP", "{name} {value}");
        }
    }

    #[test]
    fn card_testing_is_watched_for_unless_it_is_off() {
        assert_eq!(read(&[]).unwrap().card_testing, Some(Limits::default()));
        assert_eq!(read(&[("BOXOFFICE_CARD_TESTING", "off"), ("BOXOFFICE_CARD_TESTING_STOP", "0")]).unwrap().card_testing, None);
    }

    #[test]
    fn no_secret_shows_itself() {
        let key = Sealer::generate_key().unwrap();
        let config = read(&[("BOXOFFICE_SECRETS_KEY", key.reveal()), ("DATABASE_URL", "postgres://x:planted@y/z")]).unwrap();
        let shown = format!("{config:?}");
        assert!(!shown.contains(key.reveal().as_str()) && !shown.contains("planted"), "{shown}");
        let error = read(&[("BOXOFFICE_SECRETS_KEY", "planted")]).unwrap_err().to_string();
        assert!(!error.contains("planted"), "{error}");
    }
}
