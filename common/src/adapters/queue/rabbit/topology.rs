//! What is declared on the broker, and how it is called.
//!
//! ```text
//! {prefix}.work (direct) ──lane──► {prefix}.checkouts | money | deliveries (quorum)
//!                                    └─ rejected, or delivered too often ─► {prefix}.dead (fanout ► quorum)
//! {prefix}.after.5s (fanout) ► {prefix}.after.5s (quorum, TTL) ─ time over, lane kept ─► {prefix}.work
//! ```

use crate::ports::queue::{Lane, QueueError};
use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use std::time::Duration;

/// How often a message is delivered before the broker takes it for poison.
const DELIVERY_LIMIT: i64 = 20;
/// A publish above this many messages in one queue is refused.
const MAX_WAITING: i64 = 1_000_000;
/// How many dead letters are kept; the oldest go first.
const MAX_DEAD: i64 = 100_000;
/// Dead letters are looked at as often as anybody likes. (RabbitMQ 4 would else drop them after 20 looks.)
const LOOKS_AT_DEAD: i64 = 1_000_000_000;

/// The delays that can be had, and their names.
const RUNGS: [(Duration, &str); 5] = [
    (Duration::from_millis(250), "250ms"),
    (Duration::from_secs(1), "1s"),
    (Duration::from_secs(5), "5s"),
    (Duration::from_secs(15), "15s"),
    (Duration::from_secs(60), "60s"),
];

/// The longest prefix of names.
const MAX_PREFIX: usize = 64;

/// The names under one prefix.
#[derive(Debug, Clone)]
pub(super) struct Topology {
    prefix: String,
}

impl Topology {
    /// Names under `prefix`: 1 to 64 letters, digits, `-`, `_` and `.`.
    pub(super) fn new(prefix: &str) -> Result<Self, QueueError> {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if prefix.is_empty() || prefix.len() > MAX_PREFIX || !prefix.chars().all(known) {
            return Err(QueueError::Refused(format!("{prefix:?} cannot begin the name of a queue")));
        }
        Ok(Self { prefix: prefix.to_owned() })
    }

    fn name(&self, what: &str) -> ShortString {
        format!("{}.{what}", self.prefix).into()
    }

    /// The exchange that routes work to its lane.
    pub(super) fn work(&self) -> ShortString {
        self.name("work")
    }

    /// The queue of a lane.
    pub(super) fn lane(&self, lane: Lane) -> ShortString {
        self.name(lane.as_str())
    }

    /// The exchange and the queue of dead letters.
    pub(super) fn dead(&self) -> ShortString {
        self.name("dead")
    }

    /// The exchange that holds a message back for at least `delay`, or for the longest that there is.
    pub(super) fn after(&self, delay: Duration) -> ShortString {
        if delay.is_zero() {
            return self.work();
        }
        let [.., longest] = RUNGS;
        let (_, rung) = RUNGS.into_iter().find(|(rung, _)| *rung >= delay).unwrap_or(longest);
        self.rung(rung)
    }

    fn rung(&self, rung: &str) -> ShortString {
        self.name(&format!("after.{rung}"))
    }

    /// Declares everything; what is there already stays. A queue that is there with other arguments is an error.
    pub(super) async fn declare(&self, channel: &Channel) -> lapin::Result<()> {
        self.exchange(channel, self.work(), ExchangeKind::Direct).await?;
        self.exchange(channel, self.dead(), ExchangeKind::Fanout).await?;
        let dead = [("x-max-length", MAX_DEAD.into()), ("x-delivery-limit", LOOKS_AT_DEAD.into())];
        self.queue(channel, self.dead(), dead).await?;
        self.bind(channel, self.dead(), self.dead(), "").await?;
        for lane in Lane::ALL {
            let mut arguments = self.onward(self.dead());
            arguments.push(("x-delivery-limit", DELIVERY_LIMIT.into()));
            self.queue(channel, self.lane(lane), arguments).await?;
            self.bind(channel, self.lane(lane), self.work(), lane.as_str()).await?;
        }
        for (delay, name) in RUNGS {
            let rung = self.rung(name);
            self.exchange(channel, rung.clone(), ExchangeKind::Fanout).await?;
            let mut arguments = self.onward(self.work());
            arguments.push(("x-message-ttl", i64::try_from(delay.as_millis()).unwrap_or(i64::MAX).into()));
            self.queue(channel, rung.clone(), arguments).await?;
            self.bind(channel, rung.clone(), rung, "").await?;
        }
        Ok(())
    }

    /// How a queue hands on what leaves it: at least once. That needs a queue which refuses when it is full.
    fn onward(&self, to: ShortString) -> Vec<(&'static str, AMQPValue)> {
        vec![
            ("x-dead-letter-exchange", text(to.as_str())),
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-overflow", text("reject-publish")),
            ("x-max-length", MAX_WAITING.into()),
        ]
    }

    async fn exchange(&self, channel: &Channel, name: ShortString, kind: ExchangeKind) -> lapin::Result<()> {
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        channel.exchange_declare(name, kind, durable, FieldTable::default()).await
    }

    async fn queue(
        &self,
        channel: &Channel,
        name: ShortString,
        arguments: impl IntoIterator<Item = (&'static str, AMQPValue)>,
    ) -> lapin::Result<()> {
        let mut table = FieldTable::default();
        table.insert("x-queue-type".into(), text("quorum"));
        for (key, value) in arguments {
            table.insert(key.into(), value);
        }
        channel.queue_declare(name, QueueDeclareOptions::durable(), table).await.map(drop)
    }

    async fn bind(&self, channel: &Channel, queue: ShortString, exchange: ShortString, key: &str) -> lapin::Result<()> {
        channel.queue_bind(queue, exchange, key.into(), QueueBindOptions::default(), FieldTable::default()).await
    }
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_takes_the_first_rung_that_is_long_enough() {
        let topology = Topology::new("test").unwrap();
        let after = |ms| topology.after(Duration::from_millis(ms)).as_str().to_owned();
        assert_eq!(after(0), "test.work");
        assert_eq!(after(1), "test.after.250ms");
        assert_eq!(after(250), "test.after.250ms");
        assert_eq!(after(251), "test.after.1s");
        assert_eq!(after(6_000), "test.after.15s");
        assert_eq!(after(60_000), "test.after.60s");
        assert_eq!(after(3_600_000), "test.after.60s");
    }

    #[test]
    fn a_prefix_that_the_broker_would_choke_on_is_refused() {
        for bad in ["", "a b", "ä", "amq/", &"x".repeat(65)] {
            assert!(Topology::new(bad).is_err(), "{bad}");
        }
    }
}
