//! Time that lies: clocks that are ten minutes apart, and processes that stand still for longer than their lease.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod chaos;

use boxoffice_testkit::Receiver;
use chaos::{
    PATIENCE,
    order::{Order, Tender},
    page,
    process::Process,
    reckoning::{self, Ends, Luck},
    shop::{Sale, Shop},
    site::Site,
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SESSION: &str = "ses_roomy";
/// Ten minutes, as `BOXOFFICE_CLOCK_AHEAD_MS` takes them.
const AHEAD: &str = "600000";
const BEHIND: &str = "-600000";
/// The shortest life that an unbegun checkout may be given, in seconds.
const SHORT: u32 = 10;
/// Shorter than the clocks are apart.
const MEDIUM: u32 = 300;
/// How far the store's time may be from ours: its machine is ours.
const TOLERANCE_MS: u64 = 5_000;

async fn open(api: &Process, site: &Site, receiver: &Receiver) -> Shop {
    let shop = Shop::new(vec![api.base_url().to_owned()], site.key(), &format!("{}/hook", receiver.url()));
    shop.open(SESSION, 1_000).await;
    shop
}

fn brief(tender: Tender, expires_in: u32) -> Order {
    Order { expires_in: Some(expires_in), ..Order::one(tender, SESSION) }
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A time of a checkout, in milliseconds since 1970.
fn time_ms(checkout: &serde_json::Value, field: &str) -> u64 {
    let text = checkout[field].as_str().unwrap_or_else(|| panic!("{field} of {checkout}"));
    u64::try_from(boxoffice_common::domain::time::Timestamp::parse(text).unwrap().millis()).unwrap()
}

/// What the timeline tells of it.
async fn happened(shop: &Shop, sale: &Sale) -> Vec<String> {
    let timeline = shop.get(&format!("/v1/checkouts/{}/timeline", sale.id)).await;
    timeline["data"].as_array().unwrap().iter().map(|entry| entry["what"].as_str().unwrap().to_owned()).collect()
}

async fn end(processes: impl IntoIterator<Item = &mut Process>) {
    for process in processes {
        process.program().terminate(PATIENCE).await.unwrap();
    }
}

fn status<'e>(ends: &'e Ends, sale: &Sale) -> &'e str {
    ends[&sale.id]["status"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_clocks_ten_minutes_apart_expire_nothing_early_or_late_and_leases_hold() {
    // A lease that is longer than the slow card takes: nobody may take it over.
    let site = Site::on_shared_servers("clocks").await;
    let mut site = site.with("BOXOFFICE_LEASE_MS", "8000").with("BOXOFFICE_PROVIDER_TIMEOUT_MS", "6000");
    let receiver = Receiver::start().await.unwrap();
    let mut sandbox = site.sandbox().await;
    let mut api = Process::start("api", site.api().env("BOXOFFICE_CLOCK_AHEAD_MS", AHEAD)).await;
    let shop = open(&api, &site, &receiver).await;
    let mut sales = Vec::new();

    // Nothing expires late, although the only worker that comes believes that there is time left; and nothing early by the API's clock.
    let before = now_ms();
    for (key, expires_in) in [("short", SHORT), ("medium", MEDIUM)] {
        sales.push(shop.buy(key, brief(Tender::Visa, expires_in)).await);
    }
    let short = shop.get(&format!("/v1/checkouts/{}", sales[0].id)).await;
    assert!(time_ms(&short, "created_at").abs_diff(before) <= TOLERANCE_MS, "created by the store's time: {short}");
    assert_eq!(time_ms(&short, "expires_at") - time_ms(&short, "created_at"), u64::from(SHORT) * 1_000);
    tokio::time::sleep(Duration::from_millis(time_ms(&short, "expires_at").saturating_sub(now_ms()) + 200)).await;
    let mut slow_clock = Process::start("worker-behind", site.worker().env("BOXOFFICE_CLOCK_AHEAD_MS", BEHIND)).await;
    let ends = reckoning::ends(&shop, &sales).await;
    assert_eq!((status(&ends, &sales[0]), status(&ends, &sales[1])), ("expired", "succeeded"));

    // Nothing expires early, although the only worker that is there believes that all is over.
    end([&mut slow_clock]).await;
    let mut fast_clock = Process::start("worker-ahead", site.worker().env("BOXOFFICE_CLOCK_AHEAD_MS", AHEAD)).await;
    sales.push(shop.buy("in-time", brief(Tender::Visa, MEDIUM)).await);
    let ends = reckoning::ends(&shop, &sales[2..]).await;
    assert_eq!(status(&ends, &sales[2]), "succeeded");

    // Both together: whoever is slow keeps its lease.
    slow_clock.again().await;
    let all = [Tender::Slow; 4].into_iter().chain(Tender::MIXED);
    let first = sales.len();
    for (n, tender) in all.enumerate() {
        let sale = shop.buy(&format!("both-{n}"), Order::one(tender, SESSION)).await;
        if let Some(cards) = tender.on_the_page() {
            page::pay(&shop, &sale, cards).await;
        }
        sales.push(sale);
    }
    let ends = reckoning::of_the_living(&site, &shop, &receiver, &sales, Luck::Certain).await;
    for sale in &sales[first..] {
        let happened = happened(&shop, sale).await;
        assert!(!happened.iter().any(|what| what == "lease.taken_over"), "{:?}: {happened:?}", sale.order.tender);
    }
    end([&mut api, &mut slow_clock, &mut fast_clock, &mut sandbox]).await;
    reckoning::of_the_dead(&site, &sales, &ends).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_a_worker_that_stands_still_for_longer_than_its_lease_does_no_harm_when_it_goes_on() {
    let (mut site, receiver) = (Site::on_shared_servers("still").await, Receiver::start().await.unwrap());
    let mut sandbox = site.sandbox().await;
    let mut api = Process::start("api", site.api()).await;
    let shop = open(&api, &site, &receiver).await;
    let mut late = Process::start("worker-late", site.worker()).await;
    let mut other = Process::start("worker-other", site.worker()).await;
    let mut sales = Vec::new();
    for point in ["lease.before_check", "charge.before_send", "charge.after_send"] {
        other.program().terminate(PATIENCE).await.unwrap();
        late.again_with_failpoints(&format!("{point}=stop")).await;
        let first = sales.len();
        for tender in [Tender::Visa, Tender::Declined, Tender::TimeoutCharged, Tender::Flaky] {
            sales.push(shop.buy(&format!("{point}-{tender:?}"), Order::one(tender, SESSION)).await);
        }
        assert!(late.stopped_itself(PATIENCE).await, "{point} was not crossed");
        other.again().await;
        // The other one takes over all that the late one had in hand, when its leases are over.
        let before = reckoning::ends(&shop, &sales[first..]).await;
        let mut taken_over = 0;
        for sale in &sales[first..] {
            taken_over += happened(&shop, sale).await.iter().filter(|what| *what == "lease.taken_over").count();
        }
        assert!(taken_over > 0, "{point}: nothing was taken over");
        late.go_on();
        if point == "lease.before_check" {
            let noticed = late.program().wait_for_line("the lease is over before anything was sent", PATIENCE).await;
            assert!(noticed.is_some(), "the late worker did not look at its lease");
        }
        // It goes on working, and what it had in hand is done with: a drain waits for that.
        assert!(late.program().terminate(PATIENCE).await.is_ok());
        assert_eq!(reckoning::ends(&shop, &sales[first..]).await, before, "{point}: the late worker changed what had ended");
    }
    late.again_with_failpoints("").await;
    let ends = reckoning::of_the_living(&site, &shop, &receiver, &sales, Luck::Certain).await;
    end([&mut api, &mut late, &mut other, &mut sandbox]).await;
    reckoning::of_the_dead(&site, &sales, &ends).await;
}

/// A store that is slow to answer is no death of a worker: it must not use up the takeovers that a checkout has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_a_lease_that_is_over_before_anything_was_sent_is_given_back() {
    // No rescuer: the worker itself has to give it back.
    let (site, receiver) = (Site::embedded().with("BOXOFFICE_RESCUE_MS", "600000"), Receiver::start().await.unwrap());
    let lease = Duration::from_secs(4);
    let mut server = Process::start("serve", site.serve().env("BOXOFFICE_FAILPOINTS", "begin.after_commit=stop")).await;
    let shop = open(&server, &site, &receiver).await;
    let sales = [shop.buy("slow-store", Order::one(Tender::Visa, SESSION)).await];
    assert!(server.stopped_itself(PATIENCE).await, "the charge was not begun");
    tokio::time::sleep(lease).await;
    server.go_on();
    let ends = reckoning::of_the_living(&site, &shop, &receiver, &sales, Luck::Certain).await;
    assert_eq!(status(&ends, &sales[0]), "succeeded");
    let happened = happened(&shop, &sales[0]).await;
    assert!(happened.iter().any(|what| what == "charge.refused"), "{happened:?}");
    assert!(!happened.iter().any(|what| what == "lease.taken_over"), "{happened:?}");
    end([&mut server]).await;
    reckoning::of_the_dead(&site, &sales, &ends).await;
}
