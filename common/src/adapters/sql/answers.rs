//! First answers and the keys that they are bound to, for what is made one at a time under a lock of its own.

use super::{
    db::Tx,
    value::{Value, corrupt},
};
use crate::{
    domain::{scope::Scope, time::Timestamp},
    ports::store::{IdempotencyRow, StoreError, StoredAnswer},
};

/// What a key is bound to.
pub(super) enum Bound {
    /// Our own earlier run has written it.
    Ours(StoredAnswer),
    /// The same key and body came before.
    Same(StoredAnswer),
    /// The same key came before with another body.
    Other,
}

/// What the key is bound to, if anything; `ours` is the id that the caller made for what is to come.
pub(super) async fn bound(tx: &mut Tx<'_>, scope: &Scope, key: &IdempotencyRow, ours: &str) -> Result<Option<Bound>, StoreError> {
    let sql = "SELECT status, object, body, body_hash FROM idempotency WHERE scope = {1} AND route = {2} AND key = {3}";
    let args: [Value; 3] = [scope.as_str().into(), key.route.as_str().into(), key.key.as_str().into()];
    let Some(row) = tx.fetch(sql, None, &args).await?.into_iter().next() else { return Ok(None) };
    let answer = StoredAnswer { status: u16::try_from(row.int(0)?).map_err(corrupt)?, object: row.text(1)?, body: row.text(2)? };
    Ok(Some(if answer.object == ours {
        Bound::Ours(answer)
    } else if row.text(3)? == key.body_hash {
        Bound::Same(answer)
    } else {
        Bound::Other
    }))
}

/// Binds a new key to its answer.
pub(super) async fn bind(
    tx: &mut Tx<'_>,
    scope: &Scope,
    key: &IdempotencyRow,
    answer: &StoredAnswer,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO idempotency (scope, route, key, body_hash, object, status, body, created_at) \
               VALUES ({1}, {2}, {3}, {4}, {5}, {6}, {7}, {8})";
    let args: [Value; 8] = [
        scope.as_str().into(),
        key.route.as_str().into(),
        key.key.as_str().into(),
        key.body_hash.as_str().into(),
        answer.object.as_str().into(),
        i64::from(answer.status).into(),
        answer.body.as_str().into(),
        now.into(),
    ];
    tx.execute(sql, None, &args).await.map(drop)
}
