//! The page that customers pay on, over the router: what it shows, what it takes, and whom it sends where.

use crate::{
    browser::{HOME, approved, declined, form, hosted, leads_to, load, send, text, waiting, work},
    server::Server,
};
use boxoffice_common::{
    domain::{attempt::Outcome, id::CheckoutId},
    ports::store::CheckoutStore,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::join;

#[tokio::test]
async fn the_page_shows_the_order_and_lets_a_browser_do_nothing_else() {
    let server = Server::start().await;
    server.yoga().await;
    let settings = json!({"name": "Yoga & Friends", "color": "#ffeb3b", "support_email": "help@shop.example"});
    assert_eq!(server.put("/v1/settings", &settings).await.code(), 200);
    let (id, path) = waiting(&server, &hosted()).await;
    let page = load(&server, &path).await;
    assert_eq!(page.code(), 200);
    let html = text(&page);
    for shown in [
        "<html lang=\"en\">",
        "Yoga &#38; Friends",
        "Test mode",
        "USD\u{a0}30.00",
        "2 × USD\u{a0}15.00",
        "brand.css?c=ffeb3b",
        "Pay by",
        "help@shop.example",
        &id,
    ] {
        assert!(html.contains(shown), "{shown} is missing in {html}");
    }
    let handler = |rest: &str| rest.trim_start_matches(|c: char| c.is_ascii_lowercase()).starts_with('=');
    let inline = html.contains("<script>") || html.contains("style=") || html.split(" on").skip(1).any(handler);
    assert!(!inline, "nothing inline: {html}");
    let policy = page.header("content-security-policy");
    assert_eq!(
        policy,
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; form-action 'self' https://shop.example; base-uri 'none'; frame-ancestors 'none'"
    );
    let headers = ["x-content-type-options", "referrer-policy", "cache-control", "x-frame-options", "x-robots-tag"];
    assert_eq!(headers.map(|name| page.header(name)), ["nosniff", "no-referrer", "no-store", "DENY", "noindex, nofollow"]);
    for file in ["pay.css?v=1", "pay.js?v=1", "brand.css?c=ffeb3b"] {
        let reply = load(&server, &format!("/pay/assets/{file}")).await;
        assert!(reply.code() == 200 && reply.header("cache-control").contains("immutable"), "{file}");
    }
    for file in ["brand.css?c=red;}body{}", "brand.css", "../router.rs", "pay.html"] {
        assert_eq!(load(&server, &format!("/pay/assets/{file}").replace(['{', '}'], "%7B")).await.code(), 404, "{file}");
    }
}

#[tokio::test]
async fn a_payment_is_taken_once_and_the_browser_goes_back_to_the_shop_with_a_signature() {
    let server = Server::start().await;
    server.yoga().await;
    let (id, path) = waiting(&server, &hosted()).await;
    let fields = form(&text(&load(&server, &path).await), "pay");
    let card = [("card", "tok_visa")];
    let (first, second, ()) = join!(
        send(&server, &path, &fields, &card, &[("sec-fetch-site", "same-origin"), ("origin", "null")]),
        send(&server, &path, &fields, &card, &[]),
        work(&server, &id, approved(3000)),
    );
    // Whose click it was goes back to the shop at once, the others by way of the page.
    let led = [first, second, send(&server, &path, &fields, &card, &[]).await].map(|reply| leads_to(&reply, &path));
    let at_once: Vec<&str> = led.iter().flatten().map(String::as_str).collect();
    assert_eq!((led.len(), at_once), (3, vec!["succeeded"]), "{led:?}");
    let sold = server.get(&format!("/v1/checkouts/{id}")).await.json();
    assert_eq!((&sold["status"], sold["payment_attempts"].as_array().unwrap().len()), (&json!("succeeded"), 1));
    let back = load(&server, &format!("{path}?after=submit")).await;
    assert_eq!(back.code(), 303);
    let url = url::Url::parse(back.header("location")).unwrap();
    let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    assert!(
        url.as_str()
            .starts_with(&format!("https://shop.example/thanks?c={id}&checkout_id={id}&status=succeeded&callback_state=opaque&signature=")),
        "{url}"
    );
    assert_eq!(query["signature"].len(), 64);
    // Whoever opens the link later is told, and nothing a request says leads elsewhere.
    let again = text(&load(&server, &format!("{path}?success_url=https://evil.example&return_to=https://evil.example")).await);
    assert!(again.contains("You have paid") && again.contains("https://shop.example/thanks") && !again.contains("evil.example"), "{again}");
    let odd = load(&server, &format!("{path}?after=nonsense&wait=x")).await;
    assert_eq!(odd.code(), 200);
}

/// A checkout of Ada's, who has saved two cards, as Bob has one.
pub async fn adas(server: &Server, change: impl FnOnce(&mut Value)) -> (String, String) {
    server.yoga().await;
    let card = |token: &str, last4: &str, default: bool| json!({"type": "card", "token": token, "brand": "visa", "last4": last4, "exp_month": 3, "exp_year": 2031, "default": default});
    for (path, body) in [
        ("ada", json!({"name": "Ada"})),
        ("bob", json!({})),
        ("ada/payment-methods/pm_1", card("tok_secret_1", "1111", false)),
        ("ada/payment-methods/pm_2", card("tok_secret_2", "2222", true)),
        ("bob/payment-methods/pm_3", card("tok_secret_3", "3333", true)),
    ] {
        assert_eq!(server.put(&format!("/v1/customers/{path}"), &body).await.code(), 201, "{path}");
    }
    let mut body = hosted();
    body["customer"] = json!("ada");
    change(&mut body);
    waiting(server, &body).await
}

#[tokio::test]
async fn a_saved_card_of_the_customers_own_pays_and_its_token_is_shown_nowhere() {
    let server = Server::start().await;
    let (id, path) = adas(&server, |_| {}).await;
    let html = text(&load(&server, &path).await);
    let (first, second) = (html.find("Visa ending in 2222").unwrap(), html.find("Visa ending in 1111").unwrap());
    assert!(first < second && html.contains("good until 03/2031") && !html.contains("3333") && !html.contains("tok_secret"), "{html}");
    assert!(html.contains("value=\"saved.pm_2\" checked"), "the default is chosen: {html}");
    let fields = form(&html, "pay");
    // Another's, one that nobody has, and none at all.
    for card in ["saved.pm_3", "saved.pm_9", "saved.", "saved.<b>", "tok_secret_1"] {
        let refused = send(&server, &path, &fields, &[("card", card)], &[]).await;
        assert!(
            refused.code() == 422 && !text(&refused).contains("<b>") && !text(&refused).contains("tok_secret"),
            "{card}: {:?}",
            refused.body
        );
    }
    let ((), paid) = join!(work(&server, &id, approved(3000)), send(&server, &path, &fields, &[("card", "saved.pm_1")], &[]));
    assert_eq!(paid.code(), 303);
    let kept = server.store.checkout(&CheckoutId::parse(id.as_str()).unwrap()).await.unwrap().unwrap();
    assert_eq!(kept.attempts[0].request.token.as_ref().map(|token| token.reveal().as_str()), Some("tok_secret_1"));
    for shown in [load(&server, &path).await, server.get(&format!("/v1/checkouts/{id}")).await] {
        assert!(shown.code() == 200 && !text(&shown).contains("tok_secret"), "{:?}", shown.body);
    }
}

#[tokio::test]
async fn saved_cards_are_offered_to_nobody_where_the_shop_does_not_want_it_or_does_not_say_who_it_is() {
    for (name, change) in [
        (
            "disabled",
            (|body: &mut Value| body["payment"]["hosted"]["options"]["saved_method"] = json!({"disable": true})) as fn(&mut Value),
        ),
        ("a guest", |body| body["customer"] = json!(null)),
        ("described", |body| body["customer"] = json!({"name": "Ada"})),
    ] {
        let server = Server::start().await;
        let (_, path) = adas(&server, change).await;
        let html = text(&load(&server, &path).await);
        assert!(!html.contains("ending in") && html.contains("Choose a test card"), "{name}: {html}");
        let refused = send(&server, &path, &form(&html, "pay"), &[("card", "saved.pm_1")], &[]).await;
        assert_eq!(refused.code(), 422, "{name}");
    }
}

#[tokio::test]
async fn a_decline_is_told_and_another_card_pays() {
    let server = Server::start().await;
    server.yoga().await;
    let (id, path) = waiting(&server, &hosted()).await;
    let first = form(&text(&load(&server, &path).await), "pay");
    let no = declined("<b>no</b>");
    let card = [("card", "tok_insufficient_funds")];
    let (sent, ()) = join!(send(&server, &path, &first, &card, &[]), work(&server, &id, no));
    assert_eq!(leads_to(&sent, &path), None, "the page has more to say");
    let html = text(&load(&server, &format!("{path}?after=submit")).await);
    assert!(html.contains("role=\"alert\"") && html.contains("not enough money") && !html.contains("<b>no</b>"), "{html}");
    let shown = server.get(&format!("/v1/checkouts/{id}")).await.json();
    assert_eq!((&shown["status"], &shown["error"]["code"]), (&json!("awaiting_payment"), &json!("card_declined")));
    // The form of the first try, sent again by the back button, is no second try.
    send(&server, &path, &first, &[("card", "tok_visa")], &[]).await;
    assert_eq!(server.get(&format!("/v1/checkouts/{id}")).await.json()["payment_attempts"].as_array().unwrap().len(), 1);
    let fields = form(&html, "pay");
    assert_ne!(fields["n"], first["n"]);
    join!(send(&server, &path, &fields, &[("card", "tok_visa")], &[]), work(&server, &id, approved(3000)));
    assert_eq!(load(&server, &format!("{path}?after=submit")).await.code(), 303);
}

#[tokio::test]
async fn a_bank_that_asks_is_a_step_in_between() {
    let server = Server::start().await;
    server.yoga().await;
    let (id, path) = waiting(&server, &hosted()).await;
    let fields = form(&text(&load(&server, &path).await), "pay");
    let asks = Outcome::RequiresAction { url: "https://bank.example/act?x=\"><b>1".to_owned(), provider_reference: "ch_1".to_owned() };
    join!(send(&server, &path, &fields, &[("card", "tok_3ds")], &[]), work(&server, &id, asks));
    let html = text(&load(&server, &format!("{path}?after=submit")).await);
    let here = format!("{HOME}{path}?after=bank&wait=1");
    let back: String = url::form_urlencoded::byte_serialize(here.as_bytes()).collect();
    assert!(html.contains("Continue to your bank") && html.contains("https://bank.example/act?x=") && html.contains(&back), "{html}");
    assert!(!html.contains("<b>1"), "{html}");
    // Back from there, the page waits for the bank's word and asks for itself again.
    let waits = load(&server, &format!("{path}?after=bank")).await;
    assert!(
        text(&waits).contains("Checking with your bank") && waits.header("refresh").starts_with("1; url="),
        "{}",
        waits.header("refresh")
    );
}

#[tokio::test]
async fn a_customer_can_call_it_off_and_the_page_says_so_ever_after() {
    let server = Server::start().await;
    server.yoga().await;
    let (id, path) = waiting(&server, &hosted()).await;
    let html = text(&load(&server, &path).await);
    let reply = send(&server, &path, &form(&html, "cancel"), &[], &[]).await;
    let back = load(&server, &format!("{path}?after=submit")).await;
    assert_eq!(reply.header("location"), back.header("location"), "by the way of the page or not");
    assert!(
        back.header("location").starts_with(&format!("https://shop.example/cart?x=1&checkout_id={id}&status=canceled&")),
        "{}",
        back.header("location")
    );
    let html = text(&load(&server, &path).await);
    assert!(html.contains("The order was canceled") && !html.contains("<form"), "{html}");
    assert_eq!(server.get("/v1/sessions/ses_yoga/availability").await.json()["available"], 20);
}

#[tokio::test]
async fn without_addresses_of_its_own_a_checkout_ends_on_our_page() {
    let server = Server::start().await;
    server.yoga().await;
    let mut body = hosted();
    ["success_url", "cancel_url"].iter().for_each(|field| drop(body.as_object_mut().unwrap().remove(*field)));
    let (id, path) = waiting(&server, &body).await;
    let fields = form(&text(&load(&server, &path).await), "pay");
    let (sent, ()) = join!(send(&server, &path, &fields, &[("card", "tok_visa")], &[]), work(&server, &id, approved(3000)));
    assert_eq!(leads_to(&sent, &path), None);
    let page = load(&server, &format!("{path}?after=submit")).await;
    assert!(page.code() == 200 && text(&page).contains("Thank you"), "{:?}", page.body);
}
