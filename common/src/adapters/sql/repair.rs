//! What `audit --repair` mends.

use super::{SqlStore, db::transact, value::Value};
use crate::ports::store::StoreError;

const ENDED: &str = "('succeeded', 'failed', 'canceled', 'expired')";

impl SqlStore {
    /// Only what follows from other rows without a doubt: counters, orphaned holds, rows without a due time.
    pub(super) async fn mend(&self) -> Result<Vec<String>, StoreError> {
        let due =
            |table: &str, condition: &str| format!("UPDATE {table} SET due_at = {{1}}, rescues = 0 WHERE due_at IS NULL AND {condition}");
        // Checkouts before counters: the order in which everybody locks.
        let mends = [
            (Some("checkouts made due"), due("checkouts", "completed_at IS NULL AND status <> 'needs_review'")),
            (
                Some("checkouts with open attempts made due"),
                due("checkouts", "completed_at IS NOT NULL AND id IN (SELECT checkout FROM attempts WHERE status IN ('started', 'unknown', 'requires_action', 'pending'))"),
            ),
            // All counters are locked before the claims are read: whoever claims something meanwhile waits, or is seen.
            (None, "SELECT i.id FROM inventory i ORDER BY i.scope, i.kind, i.id {lock}".to_owned()),
            (
                Some("orphaned holds released"),
                format!(
                    "UPDATE claims SET state = 'released' WHERE state = 'held' AND checkout IN \
                     (SELECT id FROM checkouts WHERE status IN {ENDED} AND status <> 'succeeded')"
                ),
            ),
            (
                Some("counters set to their claims"),
                "UPDATE inventory SET version = version + 1, taken = (SELECT COALESCE(SUM(c.quantity), 0) FROM claims c WHERE c.scope = inventory.scope \
                 AND c.kind = inventory.kind AND c.resource = inventory.id AND c.state <> 'released') \
                 WHERE taken <> (SELECT COALESCE(SUM(c.quantity), 0) FROM claims c WHERE c.scope = inventory.scope \
                 AND c.kind = inventory.kind AND c.resource = inventory.id AND c.state <> 'released')"
                    .to_owned(),
            ),
            (
                Some("orphaned holds on balances released"),
                format!(
                    "UPDATE balance_moves SET state = 'released' WHERE state = 'held' AND source IN \
                     (SELECT id FROM checkouts WHERE status IN {ENDED} AND status <> 'succeeded')"
                ),
            ),
            (
                Some("waiting counters set to their entries"),
                "UPDATE inventory SET waiting = (SELECT COUNT(*) FROM waiting_list w WHERE w.scope = inventory.scope AND w.session = inventory.id \
                 AND w.status = 'waiting') WHERE kind = 'session' AND waiting <> (SELECT COUNT(*) FROM waiting_list w \
                 WHERE w.scope = inventory.scope AND w.session = inventory.id AND w.status = 'waiting')"
                    .to_owned(),
            ),
            (
                Some("subscriptions made due"),
                "UPDATE subscriptions SET due_at = CASE WHEN status = 'past_due' THEN {1} ELSE period_until END \
                 WHERE due_at IS NULL AND renewal IS NULL AND status IN ('trialing', 'active', 'past_due')"
                    .to_owned(),
            ),
            (Some("deliveries made due"), due("deliveries", "status = 'pending'")),
            (Some("events of providers made due"), due("provider_events", "status = 'pending'")),
        ];
        transact!(self.db, tx => {
            let now: Value = tx.now().await?.into();
            let mut done = Vec::new();
            for (what, sql) in &mends {
                let args = if sql.contains("{1}") { std::slice::from_ref(&now) } else { &[] };
                let count = tx.execute(sql, None, args).await?;
                if let (Some(what), 1..) = (what, count) {
                    done.push(format!("{count} {what}"));
                }
            }
            Ok(done)
        })
    }
}
