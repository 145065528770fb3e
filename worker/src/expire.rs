//! The expirer: ends queued checkouts whose deadline has passed, and offers of waiting lists whose time is over.

use crate::{
    follow,
    lane::StepError,
    service::{Service, Shared},
};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The most in one transaction.
const MOST: u32 = 200;

/// The expirer.
pub(crate) struct Expirer(pub(crate) Shared);

impl Service for Expirer {
    const NAME: &'static str = "expirer";

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn round(&self, stop: &CancellationToken) -> Result<(), StepError> {
        // What keeps the one from going on, such as a queue that is away, is nothing to the other: each is a transaction first.
        let expired = self.expire(stop).await;
        self.lapse(stop).await?;
        expired
    }
}

impl Expirer {
    async fn expire(&self, stop: &CancellationToken) -> Result<(), StepError> {
        loop {
            let ended = self.0.store.expire(MOST).await?;
            let full = ended.len() == MOST as usize;
            for moved in ended {
                follow::follow(&self.0, moved, None).await?;
            }
            if !full || stop.is_cancelled() {
                return Ok(());
            }
        }
    }

    async fn lapse(&self, stop: &CancellationToken) -> Result<(), StepError> {
        loop {
            let (looked_at, moved) = self.0.store.lapse(MOST).await?;
            follow::follow_list(&self.0, moved).await?;
            if looked_at < MOST || stop.is_cancelled() {
                return Ok(());
            }
        }
    }
}
