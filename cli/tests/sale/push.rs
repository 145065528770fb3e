//! Mobile money, banks and wallets: a provider asks the customer, and the checkout waits for the answer.

use crate::support::{
    catalogue::{places, put, session, with},
    client::{Client, callback, fresh_key},
    system::System,
};
use boxoffice_testkit::Receiver;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// The sandbox's customers, by the ends of their numbers.
const APPROVES: &str = "+23276000001";
const REFUSES: &str = "+23270000002";
const NEVER_LOOKS: &str = "+23270000003";
const ANSWERS_LATE: &str = "+23270000004";
const TOLD_TWICE: &str = "+23270000005";
const TOLD_OUT_OF_ORDER: &str = "+23270000006";
const TAKEN_AFTER_THE_CANCEL: &str = "+23270000009";
const ACCOUNT_CLOSED: &str = "+23270000010";

pub async fn story(system: &System) {
    let (shop, receiver) = (system.shop(), Receiver::start().await.unwrap());
    put(&shop, "sessions", "ses_push", session(20)).await;
    tokio::join!(
        a_yes_on_the_phone_sells_and_goes_back_whole(&shop),
        a_no_on_the_phone_sells_nothing(&shop),
        a_customer_who_never_looks_can_be_called_off(&shop),
        the_question_is_taken_back_when_the_time_is_over(&shop),
        what_cannot_be_taken_back_is_waited_for(&shop),
        the_banks_page_is_where_the_customer_is_sent(&shop),
        beside_a_card_the_customer_is_asked_last(&shop),
        who_is_not_known_asks_nobody(&shop),
        however_it_is_told_it_is_sold_once(&shop),
        what_is_taken_after_the_cancel_goes_back_once(&shop, &receiver),
        a_refund_that_comes_back_has_failed_and_is_asked_for_again(&shop, &receiver),
    );
    assert_eq!(shop.left("ses_push").await, (6, 0, 14));
    let log = system.server.log().into_iter().chain(system.workers.iter().flat_map(|worker| worker.log()));
    for line in log {
        let told = [APPROVES, REFUSES, NEVER_LOOKS, ANSWERS_LATE].iter().any(|phone| line.contains(phone.trim_start_matches('+')));
        assert!(!told, "no telephone number in the log: {line}");
    }
}

fn mobile_money(phone: &str) -> Value {
    json!({"type": "mobile_money", "provider": "m17", "phone": phone})
}

/// So many places, paid with these methods.
fn body(quantity: u32, methods: Value) -> Value {
    with(&places("ses_push", quantity, "tok_visa"), json!({"payment": {"methods": methods}}))
}

/// Orders, and waits until the customer has been asked.
async fn asked(shop: &Client, body: &Value) -> (String, Value) {
    let id = shop.order(body).await;
    let checkout = shop.until(&id, "awaiting_payment").await;
    (id, checkout)
}

async fn a_yes_on_the_phone_sells_and_goes_back_whole(shop: &Client) {
    let (id, waiting) = asked(shop, &body(1, json!([mobile_money(APPROVES)]))).await;
    let attempt = &waiting["payment_attempts"][0];
    assert_eq!((&attempt["status"], &waiting["payment_url"]), (&json!("pending"), &json!(null)), "{waiting}");
    assert_eq!(attempt["method"], json!({"type": "mobile_money", "provider": "m17", "phone": "+•••••••••01"}));
    let sale = shop.until(&id, "succeeded").await;
    assert_eq!(sale["amount_paid"], 1500, "{sale}");
    assert!(!sale.to_string().contains("23276"), "{sale}");
    let charge = &shop.charges(&id).await[0];
    assert_eq!((&charge["status"], &charge["method"]), (&json!("captured"), &json!("mobile_money/m17")));
    // It goes back the way it came.
    let refund = shop.request(Method::POST, &format!("/v1/checkouts/{id}/refunds")).header("idempotency-key", fresh_key()).json(&json!({}));
    let refund = shop.send(refund).await.expect(202);
    let refund =
        shop.eventually(&format!("/v1/refunds/{}", refund["id"].as_str().unwrap()), |refund| refund["status"] == "succeeded").await;
    assert_eq!(refund["parts"][0]["method"], "mobile_money", "{refund}");
    assert_eq!(shop.charged(&id).await, ["refunded"]);
}

async fn a_no_on_the_phone_sells_nothing(shop: &Client) {
    let (id, _) = asked(shop, &body(1, json!([mobile_money(REFUSES)]))).await;
    let failed = shop.until(&id, "failed").await;
    assert_eq!(
        (&failed["error"]["code"], &failed["error"]["decline_code"]),
        (&json!("payment_failed"), &json!("customer_refused")),
        "{failed}"
    );
}

async fn a_customer_who_never_looks_can_be_called_off(shop: &Client) {
    let (id, _) = asked(shop, &body(1, json!([mobile_money(NEVER_LOOKS)]))).await;
    let closing = shop.post(&format!("/v1/checkouts/{id}/cancel"), &json!({})).await.expect(202);
    assert_eq!(closing["status"], "reconciling", "{closing}");
    shop.until(&id, "canceled").await;
    assert_eq!(shop.charged(&id).await, ["voided"]);
}

async fn the_question_is_taken_back_when_the_time_is_over(shop: &Client) {
    let (id, _) = asked(shop, &with(&body(1, json!([mobile_money(NEVER_LOOKS)])), json!({"expires_in": 10}))).await;
    shop.until(&id, "expired").await;
    assert_eq!(shop.charged(&id).await, ["voided"]);
}

async fn what_cannot_be_taken_back_is_waited_for(shop: &Client) {
    let (id, _) = asked(shop, &with(&body(1, json!([mobile_money(ANSWERS_LATE)])), json!({"expires_in": 10}))).await;
    shop.until(&id, "reconciling").await;
    assert_eq!(shop.charged(&id).await, ["pending"], "the provider cannot take it back, and the place stays held");
    let sale = shop.until(&id, "succeeded").await;
    assert_eq!(sale["amount_paid"], 1500, "{sale}");
}

async fn the_banks_page_is_where_the_customer_is_sent(shop: &Client) {
    for (method, provider, answer, end) in [("bank", "slb001", "approve", "succeeded"), ("wallet", "dw001", "refuse", "failed")] {
        let (id, waiting) = asked(shop, &body(1, json!([{"type": method, "provider": provider}]))).await;
        assert_eq!(waiting["payment_attempts"][0]["status"], "requires_action", "{waiting}");
        let form = shop.request(Method::POST, waiting["payment_url"].as_str().unwrap());
        let form = form.header("content-type", "application/x-www-form-urlencoded").body(format!("answer={answer}"));
        assert_eq!(shop.send(form).await.status, 303);
        shop.until(&id, end).await;
        assert_eq!(shop.charges(&id).await[0]["method"], format!("{method}/{provider}"));
    }
}

async fn beside_a_card_the_customer_is_asked_last(shop: &Client) {
    let with_amount = |phone| with(&mobile_money(phone), json!({"amount": 1000}));
    let card = json!({"type": "card", "token": "tok_visa"});
    let (id, waiting) = asked(shop, &body(2, json!([with_amount(APPROVES), card.clone()]))).await;
    let attempts: Vec<(&Value, &Value)> =
        waiting["payment_attempts"].as_array().unwrap().iter().map(|attempt| (&attempt["amount"], &attempt["status"])).collect();
    assert_eq!(attempts, [(&json!(2000), &json!("authorized")), (&json!(1000), &json!("pending"))], "{waiting}");
    shop.until(&id, "succeeded").await;
    assert_eq!(shop.charged(&id).await, ["captured", "captured"]);
    let (id, _) = asked(shop, &body(2, json!([with_amount(REFUSES), card]))).await;
    shop.until(&id, "failed").await;
    let mut charged = shop.charged(&id).await;
    charged.sort();
    assert_eq!(charged, ["declined", "voided"]);
}

/// Twice, or in the wrong order.
async fn however_it_is_told_it_is_sold_once(shop: &Client) {
    let story = async |phone: &str| {
        let (id, _) = asked(shop, &body(1, json!([mobile_money(phone)]))).await;
        let sale = shop.until(&id, "succeeded").await;
        assert_eq!((&sale["amount_paid"], shop.charged(&id).await), (&json!(1500), vec!["captured".to_owned()]), "{sale}");
        // Longer than the sandbox takes to tell the rest.
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(shop.checkout(&id).await, sale, "whatever else is told changes nothing");
    };
    tokio::join!(story(TOLD_TWICE), story(TOLD_OUT_OF_ORDER));
}

async fn what_is_taken_after_the_cancel_goes_back_once(shop: &Client, receiver: &Receiver) {
    let order = with(&body(1, json!([mobile_money(TAKEN_AFTER_THE_CANCEL)])), json!({"callback_url": receiver.url()}));
    let (id, _) = asked(shop, &order).await;
    shop.post(&format!("/v1/checkouts/{id}/cancel"), &json!({})).await.expect(202);
    shop.until(&id, "canceled").await;
    assert_eq!(shop.charged(&id).await, ["voided"]);
    let told = callback(receiver, "refund.succeeded", &id).await.json();
    assert_eq!((&told["data"]["status"], &told["data"]["amount_refunded"]), (&json!("canceled"), &json!(1500)), "{told}");
    assert_eq!(shop.charged(&id).await, ["refunded"]);
    let timeline = shop.timeline(&id).await;
    assert_eq!(timeline.matches("late_money").count(), 1, "{timeline}");
}

async fn a_refund_that_comes_back_has_failed_and_is_asked_for_again(shop: &Client, receiver: &Receiver) {
    let order = with(&body(1, json!([mobile_money(ACCOUNT_CLOSED)])), json!({"callback_url": receiver.url()}));
    let (id, _) = asked(shop, &order).await;
    shop.until(&id, "succeeded").await;
    let give_back = async |end: &str| {
        let refund = shop.request(Method::POST, &format!("/v1/checkouts/{id}/refunds")).header("idempotency-key", fresh_key());
        let refund = shop.send(refund.json(&json!({}))).await.expect(202);
        let path = format!("/v1/refunds/{}", refund["id"].as_str().unwrap());
        (path.clone(), shop.eventually(&path, |refund| refund["status"] == end).await)
    };
    let (path, _) = give_back("succeeded").await;
    callback(receiver, "refund.succeeded", &id).await;
    let failed = shop.eventually(&path, |refund| refund["status"] == "failed").await;
    assert_eq!(
        (&failed["error"]["code"], &failed["error"]["decline_code"]),
        (&json!("refund_refused"), &json!("account_closed")),
        "{failed}"
    );
    let told = callback(receiver, "refund.failed", &id).await.json();
    assert_eq!((&told["data"]["status"], &told["data"]["amount_refunded"]), (&json!("succeeded"), &json!(0)), "{told}");
    assert_eq!(shop.timeline(&id).await.matches("refund.came_back").count(), 1);
    assert_eq!(shop.charged(&id).await, ["captured"], "the provider has the money again");
    let entries = shop.get(&format!("/v1/ledger/transactions?checkout={id}")).await.expect(200);
    let of_kind = |kind: &str| entries["data"].as_array().unwrap().iter().filter(|entry| entry["kind"] == kind).count();
    assert_eq!((of_kind("sale"), of_kind("refund_reversal")), (1, 2), "{entries}");
    give_back("succeeded").await;
    assert_eq!(shop.checkout(&id).await["amount_refunded"], 1500);
    assert_eq!(shop.charged(&id).await, ["refunded"]);
}

async fn who_is_not_known_asks_nobody(shop: &Client) {
    let refused = |methods: Value| async move { shop.refused(&body(1, methods)).await };
    refused(json!([{"type": "mobile_money", "provider": "m99", "phone": APPROVES}])).await.expect_problem(422, "payment_method_invalid");
    refused(json!([{"type": "mobile_money", "provider": "m17", "phone": "12345"}])).await.expect_problem(400, "parameter_invalid");
    let two = json!([with(&mobile_money(APPROVES), json!({"amount": 1000})), {"type": "bank", "provider": "slb001"}]);
    refused(two).await.expect_problem(422, "payment_method_invalid");
}
