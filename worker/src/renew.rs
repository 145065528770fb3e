//! The renewer: makes a checkout of each renewal that is due, and ends subscriptions that were to end.

use crate::{
    follow,
    lane::StepError,
    service::{Service, Shared},
};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The most in one round, so that on the first of a month new sales are not held up by everybody's renewals.
const MOST: u32 = 100;

/// The renewer.
pub(crate) struct Renewer(pub(crate) Shared);

impl Service for Renewer {
    const NAME: &'static str = "renewer";

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn round(&self, _: &CancellationToken) -> Result<(), StepError> {
        let renewed = self.0.store.renew(MOST).await?;
        if !renewed.checkouts.is_empty() {
            tracing::info!(count = renewed.checkouts.len(), "renewals are due");
            metrics::counter!("boxoffice_renewals_total").increment(renewed.checkouts.len() as u64);
        }
        follow::follow_renewals(&self.0, renewed).await
    }
}
