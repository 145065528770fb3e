//! Whose keys are whose: an account's keys are replaced by keys of the same account, which payments go on with, and never by another's.

use crate::{
    studio::{Studio, add_account, by_card},
    support::{
        catalogue::with,
        client::{Client, PATIENCE, Reply, fresh_key},
    },
};
use boxoffice_testkit::stripe::{Effect, Fault, StripeStandIn};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const INTENTS: &str = "/v1/payment_intents";

pub async fn story(studio: &Studio) {
    let neighbour = studio.stripe.neighbour().await.unwrap();
    let other = add_account(&studio.shop, "Neighbour", &neighbour, crate::studio::SECRET).await;
    assert_eq!(shown(&studio.shop, &studio.account).await["credentials"]["account"], studio.stripe.account_id());
    assert_eq!(shown(&studio.shop, &other).await["credentials"]["account"], neighbour.account_id());
    keys_of_another_account_are_refused(studio, &neighbour, &other).await;
    keys_that_are_rolled_are_taken_and_what_is_open_goes_on(studio).await;
    the_doctor_learns_whose_an_account_is(studio, &neighbour).await;
    money_goes_to_whom_the_rules_name(studio, &neighbour, &other).await;
    no_key_is_in_a_log(studio, &[neighbour.secret_key()]);
}

/// Stripe could not be asked when the account was added.
async fn the_doctor_learns_whose_an_account_is(studio: &Studio, neighbour: &StripeStandIn) {
    neighbour.faults().order(Fault::new(Effect::ServerErrorBefore).on("GET", "/v1/account"));
    let late = add_account(&studio.shop, "Late", neighbour, crate::studio::SECRET).await;
    assert_eq!(shown(&studio.shop, &late).await["credentials"].get("account"), None);
    let line = async || {
        let said = String::from_utf8(studio.system.command(&["doctor"]).await.stdout).unwrap();
        let line = said.lines().find(|line| line.contains(&late)).unwrap_or_else(|| panic!("{said}")).to_owned();
        assert!(line.starts_with('✓'), "{line}");
        line
    };
    let noted = format!("noted that it is {} there", neighbour.account_id());
    assert!(line().await.ends_with(&noted));
    assert!(!line().await.contains("noted"), "once");
    assert_eq!(shown(&studio.shop, &late).await["credentials"]["account"], neighbour.account_id());
    let other = studio.stripe.roll_key();
    give_keys(&studio.shop, &late, &other).await.expect_problem(409, "provider_account_differs");
}

async fn shown(shop: &Client, account: &str) -> Value {
    shop.get(&format!("/v1/providers/{account}")).await.expect(200)
}

async fn give_keys(shop: &Client, account: &str, key: &str) -> Reply {
    let keys = json!({"credentials": {"secret_key": key}});
    shop.send(shop.request(Method::PATCH, &format!("/v1/providers/{account}")).json(&keys)).await
}

/// Two accounts with books of their own: what is sold by one rule is captured in one of them.
async fn money_goes_to_whom_the_rules_name(studio: &Studio, neighbour: &StripeStandIn, other: &str) {
    let rules = json!({"rules": [{"max_amount": 2000, "to": [{"account": other}]}]});
    studio.shop.put("/v1/routing", &rules).await.expect(200);
    let routed = async {
        loop {
            let sold = studio.shop.buy(&by_card("pm_card_visa")).await;
            assert_eq!(sold["status"], "succeeded", "{sold}");
            let id = sold["id"].as_str().unwrap();
            let (theirs, ours) = (neighbour.book().captures_with("reference", id).len(), studio.captures(id).len());
            assert_eq!(theirs + ours, 1, "one of the two, once");
            if theirs == 1 {
                return;
            }
        }
    };
    // Processes hear of new rules within seconds.
    tokio::time::timeout(PATIENCE, routed).await.unwrap();
}

async fn keys_of_another_account_are_refused(studio: &Studio, neighbour: &StripeStandIn, other: &str) {
    let shop = &studio.shop;
    for (account, theirs) in [(studio.account.as_str(), neighbour.secret_key()), (other, studio.stripe.secret_key())] {
        let before = shown(shop, account).await;
        let refused = give_keys(shop, account, theirs).await;
        let problem = refused.expect_problem(409, "provider_account_differs");
        assert!(!refused.text.contains(theirs), "{problem}");
        assert_eq!(shown(shop, account).await, before, "nothing was changed");
    }
}

/// The three parts of rolling a key: Stripe makes a new one beside it, we are given it, the old one ends. Money is asked for, waited for and given back
/// all the while.
async fn keys_that_are_rolled_are_taken_and_what_is_open_goes_on(studio: &Studio) {
    let shop = &studio.shop;
    let sold = shop.buy(&by_card("pm_card_visa")).await;
    let sold = sold["id"].as_str().unwrap();
    let waiting = shop.buy(&by_card("pm_card_authenticationRequired")).await;
    assert_eq!(waiting["status"], "awaiting_payment", "{waiting}");
    let new = studio.stripe.roll_key();
    let taken = give_keys(shop, &studio.account, &new).await.expect(200);
    let hint = taken["credentials"]["key"].as_str().unwrap();
    assert!(hint.ends_with(&new[new.len() - 4..]), "{taken}");
    assert_eq!(taken["credentials"]["account"], studio.stripe.account_id(), "{taken}");
    // Every process hears of it within seconds; until then the old key is good.
    let heard = async {
        let mut with_new = 0;
        while with_new < 4 {
            let sold = shop.buy(&by_card("pm_card_visa")).await;
            assert_eq!((&sold["status"], studio.captures(sold["id"].as_str().unwrap()).len()), (&json!("succeeded"), 1), "{sold}");
            let asked = studio.stripe.book().requests_to("POST", INTENTS).pop().unwrap();
            let is_new = asked.headers["authorization"].to_str().unwrap().ends_with(&new);
            with_new = if is_new { with_new + 1 } else { 0 };
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.unwrap();
    studio.stripe.end_key(studio.stripe.secret_key());
    // What was opened with the old key is looked up, and what was taken with it is given back, with the new one.
    let intent = waiting["payment_attempts"][0]["provider_reference"].as_str().unwrap();
    studio.stripe.webhooks().hold();
    assert!(studio.stripe.authenticate(intent, true));
    let paid = shop.until(waiting["id"].as_str().unwrap(), "succeeded").await;
    assert_eq!(studio.captures(paid["id"].as_str().unwrap()).len(), 1);
    studio.stripe.webhooks().release();
    let refund = shop.request(Method::POST, &format!("/v1/checkouts/{sold}/refunds")).header("idempotency-key", fresh_key());
    let refund = shop.send(refund.json(&json!({}))).await;
    assert!(refund.status < 300, "{}", refund.text);
    shop.eventually(&format!("/v1/checkouts/{sold}"), |sold| sold["amount_refunded"] == 1500).await;
    let order = with(&by_card("pm_card_visa"), json!({"metadata": {"after": "rolling"}}));
    let last = shop.buy(&order).await;
    assert_eq!((&last["status"], studio.captures(last["id"].as_str().unwrap()).len()), (&json!("succeeded"), 1), "{last}");
    // The old one is good for nothing any more, neither there nor here.
    let old = give_keys(shop, &studio.account, studio.stripe.secret_key()).await;
    old.expect_problem(409, "provider_account_unknown");
    no_key_is_in_a_log(studio, &[&new]);
}

fn no_key_is_in_a_log(studio: &Studio, keys: &[&str]) {
    let programs = std::iter::once(&studio.system.server).chain(&studio.system.workers);
    for line in programs.flat_map(|program| program.log()) {
        assert!(!keys.iter().any(|key| line.contains(key)), "{line}");
    }
}
