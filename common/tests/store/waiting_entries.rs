//! Who gets on a waiting list, how long he is on it, and how he comes off.

use super::{
    fixture::{Shop, approved, page},
    waiting::{charged, customer, entry, give_back, join, left, status, taking, waits, wish},
};
use boxoffice_common::{
    domain::{
        catalogue::Kind,
        error::Code,
        id::{CatalogueId, CustomerId},
        waiting::WaitingStatus,
    },
    ports::store::*,
};
use futures::future::join_all;

over_both! {
    async fn nobody_waits_where_there_is_place_or_for_what_he_may_not_buy(shop) {
        let session = shop.session_with("yoga", 2, |session| session.purchase_limit = Some(2)).await;
        let ada = customer(&shop, 1).await;
        assert_eq!(shop.store.join(&wish(&shop, &session, &ada, 2)).await.unwrap(), JoinResult::NotFull);
        let sale = shop.sold(shop.buy(&session, 1)).await;
        let id = join(&shop, wish(&shop, &session, &ada, 2)).await;
        assert_eq!(shop.store.join(&wish(&shop, &session, &ada, 2)).await.unwrap(), JoinResult::AlreadyThere(id.clone()));
        let eve = customer(&shop, 2).await;
        for (new, code) in [
            (wish(&shop, &session, &eve, 3), Code::ParameterInvalid),
            (wish(&shop, &shop.session_with("past", 0, |session| session.starts_at = serde_json::from_value(serde_json::json!("2020-01-01T00:00:00Z")).unwrap()).await, &eve, 1), Code::SessionPassed),
            (wish(&shop, &shop.session_with("vip", 1, |session| session.required_tag = Some("vip".to_owned())).await, &eve, 1), Code::AccessRestricted),
        ] {
            let refused = shop.store.join(&new).await.unwrap();
            assert!(matches!(&refused, JoinResult::Refused(error) if error.code == code), "{refused:?}");
        }
        let nobody = CustomerId::parse("cus_nobody").unwrap();
        assert_eq!(shop.store.join(&wish(&shop, &session, &nobody, 1)).await.unwrap(), JoinResult::CustomerMissing);
        let nowhere = CatalogueId::parse("nowhere").unwrap();
        assert_eq!(shop.store.join(&wish(&shop, &nowhere, &eve, 1)).await.unwrap(), JoinResult::Missing);
        let theirs = NewWaiting { scope: shop.other_scope(), ..wish(&shop, &session, &eve, 1) };
        assert_eq!(shop.store.join(&theirs).await.unwrap(), JoinResult::Missing);
        assert_eq!(shop.store.waiting_entry(&shop.other_scope(), &id).await.unwrap(), None);
        assert_eq!(shop.store.leave(&shop.other_scope(), &id).await.unwrap(), LeaveResult::Missing);
        // What is offered counts against the limit, and taking it does not count twice.
        give_back(&shop, &sale).await;
        let offered = entry(&shop, &id).await;
        assert!(offered.is_open());
        shop.sold(taking(&shop, &offered).await).await;
        let more = shop.store.join(&wish(&shop, &session, &ada, 1)).await.unwrap();
        assert!(matches!(&more, JoinResult::Refused(error) if error.code == Code::PurchaseLimitReached), "{more:?}");
        shop.assert_clean().await;
    }

    async fn the_same_key_joins_once(shop) {
        let session = shop.session("yoga", 0).await;
        let ada = customer(&shop, 1).await;
        let key = |hash: &str| Some(IdempotencyRow { route: "join".to_owned(), key: "k".to_owned(), body_hash: hash.to_owned() });
        // Nobody can wait for a place of a session that has none.
        let none = shop.store.join(&wish(&shop, &session, &ada, 1)).await.unwrap();
        assert!(matches!(none, JoinResult::Refused(_)), "{none:?}");
        shop.put_capacity(&session, 1).await;
        shop.sold(shop.buy(&session, 1)).await;
        let first = NewWaiting { idempotency: key("a"), ..wish(&shop, &session, &ada, 1) };
        let JoinResult::Created(answer) = shop.store.join(&first).await.unwrap() else { panic!() };
        assert_eq!(shop.store.join(&first).await.unwrap(), JoinResult::Created(answer.clone()), "our own earlier run");
        let again = NewWaiting { idempotency: key("a"), ..wish(&shop, &session, &ada, 1) };
        assert_eq!(shop.store.join(&again).await.unwrap(), JoinResult::Replayed(answer));
        let other = NewWaiting { idempotency: key("b"), ..wish(&shop, &session, &ada, 1) };
        assert_eq!(shop.store.join(&other).await.unwrap(), JoinResult::KeyReused);
        let at_once = join_all((2..10).map(|n| { let shop = &shop; let session = &session; async move { waits(shop, session, n, 1).await } })).await;
        let list = shop.store.waiting_list(&shop.scope, &session, None, &page(100)).await.unwrap().data;
        assert_eq!((at_once.len(), list.len()), (8, 9));
        assert!(list.windows(2).all(|pair| pair[0].place < pair[1].place), "{list:?}");
        shop.assert_clean().await;
    }

    async fn who_leaves_gives_his_offer_to_the_next_unless_a_checkout_has_it(shop) {
        let session = shop.session("yoga", 1).await;
        let sale = shop.sold(shop.buy(&session, 1)).await;
        let ids = [waits(&shop, &session, 1, 1).await, waits(&shop, &session, 2, 1).await, waits(&shop, &session, 3, 1).await];
        assert!(matches!(shop.store.leave(&shop.scope, &ids[1]).await.unwrap(), LeaveResult::Left { .. }));
        give_back(&shop, &sale).await;
        let LeaveResult::Left { entry: gone, moved: Some(moved) } = shop.store.leave(&shop.scope, &ids[0]).await.unwrap() else { panic!() };
        assert_eq!((gone.status, moved.deliveries.len(), moved.stock[0].taken), (WaitingStatus::Left, 1, 1));
        let again = shop.store.leave(&shop.scope, &ids[0]).await.unwrap();
        assert!(matches!(again, LeaveResult::Left { moved: None, .. }), "{again:?}");
        let offered = entry(&shop, &ids[2]).await;
        assert!(offered.is_open(), "who left is passed over");
        let open = async |scope, n: usize, sessions: &[CatalogueId]| {
            let customer = CustomerId::parse(format!("cus_{n}")).unwrap();
            shop.store.open_offers(scope, &customer, sessions).await.unwrap()
        };
        let (here, elsewhere, theirs) = ([session.clone()], [CatalogueId::parse("pilates").unwrap()], shop.other_scope());
        assert_eq!(open(&shop.scope, 3, &[elsewhere[0].clone(), session.clone(), session.clone()]).await, std::slice::from_ref(&offered));
        for (scope, n, sessions) in [(&shop.scope, 1, &here[..]), (&shop.scope, 3, &elsewhere), (&shop.scope, 3, &[]), (&theirs, 3, &here)] {
            assert_eq!(open(scope, n, sessions).await, [], "{n} {sessions:?}");
        }
        let (bought, n, token) = charged(&shop, taking(&shop, &offered).await).await;
        assert_eq!(shop.store.leave(&shop.scope, &ids[2]).await.unwrap(), LeaveResult::InUse);
        assert_eq!(open(&shop.scope, 3, &here).await, [], "a checkout has it");
        shop.settle(&bought, n, &token, approved(1500)).await;
        assert_eq!(shop.store.leave(&shop.scope, &ids[2]).await.unwrap(), LeaveResult::Ended(WaitingStatus::Taken));
        shop.assert_clean().await;
    }

    async fn more_places_go_to_who_waits_and_a_canceled_session_offers_nothing(shop) {
        let session = shop.session("yoga", 1).await;
        let sale = shop.sold(shop.buy(&session, 1)).await;
        let ids = [waits(&shop, &session, 1, 1).await, waits(&shop, &session, 2, 1).await, waits(&shop, &session, 3, 1).await];
        assert!(matches!(shop.put_capacity(&session, 2).await, Put::Replaced(_)));
        assert_eq!((status(&shop, &ids[0]).await, status(&shop, &ids[1]).await), (WaitingStatus::Offered, WaitingStatus::Waiting));
        assert_eq!(left(&shop, &session).await, (1, 1, 0));
        let off = serde_json::json!({"name": "Yoga", "starts_at": "2099-01-01T10:00:00Z", "unit_amount": 1500, "currency": "usd", "capacity": 2, "status": "canceled"});
        let put = shop.store.put(&shop.scope, Kind::Session, &session, &off.to_string(), Some(2), None).await.unwrap();
        assert!(matches!(put, Put::Replaced(_)));
        give_back(&shop, &sale).await;
        assert_eq!(status(&shop, &ids[1]).await, WaitingStatus::Waiting, "nothing is offered of it");
        let (looked_at, moved) = shop.store.lapse(2).await.unwrap();
        assert_eq!((looked_at, moved.deliveries.len()), (2, 2));
        assert_eq!(shop.store.lapse(2).await.unwrap().0, 1);
        assert_eq!(shop.store.lapse(2).await.unwrap().0, 0);
        for id in &ids {
            assert_eq!(status(&shop, id).await, WaitingStatus::Expired);
        }
        assert_eq!(left(&shop, &session).await, (0, 0, 2));
        shop.assert_clean().await;
    }

    async fn a_wait_ends_with_sales_and_goes_on_when_they_do(shop) {
        let session = shop.session("yoga", 1).await;
        shop.sold(shop.buy(&session, 1)).await;
        let id = waits(&shop, &session, 1, 1).await;
        shop.sql(&format!("UPDATE waiting_list SET due_at = 1 WHERE id = '{id}'")).await;
        assert_eq!(shop.store.lapse(10).await.unwrap().0, 1);
        assert_eq!((status(&shop, &id).await, shop.store.lapse(10).await.unwrap().0), (WaitingStatus::Waiting, 0));
        let over = serde_json::json!({"name": "Yoga", "starts_at": "2020-01-01T10:00:00Z", "unit_amount": 1500, "currency": "usd", "capacity": 1});
        shop.store.put(&shop.scope, Kind::Session, &session, &over.to_string(), Some(1), None).await.unwrap();
        assert_eq!(shop.store.lapse(10).await.unwrap().0, 1);
        assert_eq!(status(&shop, &id).await, WaitingStatus::Expired);
        shop.assert_clean().await;
    }
}
