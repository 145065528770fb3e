//! The canceler: gives everybody back what was paid for a session that is called off, a few at a time.

use crate::{
    follow,
    lane::StepError,
    service::{Service, Shared},
};
use boxoffice_common::{
    domain::{
        id::{CheckoutId, RefundId},
        job::{self, ItemState, Undo},
        refund::RefundAsk,
    },
    failpoint,
    ports::store::{CancelResult, IdempotencyRow, JobBatch, Moved, NewRefund, RefundResult, StoreError},
};
use futures::future::join_all;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Between two batches of a job, so that what is under way comes to its end.
const PAUSE: Duration = Duration::from_millis(100);
/// So many of a batch are looked at together. They share their transactions, each of which costs about as much for one as for a few; with
/// more, every new sale would stand in line behind them.
const TOGETHER: usize = 5;
/// Between two of those groups that asked for something: new sales come first.
const BREATH: Duration = Duration::from_millis(60);
/// The most batches in one round.
const MOST: usize = 20;
/// How often a refund that is refused is decided on anew: somebody else may have given something back in between.
const TRIES: usize = 2;

/// The canceler.
pub(crate) struct Canceler(pub(crate) Shared);

impl Service for Canceler {
    const NAME: &'static str = "canceler";

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn round(&self, stop: &CancellationToken) -> Result<(), StepError> {
        let context = &self.0;
        for _ in 0..MOST {
            let (token, lease) = (context.lease_token(), context.settings.lease);
            // Half of the lease is for work. Who takes longer all the same does nothing twice: each refund has an id of its own.
            let until = Instant::now() + lease / 2;
            let Some(batch) = context.store.take_job(&token, lease).await? else { return Ok(()) };
            let items = self.work(&batch, until, stop).await;
            failpoint::cross("job.after_batch").await?;
            match context.store.save_job(&batch.job.id, &token, &items, PAUSE).await? {
                Some(job) => {
                    tracing::info!(job = %job.id, status = job.status.as_str(), done = job.done, failed = job.failed, total = job.total, "job")
                }
                None => tracing::warn!(job = %batch.job.id, "the lease ran out; somebody else goes on"),
            }
            if stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Canceler {
    /// What became of each checkout that was looked at.
    async fn work(&self, batch: &JobBatch, until: Instant, stop: &CancellationToken) -> Vec<(CheckoutId, ItemState)> {
        let mut items = Vec::with_capacity(batch.checkouts.len());
        for group in batch.checkouts.chunks(TOGETHER) {
            if stop.is_cancelled() || Instant::now() >= until {
                break;
            }
            let states = join_all(group.iter().map(|checkout| self.undo(batch, checkout))).await;
            let asked = states.iter().any(|state| matches!(state, Ok(ItemState::UnderWay)));
            let mut is_away = false;
            for (checkout, state) in group.iter().zip(states) {
                match state {
                    Ok(state) => items.push((checkout.clone(), state)),
                    Err(StoreError::Unavailable(cause)) => {
                        tracing::warn!(job = %batch.job.id, %checkout, %cause, "the store is away; the rest is for the next batch");
                        is_away = true;
                    }
                    Err(error) => {
                        tracing::error!(job = %batch.job.id, %checkout, %error, "this checkout cannot be given back");
                        items.push((checkout.clone(), ItemState::Failed));
                    }
                }
            }
            if is_away || (asked && stop.run_until_cancelled(tokio::time::sleep(BREATH)).await.is_none()) {
                break;
            }
        }
        items
    }

    async fn undo(&self, batch: &JobBatch, id: &CheckoutId) -> Result<ItemState, StoreError> {
        let retries = batch.retries.get(id).copied().unwrap_or(0);
        let ours = batch.job.refund_of(id, retries).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        for _ in 0..TRIES {
            let Some(checkout) = self.0.store.checkout(id).await? else { return Ok(ItemState::Done) };
            let refunds = self.0.store.refunds(&batch.scope, id).await?;
            match job::undo(checkout, refunds, &ours, &batch.job).map_err(|error| StoreError::Inconsistent(error.to_string()))? {
                Undo::Nothing => return Ok(ItemState::Done),
                Undo::Stuck => return Ok(ItemState::Failed),
                Undo::Wait => return Ok(ItemState::UnderWay),
                Undo::Cancel => return self.cancel(batch, id).await,
                Undo::Refund(ask) => {
                    if self.refund(batch, id, &ours, ask).await? {
                        return Ok(ItemState::UnderWay);
                    }
                }
            }
        }
        tracing::warn!(job = %batch.job.id, checkout = %id, "the refund is refused: a person has to look");
        Ok(ItemState::Failed)
    }

    async fn cancel(&self, batch: &JobBatch, id: &CheckoutId) -> Result<ItemState, StoreError> {
        match self.0.store.cancel(&batch.scope, id).await? {
            CancelResult::Canceled(_, moved) => {
                self.follow(moved).await;
                Ok(ItemState::Done)
            }
            CancelResult::Closing(_, moved) => {
                self.follow(moved).await;
                Ok(ItemState::UnderWay)
            }
            // It has just ended otherwise: what became of it is seen the next time.
            CancelResult::NotCancelable(_) => Ok(ItemState::UnderWay),
            CancelResult::Missing => Ok(ItemState::Done),
        }
    }

    /// Asks for the job's own refund. `false`: it is refused.
    async fn refund(&self, batch: &JobBatch, checkout: &CheckoutId, id: &RefundId, ask: RefundAsk) -> Result<bool, StoreError> {
        let (route, key) = (format!("JOB {}", batch.job.id), id.to_string());
        let idempotency = IdempotencyRow { route, key, body_hash: String::new() };
        let new = NewRefund { id: id.clone(), scope: batch.scope.clone(), checkout: checkout.clone(), ask, idempotency };
        match self.0.store.refund(&new).await? {
            RefundResult::Created { moved, .. } => {
                self.follow(moved).await;
                Ok(true)
            }
            RefundResult::Replayed(_) => Ok(true),
            RefundResult::KeyReused | RefundResult::Missing | RefundResult::Refused(_) => Ok(false),
        }
    }

    /// What cannot be handed on now is due in the store, and found there.
    async fn follow(&self, moved: Option<Moved>) {
        let Some(moved) = moved else { return };
        if let Err(error) = follow::follow(&self.0, moved, None).await {
            tracing::warn!(%error, "what follows was not handed on; it stays due");
        }
    }
}
