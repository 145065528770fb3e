//! Queues to test, work to send, and waiting with a deadline.

use boxoffice_common::{
    adapters::queue::{RabbitOptions, RabbitQueue},
    domain::{secret::Secret, time::Timestamp},
    ports::queue::{Consumer, Lane, Queue, QueueError, Taken, Work},
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// Longer than anything takes that works, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How long to look for something that must not come.
pub const QUIET: Duration = Duration::from_millis(400);

/// A name that no other test on the same broker uses.
pub fn prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A queue of its own on the shared broker.
pub async fn rabbit() -> Arc<RabbitQueue> {
    Arc::new(connect(&shared_url().await, &prefix()).await.unwrap())
}

pub async fn shared_url() -> String {
    boxoffice_testkit::shared::amqp_url().await.unwrap()
}

pub async fn connect(url: &str, prefix: &str) -> Result<RabbitQueue, QueueError> {
    let options = RabbitOptions { prefix: prefix.to_owned(), ..RabbitOptions::default() };
    RabbitQueue::connect(&Secret::new(url.to_owned()), options).await
}

/// Work whose time of entry is its number, so that heads can be told apart.
pub fn work(lane: Lane, number: usize) -> Work {
    Work {
        lane,
        id: format!("co_{number}"),
        scope: "acme/live".to_owned(),
        enqueued_at: Timestamp::from_millis(1_900_000_000_000 + i64::try_from(number).unwrap()),
        wants: Vec::new(),
        trace: None,
    }
}

pub fn works(lane: Lane, numbers: std::ops::Range<usize>) -> Vec<Work> {
    numbers.map(|number| work(lane, number)).collect()
}

pub fn ids(numbers: std::ops::Range<usize>) -> BTreeSet<String> {
    numbers.map(|number| format!("co_{number}")).collect()
}

/// Publishes all, and all must be taken.
pub async fn publish(queue: &dyn Queue, work: Vec<Work>) {
    let len = work.len();
    let answers = queue.publish(work).await;
    assert_eq!(answers.len(), len);
    for answer in answers {
        answer.unwrap();
    }
}

/// The next piece of work, which must come.
pub async fn take(consumer: &mut Box<dyn Consumer>) -> Taken {
    within("the next piece of work", consumer.next()).await.expect("the consumer ended")
}

/// Takes and acknowledges until every one of `expected` has come (duplicates allowed).
pub async fn take_all(consumer: &mut Box<dyn Consumer>, mut expected: BTreeSet<String>) {
    let mut others = BTreeSet::new();
    while !expected.is_empty() {
        let Ok(Some(taken)) = tokio::time::timeout(PATIENCE, consumer.next()).await else {
            panic!("these never came: {expected:?}; these did: {others:?}");
        };
        taken.receipt.ack().await;
        if !expected.remove(&taken.work.id) {
            others.insert(taken.work.id);
        }
    }
}

/// Nothing comes out for a while.
pub async fn assert_quiet(consumer: &mut Box<dyn Consumer>) {
    if let Ok(taken) = tokio::time::timeout(QUIET, consumer.next()).await {
        panic!("nothing was to come, but {:?} came", taken.map(|taken| taken.work.id));
    }
}

pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} did not come in time"))
}

/// Asks again and again until the answer is `wanted`.
pub async fn eventually<T: PartialEq + std::fmt::Debug, F: Future<Output = T>>(wanted: T, mut ask: impl FnMut() -> F) {
    let begun = Instant::now();
    loop {
        let answer = ask().await;
        if answer == wanted {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "still {answer:?}, never {wanted:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
