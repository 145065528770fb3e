//! Every failpoint is crossed by a kill: before and after each effect on the outside, the process dies there, twice, and comes back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod chaos;

use boxoffice_common::failpoint::NAMES;
use boxoffice_testkit::{Answer, Receiver};
use chaos::{
    PATIENCE,
    crowd::{Crowd, Shoppers},
    order::{Order, Tender},
    process::Process,
    reckoning::{self, Luck},
    shop::Shop,
    site::Site,
};
use futures::{FutureExt, StreamExt, future::LocalBoxFuture, stream};
use rand::rngs::StdRng;
use std::{ops::Range, panic::AssertUnwindSafe, sync::Arc};

/// At which crossings the process dies, one life after the other.
const CROSSINGS: [u32; 2] = [1, 3];
/// Embedded rounds at once.
const ROUNDS_AT_ONCE: usize = 4;
/// Decides who calls off what.
const SEED: u64 = 7;
/// Where everybody buys: there is room for all.
const SESSION: &str = "ses_roomy";

/// Those that every sale crosses; a job's are crossed in `crash_jobs`, those of renewals in `crash_renewals`, those of a change in `crash_points`.
fn of_sales() -> impl Iterator<Item = &'static str> {
    NAMES.iter().copied().filter(|name| !["job.", "renew.", "change."].iter().any(|other| name.starts_with(other)))
}

/// All tenders in turn, one place each.
fn in_turn(n: usize, _: &mut StdRng) -> Order {
    Order::one(Tender::MIXED[n % Tender::MIXED.len()], SESSION)
}

/// Opens the session and lets two shoppers in, who go on until all deaths have been died, and buy a handful at least.
async fn open(api: &Process, site: &Site, receiver: &Receiver, thinks_ms: Range<u64>) -> (Arc<Shop>, Crowd) {
    // The first answers of the receiver are no, so that tries again are crossed too.
    receiver.then([Answer::Status(500), Answer::Status(503)]);
    let shop = Arc::new(Shop::new(vec![api.base_url().to_owned()], site.key(), &format!("{}/hook", receiver.url())));
    shop.open(SESSION, 100_000).await;
    let shoppers = Shoppers { count: 2, orders_at_least: Tender::MIXED.len(), thinks_ms, plan: in_turn };
    let crowd = Crowd::start(&shop, shoppers, SEED);
    (shop, crowd)
}

/// Lets the process die at `name`, at each of the crossings, and come back; the last time to stay.
async fn die_at(name: &str, process: &mut Process) {
    for crossing in CROSSINGS {
        process.again_with_failpoints(&format!("{name}=kill@{crossing}")).await;
        assert!(process.killed_itself(PATIENCE).await, "{name} was not crossed {crossing} times by {}", process.name());
    }
    process.again_with_failpoints("").await;
}

async fn embedded(name: &'static str) {
    let (site, receiver) = (Site::embedded(), Receiver::start().await.unwrap());
    let mut server = Process::start(format!("serve-{name}"), site.serve()).await;
    let (shop, crowd) = open(&server, &site, &receiver, 20..80).await;
    die_at(name, &mut server).await;
    let sales = crowd.go_home().await;
    let ends = reckoning::of_the_living(&site, &shop, &receiver, &sales, Luck::Certain).await;
    server.program().terminate(PATIENCE).await.unwrap();
    reckoning::of_the_dead(&site, &sales, &ends).await;
    println!("{name}: {} checkouts, {} callbacks", sales.len(), receiver.count());
}

/// One system in which the API dies at `intake` and one of two workers at `pipeline`, one name after the other.
async fn distributed(walk: &str, intake: &[&str], pipeline: &[&str]) {
    let (mut site, receiver) = (Site::on_shared_servers(walk).await, Receiver::start().await.unwrap());
    let mut sandbox = site.sandbox().await;
    let mut api = Process::start(format!("api-{walk}"), site.api()).await;
    let mut mortal = Process::start(format!("worker-mortal-{walk}"), site.worker()).await;
    let mut other = Process::start(format!("worker-other-{walk}"), site.worker()).await;
    let (shop, crowd) = open(&api, &site, &receiver, 50..250).await;
    for name in intake {
        die_at(name, &mut api).await;
    }
    for name in pipeline {
        die_at(name, &mut mortal).await;
    }
    let sales = crowd.go_home().await;
    let ends = reckoning::of_the_living(&site, &shop, &receiver, &sales, Luck::Certain).await;
    for process in [&mut api, &mut mortal, &mut other, &mut sandbox] {
        process.program().terminate(PATIENCE).await.unwrap();
    }
    reckoning::of_the_dead(&site, &sales, &ends).await;
    println!("{walk}: {} checkouts, {} callbacks", sales.len(), receiver.count());
}

/// Runs all rounds, some at once; one that fails lets the others end.
async fn all<'n>(rounds: impl IntoIterator<Item = (&'n str, LocalBoxFuture<'n, ()>)>, at_once: usize) {
    let caught = |(name, round): (&'n str, LocalBoxFuture<'n, ()>)| async move { (name, AssertUnwindSafe(round).catch_unwind().await) };
    let ended: Vec<_> = stream::iter(rounds).map(caught).buffer_unordered(at_once).collect().await;
    let failed: Vec<&str> = ended.iter().filter(|(_, end)| end.is_err()).map(|(name, _)| *name).collect();
    assert!(failed.is_empty(), "{} of {} failed: {failed:?}", failed.len(), ended.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_embedded_a_kill_at_any_failpoint_loses_nothing_and_charges_nobody_twice() {
    all(of_sales().map(|name| (name, embedded(name).boxed_local())), ROUNDS_AT_ONCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_distributed_a_kill_at_any_failpoint_loses_nothing_and_charges_nobody_twice() {
    let is = |name: &&str, part: &str| name.starts_with(part);
    let intake: Vec<&str> = of_sales()
        .filter(|name| is(name, "accept.") || is(name, "publish.") || is(name, "event.before_commit") || is(name, "event.after"))
        .collect();
    let pipeline: Vec<&str> =
        of_sales().filter(|name| !(is(name, "accept.") || is(name, "event.before_commit") || is(name, "event.after"))).collect();
    let (first, second) = pipeline.split_at(pipeline.len() / 2);
    let (early, late) = intake.split_at(intake.len() / 2);
    all([("first", distributed("first", early, first).boxed_local()), ("second", distributed("second", late, second).boxed_local())], 2)
        .await;
}
