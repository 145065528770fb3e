//! `settle`: records outcomes and all that follows from them, a batch in one transaction.

use super::{
    apply::apply,
    db::{Db, Tx, transact},
    jobs_again, load,
};
use crate::{
    batch::BatchRun,
    domain::{
        attempt::{AttemptKind, AttemptStatus},
        checkout::Checkout,
        id::Entropy,
        settle::{self, Settlement},
        state::Status,
    },
    failpoint,
    ports::store::{Settled, StoreError},
};
use async_trait::async_trait;
use std::sync::Arc;

/// Runs settlements.
pub(super) struct Settles {
    db: Db,
    entropy: Arc<Entropy>,
}

impl Settles {
    pub(super) fn new(db: Db, entropy: Arc<Entropy>) -> Self {
        Self { db, entropy }
    }
}

#[async_trait]
impl BatchRun for Settles {
    type Item = Arc<Settlement>;
    type Answer = Settled;
    type Error = StoreError;

    async fn run(&self, items: &[Arc<Settlement>]) -> Result<Vec<Settled>, StoreError> {
        let answers = transact!(self.db, tx => { run(tx, items, &self.entropy).await })?;
        let _ = failpoint::cross("settle.after_commit").await;
        Ok(answers)
    }

    fn name(&self) -> Option<&'static str> {
        Some("settle")
    }

    fn worth_retrying(&self, error: &StoreError) -> bool {
        !matches!(error, StoreError::Unavailable(_))
    }
}

enum Decided {
    Written(usize),
    Already(Status),
}

async fn run(tx: &mut Tx<'_>, items: &[Arc<Settlement>], entropy: &Entropy) -> Result<Vec<Settled>, StoreError> {
    let mut checkouts = load::lock_known(tx, items.iter().map(|item| (&item.checkout, item.known.as_deref()))).await?;
    let now = tx.now().await?;
    let mut effects = Vec::with_capacity(items.len());
    let mut decided = Vec::with_capacity(items.len());
    let mut out_of_doubt = Vec::new();
    for item in items {
        let Some(checkout) = checkouts.remove(&item.checkout) else {
            return Err(StoreError::Inconsistent(format!("settled twice in one batch, or not there: {}", item.checkout)));
        };
        let (status, was_in_doubt) = (checkout.status, has_refund_in_doubt(&checkout, item.n));
        match settle::settle(checkout, item, now, entropy).map_err(|error| StoreError::Inconsistent(error.to_string()))? {
            Some(change) => {
                decided.push(Decided::Written(effects.len()));
                effects.push(change);
                out_of_doubt.extend(was_in_doubt.then_some(&item.checkout));
            }
            None => decided.push(Decided::Already(status)),
        }
    }
    let moved = apply(tx, &effects, now, entropy).await?;
    // Costs nothing where no refund was waited for.
    jobs_again::look_again(tx, out_of_doubt, now).await?;
    failpoint::cross("settle.before_commit").await?;
    let answer = |decided| match decided {
        Decided::Already(status) => Ok(Settled::Already(status)),
        Decided::Written(at) => {
            moved.get(at).cloned().map(Settled::Moved).ok_or_else(|| StoreError::Inconsistent("a settlement without an answer".to_owned()))
        }
    };
    decided.into_iter().map(answer).collect()
}

/// Whether attempt `n` is a refund of which nobody knew what came of it: a job that calls a session off has left it to a person.
fn has_refund_in_doubt(checkout: &Checkout, n: u32) -> bool {
    let mut attempts = checkout.attempts.iter();
    attempts.any(|attempt| (attempt.n, attempt.request.kind, attempt.status) == (n, AttemptKind::Refund, AttemptStatus::NeedsReview))
}
