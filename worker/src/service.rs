//! A service beside the queue: the same round again and again, until it is stopped. A failed round is logged and tried again.

use crate::{WorkerContext, lane::StepError};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// One service.
pub(crate) trait Service: Send + Sync {
    /// As it stands in logs.
    const NAME: &'static str;

    /// The pause between rounds.
    fn every(&self) -> Duration;

    /// One round. Ends early when `stop` is asked for.
    fn round(&self, stop: &CancellationToken) -> impl Future<Output = Result<(), StepError>> + Send;
}

/// Runs rounds until `stop`, beginning after the first pause.
pub(crate) async fn serve<S: Service>(service: S, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(service.every())).await.is_some() {
        if let Err(error) = service.round(&stop).await {
            tracing::warn!(service = S::NAME, %error, "failed; it is tried again");
        }
    }
}

/// The services' share of the context.
pub(crate) type Shared = Arc<WorkerContext>;
