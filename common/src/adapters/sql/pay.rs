//! `pay`: payments that customers submit on our page, a batch in one transaction.

use super::{
    SqlStore,
    apply::apply,
    db::{Db, Tx, transact},
    load,
    remembered::Remembered,
};
use crate::{
    batch::BatchRun,
    domain::{
        checkout::Checkout,
        hosted::{self, Pay},
        id::{CheckoutId, Entropy},
    },
    failpoint,
    ports::store::{Moved, Paid, StoreError},
};
use async_trait::async_trait;
use std::sync::Arc;

/// Runs submitted payments.
pub(super) struct Pays {
    db: Db,
    entropy: Arc<Entropy>,
    remembered: Arc<Remembered>,
}

impl Pays {
    pub(super) fn new(db: Db, entropy: Arc<Entropy>, remembered: Arc<Remembered>) -> Self {
        Self { db, entropy, remembered }
    }
}

#[async_trait]
impl BatchRun for Pays {
    type Item = Arc<Pay>;
    type Answer = Paid;
    type Error = StoreError;

    async fn run(&self, items: &[Arc<Pay>]) -> Result<Vec<Paid>, StoreError> {
        let (answers, submitted) = transact!(self.db, tx => { run(tx, items, &self.entropy).await })?;
        self.remembered.keep(submitted);
        let _ = failpoint::cross("accept.after_commit").await;
        Ok(answers)
    }

    fn name(&self) -> Option<&'static str> {
        Some("pay")
    }

    fn worth_retrying(&self, error: &StoreError) -> bool {
        !matches!(error, StoreError::Unavailable(_))
    }
}

/// The answers, and what was written.
async fn run(tx: &mut Tx<'_>, items: &[Arc<Pay>], entropy: &Entropy) -> Result<(Vec<Paid>, Vec<Checkout>), StoreError> {
    let mut checkouts = load::lock_known(tx, items.iter().map(|item| (&item.checkout, item.known.as_deref()))).await?;
    let now = tx.now().await?;
    let mut submitted = Vec::new();
    // Which entry of `submitted` an item's answer comes from. A twin in the same batch finds nothing: the first has it.
    let mut sources = Vec::with_capacity(items.len());
    for item in items {
        let decided = checkouts.remove(&item.checkout).map(|checkout| hosted::pay(checkout, item, now, entropy)).transpose();
        let effects = decided.map_err(|error| StoreError::Inconsistent(error.to_string()))?.flatten();
        sources.push(effects.as_ref().map(|_| submitted.len()));
        submitted.extend(effects);
    }
    let moved = apply(tx, &submitted, now, entropy).await?;
    failpoint::cross("accept.before_commit").await?;
    let answer = |source: Option<usize>| source.and_then(|at| moved.get(at).cloned()).map_or(Paid::Unchanged, Paid::Submitted);
    let answers = sources.into_iter().map(answer).collect();
    Ok((answers, submitted.into_iter().map(|effects| effects.checkout).collect()))
}

impl SqlStore {
    pub(super) async fn look_now_at(&self, id: &CheckoutId) -> Result<Option<Moved>, StoreError> {
        transact!(self.db, tx => {
            let Some(checkout) = load::lock(tx, [id]).await?.remove(id) else { return Ok(None) };
            let now = tx.now().await?;
            let Some(effects) = hosted::look_now(checkout, now) else { return Ok(None) };
            Ok(apply(tx, &[effects], now, &self.entropy).await?.pop())
        })
    }

    pub(super) async fn take_back_now(&self, id: &CheckoutId, n: u32) -> Result<Option<Moved>, StoreError> {
        let moved = transact!(self.db, tx => {
            let Some(checkout) = load::lock(tx, [id]).await?.remove(id) else { return Ok(None) };
            let now = tx.now().await?;
            let decided = hosted::take_back(checkout, n, now, &self.entropy).map_err(|error| StoreError::Inconsistent(error.to_string()))?;
            let Some(effects) = decided else { return Ok(None) };
            let moved = apply(tx, &[effects], now, &self.entropy).await?.pop();
            failpoint::cross("accept.before_commit").await?;
            Ok(moved)
        })?;
        let _ = failpoint::cross("accept.after_commit").await;
        Ok(moved)
    }
}
