//! Hands work to the queue behind the answer's back: the row is durable and due already, so whatever goes wrong here
//! costs only the time until the rescuer publishes it.

use crate::shedding::Gate;
use boxoffice_common::{
    failpoint,
    ports::queue::{Lane, Queue, Work},
};
use std::sync::Arc;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// How much work may wait to be published.
const MAX_WAITING: usize = 32_768;
/// How much is handed in with one call.
const MAX_BATCH: usize = 256;
/// How many calls are under way at once, so that confirms are pipelined.
const MAX_RUNNING: usize = 8;

/// The sending end.
#[derive(Debug, Clone)]
pub struct Publisher {
    waiting: mpsc::Sender<Work>,
    gate: Arc<Gate>,
}

impl Publisher {
    /// Starts the task that publishes. When `closing` is cancelled it takes no more, publishes what it has, and ends.
    /// `gate` learns how many checkouts are on the way.
    pub fn start(queue: Arc<dyn Queue>, gate: Arc<Gate>, closing: CancellationToken) -> (Self, tokio::task::JoinHandle<()>) {
        let (sender, waiting) = mpsc::channel(MAX_WAITING);
        (Self { waiting: sender, gate: Arc::clone(&gate) }, tokio::spawn(serve(queue, gate, waiting, closing)))
    }

    /// Takes work. Never waits: when there is no room the rescuer will find the row.
    pub fn send(&self, work: Work) {
        let checkouts = checkouts(std::slice::from_ref(&work));
        if checkouts > 0 {
            self.gate.accepted();
        }
        if self.waiting.try_send(work).is_err() {
            self.gate.handed_in(checkouts);
            metrics::counter!("boxoffice_api_publish_left_to_rescuer_total").increment(1);
        }
    }
}

/// What the gate counts.
fn checkouts(works: &[Work]) -> u64 {
    works.iter().filter(|work| work.lane == Lane::Checkouts).count() as u64
}

async fn serve(queue: Arc<dyn Queue>, gate: Arc<Gate>, mut waiting: mpsc::Receiver<Work>, closing: CancellationToken) {
    let mut running = JoinSet::new();
    loop {
        let mut batch = Vec::new();
        tokio::select! {
            taken = waiting.recv_many(&mut batch, MAX_BATCH) => if taken == 0 { break },
            () = closing.cancelled(), if !waiting.is_closed() => {
                waiting.close();
                continue;
            }
        }
        while running.len() >= MAX_RUNNING {
            running.join_next().await;
        }
        let (queue, gate, on_the_way) = (Arc::clone(&queue), Arc::clone(&gate), checkouts(&batch));
        running.spawn(async move {
            publish(&*queue, batch).await;
            gate.handed_in(on_the_way);
        });
        while running.try_join_next().is_some() {}
    }
    while running.join_next().await.is_some() {}
}

async fn publish(queue: &dyn Queue, batch: Vec<Work>) {
    let count = batch.len();
    if failpoint::cross("publish.before").await.is_err() {
        return;
    }
    let answers = queue.publish(batch).await;
    let failures = answers.iter().filter_map(|answer| answer.as_ref().err());
    let failed = failures.clone().count();
    if let Some(error) = failures.into_iter().next() {
        tracing::warn!(%error, failed, count, "work was not published; it is due and will be rescued");
        metrics::counter!("boxoffice_api_publish_failed_total").increment(failed as u64);
    }
    // A failure told here changes nothing: the work is in the queue.
    let _ = failpoint::cross("publish.after").await;
}
