//! The page that customers pay on, before those who were not meant: what they send, write and guess does nothing.

use crate::{
    browser::{approved, form, hosted, load, send, text, waiting, work},
    server::{Server, yoga},
};
use boxoffice_common::domain::{
    attempt::{Decline, Outcome},
    scope::Mode,
};
use serde_json::json;
use tokio::join;

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
    let evil_decline = Outcome::Declined(Decline::new(evil.to_owned(), evil.to_owned(), None));
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
            json!({"hosted": {"options": {"card": {"disable": true}, "mobile_money": {"disable": true}, "bank": {"enabled_providers": ["nobody"]}, "wallet": {"disabled_providers": ["dw001"]}}}}),
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
