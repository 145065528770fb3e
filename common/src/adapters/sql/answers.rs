//! First answers, and the keys that they are bound to.

use super::{
    SqlStore,
    bulk::{
        Column, Rows,
        Type::{Int, Text},
    },
    db::{Tx, transact},
    script::Write,
    value::{Row, Value, corrupt},
};
use crate::{
    domain::{scope::Scope, time::Timestamp},
    ports::store::{Accepted, IdempotencyRow, StoreError, StoredAnswer},
};
use std::{collections::HashMap, time::Duration};

/// What an answer is bound to: scope, route and key.
pub(super) type Key<'k> = (&'k str, &'k str, &'k str);

pub(super) fn key<'k>(scope: &'k Scope, row: &'k IdempotencyRow) -> Key<'k> {
    (scope.as_str(), &row.route, &row.key)
}

const KEY: &[Column] = &[("scope", Text), ("route", Text), ("key", Text)];
const ONE: &str = "SELECT i.status, i.object, i.body, i.body_hash FROM idempotency i WHERE i.scope = {1} AND i.route = {2} AND i.key = {3}";
const MANY: &str = "SELECT i.status, i.object, i.body, i.body_hash, i.scope, i.route, i.key FROM idempotency i \
     WHERE (i.scope, i.route, i.key) IN (SELECT scope, route, key FROM {rows})";

/// What a key was answered first, and for which body.
#[derive(Clone)]
pub(super) struct First {
    pub(super) answer: StoredAnswer,
    pub(super) body_hash: String,
}

impl First {
    /// Reads it from the columns of `ONE` and `MANY`.
    fn read(row: &Row) -> Result<Self, StoreError> {
        let status = u16::try_from(row.int(0)?).map_err(corrupt)?;
        Ok(Self { answer: StoredAnswer { status, object: row.text(1)?, body: row.text(2)? }, body_hash: row.text(3)? })
    }
}

/// What a key is bound to.
pub(super) enum Bound {
    /// Our own earlier run has written it.
    Ours(StoredAnswer),
    /// The same key and body came before.
    Same(StoredAnswer),
    /// The same key came before with another body.
    Other,
}

impl Bound {
    /// What a first answer is to whoever comes with the key now; `ours` is the id that the caller made for what is to come.
    pub(super) fn of(First { answer, body_hash }: First, key: &IdempotencyRow, ours: &str) -> Self {
        if answer.object == ours {
            Self::Ours(answer)
        } else if body_hash == key.body_hash {
            Self::Same(answer)
        } else {
            Self::Other
        }
    }
}

/// The first answers of those keys that have any.
pub(super) async fn firsts<'k>(tx: &mut Tx<'_>, keys: impl Iterator<Item = Key<'k>>) -> Result<HashMap<Key<'k>, First>, StoreError> {
    let keys: Vec<Key<'k>> = keys.collect();
    let mut rows = Rows::new(KEY);
    for &(scope, route, key) in &keys {
        rows.push([scope.into(), route.into(), key.into()]);
    }
    let mut found = HashMap::new();
    for row in tx.fetch(MANY, Some(&rows), &[]).await? {
        found.insert((row.text(4)?, row.text(5)?, row.text(6)?), First::read(&row)?);
    }
    let first = |key: Key<'k>| found.remove(&(key.0.to_owned(), key.1.to_owned(), key.2.to_owned())).map(|first| (key, first));
    Ok(keys.into_iter().filter_map(first).collect())
}

/// What each of many keys is bound to, in their order; beside each the id that the caller made for what is to come.
pub(super) async fn bound_many<'k>(
    tx: &mut Tx<'_>,
    keys: impl Iterator<Item = (&'k Scope, &'k IdempotencyRow, &'k str)> + Clone,
) -> Result<Vec<Option<Bound>>, StoreError> {
    let firsts = firsts(tx, keys.clone().map(|(scope, row, _)| key(scope, row))).await?;
    Ok(keys.map(|(scope, row, ours)| firsts.get(&key(scope, row)).map(|first| Bound::of(first.clone(), row, ours))).collect())
}

/// What the key is bound to, if anything; `ours` is the id that the caller made for what is to come.
pub(super) async fn bound(tx: &mut Tx<'_>, scope: &Scope, key: &IdempotencyRow, ours: &str) -> Result<Option<Bound>, StoreError> {
    let first = tx.fetch(ONE, None, &one(scope, key)).await?.first().map(First::read).transpose()?;
    Ok(first.map(|first| Bound::of(first, key, ours)))
}

fn one(scope: &Scope, key: &IdempotencyRow) -> [Value; 3] {
    [scope.as_str().into(), key.route.as_str().into(), key.key.as_str().into()]
}

/// Binds a new key to its answer.
pub(super) async fn bind(
    tx: &mut Tx<'_>,
    scope: &Scope,
    key: &IdempotencyRow,
    answer: &StoredAnswer,
    now: Timestamp,
) -> Result<(), StoreError> {
    bind_many(tx, [(scope, key, answer)].into_iter(), now).await
}

/// A key, and the answer that it is to be bound to.
pub(super) type Binding<'k> = (&'k Scope, &'k IdempotencyRow, &'k StoredAnswer);

/// Binds new keys to their answers.
pub(super) async fn bind_many<'k>(tx: &mut Tx<'_>, answers: impl Iterator<Item = Binding<'k>>, now: Timestamp) -> Result<(), StoreError> {
    tx.run(vec![Write::insert("idempotency", bindings(answers, now))]).await.map(drop)
}

/// Binds those keys that are bound to nothing, and returns the objects of those.
pub(super) fn bind_unbound<'k>(answers: impl Iterator<Item = Binding<'k>>, now: Timestamp) -> Write {
    let sql = "INSERT INTO idempotency ({names}) SELECT {names} FROM {rows} WHERE true ON CONFLICT DO NOTHING";
    Write::new(sql, bindings(answers, now)).returning("object")
}

fn bindings<'k>(answers: impl Iterator<Item = Binding<'k>>, now: Timestamp) -> Rows {
    let mut rows = Rows::new(&[
        ("scope", Text),
        ("route", Text),
        ("key", Text),
        ("body_hash", Text),
        ("object", Text),
        ("status", Int),
        ("body", Text),
        ("created_at", Int),
    ]);
    for (scope, key, answer) in answers {
        rows.push([
            scope.as_str().into(),
            key.route.as_str().into(),
            key.key.as_str().into(),
            key.body_hash.as_str().into(),
            answer.object.as_str().into(),
            i64::from(answer.status).into(),
            answer.body.as_str().into(),
            now.into(),
        ]);
    }
    rows
}

impl SqlStore {
    /// What a key was answered, if anything.
    pub(super) async fn answer_for(&self, scope: &Scope, row: &IdempotencyRow) -> Result<Option<Accepted>, StoreError> {
        let first = self.db.read(ONE, None, &one(scope, row)).await?.first().map(First::read).transpose()?;
        let is_same = |first: &First| first.body_hash == row.body_hash;
        Ok(first.map(|first| if is_same(&first) { Accepted::Replayed(first.answer) } else { Accepted::KeyReused }))
    }

    pub(super) async fn delete_answers(&self, keep: Duration, limit: u32) -> Result<u64, StoreError> {
        transact!(self.db, tx => {
            let before = tx.now().await?.before(keep);
            let sql = "SELECT scope, route, key FROM idempotency WHERE created_at < {1} LIMIT {2}";
            let mut old = Rows::new(KEY);
            for row in tx.fetch(sql, None, &[before.into(), limit.into()]).await? {
                old.push([row.text(0)?.into(), row.text(1)?.into(), row.text(2)?.into()]);
            }
            if old.is_empty() {
                return Ok(0);
            }
            let sql = "DELETE FROM idempotency WHERE (scope, route, key) IN (SELECT scope, route, key FROM {rows})";
            tx.execute(sql, Some(&old), &[]).await
        })
    }
}
