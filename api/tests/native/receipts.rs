//! What a customer keeps of a sale: pages and paper for whoever has the link, and for nobody else.

use crate::server::{Reply, Server};
use axum::body::Body;
use boxoffice_common::domain::state::Status;
use data_encoding::BASE64;
use http::Request;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const EVIL: &str = "<script>alert(1)</script>\"'";

/// A sale to Ada of two places at a session that starts on New Year's Eve in New York; its id.
async fn sale(server: &Server, names: &str) -> String {
    let settings = json!({"name": format!("Opera {names}"), "color": "#ffcc00", "time_zone": "America/New_York", "support_email": format!("help{}@x.example", names.replace(' ', ""))});
    assert_eq!(server.put("/v1/settings", &settings).await.code(), 200);
    let session = json!({"name": format!("Evening {names}"), "starts_at": "2099-01-01T04:30:00Z", "seats": [names.replace(' ', ""), "B2"], "unit_amount": 0, "currency": "kwd"});
    assert!(server.put("/v1/sessions/ses_eve", &session).await.code() < 300);
    let lines = json!([
        {"type": "session", "session": "ses_eve", "seats": [names.replace(' ', ""), "B2"]},
        {"type": "custom", "name": format!("Shoes {names}"), "unit_amount": 1500, "quantity": 2},
    ]);
    let body = json!({
        "currency": "kwd", "lines": lines, "reference": format!("order {names}"),
        "customer": {"external_id": "ada", "name": format!("Ada {names}"), "email": "ada@example.com"},
        "payment": {"methods": [{"type": "custom", "name": "cash"}]},
    });
    let accepted = server.checkout("sale", &body).await;
    assert_eq!(accepted.code(), 202, "{:?}", accepted.body);
    let id = accepted.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(server.get(&format!("/v1/checkouts/{id}/receipt")).await.problem(), (409, "receipt_unavailable".to_owned()));
    assert_eq!(server.work(&id).await, Status::Succeeded);
    id
}

/// Without a key, as a browser comes.
async fn open(server: &Server, url: &str) -> Reply {
    let path = url.strip_prefix("https://pay.example").unwrap();
    server.send(Request::get(path).body(Body::empty()).unwrap()).await
}

fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.to_vec()).unwrap()
}

/// Nothing runs, nothing is loaded, nothing is found by a search engine, and the one style is the one in the page.
fn assert_guarded(page: &Reply) {
    let html = text(page);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let style = html.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let hash = BASE64.encode(&Sha256::digest(style.as_bytes()));
    let policy = format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    assert_eq!(page.header("content-security-policy"), policy);
    for (name, value) in [
        ("x-robots-tag", "noindex, nofollow"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(page.header(name), value);
    }
    let lower = html.to_lowercase();
    for never in
        ["<script", "javascript:", " onload", " onerror", " onclick", " style=", "<link", "<img", "<iframe", "src=", "@import", "url("]
    {
        assert!(!lower.contains(never), "{never}");
    }
    assert!(lower.contains("<html lang=") && lower.contains("name=\"viewport\"") && lower.contains("<h1>") && lower.contains("<title>"));
}

fn assert_pdf(file: &Reply) {
    assert_eq!((file.code(), file.header("content-type")), (200, "application/pdf"));
    assert!(file.body.starts_with(b"%PDF-1.") && file.body.trim_ascii_end().ends_with(b"%%EOF"));
    assert!(file.header("content-disposition").starts_with("inline; filename=\""));
    assert_eq!(file.header("x-robots-tag"), "noindex, nofollow");
}

#[tokio::test]
async fn a_receipt_tells_the_sale_in_the_tenants_name_colour_and_time() {
    let server = Server::start().await;
    let id = sale(&server, "A1").await;
    let links = server.get(&format!("/v1/checkouts/{id}/receipt")).await.json();
    assert_eq!(links, server.get(&format!("/v1/checkouts/{id}/receipt")).await.json(), "the same at every call");
    let page = open(&server, links["url"].as_str().unwrap()).await;
    assert_eq!(page.code(), 200);
    assert_guarded(&page);
    let html = text(&page);
    for told in [
        "Opera A1",
        "Ada A1",
        "ada@example.com",
        "Evening A1",
        "Wednesday, 31 December 2098, 23:30 (America/New York)",
        "Seats A1, B2",
        "2 × KWD\u{a0}1.500",
        "KWD\u{a0}3.000",
        "Test mode",
        "order A1",
        &id,
        "#ffcc00;color:#000",
    ] {
        assert!(html.contains(told), "{told}: {html}");
    }
    assert!(!html.contains("Given back"));
    assert_pdf(&open(&server, links["pdf_url"].as_str().unwrap()).await);
    let path = format!("/v1/checkouts/{id}/refunds");
    server.post_json(&path, &[("idempotency-key", "r")], r#"{"amount": 1000}"#).await;
    assert!(text(&open(&server, links["url"].as_str().unwrap()).await).contains("<dt>Given back</dt><dd>KWD\u{a0}1.000</dd>"));
}

#[tokio::test]
async fn a_ticket_page_shows_its_code_until_it_is_used_passed_on_or_void() {
    let server = Server::start().await;
    let id = sale(&server, "A1").await;
    let tickets = async || server.get(&format!("/v1/checkouts/{id}/tickets")).await.json()["data"].clone();
    let ticket = tickets().await[0].clone();
    let page = open(&server, ticket["url"].as_str().unwrap()).await;
    assert_eq!(page.code(), 200);
    assert_guarded(&page);
    let html = text(&page);
    for told in [
        "Evening A1",
        "Wednesday, 31 December 2098, 23:30 (America/New York)",
        "<dd>A1</dd>",
        "Ada A1",
        "Valid",
        "<svg class=\"qr\" role=\"img\" aria-label=",
    ] {
        assert!(html.contains(told), "{told}: {html}");
    }
    assert_pdf(&open(&server, ticket["pdf_url"].as_str().unwrap()).await);
    let receipt = server.get(&format!("/v1/checkouts/{id}/receipt")).await.json()["url"].as_str().unwrap().to_owned();
    assert!(text(&open(&server, &receipt).await).contains(ticket["url"].as_str().unwrap()));
    // Passed on: the link before leads nowhere, and the receipt does not lead to the new one.
    let transfer = format!("/v1/tickets/{}/transfer", ticket["id"].as_str().unwrap());
    let eves = server.post_json(&transfer, &[], r#"{"holder": {"name": "Eve"}}"#).await.json();
    for old in ["url", "pdf_url"] {
        let gone = open(&server, ticket[old].as_str().unwrap()).await;
        assert_eq!(gone.code(), 404);
        assert_guarded(&gone);
    }
    let eves_page = text(&open(&server, eves["url"].as_str().unwrap()).await);
    assert!(eves_page.contains("<dd>Eve</dd>") && !eves_page.contains("Ada"));
    let shown = text(&open(&server, &receipt).await);
    assert!(!shown.contains(eves["url"].as_str().unwrap()) && !shown.contains(ticket["url"].as_str().unwrap()));
    // Used, then void: no code any more.
    server.post_json("/v1/check-ins", &[], &json!({"code": eves["code"]}).to_string()).await;
    let used = text(&open(&server, eves["url"].as_str().unwrap()).await);
    assert!(used.contains("Used") && !used.contains("<svg"));
    server.post_json(&format!("/v1/checkouts/{id}/refunds"), &[("idempotency-key", "r")], "{}").await;
    let void = text(&open(&server, tickets().await[1]["url"].as_str().unwrap()).await);
    assert!(void.contains("Not valid any more") && !void.contains("<svg"));
}

#[tokio::test]
async fn whatever_a_name_says_it_is_shown_and_never_run() {
    let server = Server::start().await;
    let id = sale(&server, EVIL).await;
    let ticket = server.get(&format!("/v1/checkouts/{id}/tickets")).await.json()["data"][0].clone();
    let receipt = server.get(&format!("/v1/checkouts/{id}/receipt")).await.json();
    let transfer = format!("/v1/tickets/{}/transfer", ticket["id"].as_str().unwrap());
    let receipt_page = open(&server, receipt["url"].as_str().unwrap()).await;
    let ticket_page = open(&server, ticket["url"].as_str().unwrap()).await;
    let holder = json!({"holder": {"name": EVIL, "email": format!("{EVIL}@x")}}).to_string();
    let eves = server.post_json(&transfer, &[], &holder).await.json();
    let holder_page = open(&server, eves["url"].as_str().unwrap()).await;
    for (page, times) in [(&receipt_page, 6), (&ticket_page, 5), (&holder_page, 5)] {
        assert_eq!(page.code(), 200);
        assert_guarded(page);
        let html = text(page);
        assert!(!html.contains(EVIL) && !html.contains("alert(1)</script>"));
        assert!(html.matches("&#60;script&#62;alert(1)&#60;/script&#62;&#34;&#39;").count() >= times, "{html}");
    }
    for file in [&receipt["pdf_url"], &eves["pdf_url"]] {
        assert_pdf(&open(&server, file.as_str().unwrap()).await);
    }
}

#[tokio::test]
async fn names_in_any_script_break_neither_page_nor_paper() {
    let server = Server::start().await;
    let names = "李明Ωλאבعربى\u{1f3ad}\u{0301}ก้";
    let id = sale(&server, names).await;
    let ticket = server.get(&format!("/v1/checkouts/{id}/tickets")).await.json()["data"][0].clone();
    let receipt = server.get(&format!("/v1/checkouts/{id}/receipt")).await.json();
    for links in [&ticket, &receipt] {
        assert!(text(&open(&server, links["url"].as_str().unwrap()).await).contains(names));
        assert_pdf(&open(&server, links["pdf_url"].as_str().unwrap()).await);
    }
}

#[tokio::test]
async fn a_link_cannot_be_guessed_and_one_kind_opens_no_other() {
    let server = Server::start().await;
    let id = sale(&server, "A1").await;
    let receipt = server.get(&format!("/v1/checkouts/{id}/receipt")).await.json()["url"].as_str().unwrap().to_owned();
    let tickets = server.get(&format!("/v1/checkouts/{id}/tickets")).await.json();
    let (first, second) = (tickets["data"][0]["url"].as_str().unwrap(), tickets["data"][1]["url"].as_str().unwrap());
    let token = |url: &str| url.rsplit_once('/').unwrap().1.to_owned();
    let (own, mac) = receipt.rsplit_once('-').map_or(("", ""), |(own, mac)| (own, mac));
    let (first_own, _) = first.split_once('-').unwrap();
    let (_, second_mac) = second.split_once('-').unwrap();
    let changed = format!("{}{}", &receipt[..receipt.len() - 2], if receipt.ends_with("AA") { "BB" } else { "AA" });
    for bad in [
        changed,
        own.to_owned(),
        format!("{own}-"),
        format!("{first_own}-{mac}"),
        format!("{first_own}-{second_mac}"),
        format!("https://pay.example/t/{}", token(&receipt)),
        format!("https://pay.example/r/{}", token(first)),
        "https://pay.example/r/x".to_owned(),
        "https://pay.example/t/.pdf".to_owned(),
        "https://pay.example/t/%FF".to_owned(),
        format!("https://pay.example/r/{}", "x".repeat(3_000)),
    ] {
        let page = open(&server, &bad).await;
        assert!(page.code() == 404 || page.code() == 400, "{bad}: {}", page.code());
    }
    assert_eq!(server.get("/v1/checkouts/chk_nothing/receipt").await.code(), 404);
    let unsold: Value =
        server.checkout("queued", &json!({"currency": "usd", "lines": [{"type": "custom", "name": "x", "unit_amount": 0}]})).await.json();
    let queued = format!("/v1/checkouts/{}/receipt", unsold["id"].as_str().unwrap());
    assert_eq!(server.get(&queued).await.problem(), (409, "receipt_unavailable".to_owned()));
}
