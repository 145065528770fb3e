//! Stripe asks the customer, and the answer that says where is lost: the same page is found again, and he is sent there.

use crate::{
    studio::{Studio, by_card},
    support::{catalogue::with, client::callback},
};
use boxoffice_testkit::{
    Receiver,
    stripe::{Effect, Fault, SeenRequest},
};
use serde_json::{Value, json};

const SESSIONS: &str = "/v1/checkout/sessions";
const INTENTS: &str = "/v1/payment_intents";

pub async fn story(studio: &Studio) {
    let receiver = Receiver::start().await.unwrap();
    a_page_is_found_again_and_paid_once(studio, &receiver).await;
    a_bank_that_asks_is_asked_again_where(studio, &receiver).await;
    with_no_time_left_the_page_is_taken_back(studio).await;
}

fn page_order(method: &Value, more: &Value) -> Value {
    let order = json!({
        "currency": "usd", "lines": [{"type": "session", "session": "ses_stripe", "quantity": 2}],
        "payment": {"methods": [method]}, "success_url": "https://shop.example/thanks",
    });
    with(&order, more.clone())
}

/// Orders it while something befalls what is asked of Stripe, and waits until there is something to be told: the checkout
/// as it was told then.
async fn lose(studio: &Studio, fault: Fault, order: &Value) -> Value {
    studio.stripe.faults().order(fault);
    let id = studio.shop.order(order).await;
    let told = studio.shop.get_with(&format!("/v1/checkouts/{id}"), "prefer", "wait=20").await.expect(200);
    assert_eq!(studio.stripe.faults().pending(), 0, "nothing was lost");
    told
}

/// How many pages Stripe has opened for a checkout.
fn opened(studio: &Studio, id: &str) -> usize {
    let is_it = |seen: &&SeenRequest| seen.key.as_ref().is_some_and(|key| key.starts_with(id)) && !seen.replayed;
    let executed = |seen: &&SeenRequest| seen.status.is_none_or(|status| status == 200);
    studio.stripe.book().requests_to("POST", SESSIONS).iter().filter(is_it).filter(executed).count()
}

async fn was_in_doubt(studio: &Studio, id: &str) {
    let timeline = studio.shop.timeline(id).await;
    assert!(timeline.contains("charge.unknown") && !timeline.contains("void"), "{timeline}");
}

async fn a_page_is_found_again_and_paid_once(studio: &Studio, receiver: &Receiver) {
    let hooks = json!({"callback_url": format!("{}/hooks", receiver.url()), "expires_in": 3600});
    let of_its_own = json!({"type": "provider_page"});
    let within = json!({"type": "provider_page", "ui_mode": "embedded"});
    for (method, effect) in [(&of_its_own, Effect::CutAfter), (&within, Effect::CutAfter), (&of_its_own, Effect::ServerErrorBefore)] {
        let waiting = lose(studio, Fault::new(effect).on("POST", SESSIONS), &page_order(method, &hooks)).await;
        let id = waiting["id"].as_str().unwrap();
        assert_eq!(waiting["status"], "awaiting_payment", "whoever waits is told of the page, and of nothing before: {waiting}");
        was_in_doubt(studio, id).await;
        let now = studio.shop.checkout(id).await;
        let attempt = &now["payment_attempts"][0];
        let session = attempt["provider_reference"].as_str().unwrap();
        if method == &within {
            assert_eq!(attempt["action"]["client_secret"], studio.stripe.book().object(session).unwrap()["client_secret"]);
        } else {
            assert_eq!(now["payment_url"], studio.stripe.book().object(session).unwrap()["url"]);
        }
        let told = callback(receiver, "checkout.awaiting_payment", id).await.json();
        assert_eq!((&told["data"]["payment_url"], &told["data"]["expires_at"]), (&now["payment_url"], &waiting["expires_at"]), "{told}");
        assert_eq!(opened(studio, id), 1, "{effect:?}: one page");
        let browser = studio.shop.with_key(None);
        let page = browser.request(reqwest::Method::POST, &studio.stripe.session_page(session));
        browser.send(page.header("content-type", "application/x-www-form-urlencoded").body("card=pm_card_visa")).await;
        let sold = studio.shop.until(id, "succeeded").await;
        assert_eq!((&sold["amount_paid"], studio.captures(id).len()), (&json!(3000), 1), "{sold}");
    }
}

async fn a_bank_that_asks_is_asked_again_where(studio: &Studio, receiver: &Receiver) {
    for (yes, ends) in [(true, "succeeded"), (false, "failed")] {
        let hooks = json!({"callback_url": format!("{}/hooks", receiver.url())});
        let order = with(&by_card("pm_card_authenticationRequired"), hooks);
        let waiting = lose(studio, Fault::new(Effect::CutAfter).on("POST", INTENTS), &order).await;
        let id = waiting["id"].as_str().unwrap();
        assert_eq!(waiting["status"], "awaiting_payment", "{waiting}");
        was_in_doubt(studio, id).await;
        assert!(waiting["payment_url"].as_str().unwrap().starts_with(studio.stripe.url()), "{waiting}");
        callback(receiver, "checkout.awaiting_payment", id).await;
        let intent = waiting["payment_attempts"][0]["provider_reference"].as_str().unwrap();
        assert_eq!(studio.stripe.authenticate(intent, yes), yes);
        studio.shop.until(id, ends).await;
        assert_eq!(studio.captures(id).len(), usize::from(yes));
    }
}

async fn with_no_time_left_the_page_is_taken_back(studio: &Studio) {
    let order = page_order(&json!({"type": "provider_page"}), &json!({"expires_in": 20}));
    // Stripe lets no page end so soon: it refuses that, and the answer to the second request is the one that is lost.
    let over = lose(studio, Fault::new(Effect::CutAfter).on("POST", SESSIONS).after(1), &order).await;
    let id = over["id"].as_str().unwrap();
    let over = studio.shop.settled(id).await;
    assert_eq!((&over["status"], &over["payment_url"]), (&json!("expired"), &Value::Null), "{over}");
    let session = over["payment_attempts"][0]["provider_reference"].as_str().unwrap();
    assert_eq!(studio.stripe.book().object(session).unwrap()["status"], "expired");
    assert!(studio.captures(id).is_empty());
}
