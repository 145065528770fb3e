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
