//! The counts in Redis, shared by all processes of the API; the rules of counting are in `tries.lua`, and Redis' own clock decides. Addresses do
//! not get here: a network has a name that tells none.
//!
//! While Redis does not answer nobody is kept from paying because of that: this process goes on with counts of its own.

use super::memory::MemoryCardTries;
use crate::{
    adapters::redis_link::{Ask, BadRedisUrl, RedisLink},
    domain::{
        card_testing::{End, Facts, MOST_KEPT, OPEN_FOR},
        scope::Scope,
        secret::Secret,
    },
    ports::card_tries::{CardTries, CardTry},
};
use async_trait::async_trait;
use redis::{Cmd, Script, Value};
use std::time::Duration;

/// The counts in Redis.
pub struct RedisCardTries {
    link: RedisLink,
    script: Script,
    window: Duration,
    here: MemoryCardTries,
}

impl RedisCardTries {
    /// Counts refusals of the last `window` on this server. Does not wait for it. Must be called within a tokio runtime.
    ///
    /// Errors: the URL cannot be used.
    pub fn connect(url: &Secret<String>, window: Duration) -> Result<Self, BadRedisUrl> {
        let script = Script::new(include_str!("tries.lua"));
        let link = RedisLink::open(url, vec![script.clone()])?;
        Ok(Self { link, script, window, here: MemoryCardTries::new(window) })
    }

    /// All keys of a call carry the tag `{tenant/mode}`, so that a cluster keeps them together.
    async fn ask(&self, what: &str, scope: &Scope, network: &str, id: &str, gap: Duration) -> Option<Vec<u64>> {
        let mut cmd: Cmd = redis::cmd("EVALSHA");
        cmd.arg(self.script.get_hash()).arg(4);
        cmd.arg(format!("bo:{{{scope}}}:ct:r:{network}")).arg(format!("bo:{{{scope}}}:ct:o:{network}")).arg(format!("bo:{{{scope}}}:ct:t"));
        cmd.arg(format!("bo:{{{scope}}}:ct:s:{network}"));
        cmd.arg(what).arg(millis(self.window)).arg(millis(OPEN_FOR)).arg(MOST_KEPT).arg(2 * MOST_KEPT).arg(id).arg(millis(gap));
        let answer = self.link.ask(Ask::One(&cmd)).await;
        let numbers = answer
            .map_err(|error| error.to_string())
            .and_then(|value| read(&value).ok_or_else(|| "an answer that is none of ours".to_owned()));
        match numbers {
            Ok(numbers) => Some(numbers),
            Err(error) => {
                tracing::debug!(error, "tries to pay by card are counted in this process alone");
                metrics::counter!("boxoffice_card_testing_total", "action" => "unshared").increment(1);
                None
            }
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn read(value: &Value) -> Option<Vec<u64>> {
    let Value::Array(items) = value else { return None };
    items.iter().map(|item| if let Value::Int(number) = item { u64::try_from(*number).ok() } else { None }).collect()
}

#[async_trait]
impl CardTries for RedisCardTries {
    async fn begin(&self, card_try: &CardTry) -> Facts {
        let CardTry { scope, network, id } = card_try;
        let numbers = self.ask("begin", scope, network, id, Duration::ZERO).await;
        let Some([open, declined, paid, ages @ ..]) = numbers.as_deref() else { return self.here.begin(card_try).await };
        let count = |number: &u64| u32::try_from(*number).unwrap_or(u32::MAX);
        let declined_ages = ages.iter().copied().map(Duration::from_millis).collect();
        Facts { declined: declined_ages, open: count(open), tenant_declined: count(declined), tenant_paid: count(paid) }
    }

    async fn end(&self, card_try: &CardTry, end: End) {
        let what = match end {
            End::Declined => "declined",
            End::Paid => "paid",
            End::Neither => "neither",
        };
        let CardTry { scope, network, id } = card_try;
        if self.ask(what, scope, network, id, Duration::ZERO).await.is_none() {
            self.here.end(card_try, end).await;
        }
    }

    async fn turn(&self, scope: &Scope, gap: Duration) -> Option<Duration> {
        match self.ask("turn", scope, "-", "", gap).await.as_deref() {
            Some([wait, ..]) => (*wait > 0).then(|| Duration::from_millis(*wait)),
            _ => self.here.turn(scope, gap).await,
        }
    }
}
