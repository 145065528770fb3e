//! What a customer does on Stripe's pages: confirms a card, or pays there; and comes back.

use crate::{
    studio::{Studio, by_card},
    support::{
        catalogue::with,
        client::{Client, Reply},
    },
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub async fn story(studio: &Studio) {
    a_card_is_confirmed_at_the_bank_and_the_customer_comes_back_to_the_shop(studio).await;
    a_confirmation_that_fails_is_a_decline(studio).await;
    whoever_pays_on_stripes_page_has_paid_once(studio).await;
    our_page_leads_to_stripes_and_back(studio).await;
}

fn browser(studio: &Studio) -> Client {
    studio.shop.with_key(None)
}

/// Follows redirects of pages, until one is none of ours or Stripe's.
async fn follow(browser: &Client, mut reply: Reply) -> (String, Reply) {
    for _ in 0..10 {
        let Some(next) = reply.header("location").map(str::to_owned).filter(|_| (300..400).contains(&reply.status)) else { break };
        if next.starts_with("https://shop.example") {
            return (next, reply);
        }
        reply = browser.get(&next).await;
    }
    (String::new(), reply)
}

fn shop_order(token: &str) -> Value {
    with(&by_card(token), json!({"success_url": "https://shop.example/thanks", "cancel_url": "https://shop.example/cart"}))
}

async fn a_card_is_confirmed_at_the_bank_and_the_customer_comes_back_to_the_shop(studio: &Studio) {
    let waiting = studio.shop.buy(&shop_order("pm_card_authenticationRequired")).await;
    assert_eq!(waiting["status"], "awaiting_payment", "{waiting}");
    let page = waiting["payment_url"].as_str().unwrap();
    assert!(page.starts_with(studio.stripe.url()), "{page}");
    let browser = browser(studio);
    assert_eq!(browser.get(page).await.status, 200);
    let intent = waiting["payment_attempts"][0]["provider_reference"].as_str().unwrap();
    let back = studio.stripe.book().object(intent).unwrap()["next_action"]["redirect_to_url"]["return_url"].as_str().unwrap().to_owned();
    assert!(studio.stripe.authenticate(intent, true));
    let (at, _) = follow(&browser, browser.get(&back).await).await;
    assert!(at.starts_with("https://shop.example/thanks?") && at.contains("status=succeeded"), "{at}");
    let sold = studio.shop.settled(waiting["id"].as_str().unwrap()).await;
    assert_eq!((&sold["status"], studio.captures(sold["id"].as_str().unwrap()).len()), (&json!("succeeded"), 1));
    // Whoever guesses the address learns nothing.
    let guessed = format!("{}{}", &back[..back.len() - 1], if back.ends_with('A') { 'B' } else { 'A' });
    assert_eq!(browser.get(&guessed).await.status, 404);
}

async fn a_confirmation_that_fails_is_a_decline(studio: &Studio) {
    let waiting = studio.shop.buy(&shop_order("pm_card_authenticationRequired")).await;
    let (id, intent) = (waiting["id"].as_str().unwrap(), waiting["payment_attempts"][0]["provider_reference"].as_str().unwrap());
    assert!(!studio.stripe.authenticate(intent, false), "it was refused");
    let failed = studio.shop.until(id, "failed").await;
    assert_eq!(failed["error"]["code"], "card_declined", "{failed}");
    assert!(studio.captures(id).is_empty());
}

async fn whoever_pays_on_stripes_page_has_paid_once(studio: &Studio) {
    let order = json!({
        "currency": "usd", "lines": [{"type": "session", "session": "ses_stripe", "quantity": 2}],
        "payment": {"methods": [{"type": "provider_page"}]}, "success_url": "https://shop.example/thanks",
    });
    let waiting = studio.shop.buy(&order).await;
    assert_eq!(waiting["status"], "awaiting_payment", "{waiting}");
    let session = waiting["payment_attempts"][0]["provider_reference"].as_str().unwrap();
    let back = studio.stripe.book().object(session).unwrap()["cancel_url"].as_str().unwrap().to_owned();
    let asked = Instant::now();
    let turned_back = browser(studio).get(&back).await;
    assert!(asked.elapsed() < Duration::from_secs(9), "whoever turned back waits for no answer: {:?}", asked.elapsed());
    assert!(turned_back.status == 200 && turned_back.text.contains("not complete yet"), "{}", turned_back.text);
    assert!(turned_back.text.contains("Back to the payment"), "whoever turned back can still pay: {}", turned_back.text);
    pay_at(studio, waiting["payment_url"].as_str().unwrap()).await;
    let sold = studio.shop.until(waiting["id"].as_str().unwrap(), "succeeded").await;
    assert_eq!((&sold["amount_paid"], studio.captures(sold["id"].as_str().unwrap()).len()), (&json!(3000), 1), "{sold}");
}

async fn our_page_leads_to_stripes_and_back(studio: &Studio) {
    let order = json!({
        "currency": "usd", "lines": [{"type": "session", "session": "ses_stripe", "quantity": 1}],
        "payment": {"hosted": {}}, "success_url": "https://shop.example/thanks",
    });
    let waiting = studio.shop.buy(&order).await;
    let (id, ours) = (waiting["id"].as_str().unwrap(), waiting["payment_url"].as_str().unwrap());
    let browser = browser(studio);
    let page = browser.get(ours).await;
    assert!(page.text.contains("Entered on the next page, at Stripe") && !page.text.contains("tok_visa"), "{}", page.text);
    let field = |name: &str| {
        let from = page.text.find(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("no {name}")) + name.len() + 15;
        page.text[from..].split('"').next().unwrap().to_owned()
    };
    let form = format!("intent=pay&n={}&form={}&card=there", field("n"), field("form"));
    let sent = browser.send(posted(&browser, ours, form)).await;
    assert_eq!(sent.status, 303, "{}", sent.text);
    let path = format!("/v1/checkouts/{id}");
    let is_there =
        |checkout: &Value| checkout["payment_attempts"][0]["provider_reference"].as_str().is_some_and(|id| id.starts_with("cs_"));
    let theirs = studio.shop.eventually(&path, is_there).await;
    let session = theirs["payment_attempts"][0]["provider_reference"].as_str().unwrap().to_owned();
    let turned_back = studio.stripe.book().object(&session).unwrap()["cancel_url"].as_str().unwrap().to_owned();
    let ways = browser.get(&turned_back).await.text;
    for way in ["Continue to Stripe", "Pay in another way", "Yes, cancel the order"] {
        assert!(ways.contains(way), "{way}: {ways}");
    }
    let back = pay_at(studio, &studio.stripe.session_page(&session)).await;
    let (at, last) = follow(&browser, browser.get(&back).await).await;
    assert!(at.starts_with("https://shop.example/thanks?"), "{at} {}", last.text);
    assert_eq!(studio.captures(id).len(), 1);
}

/// Pays on Stripe's page with the first card that is offered there, and says where it leads.
async fn pay_at(studio: &Studio, page: &str) -> String {
    let browser = browser(studio);
    assert_eq!(browser.get(page).await.status, 200);
    let paid = browser.send(posted(&browser, page, "card=pm_card_visa".to_owned())).await;
    assert!((300..400).contains(&paid.status), "{} {}", paid.status, paid.text);
    paid.header("location").unwrap().to_owned()
}

fn posted(browser: &Client, url: &str, form: String) -> reqwest::RequestBuilder {
    browser.request(reqwest::Method::POST, url).header("content-type", "application/x-www-form-urlencoded").body(form)
}
