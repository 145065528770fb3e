//! How processes find providers' accounts to do: a row for each of both, as old as when it was told.

use super::{
    SqlStore,
    bulk::{Rows, Type::Int, Type::Text},
    db::transact,
    value::corrupt,
};
use crate::{
    domain::{provider_account::CircuitState, time::Timestamp},
    ports::store::{Health, StoreError, ToldHealth},
};
use std::{collections::HashMap, time::Duration};

impl SqlStore {
    pub(super) async fn write_health(&self, process: &str, told: &[ToldHealth]) -> Result<(), StoreError> {
        if told.is_empty() {
            return Ok(());
        }
        transact!(self.db, tx => {
            let now = tx.now().await?;
            let mut rows = Rows::new(&[("account", Text), ("circuit", Text), ("last_error", Text), ("last_error_at", Int)]);
            for one in told {
                let (error, at) = match &one.last_error {
                    Some((error, ago)) => (Some(error.as_str()), Some(now.before(*ago).millis())),
                    None => (None, None),
                };
                rows.push([one.account.as_str().into(), one.circuit.as_str().into(), error.into(), at.into()]);
            }
            let sql = "INSERT INTO provider_health ({names}, process, told_at) SELECT {names}, {1}, {2} FROM {rows} WHERE true \
                       ON CONFLICT (account, process) DO UPDATE SET circuit = excluded.circuit, last_error = excluded.last_error, \
                       last_error_at = excluded.last_error_at, told_at = excluded.told_at";
            tx.execute(sql, Some(&rows), &[process.into(), now.into()]).await.map(|_| ())
        })
    }

    pub(super) async fn read_health(&self, accounts: &[&str], fresh: Duration) -> Result<Vec<Health>, StoreError> {
        if accounts.is_empty() {
            return Ok(Vec::new());
        }
        let since = self.db.now().await?.before(fresh);
        let sql = "SELECT h.account, h.circuit, h.last_error, h.last_error_at, h.told_at FROM provider_health h \
                   WHERE h.account IN (SELECT id FROM {rows})";
        let mut found: HashMap<String, Health> = HashMap::new();
        for row in self.db.read(sql, Some(&Rows::ids(accounts.iter().copied())), &[]).await? {
            let health = found.entry(row.text(0)?).or_default();
            let text = row.text(1)?;
            let circuit = CircuitState::parse(&text).ok_or_else(|| corrupt(format!("circuit {text:?}")))?;
            if row.time(4)? >= since {
                health.circuit = health.circuit.max(circuit);
            }
            let error: Option<(String, Timestamp)> = row.maybe_text(2)?.zip(row.maybe_time(3)?);
            if error.as_ref().map(|(_, at)| *at) > health.last_error.as_ref().map(|(_, at)| *at) {
                health.last_error = error;
            }
        }
        Ok(accounts.iter().map(|account| found.get(*account).cloned().unwrap_or_default()).collect())
    }

    pub(super) async fn delete_health(&self, keep: Duration, limit: u32) -> Result<u64, StoreError> {
        transact!(self.db, tx => {
            let before = tx.now().await?.before(keep);
            let sql = "DELETE FROM provider_health WHERE (account, process) IN \
                       (SELECT account, process FROM provider_health WHERE told_at < {1} ORDER BY told_at LIMIT {2})";
            tx.execute(sql, None, &[before.into(), limit.into()]).await
        })
    }
}
