//! Upkeep: forgets answers that are older than a client may ask for, what providers told us long ago, and how they did.

use crate::{
    lane::StepError,
    service::{Service, Shared},
};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// API.md promises 72 hours at the least.
const KEEP: Duration = Duration::from_secs(96 * 3600);
/// Shorter than answers are kept: a request that is one with an earlier one gets that one's answer.
const KEEP_UNANSWERED: Duration = Duration::from_secs(24 * 3600);
/// Longer than any provider repeats an event.
const KEEP_EVENTS: Duration = Duration::from_secs(30 * 24 * 3600);
/// Long enough to see what went wrong yesterday.
const KEEP_HEALTH: Duration = Duration::from_secs(24 * 3600);
/// The most in one transaction.
const MOST: u32 = 1_000;

/// The janitor.
pub(crate) struct Janitor(pub(crate) Shared);

impl Service for Janitor {
    const NAME: &'static str = "janitor";

    fn every(&self) -> Duration {
        Duration::from_secs(600)
    }

    async fn round(&self, stop: &CancellationToken) -> Result<(), StepError> {
        // Before the answers: one that is asked for again has to be there.
        while !stop.is_cancelled() && self.0.store.forget_unanswered(KEEP_UNANSWERED, MOST).await? == u64::from(MOST) {}
        while !stop.is_cancelled() && self.0.store.forget_answers(KEEP, MOST).await? == u64::from(MOST) {}
        while !stop.is_cancelled() && self.0.store.forget_events(KEEP_EVENTS, MOST).await? == u64::from(MOST) {}
        while !stop.is_cancelled() && self.0.store.forget_health(KEEP_HEALTH, MOST).await? == u64::from(MOST) {}
        Ok(())
    }
}
