//! Death at random under load: any process, and any server beneath, at any moment, also while subscriptions renew; then everything is
//! reckoned up.
//!
//! Each test prints its seed. `BOXOFFICE_CHAOS_SEED` brings the same shoppers and the same deaths again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod chaos;

use boxoffice_testkit::{Answer, Postgres, RabbitMq, Receiver, Redis};
use chaos::{
    PATIENCE,
    crowd::{Crowd, Shoppers},
    order::{Order, Places, Tender},
    process::Process,
    reckoning::{self, Luck},
    shop::{Sale, Shop},
    site::Site,
    subscribers::Subscribers,
};
use futures::future::{join, join_all, join3};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use std::{ops::Range, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// How long people die.
const CHAOS: Duration = Duration::from_secs(25);
/// Everybody wants these places, and there are too few of them.
const HOT: &str = "ses_hot";
const HOT_PLACES: u32 = 120;
/// The same with names.
const NAMED: &str = "ses_named";
const NAMED_SEATS: usize = 60;
/// Here is room for all, so that sales go on to the end.
const ROOMY: &str = "ses_roomy";

/// How a process dies: at least so often, after so many milliseconds of life, staying away for so many.
#[derive(Clone)]
struct Fate {
    deaths_at_least: u32,
    lives_ms: Range<u64>,
    away_ms: Range<u64>,
}

fn at_random(_: usize, dice: &mut StdRng) -> Order {
    let tender = match dice.random_range(0..26) {
        0..8 => Tender::Visa,
        8..10 => Tender::Declined,
        10..12 => Tender::TimeoutCharged,
        12..14 => Tender::TimeoutNotCharged,
        14..15 => Tender::Flaky,
        15..16 => Tender::TwoCards,
        16..17 => Tender::SecondDeclined,
        17..18 => Tender::SecondLost,
        18..19 => [Tender::Cash, Tender::CardAndCash][dice.random_range(0..2)],
        19..20 => Tender::Credits,
        20..21 => Tender::Hosted,
        21..22 => [Tender::HostedTwice, Tender::HostedByPhone][dice.random_range(0..2)],
        24..25 => [Tender::Push, Tender::PushRefused, Tender::CardAndPush][dice.random_range(0..3)],
        22..23 => Tender::Balance,
        23..24 => [Tender::CardAndBalance, Tender::BalanceAndDeclined][dice.random_range(0..2)],
        _ => Tender::ThreeDs,
    };
    let places = match dice.random_range(0..20) {
        0..9 => Places::Some { session: HOT, quantity: dice.random_range(1..=3) },
        9..14 => Places::Seat { session: NAMED, seat: seat(dice.random_range(0..NAMED_SEATS)) },
        _ => Places::Some { session: ROOMY, quantity: 1 },
    };
    Order { tender, places, expires_in: None }
}

fn seat(n: usize) -> String {
    format!("S{n}")
}

fn seed() -> u64 {
    let given = std::env::var("BOXOFFICE_CHAOS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    println!("BOXOFFICE_CHAOS_SEED={seed} brings this run again");
    seed
}

/// Opens the sessions and lets sixteen shoppers in.
async fn open(bases: Vec<String>, site: &Site, receiver: &Receiver, seed: u64) -> (Arc<Shop>, Crowd) {
    receiver.then([Answer::Status(500), Answer::Status(429), Answer::Late(Duration::from_secs(2), 204)]);
    let shop = Arc::new(Shop::new(bases, site.key(), &format!("{}/hook", receiver.url())));
    shop.open(HOT, HOT_PLACES).await;
    shop.open_named(NAMED, &(0..NAMED_SEATS).map(seat).collect::<Vec<_>>()).await;
    shop.open(ROOMY, 100_000).await;
    let shoppers = Shoppers { count: 16, orders_at_least: 1, thinks_ms: 200..1_000, plan: at_random };
    let crowd = Crowd::start(&shop, shoppers, seed);
    (shop, crowd)
}

/// Dies and comes back until the end, and then lives.
async fn dies_at_random(process: &mut Process, fate: Fate, mut dice: StdRng, end: &CancellationToken) {
    let mut deaths = 0;
    while deaths < fate.deaths_at_least || !end.is_cancelled() {
        let (lives, away) = (dice.random_range(fate.lives_ms.clone()), dice.random_range(fate.away_ms.clone()));
        tokio::time::sleep(Duration::from_millis(lives)).await;
        process.kill9();
        tokio::time::sleep(Duration::from_millis(away)).await;
        process.again().await;
        deaths += 1;
    }
    println!("{} died {deaths} times", process.name());
}

/// What befalls the servers beneath.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    BrokerDies,
    RedisDies,
    RedisForgets,
    RedisFreezes,
    DatabaseDies,
}

/// Each trouble once, in any order.
async fn troubles(postgres: &mut Postgres, broker: &mut RabbitMq, redis: &mut Redis, mut dice: StdRng) {
    use Trouble::*;
    let mut all = [BrokerDies, RedisDies, RedisForgets, RedisFreezes, DatabaseDies];
    all.shuffle(&mut dice);
    for trouble in all {
        tokio::time::sleep(Duration::from_millis(dice.random_range(1_000..3_000))).await;
        let away = tokio::time::sleep(Duration::from_millis(dice.random_range(100..1_500)));
        println!("{trouble:?}");
        match trouble {
            BrokerDies => {
                broker.kill9();
                away.await;
                broker.restart().await.unwrap();
            }
            RedisDies => {
                redis.kill9();
                away.await;
                redis.restart().await.unwrap();
            }
            RedisForgets => redis.flushall().await.unwrap(),
            RedisFreezes => {
                redis.pause().unwrap();
                away.await;
                redis.resume().unwrap();
            }
            DatabaseDies => {
                postgres.kill9();
                away.await;
                postgres.restart().await.unwrap();
            }
        }
    }
}

/// What is left of the hot session can still be bought, and no more: no place was lost.
async fn sell_out(shop: &Shop, sales: &mut Vec<Sale>) {
    reckoning::ends(shop, sales).await;
    let left = shop.get(&format!("/v1/sessions/{HOT}/availability")).await["available"].as_u64().unwrap();
    let before = sales.len();
    for n in 0..=left {
        sales.push(shop.buy(&format!("last-{n}"), Order::one(Tender::Cash, HOT)).await);
    }
    let ends = reckoning::ends(shop, &sales[before..]).await;
    let sold = ends.values().filter(|end| end["status"] == "succeeded").count();
    assert_eq!(sold as u64, left, "of the last places of {HOT}: {ends:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_embedded_deaths_at_random_under_load_lose_nothing_and_charge_nobody_twice() {
    let seed = seed();
    let (site, receiver) = (Site::embedded(), Receiver::start().await.unwrap());
    let mut server = Process::start("serve", site.serve()).await;
    let subscribers = Subscribers::start(&site, vec![server.base_url().to_owned()]).await;
    let (shop, crowd) = open(vec![server.base_url().to_owned()], &site, &receiver, seed).await;
    let end = CancellationToken::new();
    let fate = Fate { deaths_at_least: 6, lives_ms: 500..3_500, away_ms: 0..600 };
    let chaos = async {
        tokio::time::sleep(CHAOS).await;
        end.cancel();
    };
    join3(dies_at_random(&mut server, fate, StdRng::seed_from_u64(seed), &end), subscribers.grow_older(&site, &end), chaos).await;
    let mut sales = crowd.go_home().await;
    sell_out(&shop, &mut sales).await;
    let ends = reckoning::of_the_living(&site, &shop, &receiver, &sales, Luck::Open).await;
    let renewed = subscribers.settled().await;
    server.program().terminate(PATIENCE).await.unwrap();
    reckoning::of_the_dead_and_subscribers(&site, &sales, &ends, &renewed).await;
    println!("{} checkouts, {} callbacks", sales.len(), receiver.count());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_distributed_deaths_at_random_of_processes_and_servers_lose_nothing_and_charge_nobody_twice() {
    let seed = seed();
    let (postgres, broker, redis) = tokio::join!(Postgres::start(), RabbitMq::start(), Redis::start());
    let (mut postgres, mut broker, mut redis) = (postgres.unwrap(), broker.unwrap(), redis.unwrap());
    let (mut site, receiver) = (Site::on_own_servers(&postgres, &broker, &redis).await, Receiver::start().await.unwrap());
    let mut processes = vec![site.sandbox().await];
    for name in ["api-1", "api-2"] {
        processes.push(Process::start(name, site.api()).await);
    }
    for name in ["worker-1", "worker-2", "worker-3"] {
        processes.push(Process::start(name, site.worker()).await);
    }
    let apis = processes.iter().filter(|process| process.name().starts_with("api"));
    let bases: Vec<String> = apis.map(|api| api.base_url().to_owned()).collect();
    let subscribers = Subscribers::start(&site, bases.clone()).await;
    let (shop, crowd) = open(bases, &site, &receiver, seed).await;
    let end = CancellationToken::new();
    let fate = Fate { deaths_at_least: 1, lives_ms: 2_000..9_000, away_ms: 0..2_000 };
    let mortals =
        processes.iter_mut().zip(seed..).map(|(process, seed)| dies_at_random(process, fate.clone(), StdRng::seed_from_u64(seed), &end));
    let chaos = async {
        let dice = StdRng::seed_from_u64(!seed);
        join(tokio::time::sleep(CHAOS), troubles(&mut postgres, &mut broker, &mut redis, dice)).await;
        end.cancel();
    };
    join3(join_all(mortals), subscribers.grow_older(&site, &end), chaos).await;
    let mut sales = crowd.go_home().await;
    sell_out(&shop, &mut sales).await;
    let ends = reckoning::of_the_living(&site, &shop, &receiver, &sales, Luck::Open).await;
    let renewed = subscribers.settled().await;
    for process in &mut processes {
        process.program().terminate(PATIENCE).await.unwrap();
    }
    reckoning::of_the_dead_and_subscribers(&site, &sales, &ends, &renewed).await;
    println!("{} checkouts, {} callbacks", sales.len(), receiver.count());
}
