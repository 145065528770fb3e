//! Offers whose time is over, and waits that can come to nothing: what they held goes to the next, in the same transaction.

use super::{
    super::{
        SqlStore,
        bulk::Rows,
        db::{Tx, transact},
        stock,
        value::Value,
    },
    Turn,
    rows::{self, ENTRY, stock_key},
    turn,
};
use crate::{
    domain::{
        catalogue::SessionStatus,
        claim::StockKey,
        event::EventType,
        time::Timestamp,
        waiting::{WaitingEntry, waits_until},
    },
    ports::store::{ListMoved, StoreError},
};
use std::collections::BTreeSet;

impl SqlStore {
    /// Ends what is due, and says how much was looked at.
    pub(in super::super) async fn lapse_some(&self, limit: u32) -> Result<(u32, ListMoved), StoreError> {
        match self.lapse_due(limit, None).await {
            // One bad session does not keep the offers of the others from ending.
            Err(StoreError::Corrupt(_) | StoreError::Inconsistent(_)) => {}
            result => return result,
        }
        let sql =
            "SELECT DISTINCT w.scope, 'session', w.session FROM waiting_list w WHERE w.due_at IS NOT NULL AND w.due_at <= {1} LIMIT {2}";
        let mut moved = ListMoved { deliveries: Vec::new(), stock: Vec::new() };
        for row in self.db.read(sql, None, &[self.db.now().await?.into(), limit.into()]).await? {
            let key = stock::key(&row, 0)?;
            match self.lapse_due(limit, Some(&key)).await {
                Ok((_, one)) => {
                    moved.deliveries.extend(one.deliveries);
                    moved.stock.extend(one.stock);
                }
                Err(error @ StoreError::Unavailable(_)) => return Err(error),
                Err(error) => tracing::error!(session = %key.id, tenant = %key.scope, %error, "its waiting list cannot go on"),
            }
        }
        // What could not be ended is still due: the next round comes to it, not the next turn of this one.
        Ok((0, moved))
    }

    /// The same in one transaction, of all sessions or of one.
    async fn lapse_due(&self, limit: u32, only: Option<&StockKey>) -> Result<(u32, ListMoved), StoreError> {
        let mut args: Vec<Value> = vec![self.db.now().await?.into(), limit.into()];
        let mut narrowed = "";
        if let Some(key) = only {
            args.extend([key.scope.as_str().into(), key.id.as_str().into()]);
            narrowed = "AND w.scope = {3} AND w.session = {4}";
        }
        let sql = format!(
            "SELECT {ENTRY} FROM waiting_list w WHERE w.due_at IS NOT NULL AND w.due_at <= {{1}} {narrowed} ORDER BY w.due_at LIMIT {{2}}"
        );
        let due = self.db.read(&sql, None, &args).await?.iter().map(rows::read).collect::<Result<Vec<_>, _>>()?;
        let keys: BTreeSet<StockKey> = due.iter().map(stock_key).collect();
        let ids: Vec<&str> = due.iter().map(|entry| entry.id.as_str()).collect();
        let looked_at = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        if ids.is_empty() {
            return Ok((0, ListMoved { deliveries: Vec::new(), stock: Vec::new() }));
        }
        let moved = transact!(self.db, tx => {
            let locked = stock::lock(tx, &stock::keys(&keys)).await?;
            let now = tx.now().await?;
            let mut turn = Turn::default();
            // Read after the locks: somebody may have taken an offer meanwhile.
            let sql = format!("SELECT {ENTRY} FROM waiting_list w WHERE w.id IN (SELECT id FROM {{rows}}) AND w.due_at <= {{1}} ORDER BY w.id");
            for row in tx.fetch(&sql, Some(&Rows::ids(ids.iter().copied())), &[now.into()]).await? {
                end(tx, &mut turn, rows::read(&row)?, now).await?;
            }
            self.finish(tx, &mut turn, &locked, now).await
        })?;
        Ok((looked_at, moved))
    }
}

/// An open offer is over. Who still waits goes on waiting where the session is sold for longer than it was said.
async fn end(tx: &mut Tx<'_>, turn: &mut Turn, entry: WaitingEntry, now: Timestamp) -> Result<(), StoreError> {
    let over = Some(EventType::WaitingListExpired);
    if entry.is_open() {
        turn.close(entry.expire(now), over);
        return Ok(());
    }
    let session = turn::session(tx, &stock_key(&entry)).await?.filter(|session| session.status != SessionStatus::Canceled);
    match session.map(|session| waits_until(&session)).filter(|&until| until > now) {
        Some(until) => turn.change(entry.wait_until(until), None),
        None => turn.end_wait(entry.expire(now), over),
    }
    Ok(())
}
