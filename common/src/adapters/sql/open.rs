//! Connecting to a database, and bringing its schema up to date.

use super::{
    accept::Accepts,
    begin::Begins,
    db::{Db, failed},
    deliveries::{Records, Takes},
    look::Looks,
    numbers::Counts,
    pay::Pays,
    provider_event_batches::{Ends, EventsById, Keeps},
    read::Checkouts,
    refund::RefundsById,
    refund_open::Refunds,
    remembered::Remembered,
    seat::Seat,
    settings::SettingsOf,
    settle::Settles,
    spendable::Spendables,
};
use crate::{
    adapters::pool::is_sound,
    batch::{BatchLimits, Batcher},
    domain::{id::Entropy, secret::Secret},
    ports::{clock::Clock, store::StoreError},
};
use sqlx::{
    ConnectOptions, PgPool, SqlitePool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{collections::HashSet, str::FromStr, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

static POSTGRES: Migrator = sqlx::migrate!("../migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("../migrations/sqlite");

/// How long to wait for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections to PostgreSQL per process. Eleven of them at the most stay with whoever uses them all the time.
const POSTGRES_CONNECTIONS: u32 = 16;
/// How long a batch waits for company in a crowd. A transaction takes about as long, and costs several times what a row in it does.
const POSTGRES_LINGER: Duration = Duration::from_millis(8);
/// How long a look waits for company in a crowd. On SQLite each one begins by reading anew what somebody has written since, whatever is
/// looked for, and on PostgreSQL it is a way there and back.
const LOOK_LINGER: Duration = Duration::from_millis(3);
/// Rows that a statement may have read ahead of us on SQLite.
const SQLITE_ROW_BUFFER: usize = 1024;
/// How long a transaction may stand still between two statements. Nothing is called outside the database in one, so a process that
/// does is stopped or cut off, and others wait for its locks: checkouts, places. When it goes on it runs its transaction again.
const IDLE_IN_TRANSACTION_MS: &str = "4000";
/// How many events of providers one look brings: each may have half a megabyte.
const EVENTS_AT_ONCE: usize = 32;
/// Reading connections to SQLite. Two of them stay with whoever uses them all the time.
const SQLITE_READERS: u32 = 6;
/// What a reading connection to SQLite may keep of the pages that it has read, in KiB (with a minus, as SQLite counts). Whenever somebody has written since, it forgets
/// all of them, and goes through the whole table of where they were, which grows with this and never shrinks.
const READER_CACHE: &str = "-2048";

/// The truth, on PostgreSQL or SQLite. See the ports in `ports::store` for what it promises.
pub struct SqlStore {
    pub(super) db: Db,
    pub(super) entropy: Arc<Entropy>,
    pub(super) accepts: Batcher<Accepts>,
    pub(super) begins: Batcher<Begins>,
    pub(super) settles: Batcher<Settles>,
    pub(super) pays: Batcher<Pays>,
    pub(super) refunds: Batcher<Refunds>,
    pub(super) counts: Batcher<Counts>,
    pub(super) loads: Batcher<Looks<Checkouts>>,
    pub(super) refund_looks: Batcher<Looks<RefundsById>>,
    pub(super) settings_looks: Batcher<Looks<SettingsOf>>,
    pub(super) spendables: Batcher<Looks<Spendables>>,
    pub(super) takes: Batcher<Takes>,
    pub(super) records: Batcher<Records>,
    pub(super) keeps: Batcher<Keeps>,
    pub(super) ends: Batcher<Ends>,
    pub(super) event_looks: Batcher<Looks<EventsById>>,
}

impl SqlStore {
    /// Connects to `postgres:…` or `sqlite:…` (the file is made when it is missing). Does not migrate.
    pub async fn open(url: &Secret<String>, clock: Arc<dyn Clock>, entropy: Arc<Entropy>) -> Result<Self, StoreError> {
        let url = url.reveal();
        let db = if url.starts_with("postgres") { postgres(url).await? } else { sqlite(url, clock).await? };
        // One batch of a kind at a time: what comes meanwhile shares the next one, and large batches are what makes a row cheap.
        // SQLite has one writer for all kinds, so that a batch grows until it is its turn.
        let only = Arc::new(Semaphore::new(1));
        let (place, linger): (Box<dyn Fn() -> Arc<Semaphore> + Send>, Duration) = match &db {
            Db::Postgres { .. } => (Box::new(|| Arc::new(Semaphore::new(1))), POSTGRES_LINGER),
            Db::Sqlite { .. } => (Box::new(move || Arc::clone(&only)), Duration::ZERO),
        };
        let writes = BatchLimits { linger, ..BatchLimits::default() };
        let reads = BatchLimits { max_running: 2, linger: LOOK_LINGER, ..BatchLimits::default() };
        // Embedded, whoever accepts a checkout also brings it to its end.
        let remembered = Arc::new(Remembered::new(matches!(db, Db::Sqlite { .. })));
        let (accepts, accepting) = Batcher::new(Accepts::new(db.seated(), Arc::clone(&entropy), Arc::clone(&remembered)), writes, place());
        let (begins, beginning) = Batcher::new(Begins::new(db.seated(), Arc::clone(&entropy), Arc::clone(&remembered)), writes, place());
        let (settles, settling) = Batcher::new(Settles::new(db.seated(), Arc::clone(&entropy)), writes, place());
        let (pays, paying) = Batcher::new(Pays::new(db.seated(), Arc::clone(&entropy), remembered), writes, place());
        let (refunds, refunding) = Batcher::new(Refunds::new(db.seated(), Arc::clone(&entropy)), writes, place());
        let (takes, taking) = Batcher::new(Takes::new(db.seated(), Arc::clone(&entropy)), writes, place());
        let (records, recording) = Batcher::new(Records::new(db.seated()), writes, place());
        let (keeps, keeping) = Batcher::new(Keeps::new(db.seated()), writes, place());
        let (ends, ending) = Batcher::new(Ends::new(db.seated()), writes, place());
        let writing = async move { tokio::join!(accepting, beginning, settling, paying, refunding, taking, recording, keeping, ending) };
        match &db {
            Db::Postgres { .. } => drop(tokio::spawn(writing)),
            Db::Sqlite { .. } => on_its_own_thread(writing)?,
        }
        let loads = Batcher::start(Looks::new(db.seated()), reads);
        // A connection that stays with one is missing for all others: whoever does not read all the time has none to himself.
        let refund_looks = Batcher::start(Looks::new(db.clone()), reads);
        let settings_looks = Batcher::start(Looks::new(db.clone()), reads);
        let spendables = Batcher::start(Looks::new(db.clone()), reads);
        let event_looks = Batcher::start(Looks::new(db.clone()), BatchLimits { max_items: EVENTS_AT_ONCE, ..reads });
        let counts = Batcher::start(Counts::new(db.clone(), Arc::clone(&entropy)), writes);
        Ok(Self {
            accepts,
            begins,
            settles,
            pays,
            refunds,
            counts,
            loads,
            refund_looks,
            settings_looks,
            spendables,
            takes,
            records,
            keeps,
            ends,
            event_looks,
            db,
            entropy,
        })
    }

    /// Applies what is missing of the schema. Many processes may do it at once.
    pub(super) async fn apply_migrations(&self) -> Result<(), StoreError> {
        match &self.db {
            Db::Postgres { pool, .. } => POSTGRES.run(pool).await,
            Db::Sqlite { writer, .. } => SQLITE.run(writer).await,
        }
        .map_err(|error| StoreError::Unavailable(format!("migrations: {error}")))
    }

    /// Whether every migration that we know is applied: an older one may have come later than a newer one. Those that we do not know are a
    /// newer process's.
    pub(super) async fn check_schema(&self) -> Result<(), StoreError> {
        let applied: HashSet<i64> = match self.db.read("SELECT version FROM _sqlx_migrations WHERE success", None, &[]).await {
            Ok(rows) => rows.iter().map(|row| row.int(0)).collect::<Result<_, _>>()?,
            Err(StoreError::Inconsistent(_)) => HashSet::new(),
            Err(error) => return Err(error),
        };
        match POSTGRES.iter().map(|migration| migration.version).find(|version| !applied.contains(version)) {
            None => Ok(()),
            Some(missing) => {
                Err(StoreError::Unavailable(format!("the schema lacks migration {missing:04}, or more: run `boxoffice migrate`")))
            }
        }
    }
}

/// SQLite has one writer, and every transaction goes back and forth with its connection's thread: between two statements nobody
/// else can write. So what comes back from it must not stand in line behind the requests of a busy server.
fn on_its_own_thread<F: Future<Output: Send> + Send + 'static>(writing: F) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| StoreError::Unavailable(format!("a thread for the writer: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
    std::thread::Builder::new().name("boxoffice-store".to_owned()).spawn(move || drop(runtime.block_on(writing))).map_err(failed)?;
    Ok(())
}

pub(super) async fn postgres(url: &str) -> Result<Db, StoreError> {
    let options = PgConnectOptions::from_str(url).map_err(failed)?.application_name("boxoffice").options([
        ("statement_timeout", "15000"),
        ("lock_timeout", "10000"),
        ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_MS),
        // Short statements by the thousand: compiling them costs more than it saves.
        ("jit", "off"),
        // So does planning them: each is by key, whatever the arguments, and its plan is made once. A plan made while a table
        // was still empty must not read all of it for ever after.
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
    ]);
    let options = options.disable_statement_logging();
    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .after_release(|connection, _| Box::pin(is_sound(connection)));
    let pool: PgPool = pool.connect_with(options).await.map_err(failed)?;
    Ok(Db::Postgres { pool, seat: Seat::default() })
}

pub(super) async fn sqlite(url: &str, clock: Arc<dyn Clock>) -> Result<Db, StoreError> {
    let options = SqliteConnectOptions::from_str(url)
        .map_err(failed)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // Money is recorded here: a commit is on the disk before it is answered.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(10))
        .pragma("cache_size", "-65536")
        .pragma("wal_autocheckpoint", "4000")
        .pragma("temp_store", "memory")
        // A batch's rows fit in: the connection's thread must not stop in the middle of a statement until somebody reads.
        .row_buffer_size(SQLITE_ROW_BUFFER)
        .foreign_keys(false)
        .disable_statement_logging();
    let pool = |connections| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT * 4)
            .test_before_acquire(false)
            .after_release(|connection, _| Box::pin(is_sound(connection)))
    };
    let writer: SqlitePool = pool(1).connect_with(options.clone()).await.map_err(failed)?;
    let readers: SqlitePool =
        pool(SQLITE_READERS).connect_with(options.pragma("query_only", "1").pragma("cache_size", READER_CACHE)).await.map_err(failed)?;
    Ok(Db::Sqlite { writer, seat: Seat::default(), readers, reader: Seat::default(), clock })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than a transaction may stand still, and far shorter than the patience of those who wait for its locks.
    const SOON: Duration = Duration::from_secs(8);

    #[tokio::test]
    async fn a_transaction_that_stands_still_gives_its_locks_back_and_is_worth_another_run() {
        let url = boxoffice_testkit::shared::postgres_url().await.unwrap();
        let db = postgres(&url).await.unwrap();
        let lock = "SELECT pg_advisory_xact_lock(1)";
        let (mut first, mut second) = (db.hold().await.unwrap(), db.hold().await.unwrap());
        let mut still = first.begin().await.unwrap();
        still.fetch(lock, None, &[]).await.unwrap();
        let mut other = second.begin().await.unwrap();
        tokio::time::timeout(SOON, other.fetch(lock, None, &[])).await.expect("the lock comes free").unwrap();
        let answer = still.fetch("SELECT 1", None, &[]).await;
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "it would be run again: {:?}", answer.err());
    }
}
