//! The same key and body get the same answer, whatever has changed since.

use crate::server::{Server, two_places, yoga};
use serde_json::json;

#[tokio::test]
async fn the_same_key_and_body_get_the_first_answer_byte_for_byte() {
    let server = Server::start().await;
    server.yoga().await;
    let first = server.checkout("k1", &two_places()).await;
    assert_eq!((first.code(), first.header("idempotent-replayed")), (202, ""));
    let reordered = r#"{"payment":{"methods":[{"token":"tok_visa","type":"card"}]}, "lines":[{"quantity":2,"unit_amount":1500,
        "session":"ses_yoga","type":"session"}], "currency":"usd"}"#;
    let again = server.post_json("/v1/checkouts", &[("idempotency-key", "\"k1\"")], reordered).await;
    assert_eq!((again.code(), again.header("idempotent-replayed")), (202, "true"));
    assert_eq!((&again.body, again.header("location")), (&first.body, first.header("location")));
}

#[tokio::test]
async fn another_body_under_the_same_key_is_refused() {
    let server = Server::start().await;
    server.yoga().await;
    server.checkout("k1", &two_places()).await;
    let mut other = two_places();
    other["lines"][0]["quantity"] = json!(3);
    assert_eq!(server.checkout("k1", &other).await.problem(), (422, "idempotency_key_reused".to_owned()));
    other["lines"][0]["session"] = json!("ses_unknown");
    assert_eq!(server.checkout("k1", &other).await.problem(), (422, "idempotency_key_reused".to_owned()));
}

#[tokio::test]
async fn a_retry_after_a_price_change_still_finds_its_checkout() {
    let server = Server::start().await;
    server.yoga().await;
    let first = server.checkout("k1", &two_places()).await;
    let mut dearer = yoga();
    dearer["unit_amount"] = json!(1600);
    assert_eq!(server.put("/v1/sessions/ses_yoga", &dearer).await.code(), 200);
    assert_eq!(server.checkout("k1", &two_places()).await.body, first.body);
    assert_eq!(server.checkout("k2", &two_places()).await.problem(), (422, "price_mismatch".to_owned()));
}

#[tokio::test]
async fn twins_at_the_same_time_make_one_checkout() {
    let server = Server::start().await;
    server.yoga().await;
    let body = two_places();
    let replies = futures::future::join_all((0..50).map(|_| server.checkout("k1", &body))).await;
    assert!(replies.iter().all(|reply| reply.code() == 202 && reply.body == replies[0].body));
    assert_eq!(replies.iter().filter(|reply| reply.header("idempotent-replayed").is_empty()).count(), 1);
    assert_eq!(server.get("/v1/checkouts").await.json()["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_that_was_refused_can_be_used_again() {
    let server = Server::start().await;
    assert_eq!(server.checkout("k1", &two_places()).await.problem(), (422, "resource_missing".to_owned()));
    server.yoga().await;
    assert_eq!(server.checkout("k1", &two_places()).await.code(), 202);
}

#[tokio::test]
async fn a_card_number_in_the_key_is_refused_and_never_kept() {
    let server = Server::start().await;
    server.yoga().await;
    for card in ["4111111111111111", "\"4111111111111111\"", "4111-1111-1111-1111", "4111 1111 1111 1111"] {
        let reply = server.checkout(card, &two_places()).await;
        assert_eq!(reply.problem(), (400, "card_number_refused".to_owned()), "{card}");
        assert_eq!(reply.json()["param"], "Idempotency-Key");
        assert!(!String::from_utf8_lossy(&reply.body).contains("1111"));
    }
    assert_eq!(server.get("/v1/checkouts").await.json()["data"], json!([]));
}

#[tokio::test]
async fn a_checkout_without_a_key_is_refused() {
    let server = Server::start().await;
    let reply = server.post_json("/v1/checkouts", &[], "{}").await;
    assert_eq!(reply.problem(), (400, "idempotency_key_missing".to_owned()));
    let reply = server.post_json("/v1/checkouts", &[("idempotency-key", "a b")], "{}").await;
    assert_eq!(reply.problem(), (400, "idempotency_key_invalid".to_owned()));
}
