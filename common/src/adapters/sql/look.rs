//! Looks that many take at the same time: one query for all of them, an answer each.

use super::db::Db;
use crate::{batch::BatchRun, ports::store::StoreError};
use async_trait::async_trait;
use std::marker::PhantomData;

/// What is looked at.
#[async_trait]
pub(super) trait Look: Send + Sync + 'static {
    /// What one caller wants to see.
    type Item: Clone + Send + Sync + 'static;
    /// What he sees.
    type Answer: Send + 'static;
    /// What its batches are counted under in the metrics.
    const NAME: &'static str;

    /// Answers in order, by one query: all of it is of one moment.
    async fn look(db: &Db, items: &[Self::Item]) -> Result<Vec<Self::Answer>, StoreError>;
}

/// Runs looks of one kind.
pub(super) struct Looks<L> {
    db: Db,
    kind: PhantomData<L>,
}

impl<L> Looks<L> {
    pub(super) fn new(db: Db) -> Self {
        Self { db, kind: PhantomData }
    }
}

#[async_trait]
impl<L: Look> BatchRun for Looks<L> {
    type Item = L::Item;
    type Answer = L::Answer;
    type Error = StoreError;

    async fn run(&self, items: &[L::Item]) -> Result<Vec<L::Answer>, StoreError> {
        L::look(&self.db, items).await
    }

    fn name(&self) -> Option<&'static str> {
        Some(L::NAME)
    }

    fn worth_retrying(&self, error: &StoreError) -> bool {
        matches!(error, StoreError::Corrupt(_))
    }
}
