//! What is left of scarce things: locking, counting, telling.

use super::{
    SqlStore,
    bulk::{Column, Rows, Type::Int, Type::Text},
    db::Tx,
    load,
    script::Write,
    value::{Row, corrupt},
};
use crate::{
    domain::{
        catalogue::Kind,
        claim::{StockKey, StockLevel},
        id::CatalogueId,
    },
    ports::{seats::Told, store::StoreError},
};
use std::collections::{BTreeMap, HashMap};

const KEYS: &[Column] = &[("scope", Text), ("kind", Text), ("id", Text)];

/// Rows of `(scope, kind, id)`.
pub(super) fn keys<'k>(keys: impl IntoIterator<Item = &'k StockKey>) -> Rows {
    let mut rows = Rows::new(KEYS);
    for key in keys {
        rows.push([key.scope.as_str().into(), key.kind.as_str().into(), key.id.as_str().into()]);
    }
    rows
}

/// Reads a key from three columns.
pub(super) fn key(row: &Row, from: usize) -> Result<StockKey, StoreError> {
    let kind = row.text(from + 1)?;
    Ok(StockKey {
        scope: load::scope(&row.text(from)?)?,
        kind: Kind::parse(&kind).ok_or_else(|| corrupt(format!("kind {kind:?}")))?,
        id: CatalogueId::parse(row.text(from + 2)?).map_err(corrupt)?,
    })
}

/// Reads a level from six columns.
pub(super) fn level(row: &Row, from: usize) -> Result<StockLevel, StoreError> {
    Ok(StockLevel { key: key(row, from)?, capacity: row.count(from + 3)?, taken: row.count(from + 4)?, version: row.int(from + 5)? })
}

/// A level whose row is locked.
pub(super) struct Locked {
    pub(super) level: StockLevel,
    /// The version of its document; 0 when the row does not tell.
    pub(super) document: i64,
    /// How many entries of its waiting list wait for their turn.
    pub(super) waiting: u32,
}

/// Locks rows in key order: always this order, or two batches wait for each other for ever.
pub(super) async fn lock(tx: &mut Tx<'_>, wanted: &Rows) -> Result<Vec<Locked>, StoreError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "SELECT i.scope, i.kind, i.id, i.capacity, i.taken, i.version, i.document, i.waiting FROM inventory i \
               WHERE (i.scope, i.kind, i.id) IN (SELECT scope, kind, id FROM {rows}) ORDER BY i.scope, i.kind, i.id {lock}";
    let rows = tx.fetch(sql, Some(wanted), &[]).await?;
    rows.iter().map(|row| Ok(Locked { level: level(row, 0)?, document: row.int(6)?, waiting: row.count(7)? })).collect()
}

/// Moves counters by what claims changed, and returns the new levels. The caller holds the locks.
pub(super) fn add(deltas: &BTreeMap<StockKey, i64>) -> Write {
    let mut rows = Rows::new(&[("scope", Text), ("kind", Text), ("id", Text), ("delta", Int)]);
    for (key, delta) in deltas {
        rows.push([key.scope.as_str().into(), key.kind.as_str().into(), key.id.as_str().into(), (*delta).into()]);
    }
    let sql = "UPDATE inventory SET taken = inventory.taken + r.delta, version = inventory.version + 1 FROM {rows} \
               WHERE inventory.scope = r.scope AND inventory.kind = r.kind AND inventory.id = r.id";
    // A checkout can claim of what is no longer counted: as many rows change as there are.
    Write::new(sql, rows).returning("inventory.scope, inventory.kind, inventory.id, inventory.capacity, inventory.taken, inventory.version")
}

impl SqlStore {
    /// What is left of these, and which named seats are gone: for the seat table.
    pub(super) async fn told(&self, wanted: &[StockKey]) -> Result<Vec<Told>, StoreError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        // The seats are read after the level: whoever takes one in between makes a newer version.
        let sql = "SELECT i.scope, i.kind, i.id, i.capacity, i.taken, i.version FROM inventory i \
                   WHERE (i.scope, i.kind, i.id) IN (SELECT scope, kind, id FROM {rows})";
        let rows = keys(wanted);
        let levels: Vec<StockLevel> =
            self.db.read(sql, Some(&rows), &[]).await?.iter().map(|row| level(row, 0)).collect::<Result<_, _>>()?;
        let sql = "SELECT scope, kind, resource, seat FROM claims WHERE seat IS NOT NULL AND state <> 'released' \
                   AND (scope, kind, resource) IN (SELECT scope, kind, id FROM {rows})";
        let mut seats: HashMap<StockKey, Vec<String>> = HashMap::new();
        for row in self.db.read(sql, Some(&rows), &[]).await? {
            seats.entry(key(&row, 0)?).or_default().push(row.text(3)?);
        }
        let told = |level: StockLevel| Told { taken_seats: Some(seats.remove(&level.key).unwrap_or_default()), level };
        Ok(levels.into_iter().map(told).collect())
    }
}
