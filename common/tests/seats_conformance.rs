//! What every seat table promises, over both adapters; and what the one in Redis promises when Redis fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends where it fails")]

use boxoffice_common::{
    adapters::seats::{Lifetimes, MemorySeats, RedisSeats},
    domain::{
        catalogue::Kind,
        claim::{StockKey, StockLevel, Want},
        id::{CatalogueId, CheckoutId, Entropy},
        scope::{Mode, Scope},
        secret::Secret,
    },
    ports::seats::{Seats, Told, Tried},
};
use boxoffice_testkit::servers::{Redis, shared};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

type Table = Arc<dyn Seats>;

const SOON: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(60);
const USUAL: Lifetimes = Lifetimes { token: LONG, told: LONG, stale_seats: LONG };
const SHORT_TOKENS: Lifetimes = Lifetimes { token: Duration::from_millis(600), ..USUAL };
const SHORT_MEMORY: Lifetimes = Lifetimes { told: Duration::from_millis(400), ..USUAL };
const SHORT_STALE: Lifetimes = Lifetimes { stale_seats: Duration::from_millis(500), ..USUAL };

fn acme() -> Scope {
    Scope::new("acme", Mode::Test).unwrap()
}

fn chk(n: usize) -> CheckoutId {
    CheckoutId::parse(format!("chk_{n}")).unwrap()
}

fn want_of(kind: Kind, id: &str, quantity: u32) -> Want {
    Want { kind, id: CatalogueId::parse(id).unwrap(), quantity, seats: vec![], line: None }
}

fn want(id: &str, quantity: u32) -> Want {
    want_of(Kind::Session, id, quantity)
}

fn named(id: &str, seats: &[&str]) -> Want {
    let seats: Vec<String> = seats.iter().map(|seat| (*seat).to_owned()).collect();
    Want { quantity: u32::try_from(seats.len()).unwrap(), seats, ..want(id, 0) }
}

fn told_of(scope: Scope, kind: Kind, id: &str, version: i64, (capacity, taken): (u32, u32)) -> Told {
    let key = StockKey { scope, kind, id: CatalogueId::parse(id).unwrap() };
    Told { level: StockLevel { key, capacity, taken, version }, taken_seats: None }
}

fn told(id: &str, version: i64, capacity: u32, taken: u32) -> Told {
    told_of(acme(), Kind::Session, id, version, (capacity, taken))
}

fn told_seats(id: &str, version: i64, capacity: u32, taken: &[&str]) -> Told {
    let taken_seats = Some(taken.iter().map(|seat| (*seat).to_owned()).collect());
    Told { taken_seats, ..told(id, version, capacity, u32::try_from(taken.len()).unwrap()) }
}

async fn attempt(table: &Table, checkout: usize, wants: &[Want]) -> Tried {
    table.try_reserve(&acme(), &chk(checkout), wants).await.unwrap()
}

/// How many of `buyers` are let through, all at once.
async fn let_through(tables: &[Table], buyers: std::ops::Range<usize>, wants: Vec<Want>) -> usize {
    let tries = buyers.map(|n| {
        let (table, wants) = (Arc::clone(&tables[n % tables.len()]), wants.clone());
        tokio::spawn(async move { attempt(&table, n, &wants).await == Tried::Reserved })
    });
    futures::future::join_all(tries).await.into_iter().filter(|reserved| *reserved.as_ref().unwrap()).count()
}

/// Tries until the answer is `wanted`; says how long that took.
async fn until(table: &Table, checkout: usize, wants: &[Want], wanted: Tried) -> Duration {
    let start = Instant::now();
    loop {
        let tried = table.try_reserve(&acme(), &chk(checkout), wants).await;
        if tried.as_ref() == Ok(&wanted) {
            return start.elapsed();
        }
        assert!(start.elapsed() < SOON, "still {tried:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Forgetting is not awaited, but what is told after it is written after it.
async fn forget(table: &Table, checkout: usize, wants: &[Want]) {
    table.forget(&acme(), vec![(chk(checkout), wants.to_vec())]).await;
    table.tell(vec![told("another", 1, 0, 0)]).await;
}

async fn three_free_seats_and_200_buyers_let_exactly_three_through(table: Table) {
    table.tell(vec![told("yoga", 1, 20, 17)]).await;
    assert_eq!(let_through(&[table], 0..200, vec![want("yoga", 1)]).await, 3);
}

async fn quantities_count_and_the_rest_stays_for_those_who_want_less(table: Table) {
    table.tell(vec![told("yoga", 1, 5, 0)]).await;
    assert_eq!(attempt(&table, 1, &[want("yoga", 3)]).await, Tried::Reserved);
    assert_eq!(attempt(&table, 2, &[want("yoga", 3)]).await, Tried::Gone(0));
    assert_eq!(attempt(&table, 3, &[want("yoga", 2)]).await, Tried::Reserved);
    assert_eq!(attempt(&table, 4, &[want("yoga", 1)]).await, Tried::Gone(0));
}

async fn all_wants_are_met_or_none(table: Table) {
    table.tell(vec![told("a", 1, 5, 0), told("b", 1, 1, 0), told_seats("gala", 1, 9, &[])]).await;
    assert_eq!(attempt(&table, 1, &[want("a", 1), want("b", 1), named("gala", &["A1"])]).await, Tried::Reserved);
    assert_eq!(attempt(&table, 2, &[want("a", 1), named("gala", &["A2"]), want("b", 1)]).await, Tried::Gone(2));
    assert_eq!(attempt(&table, 3, &[want("a", 1), named("gala", &["A3", "A1"])]).await, Tried::Gone(1));
    // Nothing was set for those two: four places, A2 and A3 are left.
    assert_eq!(attempt(&table, 4, &[want("a", 4), named("gala", &["A2", "A3"])]).await, Tried::Reserved);
    assert_eq!(attempt(&table, 5, &[want("a", 1)]).await, Tried::Gone(0));
}

async fn two_lines_of_one_session_count_together(table: Table) {
    table.tell(vec![told("a", 1, 3, 0), told("b", 1, 9, 0)]).await;
    let lines = [want("a", 2), want("b", 1), want("a", 2)];
    assert_eq!(attempt(&table, 1, &lines).await, Tried::Gone(2));
    table.tell(vec![told("a", 2, 4, 0)]).await;
    assert_eq!(attempt(&table, 1, &lines).await, Tried::Reserved);
    assert_eq!(attempt(&table, 2, &[want("a", 1)]).await, Tried::Gone(0));
    forget(&table, 1, &lines).await;
    assert_eq!(attempt(&table, 2, &[want("a", 4)]).await, Tried::Reserved);
}

async fn nothing_wanted_is_nothing_refused(table: Table) {
    assert_eq!(attempt(&table, 1, &[]).await, Tried::Reserved);
}

async fn a_named_seat_lets_one_buyer_through(table: Table) {
    table.tell(vec![told_seats("gala", 1, 50, &["B1"])]).await;
    assert_eq!(let_through(&[Arc::clone(&table)], 0..100, vec![named("gala", &["A1", "A2"])]).await, 1);
    assert_eq!(attempt(&table, 200, &[named("gala", &["A3", "A2"])]).await, Tried::Gone(0), "held by a token");
    assert_eq!(attempt(&table, 201, &[named("gala", &["B1"])]).await, Tried::Gone(0), "taken, as told");
    assert_eq!(attempt(&table, 202, &[named("gala", &["A3"])]).await, Tried::Reserved);
}

async fn the_same_checkout_gets_the_same_answer_again(table: Table) {
    table.tell(vec![told("yoga", 1, 2, 0), told_seats("gala", 1, 5, &[])]).await;
    let wants = [want("yoga", 2), named("gala", &["A1"])];
    for _ in 0..3 {
        assert_eq!(attempt(&table, 1, &wants).await, Tried::Reserved);
        assert_eq!(attempt(&table, 2, &wants).await, Tried::Gone(0));
    }
    // Its own claims, told before its token is forgotten, do not turn it away.
    table.tell(vec![told("yoga", 2, 2, 2), told_seats("gala", 2, 5, &["A1"])]).await;
    assert_eq!(attempt(&table, 1, &wants).await, Tried::Reserved);
    forget(&table, 1, &wants).await;
    table.tell(vec![told("yoga", 3, 2, 0), told_seats("gala", 3, 5, &[])]).await;
    assert_eq!(attempt(&table, 2, &wants).await, Tried::Reserved, "counted once, freed once");
}

async fn forgetting_frees_once_and_only_the_checkouts_own(table: Table) {
    table.tell(vec![told("yoga", 1, 2, 0), told_seats("gala", 1, 5, &[])]).await;
    let wants = [want("yoga", 1), named("gala", &["A1"])];
    assert_eq!(attempt(&table, 1, &wants).await, Tried::Reserved);
    assert_eq!(attempt(&table, 2, &[want("yoga", 1)]).await, Tried::Reserved);
    forget(&table, 3, &wants).await;
    assert_eq!(attempt(&table, 3, &[want("yoga", 1)]).await, Tried::Gone(0));
    assert_eq!(attempt(&table, 3, &[named("gala", &["A1"])]).await, Tried::Gone(0));
    table.forget(&acme(), vec![(chk(1), wants.to_vec()), (chk(1), wants.to_vec())]).await;
    forget(&table, 1, &wants).await;
    assert_eq!(attempt(&table, 3, &wants).await, Tried::Reserved);
    assert_eq!(attempt(&table, 4, &[want("yoga", 1)]).await, Tried::Gone(0));
}

async fn an_older_word_is_ignored_an_equal_one_refreshes_and_a_newer_one_wins(table: Table) {
    table.tell(vec![told("yoga", 5, 1, 1)]).await;
    table.tell(vec![told("yoga", 4, 9, 0)]).await;
    assert_eq!(attempt(&table, 1, &[want("yoga", 1)]).await, Tried::Gone(0));
    table.tell(vec![told("yoga", 5, 1, 0)]).await;
    assert_eq!(attempt(&table, 1, &[want("yoga", 1)]).await, Tried::Reserved);
    table.tell(vec![told("yoga", 7, 3, 1), told("yoga", 6, 3, 3)]).await;
    assert_eq!(attempt(&table, 2, &[want("yoga", 1)]).await, Tried::Reserved, "3 - 1 - the token");
    assert_eq!(attempt(&table, 3, &[want("yoga", 1)]).await, Tried::Gone(0));
    table.tell(vec![told("yoga", 8, 1, 3)]).await;
    assert_eq!(attempt(&table, 4, &[want("yoga", 1)]).await, Tried::Gone(0), "less than is taken");
}

async fn what_was_not_told_is_missing_until_it_is_loaded(table: Table) {
    table.tell(vec![told("b", 1, 5, 0)]).await;
    let wants = [want("a", 1), want("b", 1), named("c", &["A1"])];
    assert_eq!(attempt(&table, 1, &wants).await, Tried::Missing(vec![0, 2]));
    table.tell(vec![told("a", 1, 1, 0), told_seats("c", 1, 5, &[])]).await;
    assert_eq!(attempt(&table, 1, &wants).await, Tried::Reserved);
    assert_eq!(attempt(&table, 2, &wants).await, Tried::Gone(0));
}

async fn named_seats_are_missing_while_only_the_level_is_known(table: Table) {
    table.tell(vec![told("gala", 3, 9, 1)]).await;
    assert_eq!(attempt(&table, 1, &[named("gala", &["A1"])]).await, Tried::Missing(vec![0]));
    // The load was read before the change that was told: better than nothing, and the level stays the newer one.
    table.tell(vec![told_seats("gala", 2, 1, &["B1"])]).await;
    assert_eq!(attempt(&table, 1, &[named("gala", &["A1"])]).await, Tried::Reserved);
    assert_eq!(attempt(&table, 2, &[named("gala", &["B1"])]).await, Tried::Gone(0));
}

async fn kinds_with_the_same_id_do_not_collide(table: Table) {
    let kinds = [Kind::Session, Kind::Product, Kind::PromoCode];
    for (kind, capacity) in kinds.into_iter().zip(0..) {
        assert_eq!(attempt(&table, 1, &[want_of(kind, "same", 1)]).await, Tried::Missing(vec![0]));
        table.tell(vec![told_of(acme(), kind, "same", 1, (capacity, 0))]).await;
    }
    let all = kinds.map(|kind| want_of(kind, "same", 1));
    assert_eq!(attempt(&table, 1, &all).await, Tried::Gone(0));
    assert_eq!(attempt(&table, 1, &all[1..]).await, Tried::Reserved);
    assert_eq!(attempt(&table, 2, &all[1..2]).await, Tried::Gone(0));
    assert_eq!(attempt(&table, 2, &all[2..]).await, Tried::Reserved);
}

async fn scopes_do_not_meet(table: Table) {
    let scopes = [acme(), Scope::new("acme", Mode::Live).unwrap(), Scope::new("other", Mode::Test).unwrap()];
    let want = [want("yoga", 1)];
    for scope in &scopes {
        assert_eq!(table.try_reserve(scope, &chk(1), &want).await, Ok(Tried::Missing(vec![0])));
        table.tell(vec![told_of(scope.clone(), Kind::Session, "yoga", 1, (1, 0))]).await;
        assert_eq!(table.try_reserve(scope, &chk(1), &want).await, Ok(Tried::Reserved));
        assert_eq!(table.try_reserve(scope, &chk(2), &want).await, Ok(Tried::Gone(0)));
    }
    forget(&table, 1, &want).await;
    for (scope, answer) in scopes.iter().zip([Tried::Reserved, Tried::Gone(0), Tried::Gone(0)]) {
        assert_eq!(table.try_reserve(scope, &chk(2), &want).await, Ok(answer));
    }
}

async fn a_table_that_is_there_answers_a_ping(table: Table) {
    assert_eq!(table.ping().await, Ok(()));
}

async fn tokens_expire_by_themselves(table: Table) {
    table.tell(vec![told("yoga", 1, 1, 0), told_seats("gala", 1, 5, &[])]).await;
    let start = Instant::now();
    assert_eq!(attempt(&table, 1, &[want("yoga", 1), named("gala", &["A1"])]).await, Tried::Reserved);
    assert_eq!(attempt(&table, 2, &[want("yoga", 1)]).await, Tried::Gone(0));
    assert_eq!(attempt(&table, 3, &[named("gala", &["A1"])]).await, Tried::Gone(0));
    until(&table, 2, &[want("yoga", 1)], Tried::Reserved).await;
    assert!(start.elapsed() >= Duration::from_millis(590), "a token died early: {:?}", start.elapsed());
    until(&table, 3, &[named("gala", &["A1"])], Tried::Reserved).await;
    assert!(start.elapsed() < Duration::from_secs(3), "tokens outlive their time: {:?}", start.elapsed());
}

async fn a_token_is_renewed_by_trying_again(table: Table) {
    table.tell(vec![told("yoga", 1, 1, 0)]).await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1500) {
        assert_eq!(attempt(&table, 1, &[want("yoga", 1)]).await, Tried::Reserved);
        assert_eq!(attempt(&table, 2, &[want("yoga", 1)]).await, Tried::Gone(0));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn what_is_not_told_again_is_forgotten_with_its_version(table: Table) {
    table.tell(vec![told("yoga", 900, 1, 1)]).await;
    assert_eq!(attempt(&table, 1, &[want("yoga", 1)]).await, Tried::Gone(0));
    // An older word keeps nothing alive: a store that was restored from a backup is believed in the end.
    let start = Instant::now();
    while attempt(&table, 1, &[want("yoga", 1)]).await != Tried::Reserved {
        assert!(start.elapsed() < SOON);
        table.tell(vec![told("yoga", 3, 1, 0)]).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    until(&table, 1, &[want("yoga", 1)], Tried::Missing(vec![0])).await;
}

async fn seats_are_forgotten_however_often_their_level_is_told(table: Table) {
    table.tell(vec![told_seats("gala", 1, 5, &["A1"])]).await;
    let start = Instant::now();
    let mut version = 1;
    while attempt(&table, 1, &[named("gala", &["A1"])]).await == Tried::Gone(0) {
        assert!(start.elapsed() < SOON);
        version += 1;
        table.tell(vec![told("gala", version, 5, 1)]).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(attempt(&table, 1, &[named("gala", &["A1"])]).await, Tried::Missing(vec![0]));
    assert_eq!(attempt(&table, 1, &[want("gala", 1)]).await, Tried::Reserved, "the level is still known");
}

async fn a_wrong_gone_heals_by_one_load_while_the_others_go_on(table: Table) {
    table.tell(vec![told_seats("gala", 1, 5, &["A1"])]).await;
    // A1 was given back, and the change told only the level.
    table.tell(vec![told("gala", 2, 5, 0)]).await;
    assert_eq!(attempt(&table, 1, &[named("gala", &["A1"])]).await, Tried::Gone(0));
    until(&table, 1, &[named("gala", &["A1"])], Tried::Missing(vec![0])).await;
    assert_eq!(attempt(&table, 2, &[named("gala", &["A2"])]).await, Tried::Reserved, "one load at a time");
    table.tell(vec![told_seats("gala", 2, 5, &[])]).await;
    assert_eq!(attempt(&table, 1, &[named("gala", &["A1"])]).await, Tried::Reserved);
}

macro_rules! over_both {
    ($($lifetimes:ident: $($promise:ident)*;)*) => {
        mod memory {
            use super::*;
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $promise() {
                super::$promise(Arc::new(MemorySeats::new($lifetimes))).await;
            })*)*
        }
        mod redis {
            use super::*;
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $promise() {
                super::$promise(on(&shared::redis_url().await.unwrap(), $lifetimes)).await;
            })*)*
        }
    };
}

over_both! {
    USUAL:
        three_free_seats_and_200_buyers_let_exactly_three_through
        quantities_count_and_the_rest_stays_for_those_who_want_less
        all_wants_are_met_or_none
        two_lines_of_one_session_count_together
        nothing_wanted_is_nothing_refused
        a_named_seat_lets_one_buyer_through
        the_same_checkout_gets_the_same_answer_again
        forgetting_frees_once_and_only_the_checkouts_own
        an_older_word_is_ignored_an_equal_one_refreshes_and_a_newer_one_wins
        what_was_not_told_is_missing_until_it_is_loaded
        named_seats_are_missing_while_only_the_level_is_known
        kinds_with_the_same_id_do_not_collide
        scopes_do_not_meet
        a_table_that_is_there_answers_a_ping;
    SHORT_TOKENS:
        tokens_expire_by_themselves
        a_token_is_renewed_by_trying_again;
    SHORT_MEMORY:
        what_is_not_told_again_is_forgotten_with_its_version
        seats_are_forgotten_however_often_their_level_is_told;
    SHORT_STALE:
        a_wrong_gone_heals_by_one_load_while_the_others_go_on;
}

fn on(url: &str, lifetimes: Lifetimes) -> Table {
    Arc::new(RedisSeats::connect(&Secret::new(url.to_owned()), lifetimes).unwrap())
}

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

fn wants_in_the_story(checkout: usize, more: u32) -> Vec<Want> {
    match checkout % 5 {
        0 => vec![want("yoga", 2), named("gala", &["A1", "A2"])],
        1 => vec![named("gala", &["A2", "A3"]), named("gala", &["A4"])],
        2 => vec![want("yoga", 1), want("full", 1), want("yoga", 1)],
        3 => vec![named("opera", &["A1"])],
        _ => vec![want("yoga", 1 + more)],
    }
}

/// A random story told to both tables: every answer must be the same.
#[tokio::test]
async fn both_tables_tell_the_same_story() {
    let seed = Entropy::from_os().next_u64();
    let entropy = Entropy::from_seed(seed);
    let pick = |below: u64| usize::try_from(entropy.next_u64() % below).unwrap();
    let tables: [Table; 2] = [Arc::new(MemorySeats::new(USUAL)), on(&shared::redis_url().await.unwrap(), USUAL)];
    let mut seen = BTreeMap::new();
    for step in 0..3000 {
        let id = ["yoga", "gala", "full", "opera"][pick(4)];
        let version = step / 50 + i64::try_from(pick(20)).unwrap();
        let taken: BTreeSet<&str> = (0..pick(4)).map(|_| ["A1", "A2", "A3", "A4"][pick(4)]).collect();
        let level = told(id, version, 8, u32::try_from(pick(7)).unwrap());
        let seats = told_seats(id, version, 8, &taken.into_iter().collect::<Vec<_>>());
        let (action, checkout) = (pick(10), pick(40));
        let wants = wants_in_the_story(checkout, u32::try_from(pick(3)).unwrap());
        let mut answers = Vec::new();
        for table in &tables {
            match action {
                0 => table.tell(vec![level.clone()]).await,
                1 => table.tell(vec![seats.clone()]).await,
                2..=4 => forget(table, checkout, &wants).await,
                _ => answers.push(attempt(table, checkout, &wants).await),
            }
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "seed {seed}, step {step}, checkout {checkout}: {answers:?}");
        if let Some(answer) = answers.pop() {
            *seen.entry(format!("{answer:?}")).or_insert(0) += 1;
        }
    }
    assert!(seen.len() >= 4, "the story says too little: {seen:?}");
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
