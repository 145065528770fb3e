//! Routing between accounts, and what the API tells of them.

use crate::studio::{SECRET, Studio, add_account, by_card};
use boxoffice_testkit::stripe::StripeStandIn;
use serde_json::json;

pub async fn story(studio: &Studio) {
    let shop = &studio.shop;
    // Another account with the same stand-in's key: told apart by our id in the metadata.
    let second = add_account(shop, "Second", &studio.stripe, SECRET).await;
    let at = |sold: &serde_json::Value| {
        let capture = studio.captures(sold["id"].as_str().unwrap()).remove(0);
        capture.metadata["account"].clone()
    };
    assert_eq!(at(&shop.buy(&by_card("pm_card_visa")).await), studio.account, "the oldest, without a rule");
    let rules = json!({"rules": [{"currencies": ["usd"], "max_amount": 2000, "to": [{"account": second}, {"account": studio.account, "weight": 0}]}]});
    shop.put("/v1/routing", &rules).await.expect(200);
    let routed = async {
        loop {
            let sold = shop.buy(&by_card("pm_card_visa")).await;
            if at(&sold) == second {
                return;
            }
        }
    };
    // Processes hear of new rules within seconds.
    tokio::time::timeout(crate::support::client::PATIENCE, routed).await.unwrap();
    // Whose keys are new is asked before they take the place of those under which payments may be open.
    let stranger = StripeStandIn::start().await.unwrap();
    let keys = json!({"credentials": {"secret_key": stranger.secret_key()}});
    let refused = shop.send(shop.request(reqwest::Method::PATCH, &format!("/v1/providers/{second}")).json(&keys)).await.expect(409);
    assert_eq!(refused["code"], "provider_account_unknown");
    // One that does not work says no for itself: an account with a key that Stripe does not know.
    let broken = add_account(shop, "Broken", &stranger, SECRET).await;
    let rules = json!({"rules": [{"to": [{"account": broken}, {"account": studio.account, "weight": 0}]}]});
    shop.put("/v1/routing", &rules).await.expect(200);
    let elsewhere = async {
        loop {
            let sold = shop.buy(&by_card("pm_card_visa")).await;
            assert_eq!(sold["status"], "succeeded", "{sold}");
            let tries = sold["payment_attempts"].as_array().unwrap().len();
            // A process that has not heard of the rules yet may take over between two tries, and goes by those from before.
            if tries > 1 && at(&sold) == studio.account {
                return;
            }
        }
    };
    tokio::time::timeout(crate::support::client::PATIENCE, elsewhere).await.unwrap();
    let listed = shop.get("/v1/providers").await.expect(200);
    let of_stripe = |account: &&serde_json::Value| account["provider"] == "stripe";
    assert_eq!(listed["data"].as_array().unwrap().iter().filter(of_stripe).count(), 3, "{listed}");
    assert!(listed["data"].as_array().unwrap().iter().all(|account| account["health"].is_object()), "{listed}");
    assert!(!listed.to_string().contains(studio.stripe.secret_key()));
}
