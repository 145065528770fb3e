//! A customer who orders once more under the same reference: the newer checkout takes the place of the older, and one is paid at the most.

use super::hosted::Browser;
use crate::support::{
    catalogue::{put, session, with},
    client::{Client, callback},
    system::System,
};
use boxoffice_testkit::Receiver;
use futures::future::join_all;
use serde_json::{Value, json};

pub async fn story(system: &System) {
    let (shop, receiver) = (system.shop(), Receiver::start().await.unwrap());
    the_last_place_moves_to_the_newer_one(&shop, &receiver).await;
    who_pays_on_the_older_page_pays_for_it_and_for_nothing_else(&shop).await;
    a_question_of_the_bank_is_taken_back_first(&shop).await;
    of_a_dozen_at_once_one_stays_open(&shop).await;
    what_cannot_be_replaced_is_refused(&shop).await;
}

fn order(session: &str, reference: &str, more: Value) -> Value {
    let body = json!({
        "currency": "usd", "lines": [{"type": "session", "session": session}], "payment": {"hosted": {}}, "reference": reference,
        "success_url": "https://shop.example/thanks", "cancel_url": "https://shop.example/cart", "callback_state": "cart 7",
    });
    with(&body, more)
}

fn instead() -> Value {
    json!({"replaces_open": true})
}

async fn the_last_place_moves_to_the_newer_one(shop: &Client, receiver: &Receiver) {
    put(shop, "sessions", "ses_last", session(1)).await;
    let older = Browser::open_order(shop, &order("ses_last", "booking-1", json!({"callback_url": receiver.url()}))).await;
    let form = older.load("").await;
    let newer = Browser::open_order(shop, &order("ses_last", "booking-1", instead())).await;
    let told = callback(receiver, "checkout.canceled", &older.id).await.json();
    assert_eq!((&told["data"]["error"]["code"], &told["data"]["payment_url"]), (&json!("replaced"), &Value::Null), "{told}");
    // Whatever is sent from the older page, it says what became of it, and leads nowhere: the shop would take it for the end.
    for (intent, card) in [("pay", "tok_visa"), ("cancel", "")] {
        let sent = older.send(&form.html, intent, card).await;
        assert_eq!(sent.status, 303, "{intent}: {}", sent.html);
        let says = older.follow("?after=submit").await;
        assert!(says.status == 200 && says.html.contains("A newer order took the place of this one"), "{intent}: {}", says.html);
        assert!(!says.html.contains("shop.example") && !says.html.contains(&newer.id), "{}", says.html);
    }
    assert!(shop.charges(&older.id).await.is_empty());
    newer.pay("tok_visa").await.leads_to_the_shop(shop, &newer, "https://shop.example/thanks", "succeeded").await;
    assert_eq!(shop.left("ses_last").await, (1, 0, 0));
    // What is paid is left alone; the next one is a purchase of its own.
    put(shop, "sessions", "ses_more", session(5)).await;
    let more = shop.buy(&order("ses_more", "booking-1", instead())).await;
    assert_eq!((&more["status"], &shop.checkout(&newer.id).await["status"]), (&json!("awaiting_payment"), &json!("succeeded")));
}

/// The bank's answer is lost, and says later that it is paid.
async fn who_pays_on_the_older_page_pays_for_it_and_for_nothing_else(shop: &Client) {
    put(shop, "sessions", "ses_slow", session(5)).await;
    let older = Browser::open_order(shop, &order("ses_slow", "booking-2", json!({}))).await;
    let page = older.load("").await;
    let paying = older.send(&page.html, "pay", "tok_timeout_charged");
    let ordering = async {
        shop.eventually(&format!("/v1/checkouts/{}", older.id), |checkout| checkout["status"] != "awaiting_payment").await;
        shop.order(&order("ses_slow", "booking-2", instead())).await
    };
    let (_, newer) = tokio::join!(paying, ordering);
    let ended = shop.settled(&newer).await;
    assert_eq!((&ended["status"], &ended["error"]["code"]), (&json!("failed"), &json!("already_paid")), "{ended}");
    assert_eq!(shop.checkout(&older.id).await["status"], "succeeded");
    assert_eq!((shop.charged(&older.id).await, shop.charged(&newer).await), (vec!["captured".to_owned()], vec![]));
    older.follow("?after=submit").await.leads_to_the_shop(shop, &older, "https://shop.example/thanks", "succeeded").await;
}

async fn a_question_of_the_bank_is_taken_back_first(shop: &Client) {
    put(shop, "sessions", "ses_bank", session(1)).await;
    let older = Browser::open_order(shop, &order("ses_bank", "booking-3", json!({}))).await;
    assert!(older.pay("tok_3ds").await.html.contains("/sandbox/actions/"));
    let newer = shop.buy(&order("ses_bank", "booking-3", instead())).await;
    assert_eq!(newer["status"], "awaiting_payment", "{newer}");
    let replaced = shop.checkout(&older.id).await;
    assert_eq!((&replaced["status"], &replaced["error"]["code"]), (&json!("canceled"), &json!("replaced")), "{replaced}");
    assert_eq!((shop.charged(&older.id).await, shop.left("ses_bank").await), (vec!["voided".to_owned()], (0, 1, 0)));
}

async fn of_a_dozen_at_once_one_stays_open(shop: &Client) {
    put(shop, "sessions", "ses_dozen", session(1)).await;
    let ended = join_all((0..12).map(|_| async { shop.buy(&order("ses_dozen", "booking-4", instead())).await })).await;
    let ids: Vec<&str> = ended.iter().map(|checkout| checkout["id"].as_str().unwrap()).collect();
    let mut open = Vec::new();
    for id in ids {
        let checkout = shop.checkout(id).await;
        match checkout["status"].as_str() {
            Some("awaiting_payment") => open.push(id),
            Some("canceled") => assert_eq!(checkout["error"]["code"], "replaced", "{checkout}"),
            _ => panic!("{checkout}"),
        }
    }
    assert_eq!((open.len(), shop.left("ses_dozen").await), (1, (0, 1, 0)), "{open:?}");
}

async fn what_cannot_be_replaced_is_refused(shop: &Client) {
    let mut nameless = order("ses_more", "x", instead());
    nameless.as_object_mut().unwrap().remove("reference");
    assert_eq!(shop.refused(&nameless).await.expect_problem(400, "parameter_missing")["param"], "reference");
    shop.refused(&order("ses_more", "x", json!({"replaces_open": 1}))).await.expect_problem(400, "parameter_invalid");
    put(shop, "sessions", "ses_many", session(500)).await;
    join_all((0..=100).map(|_| async { shop.order(&order("ses_many", "booking-5", json!({}))).await })).await;
    let refused = shop.refused(&order("ses_many", "booking-5", instead())).await.expect_problem(409, "too_many_open");
    assert_eq!(refused["param"], "reference");
}
