//! The pages that a customer sees: one to pay on, one to authenticate on. Plain HTML forms without script.

use super::{
    account::{Account, Call},
    cards::{Afterwards, CARDS, Challenge, TestCard},
    form::Params,
    idempotency::Answer,
    intents::Status,
    lock,
    server::Shared,
};
use hyper::body::Bytes;
use std::fmt::Write as _;

/// Answers what is not part of the API.
pub(super) fn answer(shared: &Shared, method: &str, path: &str, query: &str, body: &[u8]) -> Answer {
    let mut account = lock(&shared.account);
    account.run_due();
    let form = Params::parse(if method == "POST" { body } else { query.as_bytes() }).unwrap_or_default();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let answer = match (method, parts.as_slice()) {
        ("GET", ["c", "pay", session]) => checkout(&account, session, None),
        ("POST", ["c", "pay", session]) => pay(&mut account, session, &form),
        ("GET", ["c", "return", session]) => back(&mut account, session),
        ("GET", ["authenticate", intent]) => challenge(&account, intent, form.text("client_secret")),
        ("POST", ["authenticate", intent]) => authenticate(&mut account, intent, &form),
        _ => page(404, "Not found", "<p>There is nothing here.</p>"),
    };
    account.run_due();
    answer
}

fn page(status: u16, title: &str, body: &str) -> Answer {
    let title = escape(title);
    let body = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title></head>\n<body><main><h1>{title}</h1>\n{body}\n</main></body></html>\n"
    );
    let headers = vec![
        ("cache-control", "no-store".to_owned()),
        ("content-security-policy", "default-src 'none'; frame-ancestors *".to_owned()),
        ("referrer-policy", "no-referrer".to_owned()),
    ];
    Answer { status, content_type: "text/html; charset=utf-8", headers, body: Bytes::from(body) }
}

fn see_other(url: &str) -> Answer {
    let headers = vec![("location", url.to_owned()), ("cache-control", "no-store".to_owned())];
    Answer { status: 303, content_type: "text/html; charset=utf-8", headers, body: Bytes::new() }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// What a card does, in words.
fn meaning(card: &TestCard) -> String {
    let mut words = match (card.delayed, card.decline) {
        (Some(true), _) => "pays later".to_owned(),
        (Some(false), _) => "is refused later".to_owned(),
        (None, None) => "pays".to_owned(),
        (None, Some(decline)) => format!("is declined ({})", decline.decline_code),
    };
    if card.challenge != Challenge::Never {
        words.insert_str(0, "asks for 3-D Secure, then ");
    }
    words.push_str(match card.afterwards {
        Afterwards::Nothing => "",
        Afterwards::Dispute(_) => ", then is disputed",
        Afterwards::RefundFails => "; a refund fails later",
        Afterwards::RefundPending => "; a refund is pending for a while",
    });
    words
}

/// The page of a Checkout Session.
fn checkout(account: &Account, id: &str, wrong: Option<&str>) -> Answer {
    let Ok(session) = account.session(id) else { return page(404, "Not found", "<p>There is no such Checkout Session.</p>") };
    if session.is_complete() {
        let back = session.way_back().map_or_else(String::new, |url| format!("<p><a id=\"back\" href=\"{}\">Back</a></p>", escape(&url)));
        return page(200, "You have paid", &back);
    }
    if !session.is_open() {
        return page(410, "This page has expired", "<p>Nothing was charged.</p>");
    }
    let mut body = String::from("<ul>");
    for (name, quantity) in session.names() {
        let _ = write!(body, "<li>{quantity} × {}</li>", escape(name));
    }
    let _ = write!(body, "</ul>\n<p id=\"total\">{} {}</p>\n", session.amount, session.currency.to_uppercase());
    if let Some(wrong) = wrong {
        let _ = writeln!(body, "<p id=\"error\" role=\"alert\">{}</p>", escape(wrong));
    }
    // Behind 3-D Secure the page has another address, which takes no form.
    let _ = writeln!(body, "<form method=\"post\" action=\"/c/pay/{}\">", escape(id));
    body.push_str("<label>Email <input type=\"email\" name=\"email\" autocomplete=\"email\"></label>\n");
    body.push_str("<label>Test card <select name=\"card\">\n");
    for card in CARDS {
        let _ = writeln!(body, "<option value=\"{}\">{} ····{}: {}</option>", card.id(), card.name, card.last4, escape(&meaning(card)));
    }
    body.push_str("</select></label>\n<button id=\"pay\" type=\"submit\">Pay</button>\n</form>\n");
    if let Some(url) = session.cancel_url() {
        let _ = write!(body, "<p><a id=\"cancel\" href=\"{}\">Back to the shop</a></p>", escape(url));
    }
    page(200, "Pay (test mode)", &body)
}

/// The customer has chosen a card.
fn pay(account: &mut Account, id: &str, form: &Params) -> Answer {
    let card = form.text("card").unwrap_or("pm_card_visa");
    match account.pay_session(id, card, form.text("email")) {
        Ok(Status::RequiresAction) => {
            let action =
                account.session(id).ok().and_then(|session| session.intent.as_ref()).and_then(|intent| account.intents.get(intent));
            match action.and_then(|intent| intent.action.clone()).flatten() {
                Some(url) => see_other(&url),
                None => page(500, "No page to authenticate on", ""),
            }
        }
        Ok(_) => complete(account, id),
        Err(refusal) => {
            let message = refusal.members().get("message").and_then(|message| message.as_str()).unwrap_or("That did not work.").to_owned();
            checkout(account, id, Some(&message))
        }
    }
}

/// The way back to the shop, or a word of thanks where there is none.
fn complete(account: &Account, id: &str) -> Answer {
    match account.session(id).ok().and_then(|session| session.way_back()) {
        Some(url) => see_other(&url),
        None => page(200, "You have paid", "<p id=\"paid\">Thank you.</p>"),
    }
}

/// Back from 3-D Secure to the session's page.
fn back(account: &mut Account, id: &str) -> Answer {
    account.session_moved(&Call::default(), id);
    match account.session(id) {
        Ok(session) if session.is_complete() => complete(account, id),
        _ => checkout(
            account,
            id,
            Some("We are unable to authenticate your payment method. Please choose a different payment method and try again."),
        ),
    }
}

/// The page of the customer's bank.
fn challenge(account: &Account, id: &str, secret: Option<&str>) -> Answer {
    let Some(intent) = account.intents.get(id).filter(|intent| secret == Some(intent.client_secret.as_str())) else {
        return page(404, "Not found", "<p>There is no such payment.</p>");
    };
    if intent.status != Status::RequiresAction {
        return page(200, "Nothing to authenticate", &format!("<p>The payment has the status {}.</p>", intent.status.as_str()));
    }
    let body = format!(
        "<p>{} {}</p>\n<form method=\"post\">\n<input type=\"hidden\" name=\"client_secret\" value=\"{}\">\n\
         <button id=\"complete\" type=\"submit\" name=\"outcome\" value=\"complete\">Complete authentication</button>\n\
         <button id=\"fail\" type=\"submit\" name=\"outcome\" value=\"fail\">Fail authentication</button>\n</form>",
        intent.amount,
        intent.currency.to_uppercase(),
        escape(&intent.client_secret)
    );
    page(200, "3-D Secure (test mode)", &body)
}

/// The customer has pressed a button; back to `return_url`.
fn authenticate(account: &mut Account, id: &str, form: &Params) -> Answer {
    let known = account.intents.get(id).is_some_and(|intent| form.text("client_secret") == Some(intent.client_secret.as_str()));
    if !known {
        return page(404, "Not found", "<p>There is no such payment.</p>");
    }
    let success = form.text("outcome") == Some("complete");
    // The outcome stands in the payment: the way back is the same.
    let outcome = account.authenticated(&Call::default(), id, success);
    match account.way_back(id, outcome.is_ok()) {
        Some(url) => see_other(&url),
        None => page(200, "You may close this page", "<p>There is no address to go back to.</p>"),
    }
}

impl Account {
    /// `return_url` with the payment and what became of it. <https://docs.stripe.com/payments/3d-secure/authentication-flow>.
    pub(super) fn way_back(&mut self, id: &str, success: bool) -> Option<String> {
        let intent = self.intents.get(id)?;
        let mut url = url::Url::parse(intent.return_url.as_ref()?).ok()?;
        url.query_pairs_mut()
            .append_pair("payment_intent", id)
            .append_pair("payment_intent_client_secret", &intent.client_secret)
            .append_pair("redirect_status", if success { "succeeded" } else { "failed" });
        if let Some(session) = intent.session.clone().filter(|_| success) {
            self.session_moved(&Call::default(), &session);
        }
        Some(url.into())
    }
}
