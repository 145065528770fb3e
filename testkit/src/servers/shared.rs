//! Servers that tests share: those that `scripts/test.sh` started for the whole run, or else private ones of this process.
//!
//! Tests that kill, pause or empty a server start their own instead.

use super::{Postgres, RabbitMq, Redis, error::ServerError, launch, postgres};
use tokio::sync::OnceCell;

/// Where the run's PostgreSQL is (a database in which `CREATE DATABASE` is allowed).
pub const POSTGRES_VARIABLE: &str = "BOXOFFICE_TEST_POSTGRES_URL";
/// Where the run's RabbitMQ is.
pub const AMQP_VARIABLE: &str = "BOXOFFICE_TEST_AMQP_URL";
/// Where the run's Redis is (database 0; the others are handed out one by one).
pub const REDIS_VARIABLE: &str = "BOXOFFICE_TEST_REDIS_URL";

/// The URL of a fresh, empty database, another one at each call.
pub async fn postgres_url() -> Result<String, ServerError> {
    static SERVER: OnceCell<Postgres> = OnceCell::const_new();
    match given(POSTGRES_VARIABLE) {
        Some(url) => postgres::create_database(&url).await,
        None => SERVER.get_or_try_init(Postgres::start).await?.create_database().await,
    }
}

/// The URL of a broker that others use too: name your queues apart by a prefix of your own.
pub async fn amqp_url() -> Result<String, ServerError> {
    static SERVER: OnceCell<RabbitMq> = OnceCell::const_new();
    match given(AMQP_VARIABLE) {
        Some(url) => Ok(url),
        None => Ok(SERVER.get_or_try_init(RabbitMq::start).await?.url()),
    }
}

/// The URL of a fresh, empty Redis database, another one at each call. Channels of pub/sub know no databases: name yours apart.
pub async fn redis_url() -> Result<String, ServerError> {
    static SERVER: OnceCell<Redis> = OnceCell::const_new();
    let url = match given(REDIS_VARIABLE) {
        Some(url) => url,
        None => SERVER.get_or_try_init(Redis::start).await?.url(),
    };
    fresh_redis_database(&url).await
}

/// Counts databases up in database 0, so that processes which share the server never share a database.
async fn fresh_redis_database(url: &str) -> Result<String, ServerError> {
    let refused = |answer: String| ServerError::Refused { server: "Redis", answer };
    let mut target = url::Url::parse(url).map_err(|error| refused(error.to_string()))?;
    let port = target.port().unwrap_or(6379);
    let answer = launch::ask(port, b"INCR boxoffice:test:databases\r\n").await.map_err(launch::local("Redis", "taking a database"))?;
    let answer = String::from_utf8_lossy(&answer).trim().to_owned();
    let number: u32 = answer.strip_prefix(':').and_then(|number| number.parse().ok()).ok_or_else(|| refused(answer.clone()))?;
    target.set_path(&number.to_string());
    Ok(target.into())
}

fn given(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|url| !url.is_empty())
}
