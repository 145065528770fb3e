//! Balances from the shop to the audit: given, spent once by whoever is fastest, held while a card is asked, and given back.

use crate::support::{
    catalogue::{put, session},
    client::{Client, fresh_key},
    system::System,
};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

const PATH: &str = "/v1/customers/cus_saver";

pub async fn story(system: &System) {
    let shop = system.shop();
    put(&shop, "customers", "cus_saver", json!({"name": "Saver"})).await;
    put(&shop, "sessions", "ses_saved", session(100)).await;
    give(&shop, 4_500).await;
    fifty_at_once_spend_what_is_there(&shop).await;
    a_card_beside_it_decides_over_both(&shop).await;
    what_is_split_goes_back_to_where_it_came_from(&shop).await;
    cash_beside_a_card_is_booked_and_goes_back_out_of_the_till(&shop).await;
}

async fn give(shop: &Client, amount: i64) {
    let body = json!({"amount": amount, "currency": "usd", "reason": if amount > 0 { "gift" } else { "correction" }});
    let request = shop.request(Method::POST, &format!("{PATH}/balance-adjustments")).header("idempotency-key", fresh_key());
    shop.send(request.json(&body)).await.expect(201);
}

/// Amount, held, available.
async fn has(shop: &Client) -> [i64; 3] {
    let balance = shop.get(&format!("{PATH}/balance")).await.expect(200)["data"][0].clone();
    ["amount", "held", "available"].map(|field| balance[field].as_i64().unwrap())
}

fn paid(methods: Value) -> Value {
    json!({"customer": "cus_saver", "currency": "usd", "lines": [{"type": "session", "session": "ses_saved"}], "payment": {"methods": methods}})
}

async fn give_back(shop: &Client, sale: &Value, body: Value) -> Value {
    let refunds = format!("/v1/checkouts/{}/refunds", sale["id"].as_str().unwrap());
    let request = shop.request(Method::POST, &refunds).header("idempotency-key", fresh_key());
    let refund = shop.send(request.json(&body)).await.expect(202);
    shop.eventually(&format!("/v1/refunds/{}", refund["id"].as_str().unwrap()), |refund| refund["status"] != "pending").await
}

/// Enough for three of them: the others are told so, at once or by their checkout.
async fn fifty_at_once_spend_what_is_there(shop: &Client) {
    let body = paid(json!([{"type": "balance"}]));
    let replies = join_all((0..50).map(|_| async { shop.submit(&fresh_key(), &body).await })).await;
    let (accepted, refused): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 202);
    refused.iter().for_each(|reply| drop(reply.expect_problem(422, "balance_insufficient")));
    let ids: Vec<String> = accepted.iter().map(|reply| reply.json()["id"].as_str().unwrap().to_owned()).collect();
    let ends = join_all(ids.iter().map(|id| shop.settled(id))).await;
    let sold: Vec<&Value> = ends.iter().filter(|end| end["status"] == "succeeded").collect();
    assert!(ends.iter().all(|end| end["status"] == "succeeded" || end["error"]["code"] == "balance_insufficient"), "{ends:?}");
    assert_eq!((sold.len(), has(shop).await, shop.left("ses_saved").await), (3, [0, 0, 0], (3, 0, 97)));
    assert_eq!(shop.charged(sold[0]["id"].as_str().unwrap()).await, [""; 0], "no provider is asked");
    let back = give_back(shop, sold[0], json!({})).await;
    assert_eq!((back["status"].as_str(), has(shop).await), (Some("succeeded"), [1_500, 0, 1_500]));
}

async fn a_card_beside_it_decides_over_both(shop: &Client) {
    let split = |token: &str| paid(json!([{"type": "balance", "amount": 1000}, {"type": "card", "token": token}]));
    let declined = shop.buy(&split("tok_declined")).await;
    assert_eq!((&declined["status"], &declined["error"]["code"]), (&json!("failed"), &json!("card_declined")));
    assert_eq!(has(shop).await, [1_500, 0, 1_500]);
    // While the customer is at the bank it is held, and nobody else's; by hand, too.
    let waiting = shop.submit(&fresh_key(), &split("tok_3ds")).await.expect(202)["id"].as_str().unwrap().to_owned();
    shop.until(&waiting, "awaiting_payment").await;
    assert_eq!(has(shop).await, [1_500, 1_000, 500]);
    shop.submit(&fresh_key(), &paid(json!([{"type": "balance", "amount": 501}, {"type": "custom", "name": "cash"}])))
        .await
        .expect_problem(422, "balance_insufficient");
    let take = shop.request(Method::POST, &format!("{PATH}/balance-adjustments")).header("idempotency-key", fresh_key());
    let take = shop.send(take.json(&json!({"amount": -501, "currency": "usd", "reason": "correction"}))).await;
    take.expect_problem(422, "balance_insufficient");
    let canceled = shop.post(&format!("/v1/checkouts/{waiting}/cancel"), &json!({})).await;
    assert!([200, 202].contains(&canceled.status), "{canceled:?}");
    shop.until(&waiting, "canceled").await;
    assert_eq!(has(shop).await, [1_500, 0, 1_500]);
}

async fn what_is_split_goes_back_to_where_it_came_from(shop: &Client) {
    let sale = shop.buy(&paid(json!([{"type": "balance", "amount": 1000}, {"type": "card", "token": "tok_visa"}]))).await;
    assert_eq!((&sale["status"], &sale["amount_paid"], has(shop).await), (&json!("succeeded"), &json!(1500), [500, 0, 500]));
    let back = give_back(shop, &sale, json!({"amount": 800})).await;
    let parts =
        json!([{"method": "card", "amount": 500, "status": "succeeded"}, {"method": "balance", "amount": 300, "status": "succeeded"}]);
    assert_eq!((&back["parts"], has(shop).await), (&parts, [800, 0, 800]));
    let rest = give_back(shop, &sale, json!({})).await;
    assert_eq!((rest["status"].as_str(), has(shop).await), (Some("succeeded"), [1_500, 0, 1_500]));
    assert_eq!(shop.charged(sale["id"].as_str().unwrap()).await, ["refunded"]);
    let ledger = shop.get("/v1/ledger/balances?customer=cus_saver").await.expect(200);
    let sum = |account: &str| {
        let sums = ledger["data"].as_array().unwrap().iter().filter(|sum| sum["account"] == account);
        sums.map(|sum| sum["amount"].as_i64().unwrap()).sum::<i64>()
    };
    // Two of the three that were bought at first are still sold.
    let sums = ["gifts", "tender:balance", "revenue", "provider:sandbox", "refunds_pending"].map(sum);
    assert_eq!(sums, [4_500, -1_500, -3_000, 0, 0], "{ledger}");
}

/// Cash is paid beside a card without being asked for, and what of it goes back stands in the books at once.
async fn cash_beside_a_card_is_booked_and_goes_back_out_of_the_till(shop: &Client) {
    let split =
        |token: &str| paid(json!([{"type": "card", "token": token, "amount": 400}, {"type": "custom", "name": "cash", "note": "till 2"}]));
    let declined = shop.buy(&split("tok_declined")).await;
    assert_eq!((&declined["status"], &declined["amount_paid"]), (&json!("failed"), &json!(0)), "no cash without the card");
    let sale = shop.buy(&split("tok_visa")).await;
    assert_eq!((&sale["status"], &sale["amount_paid"]), (&json!("succeeded"), &json!(1500)));
    let back = give_back(shop, &sale, json!({"amount": 1200})).await;
    let parts =
        json!([{"method": "custom", "amount": 1100, "status": "succeeded"}, {"method": "card", "amount": 100, "status": "succeeded"}]);
    assert_eq!(back["parts"], parts);
    let [sale, declined] = [&sale, &declined].map(|checkout| checkout["id"].as_str().unwrap());
    assert_eq!(shop.booked_on(sale, "tender:custom").await, [-1_100, 1_100], "the newest first");
    assert!(shop.booked(declined).await.is_empty(), "nothing was paid");
}
