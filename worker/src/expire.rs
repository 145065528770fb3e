//! The expirer: ends queued checkouts whose deadline has passed.

use crate::{WorkerContext, follow, lane::StepError, service};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(1);
/// The most in one transaction.
const MOST: u32 = 200;

pub(crate) async fn serve(context: Arc<WorkerContext>, stop: CancellationToken) {
    service::every(EVERY, "expirer", stop.clone(), async || {
        loop {
            let ended = context.store.expire(MOST).await?;
            let full = ended.len() == MOST as usize;
            for moved in ended {
                follow::follow(&context, moved).await?;
            }
            if !full || stop.is_cancelled() {
                return Ok::<(), StepError>(());
            }
        }
    })
    .await;
}
