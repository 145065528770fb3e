//! The private servers do what tests rely on: they start beside each other, survive kills with their data or without it, and leave nothing behind.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use boxoffice_testkit::{Postgres, RabbitMq, Redis, shared, usage};
use sqlx::{Connection, Executor, PgConnection, Row};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// One command to the Redis of `url`, and the start of its answer.
async fn redis(url: &str, command: &str) -> std::io::Result<String> {
    let url = url::Url::parse(url).unwrap();
    let mut stream = TcpStream::connect((url.host_str().unwrap(), url.port().unwrap())).await?;
    stream.write_all(format!("SELECT {}\r\n{command}\r\n", url.path().trim_start_matches('/')).as_bytes()).await?;
    let mut answer = String::new();
    let mut buffer = [0; 256];
    while answer.lines().count() < 2 {
        let read = tokio::time::timeout(Duration::from_millis(500), stream.read(&mut buffer)).await??;
        answer.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        if read == 0 {
            break;
        }
    }
    Ok(answer.lines().nth(1).unwrap_or_default().to_owned())
}

async fn greets(url: &str) -> bool {
    let url = url::Url::parse(url).unwrap();
    let Ok(mut stream) = TcpStream::connect((url.host_str().unwrap(), url.port().unwrap())).await else { return false };
    stream.write_all(b"AMQP\x00\x00\x09\x01").await.unwrap();
    stream.read_u8().await.is_ok_and(|first| first == 1)
}

#[tokio::test]
async fn postgres_keeps_what_was_committed_before_a_kill() {
    let mut server = Postgres::start().await.unwrap();
    let url = server.create_database().await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    connection.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)").await.unwrap();
    server.kill9();
    assert!(connection.ping().await.is_err());
    server.restart().await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    assert_eq!(connection.fetch_one("SELECT n FROM kept").await.unwrap().get::<i32, _>(0), 7);
    for (setting, wanted) in [("synchronous_commit", "on"), ("fsync", "on"), ("max_connections", "200"), ("server_encoding", "UTF8")] {
        let shown: String = sqlx::query_scalar("SELECT current_setting($1)").bind(setting).fetch_one(&mut connection).await.unwrap();
        assert_eq!(shown, wanted, "{setting}");
    }
    let pid = server.pid();
    drop(server);
    assert!(!usage::alive(pid), "the postmaster outlived its handle");
}

#[tokio::test]
async fn rabbitmq_comes_back_on_its_port_and_two_run_side_by_side() {
    let (first, second) = tokio::join!(RabbitMq::start(), RabbitMq::start());
    let (mut first, second) = (first.unwrap(), second.unwrap());
    let before = first.pid();
    assert!(usage::of(before).unwrap().resident_bytes > 20 << 20, "pid() is not the Erlang machine");
    first.kill9();
    assert!(!greets(&first.url()).await && greets(&second.url()).await);
    first.restart().await.unwrap();
    assert!(greets(&first.url()).await && first.pid() != before);
}

#[tokio::test]
async fn redis_can_be_paused_emptied_and_killed() {
    let mut server = Redis::start().await.unwrap();
    let url = server.url();
    assert_eq!(redis(&url, "SET seat A1").await.unwrap(), "+OK");
    server.pause().unwrap();
    assert!(redis(&url, "GET seat").await.is_err(), "a paused server answered");
    server.resume().unwrap();
    assert_eq!(redis(&url, "EXISTS seat").await.unwrap(), ":1");
    server.flushall().await.unwrap();
    assert_eq!(redis(&url, "EXISTS seat").await.unwrap(), ":0");
    redis(&url, "SET seat A1").await.unwrap();
    server.kill9();
    assert!(redis(&url, "PING").await.is_err());
    server.restart().await.unwrap();
    assert_eq!(redis(&url, "EXISTS seat").await.unwrap(), ":0");
}

#[tokio::test]
async fn shared_servers_hand_out_a_fresh_database_each_time() {
    let (first, second) = tokio::join!(shared::postgres_url(), shared::postgres_url());
    assert_ne!(first.as_ref().unwrap(), second.as_ref().unwrap());
    let mut connection = PgConnection::connect(&first.unwrap()).await.unwrap();
    connection.execute("CREATE TABLE only_here (n int)").await.unwrap();
    let mut other = PgConnection::connect(&second.unwrap()).await.unwrap();
    assert!(other.execute("SELECT n FROM only_here").await.is_err());

    let (first, second) = (shared::redis_url().await.unwrap(), shared::redis_url().await.unwrap());
    assert_ne!(first, second);
    redis(&first, "SET seat A1").await.unwrap();
    assert_eq!(redis(&second, "EXISTS seat").await.unwrap(), ":0");
}
