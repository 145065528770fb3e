//! The expirer: ends queued checkouts whose deadline has passed.

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
}
