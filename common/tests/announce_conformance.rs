//! What every announcer promises, over both adapters.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends where it fails")]

use boxoffice_common::{
    adapters::announce::{MemoryAnnouncer, RedisAnnouncer},
    domain::{
        id::{CheckoutId, Entropy},
        secret::Secret,
        state::Status,
    },
    ports::announcer::{Announcement, Announcer},
};
use boxoffice_testkit::servers::{Redis, shared};
use std::time::{Duration, Instant};
use tokio::{sync::broadcast, time::timeout};

const SOON: Duration = Duration::from_secs(10);
/// How long to listen before "nothing more comes" is believed.
const QUIET: Duration = Duration::from_millis(100);

fn announcement(n: usize) -> Announcement {
    let version = i64::try_from(n).unwrap();
    Announcement { checkout: CheckoutId::parse(format!("chk_{n}")).unwrap(), version, status: Status::Succeeded }
}

fn on(url: &str) -> RedisAnnouncer {
    RedisAnnouncer::connect(&Secret::new(url.to_owned()), &Entropy::from_os()).unwrap()
}

async fn next(listener: &mut broadcast::Receiver<Announcement>) -> Announcement {
    timeout(SOON, listener.recv()).await.expect("heard in time").expect("not lagged")
}

/// Announces until it is heard: when a subscription stands is not signalled, and until then announcements may be lost.
async fn until_heard(from: &dyn Announcer, listener: &mut broadcast::Receiver<Announcement>) {
    let hello = Announcement { checkout: CheckoutId::parse("hello").unwrap(), version: 0, status: Status::Queued };
    let meet = async {
        loop {
            from.announce(hello.clone());
            // Whatever waited for an outage to end may come first.
            while let Ok(heard) = timeout(Duration::from_millis(50), listener.recv()).await {
                if heard.is_ok_and(|heard| heard == hello) {
                    return;
                }
            }
        }
    };
    timeout(SOON, meet).await.expect("subscribed in time");
    // Hellos that are still under way.
    while timeout(QUIET, listener.recv()).await.is_ok() {}
}

async fn everybody_in_the_process_hears_in_order(announcer: &dyn Announcer) {
    let mut listeners = [announcer.listen(), announcer.listen()];
    for n in 0..1000 {
        announcer.announce(announcement(n));
    }
    for listener in &mut listeners {
        for n in 0..1000 {
            assert_eq!(next(listener).await, announcement(n));
        }
    }
}

async fn a_slow_listener_is_told_that_it_missed_some(announcer: &dyn Announcer) {
    let mut listener = announcer.listen();
    for n in 0..20_000 {
        announcer.announce(announcement(n));
    }
    assert!(matches!(listener.recv().await, Err(broadcast::error::RecvError::Lagged(_))));
}

async fn a_listener_hears_what_comes_from_now_on(announcer: &dyn Announcer) {
    announcer.announce(announcement(1));
    let mut late = announcer.listen();
    announcer.announce(announcement(2));
    assert_eq!(next(&mut late).await, announcement(2));
}

macro_rules! over_both {
    ($($promise:ident)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $promise() {
                super::$promise(&super::MemoryAnnouncer::new()).await;
            })*
        }
        mod redis {
            $(#[tokio::test]
            async fn $promise() {
                super::$promise(&super::on(&super::shared::redis_url().await.unwrap())).await;
            })*
        }
    };
}

over_both! {
    everybody_in_the_process_hears_in_order
    a_slow_listener_is_told_that_it_missed_some
    a_listener_hears_what_comes_from_now_on
}

#[tokio::test]
async fn every_process_hears_everything_once_and_in_order() {
    let url = shared::redis_url().await.unwrap();
    let (ours, theirs) = (on(&url), on(&url));
    let (mut here, mut there) = (ours.listen(), theirs.listen());
    until_heard(&ours, &mut there).await;
    while here.try_recv().is_ok() {}
    until_heard(&theirs, &mut here).await;
    while there.try_recv().is_ok() {}
    for n in 0..2000 {
        ours.announce(announcement(n));
    }
    for listener in [&mut here, &mut there] {
        for n in 0..2000 {
            assert_eq!(next(listener).await, announcement(n));
        }
        let more = timeout(QUIET, listener.recv()).await;
        assert!(more.is_err(), "heard twice: {more:?}");
    }
}

#[tokio::test]
async fn databases_do_not_hear_each_other() {
    let urls = [shared::redis_url().await.unwrap(), shared::redis_url().await.unwrap()];
    let announcers = urls.each_ref().map(|url| [on(url), on(url)]);
    let (mut near, mut far) = (announcers[0][1].listen(), announcers[1][1].listen());
    until_heard(&announcers[0][0], &mut near).await;
    until_heard(&announcers[1][0], &mut far).await;
    announcers[0][0].announce(announcement(1));
    assert_eq!(next(&mut near).await, announcement(1));
    assert!(timeout(QUIET, far.recv()).await.is_err());
}

#[tokio::test]
async fn an_outage_silences_only_the_others_and_they_hear_again_after_it() {
    let mut server = Redis::start().await.unwrap();
    let (ours, theirs) = (on(&server.url()), on(&server.url()));
    let (mut here, mut there) = (ours.listen(), theirs.listen());
    until_heard(&ours, &mut there).await;
    while here.try_recv().is_ok() {}
    server.kill9();
    for n in 0..100 {
        ours.announce(announcement(n));
        assert_eq!(next(&mut here).await, announcement(n));
    }
    server.restart().await.unwrap();
    until_heard(&ours, &mut there).await;
    ours.announce(announcement(7));
    assert_eq!(next(&mut there).await, announcement(7));
}

#[tokio::test]
async fn announcing_never_blocks_while_redis_hangs() {
    let mut server = Redis::start().await.unwrap();
    let ours = on(&server.url());
    let mut here = ours.listen();
    server.pause().unwrap();
    let start = Instant::now();
    for n in 0..100_000 {
        ours.announce(announcement(n));
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert!(matches!(here.recv().await, Err(broadcast::error::RecvError::Lagged(_))));
    server.resume().unwrap();
    let theirs = on(&server.url());
    until_heard(&ours, &mut theirs.listen()).await;
}

#[tokio::test]
async fn a_subscription_outlives_a_quiet_time_longer_than_its_checks() {
    let url = shared::redis_url().await.unwrap();
    let (ours, theirs) = (on(&url), on(&url));
    let mut there = theirs.listen();
    until_heard(&ours, &mut there).await;
    // Two checks of the connection (one every 5 s) pass; nothing but time can show that they do no harm.
    tokio::time::sleep(Duration::from_secs(11)).await;
    ours.announce(announcement(1));
    assert_eq!(next(&mut there).await, announcement(1));
}
