//! Renewals are due, and the processes die in the middle of them, again and again: each period is charged once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod chaos;
mod support;

use chaos::{PATIENCE, process::Process, site::Site};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use std::{collections::HashMap, time::Duration};
use support::{
    catalogue::{order, put, with},
    client::Client,
};

const SUBSCRIBERS: usize = 60;
/// How many buy at once.
const AT_ONCE: usize = 20;
/// Forty days: one month is over.
const AHEAD_MS: i64 = 40 * 24 * 3600 * 1000;
/// What renewals are paid with, and whether the provider has one charge of it or none.
const CARDS: [(&str, usize); 5] = [("tok_visa", 1), ("tok_timeout_charged", 1), ("tok_flaky", 1), ("tok_declined", 0), ("tok_visa", 1)];
/// Where the process dies, one life after the other.
const DEATHS: [&str; 8] = [
    "renew.before_commit=kill",
    "renew.after_commit=kill",
    "begin.after_commit=kill@3",
    "charge.before_send=kill@5",
    "charge.after_send=kill@2",
    "settle.before_commit=kill@2",
    "settle.after_commit=kill@3",
    "publish.before=kill@2",
];

/// Sells a plan to each of many customers, who pay with another card from then on. Answers their subscriptions.
async fn subscribers(shop: &Client) -> Vec<Value> {
    put(shop, "plans", "pln_gym", json!({"name": "Gym", "unit_amount": 3100, "currency": "usd", "interval": "month"})).await;
    stream::iter(0..SUBSCRIBERS)
        .map(async |n| {
            let (customer, token) = (format!("cus_{n}"), CARDS[n % CARDS.len()].0);
            put(shop, "customers", &customer, json!({})).await;
            let card = json!({"type": "card", "token": token, "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2030});
            shop.put(&format!("/v1/customers/{customer}/payment-methods/pm_next"), &card).await.expect(201);
            let sale =
                shop.buy(&with(&order(json!([{"type": "plan", "plan": "pln_gym"}]), "tok_visa"), json!({"customer": customer}))).await;
            let id = sale["lines"][0]["subscription"].as_str().unwrap().to_owned();
            shop.post(&format!("/v1/subscriptions/{id}/payment-method"), &json!({"id": "pm_next"})).await.expect(200)
        })
        .buffered(AT_ONCE)
        .collect()
        .await
}

/// Waits until every renewal has ended. Answers the checkout of each, in the order of the subscriptions.
async fn renewals(shop: &Client, subscriptions: &[Value]) -> Vec<Value> {
    let mut renewals = Vec::new();
    for (n, subscription) in subscriptions.iter().enumerate() {
        let path = format!("/v1/subscriptions/{}", subscription["id"].as_str().unwrap());
        let status = if CARDS[n % CARDS.len()].1 == 1 { "active" } else { "past_due" };
        let ended = chaos::until("the renewal ends", PATIENCE, async || {
            let now = shop.get(&path).await.expect(200);
            let has_ended = now["renewal"].is_null() && (now["period"]["n"] == 2 || now["failed_renewals"] == 1);
            has_ended.then_some(now)
        })
        .await;
        assert_eq!(ended["status"], status, "{ended}");
        let customer = subscription["customer"].as_str().unwrap();
        let checkouts = shop.get(&format!("/v1/checkouts?customer={customer}")).await.expect(200);
        let checkouts = checkouts["data"].as_array().unwrap();
        assert_eq!(checkouts.len(), 2, "the sale and one renewal: {checkouts:?}");
        renewals.push(checkouts[0].clone());
    }
    renewals
}

async fn reckon(site: &Site, renewals: &[Value]) {
    let mut book: HashMap<String, usize> = HashMap::new();
    for charge in site.charges().await.into_iter().filter(|charge| charge.status.as_str() == "captured") {
        *book.entry(charge.reference.clone()).or_default() += 1;
    }
    for (n, renewal) in renewals.iter().enumerate() {
        let charged = book.get(renewal["id"].as_str().unwrap()).copied().unwrap_or(0);
        assert_eq!(charged, CARDS[n % CARDS.len()].1, "{renewal}");
    }
    site.audit(Duration::from_secs(60)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_embedded_each_period_is_charged_once_although_the_server_dies_in_the_middle_of_its_renewals() {
    let site = Site::embedded();
    let mut server = Process::start("serve-renewals", site.serve()).await;
    let shop = Client::new(server.base_url(), Some(site.key()));
    let subscriptions = subscribers(&shop).await;
    server.program().terminate(PATIENCE).await.unwrap();
    server
        .program()
        .restart_with(|recipe| recipe.env("BOXOFFICE_CLOCK_AHEAD_MS", AHEAD_MS.to_string()).env("BOXOFFICE_FAILPOINTS", DEATHS[0]))
        .await
        .ok();
    for next in DEATHS[1..].iter().copied().chain([""]) {
        assert!(server.killed_itself(PATIENCE).await, "it did not die before {next:?}");
        server.again_with_failpoints(next).await;
    }
    let renewals = renewals(&shop, &subscriptions).await;
    server.program().terminate(PATIENCE).await.unwrap();
    reckon(&site, &renewals).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_distributed_each_period_is_charged_once_although_a_worker_dies_beside_another_that_renews_too() {
    let mut site = Site::on_shared_servers("renewals").await;
    let mut sandbox = site.sandbox().await;
    let mut api = Process::start("api-renewals", site.api()).await;
    let mut mortal = Process::start("worker-mortal-renewals", site.worker()).await;
    let shop = Client::new(api.base_url(), Some(site.key()));
    let subscriptions = subscribers(&shop).await;
    mortal.program().terminate(PATIENCE).await.unwrap();
    let database = sqlx::PgPool::connect(site.database()).await.unwrap();
    let moved = ["period_from", "period_until", "starts_at", "due_at"].map(|name| format!("{name} = {name} - {AHEAD_MS}")).join(", ");
    sqlx::query(sqlx::AssertSqlSafe(format!("UPDATE subscriptions SET {moved}"))).execute(&database).await.unwrap();
    for death in &DEATHS[..4] {
        mortal.again_with_failpoints(death).await;
        assert!(mortal.killed_itself(PATIENCE).await, "{death}");
    }
    let mut other = Process::start("worker-other-renewals", site.worker()).await;
    for death in &DEATHS[4..6] {
        mortal.again_with_failpoints(death).await;
        // The other one may have done all the work by now.
        if !mortal.killed_itself(Duration::from_secs(5)).await {
            mortal.program().terminate(PATIENCE).await.unwrap();
        }
    }
    mortal.again_with_failpoints("").await;
    let renewals = renewals(&shop, &subscriptions).await;
    for process in [&mut api, &mut mortal, &mut other, &mut sandbox] {
        process.program().terminate(PATIENCE).await.unwrap();
    }
    reckon(&site, &renewals).await;
}
