//! Bookings of Momence's clients: canceled in time, late, and waited for.

use super::momence_shop::{MEMBER, buy, open, pay};
use crate::support::{
    catalogue::{places, put, session, with},
    client::{Client, Reply, fresh_key},
    system::System,
};
use reqwest::Method;
use serde_json::{Value, json};

const CHECKOUT: &str = "/api/v2/host/checkout";
/// A provider whose every answer is heard later than an answer of ours waits for it.
pub const SLOW: &[(&str, &str)] = &[
    ("BOXOFFICE_FAILPOINTS", "charge.after_send=sleep(9000)"),
    ("BOXOFFICE_PROVIDER_TIMEOUT_MS", "12000"),
    ("BOXOFFICE_LEASE_MS", "30000"),
];

pub async fn story(system: &System) {
    let shop = system.shop();
    open(&shop).await;
    a_booking_is_canceled_and_what_paid_for_it_goes_back(&shop).await;
    nothing_goes_back_unless_it_is_asked_for(&shop).await;
    what_went_back_before_frees_no_place_by_itself(&shop).await;
    who_cannot_be_canceled_is_told_so(system, &shop).await;
    a_member_waits_for_a_place(system, &shop).await;
}

#[track_caller]
fn refused(reply: &Reply, status: u16, kind: &str) {
    assert_eq!((reply.status, reply.json()["type"].as_str()), (status, Some(kind)), "{}", reply.text);
}

async fn book(shop: &Client, session: u64, methods: Value) -> u64 {
    let body = with(&buy(session, "15.00"), json!({"paymentMethods": methods}));
    pay(shop, CHECKOUT, &body).await.expect(200)["purchasedItems"][0]["sessionBookingId"].as_u64().unwrap()
}

async fn cancel(shop: &Client, mount: &str, booking: u64, body: &Value) -> Reply {
    shop.send(shop.request(Method::DELETE, &format!("{mount}/api/v2/host/session-bookings/{booking}")).json(body)).await
}

fn how(refund: bool, late: bool) -> Value {
    json!({"refund": refund, "disableNotifications": true, "isLateCancellation": late})
}

fn by_pack() -> Value {
    json!([{"id": "1", "type": "membership", "boughtMembershipId": 25569}])
}

fn by_card() -> Value {
    json!([{"id": "1", "type": "saved_payment_method", "savedPaymentMethodId": 5155}])
}

async fn credits(shop: &Client) -> i64 {
    let pack = shop.get(&format!("/v1/customers/{MEMBER}/bought-memberships/25569")).await.expect(200);
    pack["credits_left"].as_i64().unwrap()
}

/// The last sale to the member.
async fn sale(shop: &Client) -> String {
    let sold = shop.get(&format!("/v1/checkouts?customer={MEMBER}&limit=1")).await.expect(200);
    sold["data"][0]["id"].as_str().unwrap().to_owned()
}

async fn a_booking_is_canceled_and_what_paid_for_it_goes_back(shop: &Client) {
    for mount in ["", "/momence"] {
        let (before, places) = (credits(shop).await, shop.left("100").await.0);
        let booking = book(shop, 100, by_pack()).await;
        assert_eq!((credits(shop).await, shop.left("100").await.0), (before - 1, places + 1));
        for _ in 0..2 {
            assert_eq!(cancel(shop, mount, booking, &how(true, false)).await.expect(200), json!({}));
            assert_eq!((credits(shop).await, shop.left("100").await.0), (before, places));
        }
        let booking = book(shop, 100, by_card()).await;
        let sale = sale(shop).await;
        for _ in 0..2 {
            cancel(shop, mount, booking, &how(true, false)).await.expect(200);
            assert_eq!((shop.charged(&sale).await, shop.left("100").await.0), (vec!["refunded".to_owned()], places));
        }
        let refunds = shop.get(&format!("/v1/checkouts/{sale}/refunds")).await.expect(200);
        assert_eq!(refunds["data"].as_array().unwrap().len(), 1, "{refunds}");
        let ticket = shop.get(&format!("/v1/checkouts/{sale}/tickets")).await.expect(200)["data"][0]["status"].clone();
        assert_eq!(ticket, "void");
    }
}

async fn nothing_goes_back_unless_it_is_asked_for(shop: &Client) {
    let (before, places) = (credits(shop).await, shop.left("100").await.0);
    let late = json!({"isLateCancellation": true, "disableNotifications": false});
    for body in [&late, &how(false, true), &how(false, false), &json!({}), &json!({"isLateCancellation": false})] {
        let booking = book(shop, 100, by_card()).await;
        let sale = sale(shop).await;
        for _ in 0..2 {
            cancel(shop, "", booking, body).await.expect(200);
            assert_eq!((shop.charged(&sale).await, shop.left("100").await.0), (vec!["captured".to_owned()], places), "{body}");
        }
    }
    let booking = book(shop, 100, by_pack()).await;
    cancel(shop, "", booking, &late).await.expect(200);
    assert_eq!((credits(shop).await, shop.left("100").await.0), (before - 1, places), "the place is free, and the credit is used");
    // Somebody thinks better of it.
    cancel(shop, "", booking, &how(true, true)).await.expect(200);
    assert_eq!((credits(shop).await, shop.left("100").await.0), (before, places));
    let nothing_said = book(shop, 100, by_pack()).await;
    let path = format!("/api/v2/host/session-bookings/{nothing_said}");
    shop.send(shop.request(Method::DELETE, &path)).await.expect(200);
    assert_eq!((credits(shop).await, shop.left("100").await.0), (before - 1, places), "nothing goes back that nobody asked for");
    cancel(shop, "", nothing_said, &how(true, false)).await.expect(200);
    assert_eq!(credits(shop).await, before);
}

/// A refund under /v1, waited for.
async fn refund(shop: &Client, sale: &str, body: &Value) -> Value {
    let path = format!("/v1/checkouts/{sale}/refunds");
    let asked = shop.send(shop.request(Method::POST, &path).header("idempotency-key", fresh_key()).json(body)).await.expect(202);
    shop.eventually(&format!("/v1/refunds/{}", asked["id"].as_str().unwrap()), |refund| refund["status"] == "succeeded").await
}

async fn what_went_back_before_frees_no_place_by_itself(shop: &Client) {
    let places = shop.left("100").await.0;
    let amounts = async |sale: &str| -> Vec<i64> {
        let refunds = shop.get(&format!("/v1/checkouts/{sale}/refunds")).await.expect(200);
        refunds["data"].as_array().unwrap().iter().map(|refund| refund["amount"].as_i64().unwrap()).collect()
    };
    // All of the money, or some for goodwill, of the whole or before somebody canceled late.
    for (before, gives_back, all) in [
        (json!({"release_seats": false}), true, vec![1500, 0]),
        (json!({"release_seats": false}), false, vec![1500, 0]),
        (json!({"amount": 500}), true, vec![500, 1000]),
        (json!({"amount": 500}), false, vec![500, 0]),
        (json!({}), true, vec![1500]),
    ] {
        let booking = book(shop, 100, by_card()).await;
        let sale = sale(shop).await;
        let kept = refund(shop, &sale, &before).await["release_seats"] == false;
        assert_eq!(shop.left("100").await.0, places + u64::from(kept), "{before}");
        for _ in 0..2 {
            cancel(shop, "", booking, &how(gives_back, false)).await.expect(200);
            assert_eq!((shop.left("100").await.0, amounts(&sale).await), (places, all.clone()), "{before}");
        }
    }
    // Canceled late, and then some of it for goodwill: what is left goes back when it is asked for.
    let booking = book(shop, 100, by_card()).await;
    let late = sale(shop).await;
    cancel(shop, "", booking, &how(false, true)).await.expect(200);
    refund(shop, &late, &json!({"amount": 500})).await;
    for _ in 0..2 {
        cancel(shop, "", booking, &how(true, true)).await.expect(200);
        assert_eq!((shop.left("100").await.0, amounts(&late).await), (places, vec![0, 500, 1000]));
    }
    // Of a line that went back in part by its name, the rest does not go back by its name.
    let booking = book(shop, 100, by_card()).await;
    let part = sale(shop).await;
    let line = shop.checkout(&part).await["lines"][0]["id"].clone();
    refund(shop, &part, &json!({"lines": [line], "amount": 500, "release_seats": false})).await;
    refused(&cancel(shop, "", booking, &how(true, false)).await, 400, "err-booking-not-cancelable");
    assert_eq!(shop.left("100").await.0, places + 1);
    cancel(shop, "", booking, &how(false, false)).await.expect(200);
    assert_eq!(shop.left("100").await.0, places);
}

/// What is not known yet is not told as done: neither of its own refund nor of somebody else's.
pub async fn slow(system: &System) {
    let shop = system.shop();
    put(&shop, "sessions", "300", session(2)).await;
    let both = [(true, places("300", 1, "tok_visa")), (false, places("300", 1, "tok_visa"))];
    let booked = futures::future::join_all(both.map(async |(is_ours, order)| (is_ours, shop.buy(&order).await))).await;
    futures::future::join_all(booked.iter().map(async |(is_ours, sale)| {
        let id = sale["id"].as_str().unwrap();
        let tickets = shop.get(&format!("/v1/checkouts/{id}/tickets")).await.expect(200);
        let path = format!("/momence/api/v2/host/session-bookings/{}", tickets["data"][0]["id"].as_str().unwrap());
        if !is_ours {
            let refunds = format!("/v1/checkouts/{id}/refunds");
            shop.send(shop.request(Method::POST, &refunds).header("idempotency-key", fresh_key()).json(&json!({}))).await.expect(202);
        }
        let first = shop.send(shop.request(Method::DELETE, &path).json(&how(true, false))).await;
        refused(&first, 503, "err-cancel-pending");
        assert_eq!(first.header("retry-after"), Some("2"));
        let again = shop.send(shop.request(Method::DELETE, &path).json(&how(true, false))).await;
        assert_eq!(again.expect(200), json!({}));
        let refunds = shop.get(&format!("/v1/checkouts/{id}/refunds")).await.expect(200);
        let [only] = refunds["data"].as_array().unwrap().as_slice() else { panic!("{refunds}") };
        assert_eq!((&only["status"], &only["amount"]), (&json!("succeeded"), &json!(1500)));
        assert_eq!(shop.charged(id).await, ["refunded"]);
    }))
    .await;
    assert_eq!(shop.left("300").await, (0, 0, 2));
}

async fn who_cannot_be_canceled_is_told_so(system: &System, shop: &Client) {
    let two = json!({"type": "session", "session": "100", "quantity": 2});
    let methods = json!({"methods": [{"type": "custom", "name": "cash"}]});
    let sold = shop.buy(&json!({"customer": MEMBER, "currency": "usd", "lines": [two], "payment": methods})).await;
    let ticket = shop.get(&format!("/v1/checkouts/{}/tickets", sold["id"].as_str().unwrap())).await.expect(200)["data"][0]["id"].clone();
    let path = format!("/api/v2/host/session-bookings/{}", ticket.as_str().unwrap());
    refused(&shop.send(shop.request(Method::DELETE, &path).json(&how(true, false))).await, 400, "err-booking-not-cancelable");
    refused(&cancel(shop, "/momence", 7, &how(true, false)).await, 404, "err-not-found");
    refused(&cancel(shop, "", 1_999_999_999, &how(true, false)).await, 404, "err-not-found");
    refused(&cancel(shop, "", 7, &json!({"refund": "yes"})).await, 400, "err-cart-validation-failed");
    let booking = book(shop, 100, by_card()).await;
    let stranger = system.newcomer("momence_strangers", &[]).await;
    refused(&cancel(&stranger, "", booking, &how(true, false)).await, 404, "err-not-found");
    assert_eq!(shop.charged(&sale(shop).await).await, ["captured"]);
}

async fn a_member_waits_for_a_place(system: &System, shop: &Client) {
    put(shop, "sessions", "300", session(1)).await;
    let path = "/api/v2/host/sessions/300/waitlist/bookings";
    let wait = json!({"memberId": 12346, "useBoughtMembershipIds": [30001]});
    refused(&pay(shop, path, &wait).await, 400, "err-waitlist-not-allowed");
    let booking = book(shop, 300, by_card()).await;
    let told = pay(shop, &format!("/momence{path}"), &wait).await.expect(200);
    assert!(told["waitlistBookingId"].is_u64() && told.as_object().unwrap().len() == 1, "{told}");
    refused(&pay(shop, path, &wait).await, 400, "err-member-already-on-waitlist");
    refused(&pay(shop, path, &json!({"memberId": 404})).await, 400, "err-member-not-found");
    refused(&pay(shop, path, &json!({})).await, 400, "err-cart-validation-failed");
    refused(&pay(shop, &path.replace("300", "404"), &wait).await, 404, "err-session-not-found");
    let of_age = with(&session(0), json!({"min_age": 90}));
    put(shop, "sessions", "301", of_age).await;
    refused(&pay(shop, &path.replace("300", "301"), &wait).await, 400, "err-customer-age-prevents-from-action");
    refused(&pay(shop, &path.replace("300", "301"), &json!({"memberId": 12345})).await, 400, "err-missing-customer-date-of-birth");
    let stranger = system.newcomer("momence_waiters", &[]).await;
    refused(&pay(&stranger, path, &wait).await, 404, "err-session-not-found");
    // Whoever cancels makes the place the waiting member's.
    cancel(shop, "", booking, &how(true, false)).await.expect(200);
    let list = shop.get("/v1/sessions/300/waiting-list").await.expect(200);
    assert_eq!((&list["data"][0]["status"], &list["data"][0]["customer"]), (&json!("offered"), &json!("cus_young")), "{list}");
    refused(&pay(shop, CHECKOUT, &buy(300, "15.00")).await, 400, "err-session-is-full");
    let ours =
        with(&buy(300, "15.00"), json!({"memberId": 12346, "paymentMethods": [{"id": "1", "type": "custom", "customPaymentMethodId": 3}]}));
    let two = with(&ours, json!({"items": [ours["items"][0], with(&ours["items"][0], json!({"id": "2"}))]}));
    refused(&pay(shop, CHECKOUT, &two).await, 400, "err-session-is-full");
    let bought = pay(shop, CHECKOUT, &ours).await.expect(200);
    assert!(bought["purchasedItems"][0]["sessionBookingId"].is_u64(), "{bought}");
    let list = shop.get("/v1/sessions/300/waiting-list").await.expect(200);
    assert_eq!((&list["data"][0]["status"], shop.left("300").await), (&json!("taken"), (1, 0, 0)), "{list}");
    refused(&pay(shop, CHECKOUT, &ours).await, 400, "err-session-is-full");
}
