//! Clients that wait for a checkout: one task hears the announcements and wakes whom they concern. An announcement may be
//! lost, so everybody who waits looks at the store again at a slow beat.

use boxoffice_common::{
    domain::{id::CheckoutId, scope::Scope, state::Status},
    newest::Newest,
    ports::announcer::{Announcement, Announcer},
};
use std::{
    collections::HashMap,
    hash::BuildHasher,
    hash::RandomState,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, broadcast::error::RecvError};
use tokio_util::sync::CancellationToken;

/// Who waits looks at the store this often, whatever is announced.
pub const BEAT: Duration = Duration::from_secs(2);
/// How many may wait at once in this process.
pub const MAX_WAITING: usize = 20_000;
/// How many may wait for one checkout when one more comes who has no more than a link to it.
const MAX_GUESTS: usize = 16;
const SHARDS: usize = 64;
/// How many checkouts that were accepted here are remembered in each shard.
const MAX_NEWS: usize = 256;

/// Which changes wake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Every change.
    Any,
    /// Only what a client waits for: see [`is_settled`].
    Settled,
}

/// Whether nothing more happens to a checkout by itself: it has ended, or a customer or an operator has to act.
pub const fn is_settled(status: Status) -> bool {
    status.is_terminal() || matches!(status, Status::AwaitingPayment | Status::NeedsReview)
}

/// Everybody who waits, by checkout.
pub struct Waiters {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    waiting: AtomicUsize,
    tickets: AtomicU64,
    max_waiting: usize,
}

#[derive(Default)]
struct Shard {
    waiting: HashMap<CheckoutId, Vec<Entry>>,
    /// Checkouts that were accepted by this process and have not been heard of since. Then a client that waits needs no
    /// look at the store to know that there is something to wait for.
    news: Newest<CheckoutId, Arc<Scope>, MAX_NEWS>,
}

struct Entry {
    ticket: u64,
    interest: Interest,
    wake: Arc<Wake>,
}

/// How one who waits hears of it.
#[derive(Default)]
struct Wake {
    notify: Notify,
    /// How the checkout has ended, where that was announced.
    ended: OnceLock<Status>,
}

impl Waiters {
    /// For at most `max_waiting` at once.
    pub fn new(max_waiting: usize) -> Arc<Self> {
        Arc::new(Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            waiting: AtomicUsize::new(0),
            tickets: AtomicU64::new(0),
            max_waiting,
        })
    }

    /// Waits for `checkout` from now on. `None`: too many wait already.
    pub fn register(self: &Arc<Self>, checkout: &CheckoutId, interest: Interest) -> Option<Ticket> {
        self.register_among(usize::MAX, checkout, interest)
    }

    /// The same for somebody without a key, who has a link to the checkout. *Because* anybody may have one, and whoever opened its page
    /// thousands of times at once would take the places of all others.
    pub fn register_guest(self: &Arc<Self>, checkout: &CheckoutId, interest: Interest) -> Option<Ticket> {
        self.register_among(MAX_GUESTS, checkout, interest)
    }

    fn register_among(self: &Arc<Self>, most: usize, checkout: &CheckoutId, interest: Interest) -> Option<Ticket> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        if before >= self.max_waiting {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            metrics::counter!("boxoffice_api_waits_refused_total").increment(1);
            return None;
        }
        let mut shard = self.shard(checkout)?;
        if shard.waiting.get(checkout).is_some_and(|entries| entries.len() >= most) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            metrics::counter!("boxoffice_api_waits_refused_total").increment(1);
            return None;
        }
        let wake = Arc::<Wake>::default();
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        let entry = Entry { ticket, interest, wake: Arc::clone(&wake) };
        shard.waiting.entry(checkout.clone()).or_default().push(entry);
        Some(Ticket { waiters: Arc::clone(self), checkout: checkout.clone(), ticket, wake })
    }

    /// Remembers a checkout that was accepted just now.
    pub fn accepted(&self, checkout: &CheckoutId, scope: Arc<Scope>) {
        let Some(mut shard) = self.shard(checkout) else { return };
        shard.news.insert(checkout.clone(), scope);
    }

    /// Whether `checkout` was accepted here, in that scope, and nothing that settles it was announced since. To be asked
    /// after registering: what is announced in between wakes.
    pub fn is_pending(&self, checkout: &CheckoutId, scope: &Scope) -> bool {
        self.shard(checkout).is_some_and(|shard| shard.news.get(checkout).is_some_and(|owner| **owner == *scope))
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Wakes whom it concerns.
    pub fn wake(&self, announcement: &Announcement) {
        let settled = is_settled(announcement.status);
        let Some(mut shard) = self.shard(&announcement.checkout) else { return };
        if settled {
            shard.news.remove(&announcement.checkout);
        }
        for entry in shard.waiting.get(&announcement.checkout).into_iter().flatten() {
            if announcement.status.is_terminal() {
                let _ = entry.wake.ended.set(announcement.status);
            }
            if settled || entry.interest == Interest::Any {
                entry.wake.notify.notify_one();
            }
        }
    }

    /// Wakes everybody, and forgets what it believed: some announcements were missed.
    pub fn wake_all(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.news.clear();
            shard.waiting.values().flatten().for_each(|entry| entry.wake.notify.notify_one());
        }
    }

    /// Hears announcements until `closing` is cancelled.
    pub async fn listen(self: Arc<Self>, announcer: Arc<dyn Announcer>, closing: CancellationToken) {
        let mut heard = announcer.listen();
        loop {
            match closing.run_until_cancelled(heard.recv()).await {
                None => return,
                Some(Ok(announcement)) => self.wake(&announcement),
                Some(Err(RecvError::Lagged(missed))) => {
                    tracing::warn!(missed, "announcements were missed; everybody who waits looks at the store");
                    self.wake_all();
                }
                // The announcer is gone: everybody lives on the beat, and nothing can be believed.
                Some(Err(RecvError::Closed)) => return self.wake_all(),
            }
        }
    }

    fn shard(&self, checkout: &CheckoutId) -> Option<MutexGuard<'_, Shard>> {
        let index = usize::try_from(self.hasher.hash_one(checkout) % SHARDS as u64).ok()?;
        self.shards.get(index).map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A place among those who wait; given back when dropped.
pub struct Ticket {
    waiters: Arc<Waiters>,
    checkout: CheckoutId,
    ticket: u64,
    wake: Arc<Wake>,
}

impl Ticket {
    /// Comes back when something was announced since the last call (or since registering), and after a beat anyway.
    pub async fn woken(&self) {
        self.woken_within(BEAT).await;
    }

    /// The same with patience of one's own.
    pub async fn woken_within(&self, patience: Duration) {
        let _ = tokio::time::timeout(patience, self.wake.notify.notified()).await;
    }

    /// How the checkout has ended, if that was announced since registering: an end stays one, and need not be read. `None`: nothing is known.
    pub fn heard_end(&self) -> Option<Status> {
        self.wake.ended.get().copied()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.waiters.waiting.fetch_sub(1, Ordering::Relaxed);
        let Some(mut shard) = self.waiters.shard(&self.checkout) else { return };
        if let Some(entries) = shard.waiting.get_mut(&self.checkout) {
            entries.retain(|entry| entry.ticket != self.ticket);
            if entries.is_empty() {
                shard.waiting.remove(&self.checkout);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxoffice_common::domain::scope::Mode;
    use tokio::time::Instant;

    fn id(text: &str) -> CheckoutId {
        CheckoutId::parse(text).unwrap()
    }

    fn news(checkout: &str, status: Status) -> Announcement {
        Announcement { checkout: id(checkout), version: 2, status }
    }

    async fn waited(ticket: &Ticket) -> Duration {
        let start = Instant::now();
        ticket.woken().await;
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn an_announcement_wakes_whom_it_concerns_and_the_beat_wakes_everybody() {
        let waiters = Waiters::new(10);
        let any = waiters.register(&id("chk_1"), Interest::Any).unwrap();
        let settled = waiters.register(&id("chk_1"), Interest::Settled).unwrap();
        let other = waiters.register(&id("chk_2"), Interest::Any).unwrap();
        waiters.wake(&news("chk_1", Status::Processing));
        assert_eq!((waited(&any).await, waited(&settled).await, waited(&other).await), (Duration::ZERO, BEAT, BEAT));
        assert_eq!(any.heard_end(), None);
        waiters.wake(&news("chk_1", Status::Succeeded));
        assert_eq!((waited(&any).await, waited(&settled).await), (Duration::ZERO, Duration::ZERO));
        assert_eq!((any.heard_end(), settled.heard_end(), other.heard_end()), (Some(Status::Succeeded), Some(Status::Succeeded), None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_that_lagged_wakes_everybody() {
        let waiters = Waiters::new(10);
        let ticket = waiters.register(&id("chk_1"), Interest::Settled).unwrap();
        let scope = Arc::new(Scope::new("demo", Mode::Test).unwrap());
        waiters.accepted(&id("chk_1"), Arc::clone(&scope));
        waiters.wake_all();
        assert_eq!(waited(&ticket).await, Duration::ZERO);
        assert!(!waiters.is_pending(&id("chk_1"), &scope));
    }

    #[test]
    fn places_are_bounded_and_given_back() {
        let waiters = Waiters::new(2);
        let first = waiters.register(&id("chk_1"), Interest::Any);
        let second = waiters.register(&id("chk_1"), Interest::Any);
        assert!(first.is_some() && second.is_some() && waiters.register(&id("chk_1"), Interest::Any).is_none());
        drop(first);
        assert!(waiters.register(&id("chk_2"), Interest::Any).is_some());
        drop(second);
        assert_eq!(waiters.count(), 0);
        assert!(waiters.shards.iter().all(|shard| shard.lock().unwrap().waiting.is_empty()));
    }

    #[test]
    fn one_link_that_is_opened_again_and_again_takes_few_places_and_none_of_who_has_a_key() {
        let waiters = Waiters::new(1_000);
        let guests: Vec<Ticket> = (0..500).filter_map(|_| waiters.register_guest(&id("chk_1"), Interest::Any)).collect();
        assert_eq!((guests.len(), waiters.count()), (MAX_GUESTS, MAX_GUESTS));
        let others = [waiters.register(&id("chk_1"), Interest::Any), waiters.register_guest(&id("chk_2"), Interest::Any)];
        assert!(others.iter().all(Option::is_some));
        drop((guests, others));
        assert_eq!(waiters.count(), 0);
        assert!(waiters.register_guest(&id("chk_1"), Interest::Any).is_some());
    }

    #[test]
    fn only_the_owner_of_a_fresh_checkout_may_skip_the_first_look() {
        let waiters = Waiters::new(2);
        let scope = |tenant| Scope::new(tenant, Mode::Test).unwrap();
        waiters.accepted(&id("chk_1"), Arc::new(scope("a")));
        assert!(waiters.is_pending(&id("chk_1"), &scope("a")));
        assert!(!waiters.is_pending(&id("chk_1"), &scope("b")) && !waiters.is_pending(&id("chk_2"), &scope("a")));
        waiters.wake(&news("chk_1", Status::Processing));
        assert!(waiters.is_pending(&id("chk_1"), &scope("a")));
        waiters.wake(&news("chk_1", Status::Failed));
        assert!(!waiters.is_pending(&id("chk_1"), &scope("a")));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let waiters = Waiters::new(2);
        let scope = Arc::new(Scope::new("a", Mode::Test).unwrap());
        for n in 0..SHARDS * MAX_NEWS * 2 {
            waiters.accepted(&id(&format!("chk_{n}")), Arc::clone(&scope));
        }
        for shard in &waiters.shards {
            let shard = shard.lock().unwrap();
            assert!(shard.news.room_taken() <= MAX_NEWS);
        }
    }
}
