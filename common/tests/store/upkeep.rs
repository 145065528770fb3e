//! What holds for everything that is kept: scopes, lists, capacities, keys, the audit.

use super::fixture::{self, Shop};
use boxoffice_common::{
    domain::{catalogue::Kind, ends::Verdict, id::CatalogueId, state::Status},
    ports::{queue::Lane, store::*},
};
use std::time::Duration;

over_both! {
    async fn capacity_never_goes_below_what_is_claimed(shop) {
        let session = shop.session("yoga", 5).await;
        let id = shop.accept(shop.buy(&session, 3)).await;
        shop.begin_charge(&id).await;
        let put = |capacity| { let session = session.clone(); let shop = &shop; async move { shop.put_capacity(&session, capacity).await } };
        assert_eq!(put(2).await, Put::CapacityTooSmall { taken: 3 });
        assert!(matches!(put(3).await, Put::Replaced(_)));
        assert!(matches!(put(10).await, Put::Replaced(_)));
        assert_eq!(shop.store.availability(&shop.scope, &session).await.unwrap().unwrap().available, 7);
        let opera = shop.seated("opera", &["A1", "A2"]).await;
        let id = shop.accept(shop.buy_seats(&opera, &["A1"])).await;
        shop.begin_charge(&id).await;
        let without: Vec<String> = vec!["A2".to_owned(), "A3".to_owned()];
        let row = shop.store.get(&shop.scope, Kind::Session, &opera).await.unwrap().unwrap();
        let refused = shop.store.put(&shop.scope, Kind::Session, &opera, &row.doc, Some(2), Some(&without)).await.unwrap();
        assert_eq!(refused, Put::CapacityTooSmall { taken: 1 });
    }

    async fn lists_page_through_everything_once(shop) {
        let session = shop.session("yoga", 500).await;
        let mut ids = Vec::new();
        for _ in 0..25 {
            ids.push(shop.accept(shop.buy(&session, 1)).await);
        }
        ids.sort_by(|a, b| b.cmp(a));
        let filter = CheckoutFilter { session: Some(session.clone()), ..CheckoutFilter::default() };
        let (mut seen, mut page) = (Vec::new(), fixture::page(10));
        loop {
            let answer = shop.store.checkouts(&shop.scope, &filter, &page).await.unwrap();
            seen.extend(answer.data.into_iter().map(|checkout| checkout.id));
            match answer.next_cursor { Some(cursor) => page.after = Some(cursor), None => break }
        }
        assert_eq!(seen, ids);
        let other = CheckoutFilter { session: Some(CatalogueId::parse("yog_").unwrap()), ..CheckoutFilter::default() };
        assert!(shop.store.checkouts(&shop.scope, &other, &fixture::page(10)).await.unwrap().data.is_empty(), "an underscore is no wildcard");
    }

    async fn scopes_never_see_each_other(shop) {
        let session = shop.session("yoga", 5).await;
        let stranger = shop.other_scope();
        let id = shop.accept(shop.buy(&session, 1)).await;
        assert!(shop.store.get(&stranger, Kind::Session, &session).await.unwrap().is_none());
        assert!(shop.store.checkouts(&stranger, &CheckoutFilter::default(), &fixture::page(10)).await.unwrap().data.is_empty());
        assert!(matches!(shop.store.cancel(&stranger, &id).await.unwrap(), CancelResult::Missing));
        assert!(matches!(shop.store.resolve(&stranger, &id, Verdict::Failed, "").await.unwrap(), ResolveResult::Missing));
        let mut theirs = shop.buy(&session, 1);
        theirs.scope = stranger;
        let theirs = shop.accept(theirs).await;
        let Next::Moved(moved) = shop.begin(&theirs).await.0.next else { panic!() };
        assert_eq!(moved.status, Status::Failed, "their session has the same id and does not exist");
    }

    async fn an_audit_finds_what_was_broken_and_a_repair_mends_the_counters(shop) {
        let session = shop.session("yoga", 5).await;
        let id = shop.accept(shop.buy(&session, 1)).await;
        shop.begin_charge(&id).await;
        shop.break_counter(&session).await;
        assert_eq!(shop.broken().await, ["stock_drift"]);
        assert_eq!(shop.store.repair().await.unwrap(), ["1 counters set to their claims"]);
        shop.assert_clean().await;
    }

    async fn a_row_that_cannot_be_read_keeps_nobody_else_from_being_rescued(shop) {
        let session = shop.session("yoga", 5).await;
        let (broken, fine) = (shop.accept(shop.buy(&session, 1)).await, shop.accept(shop.buy(&session, 1)).await);
        shop.sql(&format!("UPDATE checkouts SET scope = 'nobody''s' WHERE id = '{broken}'")).await;
        let late = Duration::from_millis(1);
        let rescued = async || shop.store.rescue(Lane::Checkouts, late, None, 10).await.unwrap().into_iter().map(|row| row.id).collect::<Vec<_>>();
        let began = tokio::time::Instant::now();
        let mut first = rescued().await;
        while first.is_empty() && began.elapsed() < Duration::from_secs(10) {
            first = rescued().await;
        }
        assert_eq!(first, [fine.to_string()]);
        // It was counted, too: it comes later and later, and does not stand at the head of every round.
        assert_eq!(shop.texts(&format!("SELECT id FROM checkouts WHERE rescues > 0 AND id = '{broken}'")).await, [broken.to_string()]);
    }

    async fn keys_are_found_by_hash_until_they_are_revoked(shop) {
        let key = fixture::api_key(&shop.scope);
        shop.store.add_key(&key, "hash-1").await.unwrap();
        assert_eq!(shop.store.key_by_hash("hash-1").await.unwrap(), Some(key.clone()));
        assert_eq!(shop.store.keys(Some("nobody")).await.unwrap(), []);
        assert_eq!(shop.store.keys(None).await.unwrap(), std::slice::from_ref(&key));
        assert!(shop.store.revoke_key(&key.id).await.unwrap());
        assert!(!shop.store.revoke_key(&key.id).await.unwrap());
        assert_eq!(shop.store.key_by_hash("hash-1").await.unwrap(), None);
    }

    async fn migrating_twice_changes_nothing(shop) {
        shop.store.migrate().await.unwrap();
        shop.store.ping().await.unwrap();
        assert_eq!(shop.store.counts(None).await.unwrap(), []);
    }
}
