use super::*;
use boxoffice_common::domain::{
    id::{CheckoutId, SpaceId},
    money::Amount,
    scope::{Mode, Scope},
    time::Timestamp,
};
use std::collections::HashMap;

fn ended(status: Status, success_url: &str, state: Option<&str>) -> Checkout {
    let now = Timestamp::from_millis(1_000);
    let order = serde_json::json!({
        "currency": "usd", "lines": [], "totals": {"subtotal": 0, "discount": 0, "tax": 0, "total": 0}, "legs": [],
        "success_url": success_url, "cancel_url": "https://shop.example/cart", "callback_state": state,
    });
    Checkout {
        id: CheckoutId::parse("chk_1").unwrap(),
        scope: Scope::new("studio", Mode::Test).unwrap(),
        status,
        version: 1,
        order: serde_json::from_value(order).unwrap(),
        amount_paid: Amount::ZERO,
        amount_refunded: Amount::ZERO,
        error: None,
        payment_url: None,
        closing: None,
        due_at: None,
        rescues: 0,
        expires_at: now,
        created_at: now,
        updated_at: now,
        completed_at: Some(now),
        attempts: Vec::new(),
        refunds: Vec::new(),
        disputes: Vec::new(),
    }
}

fn secret() -> Secret<String> {
    Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned())
}

fn back(checkout: &Checkout) -> (String, HashMap<String, String>) {
    let url = with_query(address(checkout, checkout.status).unwrap(), checkout, checkout.status, &secret()).unwrap();
    let query = url.query_pairs().into_owned().collect();
    (url[..url::Position::AfterPath].to_owned(), query)
}

#[test]
fn the_shop_is_told_what_ended_and_how_and_that_it_was_us() {
    let checkout = ended(Status::Succeeded, "https://shop.example/thanks/{CHECKOUT_ID}?c={CHECKOUT_ID}&x=1", Some("a&b=c d"));
    let (at, query) = back(&checkout);
    assert_eq!(at, "https://shop.example/thanks/chk_1");
    let expected = [("c", "chk_1"), ("x", "1"), ("checkout_id", "chk_1"), ("status", "succeeded"), ("callback_state", "a&b=c d")];
    for (name, value) in expected {
        assert_eq!(query[name], value, "{name}");
    }
    let text = "v1\nchk_1\nsucceeded\na&b=c d";
    assert_eq!(query["signature"], signature::sign_text(&secret(), text).unwrap());
    assert_eq!(query.len(), 6);
    let mut in_a_space = ended(Status::Succeeded, "https://shop.example/thanks?callbackState=forged", Some("a&b=c d"));
    in_a_space.order.space = Some(SpaceId::parse("north").unwrap());
    let (_, there) = back(&in_a_space);
    assert_eq!((&there["callbackState"], &there["signature"]), (&query["callback_state"], &query["signature"]));
}

#[test]
fn the_example_of_the_documentation_comes_out() {
    let page = include_str!("../../../docs/hosted.md");
    let signature = back(&ended(Status::Succeeded, "https://shop.example/thanks", Some("opaque"))).1["signature"].clone();
    assert!(page.contains(&signature), "{signature}");
    assert!(page.contains(secret().reveal()));
}

#[test]
fn what_did_not_end_well_goes_back_to_the_cart_and_what_has_not_ended_goes_nowhere() {
    for status in [Status::Canceled, Status::Expired, Status::Failed] {
        let (at, query) = back(&ended(status, "https://shop.example/thanks", None));
        assert_eq!((at.as_str(), query["status"].as_str()), ("https://shop.example/cart", status.as_str()));
        assert!(!query.contains_key("callback_state"));
    }
    for status in [Status::Queued, Status::Processing, Status::AwaitingPayment, Status::Reconciling, Status::NeedsReview] {
        assert_eq!(address(&ended(status, "https://shop.example/thanks", None), status), None);
    }
}

#[test]
fn an_address_cannot_say_of_itself_what_we_say() {
    let checkout = ended(Status::Canceled, "https://shop.example/", None);
    let checkout = Checkout {
        order: boxoffice_common::domain::order::Order {
            cancel_url: Some("https://shop.example/?status=succeeded&a=1&signature=x#top".to_owned()),
            ..checkout.order
        },
        ..checkout
    };
    let url = with_query(address(&checkout, checkout.status).unwrap(), &checkout, checkout.status, &secret()).unwrap();
    let said: Vec<String> =
        url.query_pairs().filter(|(name, _)| name == "status" || name == "signature").map(|(_, value)| value.into_owned()).collect();
    assert_eq!((said.len(), said[0].as_str(), url.fragment()), (2, "canceled", Some("top")));
    assert!(url.query_pairs().any(|(name, value)| name == "a" && value == "1"));
}

#[test]
fn nothing_but_a_web_address_is_gone_to() {
    for bad in ["javascript:alert(1)", "data:text/html,x", "//evil.example", "/x", ""] {
        assert_eq!(with_query(bad, &ended(Status::Succeeded, bad, None), Status::Succeeded, &secret()), None, "{bad}");
    }
}
