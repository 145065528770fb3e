//! What was asked for without a key: it is one with an earlier request like it until that one's answer has gone out.

use super::fixture::Shop;
use boxoffice_common::{domain::scope::Scope, ports::store::*};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn request(scope: &Scope, body: &str) -> Unkeyed {
    Unkeyed { scope: scope.clone(), route: "POST /loop/v1/checkout".to_owned(), body_hash: body.to_owned() }
}

over_both! {
    async fn the_same_request_has_the_key_of_the_earlier_one_until_that_is_answered(shop) {
        let (ours, other) = (request(&shop.scope, "hash-1"), request(&shop.scope, "hash-2"));
        let theirs = request(&shop.other_scope(), "hash-1");
        let join = async |request: &Unkeyed, fresh: &str| shop.store.join_unanswered(request, fresh, DAY).await.unwrap();
        assert_eq!((join(&ours, "a").await, join(&ours, "b").await), ("a".to_owned(), "a".to_owned()));
        assert_eq!((join(&other, "c").await, join(&theirs, "d").await), ("c".to_owned(), "d".to_owned()));
        // Whoever was late says so of a key that is no longer the request's.
        shop.store.was_answered(&ours, "b").await.unwrap();
        assert_eq!(join(&ours, "e").await, "a");
        shop.store.was_answered(&ours, "a").await.unwrap();
        assert_eq!(join(&ours, "f").await, "f");
        assert_eq!((join(&other, "g").await, join(&theirs, "h").await), ("c".to_owned(), "d".to_owned()));
    }

    async fn of_fifty_at_once_all_have_one_key(shop) {
        let request = request(&shop.scope, "hash-1");
        let keys = futures::future::join_all((0..50).map(|n| {
            let (store, request) = (&shop.store, &request);
            async move { store.join_unanswered(request, &format!("key-{n}"), DAY).await.unwrap() }
        })).await;
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    }

    async fn what_nobody_asked_for_again_is_forgotten(shop) {
        let request = request(&shop.scope, "hash-1");
        shop.store.join_unanswered(&request, "a", DAY).await.unwrap();
        assert_eq!(shop.store.forget_unanswered(Duration::from_secs(3600), 10).await.unwrap(), 0);
        shop.sql("UPDATE unanswered SET asked_at = asked_at - 7200000").await;
        assert_eq!(shop.store.forget_unanswered(Duration::from_secs(3600), 10).await.unwrap(), 1);
        assert_eq!(shop.store.join_unanswered(&request, "b", DAY).await.unwrap(), "b");
    }

    async fn what_was_asked_for_long_ago_is_another_request(shop) {
        let request = request(&shop.scope, "hash-1");
        shop.store.join_unanswered(&request, "a", DAY).await.unwrap();
        shop.sql("UPDATE unanswered SET asked_at = asked_at - 7200000").await;
        let hour = Duration::from_secs(3600);
        assert_eq!(shop.store.join_unanswered(&request, "b", DAY).await.unwrap(), "a");
        assert_eq!(shop.store.join_unanswered(&request, "c", hour).await.unwrap(), "c");
        assert_eq!(shop.store.join_unanswered(&request, "d", hour).await.unwrap(), "c");
    }
}
