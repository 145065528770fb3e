//! What was asked for without a key, and not answered yet.

use super::{SqlStore, bulk::Rows, db::transact, value::Value};
use crate::ports::store::{StoreError, Unkeyed};
use std::time::Duration;

fn place(request: &Unkeyed) -> [Value; 3] {
    [request.scope.as_str().into(), request.route.as_str().into(), request.body_hash.as_str().into()]
}

impl SqlStore {
    pub(super) async fn join(&self, request: &Unkeyed, fresh: &str, within: Duration) -> Result<String, StoreError> {
        // One that is there already tells its key, as whoever comes second to an insert learns it.
        let sql = "INSERT INTO unanswered (scope, route, body_hash, key, asked_at) VALUES ({1}, {2}, {3}, {4}, {5}) \
                   ON CONFLICT (scope, route, body_hash) DO UPDATE SET \
                   key = CASE WHEN unanswered.asked_at < {6} THEN excluded.key ELSE unanswered.key END, \
                   asked_at = CASE WHEN unanswered.asked_at < {6} THEN excluded.asked_at ELSE unanswered.asked_at END RETURNING key";
        transact!(self.db, tx => {
            let now = tx.now().await?;
            let [scope, route, hash] = place(request);
            let rows = tx.fetch(sql, None, &[scope, route, hash, fresh.into(), now.into(), now.before(within).into()]).await?;
            rows.first().ok_or_else(|| StoreError::Inconsistent("a request that has no key".to_owned()))?.text(0)
        })
    }

    pub(super) async fn end_unanswered(&self, request: &Unkeyed, key: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM unanswered WHERE scope = {1} AND route = {2} AND body_hash = {3} AND key = {4}";
        transact!(self.db, tx => {
            let [scope, route, hash] = place(request);
            tx.execute(sql, None, &[scope, route, hash, key.into()]).await?;
            Ok(())
        })
    }

    pub(super) async fn delete_unanswered(&self, keep: Duration, limit: u32) -> Result<u64, StoreError> {
        transact!(self.db, tx => {
            let before = tx.now().await?.before(keep);
            let sql = "SELECT key FROM unanswered WHERE asked_at < {1} LIMIT {2}";
            let keys = tx.fetch(sql, None, &[before.into(), limit.into()]).await?.iter().map(|row| row.text(0)).collect::<Result<Vec<_>, _>>()?;
            if keys.is_empty() {
                return Ok(0);
            }
            let old = Rows::ids(keys);
            tx.execute("DELETE FROM unanswered WHERE asked_at < {1} AND key IN (SELECT id FROM {rows})", Some(&old), &[before.into()]).await
        })
    }
}
