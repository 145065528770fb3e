//! The rescuer: publishes again what is overdue. It is what makes the queue free to lose everything.

use crate::{
    lane::StepError,
    service::{Service, Shared},
};
use boxoffice_common::ports::{
    queue::{Head, Lane, Work},
    store::StoreError,
};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The most rows of a lane in one round.
const MOST: u32 = 500;

/// The rescuer.
pub(crate) struct Rescuer(pub(crate) Shared);

impl Service for Rescuer {
    const NAME: &'static str = "rescuer";

    fn every(&self) -> Duration {
        self.0.settings.rescue_every
    }

    async fn round(&self, _: &CancellationToken) -> Result<(), StepError> {
        for lane in Lane::ALL {
            self.rescue(lane).await?;
        }
        Ok(())
    }
}

impl Rescuer {
    async fn rescue(&self, lane: Lane) -> Result<(), StoreError> {
        let context = &self.0;
        let head = match context.queue.head(lane).await {
            Head::Empty => None,
            Head::At(at) => Some(at),
            // Nothing can be published now, and nothing is known of what waits.
            Head::Unknown => return Ok(()),
        };
        let overdue = context.store.rescue(lane, context.settings.rescue_every, head, MOST).await?;
        if overdue.is_empty() {
            return Ok(());
        }
        tracing::info!(lane = lane.as_str(), count = overdue.len(), "published again");
        metrics::counter!("boxoffice_rescued_total", "lane" => lane.as_str()).increment(overdue.len() as u64);
        let enqueued_at = context.clock.now();
        let work = |id, scope: String| Work { lane, id, scope, enqueued_at, wants: Vec::new(), trace: None };
        let answers = context.queue.publish(overdue.into_iter().map(|row| work(row.id, row.scope.to_string())).collect()).await;
        if let Some(error) = answers.into_iter().find_map(Result::err) {
            tracing::warn!(lane = lane.as_str(), %error, "not everything could be published; it stays due");
        }
        Ok(())
    }
}
