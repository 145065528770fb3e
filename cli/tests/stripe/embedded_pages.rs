//! Stripe's page within the shop's own: the shop is given what shows it, and nobody else is.

use crate::{
    studio::{PUBLISHABLE, Studio},
    support::{
        catalogue::with,
        client::{PATIENCE, Reply},
        system::{Deployment, System},
    },
};
use boxoffice_testkit::stripe::{Effect, Fault, SeenRequest};
use serde_json::{Value, json};

const SESSIONS: &str = "/v1/checkout/sessions";

pub async fn story(studio: &Studio) {
    it_is_paid_once_and_its_secret_is_told_to_whoever_reads_the_checkout_alone(studio).await;
    whoever_pays_in_time_is_sold_to_though_the_browser_never_comes_back(studio).await;
    what_is_cancelled_or_not_paid_in_time_can_be_paid_no_more(studio).await;
}

fn order(more: &Value) -> Value {
    let order = json!({
        "currency": "usd", "lines": [{"type": "session", "session": "ses_stripe", "quantity": 2}],
        "payment": {"methods": [{"type": "provider_page", "ui_mode": "embedded"}]}, "success_url": "https://shop.example/thanks",
    });
    with(&order, more.clone())
}

/// The session at Stripe, and what it is shown with.
fn form_of(waiting: &Value) -> (&str, &str) {
    assert_eq!((&waiting["status"], &waiting["payment_url"]), (&json!("awaiting_payment"), &Value::Null), "{waiting}");
    let attempt = &waiting["payment_attempts"][0];
    assert_eq!((&attempt["action"]["type"], &attempt["action"]["publishable_key"]), (&json!("embedded_page"), &json!(PUBLISHABLE)));
    (attempt["provider_reference"].as_str().unwrap(), attempt["action"]["client_secret"].as_str().unwrap())
}

/// The customer pays in Stripe's form. Says where Stripe leads him then.
async fn fill_in(studio: &Studio, session: &str) -> Reply {
    let browser = studio.shop.with_key(None);
    let page = browser.request(reqwest::Method::POST, &studio.stripe.session_page(session));
    browser.send(page.header("content-type", "application/x-www-form-urlencoded").body("card=pm_card_visa")).await
}

async fn it_is_paid_once_and_its_secret_is_told_to_whoever_reads_the_checkout_alone(studio: &Studio) {
    let waiting = studio.shop.buy(&order(&json!({}))).await;
    let (id, (session, secret)) = (waiting["id"].as_str().unwrap(), form_of(&waiting));
    assert_eq!(studio.stripe.book().object(session).unwrap()["client_secret"], secret);
    let shop = &studio.shop;
    for path in ["/v1/checkouts".to_owned(), format!("/v1/checkouts/{id}/timeline")] {
        let told = shop.get(&path).await;
        assert!(told.status == 200 && !told.text.contains("_secret_"), "{path}: {}", told.text);
    }
    let asked = studio.stripe.book().requests_to("GET", SESSIONS).len();
    for _ in 0..3 {
        assert_eq!(form_of(&shop.checkout(id).await).1, secret);
    }
    assert!(studio.stripe.book().requests_to("GET", SESSIONS).len() <= asked + 1, "whoever polls us does not poll Stripe");
    let back = fill_in(studio, session).await;
    let ours = back.header("location").unwrap();
    assert!(ours.contains("/return/chk_"), "{ours}");
    let browser = shop.with_key(None);
    let thanks = browser.get(ours).await;
    assert!(thanks.header("location").is_some_and(|at| at.starts_with("https://shop.example/thanks?")), "{}", thanks.text);
    let sold = shop.settled(id).await;
    assert_eq!((&sold["status"], &sold["amount_paid"]), (&json!("succeeded"), &json!(3000)), "{sold}");
    assert!(!sold.to_string().contains("_secret_"), "{sold}");
    assert_eq!(studio.captures(id).len(), 1);
    let programs = std::iter::once(&studio.system.server).chain(&studio.system.workers);
    for line in programs.flat_map(|program| program.log()) {
        assert!(!line.contains(secret), "{line}");
    }
}

async fn whoever_pays_in_time_is_sold_to_though_the_browser_never_comes_back(studio: &Studio) {
    let waiting = studio.shop.buy(&order(&json!({}))).await;
    let id = waiting["id"].as_str().unwrap();
    fill_in(studio, form_of(&waiting).0).await;
    let sold = studio.shop.until(id, "succeeded").await;
    assert_eq!((&sold["amount_paid"], studio.captures(id).len()), (&json!(3000), 1), "{sold}");
}

async fn what_is_cancelled_or_not_paid_in_time_can_be_paid_no_more(studio: &Studio) {
    let shop = &studio.shop;
    for (more, ends) in [(json!({}), "canceled"), (json!({"expires_in": 10}), "expired")] {
        let waiting = shop.buy(&order(&more)).await;
        let (id, (session, _)) = (waiting["id"].as_str().unwrap(), form_of(&waiting));
        if ends == "canceled" {
            assert_eq!(shop.post(&format!("/v1/checkouts/{id}/cancel"), &json!({})).await.status, 202);
        }
        let over = shop.until(id, ends).await;
        assert!(!over.to_string().contains("_secret_"), "{over}");
        assert_eq!(studio.stripe.book().object(session).unwrap()["status"], "expired");
        assert_eq!(fill_in(studio, session).await.status, 410);
        assert!(studio.captures(id).is_empty());
    }
}

/// Whoever charges dies while he waits for what Stripe made of it: the same page is found again, with the same secret. (So is it by whoever lives to
/// see the connection cut: `lost_pages`.)
pub async fn killed(studio: &mut Studio) {
    let effect = Effect::SilenceAfter;
    studio.stripe.faults().order(Fault::new(effect).on("POST", SESSIONS));
    let before = studio.stripe.faults().happened().len();
    let id = studio.shop.order(&order(&json!({}))).await;
    let happened = || (studio.stripe.faults().happened().len() > before).then_some(());
    studio.stripe.book().wait_for(PATIENCE, |_| happened()).await.unwrap_or_else(|| panic!("{effect:?} did not happen"));
    let System { deployment, server, workers, .. } = &mut studio.system;
    let charging = if *deployment == Deployment::Embedded { std::slice::from_mut(server) } else { workers.as_mut_slice() };
    for program in charging {
        program.kill9();
        program.restart().await.unwrap();
    }
    let waiting = studio.shop.until(&id, "awaiting_payment").await;
    let (session, secret) = form_of(&waiting);
    assert_eq!(studio.stripe.book().object(session).unwrap()["client_secret"], secret);
    let opened = |seen: &SeenRequest| {
        let is_it = seen.path == SESSIONS && seen.key.as_ref().is_some_and(|key| key.starts_with(&id));
        is_it && seen.status == Some(200) && !seen.replayed
    };
    let opened = studio.stripe.book().requests_to("POST", SESSIONS).into_iter().filter(opened).count();
    assert_eq!(opened, 1, "{effect:?}: one page was opened");
    fill_in(studio, session).await;
    studio.shop.until(&id, "succeeded").await;
    assert_eq!(studio.captures(&id).len(), 1, "{effect:?}");
}
