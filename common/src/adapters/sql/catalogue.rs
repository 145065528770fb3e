//! Sessions, products and promo codes: documents, and what can run out of them.

use super::{
    SqlStore,
    bulk::{Rows, Type::Text},
    db::{Tx, transact},
    read::page,
    stock,
    value::{Row, Value, corrupt},
};
use crate::{
    domain::{catalogue::Kind, claim::StockKey, id::CatalogueId, scope::Scope, time::Timestamp},
    ports::store::{Availability, CatalogueRow, Occurrences, Page, PageRequest, Put, StoreError},
};
use serde::Deserialize;
use std::collections::HashSet;

const COLUMNS: &str = "kind, id, doc, version, created_at, updated_at";

fn read(row: &Row) -> Result<CatalogueRow, StoreError> {
    let kind = row.text(0)?;
    Ok(CatalogueRow {
        kind: Kind::parse(&kind).ok_or_else(|| corrupt(format!("kind {kind:?}")))?,
        id: CatalogueId::parse(row.text(1)?).map_err(corrupt)?,
        doc: row.text(2)?,
        version: row.int(3)?,
        created_at: row.time(4)?,
        updated_at: row.time(5)?,
    })
}

impl SqlStore {
    /// Creates or replaces a document and what can be claimed of it, in one transaction.
    pub(super) async fn put_document(
        &self,
        key: &StockKey,
        doc: &str,
        capacity: Option<u32>,
        seats: Option<&[String]>,
    ) -> Result<Put, StoreError> {
        transact!(self.db, tx => {
            let now = tx.now().await?;
            if let Some(taken) = resize(tx, key, capacity, seats).await? {
                return Ok(Put::CapacityTooSmall { taken });
            }
            let sql = format!(
                "INSERT INTO catalogue (scope, kind, id, doc, version, created_at, updated_at, class, starts_at) \
                 VALUES ({{1}}, {{2}}, {{3}}, {{4}}, 1, {{5}}, {{5}}, {{6}}, {{7}}) \
                 ON CONFLICT (scope, kind, id) DO UPDATE SET doc = excluded.doc, version = catalogue.version + 1, \
                 updated_at = excluded.updated_at, class = excluded.class, starts_at = excluded.starts_at RETURNING {COLUMNS}"
            );
            let (class, starts_at) = occurrence(key.kind, doc)?;
            let [scope, kind, id]: [Value; 3] = [key.scope.as_str().into(), key.kind.as_str().into(), key.id.as_str().into()];
            let args: [Value; 7] = [scope, kind, id, doc.into(), now.into(), class.into(), starts_at.into()];
            let rows = tx.fetch(&sql, None, &args).await?;
            let row = rows.first().map(read).transpose()?.ok_or_else(|| StoreError::Inconsistent("a put without a row".to_owned()))?;
            if capacity.is_some() {
                // Its row is ours since `resize`. To lock one only now would be the wrong way round.
                let sql = "UPDATE inventory SET document = {4} WHERE scope = {1} AND kind = {2} AND id = {3}";
                let args: [Value; 4] = [key.scope.as_str().into(), key.kind.as_str().into(), key.id.as_str().into(), row.version.into()];
                tx.execute(sql, None, &args).await?;
            }
            if key.kind == Kind::Session && row.version > 1 {
                self.session_changed(tx, key, now).await?;
            }
            Ok(if row.version == 1 { Put::Created(row) } else { Put::Replaced(row) })
        })
    }

    pub(super) async fn read_document(&self, scope: &Scope, kind: Kind, id: &CatalogueId) -> Result<Option<CatalogueRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM catalogue WHERE scope = {{1}} AND kind = {{2}} AND id = {{3}}");
        let rows = self.db.read(&sql, None, &[scope.as_str().into(), kind.as_str().into(), id.as_str().into()]).await?;
        rows.first().map(read).transpose()
    }

    pub(super) async fn read_documents(&self, scope: &Scope, ids: &[(Kind, CatalogueId)]) -> Result<Vec<CatalogueRow>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut rows = Rows::new(&[("kind", Text), ("id", Text)]);
        for (kind, id) in ids {
            rows.push([kind.as_str().into(), id.as_str().into()]);
        }
        let sql = format!("SELECT {COLUMNS} FROM catalogue WHERE scope = {{1}} AND (kind, id) IN (SELECT kind, id FROM {{rows}})");
        self.db.read(&sql, Some(&rows), &[scope.as_str().into()]).await?.iter().map(read).collect()
    }

    pub(super) async fn list_documents(&self, scope: &Scope, kind: Kind, request: &PageRequest) -> Result<Page<CatalogueRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM catalogue WHERE scope = {{1}} AND kind = {{2}} AND id > {{3}} ORDER BY id LIMIT {{4}}");
        let after = request.after.clone().unwrap_or_default();
        let args: [Value; 4] = [scope.as_str().into(), kind.as_str().into(), after.into(), (request.limit + 1).into()];
        let rows = self.db.read(&sql, None, &args).await?.iter().map(read).collect::<Result<_, _>>()?;
        Ok(page(rows, request.limit, |row: &CatalogueRow| row.id.to_string()))
    }

    /// By start and id, which is also the order of their index.
    pub(super) async fn list_occurrences(
        &self,
        scope: &Scope,
        of: &Occurrences,
        request: &PageRequest,
    ) -> Result<Page<CatalogueRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, starts_at FROM catalogue WHERE scope = {{1}} AND class = {{2}} AND starts_at >= {{3}} AND starts_at < {{4}} \
             AND (starts_at, id) > ({{5}}, {{6}}) ORDER BY starts_at, id LIMIT {{7}}"
        );
        let (at, after) = request.after.as_deref().and_then(|cursor| cursor.split_once('_')).unwrap_or_default();
        let at = at.parse().unwrap_or(i64::MIN);
        let (from, to) = (of.from.map_or(i64::MIN, Timestamp::millis), of.to.map_or(i64::MAX, Timestamp::millis));
        let (scope, class): (Value, Value) = (scope.as_str().into(), of.class.as_str().into());
        let args: [Value; 7] = [scope, class, from.into(), to.into(), at.into(), after.into(), (request.limit + 1).into()];
        let rows = self.db.read(&sql, None, &args).await?;
        let found = rows.iter().map(|row| Ok((row.int(6)?, read(row)?))).collect::<Result<Vec<_>, StoreError>>()?;
        let Page { data, next_cursor } = page(found, request.limit, |(at, row): &(i64, CatalogueRow)| format!("{at}_{}", row.id));
        Ok(Page { data: data.into_iter().map(|(_, row)| row).collect(), next_cursor })
    }

    pub(super) async fn read_availability(&self, scope: &Scope, id: &CatalogueId) -> Result<Option<Availability>, StoreError> {
        // One statement, one snapshot: what is taken is what the claims add up to.
        let sql = "SELECT i.capacity, i.version, c.state, c.seat, CAST(COALESCE(SUM(c.quantity), 0) AS BIGINT) FROM inventory i \
                   LEFT JOIN claims c ON c.scope = i.scope AND c.kind = i.kind AND c.resource = i.id AND c.state <> 'released' \
                   WHERE i.scope = {1} AND i.kind = {2} AND i.id = {3} GROUP BY i.capacity, i.version, c.state, c.seat";
        let rows = self.db.read(sql, None, &[scope.as_str().into(), Kind::Session.as_str().into(), id.as_str().into()]).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let mut answer =
            Availability { capacity: first.count(0)?, sold: 0, held: 0, available: 0, version: first.int(1)?, taken_seats: Vec::new() };
        for row in &rows {
            let Some(state) = row.maybe_text(2)? else { continue };
            let count = row.count(4)?;
            if state == "sold" {
                answer.sold += count
            } else {
                answer.held += count
            }
            if let Some(seat) = row.maybe_text(3)? {
                answer.taken_seats.push((seat, state));
            }
        }
        answer.available = answer.capacity.saturating_sub(answer.sold).saturating_sub(answer.held);
        Ok(Some(answer))
    }
}

/// What a session is found by as an occurrence: its class, and when it starts, which says nothing where there is no class.
fn occurrence(kind: Kind, doc: &str) -> Result<(Option<String>, Timestamp), StoreError> {
    #[derive(Deserialize)]
    struct Occurrence {
        class: Option<CatalogueId>,
        #[serde(default)]
        starts_at: Timestamp,
    }
    if kind != Kind::Session {
        return Ok((None, Timestamp::default()));
    }
    let Occurrence { class, starts_at } = serde_json::from_str(doc).map_err(corrupt)?;
    Ok((class.map(String::from), starts_at))
}

/// Sets what can be claimed. `Some(taken)`: less than what is claimed, or without a seat that is.
pub(super) async fn resize(
    tx: &mut Tx<'_>,
    key: &StockKey,
    capacity: Option<u32>,
    seats: Option<&[String]>,
) -> Result<Option<u32>, StoreError> {
    let args: [Value; 3] = [key.scope.as_str().into(), key.kind.as_str().into(), key.id.as_str().into()];
    let rows = stock::keys([key]);
    let before = stock::lock(tx, &rows).await?.pop();
    let taken = before.as_ref().map_or(0, |locked| locked.level.taken);
    let Some(capacity) = capacity else {
        if before.is_some() && taken == 0 {
            tx.execute("DELETE FROM inventory WHERE scope = {1} AND kind = {2} AND id = {3}", None, &args).await?;
        } else if before.is_some() {
            // Its claims still count on the row, and may be given back; it limits nobody any more.
            let sql =
                "UPDATE inventory SET capacity = {4}, version = version + 1, document = 0 WHERE scope = {1} AND kind = {2} AND id = {3}";
            let [scope, kind, id] = args;
            tx.execute(sql, None, &[scope, kind, id, u32::MAX.into()]).await?;
        }
        return Ok(None);
    };
    if capacity < taken {
        return Ok(Some(taken));
    }
    if let Some(seats) = seats {
        let names: HashSet<&str> = seats.iter().map(String::as_str).collect();
        let sql =
            "SELECT seat FROM claims WHERE scope = {1} AND kind = {2} AND resource = {3} AND seat IS NOT NULL AND state <> 'released'";
        for row in tx.fetch(sql, None, &args).await? {
            if !names.contains(row.text(0)?.as_str()) {
                return Ok(Some(taken));
            }
        }
    }
    let sql = "INSERT INTO inventory (scope, kind, id, capacity, taken, version) VALUES ({1}, {2}, {3}, {4}, 0, 1) \
               ON CONFLICT (scope, kind, id) DO UPDATE SET capacity = excluded.capacity, version = inventory.version + 1 \
               WHERE inventory.taken <= excluded.capacity";
    let [scope, kind, id] = args;
    if tx.execute(sql, None, &[scope, kind, id, capacity.into()]).await? == 0 {
        // Another first put came before, and a sale: run again, the row is found then.
        return Err(StoreError::Unavailable("it was made and sold at this moment".to_owned()));
    }
    Ok(None)
}
