//! What providers tell us: kept once, worked on by its row's due time, forgotten by age.

use super::{
    SqlStore,
    apply::apply,
    bulk::Rows,
    db::transact,
    jobs_again, load,
    provider_event_batches::insert,
    value::{Row, Value, corrupt},
};
use crate::{
    domain::{
        attempt::Decline,
        checkout::Checkout,
        dispute::{self, ToldDispute},
        id::{CheckoutId, ProviderEventId},
        provider_event::{EventStatus, ProviderEvent},
        refund_resolve,
    },
    failpoint,
    ports::store::{CheckoutStore, HintKept, MAX_PENDING_HINTS, Moved, NewProviderEvent, StoreError},
};
use std::time::Duration;

pub(super) const COLUMNS: &str = "e.id, e.provider, e.account, e.event, e.body, e.status, e.note, e.tries, e.received_at";

pub(super) fn read(row: &Row) -> Result<ProviderEvent, StoreError> {
    let status = row.text(5)?;
    Ok(ProviderEvent {
        id: ProviderEventId::parse(row.text(0)?).map_err(corrupt)?,
        provider: row.text(1)?,
        account: row.text(2)?,
        event: row.text(3)?,
        body: row.text(4)?,
        status: EventStatus::parse(&status).ok_or_else(|| corrupt(format!("event status {status:?}")))?,
        note: row.maybe_text(6)?,
        tries: row.count(7)?,
        received_at: row.time(8)?,
    })
}

impl SqlStore {
    /// Of two that come at the same moment both may be kept, which costs a question more.
    pub(super) async fn insert_hint(&self, mut hint: NewProviderEvent, about: &str) -> Result<HintKept, StoreError> {
        hint.event = format!("{about}/{}", hint.id);
        let kept = transact!(self.db, tx => {
            let untouched = "SELECT 1 FROM provider_events WHERE due_at IS NOT NULL AND status = 'pending' AND tries = 0 \
                             AND provider = {1} AND account = {2} AND substr(event, 1, CAST({3} AS INTEGER)) = {4} AND event <> {5} LIMIT 1";
            let prefix = format!("{about}/");
            let args: [Value; 5] = [
                hint.provider.as_str().into(),
                hint.scope.tenant().into(),
                prefix.chars().count().into(),
                prefix.into(),
                hint.event.as_str().into(),
            ];
            if !tx.fetch(untouched, None, &args).await?.is_empty() {
                return Ok(HintKept::Waits);
            }
            let waiting = "SELECT 1 FROM provider_events WHERE due_at IS NOT NULL AND status = 'pending' \
                           AND provider = {1} AND account = {2} AND event <> {3} LIMIT {4}";
            let args: [Value; 4] =
                [hint.provider.as_str().into(), hint.scope.tenant().into(), hint.event.as_str().into(), MAX_PENDING_HINTS.into()];
            if tx.fetch(waiting, None, &args).await?.len() >= MAX_PENDING_HINTS as usize {
                return Ok(HintKept::TooMany);
            }
            let now = tx.now().await?;
            insert(tx, &[&hint], now).await?;
            failpoint::cross("event.before_commit").await?;
            Ok(HintKept::Kept)
        })?;
        let _ = failpoint::cross("event.after_commit").await;
        Ok(kept)
    }

    pub(super) async fn delay_event(&self, id: &ProviderEventId, by: Duration, note: &str) -> Result<bool, StoreError> {
        let sql =
            "UPDATE provider_events SET tries = tries + 1, rescues = 0, due_at = {2}, note = {3} WHERE id = {1} AND status = 'pending'";
        transact!(self.db, tx => {
            let due = tx.now().await?.after(by);
            Ok(tx.execute(sql, None, &[id.as_str().into(), due.into(), note.into()]).await? == 1)
        })
    }

    pub(super) async fn take_refund_back(&self, id: &CheckoutId, n: u32, decline: &Decline) -> Result<Option<Moved>, StoreError> {
        transact!(self.db, tx => {
            let Some(checkout) = load::lock(tx, [id]).await?.remove(id) else { return Ok(None) };
            let now = tx.now().await?;
            let decided = refund_resolve::came_back(checkout, n, decline, now, &self.entropy);
            let Some(effects) = decided.map_err(|error| StoreError::Inconsistent(error.to_string()))? else { return Ok(None) };
            let moved = apply(tx, &[effects], now, &self.entropy).await?.pop();
            jobs_again::look_again(tx, [id], now).await?;
            Ok(moved)
        })
    }

    pub(super) async fn checkouts_charged_as(&self, provider: &str, reference: &str) -> Result<Vec<Checkout>, StoreError> {
        let sql = "SELECT a.checkout FROM attempts a WHERE a.provider_reference = {1} AND a.kind = 'charge' AND a.provider <> 'sandbox' \
                   AND a.provider = {2} ORDER BY a.checkout LIMIT 10";
        let ids = self.db.read(sql, None, &[reference.into(), provider.into()]).await?;
        let mut found = Vec::with_capacity(ids.len());
        for row in &ids {
            let id = CheckoutId::parse(row.text(0)?).map_err(corrupt)?;
            found.extend(self.checkout(&id).await?);
        }
        Ok(found)
    }

    pub(super) async fn take_dispute(&self, id: &CheckoutId, n: u32, told: &ToldDispute) -> Result<Option<Moved>, StoreError> {
        transact!(self.db, tx => {
            let Some(checkout) = load::lock(tx, [id]).await?.remove(id) else { return Ok(None) };
            let now = tx.now().await?;
            let decided = dispute::told(checkout, n, told, now, &self.entropy);
            let Some(effects) = decided.map_err(|error| StoreError::Inconsistent(error.to_string()))? else { return Ok(None) };
            Ok(apply(tx, &[effects], now, &self.entropy).await?.pop())
        })
    }

    pub(super) async fn read_events_to_review(&self, limit: u32) -> Result<Vec<ProviderEvent>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM provider_events e WHERE e.status = 'needs_review' ORDER BY e.received_at, e.id LIMIT {{1}}");
        self.db.read(&sql, None, &[limit.into()]).await?.iter().map(read).collect()
    }

    pub(super) async fn reopen_event(&self, id: &ProviderEventId) -> Result<bool, StoreError> {
        let sql = "UPDATE provider_events SET status = 'pending', tries = 0, rescues = 0, due_at = {2} WHERE id = {1} AND status = 'needs_review'";
        transact!(self.db, tx => {
            let now = tx.now().await?;
            Ok(tx.execute(sql, None, &[id.as_str().into(), now.into()]).await? == 1)
        })
    }

    pub(super) async fn ignore_event(&self, id: &ProviderEventId, note: &str) -> Result<bool, StoreError> {
        let sql = "UPDATE provider_events SET status = 'ignored', note = {2} WHERE id = {1} AND status = 'needs_review'";
        transact!(self.db, tx => { Ok(tx.execute(sql, None, &[id.as_str().into(), note.into()]).await? == 1) })
    }

    pub(super) async fn delete_events(&self, keep: Duration, limit: u32) -> Result<u64, StoreError> {
        transact!(self.db, tx => {
            let before = tx.now().await?.before(keep);
            let sql = "SELECT id FROM provider_events WHERE received_at < {1} AND status IN ('done', 'ignored') LIMIT {2}";
            let ids = tx.fetch(sql, None, &[before.into(), limit.into()]).await?.iter().map(|row| row.text(0)).collect::<Result<Vec<_>, _>>()?;
            if ids.is_empty() {
                return Ok(0);
            }
            let old = Rows::ids(ids.iter().map(String::as_str));
            tx.execute("DELETE FROM provider_events WHERE id IN (SELECT id FROM {rows})", Some(&old), &[]).await
        })
    }
}
