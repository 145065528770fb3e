//! Customers with subscriptions: period after period goes by while everything dies, and each is charged once at the most.

use super::{PATIENCE, shop::Shop, site::Site, until};
use boxoffice_common::ports::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use tokio_util::sync::CancellationToken;

/// How many there are.
const COUNT: usize = 12;
/// A period of their plan: so far does time go for them at once, so that each time one more is due.
const PERIOD_MS: i64 = 30 * 24 * 3600 * 1000;
/// Between two such leaps.
const EVERY: Duration = Duration::from_secs(4);
/// What their renewals are paid with: all can be charged, and of some the answer is lost, or refused at first.
const CARDS: [&str; 3] = ["tok_visa", "tok_timeout_charged", "tok_flaky"];

/// Every checkout of theirs, and whether it was paid.
pub type Paid = BTreeMap<String, bool>;

/// Another tenant's customers, so that nobody takes their checkouts for his own.
pub struct Subscribers {
    shop: Shop,
}

impl Subscribers {
    /// Sells each of them the plan, and has each pay with another card from then on.
    pub async fn start(site: &Site, bases: Vec<String>) -> Self {
        let shop = Shop::new(bases, &site.newcomer("gym").await, "");
        let plan = json!({"name": "Gym", "unit_amount": 3100, "currency": "usd", "interval": "day", "interval_count": 30});
        shop.put("plans/pln_gym", plan).await;
        for n in 0..COUNT {
            let (customer, token) = (format!("cus_{n}"), CARDS[n % CARDS.len()]);
            shop.put(&format!("customers/{customer}"), json!({})).await;
            let card = json!({"type": "card", "token": token, "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2090});
            shop.put(&format!("customers/{customer}/payment-methods/pm_next"), card).await;
            let order = json!({
                "currency": "usd",
                "customer": customer,
                "lines": [{"type": "plan", "plan": "pln_gym"}],
                "payment": {"methods": [{"type": "card", "token": "tok_visa"}]},
            });
            let order = shop.send("/v1/checkouts", &customer, &order).await;
            let path = format!("/v1/checkouts/{}", order["id"].as_str().unwrap());
            let sale = until("the plan is sold", PATIENCE, || async {
                let sale = shop.get(&path).await;
                (sale["status"] == "succeeded").then_some(sale)
            })
            .await;
            let subscription = sale["lines"][0]["subscription"].as_str().unwrap();
            shop.send(&format!("/v1/subscriptions/{subscription}/payment-method"), &customer, &json!({"id": "pm_next"})).await;
        }
        Self { shop }
    }

    /// One period of each goes by, again and again until the end. Of whom a renewal is under way, time waits.
    pub async fn grow_older(&self, site: &Site, end: &CancellationToken) {
        let moved = ["period_from", "period_until", "starts_at", "due_at"].map(|name| format!("{name} = {name} - {PERIOD_MS}")).join(", ");
        let sql = format!("UPDATE subscriptions SET {moved} WHERE renewal IS NULL AND status IN ('active', 'past_due')");
        let mut leaps = 0;
        while end.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
            // The database may be the one that is dead.
            leaps += u32::from(site.sql(&sql).await.is_ok());
        }
        println!("{leaps} periods went by");
    }

    /// Waits until nothing is due of them any more.
    pub async fn settled(&self) -> Paid {
        let subscriptions = until("every renewal ends", PATIENCE, || async {
            let all = self.shop.get("/v1/subscriptions?limit=100").await["data"].as_array().unwrap().clone();
            let now = json!(SystemClock::default().now());
            let rests = |one: &Value| one["renewal"].is_null() && one["due_at"].as_str() > now.as_str();
            all.iter().all(rests).then_some(all)
        })
        .await;
        assert_eq!(subscriptions.len(), COUNT);
        let mut paid = Paid::new();
        for subscription in &subscriptions {
            let customer = subscription["customer"].as_str().unwrap();
            let list = self.shop.get(&format!("/v1/checkouts?limit=100&customer={customer}")).await;
            let theirs = list["data"].as_array().unwrap();
            assert!(theirs.iter().all(|one| ["succeeded", "failed"].contains(&one["status"].as_str().unwrap())), "{list}");
            let count = theirs.iter().filter(|one| one["status"] == "succeeded").count() as u64;
            // Of a period that was not paid in its time nobody is asked for the money afterwards.
            assert!(count <= subscription["period"]["n"].as_u64().unwrap(), "more was paid than there were periods: {subscription} {list}");
            paid.extend(theirs.iter().map(|one| (one["id"].as_str().unwrap().to_owned(), one["status"] == "succeeded")));
        }
        let renewed = paid.values().filter(|paid| **paid).count() - COUNT;
        assert!(renewed > COUNT, "only {renewed} renewals were paid");
        println!("{renewed} renewals were paid, {} were not", paid.values().filter(|paid| !**paid).count());
        paid
    }
}
