//! A customer's browser on our page, and the worker behind it.

use crate::server::{Reply, Server};
use axum::body::Body;
use boxoffice_common::{
    domain::{
        attempt::{Decline, Outcome, Receipt},
        begin::Begin,
        id::CheckoutId,
        money::{Amount, Currency},
        settle::Settlement,
        state::Status,
    },
    ports::{
        announcer::{Announcement, Announcer},
        store::{CheckoutStore, Next, Settled},
    },
};
use http::Request;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

pub(crate) const HOME: &str = "https://pay.example";

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
        routing: boxoffice_common::domain::routing::to_the_sandbox(),
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
    let settlement = Settlement {
        checkout,
        n,
        lease_token,
        outcome,
        retry_in: Duration::ZERO,
        routing: boxoffice_common::domain::routing::to_the_sandbox(),
        is_last_look: false,
        known: None,
    };
    if let Settled::Moved(moved) = server.store.settle(settlement).await.unwrap() {
        server.announcer.announce(Announcement { checkout: moved.checkout, version: moved.version, status: moved.status });
    }
}

/// Where an answer leads, as the query of the way back to the shop says: its status; `None` where it leads to our page.
pub(crate) fn leads_to(reply: &Reply, path: &str) -> Option<String> {
    assert_eq!(reply.code(), 303, "{:?}", reply.body);
    let location = reply.header("location");
    if location == format!("{}?after=submit", path.strip_prefix("/pay/").unwrap()) {
        return None;
    }
    let shop = url::Url::parse(location).unwrap();
    shop.query_pairs().find(|(name, _)| name == "status").map(|(_, status)| status.into_owned())
}

pub(crate) fn approved(minor: i64) -> Outcome {
    let currency = Currency::parse("usd").unwrap();
    Outcome::Approved(Receipt::of("ch_1".to_owned(), Amount::from_minor(minor), currency))
}

pub(crate) fn declined(message: &str) -> Outcome {
    Outcome::Declined(Decline::new("insufficient_funds".to_owned(), message.to_owned(), None))
}
