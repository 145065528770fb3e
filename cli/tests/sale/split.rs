//! Paying with several methods: every card is authorised before any is captured, a no undoes the others, and a refund goes back to where
//! it came from.

use crate::support::{
    catalogue::{places, put, session, with},
    client::{Client, fresh_key},
    system::System,
};
use reqwest::Method;
use serde_json::{Value, json};

pub async fn story(system: &System) {
    let shop = system.shop();
    put(&shop, "sessions", "ses_split", session(20)).await;
    tokio::join!(
        two_cards_and_cash_pay_together(&shop),
        a_card_that_is_declined_undoes_the_one_before(&shop),
        an_answer_that_was_lost_is_found_and_the_rest_goes_on(&shop),
        what_does_not_add_up_is_refused_at_once(&shop),
    );
    assert_eq!(shop.left("ses_split").await, (2, 0, 18), "what went back whole gave its places back, too");
}

fn card(token: &str, amount: i64) -> Value {
    json!({"type": "card", "token": token, "amount": amount})
}

async fn buy(shop: &Client, methods: Value) -> Value {
    shop.buy(&with(&places("ses_split", 2, "tok_visa"), json!({"payment": {"methods": methods}}))).await
}

/// The provider's book: what became of each charge, by amount.
async fn book(shop: &Client, sale: &Value) -> Vec<(i64, String, i64)> {
    let row = |charge: &Value| {
        (charge["amount"].as_i64().unwrap(), charge["status"].as_str().unwrap().to_owned(), charge["amount_refunded"].as_i64().unwrap())
    };
    let mut rows: Vec<_> = shop.charges(sale["id"].as_str().unwrap()).await.iter().map(row).collect();
    rows.sort();
    rows
}

async fn two_cards_and_cash_pay_together(shop: &Client) {
    let cash = json!({"type": "custom", "name": "cash", "amount": 500});
    let sale = buy(shop, json!([card("tok_visa", 1000), cash, {"type": "card", "token": "tok_visa"}])).await;
    assert_eq!((&sale["status"], &sale["amount_paid"]), (&json!("succeeded"), &json!(3000)), "{sale}");
    assert_eq!(book(shop, &sale).await, [(1000, "captured".to_owned(), 0), (1500, "captured".to_owned(), 0)]);
    let kinds: Vec<&str> = sale["payment_attempts"].as_array().unwrap().iter().map(|a| a["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["charge", "charge", "capture", "capture"], "nothing is taken before everything is promised");
    // From the last leg on: the second card whole, and the rest out of the till.
    let id = sale["id"].as_str().unwrap();
    let refund = |body: Value| async move {
        let path = format!("/v1/checkouts/{id}/refunds");
        let refund = shop.send(shop.request(Method::POST, &path).header("idempotency-key", fresh_key()).json(&body)).await.expect(202);
        shop.eventually(&format!("/v1/refunds/{}", refund["id"].as_str().unwrap()), |refund| refund["status"] != "pending").await
    };
    let part = refund(json!({"amount": 1700})).await;
    assert_eq!(part["status"], "succeeded", "{part}");
    let parts = json!([
        {"method": "card", "amount": 1500, "status": "succeeded"},
        {"method": "custom", "amount": 200, "status": "succeeded"},
    ]);
    assert_eq!(part["parts"], parts);
    assert_eq!(book(shop, &sale).await, [(1000, "captured".to_owned(), 0), (1500, "refunded".to_owned(), 1500)]);
    let rest = refund(json!({})).await;
    assert_eq!((&rest["amount"], &rest["status"]), (&json!(1300), &json!("succeeded")), "{rest}");
    assert_eq!(book(shop, &sale).await, [(1000, "refunded".to_owned(), 1000), (1500, "refunded".to_owned(), 1500)]);
    for account in ["provider:sandbox", "tender:custom", "unapplied", "revenue", "refunds_pending"] {
        let booked = shop.booked_on(id, account).await;
        assert!(!booked.is_empty() && booked.iter().sum::<i64>() == 0, "{account}: {booked:?}");
    }
}

async fn a_card_that_is_declined_undoes_the_one_before(shop: &Client) {
    let sale = buy(shop, json!([card("tok_visa", 1000), card("tok_insufficient_funds", 2000)])).await;
    assert_eq!((&sale["status"], &sale["error"]["code"]), (&json!("failed"), &json!("card_declined")), "{sale}");
    assert_eq!((&sale["error"]["decline_code"], &sale["amount_paid"]), (&json!("insufficient_funds"), &json!(0)));
    assert_eq!(book(shop, &sale).await, [(1000, "voided".to_owned(), 0), (2000, "declined".to_owned(), 0)]);
}

async fn an_answer_that_was_lost_is_found_and_the_rest_goes_on(shop: &Client) {
    let sale = buy(shop, json!([card("tok_timeout_charged", 1000), card("tok_visa", 2000)])).await;
    assert_eq!((&sale["status"], &sale["amount_paid"]), (&json!("succeeded"), &json!(3000)), "{sale}");
    assert_eq!(book(shop, &sale).await, [(1000, "captured".to_owned(), 0), (2000, "captured".to_owned(), 0)]);
}

async fn what_does_not_add_up_is_refused_at_once(shop: &Client) {
    let body = |methods: Value| with(&places("ses_split", 2, "tok_visa"), json!({"payment": {"methods": methods}}));
    let refused = |methods: Value| async move { shop.submit(&fresh_key(), &body(methods)).await };
    refused(json!([card("tok_visa", 1000), card("tok_visa", 1999)])).await.expect_problem(422, "payment_amount_mismatch");
    refused(json!([card("tok_visa", 3000), {"type": "card", "token": "tok_visa"}])).await.expect_problem(422, "payment_amount_mismatch");
    refused(json!([{"type": "free"}, card("tok_visa", 3000)])).await.expect_problem(422, "payment_method_invalid");
}
