//! The page of a tenant that has an account with a provider: nothing is offered that nobody can charge.

use crate::{
    browser::{form, hosted, load, send, text, waiting, work},
    pay::adas,
    providers::{add, call, main_account, server},
    server::KEY,
};
use boxoffice_common::domain::attempt::Outcome;
use serde_json::json;
use tokio::join;

#[tokio::test]
async fn a_saved_card_is_offered_while_its_account_can_charge_it_and_the_sandbox_stands_in_for_nobody() {
    let server = server().await;
    let account = add(&server, KEY, &main_account()).await;
    let (_, path) = adas(&server, |_| {}).await;
    let before = text(&load(&server, &path).await);
    assert!(before.contains("Visa ending in 2222") && before.contains("value=\"there\"") && !before.contains("tok_visa"), "{before}");
    let disabled = call(&server, "PATCH", &format!("/v1/providers/{account}"), KEY, &json!({"enabled": false})).await;
    assert_eq!(disabled.code(), 200);
    let after = text(&load(&server, &path).await);
    for gone in ["ending in", "value=\"there\"", "tok_visa", "mobile_money"] {
        assert!(!after.contains(gone), "{gone} in {after}");
    }
    for card in ["saved.pm_1", "there", "tok_visa"] {
        let refused = send(&server, &path, &form(&before, "pay"), &[("card", card)], &[]).await;
        assert_eq!(refused.code(), 422, "{card}");
    }
    for payment in [json!({"hosted": {}}), json!({"methods": [{"type": "card", "token": "tok_visa"}]})] {
        let mut body = hosted();
        body["payment"] = payment;
        let refused = server.checkout("one-more", &body).await;
        assert_eq!(refused.problem(), (422, "provider_not_configured".to_owned()));
    }
}

#[tokio::test]
async fn a_page_on_which_nothing_could_be_paid_is_refused() {
    let server = server().await;
    add(&server, KEY, &main_account()).await;
    server.yoga().await;
    let mut body = hosted();
    body["payment"]["hosted"]["options"] = json!({"card": {"disable": true}});
    let refused = server.checkout("no-card", &body).await;
    assert_eq!(refused.problem(), (422, "unsupported".to_owned()), "nobody there asks on a phone");
    body["payment"]["hosted"]["options"] = json!({"mobile_money": {"disable": true}});
    assert_eq!(server.checkout("card", &body).await.code(), 202);
}

#[tokio::test]
async fn a_payment_that_takes_its_time_at_a_provider_is_waited_for_in_words_that_fit() {
    let server = server().await;
    add(&server, KEY, &main_account()).await;
    server.yoga().await;
    let (id, path) = waiting(&server, &hosted()).await;
    let fields = form(&text(&load(&server, &path).await), "pay");
    let pending = Outcome::Pending { provider_reference: "pi_1".to_owned() };
    let (sent, ()) = join!(send(&server, &path, &fields, &[("card", "there")], &[]), work(&server, &id, pending));
    assert_eq!(sent.code(), 303, "{}", text(&sent));
    let page = load(&server, &format!("{path}?after=submit")).await;
    let html = text(&page);
    assert!(html.contains("Your payment is on its way") && html.contains("Stripe waits for the word"), "{html}");
    assert!(!html.contains("phone") && page.header("refresh").starts_with("3; url="), "{html}");
}
