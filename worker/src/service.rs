//! A service beside the queue: the same step again and again, until it is stopped. A failed step is logged and tried again.

use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Runs `step` every `every`, beginning after the first pause.
pub(crate) async fn every<E: std::fmt::Display>(
    every: Duration,
    name: &'static str,
    stop: CancellationToken,
    mut step: impl AsyncFnMut() -> Result<(), E>,
) {
    while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
        if let Err(error) = step().await {
            tracing::warn!(service = name, %error, "failed; it is tried again");
        }
    }
}
