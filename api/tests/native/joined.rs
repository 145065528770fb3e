//! What a request without a key is one with, when its client heard nothing of the first.

use crate::server::Server;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn who_asks_again_for_a_page_that_has_ended_unpaid_gets_a_new_one() {
    let server = Server::start().await;
    let product = json!({"name": "Mat", "unit_amount": 2500, "currency": "usd"});
    assert_eq!(server.put("/v1/products/41", &product).await.code(), 201);
    let articles = json!([{"ArticleId": 41, "ArticleTypeId": 3}]);
    let company = "6f9619ff-8b86-d011-b42d-00c04fc964ff";
    let order = json!({"CompanyId": company, "CountryCode": "SE", "Articles": articles, "InternalReferenceId": "lost"}).to_string();
    let payment = json!({"customer_id": "nobody-yet", "amount_cents": 900, "order_id": "lost-too"}).to_string();
    for (path, body, reference) in [("/payment/stripe/v1/checkout", &order, "lost"), ("/v1/checkout", &payment, "lost-too")] {
        let ask = || server.post_json(path, &[], body);
        let made = async || server.get(&format!("/v1/checkouts?reference={reference}")).await.json()["data"].as_array().unwrap().clone();
        // No worker comes, and the client does not wait. The second time it is one with the first, still.
        for _ in 0..2 {
            assert!(tokio::time::timeout(Duration::from_millis(300), ask()).await.is_err());
        }
        let first: Vec<Value> = made().await;
        assert_eq!(first.len(), 1, "{first:?}");
        let id = first[0]["id"].as_str().unwrap().to_owned();
        assert_eq!(server.post_json(&format!("/v1/checkouts/{id}/cancel"), &[], "{}").await.code(), 200);
        assert!(tokio::time::timeout(Duration::from_millis(600), ask()).await.is_err(), "waits for a worker once more");
        let both = made().await;
        assert_eq!((both.len(), &both[1]["id"], &both[0]["status"]), (2, &first[0]["id"], &json!("queued")), "{both:?}");
    }
}
