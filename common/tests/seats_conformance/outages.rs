//! What the table in Redis promises on top: workers share it, and Redis may lose everything, hang, or die.

use super::{Table, USUAL, acme, attempt, chk, forget, let_through, named, on, told, told_of, told_seats, until, want, want_of};
use boxoffice_common::{
    domain::{catalogue::Kind, seat_check::contradictions},
    ports::seats::Tried,
};
use boxoffice_testkit::servers::{Redis, shared};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

async fn raw<T: ::redis::FromRedisValue>(url: &str, command: &str) -> T {
    let client = ::redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut words = command.split(' ');
    let mut cmd = ::redis::cmd(words.next().unwrap());
    words.for_each(|word| {
        cmd.arg(word);
    });
    cmd.query_async(&mut connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_share_one_table_in_redis() {
    let url = shared::redis_url().await.unwrap();
    let tables = [on(&url, USUAL), on(&url, USUAL), on(&url, USUAL)];
    tables[0].tell(vec![told("yoga", 1, 40, 17)]).await;
    assert_eq!(let_through(&tables, 0..300, vec![want("yoga", 2)]).await, 11);
}

#[tokio::test]
async fn every_key_has_the_hash_tag_of_its_scope_and_an_end() {
    let url = shared::redis_url().await.unwrap();
    let table = on(&url, USUAL);
    table.tell(vec![told("yoga", 1, 5, 0), told_seats("gala", 1, 5, &["B1"])]).await;
    let wants = [want("yoga", 1), named("gala", &["A1"])];
    assert_eq!(attempt(&table, 1, &wants).await, Tried::Reserved);
    forget(&table, 1, &wants).await;
    let fields: Vec<String> = raw(&url, "HKEYS bo:{acme/test}:s:gala").await;
    assert!(fields.iter().all(|field| field.len() == 1), "a forgotten token leaves something behind: {fields:?}");
    // Nothing comes to life by being forgotten.
    forget(&table, 1, &[want("never_told", 1)]).await;
    let keys: Vec<String> = raw(&url, "KEYS *").await;
    assert_eq!(keys.len(), 4, "{keys:?}");
    for key in keys {
        assert!(key.contains("{acme/test}"), "{key}");
        let left: i64 = raw(&url, &format!("PTTL {key}")).await;
        assert!((1..=60_000).contains(&left), "{key}: {left}");
    }
}

/// What an auditor makes of the only thing in the table, which the store does not count.
async fn judged(table: &Table) -> Vec<&'static str> {
    let page = table.beliefs(0).await.unwrap();
    assert_eq!(page.next, None);
    page.beliefs.iter().flat_map(|belief| contradictions(belief, None)).map(|found| found.rule).collect()
}

#[tokio::test]
async fn an_auditor_finds_what_would_not_heal_by_itself_and_drops_it() {
    let url = shared::redis_url().await.unwrap();
    let table = on(&url, USUAL);
    let mat = told_of(acme(), Kind::Product, "mat", 1, (5, 0));
    let (name, want) = ("bo:{acme/test}:p:mat", want_of(Kind::Product, "mat", 1));
    for (spoil, rule) in [
        (format!("PERSIST {name}"), "seats_lasting"),
        (format!("HINCRBY {name} h 2"), "seats_tokens"),
        (format!("HDEL {name} v"), "seats_unreadable"),
        (format!("HSET {name} kchk_9 nonsense"), "seats_unreadable"),
        (format!("HSET {name} f many"), "seats_unreadable"),
        (format!("SET {name} text"), "seats_unreadable"),
        (format!("SET {name}:n text"), "seats_unreadable"),
    ] {
        table.tell(vec![mat.clone()]).await;
        assert_eq!(attempt(&table, 1, std::slice::from_ref(&want)).await, Tried::Reserved, "before {spoil}");
        assert_eq!(judged(&table).await, [""; 0], "before {spoil}");
        let _: ::redis::Value = raw(&url, &spoil).await;
        assert_eq!(judged(&table).await, [rule], "{spoil}");
        table.drop_beliefs(std::slice::from_ref(&mat.level.key)).await.unwrap();
        let left: Vec<String> = raw(&url, "KEYS *").await;
        assert_eq!(left, [""; 0], "after {spoil}");
    }
}

#[tokio::test]
async fn a_stranger_in_redis_is_no_belief() {
    let url = shared::redis_url().await.unwrap();
    let table = on(&url, USUAL);
    for stranger in ["bo:{acme/test}:s:ga:la", "bo:{acme}:s:gala", "bo:{acme/test}:x:gala", "other"] {
        let () = raw(&url, &format!("SET {stranger} text")).await;
    }
    assert_eq!(judged(&table).await, [""; 0]);
}

#[tokio::test]
async fn a_flush_in_the_middle_of_a_sale_heals_by_a_load() {
    let server = Redis::start().await.unwrap();
    let table = on(&server.url(), USUAL);
    table.tell(vec![told("yoga", 5, 2, 0)]).await;
    assert_eq!(attempt(&table, 1, &[want("yoga", 1)]).await, Tried::Reserved);
    server.flushall().await.unwrap();
    assert_eq!(attempt(&table, 1, &[want("yoga", 1)]).await, Tried::Missing(vec![0]));
    table.tell(vec![told("yoga", 6, 2, 1)]).await;
    assert_eq!(attempt(&table, 2, &[want("yoga", 1)]).await, Tried::Reserved);
    assert_eq!(attempt(&table, 3, &[want("yoga", 1)]).await, Tried::Gone(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn lost_scripts_are_loaded_again() {
    let server = Redis::start().await.unwrap();
    let table = on(&server.url(), USUAL);
    table.tell(vec![told("yoga", 1, 100, 0)]).await;
    for round in 1..=5 {
        let () = raw(&server.url(), "SCRIPT FLUSH").await;
        let buyers = round * 100..round * 100 + 10;
        assert_eq!(let_through(&[Arc::clone(&table)], buyers, vec![want("yoga", 1)]).await, 10);
        let () = raw(&server.url(), "SCRIPT FLUSH").await;
        table.tell(vec![told(&format!("late_{round}"), 1, 1, 1)]).await;
        assert_eq!(attempt(&table, 1, &[want(&format!("late_{round}"), 1)]).await, Tried::Gone(0));
    }
}

/// No call may take longer than this, whatever Redis does: half a second, and room for a busy machine.
const BOUND: Duration = Duration::from_millis(1500);

async fn is_unavailable_in_bounded_time(table: &Table) {
    let wants = [want("yoga", 1)];
    let start = Instant::now();
    let answers = futures::future::join_all((0..50).map(|n| {
        let (table, wants) = (Arc::clone(table), &wants);
        async move { table.try_reserve(&acme(), &chk(n), wants).await }
    }))
    .await;
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    assert!(answers.iter().all(Result::is_err), "{answers:?}");
    // One after the other would take 10 s if each call paid for the outage.
    let start = Instant::now();
    for n in 0..20 {
        assert!(table.try_reserve(&acme(), &chk(n), &wants).await.is_err());
        table.forget(&acme(), vec![(chk(n), wants.to_vec())]).await;
        table.tell(vec![told("yoga", 2, 1, 0)]).await;
    }
    assert!(start.elapsed() < BOUND * 2, "{:?}", start.elapsed());
    let start = Instant::now();
    assert!(table.ping().await.is_err());
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
}

#[tokio::test]
async fn while_redis_hangs_the_table_is_unavailable_in_bounded_time_and_comes_back() {
    let mut server = Redis::start().await.unwrap();
    let table = on(&server.url(), USUAL);
    table.tell(vec![told("yoga", 1, 1, 0)]).await;
    assert_eq!(attempt(&table, 100, &[want("yoga", 1)]).await, Tried::Reserved);
    server.pause().unwrap();
    is_unavailable_in_bounded_time(&table).await;
    server.resume().unwrap();
    until(&table, 100, &[want("yoga", 1)], Tried::Reserved).await;
    assert_eq!(table.ping().await, Ok(()));
}

#[tokio::test]
async fn while_redis_is_dead_the_table_is_unavailable_at_once_and_after_a_restart_it_is_empty() {
    let mut server = Redis::start().await.unwrap();
    let table = on(&server.url(), USUAL);
    for _ in 0..2 {
        table.tell(vec![told("yoga", 1, 1, 0)]).await;
        assert_eq!(attempt(&table, 100, &[want("yoga", 1)]).await, Tried::Reserved);
        server.kill9();
        is_unavailable_in_bounded_time(&table).await;
        server.restart().await.unwrap();
        let back = until(&table, 100, &[want("yoga", 1)], Tried::Missing(vec![0])).await;
        assert!(back < Duration::from_secs(2), "{back:?}");
    }
}

#[tokio::test]
async fn a_restart_between_two_calls_costs_no_call() {
    let mut server = Redis::start().await.unwrap();
    let table = on(&server.url(), USUAL);
    table.tell(vec![told("yoga", 1, 1, 0)]).await;
    assert_eq!(attempt(&table, 1, &[want("yoga", 1)]).await, Tried::Reserved);
    server.restart().await.unwrap();
    assert_eq!(attempt(&table, 1, &[want("yoga", 1)]).await, Tried::Missing(vec![0]));
}

#[tokio::test]
async fn redis_may_be_down_when_we_start() {
    let mut server = Redis::start().await.unwrap();
    server.kill9();
    let table = on(&server.url(), USUAL);
    is_unavailable_in_bounded_time(&table).await;
    server.restart().await.unwrap();
    until(&table, 1, &[want("yoga", 1)], Tried::Missing(vec![0])).await;
}
