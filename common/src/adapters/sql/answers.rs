//! First answers and the keys that they are bound to, for what is made under a lock of its own.

use super::{
    bulk::{Rows, Type::Int, Type::Text},
    db::Tx,
    script::Write,
    value::{Row, Value, corrupt},
};
use crate::{
    domain::{scope::Scope, time::Timestamp},
    ports::store::{IdempotencyRow, StoreError, StoredAnswer},
};
use std::collections::HashMap;

/// What a key is bound to.
pub(super) enum Bound {
    /// Our own earlier run has written it.
    Ours(StoredAnswer),
    /// The same key and body came before.
    Same(StoredAnswer),
    /// The same key came before with another body.
    Other,
}

/// What each of many keys is bound to, in their order; beside each the id that the caller made for what is to come.
pub(super) async fn bound_many<'k>(
    tx: &mut Tx<'_>,
    keys: impl Iterator<Item = (&'k Scope, &'k IdempotencyRow, &'k str)>,
) -> Result<Vec<Option<Bound>>, StoreError> {
    let keys: Vec<_> = keys.collect();
    let mut rows = Rows::new(&[("scope", Text), ("route", Text), ("key", Text)]);
    for (scope, key, _) in &keys {
        rows.push([scope.as_str().into(), key.route.as_str().into(), key.key.as_str().into()]);
    }
    let sql = "SELECT i.status, i.object, i.body, i.body_hash, i.scope, i.route, i.key FROM idempotency i \
               WHERE (i.scope, i.route, i.key) IN (SELECT scope, route, key FROM {rows})";
    let mut found = HashMap::new();
    for row in tx.fetch(sql, Some(&rows), &[]).await? {
        found.insert((row.text(4)?, row.text(5)?, row.text(6)?), row);
    }
    let bound = |(scope, key, ours): &(&Scope, &IdempotencyRow, &str)| {
        found.get(&(scope.to_string(), key.route.clone(), key.key.clone())).map(|row| read(row, key, ours)).transpose()
    };
    keys.iter().map(bound).collect()
}

fn read(row: &Row, key: &IdempotencyRow, ours: &str) -> Result<Bound, StoreError> {
    let answer = StoredAnswer { status: u16::try_from(row.int(0)?).map_err(corrupt)?, object: row.text(1)?, body: row.text(2)? };
    Ok(if answer.object == ours {
        Bound::Ours(answer)
    } else if row.text(3)? == key.body_hash {
        Bound::Same(answer)
    } else {
        Bound::Other
    })
}

/// What the key is bound to, if anything; `ours` is the id that the caller made for what is to come.
pub(super) async fn bound(tx: &mut Tx<'_>, scope: &Scope, key: &IdempotencyRow, ours: &str) -> Result<Option<Bound>, StoreError> {
    let sql = "SELECT status, object, body, body_hash FROM idempotency WHERE scope = {1} AND route = {2} AND key = {3}";
    let args: [Value; 3] = [scope.as_str().into(), key.route.as_str().into(), key.key.as_str().into()];
    tx.fetch(sql, None, &args).await?.first().map(|row| read(row, key, ours)).transpose()
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

/// Binds new keys to their answers.
pub(super) async fn bind_many<'k>(
    tx: &mut Tx<'_>,
    answers: impl Iterator<Item = (&'k Scope, &'k IdempotencyRow, &'k StoredAnswer)>,
    now: Timestamp,
) -> Result<(), StoreError> {
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
    tx.run(vec![Write::insert("idempotency", rows)]).await.map(drop)
}
