//! How much is waiting, as far as this process knows: it sheds new checkouts above a bound, and tells clients their place.

use crate::problem::Problem;
use boxoffice_common::{
    domain::view::QueueEstimate,
    ports::queue::{Lane, Queue},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// How often the queue is asked for its depth.
const REFRESH: Duration = Duration::from_millis(250);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// What one checkout is taken to need before anything was measured, µs.
const FIRST_GUESS_US: u64 = 500;
/// A client that was shed comes back after this long.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The gauge.
#[derive(Debug)]
pub struct Gate {
    max_depth: u64,
    /// As the queue last told.
    depth: AtomicU64,
    /// Accepted here since, or not in the queue yet when it told.
    since: AtomicU64,
    /// How many of those the queue has by now.
    handed_in: AtomicU64,
    /// How long the queue takes for one, µs, smoothed.
    each_us: AtomicU64,
}

impl Gate {
    /// Sheds above `max_depth`.
    pub fn new(max_depth: u64) -> Self {
        Self {
            max_depth,
            depth: AtomicU64::new(0),
            since: AtomicU64::new(0),
            handed_in: AtomicU64::new(0),
            each_us: AtomicU64::new(FIRST_GUESS_US),
        }
    }

    /// Lets one more in, or says when to come back.
    pub fn admit(&self) -> Result<QueueEstimate, Problem> {
        let estimate = self.estimate();
        if estimate.position > self.max_depth {
            metrics::counter!("boxoffice_api_shed_total").increment(1);
            return Err(Problem::Overloaded { retry_after: RETRY_AFTER });
        }
        Ok(estimate)
    }

    /// One more is on its way to the queue.
    pub fn accepted(&self) {
        self.since.fetch_add(1, Ordering::Relaxed);
    }

    /// So many of those have come to the queue, or never will from here.
    pub fn handed_in(&self, count: u64) {
        // Whoever sees this count has to see in `since` what it is a part of, or would take away more than there is.
        self.handed_in.fetch_add(count, Ordering::Release);
    }

    /// Where one that came now would stand.
    pub fn estimate(&self) -> QueueEstimate {
        let position = self.depth.load(Ordering::Relaxed).saturating_add(self.since.load(Ordering::Relaxed));
        let wait_us = position.saturating_add(1).saturating_mul(self.each_us.load(Ordering::Relaxed));
        QueueEstimate { position, estimated_wait_ms: wait_us.div_ceil(1000) }
    }

    /// Takes in what the queue says now; `counted` were handed in from here before it was asked, in the time `passed`. Those that
    /// were accepted, but are still on their way, it cannot know.
    fn learn(&self, depth: u64, counted: u64, passed: Duration) {
        let before = self.depth.swap(depth, Ordering::Relaxed);
        self.handed_in.fetch_sub(counted, Ordering::Relaxed);
        self.since.fetch_sub(counted, Ordering::Relaxed);
        let worked_off = before.saturating_add(counted).saturating_sub(depth);
        let passed_us = u64::try_from(passed.as_micros()).unwrap_or(u64::MAX);
        if let (Some(each), true) = (passed_us.checked_div(worked_off), depth > 0) {
            let smoothed = (self.each_us.load(Ordering::Relaxed).saturating_mul(3).saturating_add(each)) / 4;
            self.each_us.store(smoothed.max(1), Ordering::Relaxed);
        }
        metrics::gauge!("boxoffice_api_queue_depth").set(depth as f64);
    }

    /// Asks the queue now and then until `closing` is cancelled. When the queue does not answer, what is accepted here
    /// goes on being counted, so that shedding still begins in time.
    pub async fn watch(self: Arc<Self>, queue: Arc<dyn Queue>, closing: CancellationToken) {
        let mut ticks = tokio::time::interval(REFRESH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = Instant::now();
        while closing.run_until_cancelled(ticks.tick()).await.is_some() {
            let counted = self.handed_in.load(Ordering::Acquire);
            if let Ok(Ok(depth)) = tokio::time::timeout(PATIENCE, queue.depth(Lane::Checkouts)).await {
                self.learn(depth, counted, last.elapsed());
                last = Instant::now();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publisher::Publisher;
    use boxoffice_common::{
        domain::time::Timestamp,
        ports::queue::{Consumer, Head, QueueError, Work},
    };
    use tokio::sync::Semaphore;

    #[test]
    fn it_sheds_above_its_bound_and_lets_in_again_when_the_queue_has_worked_off() {
        let gate = Gate::new(10);
        for _ in 0..11 {
            assert!(gate.admit().is_ok());
            gate.accepted();
        }
        gate.handed_in(11);
        assert!(matches!(gate.admit(), Err(Problem::Overloaded { .. })));
        gate.learn(3, 11, Duration::from_millis(8));
        assert_eq!(gate.estimate().position, 3);
        assert!(gate.admit().is_ok());
    }

    #[test]
    fn the_wait_follows_what_was_measured() {
        let gate = Gate::new(1_000_000);
        for _ in 0..50 {
            gate.since.fetch_add(1000, Ordering::Relaxed);
            gate.handed_in(1000);
            gate.learn(1000, 1000, Duration::from_secs(1));
        }
        let wait = gate.estimate().estimated_wait_ms;
        assert!((900..=1100).contains(&wait), "{wait} ms for 1,000 at 1,000 a second");
    }

    /// A queue that takes its time: what is handed in comes to it one by one, when the test lets it.
    struct Narrow {
        ways: Semaphore,
        depth: AtomicU64,
    }

    #[async_trait::async_trait]
    impl Queue for Narrow {
        async fn publish(&self, work: Vec<Work>) -> Vec<Result<(), QueueError>> {
            for one in &work {
                self.ways.acquire().await.unwrap().forget();
                self.depth.fetch_add(u64::from(one.lane == Lane::Checkouts), Ordering::Relaxed);
            }
            vec![Ok(()); work.len()]
        }

        async fn publish_after(&self, _: Work, _: Duration) -> Result<(), QueueError> {
            Ok(())
        }

        async fn consume(&self, _: Lane, _: u16) -> Result<Box<dyn Consumer>, QueueError> {
            Err(QueueError::Unavailable("nobody takes".to_owned()))
        }

        async fn depth(&self, _: Lane) -> Result<u64, QueueError> {
            Ok(self.depth.load(Ordering::Relaxed))
        }

        async fn head(&self, _: Lane) -> Head {
            Head::Unknown
        }

        async fn ping(&self) -> Result<(), QueueError> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_still_on_its_way_to_the_queue_is_not_forgotten() {
        let queue = Arc::new(Narrow { ways: Semaphore::new(0), depth: AtomicU64::new(0) });
        let (gate, closing) = (Arc::new(Gate::new(10)), CancellationToken::new());
        let (publisher, publishing) = Publisher::start(queue.clone(), Arc::clone(&gate), closing.clone());
        let watching = tokio::spawn(Arc::clone(&gate).watch(queue.clone(), closing.clone()));
        for n in 0..7 {
            let work = |lane| Work {
                lane,
                id: n.to_string(),
                scope: String::new(),
                enqueued_at: Timestamp::from_millis(0),
                wants: Vec::new(),
                trace: None,
            };
            publisher.send(work(Lane::Checkouts));
            publisher.send(work(Lane::Money));
            // Each call of its own.
            tokio::time::sleep(REFRESH * 2).await;
            assert_eq!(gate.estimate().position, n + 1);
        }
        queue.ways.add_permits(14);
        tokio::time::sleep(REFRESH * 2).await;
        assert_eq!((queue.depth.load(Ordering::Relaxed), gate.estimate().position), (7, 7));
        queue.depth.store(0, Ordering::Relaxed);
        tokio::time::sleep(REFRESH * 2).await;
        assert_eq!(gate.estimate().position, 0);
        closing.cancel();
        let (publishing, watching) = tokio::join!(publishing, watching);
        assert!(publishing.is_ok() && watching.is_ok());
    }
}
