//! The page that `_links.checkout` leads to: three buttons, as in Mollie's test mode.

use super::{
    Shared,
    book::PaymentStatus,
    call::{Call, respond},
    lock,
};
use axum::{
    body::Body,
    http::{HeaderValue, Method, Response, header},
};

/// `GET` shows it, `POST` with `status=paid|failed|canceled` decides and leads back to `redirectUrl`.
pub(super) fn answer(shared: &Shared, call: &Call, id: &str) -> Response<Body> {
    let mut book = lock(&shared.book);
    let Ok(payment) = book.payment(id).map(|payment| payment.clone()) else {
        return respond(404, "text/html; charset=utf-8", b"<!doctype html><title>Not found</title><h1>Not found</h1>".to_vec());
    };
    if call.method == Method::POST {
        let status = call.form().into_iter().find(|(name, _)| name == "status").map(|(_, value)| value).unwrap_or_default();
        match status.as_str() {
            "paid" => book.advance(id, PaymentStatus::Paid, None),
            "failed" => book.advance(id, PaymentStatus::Failed, Some(payment.magic_reason())),
            "canceled" => book.advance(id, PaymentStatus::Canceled, None),
            _ => return respond(400, "text/html; charset=utf-8", b"<!doctype html><title>?</title><h1>No such answer</h1>".to_vec()),
        };
        drop(book);
        shared.wake();
        let mut response = respond(303, "text/html; charset=utf-8", Vec::new());
        if let Some(to) = payment.redirect_url.and_then(|url| HeaderValue::from_str(&url).ok()) {
            response.headers_mut().insert(header::LOCATION, to);
        }
        return response;
    }
    let buttons = if payment.status == PaymentStatus::Open {
        "<form method=\"post\"><button name=\"status\" value=\"paid\">Pay</button> \
         <button name=\"status\" value=\"failed\">Fail</button> \
         <button name=\"status\" value=\"canceled\">Cancel</button></form>"
            .to_owned()
    } else {
        format!("<p>This payment is {}.</p>", payment.status.as_str())
    };
    let amount = payment.amount.json();
    let text = |name: &str| amount.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    let page = format!(
        "<!doctype html><html lang=\"en\"><title>Test payment</title><h1>Test payment</h1><p>{} {}</p>{buttons}</html>",
        text("currency"),
        text("value"),
    );
    respond(200, "text/html; charset=utf-8", page.into_bytes())
}
