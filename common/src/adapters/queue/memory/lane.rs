//! One lane: what waits, what waits for its time, and what is in whose hands. One short lock, never held over an await.

use super::{Dead, MAX_DELIVERIES};
use crate::{
    domain::time::Timestamp,
    ports::queue::{Head, QueueError, Work},
};
use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BinaryHeap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicUsize, atomic::Ordering::Relaxed},
};
use tokio::{
    sync::{Notify, futures::Notified},
    time::Instant,
};

pub(super) struct MemoryLane {
    state: Mutex<State>,
    arrived: Notify,
    max_waiting: usize,
    dead: Arc<Dead>,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Message>,
    later: BinaryHeap<Reverse<Later>>,
    /// By hand, then by tag, so that a hand's messages can be given back in their order.
    in_hand: BTreeMap<(u64, u64), Message>,
    next_tag: u64,
    last_out: Option<Timestamp>,
}

struct Message {
    work: Work,
    deliveries: u32,
}

struct Later {
    due: Instant,
    /// Keeps what is due at the same time in order.
    tag: u64,
    message: Message,
}

impl Ord for Later {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.due, self.tag).cmp(&(other.due, other.tag))
    }
}

impl PartialOrd for Later {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Later {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Later {}

/// One consumer's hand: how much is in it, and who waits for room in it.
pub(super) struct Hand {
    id: u64,
    prefetch: usize,
    /// Changes only under the lane's lock.
    held: AtomicUsize,
    freed: Notify,
}

impl Hand {
    pub(super) fn new(id: u64, prefetch: u16) -> Self {
        Self { id, prefetch: usize::from(prefetch.max(1)), held: AtomicUsize::new(0), freed: Notify::new() }
    }

    pub(super) fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }
}

/// What a look into the lane brought.
pub(super) enum Take {
    /// A message and the tag to answer with.
    Work(Work, u64),
    /// As much in hand as may be.
    HandFull,
    /// Nothing now; a delayed message comes out at `due`.
    Nothing {
        /// When.
        due: Option<Instant>,
    },
}

impl MemoryLane {
    pub(super) fn new(max_waiting: usize, dead: Arc<Dead>) -> Self {
        Self { state: Mutex::default(), arrived: Notify::new(), max_waiting, dead }
    }

    pub(super) fn arrived(&self) -> Notified<'_> {
        self.arrived.notified()
    }

    pub(super) fn push(&self, work: Work) -> Result<(), QueueError> {
        let mut state = self.lock();
        self.room(&state)?;
        state.ready.push_back(Message { work, deliveries: 0 });
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    pub(super) fn push_at(&self, work: Work, due: Instant) -> Result<(), QueueError> {
        let mut state = self.lock();
        self.room(&state)?;
        let tag = state.new_tag();
        let is_next = state.later.peek().is_none_or(|Reverse(first)| due < first.due);
        state.later.push(Reverse(Later { due, tag, message: Message { work, deliveries: 0 } }));
        drop(state);
        if is_next {
            // Everybody who sleeps until something later must look again: whoever is woken alone may leave.
            self.arrived.notify_waiters();
        }
        Ok(())
    }

    fn room(&self, state: &State) -> Result<(), QueueError> {
        if state.ready.len() + state.later.len() < self.max_waiting {
            Ok(())
        } else {
            Err(QueueError::Refused(format!("{} messages wait already", self.max_waiting)))
        }
    }

    pub(super) fn take(&self, hand: &Hand) -> Take {
        let mut state = self.lock();
        if hand.held.load(Relaxed) >= hand.prefetch {
            return Take::HandFull;
        }
        state.ripen();
        let Some(mut message) = state.ready.pop_front() else {
            return Take::Nothing { due: state.later.peek().map(|Reverse(first)| first.due) };
        };
        message.deliveries = message.deliveries.saturating_add(1);
        let work = message.work.clone();
        let tag = state.new_tag();
        state.last_out = Some(work.enqueued_at);
        state.in_hand.insert((hand.id, tag), message);
        hand.held.fetch_add(1, Relaxed);
        let more = !state.ready.is_empty();
        drop(state);
        if more {
            self.arrived.notify_one();
        }
        Take::Work(work, tag)
    }

    pub(super) fn ack(&self, hand: &Hand, tag: u64) -> bool {
        self.remove(hand, tag).is_some()
    }

    pub(super) fn dead_letter(&self, hand: &Hand, tag: u64) -> bool {
        self.remove(hand, tag).map(|message| self.dead.bury(message.work)).is_some()
    }

    pub(super) fn give_back(&self, hand: &Hand, tag: u64) {
        if let Some(message) = self.remove(hand, tag) {
            self.requeue(message);
        }
    }

    pub(super) fn give_back_all(&self, hand: &Hand) {
        let mut state = self.lock();
        let keys: Vec<_> = state.in_hand.range((hand.id, 0)..=(hand.id, u64::MAX)).map(|(key, _)| *key).collect();
        let messages: Vec<_> = keys.iter().filter_map(|key| state.in_hand.remove(key)).collect();
        hand.held.store(0, Relaxed);
        drop(state);
        messages.into_iter().rev().for_each(|message| self.requeue(message));
    }

    /// Back to the front, where it came from; poison does not circle for ever.
    fn requeue(&self, message: Message) {
        if message.deliveries > MAX_DELIVERIES {
            return self.dead.bury(message.work);
        }
        self.lock().ready.push_front(message);
        self.arrived.notify_one();
    }

    fn remove(&self, hand: &Hand, tag: u64) -> Option<Message> {
        let mut state = self.lock();
        let message = state.in_hand.remove(&(hand.id, tag))?;
        hand.held.fetch_sub(1, Relaxed);
        drop(state);
        hand.freed.notify_one();
        Some(message)
    }

    pub(super) fn depth(&self) -> u64 {
        let mut state = self.lock();
        state.ripen();
        u64::try_from(state.ready.len()).unwrap_or(u64::MAX)
    }

    pub(super) fn head(&self) -> Head {
        let mut state = self.lock();
        state.ripen();
        match state.ready.front() {
            None => Head::Empty,
            Some(first) => Head::At(state.last_out.unwrap_or(first.work.enqueued_at)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new_tag(&mut self) -> u64 {
        self.next_tag = self.next_tag.wrapping_add(1);
        self.next_tag
    }

    /// Moves what is due to those who are ready.
    fn ripen(&mut self) {
        if self.later.is_empty() {
            return;
        }
        let now = Instant::now();
        while self.later.peek().is_some_and(|Reverse(first)| first.due <= now) {
            if let Some(Reverse(later)) = self.later.pop() {
                self.ready.push_back(later.message);
            }
        }
    }
}
