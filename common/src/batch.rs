//! Group commit: many callers, one transaction, an answer each.

use async_trait::async_trait;
use futures::FutureExt;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// What a batch does with its items.
#[async_trait]
pub trait BatchRun: Send + Sync + 'static {
    /// One caller's request.
    type Item: Clone + Send + Sync + 'static;
    /// One caller's answer.
    type Answer: Send + 'static;
    /// What goes wrong for all of them.
    type Error: Clone + Send + From<Closed> + From<Panicked> + 'static;

    /// Runs a batch as one transaction and answers in order. It must be safe to run again with the same items: when a
    /// batch fails it is run once more, item by item, so that one bad item does not fail the others. So it is when it panics.
    async fn run(&self, items: &[Self::Item]) -> Result<Vec<Self::Answer>, Self::Error>;

    /// What its batches are counted under in the metrics; `None`: they are not.
    fn name(&self) -> Option<&'static str> {
        None
    }

    /// Whether running the items one by one may help. Not when nothing can be reached.
    fn worth_retrying(&self, error: &Self::Error) -> bool;

    /// Whether an item is run although its caller has stopped waiting while it stood in line. Not where the answer is what it is
    /// all about: a lease that nobody hears of only keeps others out.
    fn runs_for_nobody(&self) -> bool {
        true
    }
}

/// The batcher is gone, or its line is full for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

/// An item's own run panicked: our bug, and no reason to believe that another try helps. What was told of it is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panicked;

/// The bounds of a batcher.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// The most items in one transaction.
    pub max_items: usize,
    /// How many transactions may be under way at once.
    pub max_running: usize,
    /// How many callers may wait in line.
    pub max_waiting: usize,
    /// How long a caller waits for its answer.
    pub patience: Duration,
    /// How long a batch waits for company when there is much: after a batch of [`COMPANY`] or more. Zero: never.
    pub linger: Duration,
}

/// From a batch of this size on there is enough traffic for waiting to pay: each that joins saves a transaction.
pub const COMPANY: usize = 4;

impl Default for BatchLimits {
    fn default() -> Self {
        Self { max_items: 256, max_running: 1, max_waiting: 4096, patience: Duration::from_secs(30), linger: Duration::ZERO }
    }
}

type Entry<R> = (<R as BatchRun>::Item, oneshot::Sender<Result<<R as BatchRun>::Answer, <R as BatchRun>::Error>>);

/// Collects what comes while a transaction is under way into the next one. A lone caller starts at once; only in a crowd, and
/// where [`BatchLimits::linger`] says so, a batch waits a moment for more.
pub struct Batcher<R: BatchRun> {
    line: mpsc::Sender<Entry<R>>,
    patience: Duration,
}

impl<R: BatchRun> Batcher<R> {
    /// Starts the task that runs the batches. It ends when the batcher is dropped.
    pub fn start(run: R, limits: BatchLimits) -> Self {
        let (this, serving) = Self::new(run, limits, Arc::new(Semaphore::new(limits.max_running)));
        tokio::spawn(serving);
        this
    }

    /// A batcher, and the future that runs its batches wherever that is polled: inside some Tokio runtime. `places` is how many
    /// transactions may be under way at once, with whoever else shares it; `limits.max_running` is not looked at.
    pub fn new(run: R, limits: BatchLimits, places: Arc<Semaphore>) -> (Self, impl Future<Output = ()> + Send + use<R>) {
        let (line, waiting) = mpsc::channel(limits.max_waiting);
        (Self { line, patience: limits.patience }, serve(Arc::new(run), waiting, limits, places))
    }

    /// Runs `item` with whoever comes at the same time.
    pub async fn call(&self, item: R::Item) -> Result<R::Answer, R::Error> {
        let (sender, answer) = oneshot::channel();
        let both = async {
            self.line.send((item, sender)).await.map_err(|_| Closed)?;
            answer.await.map_err(|_| Closed)
        };
        match tokio::time::timeout(self.patience, both).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(closed)) => Err(closed.into()),
            Err(_) => Err(Closed.into()),
        }
    }
}

async fn serve<R: BatchRun>(run: Arc<R>, mut waiting: mpsc::Receiver<Entry<R>>, limits: BatchLimits, places: Arc<Semaphore>) {
    let mut last = 0;
    while let Some(first) = waiting.recv().await {
        // Then a free place: whoever comes while all places are taken shares the next batch.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        if last >= COMPANY && !limits.linger.is_zero() && waiting.len() < limits.max_items {
            tokio::time::sleep(limits.linger).await;
        }
        let mut batch = vec![first];
        while batch.len() < limits.max_items
            && let Ok(next) = waiting.try_recv()
        {
            batch.push(next);
        }
        last = batch.len();
        let run = Arc::clone(&run);
        tokio::spawn(async move {
            run_batch(&*run, batch).await;
            drop(place);
        });
    }
}

async fn run_batch<R: BatchRun>(run: &R, mut batch: Vec<Entry<R>>) {
    if !run.runs_for_nobody() {
        batch.retain(|(_, sender)| !sender.is_closed());
        if batch.is_empty() {
            return;
        }
    }
    let (items, senders): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
    let started = tokio::time::Instant::now();
    let result = caught(run, &items).await;
    if let Some(name) = run.name() {
        metrics::histogram!("boxoffice_batch_seconds", "batch" => name).record(started.elapsed().as_secs_f64());
        metrics::counter!("boxoffice_batch_items_total", "batch" => name).increment(items.len() as u64);
    }
    match result {
        Ok(Ok(answers)) => {
            for (sender, answer) in senders.into_iter().zip(answers) {
                let _ = sender.send(Ok(answer));
            }
        }
        Err(Panicked) if items.len() > 1 => one_by_one(run, items.into_iter().zip(senders)).await,
        Ok(Err(error)) if items.len() > 1 && run.worth_retrying(&error) => one_by_one(run, items.into_iter().zip(senders)).await,
        Ok(Err(error)) => answer_all(senders, &error),
        Err(panicked) => answer_all(senders, &panicked.into()),
    }
}

fn answer_all<A, E: Clone>(senders: Vec<oneshot::Sender<Result<A, E>>>, error: &E) {
    for sender in senders {
        let _ = sender.send(Err(error.clone()));
    }
}

/// Runs the items. A panic ends here: its batch is a task of its own, and those who wait for it would take a lost answer for a store that
/// cannot be reached, and come again with the same bug for ever.
async fn caught<R: BatchRun>(run: &R, items: &[R::Item]) -> Result<Result<Vec<R::Answer>, R::Error>, Panicked> {
    AssertUnwindSafe(run.run(items)).catch_unwind().await.map_err(|_| Panicked)
}

/// Runs a batch that failed item by item. What is not worth another try is the answer to all that are left: one after the other
/// each would wait for what cannot be reached, for hours, while the line behind them stands still.
async fn one_by_one<R: BatchRun>(run: &R, entries: impl Iterator<Item = Entry<R>> + Send) {
    let mut hopeless: Option<R::Error> = None;
    for (item, sender) in entries {
        let result = match &hopeless {
            Some(error) => Err(error.clone()),
            None if sender.is_closed() && !run.runs_for_nobody() => continue,
            None => match caught(run, std::slice::from_ref(&item)).await {
                Ok(result) => result,
                // That says nothing about those behind it.
                Err(panicked) => {
                    let _ = sender.send(Err(panicked.into()));
                    continue;
                }
            },
        };
        let answer = result.and_then(|mut one| one.pop().ok_or(Closed.into()));
        hopeless = answer.as_ref().err().filter(|error| !run.worth_retrying(error)).cloned();
        let _ = sender.send(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Debug, Clone, PartialEq)]
    enum Failure {
        Closed,
        Panicked,
        Odd,
    }

    impl From<Panicked> for Failure {
        fn from(_: Panicked) -> Self {
            Self::Panicked
        }
    }

    impl From<Closed> for Failure {
        fn from(_: Closed) -> Self {
            Self::Closed
        }
    }

    struct Evens(Arc<AtomicUsize>);

    #[async_trait]
    impl BatchRun for Evens {
        type Item = u32;
        type Answer = u32;
        type Error = Failure;

        async fn run(&self, items: &[u32]) -> Result<Vec<u32>, Failure> {
            self.0.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            if items.iter().any(|item| item % 2 == 1) { Err(Failure::Odd) } else { Ok(items.iter().map(|item| item * 10).collect()) }
        }

        fn worth_retrying(&self, error: &Failure) -> bool {
            *error == Failure::Odd
        }
    }

    #[tokio::test]
    async fn many_callers_share_a_transaction_and_each_gets_its_own_answer() {
        let runs = Arc::new(AtomicUsize::new(0));
        let batcher = Arc::new(Batcher::start(Evens(Arc::clone(&runs)), BatchLimits::default()));
        let calls = (0..200u32).map(|n| {
            let batcher = Arc::clone(&batcher);
            tokio::spawn(async move { (n, batcher.call(n * 2).await) })
        });
        for call in futures::future::join_all(calls).await {
            let (n, answer) = call.unwrap();
            assert_eq!(answer, Ok(n * 20));
        }
        assert!(runs.load(Ordering::SeqCst) < 20, "{runs:?} transactions for 200 callers");
    }

    /// The first run takes a minute; says what was run.
    struct Slow(Arc<std::sync::Mutex<Vec<u32>>>, bool);

    #[async_trait]
    impl BatchRun for Slow {
        type Item = u32;
        type Answer = ();
        type Error = Failure;

        async fn run(&self, items: &[u32]) -> Result<Vec<()>, Failure> {
            let first = self.0.lock().unwrap().is_empty();
            self.0.lock().unwrap().extend(items);
            if first {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            Ok(vec![(); items.len()])
        }

        fn worth_retrying(&self, _: &Failure) -> bool {
            false
        }

        fn runs_for_nobody(&self) -> bool {
            self.1
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_stopped_waiting_in_line_is_worked_for_only_where_the_work_matters_without_him() {
        for runs_for_nobody in [false, true] {
            let run = Arc::default();
            let batcher = Batcher::start(Slow(Arc::clone(&run), runs_for_nobody), BatchLimits::default());
            let late = async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                batcher.call(2).await
            };
            let patient = async {
                tokio::time::sleep(Duration::from_secs(45)).await;
                batcher.call(3).await
            };
            let (_, late, patient) = tokio::join!(batcher.call(1), late, patient);
            assert_eq!((late, patient), (Err(Failure::Closed), Ok(())));
            assert_eq!(*run.lock().unwrap(), if runs_for_nobody { vec![1, 2, 3] } else { vec![1, 3] });
        }
    }

    #[tokio::test]
    async fn one_bad_item_fails_alone() {
        let batcher = Batcher::start(Evens(Arc::default()), BatchLimits::default());
        let answers = futures::future::join_all([2, 3, 4].map(|item| batcher.call(item))).await;
        assert_eq!(answers, [Ok(20), Err(Failure::Odd), Ok(40)]);
    }

    /// Panics over 13; nothing that it says is worth another try.
    struct Superstitious;

    #[async_trait]
    impl BatchRun for Superstitious {
        type Item = u32;
        type Answer = u32;
        type Error = Failure;

        async fn run(&self, items: &[u32]) -> Result<Vec<u32>, Failure> {
            tokio::task::yield_now().await;
            assert!(!items.contains(&13), "a bug");
            Ok(items.iter().map(|item| item * 10).collect())
        }

        fn worth_retrying(&self, _: &Failure) -> bool {
            false
        }
    }

    #[tokio::test]
    async fn an_item_that_panics_is_told_so_alone_and_is_not_taken_for_something_that_cannot_be_reached() {
        let batcher = Batcher::start(Superstitious, BatchLimits::default());
        assert_eq!(batcher.call(13).await, Err(Failure::Panicked));
        let answers = futures::future::join_all([12, 13, 14].map(|item| batcher.call(item))).await;
        assert_eq!(answers, [Ok(120), Err(Failure::Panicked), Ok(140)]);
        assert_eq!(batcher.call(15).await, Ok(150), "its place is free again");
    }

    /// Nothing can be reached any more once the second item is run by itself, and that takes a while to tell.
    struct Failing(Arc<AtomicUsize>);

    #[async_trait]
    impl BatchRun for Failing {
        type Item = u32;
        type Answer = u32;
        type Error = Failure;

        async fn run(&self, items: &[u32]) -> Result<Vec<u32>, Failure> {
            self.0.fetch_add(1, Ordering::SeqCst);
            match items {
                [1] => Ok(vec![10]),
                [_] => {
                    tokio::time::sleep(Duration::from_secs(20)).await;
                    Err(Failure::Closed)
                }
                _ => Err(Failure::Odd),
            }
        }

        fn worth_retrying(&self, error: &Failure) -> bool {
            *error == Failure::Odd
        }
    }

    #[tokio::test(start_paused = true)]
    async fn when_nothing_can_be_reached_the_rest_of_a_failed_batch_does_not_wait_to_learn_it_one_by_one() {
        let runs = Arc::new(AtomicUsize::new(0));
        let batcher = Batcher::start(Failing(Arc::clone(&runs)), BatchLimits::default());
        let started = tokio::time::Instant::now();
        let answers = futures::future::join_all((1..=100).map(|item| batcher.call(item))).await;
        assert_eq!(answers.first(), Some(&Ok(10)));
        assert!(answers.iter().skip(1).all(|answer| *answer == Err(Failure::Closed)));
        assert_eq!(runs.load(Ordering::SeqCst), 3, "the batch, and two by themselves");
        assert!(started.elapsed() < Duration::from_secs(21));
    }
}
