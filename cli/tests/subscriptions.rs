//! Subscriptions over months: the real server is started again with a clock that is ahead, and renews what has become due meanwhile. And
//! the page about them does what it says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod chaos;
mod support;

use boxoffice_common::domain::time::Timestamp;
use boxoffice_testkit::Receiver;
use chaos::{PATIENCE, process::Process, site::Site};
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use support::{
    catalogue::{order, put, with},
    client::{Client, callback},
};

const DAY_MS: i64 = 24 * 3600 * 1000;

/// A server that goes through time.
struct Server {
    site: Site,
    process: Process,
    shop: Client,
}

impl Server {
    async fn start() -> Self {
        let site = Site::embedded();
        let process = Process::start("serve-subscriptions", site.serve()).await;
        let shop = Client::new(process.base_url(), Some(site.key()));
        Self { site, process, shop }
    }

    /// It is `at` now.
    async fn go_to(&mut self, at: Timestamp) {
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
        self.process.again_with("BOXOFFICE_CLOCK_AHEAD_MS", &(at.millis() - now).to_string()).await;
    }

    /// A customer who has bought a plan with a card that is approved, and pays with `token` from then on.
    async fn subscribe(&self, customer: &str, plan: &str, token: &str, callback_url: &str) -> Value {
        put(&self.shop, "customers", customer, json!({})).await;
        let card = json!({"type": "card", "token": token, "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2030});
        self.shop.put(&format!("/v1/customers/{customer}/payment-methods/pm_next"), &card).await.expect(201);
        let lines = json!([{"type": "plan", "plan": plan}]);
        let sale = self.shop.buy(&with(&order(lines, "tok_visa"), json!({"customer": customer, "callback_url": callback_url}))).await;
        let path = path(sale["lines"][0]["subscription"].as_str().unwrap(), "/payment-method");
        self.shop.post(&path, &json!({"id": "pm_next"})).await.expect(200)
    }

    /// The subscription once `holds` of it.
    async fn until(&self, subscription: &Value, holds: impl Fn(&Value) -> bool) -> Value {
        self.shop.eventually(&path(id(subscription), ""), holds).await
    }

    /// The charges in the provider's book of all that its customer has bought, by their status.
    async fn charged(&self, subscription: &Value) -> Vec<String> {
        let customer = subscription["customer"].as_str().unwrap();
        let bought = self.shop.get(&format!("/v1/checkouts?customer={customer}&limit=100")).await.expect(200);
        let mut charged = Vec::new();
        for checkout in bought["data"].as_array().unwrap().iter().rev() {
            charged.extend(self.shop.charged(id(checkout)).await);
        }
        charged
    }
}

fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

fn path(subscription: &str, action: &str) -> String {
    format!("/v1/subscriptions/{subscription}{action}")
}

fn time(value: &Value) -> Timestamp {
    Timestamp::parse(value.as_str().unwrap()).unwrap()
}

fn later(at: Timestamp, days: i64) -> Timestamp {
    Timestamp::from_millis(at.millis() + days * DAY_MS + 60_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_a_subscription_renews_month_by_month_is_tried_again_waits_for_its_customer_and_ends() {
    let (mut server, receiver) = (Server::start().await, Receiver::start().await.unwrap());
    let month = json!({"name": "Gym", "unit_amount": 3100, "currency": "usd", "interval": "month"});
    put(&server.shop, "plans", "pln_gym", month).await;
    let hook = receiver.url().to_owned();
    let paying = server.subscribe("cus_paying", "pln_gym", "tok_visa", &hook).await;
    let broke = server.subscribe("cus_broke", "pln_gym", "tok_insufficient_funds", &hook).await;
    let careful = server.subscribe("cus_careful", "pln_gym", "tok_3ds", &hook).await;
    let leaving = server.subscribe("cus_leaving", "pln_gym", "tok_visa", &hook).await;
    server.shop.post(&path(id(&leaving), "/cancel"), &json!({"at_period_end": true})).await.expect(200);
    let paused = server.subscribe("cus_paused", "pln_gym", "tok_visa", &hook).await;
    server.shop.post(&path(id(&paused), "/pause"), &json!({})).await.expect(200);

    // A month later.
    let ends = ["paying", "broke", "careful", "leaving", "paused"].len();
    assert_eq!(ends, 5);
    let month_end = [&paying, &broke, &careful].map(|subscription| time(&subscription["due_at"])).into_iter().max().unwrap();
    server.go_to(later(month_end, 0)).await;
    let renewed = server.until(&paying, |now| now["period"]["n"] == 2).await;
    assert_eq!((&renewed["status"], &renewed["period"]["from"]), (&json!("active"), &paying["period"]["until"]));
    assert_eq!(server.charged(&paying).await, ["captured", "captured"]);
    callback(&receiver, "subscription.renewed", id(&paying)).await;
    let past_due = server.until(&broke, |now| now["status"] == "past_due").await;
    assert_eq!((&past_due["error"]["code"], &past_due["failed_renewals"]), (&json!("card_declined"), &json!(1)));
    callback(&receiver, "subscription.past_due", id(&broke)).await;
    let waiting = server.until(&careful, |now| now["renewal"].is_string()).await;
    let renewal = waiting["renewal"].as_str().unwrap();
    let link = callback(&receiver, "checkout.awaiting_payment", renewal).await.json();
    assert!(link["data"]["payment_url"].as_str().unwrap().starts_with("http"), "{link}");
    server.until(&leaving, |now| now["status"] == "canceled").await;
    assert_eq!(server.charged(&leaving).await, ["captured"]);

    // Who does not confirm in a day is asked again; a card that works pays at once.
    let card = json!({"type": "card", "token": "tok_visa", "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2030});
    server.shop.put("/v1/customers/cus_broke/payment-methods/pm_good", &card).await.expect(201);
    server.shop.post(&path(id(&broke), "/payment-method"), &json!({"id": "pm_good"})).await.expect(200);
    let paid = server.until(&broke, |now| now["status"] == "active").await;
    assert_eq!((&paid["period"]["n"], &paid["period"]["from"]), (&json!(2), &broke["period"]["until"]));
    server.go_to(later(month_end, 2)).await;
    let again = server.until(&careful, |now| now["failed_renewals"] == 1).await;
    assert_eq!((&again["status"], &again["error"]["code"]), (&json!("past_due"), &json!("expired")));
    server.shop.post(&path(id(&careful), "/cancel"), &json!({})).await;
    server.until(&careful, |now| now["status"] == "canceled").await;

    // Nobody was there for half a year: one period is paid, and the day of the month is what it was.
    server.go_to(later(month_end, 180)).await;
    let late = server.until(&paying, |now| now["period"]["n"].as_u64() > Some(6)).await;
    assert_eq!(server.charged(&paying).await.len(), 3, "{late}");
    let resumed = server.shop.post(&path(id(&paused), "/resume"), &json!({})).await.expect(200);
    assert_eq!(server.charged(&paused).await.first().map(String::as_str), Some("captured"));
    let on = server.until(&paused, |now| now["period"]["n"] == 2).await;
    assert!(time(&on["period"]["from"]).millis() - time(&resumed["updated_at"]).millis() <= 0, "{on}");
    assert_eq!(server.charged(&paused).await, ["captured", "captured"]);
    server.process.program().terminate(PATIENCE).await.unwrap();
}

/// A trial charges nothing, and has a card all the same: the one that was saved is charged when it is over, and no other of its customer's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trial_that_is_begun_with_a_saved_card_is_charged_to_that_card_when_it_is_over() {
    let mut server = Server::start().await;
    let plan = json!({"name": "Gym", "unit_amount": 3100, "currency": "usd", "interval": "month", "trial_days": 7});
    put(&server.shop, "plans", "pln_trial", plan).await;
    let mut begun = Vec::new();
    // Each has a card of the other kind, too.
    for (customer, saved, other) in [("cus_rich", "tok_visa", "tok_declined"), ("cus_poor", "tok_declined", "tok_visa")] {
        put(&server.shop, "customers", customer, json!({})).await;
        for (method, token) in [("pm_other", other), ("pm_saved", saved), ("pm_later", other)] {
            let card = json!({"type": "card", "token": token, "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2030});
            server.shop.put(&format!("/v1/customers/{customer}/payment-methods/{method}"), &card).await.expect(201);
        }
        let lines = json!([{"type": "plan", "plan": "pln_trial"}]);
        let saved = json!({"methods": [{"type": "saved_method", "id": "pm_saved"}]});
        let sale = server.shop.buy(&with(&order(lines, ""), json!({"customer": customer, "payment": saved}))).await;
        assert_eq!((&sale["status"], &sale["amount_total"]), (&json!("succeeded"), &json!(0)), "{sale}");
        let trial = server.shop.get(&path(sale["lines"][0]["subscription"].as_str().unwrap(), "")).await.expect(200);
        assert_eq!((&trial["status"], &trial["payment_method"]), (&json!("trialing"), &json!("pm_saved")));
        assert_eq!(server.charged(&trial).await, [""; 0], "a trial charges nothing");
        begun.push(trial);
    }
    server.go_to(later(time(&begun[1]["due_at"]), 0)).await;
    let paid = server.until(&begun[0], |now| now["period"]["n"] == 1).await;
    assert_eq!((&paid["status"], &paid["period"]["from"]), (&json!("active"), &begun[0]["period"]["until"]));
    assert_eq!(server.charged(&begun[0]).await, ["captured"]);
    let refused = server.until(&begun[1], |now| now["failed_renewals"] == 1).await;
    assert_eq!((&refused["status"], &refused["error"]["code"]), (&json!("past_due"), &json!("card_declined")));
    assert!(!server.charged(&begun[1]).await.contains(&"captured".to_owned()));
    server.process.program().terminate(PATIENCE).await.unwrap();
}

/// The commands of the page, as they stand there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_about_subscriptions_does_what_it_says() {
    let server = Server::start().await;
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/subscriptions.md")).unwrap();
    let blocks: Vec<&str> = page.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block).collect();
    assert_eq!(blocks.len(), 2);
    let ran = async |script: &str| {
        let setting = format!(
            "api='{}'; auth='Authorization: Bearer {}'; json='Content-Type: application/json'",
            server.process.base_url(),
            server.site.key()
        );
        let mut shell = tokio::process::Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", &format!("{setting}\n{script}")]).kill_on_drop(true);
        let output = tokio::time::timeout(Duration::from_secs(60), shell.output()).await.expect("the commands come to an end").unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}\n{said}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
        said
    };
    assert!(ran(blocks[0]).await.contains(r#""plan":"pln_gym""#));
    server.shop.eventually("/v1/subscriptions?customer=cus_demo_ada&status=trialing", |list| list["data"][0].is_object()).await;
    let said = ran(blocks[1]).await;
    for promise in [r#""status":"paused""#, r#""status":"trialing""#, r#""cancel_at_period_end":true"#] {
        assert!(said.contains(promise), "{promise} is missing in\n{said}");
    }
    server.site.audit(Duration::from_secs(60)).await;
}

/// The body that the API's own page shows, with everything in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkout_with_a_line_of_each_kind_is_sold() {
    let server = Server::start().await;
    let sale = json!({
        "customer": "cus_demo_ada", "currency": "usd",
        "lines": [
            {"type": "session", "session": "ses_demo_gala", "seats": ["A1", "A2"]},
            {"type": "session", "session": "ses_demo_yoga", "quantity": 2, "unit_amount": 1500},
            {"type": "product", "product": "prd_demo_mat", "quantity": 1},
            {"type": "plan", "plan": "pln_demo_monthly"},
            {"type": "membership", "membership": "mem_demo_pack10"},
            {"type": "custom", "name": "Shoe hire", "unit_amount": 500, "quantity": 1}
        ],
        "promo_code": "DEMO10", "payment": {"methods": [{"type": "card", "token": "tok_visa"}]}
    });
    let sale = server.shop.buy(&sale).await;
    assert_eq!(
        (&sale["status"], &sale["amount_subtotal"], &sale["amount_discount"]),
        (&json!("succeeded"), &json!(32_900), &json!(3_290)),
        "{sale}"
    );
    let subscription = server.shop.get(&path(sale["lines"][3]["subscription"].as_str().unwrap(), "")).await.expect(200);
    assert_eq!((&subscription["status"], &subscription["unit_amount"]), (&json!("active"), &json!(4900)));
    server.site.audit(Duration::from_secs(60)).await;
}
