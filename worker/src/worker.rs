//! Starting and draining a worker.

use crate::{
    WorkerContext, expire::Expirer, health::HealthTeller, jobs::Canceler, lane, renew::Renewer, rescue::Rescuer, service, tidy::Janitor,
};
use boxoffice_common::ports::queue::{Lane, QueueError};
use std::{sync::Arc, time::Duration};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long work in hand may take to finish after a stop was asked for. Whatever is left then is taken over by its lease.
const DRAIN_PATIENCE: Duration = Duration::from_secs(25);
/// Voids and refunds in hand at once: fewer than new sales, so that they do not hold those up, and enough to share transactions.
const MONEY_PREFETCH: u16 = 128;
/// What providers told us, in hand at once: enough to share transactions, also while some wait for what whoever asked is about to say.
const EVENT_PREFETCH: u16 = 128;
/// Callbacks in hand at once. They wait for strangers most of the time.
const DELIVERY_PREFETCH: u16 = 256;

/// A running worker.
pub struct Worker {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Worker {
    /// Takes part in all lanes and starts the services beside them.
    pub async fn start(context: Arc<WorkerContext>) -> Result<Self, QueueError> {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        for lane in Lane::ALL {
            let prefetch = match lane {
                Lane::Checkouts => context.settings.prefetch,
                Lane::Money => MONEY_PREFETCH.min(context.settings.prefetch),
                Lane::Deliveries => DELIVERY_PREFETCH,
                Lane::Events => EVENT_PREFETCH.min(context.settings.prefetch),
            };
            let consumer = context.queue.consume(lane, prefetch).await?;
            tasks.spawn(lane::serve(Arc::clone(&context), lane, consumer, stop.clone()));
        }
        tasks.spawn(service::serve(Rescuer(Arc::clone(&context)), stop.clone()));
        tasks.spawn(service::serve(Expirer(Arc::clone(&context)), stop.clone()));
        tasks.spawn(service::serve(Canceler(Arc::clone(&context)), stop.clone()));
        tasks.spawn(service::serve(Renewer(Arc::clone(&context)), stop.clone()));
        tasks.spawn(service::serve(HealthTeller::new(Arc::clone(&context)), stop.clone()));
        tasks.spawn(service::serve(Janitor(context), stop.clone()));
        Ok(Self { stop, tasks })
    }

    /// Takes no more work, finishes what is in hand, and ends. `false` when something was still in hand at the end of
    /// patience: another worker takes it over when its lease runs out.
    pub async fn drain(self) -> bool {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(DRAIN_PATIENCE, self.tasks.wait()).await.is_ok()
    }
}
