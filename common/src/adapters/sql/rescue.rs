//! What is overdue: rows whose time has come and that no worker seems to have.

use super::{
    SqlStore,
    bulk::Rows,
    db::transact,
    load,
    value::{Row, Value},
};
use crate::{
    domain::{state::Status, time::Timestamp},
    ports::{
        queue::Lane,
        store::{Overdue, StoreError},
    },
};
use std::time::Duration;

impl SqlStore {
    /// Takes overdue rows: the n-th time when they are late by `grace * 2^n` (at most 2^12). `due_at` itself stays: it
    /// says when work may be done, not when it was last looked for.
    pub(super) async fn take_overdue(
        &self,
        lane: Lane,
        grace: Duration,
        head: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<Overdue>, StoreError> {
        let ended = "('succeeded', 'failed', 'canceled', 'expired')";
        let (table, status, narrowed) = match lane {
            Lane::Checkouts => ("checkouts", "status", format!("AND status NOT IN {ended}")),
            Lane::Money => ("checkouts", "status", format!("AND status IN {ended}")),
            Lane::Deliveries => ("deliveries", "NULL", String::new()),
            Lane::Events => ("provider_events", "NULL", String::new()),
        };
        let select = format!(
            "SELECT id, scope, {status} FROM {table} WHERE due_at IS NOT NULL AND due_at < {{1}} {narrowed} \
             AND due_at + {{2}} * (1 << CAST(CASE WHEN rescues > 12 THEN 12 ELSE rescues END AS INTEGER)) <= {{3}} \
             ORDER BY due_at LIMIT {{4}} {{skip_locked}}"
        );
        let count = format!("UPDATE {table} SET rescues = rescues + 1 WHERE id IN (SELECT id FROM {{rows}})");
        let grace_ms = i64::try_from(grace.as_millis()).unwrap_or(i64::MAX >> 13).max(1);
        transact!(self.db, tx => {
            let now = tx.now().await?;
            let line = now.before(grace).min(head.unwrap_or(now));
            let args: [Value; 4] = [line.into(), grace_ms.into(), now.into(), limit.into()];
            let rows = tx.fetch(&select, None, &args).await?;
            let ids = rows.iter().map(|row| row.text(0)).collect::<Result<Vec<_>, _>>()?;
            if !ids.is_empty() {
                tx.execute(&count, Some(&Rows::ids(ids)), &[]).await?;
            }
            // One that cannot be read keeps nobody else from being rescued, and comes later and later itself.
            Ok(rows.iter().filter_map(|row| overdue(row, table)).collect())
        })
    }
}

fn overdue(row: &Row, table: &str) -> Option<Overdue> {
    let id = row.text(0).ok()?;
    match row.text(1).and_then(|scope| load::scope(&scope)) {
        Ok(scope) => Some(Overdue { id, scope, status: row.maybe_text(2).ok().flatten().as_deref().and_then(Status::parse) }),
        Err(error) => {
            tracing::error!(table, id, %error, "this row is overdue, and cannot be read");
            None
        }
    }
}
