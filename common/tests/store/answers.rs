//! Idempotency keys of checkouts: one checkout for a key, and its first answer again.

use super::fixture::Shop;
use boxoffice_common::ports::store::*;
use futures::future::join_all;
use std::time::Duration;

over_both! {
    async fn the_same_key_makes_one_checkout_also_for_twins_at_once(shop) {
        let session = shop.session("yoga", 50).await;
        let mut new = shop.buy(&session, 1);
        new.idempotency.key = "same".to_owned();
        let answers = join_all((0..50).map(|_| {
            let twin = shop.with_new_id(&new);
            shop.store.accept(twin)
        })).await;
        let mut bodies: Vec<String> = Vec::new();
        let mut created = 0;
        for answer in answers {
            match answer.unwrap() {
                Accepted::Created { answer, .. } => { created += 1; bodies.push(answer.body); }
                Accepted::Replayed(answer) => bodies.push(answer.body),
                other => panic!("{other:?}"),
            }
        }
        bodies.dedup();
        assert_eq!((created, bodies.len()), (1, 1));
        let mut other = shop.with_new_id(&new);
        other.idempotency.body_hash = "other".to_owned();
        assert_eq!(shop.store.accept(other.clone()).await.unwrap(), Accepted::KeyReused);
        assert_eq!(shop.store.answered(&shop.scope, &other.idempotency).await.unwrap(), Some(Accepted::KeyReused));
        assert!(matches!(shop.store.answered(&shop.scope, &new.idempotency).await.unwrap(), Some(Accepted::Replayed(_))));
    }

    async fn an_accept_repeated_after_a_lost_answer_is_still_ours(shop) {
        let session = shop.session("yoga", 5).await;
        let new = shop.buy(&session, 1);
        let first = shop.store.accept(new.clone()).await.unwrap();
        let again = shop.store.accept(new).await.unwrap();
        let (Accepted::Created { answer: first, .. }, Accepted::Created { answer: again, .. }) = (first, again) else { panic!() };
        assert_eq!(first, again);
    }

    async fn old_answers_are_forgotten_and_young_ones_kept(shop) {
        let session = shop.session("yoga", 100).await;
        let new = shop.buy(&session, 1);
        let row = new.idempotency.clone();
        let id = shop.accept(new).await;
        assert_eq!(shop.store.forget_answers(Duration::from_secs(3600), 10).await.unwrap(), 0);
        shop.wait_until_past(shop.checkout(&id).await.created_at).await;
        assert_eq!(shop.store.forget_answers(Duration::ZERO, 10).await.unwrap(), 1);
        assert_eq!(shop.store.answered(&shop.scope, &row).await.unwrap(), None);
    }
}
