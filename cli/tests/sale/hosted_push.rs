//! Paying on our page by mobile money, at a bank and with a wallet, as a browser without a script does it.

use crate::{
    hosted::{Browser, at_the_bank},
    support::{
        catalogue::{put, session, with},
        client::Client,
        system::System,
    },
};
use serde_json::{Value, json};

const SESSION: &str = "ses_page_push";
const THANKS: &str = "https://shop.example/thanks";
const CART: &str = "https://shop.example/cart?";

pub async fn story(system: &System) {
    let shop = system.shop();
    put(&shop, "sessions", SESSION, session(50)).await;
    assert_eq!(shop.put("/v1/settings", &json!({"name": "Studio"})).await.status, 200);
    tokio::join!(
        a_yes_on_the_phone_leads_back_to_the_shop(&shop),
        a_no_on_the_phone_is_told_and_the_bank_pays(&shop),
        nobody_answers_in_time_and_a_card_pays(&shop),
        a_wallet_refuses_and_a_phone_pays(&shop),
        a_customer_who_never_looks_calls_it_off_here(&shop),
        a_customer_who_never_looks_pays_in_another_way(&shop),
        a_question_that_cannot_be_taken_back_is_answered(&shop),
        a_page_that_nobody_answers_says_that_it_is_over(&shop),
        a_provider_who_is_not_offered_asks_nobody(&shop),
        windows_with_different_ways_are_one_payment(&shop),
    );
    // Seven are paid, three came to nothing.
    assert_eq!(shop.left(SESSION).await, (7, 0, 43));
    let log = system.server.log().into_iter().chain(system.workers.iter().flat_map(|worker| worker.log()));
    for line in log {
        assert!(!line.contains("232700000") && !line.contains("23276543"), "no telephone number in the log: {line}");
    }
}

async fn open(shop: &Client, more: Value) -> Browser {
    let body = json!({
        "currency": "usd", "lines": [{"type": "session", "session": SESSION, "quantity": 1}], "callback_state": "cart 7",
        "payment": {"hosted": {}}, "success_url": THANKS, "cancel_url": "https://shop.example/cart",
    });
    Browser::open_order(shop, &with(&body, more)).await
}

fn phone(number: &str) -> String {
    format!("method=mobile_money&provider=m17&phone=%2B{number}")
}

/// Submits it, and is shown that the phone asks.
pub(crate) async fn asked_on(browser: &Browser, number: &str) -> String {
    let page = browser.load("").await;
    let sent = browser.send(&page.html, "pay", &phone(number)).await;
    assert_eq!(sent.status, 303, "{}", sent.html);
    let deadline = std::time::Instant::now() + crate::support::client::PATIENCE;
    loop {
        let asked = browser.load("?after=submit").await.html;
        if asked.contains("Confirm on your phone") {
            let masked = format!("+{}{}", "•".repeat(number.len() - 2), &number[number.len() - 2..]);
            assert!(asked.contains(&masked) && asked.contains("USD\u{a0}15.00</strong> to Studio") && !asked.contains(number), "{asked}");
            return asked;
        }
        assert!(std::time::Instant::now() < deadline, "{asked}");
    }
}

async fn methods(shop: &Client, browser: &Browser) -> Vec<(String, String)> {
    let charges = shop.charges(&browser.id).await;
    charges
        .iter()
        .map(|charge| (charge["method"].as_str().unwrap_or("card").to_owned(), charge["status"].as_str().unwrap().to_owned()))
        .collect()
}

fn named(methods: &[(&str, &str)]) -> Vec<(String, String)> {
    methods.iter().map(|(method, status)| ((*method).to_owned(), (*status).to_owned())).collect()
}

async fn a_yes_on_the_phone_leads_back_to_the_shop(shop: &Client) {
    let browser = open(shop, json!({})).await;
    asked_on(&browser, "23276543201").await;
    browser.follow("?after=submit").await.leads_to_the_shop(shop, &browser, THANKS, "succeeded").await;
    let sold = shop.checkout(&browser.id).await;
    assert_eq!((&sold["amount_paid"], &sold["payment_attempts"][0]["method"]["type"]), (&json!(1500), &json!("mobile_money")), "{sold}");
    assert!(!sold.to_string().contains("23276543"), "{sold}");
    assert_eq!(methods(shop, &browser).await, named(&[("mobile_money/m17", "captured")]));
}

async fn a_no_on_the_phone_is_told_and_the_bank_pays(shop: &Client) {
    let browser = open(shop, json!({})).await;
    asked_on(&browser, "23270000002").await;
    let told = browser.follow("?after=submit").await;
    assert!(told.html.contains("refused on the phone. Nothing was charged"), "{}", told.html);
    assert_eq!(shop.checkout(&browser.id).await["status"], "awaiting_payment");
    let back = at_the_bank(&browser, "method=bank&provider=slb002", "approve").await;
    back.leads_to_the_shop(shop, &browser, THANKS, "succeeded").await;
    assert_eq!(methods(shop, &browser).await, named(&[("mobile_money/m17", "declined"), ("bank/slb002", "captured")]));
}

async fn nobody_answers_in_time_and_a_card_pays(shop: &Client) {
    let browser = open(shop, json!({})).await;
    asked_on(&browser, "23270000011").await;
    let told = browser.follow("?after=submit").await;
    assert!(told.html.contains("Nobody answered on the phone in time"), "{}", told.html);
    browser.pay("tok_visa").await.leads_to_the_shop(shop, &browser, THANKS, "succeeded").await;
    assert_eq!(methods(shop, &browser).await, named(&[("mobile_money/m17", "declined"), ("card", "captured")]));
}

async fn a_wallet_refuses_and_a_phone_pays(shop: &Client) {
    let browser = open(shop, json!({"payment": {"hosted": {"options": {"card": {"disable": true}}}}})).await;
    let back = at_the_bank(&browser, "method=wallet&provider=dw001", "refuse").await;
    assert!(back.html.contains("was not confirmed. Nothing was charged") && !back.html.contains("tok_visa"), "{}", back.html);
    asked_on(&browser, "23276543202").await;
    browser.follow("?after=submit").await.leads_to_the_shop(shop, &browser, THANKS, "succeeded").await;
}

async fn a_customer_who_never_looks_calls_it_off_here(shop: &Client) {
    let browser = open(shop, json!({})).await;
    let asked = asked_on(&browser, "23270000003").await;
    assert_eq!(browser.send(&asked, "cancel", "").await.status, 303);
    browser.follow("?after=submit").await.leads_to_the_shop(shop, &browser, CART, "canceled").await;
    assert_eq!(methods(shop, &browser).await, named(&[("mobile_money/m17", "voided")]), "the provider has taken it back");
}

async fn a_customer_who_never_looks_pays_in_another_way(shop: &Client) {
    let browser = open(shop, json!({})).await;
    let asked = asked_on(&browser, "23270000003").await;
    let page = browser.load("").await;
    let forged = browser.send(&asked.replace("name=\"form\" value=\"", "name=\"form\" value=\"A"), "another", "").await;
    assert_eq!(forged.status, 400, "{}", forged.html);
    // A double click, and another window beside it.
    let clicks = [&asked, &asked, &page.html].map(|html| browser.send(html, "another", ""));
    for click in futures::future::join_all(clicks).await {
        assert_eq!(click.status, 303, "{}", click.html);
    }
    let told = browser.follow("?after=submit").await;
    assert!(told.html.contains("You are no longer asked") && told.html.contains("Choose another way to pay."), "{}", told.html);
    assert_eq!(methods(shop, &browser).await, named(&[("mobile_money/m17", "voided")]));
    // The form of before does nothing any more: nobody asks.
    assert_eq!(browser.send(&asked, "another", "").await.status, 303);
    assert_eq!(shop.checkout(&browser.id).await["status"], "awaiting_payment");
    browser.pay("tok_visa").await.leads_to_the_shop(shop, &browser, THANKS, "succeeded").await;
    assert_eq!(methods(shop, &browser).await, named(&[("mobile_money/m17", "voided"), ("card", "captured")]));
    let timeline = shop.get(&format!("/v1/checkouts/{}/timeline", browser.id)).await.expect(200).to_string();
    assert_eq!(timeline.matches("payment.taken_back").count(), 1, "{timeline}");
}

/// Its owner agrees later, and the provider does not take it back: the page waits, and it is paid.
async fn a_question_that_cannot_be_taken_back_is_answered(shop: &Client) {
    let browser = open(shop, json!({})).await;
    let asked = asked_on(&browser, "23270000004").await;
    assert_eq!(browser.send(&asked, "another", "").await.status, 303);
    let waiting = browser.load("?after=submit").await.html;
    assert!(!waiting.contains("name=\"method\""), "nothing can be chosen before the provider has spoken: {waiting}");
    browser.follow("?after=submit").await.leads_to_the_shop(shop, &browser, THANKS, "succeeded").await;
    assert_eq!(methods(shop, &browser).await, named(&[("mobile_money/m17", "captured")]));
}

async fn a_page_that_nobody_answers_says_that_it_is_over(shop: &Client) {
    let browser = open(shop, json!({"expires_in": 10})).await;
    asked_on(&browser, "23270000003").await;
    browser.follow("?after=submit").await.leads_to_the_shop(shop, &browser, CART, "expired").await;
    assert_eq!(methods(shop, &browser).await, named(&[("mobile_money/m17", "voided")]));
}

async fn a_provider_who_is_not_offered_asks_nobody(shop: &Client) {
    let options = json!({"mobile_money": {"enabled_providers": ["m18"]}, "bank": {"disable": true}});
    let browser = open(shop, json!({"payment": {"hosted": {"options": options}}})).await;
    let page = browser.load("").await;
    for by_hand in
        [&phone("23276543201"), "method=bank&provider=slb001", "method=wallet&provider=m18", "method=mobile_money&provider=m18&phone=076"]
    {
        let refused = browser.send(&page.html, "pay", by_hand).await;
        assert!(refused.status == 422 && refused.html.contains("The payment was not sent"), "{by_hand}: {}", refused.html);
    }
    assert!(shop.charges(&browser.id).await.is_empty());
    assert_eq!(browser.send(&page.html, "cancel", "").await.status, 303);
    shop.until(&browser.id, "canceled").await;
}

async fn windows_with_different_ways_are_one_payment(shop: &Client) {
    let browser = open(shop, json!({})).await;
    let page = browser.load("").await;
    let ways = ["tok_visa".to_owned(), phone("23276543203"), "tok_visa".to_owned(), phone("23276543204")];
    let sent = futures::future::join_all((0..12).map(|at| browser.send(&page.html, "pay", &ways[at % ways.len()]))).await;
    assert!(sent.iter().all(|seen| seen.status == 303));
    browser.follow("?after=submit").await.leads_to_the_shop(shop, &browser, THANKS, "succeeded").await;
    assert_eq!(shop.charged(&browser.id).await, ["captured"]);
}
