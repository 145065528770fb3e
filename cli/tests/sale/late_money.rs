//! Money that comes after the end, and whose way back the provider refuses: its merchant asks for it anew, apart from what was sold.

use crate::{
    hosted::Browser,
    hosted_push::asked_on,
    support::{
        catalogue::{places, put, session, with},
        client::{Client, Reply, callback, fresh_key},
        system::System,
    },
};
use boxoffice_testkit::Receiver;
use reqwest::Method;
use serde_json::{Value, json};

const SESSION: &str = "ses_late";
const NEVER_LOOKS: &str = "+23270000003";
/// Agrees also when the question was taken back, and what comes of it is refused once on its way back.
const KEPT_AFTER_THE_CANCEL: &str = "+23270000012";

pub async fn story(system: &System) {
    let (shop, receiver) = (system.shop(), Receiver::start().await.unwrap());
    put(&shop, "sessions", SESSION, session(20)).await;
    assert_eq!(shop.put("/v1/settings", &json!({"name": "Studio"})).await.status, 200);
    tokio::join!(
        late_money_that_was_refused_goes_back_when_it_is_asked_for(system, &shop, &receiver),
        a_sale_goes_back_whatever_became_of_late_money_beside_it(&shop, &receiver),
        where_nothing_came_late_nothing_goes_back(&shop),
    );
    // What was not given back is the one sale that nobody asked for.
    assert_eq!(shop.left(SESSION).await, (1, 0, 19));
}

fn on_the_phone(phone: &str) -> Value {
    let methods = json!([{"type": "mobile_money", "provider": "m17", "phone": phone}]);
    with(&places(SESSION, 1, "tok_visa"), json!({"payment": {"methods": methods}}))
}

async fn ask(shop: &Client, id: &str, key: &str, body: &Value) -> Reply {
    shop.send(shop.request(Method::POST, &format!("/v1/checkouts/{id}/refunds")).header("idempotency-key", key).json(body)).await
}

/// Asks, and waits until it is back.
async fn given_back(shop: &Client, id: &str, body: &Value) -> Value {
    let asked = ask(shop, id, &fresh_key(), body).await.expect(202);
    assert_eq!(asked["status"], "pending", "{asked}");
    shop.eventually(&format!("/v1/refunds/{}", asked["id"].as_str().unwrap()), |refund| refund["status"] == "succeeded").await
}

/// Its state, what is paid, what went back, and its charges as the provider has them.
async fn standing(shop: &Client, id: &str) -> (String, i64, i64, Vec<String>) {
    let (checkout, charges) = (shop.checkout(id).await, shop.charges(id).await);
    let told = |charge: &Value| format!("{} {}", charge["method"].as_str().unwrap_or("card"), charge["status"].as_str().unwrap());
    let mut charged: Vec<String> = charges.iter().map(told).collect();
    charged.sort();
    let minor = |field: &str| checkout[field].as_i64().unwrap();
    (checkout["status"].as_str().unwrap().to_owned(), minor("amount_paid"), minor("amount_refunded"), charged)
}

fn stands(status: &str, paid: i64, refunded: i64, charged: &[&str]) -> (String, i64, i64, Vec<String>) {
    (status.to_owned(), paid, refunded, charged.iter().map(|&status| status.to_owned()).collect())
}

/// What nobody is entitled to yet, of one checkout. Minor units.
async fn unapplied(shop: &Client, id: &str) -> i64 {
    shop.booked_on(id, "unapplied").await.iter().sum()
}

async fn late_money_that_was_refused_goes_back_when_it_is_asked_for(system: &System, shop: &Client, receiver: &Receiver) {
    let id = shop.order(&with(&on_the_phone(KEPT_AFTER_THE_CANCEL), json!({"callback_url": receiver.url()}))).await;
    shop.until(&id, "awaiting_payment").await;
    shop.post(&format!("/v1/checkouts/{id}/cancel"), &json!({})).await.expect(202);
    shop.until(&id, "canceled").await;
    assert_eq!(shop.charged(&id).await, ["voided"]);
    let told = callback(receiver, "refund.failed", &id).await.json();
    assert_eq!((&told["data"]["status"], &told["data"]["amount_refunded"]), (&json!("canceled"), &json!(0)), "{told}");
    assert_eq!(standing(shop, &id).await, stands("canceled", 1500, 0, &["mobile_money/m17 captured"]), "the provider has kept it");
    assert_eq!(unapplied(shop, &id).await, -1500);
    let audit = String::from_utf8_lossy(&system.command(&["audit"]).await.stdout).into_owned();
    assert!(audit.lines().any(|line| line.contains("late_money_left") && line.contains(&id)), "{audit}");
    // All of it, and of nothing that was sold.
    let late = json!({"late_payment": true});
    let refused = async |more: Value| ask(shop, &id, &fresh_key(), &with(&late, more)).await;
    for amount in [1499, 1501] {
        let problem = refused(json!({"amount": amount})).await.expect_problem(422, "refund_exceeds_paid");
        assert_eq!(problem["param"], "amount", "{problem}");
    }
    let problem = refused(json!({"release_seats": true})).await.expect_problem(400, "parameter_invalid");
    assert_eq!(problem["param"], "release_seats", "{problem}");
    let line = shop.checkout(&id).await["lines"][0]["id"].clone();
    refused(json!({"lines": [line]})).await.expect_problem(400, "parameter_invalid");
    assert_eq!(standing(shop, &id).await, stands("canceled", 1500, 0, &["mobile_money/m17 captured"]));
    let key = fresh_key();
    let first = ask(shop, &id, &key, &late).await;
    let again = ask(shop, &id, &key, &late).await;
    assert_eq!((again.status, again.header("idempotent-replayed"), &again.text), (202, Some("true"), &first.text));
    let asked = first.expect(202);
    assert_eq!((&asked["late_payment"], &asked["amount"], &asked["release_seats"]), (&json!(true), &json!(1500), &json!(false)), "{asked}");
    let told = callback(receiver, "refund.succeeded", &id).await.json();
    assert_eq!((&told["refund"]["id"], &told["refund"]["late_payment"]), (&asked["id"], &json!(true)), "{told}");
    assert_eq!((&told["data"]["status"], &told["data"]["amount_refunded"]), (&json!("canceled"), &json!(1500)), "{told}");
    assert_eq!(standing(shop, &id).await, stands("canceled", 1500, 1500, &["mobile_money/m17 refunded"]));
    assert_eq!(unapplied(shop, &id).await, 0);
    // Once.
    let problem = ask(shop, &id, &fresh_key(), &late).await.expect_problem(422, "refund_exceeds_paid");
    assert_eq!(problem["param"], "late_payment", "{problem}");
    ask(shop, &id, &fresh_key(), &json!({})).await.expect_problem(409, "not_refundable");
}

/// The customer of a page has the question on the phone taken back and pays with a card; then the phone's money comes all the same.
async fn a_sale_goes_back_whatever_became_of_late_money_beside_it(shop: &Client, receiver: &Receiver) {
    let browser = Browser::open_order(
        shop,
        &json!({
            "currency": "usd", "lines": [{"type": "session", "session": SESSION, "quantity": 1}], "payment": {"hosted": {}},
            "success_url": "https://shop.example/thanks", "cancel_url": "https://shop.example/cart", "callback_url": receiver.url(),
        }),
    )
    .await;
    let id = &browser.id;
    let asked = asked_on(&browser, KEPT_AFTER_THE_CANCEL.trim_start_matches('+')).await;
    assert_eq!(browser.send(&asked, "another", "").await.status, 303);
    assert!(browser.follow("?after=submit").await.html.contains("You are no longer asked"));
    assert_eq!(browser.pay("tok_visa").await.status, 303);
    callback(receiver, "checkout.succeeded", id).await;
    let told = callback(receiver, "refund.failed", id).await.json();
    assert_eq!((&told["data"]["status"], &told["data"]["amount_refunded"]), (&json!("succeeded"), &json!(0)), "{told}");
    assert_eq!(
        standing(shop, id).await,
        stands("succeeded", 3000, 0, &["card captured", "mobile_money/m17 captured"]),
        "a sale, and as much late money"
    );
    assert_eq!(unapplied(shop, id).await, -1500);
    // The sale's own: no more than was sold, and not less because the provider has kept the rest.
    ask(shop, id, &fresh_key(), &json!({"amount": 1501})).await.expect_problem(422, "refund_exceeds_paid");
    let sale = given_back(shop, id, &json!({})).await;
    assert_eq!((&sale["late_payment"], &sale["amount"], &sale["release_seats"]), (&json!(false), &json!(1500), &json!(true)), "{sale}");
    assert_eq!(standing(shop, id).await, stands("succeeded", 3000, 1500, &["card refunded", "mobile_money/m17 captured"]));
    assert_eq!(unapplied(shop, id).await, -1500, "the late money is still there");
    ask(shop, id, &fresh_key(), &json!({})).await.expect_problem(422, "refund_exceeds_paid");
    let late = given_back(shop, id, &json!({"late_payment": true, "amount": 1500})).await;
    assert_eq!((&late["late_payment"], &late["amount"], &late["release_seats"]), (&json!(true), &json!(1500), &json!(false)), "{late}");
    assert_eq!(standing(shop, id).await, stands("succeeded", 3000, 3000, &["card refunded", "mobile_money/m17 refunded"]));
    assert_eq!(unapplied(shop, id).await, 0);
    ask(shop, id, &fresh_key(), &json!({"late_payment": true})).await.expect_problem(422, "refund_exceeds_paid");
}

async fn where_nothing_came_late_nothing_goes_back(shop: &Client) {
    let late = json!({"late_payment": true});
    let refused = async |id: &str, status: u16, code: &str| {
        let before = shop.checkout(id).await;
        let problem = ask(shop, id, &fresh_key(), &late).await.expect_problem(status, code);
        assert_eq!(shop.checkout(id).await, before);
        problem
    };
    let sale = shop.buy(&places(SESSION, 1, "tok_visa")).await;
    let problem = refused(sale["id"].as_str().unwrap(), 422, "refund_exceeds_paid").await;
    assert_eq!(problem["param"], "late_payment", "{problem}");
    assert_eq!(shop.charged(sale["id"].as_str().unwrap()).await, ["captured"], "and nothing of the sale");
    let declined = shop.buy(&places(SESSION, 1, "tok_declined")).await;
    refused(declined["id"].as_str().unwrap(), 422, "refund_exceeds_paid").await;
    // It has not ended: nothing can be late.
    let id = shop.order(&on_the_phone(NEVER_LOOKS)).await;
    shop.until(&id, "awaiting_payment").await;
    refused(&id, 409, "not_refundable").await;
    shop.post(&format!("/v1/checkouts/{id}/cancel"), &json!({})).await.expect(202);
    shop.until(&id, "canceled").await;
    refused(&id, 422, "refund_exceeds_paid").await;
    ask(shop, "chk_of_nobody", &fresh_key(), &late).await.expect_problem(404, "not_found");
}
