//! Refunds as their clients look at them: many at once, one query and one snapshot.

use super::{
    bulk::Rows,
    db::Db,
    refund::{REFUNDS, gather},
};
use crate::{
    batch::BatchRun,
    domain::{id::RefundId, refund::Refund, scope::Scope},
    ports::store::StoreError,
};
use async_trait::async_trait;
use std::collections::HashMap;

/// Runs look-ups by id.
pub(super) struct RefundLooks {
    db: Db,
}

impl RefundLooks {
    pub(super) fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl BatchRun for RefundLooks {
    type Item = RefundId;
    type Answer = Option<(Scope, Refund)>;
    type Error = StoreError;

    async fn run(&self, items: &[RefundId]) -> Result<Vec<Self::Answer>, StoreError> {
        let sql = format!("{REFUNDS} WHERE r.id IN (SELECT id FROM {{rows}}) ORDER BY r.id, p.n");
        let rows = self.db.read(&sql, Some(&Rows::ids(items.iter().map(RefundId::as_str))), &[]).await?;
        let found: HashMap<RefundId, (Scope, Refund)> = gather(&rows)?.into_iter().map(|found| (found.1.id.clone(), found)).collect();
        Ok(items.iter().map(|id| found.get(id).cloned()).collect())
    }

    fn name(&self) -> Option<&'static str> {
        Some("refund_look")
    }

    fn worth_retrying(&self, error: &StoreError) -> bool {
        matches!(error, StoreError::Corrupt(_))
    }
}
