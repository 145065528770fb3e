//! What the pools of database connections have in common.

use sqlx::Connection;
use std::time::Duration;

/// How long a connection that comes back after a failure may take to show that it works.
const PROBE: Duration = Duration::from_secs(2);

/// Whether a connection that comes back to its pool may be used again; an error or `false`: it is closed. It comes back only when
/// something went wrong. A host that is gone answers nothing, not even with a reset, for as long as the kernel goes on trying: without
/// a bound the pool would be empty for a quarter of an hour. And where SQLite ended a transaction by itself (a full disk), the
/// connection's own count of transactions is wrong for ever.
pub(crate) async fn is_sound<C: Connection>(connection: &mut C) -> Result<bool, sqlx::Error> {
    match tokio::time::timeout(PROBE, connection.ping()).await {
        Ok(answer) => answer.map(|()| !connection.is_in_transaction()),
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}
