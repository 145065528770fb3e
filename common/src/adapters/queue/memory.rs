//! The queue inside one process. It forgets everything when the process ends; the store's `due_at` brings it back.

mod lane;

use crate::ports::queue::{Consumer, DeadLetterOffice, DeadLetters, Head, Lane, Queue, QueueError, Receipt, Taken, Work};
use async_trait::async_trait;
use lane::{Hand, MemoryLane, Take};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64, atomic::Ordering},
    time::Duration,
};
use tokio::time::Instant;

/// How many messages may wait in one lane, delayed ones counted. About 500 bytes each.
pub const MAX_WAITING: usize = 200_000;
/// How often a message comes out before it is taken for poison, as on the broker's quorum queues.
pub const MAX_DELIVERIES: u32 = 20;
/// How many dead letters are kept; the oldest go first.
pub const MAX_DEAD: usize = 1_000;
/// The longest delay; beyond it, work waits in the store.
pub const MAX_DELAY: Duration = Duration::from_secs(60);

/// Work in this process's memory.
pub struct MemoryQueue {
    checkouts: Arc<MemoryLane>,
    money: Arc<MemoryLane>,
    deliveries: Arc<MemoryLane>,
    events: Arc<MemoryLane>,
    dead: Arc<Dead>,
    next_hand: AtomicU64,
}

impl Default for MemoryQueue {
    fn default() -> Self {
        Self::with_bound(MAX_WAITING)
    }
}

impl MemoryQueue {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// One in which at most `max_waiting` messages wait in each lane; what comes above is refused.
    pub fn with_bound(max_waiting: usize) -> Self {
        let dead = Arc::new(Dead::default());
        let lane = || Arc::new(MemoryLane::new(max_waiting, Arc::clone(&dead)));
        let next_hand = AtomicU64::new(0);
        Self { checkouts: lane(), money: lane(), deliveries: lane(), events: lane(), next_hand, dead: Arc::clone(&dead) }
    }

    const fn lane(&self, lane: Lane) -> &Arc<MemoryLane> {
        match lane {
            Lane::Checkouts => &self.checkouts,
            Lane::Money => &self.money,
            Lane::Deliveries => &self.deliveries,
            Lane::Events => &self.events,
        }
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn publish(&self, work: Vec<Work>) -> Vec<Result<(), QueueError>> {
        work.into_iter().map(|work| self.lane(work.lane).push(work)).collect()
    }

    async fn publish_after(&self, work: Work, delay: Duration) -> Result<(), QueueError> {
        let lane = self.lane(work.lane);
        if delay.is_zero() { lane.push(work) } else { lane.push_at(work, Instant::now() + delay.min(MAX_DELAY)) }
    }

    async fn consume(&self, lane: Lane, prefetch: u16) -> Result<Box<dyn Consumer>, QueueError> {
        let hand = Arc::new(Hand::new(self.next_hand.fetch_add(1, Ordering::Relaxed), prefetch));
        Ok(Box::new(MemoryConsumer { lane: Arc::clone(self.lane(lane)), hand, stopped: false }))
    }

    async fn depth(&self, lane: Lane) -> Result<u64, QueueError> {
        Ok(self.lane(lane).depth())
    }

    async fn head(&self, lane: Lane) -> Head {
        self.lane(lane).head()
    }

    async fn ping(&self) -> Result<(), QueueError> {
        Ok(())
    }
}

#[async_trait]
impl DeadLetterOffice for MemoryQueue {
    async fn dead_letters(&self, limit: usize) -> Result<DeadLetters, QueueError> {
        let letters = self.dead.letters();
        let total = u64::try_from(letters.len()).unwrap_or(u64::MAX);
        Ok(DeadLetters { total, letters: letters.iter().take(limit.min(MAX_DEAD)).cloned().collect() })
    }

    async fn redrive(&self, limit: usize) -> Result<usize, QueueError> {
        let limit = limit.min(MAX_DEAD);
        for gone in 0..limit {
            let Some(work) = self.dead.letters().pop_front() else { return Ok(gone) };
            if let Err(error) = self.lane(work.lane).push(work.clone()) {
                self.dead.letters().push_front(work);
                return if gone == 0 { Err(error) } else { Ok(gone) };
            }
        }
        Ok(limit)
    }
}

/// What is not to be tried again.
#[derive(Default)]
struct Dead(Mutex<VecDeque<Work>>);

impl Dead {
    fn letters(&self) -> MutexGuard<'_, VecDeque<Work>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bury(&self, work: Work) {
        let mut letters = self.letters();
        if letters.len() >= MAX_DEAD {
            letters.pop_front();
        }
        letters.push_back(work);
    }
}

struct MemoryConsumer {
    lane: Arc<MemoryLane>,
    hand: Arc<Hand>,
    stopped: bool,
}

#[async_trait]
impl Consumer for MemoryConsumer {
    async fn next(&mut self) -> Option<Taken> {
        loop {
            if self.stopped {
                return None;
            }
            // Made before the look, so that what arrives between the look and the wait still wakes us.
            let arrived = self.lane.arrived();
            let freed = self.hand.freed();
            match self.lane.take(&self.hand) {
                Take::Work(work, tag) => {
                    let receipt = MemoryReceipt { lane: Arc::clone(&self.lane), hand: Arc::clone(&self.hand), tag, said: false };
                    return Some(Taken { work, receipt: Box::new(receipt) });
                }
                Take::HandFull => freed.await,
                Take::Nothing { due: None } => arrived.await,
                // Either way there is something new to look at.
                Take::Nothing { due: Some(due) } => drop(tokio::time::timeout_at(due, arrived).await),
            }
        }
    }

    async fn stop(&mut self) {
        self.stopped = true;
    }
}

impl Drop for MemoryConsumer {
    fn drop(&mut self) {
        self.lane.give_back_all(&self.hand);
    }
}

struct MemoryReceipt {
    lane: Arc<MemoryLane>,
    hand: Arc<Hand>,
    tag: u64,
    said: bool,
}

#[async_trait]
impl Receipt for MemoryReceipt {
    async fn ack(mut self: Box<Self>) -> bool {
        self.said = true;
        self.lane.ack(&self.hand, self.tag)
    }

    async fn dead_letter(mut self: Box<Self>) -> bool {
        self.said = true;
        self.lane.dead_letter(&self.hand, self.tag)
    }
}

impl Drop for MemoryReceipt {
    fn drop(&mut self) {
        if !self.said {
            self.lane.give_back(&self.hand, self.tag);
        }
    }
}
