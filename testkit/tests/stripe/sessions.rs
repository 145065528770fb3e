//! Checkout Sessions and their page.

use super::client::{Answer, Shop};
use serde_json::json;
use std::time::Duration;

const SUCCESS: &str = "https://shop.example/thanks?session={CHECKOUT_SESSION_ID}";

fn order() -> Vec<(&'static str, &'static str)> {
    vec![
        ("mode", "payment"),
        ("success_url", SUCCESS),
        ("cancel_url", "https://shop.example/cart"),
        ("line_items[0][price_data][currency]", "usd"),
        ("line_items[0][price_data][unit_amount]", "1500"),
        ("line_items[0][price_data][product_data][name]", "Seat <1>"),
        ("line_items[0][quantity]", "2"),
        ("customer_email", "a@example.com"),
        ("client_reference_id", "co_1"),
        ("metadata[checkout]", "co_1"),
        ("payment_intent_data[metadata][checkout]", "co_1"),
        ("payment_intent_data[description]", "Two seats"),
    ]
}

async fn open(shop: &Shop, more: &[(&str, &str)]) -> Answer {
    let made = shop.post("checkout/sessions", &[&order()[..], more].concat()).await;
    assert_eq!(made.status, 200, "{}", made.text);
    made
}

#[tokio::test]
async fn a_customer_pays_on_the_page_and_comes_back() {
    let shop = Shop::open().await;
    let made = open(&shop, &[]).await;
    assert!(made.id().starts_with("cs_test_"));
    assert_eq!((made.str("/status"), made.str("/payment_status"), made.at("/amount_total")), ("open", "unpaid", &json!(3000)));
    assert_eq!(
        (made.str("/ui_mode"), made.at("/client_secret").is_null(), made.at("/payment_intent").is_null()),
        ("hosted_page", true, true)
    );
    let url = made.str("/url");
    let page = shop.browse(url).await;
    assert!(page.text.contains("Seat &lt;1&gt;") && page.text.contains("value=\"pm_card_visa_chargeDeclined\""));
    assert!(page.text.contains("href=\"https://shop.example/cart\"") && !page.text.contains("<script"));
    let back = shop.submit(url, &[("card", "pm_card_visa"), ("email", "b@example.com")]).await;
    assert_eq!((back.status, back.header("location")), (303, Some(format!("https://shop.example/thanks?session={}", made.id()).as_str())));
    let paid = shop.get(&format!("checkout/sessions/{}", made.id()), &[("expand[]", "payment_intent"), ("expand[]", "line_items")]).await;
    assert_eq!((paid.str("/status"), paid.str("/payment_status"), paid.at("/url").is_null()), ("complete", "paid", true));
    assert_eq!((paid.str("/payment_intent/status"), paid.str("/payment_intent/metadata/checkout")), ("succeeded", "co_1"));
    assert_eq!((paid.str("/payment_intent/description"), paid.str("/customer_details/email")), ("Two seats", "b@example.com"));
    assert_eq!(paid.at("/line_items/data/0/amount_total"), &json!(3000));
    assert_eq!(shop.stripe.book().captures_with("checkout", "co_1").len(), 1);
    assert_eq!(shop.stripe.book().events_of("checkout.session.completed").len(), 1);
    let again = shop.submit(url, &[("card", "pm_card_visa")]).await;
    assert_eq!(again.status, 200);
    assert_eq!(shop.stripe.book().captures().len(), 1, "a second press pays nothing");
}

#[tokio::test]
async fn a_declined_card_stays_on_the_page_and_another_pays() {
    let shop = Shop::open().await;
    let made = open(&shop, &[]).await;
    let declined = shop.submit(made.str("/url"), &[("card", "pm_card_visa_chargeDeclinedInsufficientFunds")]).await;
    assert!(declined.status == 200 && declined.text.contains("insufficient funds"), "{}", declined.text);
    let open_still = shop.get(&format!("checkout/sessions/{}", made.id()), &[]).await;
    assert_eq!((open_still.str("/status"), open_still.at("/payment_intent").is_null()), ("open", false));
    let intent = open_still.str("/payment_intent");
    assert_eq!(shop.post(&format!("payment_intents/{intent}/cancel"), &[]).await.status, 400, "it is the session's");
    assert_eq!(shop.submit(made.str("/url"), &[("card", "pm_card_mastercard")]).await.status, 303);
    assert_eq!(shop.stripe.book().captures()[0].intent, intent, "one payment for one session");
}

#[tokio::test]
async fn three_d_secure_goes_through_the_banks_page() {
    let shop = Shop::open().await;
    for (press, paid) in [("complete", true), ("fail", false)] {
        let made = open(&shop, &[]).await;
        let away = shop.submit(made.str("/url"), &[("card", "pm_card_threeDSecure2Required")]).await;
        let bank = away.header("location").unwrap();
        assert!(away.status == 303 && bank.contains("/authenticate/pi_"), "{bank}");
        assert_eq!(shop.browse(bank).await.status, 200);
        let secret = bank.split_once("client_secret=").unwrap().1;
        let back = shop.submit(bank, &[("client_secret", secret), ("outcome", press)]).await;
        let after = shop.browse(back.header("location").unwrap()).await;
        let session = shop.get(&format!("checkout/sessions/{}", made.id()), &[]).await;
        if paid {
            assert_eq!(after.header("location"), Some(format!("https://shop.example/thanks?session={}", made.id()).as_str()));
            assert_eq!(session.str("/status"), "complete");
        } else {
            assert!(after.status == 200 && after.text.contains("unable to authenticate"), "{}", after.text);
            assert_eq!(session.str("/status"), "open");
        }
    }
    assert_eq!(shop.stripe.book().captures().len(), 1);
}

#[tokio::test]
async fn an_embedded_session_has_a_secret_and_one_way_back() {
    let shop = Shop::open().await;
    let mut form: Vec<_> = order().into_iter().filter(|(name, _)| !["success_url", "cancel_url"].contains(name)).collect();
    form.extend([("ui_mode", "embedded_page"), ("return_url", "https://shop.example/back/{CHECKOUT_SESSION_ID}")]);
    let made = shop.post("checkout/sessions", &form).await;
    assert_eq!((made.str("/ui_mode"), made.at("/url").is_null()), ("embedded_page", true), "{}", made.text);
    assert!(made.str("/client_secret").starts_with(&format!("{}_secret_", made.id())));
    let back = shop.submit(&shop.stripe.session_page(made.id()), &[("card", "pm_card_visa")]).await;
    assert_eq!(back.header("location"), Some(format!("https://shop.example/back/{}", made.id()).as_str()));
    form.push(("success_url", SUCCESS));
    assert_eq!(shop.post("checkout/sessions", &form).await.status, 400, "success_url is for hosted pages");
}

#[tokio::test]
async fn a_session_ends_by_its_clock_or_on_demand() {
    let shop = Shop::open().await;
    let now = shop.stripe.clock().now();
    let soon = open(&shop, &[("expires_at", &(now + 1800).to_string())]).await;
    let late = open(&shop, &[]).await;
    shop.stripe.advance(Duration::from_secs(1801));
    assert_eq!(shop.get(&format!("checkout/sessions/{}", soon.id()), &[]).await.str("/status"), "expired");
    assert_eq!(shop.submit(soon.str("/url"), &[("card", "pm_card_visa")]).await.status, 410);
    let expire = format!("checkout/sessions/{}/expire", late.id());
    assert_eq!(shop.post(&expire, &[]).await.str("/status"), "expired");
    assert_eq!(shop.post(&expire, &[]).await.status, 400);
    assert_eq!(shop.submit(late.str("/url"), &[("card", "pm_card_visa")]).await.status, 410);
    assert_eq!(shop.stripe.book().events_of("checkout.session.expired").len(), 2);
    assert!(shop.stripe.book().captures().is_empty());
}

#[tokio::test]
async fn a_payment_begun_on_the_page_ends_with_the_session() {
    let shop = Shop::open().await;
    let made = open(&shop, &[]).await;
    let away = shop.submit(made.str("/url"), &[("card", "pm_card_authenticationRequired")]).await;
    shop.post(&format!("checkout/sessions/{}/expire", made.id()), &[]).await;
    assert_eq!(shop.stripe.book().intents()[0].status, "canceled");
    let bank = away.header("location").unwrap();
    let secret = bank.split_once("client_secret=").unwrap().1;
    shop.submit(bank, &[("client_secret", secret), ("outcome", "complete")]).await;
    assert!(shop.stripe.book().captures().is_empty(), "too late");
}

#[tokio::test]
async fn what_cannot_be_a_session_is_refused() {
    let shop = Shop::open().await;
    let now = shop.stripe.clock().now();
    let (short, long) = ((now + 600).to_string(), (now + 90_000).to_string());
    for (more, without) in [
        (vec![("expires_at", short.as_str())], ""),
        (vec![("expires_at", long.as_str())], ""),
        (vec![("ui_mode", "wall_page")], ""),
        (vec![], "success_url"),
        (vec![], "mode"),
        (vec![], "line_items[0][quantity]"),
        (vec![("line_items[0][price_data][unit_amount]", "10")], "line_items[0][price_data][unit_amount]"),
        (
            vec![
                ("line_items[1][price_data][currency]", "eur"),
                ("line_items[1][price_data][unit_amount]", "900"),
                ("line_items[1][price_data][product_data][name]", "x"),
                ("line_items[1][quantity]", "1"),
            ],
            "",
        ),
        (vec![("customer", "cus_nobody")], ""),
    ] {
        let form: Vec<_> = order().into_iter().filter(|(name, _)| *name != without).chain(more).collect();
        let refused = shop.post("checkout/sessions", &form).await;
        assert_eq!(refused.status, 400, "{form:?}: {}", refused.text);
    }
}

#[tokio::test]
async fn a_bank_account_completes_the_session_and_pays_later_or_not() {
    let shop = Shop::open().await;
    for (account, kind, paid, status) in [
        ("pm_usBankAccount_success", "checkout.session.async_payment_succeeded", "paid", "succeeded"),
        ("pm_usBankAccount_accountClosed", "checkout.session.async_payment_failed", "unpaid", "requires_payment_method"),
    ] {
        let made = open(&shop, &[]).await;
        assert_eq!(shop.submit(made.str("/url"), &[("card", account)]).await.status, 303);
        let path = format!("checkout/sessions/{}", made.id());
        let session = shop.get(&path, &[("expand[]", "payment_intent.latest_charge")]).await;
        assert_eq!((session.str("/status"), session.str("/payment_status")), ("complete", "unpaid"));
        assert_eq!((session.str("/payment_intent/status"), session.str("/payment_intent/latest_charge/status")), ("processing", "pending"));
        let cancel = format!("payment_intents/{}/cancel", session.str("/payment_intent/id"));
        assert_eq!(shop.post(&cancel, &[]).await.error().2, "payment_intent_unexpected_state");
        shop.stripe.advance(Duration::from_secs(3));
        let session = shop.get(&path, &[("expand[]", "payment_intent")]).await;
        assert_eq!((session.str("/payment_status"), session.str("/payment_intent/status")), (paid, status));
        let told = shop.stripe.book().events_of(kind);
        assert_eq!((told.len(), told[0].object.as_str()), (1, made.id()), "{kind}");
    }
    assert_eq!(shop.stripe.book().captures().len(), 1);
}
