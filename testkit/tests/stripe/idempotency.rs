//! Idempotency keys: <https://docs.stripe.com/api/idempotent_requests>.

use super::client::{PATIENCE, Shop, sale};
use boxoffice_testkit::stripe::{Book, Effect, Fault};
use std::time::Duration;

#[tokio::test]
async fn the_same_key_gets_the_same_answer_and_charges_once() {
    let shop = Shop::open().await;
    let first = shop.post_with("key-1", "payment_intents", &sale("pm_card_visa")).await;
    assert_eq!(first.header("idempotent-replayed"), None);
    assert_eq!(first.header("idempotency-key"), Some("key-1"));
    let second = shop.post_with("key-1", "payment_intents", &sale("pm_card_visa")).await;
    assert_eq!((second.status, &second.text), (200, &first.text));
    assert_eq!(second.header("idempotent-replayed"), Some("true"));
    assert_eq!(second.header("original-request"), first.header("request-id"));
    assert_ne!(second.header("request-id"), first.header("request-id"));
    assert_eq!(shop.stripe.book().captures().len(), 1);
    let requests = shop.stripe.book().requests();
    assert_eq!(
        requests.iter().map(|seen| (seen.key.as_deref(), seen.replayed)).collect::<Vec<_>>(),
        [(Some("key-1"), false), (Some("key-1"), true)]
    );
    assert_eq!(requests[0].params().text("amount"), Some("1000"));
    let other = shop.post_with("key-2", "payment_intents", &sale("pm_card_visa")).await;
    assert_ne!(other.id(), first.id(), "another key is another payment");
}

#[tokio::test]
async fn a_decline_is_repeated_for_its_key() {
    let shop = Shop::open().await;
    let first = shop.post_with("key", "payment_intents", &sale("pm_card_chargeDeclined")).await;
    let second = shop.post_with("key", "payment_intents", &sale("pm_card_chargeDeclined")).await;
    assert_eq!((second.status, second.header("idempotent-replayed"), &second.text), (402, Some("true"), &first.text));
    assert_eq!(shop.stripe.book().intents().len(), 1);
}

#[tokio::test]
async fn a_key_used_for_something_else_is_an_error() {
    let shop = Shop::open().await;
    let paid = shop.post_with("key", "payment_intents", &sale("pm_card_visa")).await;
    let other = shop.post_with("key", "payment_intents", &sale("pm_card_mastercard")).await;
    assert_eq!((other.status, other.str("/error/type")), (400, "idempotency_error"));
    let elsewhere = shop.post_with("key", "refunds", &[("payment_intent", paid.id())]).await;
    assert_eq!((elsewhere.status, elsewhere.str("/error/type")), (400, "idempotency_error"));
    let reordered: Vec<_> = sale("pm_card_visa").into_iter().rev().collect();
    assert_eq!(shop.post_with("key", "payment_intents", &reordered).await.id(), paid.id(), "order means nothing");
    assert_eq!((shop.stripe.book().captures().len(), shop.stripe.book().refunds().len()), (1, 0));
}

#[tokio::test]
async fn a_key_that_is_in_use_is_a_conflict_until_its_request_ends() {
    let shop = Shop::open().await;
    shop.stripe.faults().order(Fault::new(Effect::ExecuteThenWait(Duration::from_millis(300))).on("POST", "/v1/payment_intents"));
    let form = sale("pm_card_visa");
    let (slow, ()) = tokio::join!(shop.post_with("key", "payment_intents", &form), async {
        // The first is under way as soon as it is in the book.
        let taken = |book: &Book| (!book.captures().is_empty()).then_some(());
        shop.stripe.book().wait_for(PATIENCE, taken).await.unwrap();
        let conflict = shop.post_with("key", "payment_intents", &form).await;
        assert_eq!((conflict.status, conflict.str("/error/code")), (409, "idempotency_key_in_use"));
    });
    assert_eq!(slow.status, 200);
    assert_eq!(shop.post_with("key", "payment_intents", &form).await.id(), slow.id());
    assert_eq!(shop.stripe.book().captures().len(), 1);
}

#[tokio::test]
async fn what_was_not_executed_is_not_kept() {
    let shop = Shop::open().await;
    let wrong = shop.post_with("key", "payment_intents", &[("amount", "10"), ("currency", "usd")]).await;
    assert_eq!(wrong.str("/error/code"), "amount_too_small");
    assert_eq!(shop.post_with("key", "payment_intents", &sale("pm_card_visa")).await.status, 200, "a refused request leaves its key free");
    shop.stripe.faults().order(Fault::new(Effect::RateLimit(3)));
    let limited = shop.post_with("key-2", "payment_intents", &sale("pm_card_visa")).await;
    assert_eq!((limited.status, limited.str("/error/code"), limited.header("retry-after")), (429, "rate_limit", Some("3")));
    let paid = shop.post_with("key-2", "payment_intents", &sale("pm_card_visa")).await;
    assert_eq!((paid.status, paid.header("idempotent-replayed")), (200, None));
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let shop = Shop::open().await;
    let first = shop.post_with("key", "payment_intents", &sale("pm_card_visa")).await;
    shop.stripe.advance(Duration::from_secs(24 * 3600 - 60));
    assert_eq!(shop.post_with("key", "payment_intents", &sale("pm_card_visa")).await.id(), first.id());
    shop.stripe.advance(Duration::from_secs(61));
    assert_ne!(shop.post_with("key", "payment_intents", &sale("pm_card_visa")).await.id(), first.id());
    assert_eq!(shop.stripe.book().captures_by("reference")["sale-1"].len(), 2, "that is why a day is the window");
}

#[tokio::test]
async fn a_key_has_at_most_255_characters() {
    let shop = Shop::open().await;
    assert_eq!(shop.post_with(&"k".repeat(255), "payment_intents", &sale("pm_card_visa")).await.status, 200);
    assert_eq!(shop.post_with(&"k".repeat(256), "payment_intents", &sale("pm_card_visa")).await.status, 400);
}
