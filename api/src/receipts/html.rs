//! The pages, their style, and what a browser may do with them: show them, and nothing else.

use super::{
    qr,
    sale::{Receipt, Shop, TicketPage},
};
use crate::problem::Problem;
use askama::Template;
use axum::{body::Body, response::Response};
use data_encoding::BASE64;
use http::{HeaderName, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");
const STYLE: &str = include_str!("../../templates/receipts/style.css");

#[derive(Template)]
#[template(path = "receipts/receipt.html")]
struct ReceiptHtml<'a> {
    shop: &'a Shop,
    style: &'a str,
    page: &'a Receipt,
}

#[derive(Template)]
#[template(path = "receipts/ticket.html")]
struct TicketHtml<'a> {
    shop: &'a Shop,
    style: &'a str,
    page: &'a TicketPage,
    path: Option<String>,
    side: usize,
}

#[derive(Template)]
#[template(path = "receipts/trouble.html")]
struct TroubleHtml {
    heading: &'static str,
    words: &'static str,
    style: &'static str,
}

/// The style with a tenant's own colour, and text that can be read on it. Nothing in it but numbers is the tenant's.
fn style(shop: &Shop) -> String {
    let [red, green, blue] = shop.color;
    let text = if shop.dark_text { "#000" } else { "#fff" };
    format!("{STYLE}header{{background:#{red:02x}{green:02x}{blue:02x};color:{text}}}")
}

pub(super) fn receipt(page: &Receipt) -> Response {
    let style = style(&page.shop);
    answer(StatusCode::OK, &style, &ReceiptHtml { shop: &page.shop, style: &style, page })
}

pub(super) fn ticket(page: &TicketPage) -> Response {
    let style = style(&page.shop);
    let (path, side) = page.code.as_deref().and_then(qr::path).map_or((None, 0), |(path, side)| (Some(path), side));
    answer(StatusCode::OK, &style, &TicketHtml { shop: &page.shop, style: &style, page, path, side })
}

/// A link that leads nowhere, or a moment at which nothing can be said.
pub(super) fn trouble(problem: &Problem) -> Response {
    let status = problem.status();
    let (heading, words) = if status == StatusCode::NOT_FOUND {
        ("There is nothing here", "The link is not complete, or the ticket was passed on to somebody else.")
    } else {
        ("This page cannot be shown right now", "Please try again in a moment.")
    };
    answer(status, STYLE, &TroubleHtml { heading, words, style: STYLE })
}

fn answer(status: StatusCode, style: &str, page: &impl Template) -> Response {
    let Ok(text) = page.render() else {
        tracing::error!("a page cannot be written");
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return response;
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    guard(&mut response, "text/html; charset=utf-8");
    // The one style that stands in the page is known by its hash; nothing else is loaded, run, sent or framed.
    let hash = BASE64.encode(&Sha256::digest(style.as_bytes()));
    let policy = format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    let policy = HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"));
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// What holds for paper, too: kept by nobody in between, found by no search engine, told to no other site.
pub(super) fn guard(response: &mut Response, content_type: &'static str) {
    for (name, value) in [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (ROBOTS, "noindex, nofollow"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
}
