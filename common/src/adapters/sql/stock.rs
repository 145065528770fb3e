//! What is left of scarce things: locking, counting, telling.

use super::{
    SqlStore,
    bulk::{Column, Rows, Type::Int, Type::Text},
    db::Tx,
    load,
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

/// Reads a key from a row's first three columns.
pub(super) fn key(row: &Row) -> Result<StockKey, StoreError> {
    let kind = row.text(1)?;
    Ok(StockKey {
        scope: load::scope(&row.text(0)?)?,
        kind: Kind::parse(&kind).ok_or_else(|| corrupt(format!("kind {kind:?}")))?,
        id: CatalogueId::parse(row.text(2)?).map_err(corrupt)?,
    })
}

fn level(row: &Row) -> Result<StockLevel, StoreError> {
    Ok(StockLevel { key: key(row)?, capacity: row.count(3)?, taken: row.count(4)?, version: row.int(5)? })
}

/// Locks rows in key order: always this order, or two batches wait for each other for ever.
pub(super) async fn lock(tx: &mut Tx, wanted: &Rows) -> Result<HashMap<StockKey, StockLevel>, StoreError> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = "SELECT i.scope, i.kind, i.id, i.capacity, i.taken, i.version FROM inventory i \
               WHERE (i.scope, i.kind, i.id) IN (SELECT scope, kind, id FROM {rows}) ORDER BY i.scope, i.kind, i.id {lock}";
    let rows = tx.fetch(sql, Some(wanted), &[]).await?;
    rows.iter().map(|row| level(row).map(|level| (level.key.clone(), level))).collect()
}

/// Moves counters by what claims changed, and answers the new levels.
pub(super) async fn add(tx: &mut Tx, deltas: &BTreeMap<StockKey, i64>) -> Result<BTreeMap<StockKey, StockLevel>, StoreError> {
    if deltas.is_empty() {
        return Ok(BTreeMap::new());
    }
    // Already ours where claims were inserted; in key order where they were released.
    lock(tx, &keys(deltas.keys())).await?;
    let mut rows = Rows::new(&[("scope", Text), ("kind", Text), ("id", Text), ("delta", Int)]);
    for (key, delta) in deltas {
        rows.push([key.scope.as_str().into(), key.kind.as_str().into(), key.id.as_str().into(), (*delta).into()]);
    }
    let sql = "UPDATE inventory SET taken = inventory.taken + r.delta, version = inventory.version + 1 FROM {rows} \
               WHERE inventory.scope = r.scope AND inventory.kind = r.kind AND inventory.id = r.id \
               RETURNING inventory.scope, inventory.kind, inventory.id, inventory.capacity, inventory.taken, inventory.version";
    let changed = tx.fetch(sql, Some(&rows), &[]).await?;
    changed.iter().map(|row| level(row).map(|level| (level.key.clone(), level))).collect()
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
        let levels: Vec<StockLevel> = self.db.read(sql, Some(&rows), &[]).await?.iter().map(level).collect::<Result<_, _>>()?;
        let sql = "SELECT scope, kind, resource, seat FROM claims WHERE seat IS NOT NULL AND state <> 'released' \
                   AND (scope, kind, resource) IN (SELECT scope, kind, id FROM {rows})";
        let mut seats: HashMap<StockKey, Vec<String>> = HashMap::new();
        for row in self.db.read(sql, Some(&rows), &[]).await? {
            seats.entry(key(&row)?).or_default().push(row.text(3)?);
        }
        let told = |level: StockLevel| Told { taken_seats: Some(seats.remove(&level.key).unwrap_or_default()), level };
        Ok(levels.into_iter().map(told).collect())
    }
}
