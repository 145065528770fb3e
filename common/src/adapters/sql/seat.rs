//! Connections that stay with whoever uses them all the time.
//!
//! A pool asks the server after each use whether a connection still lives, and hands it on by a task of its own. Where one
//! batch follows the other that is a round trip and a wait for each of them.

use super::db::{Tx, failed};
use crate::ports::{clock::Clock, store::StoreError};
use sqlx::{Connection, Database, Pool, Postgres, Sqlite, pool::PoolConnection};
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Where a connection stays between two uses.
pub(super) struct Seat<D: Database>(Arc<Mutex<Option<PoolConnection<D>>>>);

impl<D: Database> Default for Seat<D> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<D: Database> Clone for Seat<D> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A connection in use. Dropped, it goes back to its pool, which looks whether it is any good.
pub(super) struct HeldConnection<D: Database> {
    connection: PoolConnection<D>,
    seat: Option<OwnedMutexGuard<Option<PoolConnection<D>>>>,
}

impl<D: Database> HeldConnection<D> {
    /// Takes the connection that stays in `seat`; while it is in use, another one from the pool.
    pub(super) async fn take(pool: &Pool<D>, seat: &Seat<D>) -> Result<Self, sqlx::Error> {
        Self::sit(pool, Arc::clone(&seat.0).try_lock_owned().ok()).await
    }

    /// Takes the only connection there is, in line.
    pub(super) async fn take_in_line(pool: &Pool<D>, seat: &Seat<D>) -> Result<Self, sqlx::Error> {
        Self::sit(pool, Some(Arc::clone(&seat.0).lock_owned().await)).await
    }

    async fn sit(pool: &Pool<D>, mut seat: Option<OwnedMutexGuard<Option<PoolConnection<D>>>>) -> Result<Self, sqlx::Error> {
        let connection = match seat.as_mut().and_then(|seat| seat.take()) {
            Some(connection) => connection,
            None => pool.acquire().await?,
        };
        Ok(Self { connection, seat })
    }

    /// The connection.
    pub(super) fn connection(&mut self) -> &mut D::Connection {
        &mut self.connection
    }

    /// Leaves the connection where it is found again: only after all went well.
    pub(super) fn keep(mut self) {
        if let Some(seat) = self.seat.as_mut() {
            **seat = Some(self.connection);
        }
    }
}

/// A connection in use, to either database.
pub(super) enum Held {
    Postgres(HeldConnection<Postgres>),
    Sqlite(HeldConnection<Sqlite>, Arc<dyn Clock>),
}

impl Held {
    /// Begins a transaction. Dropped, it is rolled back.
    pub(super) async fn begin(&mut self) -> Result<Tx<'_>, StoreError> {
        match self {
            Self::Postgres(held) => held.connection.begin().await.map(Tx::Postgres),
            Self::Sqlite(held, clock) => {
                held.connection.begin_with("BEGIN IMMEDIATE").await.map(|transaction| Tx::Sqlite(transaction, Arc::clone(clock)))
            }
        }
        .map_err(failed)
    }

    /// Leaves the connection where it is found again: only after a transaction that went well to its end.
    pub(super) fn keep(self) {
        match self {
            Self::Postgres(held) => held.keep(),
            Self::Sqlite(held, _) => held.keep(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::open::{postgres, sqlite};
    use super::*;
    use crate::ports::clock::SystemClock;
    use boxoffice_testkit::proxy::CuttingProxy;
    use std::time::Duration;

    #[tokio::test]
    async fn a_full_disk_ends_a_transaction_and_not_the_writer() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("store.db").display());
        let db = sqlite(&url, Arc::new(SystemClock::default())).await.unwrap();
        let mut held = db.hold().await.unwrap();
        let mut transaction = held.begin().await.unwrap();
        transaction.execute("CREATE TABLE things (text TEXT)", None, &[]).await.unwrap();
        transaction.commit().await.unwrap();
        held.keep();
        let mut held = db.hold().await.unwrap();
        let mut transaction = held.begin().await.unwrap();
        transaction.fetch("PRAGMA max_page_count = 4", None, &[]).await.unwrap();
        let full = transaction.execute("INSERT INTO things VALUES (hex(zeroblob(1000000)))", None, &[]).await;
        assert!(matches!(&full, Err(StoreError::Unavailable(cause)) if cause.contains("full")), "nobody is to blame for it: {full:?}");
        drop(transaction);
        drop(held);
        // There is room again: this was a limit of that connection.
        let mut held = db.hold().await.unwrap();
        let mut transaction = held.begin().await.expect("the next transaction begins");
        transaction.execute("INSERT INTO things VALUES ('small')", None, &[]).await.unwrap();
        transaction.commit().await.unwrap();
    }

    #[tokio::test]
    async fn connections_to_a_host_that_is_silent_do_not_keep_new_ones_from_being_made() {
        let proxy = CuttingProxy::start(&boxoffice_testkit::shared::postgres_url().await.unwrap()).await.unwrap();
        let db = postgres(&proxy.url()).await.unwrap();
        let mut all = Vec::new();
        while let Ok(Ok(mut held)) = tokio::time::timeout(Duration::from_secs(1), db.hold()).await {
            drop(held.begin().await.unwrap());
            all.push(held);
        }
        assert!(all.len() > 1, "{}", all.len());
        proxy.fall_silent();
        drop(all);
        let mut held = db.hold().await.expect("there is room for a connection");
        held.begin().await.unwrap().commit().await.unwrap();
    }
}
