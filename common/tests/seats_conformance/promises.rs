//! The promises of the port, each over whatever table it is given.

use super::{
    SOON, Table, acme, attempt, beliefs, chk, forget, known_seats, let_through, named, told, told_of, told_seats, until, want, want_of,
};
use boxoffice_common::{
    domain::{catalogue::Kind, scope::Mode, scope::Scope, seat_check::Known},
    ports::seats::Tried,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub async fn three_free_seats_and_200_buyers_let_exactly_three_through(table: Table) {
    table.tell(vec![told("yoga", 1, 20, 17)]).await;
    assert_eq!(let_through(&[table], 0..200, vec![want("yoga", 1)]).await, 3);
}

pub async fn quantities_count_and_the_rest_stays_for_those_who_want_less(table: Table) {
    table.tell(vec![told("yoga", 1, 5, 0)]).await;
    assert_eq!(attempt(&table, 1, &[want("yoga", 3)]).await, Tried::Reserved);
    assert_eq!(attempt(&table, 2, &[want("yoga", 3)]).await, Tried::Gone(0));
    assert_eq!(attempt(&table, 3, &[want("yoga", 2)]).await, Tried::Reserved);
    assert_eq!(attempt(&table, 4, &[want("yoga", 1)]).await, Tried::Gone(0));
}

pub async fn all_wants_are_met_or_none(table: Table) {
    table.tell(vec![told("a", 1, 5, 0), told("b", 1, 1, 0), told_seats("gala", 1, 9, &[])]).await;
    assert_eq!(attempt(&table, 1, &[want("a", 1), want("b", 1), named("gala", &["A1"])]).await, Tried::Reserved);
    assert_eq!(attempt(&table, 2, &[want("a", 1), named("gala", &["A2"]), want("b", 1)]).await, Tried::Gone(2));
    assert_eq!(attempt(&table, 3, &[want("a", 1), named("gala", &["A3", "A1"])]).await, Tried::Gone(1));
    // Nothing was set for those two: four places, A2 and A3 are left.
    assert_eq!(attempt(&table, 4, &[want("a", 4), named("gala", &["A2", "A3"])]).await, Tried::Reserved);
    assert_eq!(attempt(&table, 5, &[want("a", 1)]).await, Tried::Gone(0));
}

pub async fn two_lines_of_one_session_count_together(table: Table) {
    table.tell(vec![told("a", 1, 3, 0), told("b", 1, 9, 0)]).await;
    let lines = [want("a", 2), want("b", 1), want("a", 2)];
    assert_eq!(attempt(&table, 1, &lines).await, Tried::Gone(2));
    table.tell(vec![told("a", 2, 4, 0)]).await;
    assert_eq!(attempt(&table, 1, &lines).await, Tried::Reserved);
    assert_eq!(attempt(&table, 2, &[want("a", 1)]).await, Tried::Gone(0));
    forget(&table, 1, &lines).await;
    assert_eq!(attempt(&table, 2, &[want("a", 4)]).await, Tried::Reserved);
}

pub async fn nothing_wanted_is_nothing_refused(table: Table) {
    assert_eq!(attempt(&table, 1, &[]).await, Tried::Reserved);
}

pub async fn a_named_seat_lets_one_buyer_through(table: Table) {
    table.tell(vec![told_seats("gala", 1, 50, &["B1"])]).await;
    assert_eq!(let_through(&[Arc::clone(&table)], 0..100, vec![named("gala", &["A1", "A2"])]).await, 1);
    assert_eq!(attempt(&table, 200, &[named("gala", &["A3", "A2"])]).await, Tried::Gone(0), "held by a token");
    assert_eq!(attempt(&table, 201, &[named("gala", &["B1"])]).await, Tried::Gone(0), "taken, as told");
    assert_eq!(attempt(&table, 202, &[named("gala", &["A3"])]).await, Tried::Reserved);
}

pub async fn a_sold_seat_whose_token_is_kept_takes_no_second_place(table: Table) {
    table.tell(vec![told_seats("gala", 1, 4, &[])]).await;
    assert_eq!(attempt(&table, 1, &[named("gala", &["A1", "A2"])]).await, Tried::Reserved);
    table.tell(vec![told("gala", 2, 4, 2)]).await;
    assert_eq!(attempt(&table, 2, &[named("gala", &["A2", "A3"])]).await, Tried::Gone(0), "the token still holds A2");
    assert_eq!(attempt(&table, 2, &[named("gala", &["A3", "A4"])]).await, Tried::Reserved, "two of four are free");
    table.tell(vec![told("gala", 3, 4, 4)]).await;
    assert_eq!(attempt(&table, 3, &[named("gala", &["A5"])]).await, Tried::Gone(0), "full, as told");
}

pub async fn the_same_checkout_gets_the_same_answer_again(table: Table) {
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

pub async fn forgetting_frees_once_and_only_the_checkouts_own(table: Table) {
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

pub async fn an_older_word_is_ignored_an_equal_one_refreshes_and_a_newer_one_wins(table: Table) {
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

pub async fn what_was_not_told_is_missing_until_it_is_loaded(table: Table) {
    table.tell(vec![told("b", 1, 5, 0)]).await;
    let wants = [want("a", 1), want("b", 1), named("c", &["A1"])];
    assert_eq!(attempt(&table, 1, &wants).await, Tried::Missing(vec![0, 2]));
    table.tell(vec![told("a", 1, 1, 0), told_seats("c", 1, 5, &[])]).await;
    assert_eq!(attempt(&table, 1, &wants).await, Tried::Reserved);
    assert_eq!(attempt(&table, 2, &wants).await, Tried::Gone(0));
}

pub async fn named_seats_are_missing_while_only_the_level_is_known(table: Table) {
    table.tell(vec![told("gala", 3, 9, 1)]).await;
    assert_eq!(attempt(&table, 1, &[named("gala", &["A1"])]).await, Tried::Missing(vec![0]));
    // The load was read before the change that was told: better than nothing, and the level stays the newer one.
    table.tell(vec![told_seats("gala", 2, 1, &["B1"])]).await;
    assert_eq!(attempt(&table, 1, &[named("gala", &["A1"])]).await, Tried::Reserved);
    assert_eq!(attempt(&table, 2, &[named("gala", &["B1"])]).await, Tried::Gone(0));
}

pub async fn kinds_with_the_same_id_do_not_collide(table: Table) {
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

pub async fn scopes_do_not_meet(table: Table) {
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

pub async fn a_table_that_is_there_answers_a_ping(table: Table) {
    assert_eq!(table.ping().await, Ok(()));
}

pub async fn tokens_expire_by_themselves(table: Table) {
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

pub async fn a_token_is_renewed_by_trying_again(table: Table) {
    table.tell(vec![told("yoga", 1, 1, 0)]).await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1500) {
        assert_eq!(attempt(&table, 1, &[want("yoga", 1)]).await, Tried::Reserved);
        assert_eq!(attempt(&table, 2, &[want("yoga", 1)]).await, Tried::Gone(0));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub async fn what_is_not_told_again_is_forgotten_with_its_version(table: Table) {
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

pub async fn seats_are_forgotten_however_often_their_level_is_told(table: Table) {
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
    // Told again: on a machine that stood still meanwhile, the level may have been forgotten, too.
    let is_known = async {
        while attempt(&table, 1, &[want("gala", 1)]).await != Tried::Reserved {
            version += 1;
            table.tell(vec![told("gala", version, 5, 1)]).await;
        }
    };
    assert!(tokio::time::timeout(SOON, is_known).await.is_ok(), "the level is still known");
}

pub async fn a_wrong_gone_heals_by_one_load_while_the_others_go_on(table: Table) {
    table.tell(vec![told_seats("gala", 1, 5, &["A1"])]).await;
    // A1 was given back, and the change told only the level.
    table.tell(vec![told("gala", 2, 5, 0)]).await;
    assert_eq!(attempt(&table, 1, &[named("gala", &["A1"])]).await, Tried::Gone(0));
    until(&table, 1, &[named("gala", &["A1"])], Tried::Missing(vec![0])).await;
    assert_eq!(attempt(&table, 2, &[named("gala", &["A2"])]).await, Tried::Reserved, "one load at a time");
    table.tell(vec![told_seats("gala", 2, 5, &[])]).await;
    assert_eq!(attempt(&table, 1, &[named("gala", &["A1"])]).await, Tried::Reserved);
}

pub async fn an_auditor_sees_all_that_is_believed_and_changes_nothing_by_looking(table: Table) {
    table.tell(vec![told("yoga", 3, 5, 1), told_seats("gala", 2, 5, &["A1", "A2"]), told_seats("opera", 1, 5, &[])]).await;
    table.tell(vec![told("gala", 4, 5, 3)]).await;
    assert_eq!(attempt(&table, 1, &[want("yoga", 2)]).await, Tried::Reserved);
    assert_eq!(attempt(&table, 2, &[want("yoga", 1), named("gala", &["A3"])]).await, Tried::Reserved);
    let seen = beliefs(&table).await;
    assert_eq!(seen["yoga"], Known { version: 3, free: 4, seats: None, held: 3, tokens: 3, ends: true });
    assert_eq!(seen["gala"], Known { version: 4, free: 2, seats: known_seats(2, &["A1", "A2"]), held: 0, tokens: 0, ends: true });
    assert_eq!(seen["opera"], Known { version: 1, free: 5, seats: known_seats(1, &[]), held: 0, tokens: 0, ends: true });
    assert_eq!(beliefs(&table).await, seen);
    forget(&table, 1, &[want("yoga", 2)]).await;
    assert_eq!((beliefs(&table).await["yoga"].held, beliefs(&table).await["yoga"].tokens), (1, 1));
}

pub async fn an_auditor_sees_every_page(table: Table) {
    table.tell((0..700).map(|n| told(&format!("ses_{n}"), 1, 5, 0)).collect()).await;
    assert_eq!(beliefs(&table).await.len(), 700);
}

pub async fn what_an_auditor_drops_is_missing_until_it_is_loaded(table: Table) {
    table.tell(vec![told("yoga", 9, 5, 0), told_seats("gala", 9, 5, &["A1"]), told_seats("opera", 9, 5, &["A1"])]).await;
    assert_eq!(attempt(&table, 1, &[want("yoga", 5)]).await, Tried::Reserved);
    let key = |id| told(id, 0, 0, 0).level.key;
    table.drop_beliefs(&[key("yoga"), key("gala"), key("never_told")]).await.unwrap();
    assert_eq!(beliefs(&table).await.into_keys().collect::<Vec<_>>(), ["opera"]);
    assert_eq!(attempt(&table, 2, &[want("yoga", 1), named("gala", &["A2"])]).await, Tried::Missing(vec![0, 1]));
    // An older version is no older than nothing.
    table.tell(vec![told("yoga", 2, 1, 0), told_seats("gala", 2, 5, &[])]).await;
    assert_eq!(attempt(&table, 2, &[want("yoga", 1), named("gala", &["A1"])]).await, Tried::Reserved);
    assert_eq!(attempt(&table, 2, &[named("opera", &["A1"])]).await, Tried::Gone(0));
    table.drop_beliefs(&[]).await.unwrap();
}

pub async fn what_is_forgotten_is_believed_no_more(table: Table) {
    table.tell(vec![told("yoga", 1, 5, 0)]).await;
    until(&table, 1, &[want("yoga", 1)], Tried::Missing(vec![0])).await;
    assert_eq!(beliefs(&table).await.get("yoga"), None);
}
