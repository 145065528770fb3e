//! The queue: delivery of work, at least once. It may lose everything; the store's `due_at` brings it back.

use crate::domain::{claim::Want, time::Timestamp};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Kinds of work that do not hold each other up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Checkouts to begin or resume.
    Checkouts,
    /// Voids and refunds of checkouts that have ended.
    Money,
    /// Callbacks.
    Deliveries,
    /// What providers tell us.
    Events,
}

impl Lane {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Checkouts, Self::Money, Self::Deliveries, Self::Events];

    /// As it stands in queue names and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Checkouts => "checkouts",
            Self::Money => "money",
            Self::Deliveries => "deliveries",
            Self::Events => "events",
        }
    }
}

/// One piece of work: the row to look at. Everything else in it is a hint that may be stale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Which lane it rides.
    pub lane: Lane,
    /// The checkout's, the delivery's or the event's id.
    pub id: String,
    /// `tenant/mode`.
    pub scope: String,
    /// When it joined its lane, by the store's time as the sender knows it: when it was handed in, or when its delay is over.
    pub enqueued_at: Timestamp,
    /// What the checkout will claim, so that seats can be tried before the store is asked. Empty when resumed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wants: Vec<Want>,
    /// W3C `traceparent`, from POST to callback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// What can go wrong with the queue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// No connection now, or the confirm did not come in time. The row stays due and is published again.
    #[error("the queue is unavailable: {0}")]
    Unavailable(String),
    /// The queue is full or refused the message. The row stays due.
    #[error("the queue refused the message: {0}")]
    Refused(String),
}

/// Where the oldest message of a lane stands, for the rescuer: what is younger only waits its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// Nothing waits.
    Empty,
    /// The message that came out last was handed in then.
    At(Timestamp),
    /// Not known (no connection).
    Unknown,
}

/// A queue.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Hands in work; each answer comes when the queue has it durably. Confirms are pipelined: call it with many, or
    /// from many tasks.
    async fn publish(&self, work: Vec<Work>) -> Vec<Result<(), QueueError>>;

    /// The same, to come out after about `delay` (the nearest step of the ladder, at most a minute).
    async fn publish_after(&self, work: Work, delay: Duration) -> Result<(), QueueError>;

    /// Takes part in a lane, with at most `prefetch` unacknowledged messages in hand.
    async fn consume(&self, lane: Lane, prefetch: u16) -> Result<Box<dyn Consumer>, QueueError>;

    /// How many messages wait in a lane, unacknowledged ones not counted. Work whose `publish` was answered before counts.
    async fn depth(&self, lane: Lane) -> Result<u64, QueueError>;

    /// Where the head of a lane stands, as far as this process knows.
    async fn head(&self, lane: Lane) -> Head;

    /// Whether the queue answers.
    async fn ping(&self) -> Result<(), QueueError>;
}

/// One consumer's end of a lane. It outlives a broker's restart. Dropping it gives back what is unacknowledged.
#[async_trait]
pub trait Consumer: Send {
    /// The next piece of work. `None` when the consumer was closed.
    async fn next(&mut self) -> Option<Taken>;

    /// Asks for no more; what is in hand can still be acknowledged.
    async fn stop(&mut self);
}

/// Work in hand.
pub struct Taken {
    /// The work.
    pub work: Work,
    /// How to say that it is done with.
    pub receipt: Box<dyn Receipt>,
}

/// Says what became of a message. Dropped without a word, the message comes again.
#[async_trait]
pub trait Receipt: Send + Sync {
    /// Done with (or scheduled anew). `false` when the connection it came on is gone: it will come again.
    async fn ack(self: Box<Self>) -> bool;

    /// Not to be tried again: into the dead-letter queue.
    async fn dead_letter(self: Box<Self>) -> bool;
}

/// What lies among the dead letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadLetters {
    /// How many there are.
    pub total: u64,
    /// Some of them, roughly from the oldest; what cannot be read as work is left out.
    pub letters: Vec<Work>,
}

/// The operator's door to the dead letters. Every queue has one beside its [`Queue`].
#[async_trait]
pub trait DeadLetterOffice: Send + Sync {
    /// Looks at up to `limit` (at most 1,000) and leaves them where they are.
    async fn dead_letters(&self, limit: usize) -> Result<DeadLetters, QueueError>;

    /// Puts up to `limit` (at most 1,000) back into their lanes and says how many went. One that cannot be put
    /// back stays dead.
    async fn redrive(&self, limit: usize) -> Result<usize, QueueError>;
}
