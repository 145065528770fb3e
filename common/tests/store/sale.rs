//! Sales: what is sold once, to whom, and how often, whoever races for it.

use super::fixture::{self, Shop, approved, declined};
use boxoffice_common::{
    domain::{error::Code, id::CustomerId, money::Amount, state::Status},
    ports::store::*,
};
use futures::future::join_all;

over_both! {
    async fn a_card_sale_is_accepted_begun_and_settled(shop) {
        let session = shop.session("yoga", 20).await;
        let id = shop.accept(shop.buy(&session, 2)).await;
        let (n, token) = shop.begin_charge(&id).await;
        let held = shop.store.availability(&shop.scope, &session).await.unwrap().unwrap();
        assert_eq!((held.held, held.sold, held.available), (2, 0, 18));
        let moved = shop.settle(&id, n, &token, approved(3000)).await;
        assert!(matches!(moved, Settled::Moved(ref moved) if moved.status == Status::Succeeded), "{moved:?}");
        let checkout = shop.checkout(&id).await;
        assert_eq!((checkout.status, checkout.version, checkout.amount_paid), (Status::Succeeded, 3, Amount::from_minor(3000)));
        let sold = shop.store.availability(&shop.scope, &session).await.unwrap().unwrap();
        assert_eq!((sold.held, sold.sold, sold.available), (0, 2, 18));
        let what: Vec<String> = shop.store.timeline(&id).await.unwrap().into_iter().map(|entry| entry.what).collect();
        assert_eq!(what, ["accepted", "begun", "charge.approved", "checkout.succeeded"]);
        shop.assert_clean().await;
    }

    async fn a_timeline_of_any_length_is_read_to_its_end_page_by_page(shop) {
        let session = shop.session("yoga", 20).await;
        let id = shop.accept(shop.buy(&session, 2)).await;
        let two = r#"[{"at":"2027-01-01T00:00:00Z","what":"one"},{"at":"2027-01-01T00:00:00Z","what":"two"}]"#;
        let many = format!(
            "INSERT INTO timeline (checkout, version, entries) WITH RECURSIVE n(v) AS (SELECT 2 UNION ALL SELECT v + 1 FROM n WHERE v < 1301) SELECT '{id}', v, '{two}' FROM n"
        );
        shop.sql(&many).await;
        let (mut after, mut pages, mut all) = (None, 0, Vec::new());
        loop {
            let page = shop.store.timeline_page(&id, after).await.unwrap();
            assert!(page.data.len() <= 1_000);
            pages += 1;
            all.extend(page.data.into_iter().map(|entry| entry.what));
            let Some(cursor) = page.next_cursor else { break };
            after = Some(cursor.parse().unwrap());
        }
        assert_eq!((pages, all.len(), all[0].as_str()), (3, 2_601, "accepted"));
        assert!(all[1..].chunks(2).all(|pair| pair == ["one", "two"]), "nothing twice, nothing missing");
    }

    async fn a_declined_card_gives_the_seats_back(shop) {
        let session = shop.session("yoga", 1).await;
        let id = shop.accept(shop.buy(&session, 1)).await;
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, declined()).await;
        let checkout = shop.checkout(&id).await;
        assert_eq!(checkout.error.map(|error| (error.code, error.decline_code)), Some((Code::CardDeclined, Some("generic_decline".to_owned()))));
        assert_eq!(shop.store.availability(&shop.scope, &session).await.unwrap().unwrap().available, 1);
        shop.assert_clean().await;
    }

    async fn three_seats_left_two_hundred_buyers_at_once_sell_exactly_three(shop) {
        let session = shop.session("gala", 3).await;
        let ids = join_all((0..200).map(|_| shop.accept(shop.buy(&session, 1)))).await;
        let begun = join_all(ids.iter().map(|id| shop.begin(id))).await;
        let mut winners = 0;
        for (id, (answer, token)) in ids.iter().zip(begun) {
            match answer.next {
                Next::Act { n, .. } => {
                    winners += 1;
                    shop.settle(id, n, &token, approved(1500)).await;
                }
                Next::Moved(moved) => assert_eq!(moved.status, Status::Failed),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(winners, 3);
        let left = shop.store.availability(&shop.scope, &session).await.unwrap().unwrap();
        assert_eq!((left.sold, left.held, left.available), (3, 0, 0));
        let failed = shop.store.checkouts(&shop.scope, &CheckoutFilter { statuses: vec![Status::Failed], ..CheckoutFilter::default() }, &fixture::page(100)).await.unwrap();
        assert!(failed.data.iter().all(|checkout| checkout.error.as_ref().map(|error| error.code) == Some(Code::SessionFull)));
        shop.assert_clean().await;
    }

    async fn a_named_seat_is_sold_once_whoever_races_for_it(shop) {
        let session = shop.seated("opera", &["A1", "A2", "A3"]).await;
        let ids = join_all((0..40).map(|n| shop.accept(shop.buy_seats(&session, if n % 2 == 0 { &["A1", "A2"] } else { &["A2", "A3"] })))).await;
        let begun = join_all(ids.iter().map(|id| shop.begin(id))).await;
        let winners: Vec<_> = ids.iter().zip(begun).filter_map(|(id, (answer, token))| match answer.next {
            Next::Act { n, .. } => Some((id, n, token)),
            _ => None,
        }).collect();
        assert_eq!(winners.len(), 1, "both wants contain A2");
        for (id, n, token) in winners {
            shop.settle(id, n, &token, approved(3000)).await;
        }
        shop.assert_clean().await;
    }

    async fn one_bad_item_does_not_fail_its_batch(shop) {
        let session = shop.session("yoga", 50).await;
        let ids = join_all((0..20).map(|_| shop.accept(shop.buy(&session, 1)))).await;
        let begun = join_all(ids.iter().map(|id| shop.begin_charge(id))).await;
        let good = ids.iter().zip(&begun).map(|(id, (n, token))| shop.try_settle(id, *n, token, approved(1500)));
        let bad = (0..3).map(|_| shop.try_settle(&ids[0], 9, "nobody", approved(1)));
        let results = join_all(good.map(futures::future::Either::Left).chain(bad.map(futures::future::Either::Right))).await;
        assert!(results[..20].iter().all(|result| matches!(result, Ok(Settled::Moved(_)))), "{results:?}");
        assert!(results[20..].iter().all(|result| matches!(result, Err(StoreError::Inconsistent(_)))), "{results:?}");
        shop.assert_clean().await;
    }

    async fn purchase_limits_count_what_a_customer_has(shop) {
        let session = shop.session_with("workshop", 100, |session| session.purchase_limit = Some(2)).await;
        let customer = CustomerId::parse("cus_ann").unwrap();
        shop.customer(&customer).await;
        let buy = |quantity| { let mut new = shop.buy(&session, quantity); new.order.customer = Some(customer.clone()); new };
        let ids = join_all((0..5).map(|_| shop.accept(buy(1)))).await;
        let begun = join_all(ids.iter().map(|id| shop.begin(id))).await;
        assert_eq!(begun.iter().filter(|(answer, _)| matches!(answer.next, Next::Act { .. })).count(), 2);
        let mut unknown = shop.buy(&session, 1);
        unknown.order.customer = Some(CustomerId::parse("cus_nobody").unwrap());
        assert_eq!(shop.store.accept(unknown).await.unwrap(), Accepted::CustomerMissing);
    }

    async fn a_customer_is_found_by_its_external_id_or_made_once(shop) {
        let session = shop.session("yoga", 100).await;
        let ids = join_all((0..20).map(|_| {
            let mut new = shop.buy(&session, 1);
            new.customer = Some(fixture::customer("crm-7"));
            shop.accept(new)
        })).await;
        let mut customers = Vec::new();
        for id in &ids {
            customers.push(shop.checkout(id).await.order.customer.unwrap());
        }
        customers.dedup();
        assert_eq!(customers.len(), 1);
        let kept = shop.store.customer(&shop.scope, &customers[0]).await.unwrap().unwrap();
        assert_eq!(kept.email.as_deref(), Some("crm-7@shop.example"));
    }

    async fn a_free_or_custom_order_is_sold_without_an_outside_call(shop) {
        let session = shop.session("yoga", 2).await;
        let id = shop.accept(shop.buy_cash(&session, 2)).await;
        let (answer, _) = shop.begin(&id).await;
        assert!(matches!(answer.next, Next::Moved(moved) if moved.status == Status::Succeeded));
        assert_eq!(shop.store.availability(&shop.scope, &session).await.unwrap().unwrap().sold, 2);
        shop.assert_clean().await;
    }

    async fn a_promo_code_is_used_as_often_as_it_may(shop) {
        let session = shop.session("yoga", 100).await;
        let code = shop.promo("TWICE", 2).await;
        let ids = join_all((0..10).map(|_| shop.accept(shop.buy_with_promo(&session, &code)))).await;
        let begun = join_all(ids.iter().map(|id| shop.begin(id))).await;
        assert_eq!(begun.iter().filter(|(answer, _)| matches!(answer.next, Next::Act { .. })).count(), 2);
        let refused = begun.into_iter().find_map(|(answer, _)| if let Next::Moved(moved) = answer.next { Some(moved) } else { None }).unwrap();
        assert_eq!(shop.checkout(&refused.checkout).await.error.unwrap().code, Code::PromoCodeInvalid);
        assert_eq!(shop.store.availability(&shop.scope, &session).await.unwrap().unwrap().held, 2, "all that a checkout wants, or nothing");
        shop.assert_clean().await;
    }
}
