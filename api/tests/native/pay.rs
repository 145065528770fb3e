//! The page that customers pay on, over the router: what it shows, what it takes, and whom it sends where.

use crate::server::{Reply, Server, yoga};
use axum::body::Body;
use boxoffice_common::{
    domain::{
        attempt::{Decline, Outcome, Receipt},
        begin::Begin,
        id::CheckoutId,
        money::{Amount, Currency},
        scope::Mode,
        settle::Settlement,
        state::Status,
    },
    ports::store::{CheckoutStore, Next},
};
use http::Request;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::join;

const HOME: &str = "https://pay.example";

pub(crate) fn hosted() -> Value {
    json!({
        "currency": "usd",
        "lines": [{"type": "session", "session": "ses_yoga", "quantity": 2}],
        "payment": {"hosted": {"options": {"card": {"disable": false}}}},
        "success_url": "https://shop.example/thanks?c={CHECKOUT_ID}", "cancel_url": "https://shop.example/cart?x=1",
        "callback_state": "opaque",
    })
}

/// A checkout that waits for its customer: its id, and the path of its page.
pub(crate) async fn waiting(server: &Server, body: &Value) -> (String, String) {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let reply = server.checkout(&format!("page-{}", COUNT.fetch_add(1, Ordering::Relaxed)), body).await;
    assert_eq!(reply.code(), 202, "{:?}", reply.body);
    assert_eq!(reply.json()["payment_url"], json!(null), "nothing is held yet");
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(server.work(&id).await, Status::AwaitingPayment);
    let url = server.get(&format!("/v1/checkouts/{id}")).await.json()["payment_url"].as_str().unwrap().to_owned();
    (id, url.strip_prefix(HOME).unwrap().to_owned())
}

/// As a browser loads a page: without a key.
pub(crate) async fn load(server: &Server, path: &str) -> Reply {
    server.send(Request::get(path).body(Body::empty()).unwrap()).await
}

pub(crate) fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.to_vec()).unwrap()
}

/// The hidden fields of the form with this intent.
pub(crate) fn form(html: &str, intent: &str) -> BTreeMap<String, String> {
    let forms = html.split("<form").skip(1).map(|form| form.split("</form>").next().unwrap());
    let fields = |form: &str| -> BTreeMap<String, String> {
        let hidden = form.split("<input type=\"hidden\" name=\"").skip(1);
        hidden.map(|field| field.split('"').collect::<Vec<_>>()).map(|parts| (parts[0].to_owned(), parts[2].to_owned())).collect()
    };
    forms.map(fields).find(|fields| fields["intent"] == intent).unwrap_or_else(|| panic!("no form to {intent} in {html}"))
}

pub(crate) async fn send(
    server: &Server,
    path: &str,
    fields: &BTreeMap<String, String>,
    more: &[(&str, &str)],
    headers: &[(&str, &str)],
) -> Reply {
    let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(more.iter().copied());
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    server.send(request.body(Body::from(body)).unwrap()).await
}

/// A worker brings what is due to the provider, who says `outcome`.
pub(crate) async fn work(server: &Server, id: &str, outcome: Outcome) {
    let checkout = CheckoutId::parse(id).unwrap();
    let lease_token = "lease".to_owned();
    let begin = || Begin {
        checkout: checkout.clone(),
        lease_token: lease_token.clone(),
        lease_for: Duration::from_secs(30),
        provider: "sandbox".to_owned(),
        key_window: Duration::from_secs(3600),
    };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    let n = loop {
        if let Next::Act { n, .. } = server.store.begin(begin()).await.unwrap().next {
            break n;
        }
        assert!(tokio::time::Instant::now() < deadline, "nothing was submitted");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    server.store.settle(Settlement { checkout, n, lease_token, outcome, retry_in: Duration::ZERO, known: None }).await.unwrap();
}

pub(crate) fn approved(minor: i64) -> Outcome {
    let currency = Currency::parse("usd").unwrap();
    Outcome::Approved(Receipt { provider_reference: "ch_1".to_owned(), amount: Amount::from_minor(minor), currency })
}

fn declined(message: &str) -> Outcome {
    Outcome::Declined(Decline { decline_code: "insufficient_funds".to_owned(), message: message.to_owned(), provider_reference: None })
}

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
    for reply in [first, second, send(&server, &path, &fields, &card, &[]).await] {
        assert_eq!(
            (reply.code(), reply.header("location")),
            (303, format!("{}?after=submit", path.strip_prefix("/pay/").unwrap()).as_str())
        );
    }
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
async fn adas(server: &Server, change: impl FnOnce(&mut Value)) -> (String, String) {
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
    join!(send(&server, &path, &first, &card, &[]), work(&server, &id, no));
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
    assert_eq!(reply.code(), 303);
    let back = load(&server, &format!("{path}?after=submit")).await;
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
    join!(send(&server, &path, &fields, &[("card", "tok_visa")], &[]), work(&server, &id, approved(3000)));
    let page = load(&server, &format!("{path}?after=submit")).await;
    assert!(page.code() == 200 && text(&page).contains("Thank you"), "{:?}", page.body);
}

#[tokio::test]
async fn nobody_gets_in_with_a_guess_or_with_another_checkouts_link() {
    let server = Server::start().await;
    server.yoga().await;
    let (one, path) = waiting(&server, &hosted()).await;
    let mut body = hosted();
    body["reference"] = json!("other");
    let (two, other) = waiting(&server, &body).await;
    let token = path.split('.').next_back().unwrap();
    let paid_otherwise = server.free("free").await;
    let missing = load(&server, "/pay/chk_of_nobody.abc").await;
    assert_eq!(missing.code(), 404);
    let guesses = [
        format!("/pay/{one}"),
        format!("/pay/{one}."),
        format!("/pay/{two}.{token}"),
        format!("/pay/{paid_otherwise}.{token}"),
        format!("/pay/{one}.{}", &token[1..]),
        format!("/pay/{one}.{}a", token),
        format!("/pay/%00.{token}"),
        "/pay/.".to_owned(),
        format!("/pay/{}", "x".repeat(4_000)),
    ];
    for guess in &guesses {
        let page = load(&server, guess).await;
        assert_eq!((page.code(), &page.body), (404, &missing.body), "{guess}");
    }
    // The form of one checkout is none of another.
    let fields = form(&text(&load(&server, &path).await), "cancel");
    assert_eq!(send(&server, &other, &fields, &[], &[]).await.code(), 400);
    assert_eq!(server.get(&format!("/v1/checkouts/{two}")).await.json()["status"], "awaiting_payment");
}

#[tokio::test]
async fn a_form_from_another_site_or_with_other_words_in_it_does_nothing() {
    let server = Server::start().await;
    server.yoga().await;
    let (id, path) = waiting(&server, &hosted()).await;
    let html = text(&load(&server, &path).await);
    let (pay, cancel) = (form(&html, "pay"), form(&html, "cancel"));
    let card = [("card", "tok_visa")];
    for headers in [[("sec-fetch-site", "cross-site")], [("sec-fetch-site", "same-site")], [("origin", "https://evil.example")]] {
        assert_eq!(send(&server, &path, &pay, &card, &headers).await.code(), 403, "{headers:?}");
        assert_eq!(send(&server, &path, &cancel, &[], &headers).await.code(), 403, "{headers:?}");
    }
    let changed = |name: &str, value: &str| {
        let mut fields = pay.clone();
        fields.insert(name.to_owned(), value.to_owned());
        fields
    };
    for fields in [
        changed("intent", "cancel"),
        changed("n", "2"),
        changed("form", ""),
        changed("form", "AAAA"),
        changed("n", "x"),
        changed("amount", "1"),
    ] {
        let reply = send(&server, &path, &fields, &card, &[]).await;
        assert_eq!(reply.code(), 400, "{fields:?}");
        assert_eq!(reply.header("x-frame-options"), "DENY");
    }
    let long = "x".repeat(8 * 1024);
    assert_eq!(send(&server, &path, &pay, &[("card", "other"), ("token", &long)], &[]).await.code(), 400);
    let untouched = server.get(&format!("/v1/checkouts/{id}")).await.json();
    assert_eq!((&untouched["status"], &untouched["payment_attempts"]), (&json!("awaiting_payment"), &json!([])));
}

#[tokio::test]
async fn a_card_number_is_refused_and_comes_back_nowhere() {
    let server = Server::start().await;
    server.yoga().await;
    let (id, path) = waiting(&server, &hosted()).await;
    let pay = form(&text(&load(&server, &path).await), "pay");
    for (card, token, words, field) in [
        ("other", "4242 4242 4242 4242", "This is a card number", "href=\"#token\""),
        ("other", "", "Enter a card token", "href=\"#token\""),
        ("other", "tok <visa>", "without blanks", "href=\"#token\""),
        ("tok_of_nobody", "", "Choose a card", "href=\"#card-1\""),
    ] {
        let reply = send(&server, &path, &pay, &[("card", card), ("token", token)], &[]).await;
        let html = text(&reply);
        assert!(reply.code() == 422 && html.contains(words) && html.contains(field) && html.contains("<title>Error:"), "{html}");
        assert!(token.is_empty() || !html.contains(token), "{html}");
    }
    assert_eq!(server.get(&format!("/v1/checkouts/{id}")).await.json()["payment_attempts"], json!([]));
}

#[tokio::test]
async fn nothing_that_anybody_wrote_becomes_markup() {
    let server = Server::start().await;
    let evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    let mut session = yoga();
    session["name"] = json!(evil);
    session.as_object_mut().unwrap().remove("capacity");
    session["seats"] = json!(["<b>A1"]);
    let put = server.put("/v1/sessions/ses_evil", &session).await;
    let seats = if put.code() == 201 { json!(["<b>A1"]) } else { json!(["A1"]) };
    if put.code() != 201 {
        session["seats"] = json!(["A1"]);
        assert_eq!(server.put("/v1/sessions/ses_evil", &session).await.code(), 201);
    }
    assert_eq!(server.put("/v1/products/prd_evil", &json!({"name": evil, "unit_amount": 100, "currency": "usd"})).await.code(), 201);
    assert_eq!(server.put("/v1/settings", &json!({"name": evil})).await.code(), 200);
    let mut body = hosted();
    body["lines"] = json!([
        {"type": "session", "session": "ses_evil", "seats": seats},
        {"type": "product", "product": "prd_evil"},
        {"type": "custom", "name": evil, "unit_amount": 100},
    ]);
    body["callback_state"] = json!(evil);
    body["reference"] = json!(evil);
    body["customer"] = json!({"name": evil, "email": "\"<b>\"@shop.example"});
    body["success_url"] = json!("https://shop.example/?x=\"><script>alert(1)</script>");
    let (id, path) = waiting(&server, &body).await;
    let mut pages = vec![text(&load(&server, &path).await)];
    let fields = form(&pages[0], "pay");
    let evil_decline = Outcome::Declined(Decline { decline_code: evil.to_owned(), message: evil.to_owned(), provider_reference: None });
    join!(send(&server, &path, &fields, &[("card", "tok_visa")], &[]), work(&server, &id, evil_decline));
    pages.push(text(&load(&server, &path).await));
    let fields = form(&pages[1], "pay");
    join!(send(&server, &path, &fields, &[("card", "tok_visa")], &[]), work(&server, &id, approved(1700)));
    pages.push(text(&load(&server, &path).await));
    assert!(pages[2].contains("Thank you"), "{}", pages[2]);
    for html in &pages {
        assert!(html.contains("&#60;script&#62;alert(1)"), "it is shown as it was written: {html}");
        assert!(!html.contains("<script>") && !html.contains("<img") && !html.contains("<b>"), "{html}");
    }
    let back = load(&server, &format!("{path}?after=submit")).await;
    assert!(back.code() == 303 && !back.header("location").contains(['<', '"']), "{}", back.header("location"));
}

#[tokio::test]
async fn a_page_is_framed_only_by_the_tenants_sites_and_only_where_the_checkout_says_so() {
    let server = Server::start().await;
    server.yoga().await;
    let mut body = hosted();
    body["payment"]["hosted"]["ui_mode"] = json!("embedded");
    let (id, path) = waiting(&server, &body).await;
    let ancestors = async |path: &str| {
        let page = load(&server, path).await;
        let policy = page.header("content-security-policy").to_owned();
        (policy.split("frame-ancestors ").nth(1).unwrap().to_owned(), page.header("x-frame-options").to_owned())
    };
    assert_eq!(ancestors(&path).await, ("'none'".to_owned(), "DENY".to_owned()), "no site was named");
    let settings = json!({"embed_origins": ["https://shop.example", "http://localhost:3000"]});
    assert_eq!(server.put("/v1/settings", &settings).await.code(), 200);
    assert_eq!(ancestors(&path).await, ("https://shop.example http://localhost:3000".to_owned(), String::new()));
    let (_, alone) = waiting(&server, &hosted()).await;
    assert_eq!(ancestors(&alone).await.0, "'none'");
    // In a frame the end is a link out of it, not a redirect within.
    let fields = form(&text(&load(&server, &path).await), "pay");
    join!(send(&server, &path, &fields, &[("card", "tok_visa")], &[]), work(&server, &id, approved(3000)));
    let page = load(&server, &format!("{path}?after=submit")).await;
    assert!(page.code() == 200 && text(&page).contains("target=\"_top\""), "{:?}", page.body);
}

#[tokio::test]
async fn what_cannot_be_paid_on_a_page_is_refused_at_once() {
    let server = Server::start().await;
    server.yoga().await;
    for (payment, status, code, param) in [
        (json!({"hosted": {}, "methods": [{"type": "free"}]}), 400, "parameter_invalid", "payment"),
        (json!({"hosted": {"options": {"cheque": {}}}}), 400, "parameter_unknown", "payment.hosted.options.cheque"),
        (json!({"hosted": {"options": {"card": {"disable": "no"}}}}), 400, "parameter_invalid", "payment.hosted.options.card.disable"),
        (json!({"hosted": {"ui_mode": "popup"}}), 400, "parameter_invalid", "payment.hosted.ui_mode"),
        (
            json!({"hosted": {"options": {"bank": {"enabled_providers": ["a b"]}}}}),
            400,
            "parameter_invalid",
            "payment.hosted.options.bank.enabled_providers[0]",
        ),
        (
            json!({"hosted": {"options": {"wallet": {"disabled_providers": vec!["x"; 51]}}}}),
            400,
            "parameter_invalid",
            "payment.hosted.options.wallet.disabled_providers",
        ),
        (
            json!({"hosted": {"options": {"card": {"disable": true}, "mobile_money": {"disable": true}, "bank": {"enabled_providers": ["nobody"]}, "wallet": {"disabled_providers": ["w01"]}}}}),
            422,
            "unsupported",
            "payment.hosted.options",
        ),
    ] {
        let mut body = hosted();
        body["payment"] = payment.clone();
        let reply = server.checkout("refused", &body).await;
        assert_eq!((reply.problem(), &reply.json()["param"]), ((status, code.to_owned()), &json!(param)), "{payment}");
    }
    server.add_key("bo_live_shop", "demo", Mode::Live, &["checkouts:write", "catalog:write"]).await;
    let live = [("authorization", "Bearer bo_live_shop"), ("idempotency-key", "live")];
    let mut body = hosted();
    body["lines"] = json!([{"type": "custom", "name": "Mat", "unit_amount": 100}]);
    let reply = server.post_json("/v1/checkouts", &live, &body.to_string()).await;
    assert_eq!(reply.problem(), (422, "provider_not_configured".to_owned()));
}
