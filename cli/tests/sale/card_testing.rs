//! Somebody tries cards out on the page; customers beside him notice nothing.

use super::hosted::{Browser, Seen};
use crate::support::{
    catalogue::{put, session},
    client::Client,
    system::System,
};
use boxoffice_common::domain::id::Entropy;
use futures::future::join_all;
use serde_json::json;
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(30);

/// Two noes are free, the wait behind the third is 4 s, five are too many, and all is forgotten after half a minute.
pub const SETTINGS: &[(&str, &str)] = &[
    ("BOXOFFICE_TRUSTED_PROXIES", "127.0.0.0/8"),
    ("BOXOFFICE_CARD_TESTING", "on"),
    ("BOXOFFICE_CARD_TESTING_WINDOW_MS", "30000"),
    ("BOXOFFICE_CARD_TESTING_FREE", "3"),
    ("BOXOFFICE_CARD_TESTING_WAIT_MS", "4000"),
    ("BOXOFFICE_CARD_TESTING_STOP", "5"),
];

/// The same where a tenant has had enough with three.
pub const MANY_ADDRESSES: &[(&str, &str)] = &[
    ("BOXOFFICE_TRUSTED_PROXIES", "127.0.0.0/8"),
    ("BOXOFFICE_CARD_TESTING", "on"),
    ("BOXOFFICE_CARD_TESTING_WINDOW_MS", "30000"),
    ("BOXOFFICE_CARD_TESTING_TENANT", "3"),
];

/// The page of a new checkout, opened from this address.
async fn page(shop: &Client, address: &str) -> Browser {
    let body = json!({
        "currency": "usd", "lines": [{"type": "session", "session": "ses_page", "quantity": 1}],
        "payment": {"hosted": {}}, "success_url": "https://shop.example/thanks",
    });
    let mut browser = Browser::open_order(shop, &body).await;
    browser.from = Some(address.to_owned());
    browser
}

/// Sends the card, and waits for what comes of it. `None`: it was not sent; else what the page says then.
async fn try_card(browser: &Browser, card: &str) -> Result<Seen, Seen> {
    let page = browser.load("").await;
    let sent = browser.send(&page.html, "pay", card).await;
    if sent.status == 429 { Err(sent) } else { Ok(browser.follow("?after=submit").await) }
}

async fn is_refused(browser: &Browser, shop: &Client) {
    let before = shop.charged(&browser.id).await.len();
    let seen = try_card(browser, "tok_declined").await.unwrap_or_else(|held| panic!("not sent: {}", held.html));
    assert!(seen.html.contains("Pay by card") || seen.html.contains("Choose a test card"), "{}", seen.html);
    assert_eq!(shop.charged(&browser.id).await.len(), before + 1);
}

async fn pays(browser: &Browser) {
    let seen = try_card(browser, "tok_visa").await.unwrap_or_else(|held| panic!("not sent: {}", held.html));
    assert_eq!(seen.status, 303, "{}", seen.html);
}

fn retry_after(seen: &Seen) -> Duration {
    Duration::from_secs(seen.retry_after.as_deref().expect("no Retry-After").parse().unwrap())
}

pub async fn story(system: &System) {
    let shop = system.shop();
    put(&shop, "sessions", "ses_page", session(50)).await;
    a_customer_who_mistypes_twice_notices_nothing(&shop).await;
    a_tester_is_slowed_then_stopped_and_others_buy(system, &shop).await;
    let metrics = shop.get("/metrics").await.text;
    a_form_that_is_sent_again_makes_no_room_for_another_try(&shop).await;
    for action in ["slowed", "stopped"] {
        assert!(metrics.contains(&format!("boxoffice_card_testing_total{{action=\"{action}\"}}")), "{action}");
    }
}

async fn a_customer_who_mistypes_twice_notices_nothing(shop: &Client) {
    let browser = page(shop, "198.51.100.1").await;
    is_refused(&browser, shop).await;
    is_refused(&browser, shop).await;
    pays(&browser).await;
}

async fn a_tester_is_slowed_then_stopped_and_others_buy(system: &System, shop: &Client) {
    let (tester, mut pages) = ("203.0.113.66", Vec::new());
    let began = Instant::now();
    for _ in 0..3 {
        let browser = page(shop, tester).await;
        is_refused(&browser, shop).await;
        pages.push(browser);
    }
    // A fresh checkout makes nobody a stranger; nor does what a client writes before what the proxy writes.
    for address in [tester.to_owned(), format!("198.51.100.{}", Entropy::from_os().next_u64() % 250) + ", " + tester] {
        let browser = page(shop, &address).await;
        let held = try_card(&browser, "tok_visa").await.err().expect("it was sent");
        assert!(held.html.contains("Several cards were refused. Wait ") && held.html.contains("Choose a test card"), "{}", held.html);
        assert!(retry_after(&held) <= Duration::from_secs(4));
        assert_eq!(shop.charged(&browser.id).await, [] as [&str; 0]);
    }
    // Waiting as told lets one more through each time, until it is enough.
    for _ in 0..2 {
        let browser = page(shop, tester).await;
        loop {
            let held = match try_card(&browser, "tok_declined").await {
                Ok(_) => break,
                Err(held) => held,
            };
            assert!(held.html.contains("Several cards were refused. Wait "), "{}", held.html);
            assert!(began.elapsed() < WINDOW, "too slow a machine for this window");
            tokio::time::sleep(retry_after(&held)).await;
        }
    }
    let last = page(shop, tester).await;
    let held = try_card(&last, "tok_visa").await.err().expect("it was sent");
    assert!(held.html.contains("Too many cards were refused") && held.html.contains("ask the shop"), "{}", held.html);
    assert!(retry_after(&held) <= WINDOW);
    assert_eq!(shop.charged(&last.id).await, [] as [&str; 0]);
    assert!(began.elapsed() < WINDOW, "too slow a machine for this window");
    // The neighbour, and the same address at another shop.
    pays(&page(shop, "203.0.113.67").await).await;
    let other = system.newcomer("othershop", &[]).await;
    put(&other, "sessions", "ses_page", session(5)).await;
    pays(&page(&other, tester).await).await;
    // It goes on when the first noes are forgotten. The wait behind the last one is over by then.
    tokio::time::sleep(retry_after(&held)).await;
    pays(&last).await;
}

/// As many tries of an address as may be under way, of which nothing is heard for a while. Whoever sends their forms again is at one try each.
async fn a_form_that_is_sent_again_makes_no_room_for_another_try(shop: &Client) {
    let tester = "203.0.113.99";
    let under_way = join_all((0..5).map(|_| async {
        let browser = page(shop, tester).await;
        let html = browser.load("").await.html;
        (browser, html)
    }))
    .await;
    for _ in 0..2 {
        let sent = join_all(under_way.iter().map(|(browser, html)| browser.send(html, "pay", "tok_timeout_charged"))).await;
        assert!(sent.iter().all(|seen| seen.status == 303));
    }
    let more = page(shop, tester).await;
    let held = try_card(&more, "tok_visa").await.err().expect("it was sent");
    assert!(held.html.contains("Many payments are being made at this moment"), "{}", held.html);
    assert_eq!(shop.charged(&more.id).await, [] as [&str; 0]);
    for (browser, _) in &under_way {
        shop.until(&browser.id, "succeeded").await;
        assert_eq!(shop.charged(&browser.id).await, ["captured"]);
    }
}

/// An attack from many addresses: everybody is let through one after the other, and nobody is kept out.
pub async fn many_addresses(system: &System) {
    let shop = system.shop();
    put(&shop, "sessions", "ses_page", session(50)).await;
    for n in 1..=3 {
        is_refused(&page(&shop, &format!("2001:db8:{n}::1")).await, &shop).await;
    }
    // The first takes the turn.
    is_refused(&page(&shop, "2001:db8:4::1").await, &shop).await;
    let honest = page(&shop, "198.51.100.1").await;
    let held = try_card(&honest, "tok_visa").await.err().expect("it was sent");
    assert!(held.html.contains("Many payments are being made at this moment. Wait "), "{}", held.html);
    assert_eq!(shop.charged(&honest.id).await, [] as [&str; 0]);
    let mut wait = retry_after(&held);
    // Told to come again a little behind its turn; nobody else is there to take it.
    let paid = loop {
        tokio::time::sleep(wait).await;
        match try_card(&honest, "tok_visa").await {
            Ok(seen) => break seen,
            Err(held) => wait = retry_after(&held),
        }
    };
    assert_eq!(paid.status, 303, "{}", paid.html);
    let log = system.server.log().join("\n");
    assert!(log.contains("cards are being tried out on the page of this tenant"), "{log}");
    assert!(!log.contains("2001:db8") && !log.contains("198.51.100"), "an address is personal data");
}
