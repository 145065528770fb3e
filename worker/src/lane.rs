//! The loop that takes work in hand. Each piece is a task; the queue's prefetch bounds how many there are.

use crate::{WorkerContext, checkout, deliver, provider_event};
use boxoffice_common::{
    domain::time::Timestamp,
    failpoint,
    ports::{
        queue::{Consumer, Lane, Queue, QueueError, Taken, Work},
        store::StoreError,
    },
};
use futures::{FutureExt, future::BoxFuture};
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

/// When to look again at work that the store could not be asked about.
const STORE_DOWN_PAUSE: Duration = Duration::from_secs(5);
/// The longest wait that rides the queue. Beyond it the row's `due_at` brings the work back.
pub(crate) const LONGEST_RIDE: Duration = Duration::from_secs(60);

/// What to do with a message after its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// Nothing more.
    Finished,
    /// Look again after this long.
    Again(Duration),
}

/// What keeps work from being done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A follow-up could not be published. Its row is due: the rescuer brings it.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// A failpoint was told to fail.
    #[error(transparent)]
    Told(#[from] failpoint::Told),
    /// The message names no row.
    #[error("the message cannot be read: {0}")]
    Malformed(String),
    /// Our bug. What was told of it is in the log.
    #[error("it panicked")]
    Panicked,
}

/// Serves a lane until `stop`, then finishes what is in hand.
pub(crate) async fn serve(context: Arc<WorkerContext>, lane: Lane, mut consumer: Box<dyn Consumer>, stop: CancellationToken) {
    let in_hand = TaskTracker::new();
    while let Some(Some(taken)) = stop.run_until_cancelled(consumer.next()).await {
        let span = tracing::info_span!("work", lane = lane.as_str(), id = %taken.work.id, trace = taken.work.trace.as_deref());
        in_hand.spawn(handle(Arc::clone(&context), taken).instrument(span));
    }
    consumer.stop().await;
    in_hand.close();
    in_hand.wait().await;
}

async fn handle(context: Arc<WorkerContext>, taken: Taken) {
    let Taken { work, receipt } = taken;
    // Each in a box of its own size: a thousand charges that wait for their provider would each have the room that an event needs.
    let step: BoxFuture<'_, Result<Done, StepError>> = match work.lane {
        Lane::Checkouts | Lane::Money => Box::pin(checkout::run(&context, &work)),
        Lane::Deliveries => Box::pin(deliver::run(&context, &work)),
        Lane::Events => Box::pin(provider_event::run(&context, &work)),
    };
    let result = caught(step).await;
    conclude(&*context.queue, context.clock.now(), Taken { work, receipt }, result).await;
}

/// A step that panics has failed. Without a word its message would come again at once, and again; as a dead letter it is seen. What it is
/// about stays due: the rescuer brings it back at doubling intervals, and a take-over of its lease counts in its row.
pub(crate) async fn caught<T>(step: impl Future<Output = Result<T, StepError>>) -> Result<T, StepError> {
    AssertUnwindSafe(step).catch_unwind().await.unwrap_or(Err(StepError::Panicked))
}

async fn conclude(queue: &dyn Queue, now: Timestamp, taken: Taken, result: Result<Done, StepError>) {
    let Taken { work, receipt } = taken;
    let again = match result {
        Ok(Done::Finished) => None,
        Ok(Done::Again(wait)) => Some(wait),
        Err(StepError::Store(StoreError::Unavailable(cause))) => {
            tracing::warn!(%cause, "the store does not answer; the work waits");
            Some(STORE_DOWN_PAUSE)
        }
        Err(StepError::Queue(error)) => {
            tracing::warn!(%error, "a follow-up could not be published; it is due and will be found");
            None
        }
        Err(error) => {
            tracing::error!(%error, "the work cannot be done; it goes to the dead letters");
            metrics::counter!("boxoffice_dead_letters_total", "lane" => work.lane.as_str()).increment(1);
            receipt.dead_letter().await;
            return;
        }
    };
    if let Some(wait) = again.filter(|&wait| wait <= LONGEST_RIDE) {
        // A retry is published anew and then acknowledged. If it cannot be, the message itself comes again.
        if queue.publish_after(anew(work, now.after(wait)), wait).await.is_err() {
            return;
        }
    }
    if failpoint::cross("ack.before").await.is_err() {
        return;
    }
    receipt.ack().await;
    let _ = failpoint::cross("ack.after").await;
}

/// The same work as it joins its lane again. With the time of its first entry it would take the lane's head back to then, and
/// the rescuer would leave alone what has become due since.
fn anew(work: Work, joins: Timestamp) -> Work {
    Work { wants: Vec::new(), enqueued_at: joins, ..work }
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxoffice_common::{adapters::queue::MemoryQueue, ports::queue::DeadLetterOffice};

    fn work(id: &str) -> Work {
        Work {
            lane: Lane::Checkouts,
            id: id.to_owned(),
            scope: "demo/test".to_owned(),
            enqueued_at: Timestamp::from_millis(1_000),
            wants: Vec::new(),
            trace: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        }
    }

    #[tokio::test]
    async fn work_that_panics_is_seen_among_the_dead_letters_and_neither_circles_nor_takes_a_place_in_hand() {
        let queue = MemoryQueue::new();
        let mut consumer = queue.consume(Lane::Checkouts, 1).await.unwrap();
        for id in ["chk_bad", "chk_good"] {
            queue.publish(vec![work(id)]).await.remove(0).unwrap();
        }
        let bad = consumer.next().await.unwrap();
        assert_eq!(bad.work.id, "chk_bad");
        let result = caught::<Done>(async { panic!("a bug") }).await;
        conclude(&queue, Timestamp::from_millis(2_000), bad, result).await;
        // Of one place in hand none is lost, and the one behind it is not the same again.
        let good = tokio::time::timeout(Duration::from_secs(5), consumer.next()).await.unwrap().unwrap();
        assert_eq!(good.work.id, "chk_good");
        conclude(&queue, Timestamp::from_millis(2_000), good, caught(async { Ok(Done::Finished) }).await).await;
        let dead = queue.dead_letters(10).await.unwrap();
        assert_eq!((dead.total, dead.letters[0].id.as_str()), (1, "chk_bad"));
        assert_eq!(queue.depth(Lane::Checkouts).await.unwrap(), 0);
    }

    #[test]
    fn work_that_waits_joins_its_lane_when_its_wait_is_over() {
        let work = work("chk_1");
        let joins = Timestamp::from_millis(61_000);
        assert_eq!(anew(work.clone(), joins), Work { enqueued_at: joins, ..work });
    }
}
