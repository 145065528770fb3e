//! Promises of the counts of card tries, over both adapters.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use boxoffice_common::{
    adapters::card_tries::{MemoryCardTries, RedisCardTries},
    domain::{
        card_testing::{End, Facts, MOST_KEPT},
        scope::{Mode, Scope},
        secret::Secret,
    },
    ports::card_tries::{CardTries, CardTry},
};
use boxoffice_testkit::{Redis, shared};
use std::{sync::Arc, time::Duration};

/// Long enough for a test on a busy machine, short enough to be waited for.
const WINDOW: Duration = Duration::from_secs(4);

fn scope(tenant: &str) -> Scope {
    Scope::new(tenant, Mode::Test).unwrap()
}

fn card_try(tenant: &str, network: &str, id: &str) -> CardTry {
    CardTry { scope: scope(tenant), network: network.to_owned(), id: id.to_owned() }
}

/// What a stranger's try is told, without staying under way.
async fn look(tries: &dyn CardTries, tenant: &str, network: &str) -> Facts {
    let look = card_try(tenant, network, "look");
    let facts = tries.begin(&look).await;
    tries.end(&look, End::Neither).await;
    facts
}

async fn declined(tries: &dyn CardTries, tenant: &str, network: &str, id: &str) {
    tries.begin(&card_try(tenant, network, id)).await;
    tries.end(&card_try(tenant, network, id), End::Declined).await;
}

async fn a_no_counts_once_for_its_network_and_its_tenant_and_is_forgotten(tries: Arc<dyn CardTries>) {
    let began = tokio::time::Instant::now();
    for id in ["a", "b", "b", "c"] {
        declined(&*tries, "shop", "here", id).await;
    }
    let here = look(&*tries, "shop", "here").await;
    assert_eq!((here.declined.len(), here.open, here.tenant_declined, here.tenant_paid), (3, 0, 3, 0));
    assert!(here.declined.is_sorted(), "the newest first: {here:?}");
    assert!(here.declined[2] <= began.elapsed() + Duration::from_millis(50), "{here:?}");
    let there = look(&*tries, "shop", "there").await;
    assert_eq!((there.declined.len(), there.tenant_declined), (0, 3));
    assert_eq!(look(&*tries, "another", "here").await, Facts::default());
    tokio::time::sleep(WINDOW.saturating_sub(began.elapsed()) / 2).await;
    declined(&*tries, "shop", "here", "d").await;
    tokio::time::sleep((WINDOW + Duration::from_millis(500)).saturating_sub(began.elapsed())).await;
    assert_eq!(look(&*tries, "shop", "here").await.declined.len(), 1, "the window slides");
    tokio::time::sleep(2 * WINDOW).await;
    assert_eq!(look(&*tries, "shop", "here").await, Facts::default());
}

async fn what_is_paid_gives_one_no_back_and_once(tries: Arc<dyn CardTries>) {
    for id in ["a", "b", "c"] {
        declined(&*tries, "paid", "here", id).await;
    }
    let paid = card_try("paid", "here", "d");
    tries.begin(&paid).await;
    assert_eq!(look(&*tries, "paid", "here").await.open, 1);
    for _ in 0..3 {
        tries.end(&paid, End::Paid).await;
    }
    let here = look(&*tries, "paid", "here").await;
    assert_eq!((here.declined.len(), here.open, here.tenant_declined, here.tenant_paid), (2, 0, 3, 1));
}

async fn what_is_paid_elsewhere_counts_though_nobody_waited_for_it(tries: Arc<dyn CardTries>) {
    declined(&*tries, "asked", "here", "a").await;
    let asked = card_try("asked", "here", "b");
    tries.begin(&asked).await;
    tries.end(&asked, End::Neither).await;
    for _ in 0..2 {
        tries.end(&asked, End::Paid).await;
    }
    let here = look(&*tries, "asked", "here").await;
    assert_eq!((here.declined.len(), here.open, here.tenant_declined, here.tenant_paid), (0, 0, 1, 1));
}

async fn what_is_under_way_is_known_and_the_same_one_twice_is_one(tries: Arc<dyn CardTries>) {
    for (id, others) in [("a", 0), ("b", 1), ("b", 1), ("a", 1), ("c", 2)] {
        assert_eq!(tries.begin(&card_try("open", "here", id)).await.open, others, "{id}");
    }
    for n in 0..3 * MOST_KEPT {
        tries.begin(&card_try("open", "here", &n.to_string())).await;
        tries.end(&card_try("open", "here", &format!("{n}x")), End::Declined).await;
    }
    let here = look(&*tries, "open", "here").await;
    assert_eq!((here.open as usize, here.declined.len()), (2 * MOST_KEPT, MOST_KEPT), "bounded");
}

async fn one_after_the_other_has_its_turn(tries: Arc<dyn CardTries>) {
    let gap = Duration::from_millis(700);
    assert_eq!(tries.turn(&scope("turns"), gap).await, None);
    let wait = tries.turn(&scope("turns"), gap).await.expect("it is not its turn");
    assert!(wait <= gap, "{wait:?}");
    assert_eq!(tries.turn(&scope("others"), gap).await, None);
    tokio::time::sleep(wait + Duration::from_millis(20)).await;
    assert_eq!(tries.turn(&scope("turns"), gap).await, None);
}

macro_rules! conformance {
    ($($promise:ident)*) => {
        mod memory {
            use super::*;
            $(#[tokio::test]
            async fn $promise() {
                super::$promise(Arc::new(MemoryCardTries::new(WINDOW))).await;
            })*
        }

        mod redis {
            use super::*;
            $(#[tokio::test]
            async fn $promise() {
                let url = Secret::new(shared::redis_url().await.unwrap());
                super::$promise(Arc::new(RedisCardTries::connect(&url, WINDOW).unwrap())).await;
            })*
        }
    };
}

conformance! {
    a_no_counts_once_for_its_network_and_its_tenant_and_is_forgotten
    what_is_paid_gives_one_no_back_and_once
    what_is_paid_elsewhere_counts_though_nobody_waited_for_it
    what_is_under_way_is_known_and_the_same_one_twice_is_one
    one_after_the_other_has_its_turn
}

#[tokio::test]
async fn two_processes_share_their_counts() {
    let url = Secret::new(shared::redis_url().await.unwrap());
    let [one, other] = [(); 2].map(|()| RedisCardTries::connect(&url, WINDOW).unwrap());
    declined(&one, "both", "here", "a").await;
    declined(&other, "both", "here", "b").await;
    assert_eq!(look(&one, "both", "here").await.declined.len(), 2);
    assert_eq!((one.turn(&scope("both"), WINDOW).await, other.turn(&scope("both"), WINDOW).await.is_some()), (None, true));
}

#[tokio::test]
async fn without_redis_each_process_goes_on_with_its_own_counts() {
    let redis = Redis::start().await.unwrap();
    let tries = RedisCardTries::connect(&Secret::new(redis.url()), Duration::from_secs(600)).unwrap();
    declined(&tries, "down", "here", "a").await;
    drop(redis);
    for id in ["b", "c"] {
        declined(&tries, "down", "here", id).await;
    }
    assert_eq!(look(&tries, "down", "here").await.declined.len(), 2, "bounded by what this process has seen");
}
