//! The floor: what the raw operations under a checkout cost here and now, with the same libraries, done one by one.
//!
//! A card checkout needs one HTTP request, three durable writes, and when distributed one trip through the broker and two calls of Redis. The
//! sum of these is what the whole is held against; batching can bring the whole below it.

use super::{
    client::{Connection, Origin, Question},
    error::BenchError,
    meter::{self, Part},
    target::Servers,
};
use boxoffice_common::domain::secret::Secret;
use futures::{StreamExt, TryStreamExt, stream};
use lapin::{
    BasicProperties, Channel, ConnectionProperties,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use serde::Serialize;
use sqlx::{
    Executor, PgPool, SqlitePool,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{future::Future, path::Path, time::Duration};
use tokio::{net::TcpListener, time::Instant};

/// Bytes of one row and of one message: about a checkout.
const PAYLOAD_BYTES: usize = 600;
const REQUESTS: usize = if cfg!(test) { 640 } else { 20_000 };
const ROWS: usize = if cfg!(test) { 200 } else { 10_000 };
const MESSAGES: usize = if cfg!(test) { 500 } else { 10_000 };
const HOLDS: usize = if cfg!(test) { 500 } else { 20_000 };
const CONNECTIONS: usize = 64;
const SQL_CLIENTS: u32 = 32;
const CONFIRMS_IN_FLIGHT: usize = 256;
/// The whole of one operation's measurement; far more than a healthy machine needs.
const PATIENCE: Duration = Duration::from_secs(120);
const CREATE: &str = "CREATE TABLE floor (id integer PRIMARY KEY, body text NOT NULL)";
const INSERT: &str = "INSERT INTO floor (id, body) VALUES ($1, $2)";
/// A hold as simple as it can be: take one if there is one.
const HOLD: &str = "local left = tonumber(redis.call('GET', KEYS[1]) or ARGV[1]) if left < 1 then return -1 end redis.call('SET', KEYS[1], left - 1) return left - 1";

/// One raw operation.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Operation {
    pub(super) name: &'static str,
    /// How often a card checkout does it.
    pub(super) times: u32,
    pub(super) per_second: f64,
    /// Server and client together.
    pub(super) cpu_ms: f64,
}

/// All of them.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Floor {
    pub(super) operations: Vec<Operation>,
    /// CPU-milliseconds of a checkout made of them one by one.
    pub(super) sum_ms: f64,
    /// How many times that the checkout cost which was measured.
    pub(super) ratio: f64,
}

/// Measures the operations on `servers`, or embedded in `data_dir`, and compares them with `checkout_ms`. The servers must be our own and idle.
pub(super) async fn measure(servers: Option<&Servers>, data_dir: Option<&Path>, checkout_ms: f64) -> Result<Floor, BenchError> {
    let mut operations = vec![request().await?];
    match (servers, data_dir) {
        (Some(Servers { postgres, rabbitmq, redis }), _) => {
            operations.push(postgres_insert(&postgres.create_database().await?, Part::tree("postgresql", postgres.pid())).await?);
            operations.push(trip(&rabbitmq.url(), Part::tree("rabbitmq", rabbitmq.pid())).await?);
            operations.push(hold(&redis.url(), Part::process("redis", redis.pid())).await?);
        }
        (None, Some(folder)) => operations.push(sqlite_insert(folder).await?),
        (None, None) => return Err(BenchError::Usage("--floor needs servers of its own: use --embedded or --distributed".to_owned())),
    }
    let sum_ms: f64 = operations.iter().map(|operation| operation.cpu_ms * f64::from(operation.times)).sum();
    Ok(Floor { operations, sum_ms, ratio: checkout_ms / sum_ms.max(f64::MIN_POSITIVE) })
}

/// Runs `work`, which does `count` operations, with an eye on the meters.
async fn timed<W>(name: &'static str, times: u32, count: usize, part: Option<Part>, work: W) -> Result<Operation, BenchError>
where
    W: Future<Output = Result<(), String>>,
{
    let parts: Vec<Part> = part.into_iter().collect();
    let (before, started) = (meter::read(&parts), Instant::now());
    let failed = |output| BenchError::Command { command: name, output };
    tokio::time::timeout(PATIENCE, work).await.map_err(|_| failed("not done in time".to_owned()))?.map_err(failed)?;
    let seconds = started.elapsed().as_secs_f64();
    let (spent, generator) = meter::since(&parts, &before);
    let cpu = generator + spent.iter().map(|part| part.cpu).sum::<Duration>();
    let count = count as f64;
    Ok(Operation { name, times, per_second: count / seconds.max(0.001), cpu_ms: cpu.as_secs_f64() * 1_000.0 / count })
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A trivial handler and our own client, both in this process.
async fn request() -> Result<Operation, BenchError> {
    let name = "HTTP request";
    let failed = |error: std::io::Error| BenchError::Command { command: name, output: error.to_string() };
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let url = format!("http://{}", listener.local_addr().map_err(failed)?);
    let app = axum::Router::new().route("/", axum::routing::get(|| async { "ok" }));
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let origin = Origin::new(&url, &Secret::new(String::new())).ok_or_else(|| BenchError::Usage(format!("{url} is no address")))?;
    let each = |_| {
        let mut connection = Connection::new(origin.clone());
        async move {
            for _ in 0..REQUESTS / CONNECTIONS {
                connection.ask(Question::get("/")).await.map_err(text)?;
            }
            Ok(())
        }
    };
    let work = async { stream::iter(0..CONNECTIONS).map(each).buffer_unordered(CONNECTIONS).try_collect::<Vec<()>>().await.map(drop) };
    let operation = timed(name, 1, REQUESTS, None, work).await;
    server.abort();
    operation
}

async fn postgres_insert(url: &str, part: Part) -> Result<Operation, BenchError> {
    let name = "durable INSERT";
    let failed = |error: sqlx::Error| BenchError::Command { command: name, output: error.to_string() };
    let pool: PgPool = PgPoolOptions::new().max_connections(SQL_CLIENTS).min_connections(SQL_CLIENTS).connect(url).await.map_err(failed)?;
    pool.execute(CREATE).await.map_err(failed)?;
    let body = "x".repeat(PAYLOAD_BYTES);
    let each = |row: usize| {
        let insert = sqlx::query(INSERT).bind(i32::try_from(row).unwrap_or(0)).bind(&body);
        async { insert.execute(&pool).await.map(drop).map_err(text) }
    };
    let work = async { stream::iter(0..ROWS).map(each).buffer_unordered(SQL_CLIENTS as usize).try_collect::<Vec<()>>().await.map(drop) };
    let operation = timed(name, 3, ROWS, Some(part), work).await;
    pool.close().await;
    operation
}

/// As the embedded store writes: WAL, synchronous FULL, one writer.
async fn sqlite_insert(folder: &Path) -> Result<Operation, BenchError> {
    let name = "durable INSERT";
    let failed = |error: sqlx::Error| BenchError::Command { command: name, output: error.to_string() };
    let options = SqliteConnectOptions::new()
        .filename(folder.join("floor.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let pool: SqlitePool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.map_err(failed)?;
    pool.execute(CREATE).await.map_err(failed)?;
    let body = "x".repeat(PAYLOAD_BYTES);
    let work = async {
        for row in 0..ROWS {
            let insert = sqlx::query(INSERT).bind(i32::try_from(row).unwrap_or(0)).bind(&body);
            insert.execute(&pool).await.map_err(text)?;
        }
        Ok(())
    };
    let operation = timed(name, 3, ROWS, None, work).await;
    pool.close().await;
    operation
}

/// Publish with confirm, consume, acknowledge: at the same time, on a quorum queue.
async fn trip(url: &str, part: Part) -> Result<Operation, BenchError> {
    let name = "broker trip";
    let failed = |error: lapin::Error| BenchError::Command { command: name, output: error.to_string() };
    let connection = lapin::Connection::connect(url, ConnectionProperties::default()).await.map_err(failed)?;
    let (out, back) = (connection.create_channel().await.map_err(failed)?, connection.create_channel().await.map_err(failed)?);
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    out.queue_declare("floor".into(), QueueDeclareOptions::durable(), arguments).await.map_err(failed)?;
    out.confirm_select(ConfirmSelectOptions::default()).await.map_err(failed)?;
    back.basic_qos(256, BasicQosOptions::default()).await.map_err(failed)?;
    let work = async { tokio::try_join!(publish(&out), consume(&back)).map(drop).map_err(text) };
    let operation = timed(name, 1, MESSAGES, Some(part), work).await;
    let _ = connection.close(0, "done".into()).await;
    operation
}

async fn publish(channel: &Channel) -> Result<(), lapin::Error> {
    let body = vec![b'x'; PAYLOAD_BYTES];
    let each = |_| async {
        let persistent = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions::default();
        channel.basic_publish("".into(), "floor".into(), options, &body, persistent).await?.await.map(drop)
    };
    stream::iter(0..MESSAGES).map(each).buffer_unordered(CONFIRMS_IN_FLIGHT).try_collect::<Vec<()>>().await.map(drop)
}

async fn consume(channel: &Channel) -> Result<(), lapin::Error> {
    let arrivals = channel.basic_consume("floor".into(), "".into(), BasicConsumeOptions::default(), FieldTable::default()).await?;
    let ack = |delivery: Delivery| async move { delivery.ack(BasicAckOptions::default()).await.map(drop) };
    arrivals.take(MESSAGES).try_for_each(ack).await
}

async fn hold(url: &str, part: Part) -> Result<Operation, BenchError> {
    let name = "Redis hold";
    let failed = |error: redis::RedisError| BenchError::Command { command: name, output: error.to_string() };
    let client = redis::Client::open(url).map_err(failed)?;
    let connection = client.get_multiplexed_async_connection().await.map_err(failed)?;
    let script = redis::Script::new(HOLD);
    let each = |_| {
        let (mut connection, script) = (connection.clone(), &script);
        async move {
            let left: i64 = script.key("boxoffice:floor").arg(HOLDS).invoke_async(&mut connection).await.map_err(text)?;
            if left < 0 { Err("sold out too early".to_owned()) } else { Ok(()) }
        }
    };
    let work = async { stream::iter(0..HOLDS).map(each).buffer_unordered(CONNECTIONS).try_collect::<Vec<()>>().await.map(drop) };
    timed(name, 2, HOLDS, Some(part), work).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxoffice_testkit::{Postgres, RabbitMq, Redis};

    fn names(floor: &Floor) -> Vec<(&str, u32)> {
        floor.operations.iter().map(|operation| (operation.name, operation.times)).collect()
    }

    #[tokio::test]
    async fn embedded_is_a_request_and_three_durable_writes() {
        let folder = tempfile::tempdir().unwrap();
        let floor = measure(None, Some(folder.path()), 1.0).await.unwrap();
        assert_eq!(names(&floor), [("HTTP request", 1), ("durable INSERT", 3)]);
        assert!(floor.operations.iter().all(|operation| operation.per_second > 0.0));
    }

    #[tokio::test]
    async fn distributed_adds_the_broker_and_two_calls_of_redis() {
        let (postgres, rabbitmq, redis) = tokio::try_join!(Postgres::start(), RabbitMq::start(), Redis::start()).unwrap();
        let floor = measure(Some(&Servers { postgres, rabbitmq, redis }), None, 1.0).await.unwrap();
        assert_eq!(names(&floor), [("HTTP request", 1), ("durable INSERT", 3), ("broker trip", 1), ("Redis hold", 2)]);
    }
}
