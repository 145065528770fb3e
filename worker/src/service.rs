//! A service beside the queue: the same round again and again, until it is stopped. A failed round is logged and tried again.

use crate::{WorkerContext, lane::StepError};
use futures::FutureExt;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
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

/// Runs rounds until `stop`, beginning after the first pause. One that panics is a failed one: nobody else in this process does its
/// work, and the process goes on.
pub(crate) async fn serve<S: Service>(service: S, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(service.every())).await.is_some() {
        match AssertUnwindSafe(service.round(&stop)).catch_unwind().await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(service = S::NAME, %error, "failed; it is tried again"),
            Err(_panic) => tracing::error!(service = S::NAME, "panicked; it is tried again"),
        }
    }
}

/// The services' share of the context.
pub(crate) type Shared = Arc<WorkerContext>;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Panics, fails, and asks for the stop.
    struct Unlucky(Arc<AtomicU32>, CancellationToken);

    impl Service for Unlucky {
        const NAME: &'static str = "unlucky";

        fn every(&self) -> Duration {
            Duration::from_millis(1)
        }

        async fn round(&self, _: &CancellationToken) -> Result<(), StepError> {
            match self.0.fetch_add(1, Ordering::Relaxed) {
                0 => panic!("as the test wants it"),
                1 => Err(StepError::Malformed("as the test wants it".to_owned())),
                _ => {
                    self.1.cancel();
                    Ok(())
                }
            }
        }
    }

    #[tokio::test]
    async fn a_service_goes_on_after_a_round_that_failed_or_panicked() {
        let (rounds, stop) = (Arc::default(), CancellationToken::new());
        let serving = serve(Unlucky(Arc::clone(&rounds), stop.clone()), stop);
        tokio::time::timeout(Duration::from_secs(60), serving).await.expect("the third round asks for the stop");
        assert_eq!(rounds.load(Ordering::Relaxed), 3);
    }
}
