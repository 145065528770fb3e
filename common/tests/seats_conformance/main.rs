//! What every seat table promises, over both adapters; and what the one in Redis promises when Redis fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends where it fails")]

mod outages;
mod promises;

use boxoffice_common::{
    adapters::seats::{Lifetimes, MemorySeats, RedisSeats},
    domain::{
        catalogue::Kind,
        claim::{StockKey, StockLevel, Want},
        id::{CatalogueId, CheckoutId, Entropy},
        scope::{Mode, Scope},
        seat_check::{Belief, Known, KnownSeats},
        secret::Secret,
    },
    ports::seats::{Seats, SeatsOffice, Told, Tried},
};
use boxoffice_testkit::servers::shared;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// A table with the auditor's door beside it.
trait SeatTable: Seats + SeatsOffice {}
impl<T: Seats + SeatsOffice> SeatTable for T {}

type Table = Arc<dyn SeatTable>;

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

/// All pages of what a table believes, by id; what was found cannot be unreadable.
async fn beliefs(table: &Table) -> BTreeMap<String, Known> {
    let (mut found, mut from) = (BTreeMap::new(), Some(0));
    while let Some(at) = from {
        let page = table.beliefs(at).await.unwrap();
        found.extend(page.beliefs.into_iter().map(|Belief { key, known }| (key.id.to_string(), known.unwrap())));
        from = page.next;
    }
    found
}

fn known_seats(version: i64, taken: &[&str]) -> Option<KnownSeats> {
    Some(KnownSeats { version, taken: taken.iter().map(|seat| (*seat).to_owned()).collect() })
}

/// Forgetting is not awaited, but what is told after it is written after it.
async fn forget(table: &Table, checkout: usize, wants: &[Want]) {
    table.forget(&acme(), vec![(chk(checkout), wants.to_vec())]).await;
    table.tell(vec![told("another", 1, 0, 0)]).await;
}

fn on(url: &str, lifetimes: Lifetimes) -> Table {
    Arc::new(RedisSeats::connect(&Secret::new(url.to_owned()), lifetimes).unwrap())
}

macro_rules! over_both {
    ($($lifetimes:ident: $($promise:ident)*;)*) => {
        mod memory {
            use super::*;
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $promise() {
                promises::$promise(Arc::new(MemorySeats::new($lifetimes))).await;
            })*)*
        }
        mod redis {
            use super::*;
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $promise() {
                promises::$promise(on(&shared::redis_url().await.unwrap(), $lifetimes)).await;
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
        a_sold_seat_whose_token_is_kept_takes_no_second_place
        the_same_checkout_gets_the_same_answer_again
        forgetting_frees_once_and_only_the_checkouts_own
        an_older_word_is_ignored_an_equal_one_refreshes_and_a_newer_one_wins
        what_was_not_told_is_missing_until_it_is_loaded
        named_seats_are_missing_while_only_the_level_is_known
        kinds_with_the_same_id_do_not_collide
        scopes_do_not_meet
        an_auditor_sees_all_that_is_believed_and_changes_nothing_by_looking
        an_auditor_sees_every_page
        what_an_auditor_drops_is_missing_until_it_is_loaded
        a_table_that_is_there_answers_a_ping;
    SHORT_TOKENS:
        tokens_expire_by_themselves
        a_token_is_renewed_by_trying_again;
    SHORT_MEMORY:
        what_is_not_told_again_is_forgotten_with_its_version
        what_is_forgotten_is_believed_no_more
        seats_are_forgotten_however_often_their_level_is_told;
    SHORT_STALE:
        a_wrong_gone_heals_by_one_load_while_the_others_go_on;
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
