//! Refunds as their clients look at them: many at once, one query and one snapshot.

use super::{
    bulk::Rows,
    db::Db,
    load,
    refund::{PART, REFUND, REFUND_WIDTH, part, read},
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
        let sql = format!(
            "SELECT {REFUND}, r.scope, {PART} FROM refunds r LEFT JOIN refund_parts p ON p.refund = r.id \
             WHERE r.id IN (SELECT id FROM {{rows}}) ORDER BY r.id, p.n"
        );
        let mut found: HashMap<RefundId, (Scope, Refund)> = HashMap::new();
        for row in self.db.read(&sql, Some(&Rows::ids(items.iter().map(RefundId::as_str))), &[]).await? {
            let refund = read(&row)?;
            let (_, refund) = found.entry(refund.id.clone()).or_insert((load::scope(&row.text(REFUND_WIDTH)?)?, refund));
            if !row.is_null(REFUND_WIDTH + 1)? {
                refund.parts.push(part(&row, REFUND_WIDTH + 1)?);
            }
        }
        Ok(items.iter().map(|id| found.get(id).cloned()).collect())
    }

    fn name(&self) -> Option<&'static str> {
        Some("refund_look")
    }

    fn worth_retrying(&self, error: &StoreError) -> bool {
        matches!(error, StoreError::Corrupt(_))
    }
}
