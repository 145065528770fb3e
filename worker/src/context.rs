//! What the steps work with: the ports, and the worker's bounds.

use boxoffice_common::{
    adapters::{callback::sender::CallbackSender, provider_registry::ProviderRegistry},
    config::Config,
    domain::id::Entropy,
    ports::{announcer::Announcer, clock::Clock, queue::Queue, routes::Routes, seats::Seats, store::Store},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// How many tries go to the store directly at once while the seat table is down.
const DIRECT_TRIES: usize = 64;

/// A callback's lease in whole tries: the store is asked before and after.
const DELIVERY_LEASE: u32 = 4;

/// The worker's bounds.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// Checkouts in hand at once.
    pub prefetch: u16,
    /// How long an attempt is this worker's alone.
    pub lease: Duration,
    /// How long an unknown outcome is pursued at the most; the provider's own window may be shorter.
    pub key_window: Duration,
    /// How long a try of a callback is this worker's alone: longer than the sender's whole timeout.
    pub delivery_lease: Duration,
    /// How often overdue work is looked for, and after which grace it counts as overdue.
    pub rescue_every: Duration,
}

impl From<&Config> for WorkerSettings {
    fn from(config: &Config) -> Self {
        Self {
            prefetch: config.prefetch,
            lease: config.lease,
            key_window: config.key_window,
            delivery_lease: config.callback_timeout.saturating_mul(DELIVERY_LEASE),
            rescue_every: config.rescue_every,
        }
    }
}

/// Everything a step needs. Shared by all of them.
pub struct WorkerContext {
    /// The truth.
    pub store: Arc<dyn Store>,
    /// Where work comes from and goes to.
    pub queue: Arc<dyn Queue>,
    /// Who may try.
    pub seats: Arc<dyn Seats>,
    /// Who wakes the waiting.
    pub announcer: Arc<dyn Announcer>,
    /// Money: who moves it, and how what they tell us is read.
    pub registry: Arc<ProviderRegistry>,
    /// Where charges go.
    pub routes: Arc<dyn Routes>,
    /// Callbacks.
    pub sender: CallbackSender,
    /// Time, set right by the store's.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<Entropy>,
    /// Bounds.
    pub settings: WorkerSettings,
    /// Places for tries that go past the seat table.
    pub direct_tries: Semaphore,
}

impl WorkerContext {
    /// The bound on tries past a seat table that is down.
    pub fn direct_tries() -> Semaphore {
        Semaphore::new(DIRECT_TRIES)
    }

    /// A lease token: random, this piece of work's own.
    pub(crate) fn lease_token(&self) -> String {
        format!("{:016x}", self.entropy.next_u64())
    }
}
