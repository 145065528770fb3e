//! The sandbox's durable book: one SQLite file, one writer. What was answered is on the disk.

use super::{
    book_write::{Write, Writer, Written},
    operation::{Operation, OperationId, OperationStatus},
};
use crate::{
    adapters::pool::is_sound,
    batch::{BatchLimits, Batcher, Closed, Panicked},
    domain::{
        attempt::AttemptKind,
        money::{Amount, Currency},
        time::Timestamp,
    },
};
use serde::{Deserialize, Serialize};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{path::Path, sync::Arc, time::Duration};

const SCHEMA_VERSION: i64 = 4;
/// The schema's steps, in order. A book of an earlier version takes those that it has not.
const SCHEMA: [&str; 4] =
    [include_str!("schema.sql"), include_str!("schema_2.sql"), include_str!("schema_3.sql"), include_str!("schema_4.sql")];
/// How long a caller waits for the book.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most charges that are shown for one reference.
const MAX_PER_REFERENCE: u32 = 100;

/// The columns of an operation, in the order of [`OperationRow`].
macro_rules! select_operations {
    ($rest:literal) => {
        concat!(
            "SELECT o.seq, o.nonce, o.idempotency_key, o.request_hash, o.kind, o.reference, o.amount, o.currency, o.status, ",
            "o.amount_refunded, o.target, o.decline_code, o.created_at, o.method, o.script FROM ",
            $rest
        )
    };
}
pub(super) use select_operations;

/// Why the book gave no answer. Whether something was written is not known then.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BookError {
    /// Too many callers, or the book is closing.
    #[error("the book is too busy, or closed")]
    Busy,
    /// SQLite's word.
    #[error("the book: {0}")]
    Database(Arc<sqlx::Error>),
    /// A row that this version did not write.
    #[error("the book holds a row that cannot be read: {0}")]
    Corrupt(&'static str),
    /// Written by another version.
    #[error("the book has schema {0}, this version knows {SCHEMA_VERSION}")]
    OtherVersion(i64),
    /// Our bug. What was told of it is in the log.
    #[error("writing to the book panicked")]
    Panicked,
}

impl From<sqlx::Error> for BookError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

impl From<Closed> for BookError {
    fn from(_: Closed) -> Self {
        Self::Busy
    }
}

impl From<Panicked> for BookError {
    fn from(_: Panicked) -> Self {
        Self::Panicked
    }
}

/// An operation as it lies in the file.
#[derive(sqlx::FromRow)]
pub(super) struct OperationRow {
    seq: i64,
    nonce: i64,
    idempotency_key: String,
    pub(super) request_hash: String,
    kind: String,
    reference: String,
    amount: i64,
    currency: String,
    status: String,
    amount_refunded: i64,
    target: Option<String>,
    decline_code: Option<String>,
    created_at: i64,
    method: Option<String>,
    script: Option<String>,
}

impl TryFrom<OperationRow> for Operation {
    type Error = BookError;

    fn try_from(row: OperationRow) -> Result<Self, BookError> {
        let kind = AttemptKind::parse(&row.kind).ok_or(BookError::Corrupt("kind"))?;
        Ok(Self {
            id: OperationId { kind, seq: row.seq, nonce: row.nonce },
            idempotency_key: row.idempotency_key,
            reference: row.reference,
            amount: Amount::from_minor(row.amount),
            currency: Currency::parse(&row.currency).map_err(|_| BookError::Corrupt("currency"))?,
            status: OperationStatus::parse(&row.status).ok_or(BookError::Corrupt("status"))?,
            amount_refunded: Amount::from_minor(row.amount_refunded),
            target: row.target,
            decline_code: row.decline_code,
            created_at: Timestamp::from_millis(row.created_at),
            method: row.method,
            script: row.script,
        })
    }
}

/// A page of charges, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargePage {
    /// At most `limit` of them.
    pub data: Vec<Operation>,
    /// Where the next page begins; `None` at the end.
    pub next_cursor: Option<String>,
}

/// Operations of one kind, status and currency, summed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub struct Total {
    /// `charge`, `capture`, `void` or `refund`.
    pub kind: String,
    /// Their status.
    pub status: String,
    /// Their currency.
    pub currency: String,
    /// How many.
    pub count: i64,
    /// Minor units in all.
    pub amount: i64,
    /// Minor units given back.
    pub amount_refunded: i64,
}

/// The whole book in numbers, for audits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// By kind, status and currency.
    pub data: Vec<Total>,
    /// References with more than one charge that took money: must be 0.
    pub references_charged_twice: i64,
}

/// The book.
pub(super) struct Book {
    writes: Batcher<Writer>,
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Book {
    /// Opens the book, or begins one. Waits for another process that is writing, for 5 s at the most.
    pub(super) async fn open(path: &Path) -> Result<Self, BookError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // Money: a commit that was answered survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE);
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(PATIENCE)
                .test_before_acquire(false)
                .after_release(|connection, _| Box::pin(is_sound(connection)))
        };
        let writer = pool(1).connect_with(options.clone()).await?;
        prepare(&writer).await?;
        let readers = pool(2).connect_lazy_with(options.pragma("query_only", "on"));
        let limits = BatchLimits { max_items: 512, max_running: 1, max_waiting: 4096, patience: PATIENCE, ..BatchLimits::default() };
        Ok(Self { writes: Batcher::start(Writer::new(writer.clone()), limits), writer, readers })
    }

    pub(super) const fn writer(&self) -> &SqlitePool {
        &self.writer
    }

    pub(super) const fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// Writes, together with whoever comes at the same time. Durable when it answers.
    pub(super) async fn write(&self, write: Write) -> Result<Written, BookError> {
        self.writes.call(write).await
    }

    /// Counts a request that may be turned away, durably; says the how-manieth it is.
    pub(super) async fn count_try(&self, key: &str) -> Result<i64, BookError> {
        let sql = "INSERT INTO tries (idempotency_key, n) VALUES ($1, 1) ON CONFLICT (idempotency_key) DO UPDATE SET n = n + 1 RETURNING n";
        Ok(sqlx::query_scalar(sql).bind(key).fetch_one(&self.writer).await?)
    }

    /// The operation made under this key.
    pub(super) async fn by_key(&self, key: &str) -> Result<Option<Operation>, BookError> {
        let sql = select_operations!("operations o WHERE o.idempotency_key = $1");
        let row: Option<OperationRow> = sqlx::query_as(sql).bind(key).fetch_optional(&self.readers).await?;
        row.map(Operation::try_from).transpose()
    }

    /// One operation.
    pub(super) async fn by_id(&self, id: OperationId) -> Result<Option<Operation>, BookError> {
        let sql = select_operations!("operations o WHERE o.seq = $1");
        let row: Option<OperationRow> = sqlx::query_as(sql).bind(id.seq).fetch_optional(&self.readers).await?;
        Ok(row.map(Operation::try_from).transpose()?.filter(|operation| operation.id == id))
    }

    /// The charges made for a reference, oldest first, at most 100.
    pub(super) async fn charges_by_reference(&self, reference: &str) -> Result<Vec<Operation>, BookError> {
        let sql = select_operations!("operations o WHERE o.reference = $1 AND o.kind = 'charge' ORDER BY o.seq LIMIT $2");
        let rows: Vec<OperationRow> = sqlx::query_as(sql).bind(reference).bind(MAX_PER_REFERENCE).fetch_all(&self.readers).await?;
        rows.into_iter().map(Operation::try_from).collect()
    }

    /// A page of all charges, newest first, from before `after` on.
    pub(super) async fn charges(&self, limit: u32, after: Option<OperationId>) -> Result<ChargePage, BookError> {
        let sql = select_operations!("operations o WHERE o.kind = 'charge' AND o.seq < $1 ORDER BY o.seq DESC LIMIT $2");
        let before = after.map_or(i64::MAX, |id| id.seq);
        let rows: Vec<OperationRow> = sqlx::query_as(sql).bind(before).bind(limit.saturating_add(1)).fetch_all(&self.readers).await?;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > wanted;
        let data = rows.into_iter().take(wanted).map(Operation::try_from).collect::<Result<Vec<_>, _>>()?;
        let next_cursor = data.last().filter(|_| more).map(|charge| charge.id.to_string());
        Ok(ChargePage { data, next_cursor })
    }

    /// The whole book, summed.
    pub(super) async fn totals(&self) -> Result<Totals, BookError> {
        let sums = "SELECT kind, status, currency, count(*) AS count, sum(amount) AS amount, sum(amount_refunded) AS amount_refunded \
                    FROM operations GROUP BY kind, status, currency ORDER BY kind, status, currency";
        let twice = "SELECT count(*) FROM (SELECT 1 FROM operations WHERE kind = 'charge' AND status IN ('captured', 'refunded') \
                     GROUP BY reference HAVING count(*) > 1)";
        // One snapshot for both, so that they tell of the same moment.
        let mut snapshot = self.readers.begin().await?;
        let data = sqlx::query_as(sums).fetch_all(&mut *snapshot).await?;
        let references_charged_twice = sqlx::query_scalar(twice).fetch_one(&mut *snapshot).await?;
        snapshot.rollback().await?;
        Ok(Totals { data, references_charged_twice })
    }
}

async fn prepare(writer: &SqlitePool) -> Result<(), BookError> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *transaction).await?;
    let missing = usize::try_from(version).ok().and_then(|done| SCHEMA.get(done..)).ok_or(BookError::OtherVersion(version))?;
    for step in missing {
        sqlx::raw_sql(*step).execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_disk_ends_a_transaction_and_not_the_writer() {
        let folder = tempfile::tempdir().unwrap();
        let book = Book::open(&folder.path().join("book.db")).await.unwrap();
        let mut transaction = book.writer.begin_with("BEGIN IMMEDIATE").await.unwrap();
        sqlx::query("PRAGMA max_page_count = 1").execute(&mut *transaction).await.unwrap();
        let sql = "INSERT INTO tries (idempotency_key, n) VALUES (hex(zeroblob(1000000)), 1)";
        let full = sqlx::query(sql).execute(&mut *transaction).await;
        assert!(full.as_ref().is_err_and(|error| error.to_string().contains("full")), "{full:?}");
        drop(transaction);
        // There is room again: this was a limit of that connection.
        book.writer.begin_with("BEGIN IMMEDIATE").await.expect("the next transaction begins").commit().await.unwrap();
        assert_eq!(book.count_try("key").await.unwrap(), 1);
    }
}
