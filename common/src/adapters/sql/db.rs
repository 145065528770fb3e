//! One way to run a statement on either database.
//!
//! Statements are templates: `{rows}` and `{names}` stand for bulk rows (see `bulk`), `{1}`, `{2}`, … for further
//! arguments, `{lock}` and `{skip_locked}` for row locks where the database has them (SQLite has one writer at a time).

use super::{
    bulk::{Rows, Type},
    seat::{Held, HeldConnection, Seat},
    value::{Row, Value},
};
use crate::{
    domain::time::Timestamp,
    ports::{clock::Clock, store::StoreError},
    retry,
};
use sqlx::{AssertSqlSafe, PgPool, Postgres, Sqlite, SqlitePool, Transaction};
use std::{sync::Arc, time::Duration};

/// The longest that one transaction may take, connection included.
pub(super) const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a transaction is begun after its connection broke or it lost a deadlock. More often than the pool has
/// connections: after a restart of the server each of them fails once.
const TRANSACTION_TRIES: u32 = 16;

/// How long to wait before try number `tries + 1`; `None` to give up.
pub(super) fn pause_before_retry(tries: u32, started: std::time::Instant) -> Option<Duration> {
    let dead_connections = Duration::from_millis(2);
    (tries < TRANSACTION_TRIES && started.elapsed() < TRANSACTION_TIMEOUT)
        .then(|| if tries < TRANSACTION_TRIES - 3 { dead_connections } else { retry::RECONNECT.wait(tries, None) })
}

/// Either database.
#[derive(Clone)]
pub(super) enum Db {
    Postgres {
        pool: PgPool,
        seat: Seat<Postgres>,
    },
    /// One connection writes, the others read: SQLite has one writer anyway, and in line nobody is turned away.
    Sqlite {
        writer: SqlitePool,
        seat: Seat<Sqlite>,
        readers: SqlitePool,
        reader: Seat<Sqlite>,
        clock: Arc<dyn Clock>,
    },
}

/// A transaction on either database.
pub(super) enum Tx<'c> {
    Postgres(Transaction<'c, Postgres>),
    Sqlite(Transaction<'c, Sqlite>, Arc<dyn Clock>),
}

macro_rules! bind {
    ($db:ident, $sql:expr, $rows:expr, $args:expr) => {{
        let mut query = sqlx::query::<$db>(AssertSqlSafe($sql));
        if let Some(rows) = $rows {
            query = bind!(@rows $db, query, rows);
        }
        bind!(@args query, $args)
    }};
    (@args $query:expr, $args:expr) => {{
        let mut query = $query;
        for arg in $args {
            query = match arg {
                Value::Text(text) => query.bind(text.as_str()),
                Value::Int(int) => query.bind(*int),
                Value::Null => query.bind(None::<&str>),
            };
        }
        query
    }};
    (@rows Postgres, $query:expr, $rows:expr) => {{
        let mut query = $query;
        for (at, (_, kind)) in $rows.columns.iter().enumerate() {
            query = match kind {
                Type::Text => query.bind($rows.texts(at)),
                Type::Int => query.bind($rows.ints(at)),
            };
        }
        query
    }};
    (@rows Sqlite, $query:expr, $rows:expr) => {
        $query.bind(serde_json::to_string(&$rows.data).map_err(super::value::corrupt)?)
    };
}

pub(super) use bind;

/// Runs a block in a transaction and commits. After a broken connection (a lost COMMIT answer among them) or a lost
/// deadlock it is run again: every block finds what an earlier run of itself has written, and answers accordingly.
macro_rules! transact {
    ($db:expr, $tx:ident => $body:block) => {{
        let (mut tries, started) = (0u32, std::time::Instant::now());
        loop {
            tries += 1;
            let once = async {
                let mut held = $db.hold().await?;
                let mut transaction = held.begin().await?;
                let answer = {
                    let $tx = &mut transaction;
                    let body: Result<_, $crate::ports::store::StoreError> = async { $body }.await;
                    body?
                };
                transaction.commit().await?;
                held.keep();
                Ok(answer)
            };
            let result: Result<_, $crate::ports::store::StoreError> =
                match tokio::time::timeout($crate::adapters::sql::db::TRANSACTION_TIMEOUT, once).await {
                    Ok(result) => result,
                    Err(_) => Err($crate::ports::store::StoreError::Unavailable("the transaction took too long".to_owned())),
                };
            match (result, $crate::adapters::sql::db::pause_before_retry(tries, started)) {
                (Err($crate::ports::store::StoreError::Unavailable(cause)), Some(pause)) => {
                    tracing::debug!(%cause, tries, "a transaction is run again");
                    tokio::time::sleep(pause).await;
                }
                (result, _) => break result,
            }
        }
    }};
}
pub(super) use transact;

/// Fills a template in for one database, where `taken` arguments come before its own.
pub(super) fn render(template: &str, rows: Option<&Rows>, postgres: bool, taken: usize) -> String {
    let mut sql = template.to_owned();
    if let Some(rows) = rows {
        let source = if postgres { rows.postgres_source(taken) } else { rows.sqlite_source(taken) };
        sql = sql.replace("{rows}", &source).replace("{names}", &rows.names());
    }
    let taken = taken + rows.map_or(0, |rows| rows.width(postgres));
    for n in 1..=9 {
        let place = format!("{{{n}}}");
        if !sql.contains(&place) {
            break;
        }
        sql = sql.replace(&place, &format!("${}", taken + n));
    }
    let (lock, skip) = if postgres { ("FOR UPDATE", "FOR UPDATE SKIP LOCKED") } else { ("", "") };
    sql.replace("{lock}", lock).replace("{skip_locked}", skip)
}

impl Tx<'_> {
    /// Runs a statement and reads its rows.
    pub(super) async fn fetch(&mut self, template: &str, rows: Option<&Rows>, args: &[Value]) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Postgres(tx) => {
                let query = bind!(Postgres, render(template, rows, true, 0), rows, args);
                Ok(query.fetch_all(&mut **tx).await.map_err(failed)?.into_iter().map(Row::Postgres).collect())
            }
            Self::Sqlite(tx, _) => {
                let query = bind!(Sqlite, render(template, rows, false, 0), rows, args);
                Ok(query.fetch_all(&mut **tx).await.map_err(failed)?.into_iter().map(Row::Sqlite).collect())
            }
        }
    }

    /// Runs a statement and counts the rows that it changed.
    pub(super) async fn execute(&mut self, template: &str, rows: Option<&Rows>, args: &[Value]) -> Result<u64, StoreError> {
        match self {
            Self::Postgres(tx) => {
                let query = bind!(Postgres, render(template, rows, true, 0), rows, args);
                Ok(query.execute(&mut **tx).await.map_err(failed)?.rows_affected())
            }
            Self::Sqlite(tx, _) => {
                let query = bind!(Sqlite, render(template, rows, false, 0), rows, args);
                Ok(query.execute(&mut **tx).await.map_err(failed)?.rows_affected())
            }
        }
    }

    /// The store's time. PostgreSQL's own clock, not the transaction's start: a wait for a lock does not stop the time.
    pub(super) async fn now(&mut self) -> Result<Timestamp, StoreError> {
        if let Self::Sqlite(_, clock) = self {
            return Ok(clock.now());
        }
        let rows = self.fetch("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)", None, &[]).await?;
        rows.first().ok_or_else(|| StoreError::Corrupt("the database does not tell the time".to_owned()))?.time(0)
    }

    pub(super) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Postgres(tx) => tx.commit().await,
            Self::Sqlite(tx, _) => tx.commit().await,
        }
        .map_err(failed)
    }
}

impl Db {
    /// The same database, for someone who uses it all the time and keeps a connection to himself.
    pub(super) fn seated(&self) -> Self {
        let mut seated = self.clone();
        match &mut seated {
            Self::Postgres { seat, .. } => *seat = Seat::default(),
            Self::Sqlite { reader, .. } => *reader = Seat::default(),
        }
        seated
    }

    /// A connection to write with.
    pub(super) async fn hold(&self) -> Result<Held, StoreError> {
        match self {
            Self::Postgres { pool, seat } => HeldConnection::take(pool, seat).await.map(Held::Postgres),
            Self::Sqlite { writer, seat, clock, .. } => {
                HeldConnection::take_in_line(writer, seat).await.map(|held| Held::Sqlite(held, Arc::clone(clock)))
            }
        }
        .map_err(failed)
    }

    /// Reads outside a transaction: one statement, one snapshot. Run again after a broken connection.
    pub(super) async fn read(&self, template: &str, rows: Option<&Rows>, args: &[Value]) -> Result<Vec<Row>, StoreError> {
        let (mut tries, started) = (0, std::time::Instant::now());
        loop {
            tries += 1;
            let late = |_| Err(StoreError::Unavailable("the query took too long".to_owned()));
            let result = tokio::time::timeout(TRANSACTION_TIMEOUT, self.read_once(template, rows, args)).await.unwrap_or_else(late);
            match (result, pause_before_retry(tries, started)) {
                (Err(StoreError::Unavailable(_)), Some(pause)) => tokio::time::sleep(pause).await,
                (result, _) => return result,
            }
        }
    }

    async fn read_once(&self, template: &str, rows: Option<&Rows>, args: &[Value]) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Postgres { pool, seat } => {
                let query = bind!(Postgres, render(template, rows, true, 0), rows, args);
                let mut held = HeldConnection::take(pool, seat).await.map_err(failed)?;
                let found = query.fetch_all(held.connection()).await.map_err(failed)?;
                held.keep();
                Ok(found.into_iter().map(Row::Postgres).collect())
            }
            Self::Sqlite { readers, reader, .. } => {
                let query = bind!(Sqlite, render(template, rows, false, 0), rows, args);
                let mut held = HeldConnection::take(readers, reader).await.map_err(failed)?;
                let found = query.fetch_all(held.connection()).await.map_err(failed)?;
                held.keep();
                Ok(found.into_iter().map(Row::Sqlite).collect())
            }
        }
    }

    /// The store's time, outside a transaction.
    pub(super) async fn now(&self) -> Result<Timestamp, StoreError> {
        if let Self::Sqlite { clock, .. } = self {
            return Ok(clock.now());
        }
        let rows = self.read("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)", None, &[]).await?;
        rows.first().ok_or_else(|| StoreError::Corrupt("the database does not tell the time".to_owned()))?.time(0)
    }
}

/// Tells what may help from what will not: a broken connection or a lost deadlock is worth another try.
pub(super) fn failed(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default().into_owned();
            let passing = match code.len() {
                // 40001 serialization failure, 40P01 deadlock, 57P* shutdown, 53* out of resources, 08* connection, 55P03 lock
                // timeout, 25P03 stood still in a transaction, 25006 read-only, 57014 statement timeout.
                5 => ["40", "57", "53", "08", "55P03", "25P03", "25006"].iter().any(|class| code.starts_with(class)),
                // SQLite: 5 busy, 6 locked, 8 read-only, 10 input or output, 13 full, 14 cannot open; what is more is in the higher bits.
                _ => code.parse().is_ok_and(|code: u32| [5, 6, 8, 10, 13, 14].contains(&(code & 0xff))),
            };
            if passing {
                StoreError::Unavailable(format!("{code}: {}", database.message()))
            } else {
                StoreError::Inconsistent(format!("{code}: {}", database.message()))
            }
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => StoreError::Unavailable(error.to_string()),
        _ => StoreError::Inconsistent(error.to_string()),
    }
}
