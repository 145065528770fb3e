//! A clock that follows the store's: processes whose own clocks disagree agree on the time all the same.

use crate::{
    domain::time::Timestamp,
    ports::{
        clock::Clock,
        store::{CheckoutStore, StoreError},
    },
};
use std::{
    sync::Arc,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// How often the difference is measured again.
const SYNC_EVERY: Duration = Duration::from_secs(5);

/// This process's clock, set right by the store's.
#[derive(Debug)]
pub struct SyncedClock {
    own: Arc<dyn Clock>,
    store_is_ahead_ms: AtomicI64,
}

impl SyncedClock {
    /// Not yet set right: call [`sync`](Self::sync) before anything relies on it.
    pub fn new(own: Arc<dyn Clock>) -> Self {
        Self { own, store_is_ahead_ms: AtomicI64::new(0) }
    }

    /// Measures the difference, half the round trip allowed for.
    pub async fn sync(&self, store: &(impl CheckoutStore + ?Sized)) -> Result<(), StoreError> {
        let before = self.own.now().millis();
        let theirs = store.now().await?.millis();
        let after = self.own.now().millis();
        self.store_is_ahead_ms.store(theirs - (before + (after - before) / 2), Ordering::Relaxed);
        Ok(())
    }

    /// Keeps it right until `stop`. A store that does not answer leaves the last difference standing.
    pub async fn keep_in_sync<S: CheckoutStore + ?Sized>(self: Arc<Self>, store: Arc<S>, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(SYNC_EVERY)).await.is_some() {
            if let Err(error) = self.sync(&*store).await {
                tracing::debug!(%error, "the store's time could not be read");
            }
        }
    }
}

impl Clock for SyncedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.own.now().millis().saturating_add(self.store_is_ahead_ms.load(Ordering::Relaxed)))
    }
}
