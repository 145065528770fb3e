//! Upkeep: forgets answers that are older than a client may ask for.

use crate::{WorkerContext, service};
use boxoffice_common::ports::store::StoreError;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(600);
/// API.md promises 72 hours at the least.
const KEEP: Duration = Duration::from_secs(96 * 3600);
/// The most in one transaction.
const MOST: u32 = 1_000;

pub(crate) async fn serve(context: Arc<WorkerContext>, stop: CancellationToken) {
    service::every(EVERY, "tidy", stop.clone(), async || {
        while !stop.is_cancelled() && context.store.forget_answers(KEEP, MOST).await? == u64::from(MOST) {}
        Ok::<(), StoreError>(())
    })
    .await;
}
