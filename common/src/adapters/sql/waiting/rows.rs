//! Rows into entries and back.

use super::super::{
    bulk::{Rows, Type::Int, Type::Text},
    db::Tx,
    load,
    script::Write,
    value::{Row, Value, corrupt},
};
use crate::{
    domain::{
        catalogue::Kind,
        claim::StockKey,
        id::{CatalogueId, CheckoutId, CustomerId, WaitingId},
        waiting::{WaitingEntry, WaitingStatus},
    },
    ports::store::StoreError,
};
use std::time::Duration;

/// An entry's columns, in the order that `read` reads them.
pub(super) const ENTRY: &str = "w.id, w.scope, w.session, w.place, w.customer, w.quantity, w.callback_url, w.offer_ms, w.status, w.version, w.seats, \
     w.expires_at, w.checkout, w.due_at, w.created_at, w.updated_at";

pub(super) fn read(row: &Row) -> Result<WaitingEntry, StoreError> {
    let status = row.text(8)?;
    Ok(WaitingEntry {
        id: WaitingId::parse(row.text(0)?).map_err(corrupt)?,
        scope: load::scope(&row.text(1)?)?,
        session: CatalogueId::parse(row.text(2)?).map_err(corrupt)?,
        place: row.int(3)?,
        customer: CustomerId::parse(row.text(4)?).map_err(corrupt)?,
        quantity: row.count(5)?,
        callback_url: row.maybe_text(6)?,
        offer_for: Duration::from_millis(u64::try_from(row.int(7)?).map_err(corrupt)?),
        status: WaitingStatus::parse(&status).ok_or_else(|| corrupt(format!("waiting status {status:?}")))?,
        version: row.int(9)?,
        seats: serde_json::from_str(&row.text(10)?).map_err(corrupt)?,
        expires_at: row.maybe_time(11)?,
        checkout: row.maybe_text(12)?.map(CheckoutId::parse).transpose().map_err(corrupt)?,
        due_at: row.maybe_time(13)?,
        created_at: row.time(14)?,
        updated_at: row.time(15)?,
    })
}

/// Reads entries by id. Nobody changes them meanwhile who does not hold the lock of their session, or of their checkout.
pub(super) async fn by_id<'i>(tx: &mut Tx<'_>, ids: impl IntoIterator<Item = &'i WaitingId>) -> Result<Vec<WaitingEntry>, StoreError> {
    let ids = Rows::ids(ids.into_iter().map(WaitingId::as_str));
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT {ENTRY} FROM waiting_list w WHERE w.id IN (SELECT id FROM {{rows}}) ORDER BY w.id");
    tx.fetch(&sql, Some(&ids), &[]).await?.iter().map(read).collect()
}

/// Writes a new entry.
pub(super) fn insert(entry: &WaitingEntry) -> Result<Write, StoreError> {
    let mut rows = Rows::new(&[
        ("id", Text),
        ("scope", Text),
        ("session", Text),
        ("place", Int),
        ("customer", Text),
        ("quantity", Int),
        ("callback_url", Text),
        ("offer_ms", Int),
        ("status", Text),
        ("version", Int),
        ("seats", Text),
        ("due_at", Int),
        ("created_at", Int),
        ("updated_at", Int),
    ]);
    rows.push([
        entry.id.as_str().into(),
        entry.scope.as_str().into(),
        entry.session.as_str().into(),
        entry.place.into(),
        entry.customer.as_str().into(),
        entry.quantity.into(),
        entry.callback_url.clone().into(),
        millis(entry.offer_for),
        entry.status.as_str().into(),
        entry.version.into(),
        serde_json::to_string(&entry.seats).map_err(corrupt)?.into(),
        entry.due_at.into(),
        entry.created_at.into(),
        entry.updated_at.into(),
    ]);
    Ok(Write::insert("waiting_list", rows))
}

/// Writes what changed of entries, each one version on: a compare-and-set.
pub(super) fn update<'e>(entries: impl IntoIterator<Item = &'e WaitingEntry>) -> Result<Write, StoreError> {
    let mut rows = Rows::new(&[
        ("id", Text),
        ("version", Int),
        ("status", Text),
        ("seats", Text),
        ("expires_at", Int),
        ("checkout", Text),
        ("due_at", Int),
        ("updated_at", Int),
    ]);
    for entry in entries {
        rows.push([
            entry.id.as_str().into(),
            entry.version.into(),
            entry.status.as_str().into(),
            serde_json::to_string(&entry.seats).map_err(corrupt)?.into(),
            entry.expires_at.into(),
            entry.checkout.as_ref().map(|checkout| checkout.as_str()).into(),
            entry.due_at.into(),
            entry.updated_at.into(),
        ]);
    }
    let count = rows.data.len() as u64;
    let sql = "UPDATE waiting_list SET version = r.version, status = r.status, seats = r.seats, expires_at = r.expires_at, \
               checkout = r.checkout, due_at = r.due_at, updated_at = r.updated_at \
               FROM {rows} WHERE waiting_list.id = r.id AND waiting_list.version = r.version - 1";
    Ok(Write::new(sql, rows).must_change("waiting_list", count))
}

/// The row of `inventory` under whose lock an entry changes.
pub(super) fn stock_key(entry: &WaitingEntry) -> StockKey {
    StockKey { scope: entry.scope.clone(), kind: Kind::Session, id: entry.session.clone() }
}

fn millis(time: Duration) -> Value {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).into()
}
