//! Bookings of Momence's clients: canceled in time, late, and waited for.

use super::momence_shop::{MEMBER, buy, open, pay};
use crate::support::{
    catalogue::{put, session, with},
    client::{Client, Reply},
    system::System,
};
use reqwest::Method;
use serde_json::{Value, json};

const CHECKOUT: &str = "/api/v2/host/checkout";

pub async fn story(system: &System) {
    let shop = system.shop();
    open(&shop).await;
    a_booking_is_canceled_and_what_paid_for_it_goes_back(&shop).await;
    late_nothing_goes_back_unless_it_is_asked_for(&shop).await;
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

async fn late_nothing_goes_back_unless_it_is_asked_for(shop: &Client) {
    let (before, places) = (credits(shop).await, shop.left("100").await.0);
    let late = json!({"isLateCancellation": true, "disableNotifications": false});
    for body in [&late, &how(false, true), &how(false, false)] {
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
    assert_eq!(credits(shop).await, before);
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
}
