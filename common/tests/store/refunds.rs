//! Refunds: never above what was paid, whoever races and whatever answer is lost; places come free with the money.

use super::fixture::{Shop, approved, declined};
use boxoffice_common::{
    domain::{
        attempt::Outcome,
        error::Code,
        id::{CheckoutId, LineId, RefundId},
        leg::Leg,
        money::Amount,
        order::Totals,
        refund::{Refund, RefundAsk, RefundStatus, Refusal},
        state::Status,
    },
    ports::{clock::Clock, clock::SystemClock, queue::Lane, store::*},
};
use boxoffice_testkit::proxy::{Cut, CuttingProxy};
use futures::future::join_all;
use std::time::Duration;

/// A sale by card that was paid, and the ids of its lines.
pub async fn sold(shop: &Shop, new: NewCheckout) -> (CheckoutId, Vec<LineId>) {
    let lines = new.order.lines.iter().map(|line| line.id.clone()).collect();
    let total = new.order.totals.total.minor();
    let id = shop.accept(new).await;
    let (n, token) = shop.begin_charge(&id).await;
    shop.settle(&id, n, &token, approved(total)).await;
    (id, lines)
}

pub fn part(minor: i64) -> RefundAsk {
    RefundAsk { amount: Some(Amount::from_minor(minor)), ..RefundAsk::default() }
}

pub fn asked(shop: &Shop, checkout: &CheckoutId, key: &str, ask: RefundAsk) -> NewRefund {
    let id = RefundId::generate(&shop.entropy, SystemClock::default().now());
    let route = format!("POST /v1/checkouts/{checkout}/refunds");
    let idempotency = IdempotencyRow { route, key: key.to_owned(), body_hash: format!("{ask:?}") };
    NewRefund { id, scope: shop.scope.clone(), checkout: checkout.clone(), ask, idempotency }
}

pub async fn open(shop: &Shop, checkout: &CheckoutId, key: &str, ask: RefundAsk) -> RefundId {
    let new = asked(shop, checkout, key, ask);
    let result = shop.store.refund(&new).await.unwrap();
    assert!(matches!(result, RefundResult::Created { .. }), "{result:?}");
    new.id
}

/// A worker brings the refund that is due to the provider, who says `outcome`.
pub async fn work(shop: &Shop, checkout: &CheckoutId, outcome: Outcome) -> Settled {
    let (n, token) = shop.begin_charge(checkout).await;
    shop.settle(checkout, n, &token, outcome).await
}

pub async fn refund(shop: &Shop, id: &RefundId) -> Refund {
    shop.store.refund_by_id(&shop.scope, id).await.unwrap().unwrap()
}

pub fn code(result: RefundResult) -> Code {
    match result {
        RefundResult::Refused(Refusal::Refused(error)) => error.code,
        other => panic!("{other:?}"),
    }
}

over_both! {
    async fn fifty_racing_parts_never_come_to_more_than_was_paid(shop) {
        let session = shop.session("yoga", 5).await;
        let (id, _) = sold(&shop, shop.buy(&session, 1)).await;
        let asks: Vec<NewRefund> = (0..50).map(|n| asked(&shop, &id, &format!("k{n}"), part(100))).collect();
        let results = join_all(asks.iter().map(|ask| shop.store.refund(ask))).await;
        let (opened, refused): (Vec<_>, Vec<_>) = results.into_iter().map(Result::unwrap).partition(|r| matches!(r, RefundResult::Created { .. }));
        assert_eq!((opened.len(), refused.len()), (15, 35), "1500 were paid");
        assert!(refused.into_iter().all(|refused| code(refused) == Code::RefundExceedsPaid));
        shop.assert_clean().await;
        for _ in 0..15 {
            work(&shop, &id, approved(100)).await;
        }
        let after = shop.checkout(&id).await;
        assert_eq!((after.amount_refunded.minor(), after.due_at, after.status), (1500, None, Status::Succeeded));
        assert!(shop.store.refunds(&shop.scope, &id).await.unwrap().iter().all(|refund| refund.status == RefundStatus::Succeeded));
        shop.assert_clean().await;
    }

    async fn twins_under_one_key_open_one_refund_and_another_body_is_told(shop) {
        let session = shop.session("yoga", 5).await;
        let (id, _) = sold(&shop, shop.buy(&session, 1)).await;
        let asks: Vec<NewRefund> = (0..20).map(|_| asked(&shop, &id, "k", part(100))).collect();
        let results = join_all(asks.iter().map(|ask| shop.store.refund(ask))).await;
        let replayed = results.iter().filter(|result| matches!(result, Ok(RefundResult::Replayed(_)))).count();
        assert_eq!((replayed, shop.store.refunds(&shop.scope, &id).await.unwrap().len()), (19, 1));
        let other = shop.store.refund(&asked(&shop, &id, "k", part(200))).await.unwrap();
        assert!(matches!(other, RefundResult::KeyReused), "{other:?}");
    }

    async fn the_seats_of_a_line_come_free_when_its_money_is_back_and_can_be_sold_again(shop) {
        let gala = shop.seated("gala", &["A1", "A2", "B1"]).await;
        let mut new = shop.buy_seats(&gala, &["A1", "A2"]);
        let more = shop.buy_seats(&gala, &["B1"]);
        new.order.lines.extend(more.order.lines);
        (new.order.totals.total, new.order.legs[0].amount) = (Amount::from_minor(4500), Amount::from_minor(4500));
        let (id, lines) = sold(&shop, new).await;
        let ask = RefundAsk { lines: vec![lines[0].clone()], ..RefundAsk::default() };
        let back = open(&shop, &id, "k1", ask).await;
        assert_eq!(shop.store.availability(&shop.scope, &gala).await.unwrap().unwrap().sold, 3, "not before");
        let Settled::Moved(moved) = work(&shop, &id, approved(3000)).await else { panic!() };
        assert_eq!(moved.stock[0].free(), 2, "the seat table is told");
        assert_eq!((refund(&shop, &back).await.status, shop.checkout(&id).await.amount_refunded.minor()), (RefundStatus::Succeeded, 3000));
        let left = shop.store.availability(&shop.scope, &gala).await.unwrap().unwrap();
        assert_eq!((left.sold, left.available), (1, 2));
        sold(&shop, shop.buy_seats(&gala, &["A1"])).await;
        // The rest, and the places stay.
        open(&shop, &id, "k2", RefundAsk { release_seats: Some(false), ..RefundAsk::default() }).await;
        work(&shop, &id, approved(1500)).await;
        assert_eq!(shop.store.availability(&shop.scope, &gala).await.unwrap().unwrap().sold, 2);
        shop.assert_clean().await;
    }

    async fn a_refund_that_the_provider_refuses_fails_and_its_booking_is_taken_back(shop) {
        let session = shop.session("yoga", 5).await;
        let mut new = shop.buy(&session, 1);
        new.order.callback_url = Some("https://shop.example/own".to_owned());
        let (id, _) = sold(&shop, new).await;
        let back = open(&shop, &id, "k", RefundAsk::default()).await;
        // Nobody was told: the row is its own outbox entry.
        shop.make_due(&id).await;
        let overdue = shop.store.rescue(Lane::Money, Duration::from_millis(1), None, 10).await.unwrap();
        assert_eq!(overdue.into_iter().map(|row| row.id).collect::<Vec<_>>(), [id.to_string()]);
        let Settled::Moved(moved) = work(&shop, &id, declined()).await else { panic!() };
        let failed = refund(&shop, &back).await;
        assert_eq!((failed.status, failed.error.unwrap().code), (RefundStatus::Failed, Code::RefundRefused));
        let delivery = shop.store.delivery(&shop.scope, &moved.deliveries[0]).await.unwrap().unwrap();
        assert_eq!(delivery.event_type, "refund.failed");
        assert_eq!((shop.checkout(&id).await.amount_refunded, shop.store.availability(&shop.scope, &session).await.unwrap().unwrap().sold), (Amount::ZERO, 1));
        open(&shop, &id, "again", RefundAsk::default()).await;
        shop.assert_clean().await;
    }

    async fn cash_goes_back_at_once_and_nothing_is_left_to_do(shop) {
        let session = shop.session("yoga", 5).await;
        let id = shop.accept(shop.buy_cash(&session, 2)).await;
        let unsold = shop.store.refund(&asked(&shop, &id, "k0", RefundAsk::default())).await.unwrap();
        assert!(matches!(unsold, RefundResult::Refused(Refusal::NotSold(Status::Queued))), "{unsold:?}");
        shop.begin(&id).await;
        let back = open(&shop, &id, "k1", RefundAsk::default()).await;
        assert_eq!(refund(&shop, &back).await.status, RefundStatus::Succeeded);
        let after = shop.checkout(&id).await;
        assert_eq!((after.amount_refunded.minor(), after.due_at, after.attempts.len()), (3000, None, 0));
        assert_eq!(shop.store.availability(&shop.scope, &session).await.unwrap().unwrap().available, 5);
        assert_eq!(code(shop.store.refund(&asked(&shop, &id, "k2", part(1))).await.unwrap()), Code::RefundExceedsPaid);
        shop.assert_clean().await;
    }

    async fn what_went_back_of_a_line_although_its_refund_failed_does_not_go_back_again(shop) {
        let session = shop.session("yoga", 5).await;
        // Two lines of 1500 each, of which 2000 are paid in cash and 1000 by card.
        let mut new = shop.buy(&session, 1);
        let other = shop.buy_cash(&session, 1);
        new.order.lines.extend(other.order.lines);
        let card = Leg { amount: Amount::from_minor(1000), ..new.order.legs.remove(0) };
        new.order.legs = vec![Leg { amount: Amount::from_minor(2000), ..other.order.legs[0].clone() }, card];
        let total = Amount::from_minor(3000);
        new.order.totals = Totals { subtotal: total, total, ..Totals::default() };
        let lines: Vec<LineId> = new.order.lines.iter().map(|line| line.id.clone()).collect();
        let id = shop.accept(new).await;
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, approved(1000)).await;
        let first = |amount: Option<i64>| RefundAsk { lines: vec![lines[0].clone()], amount: amount.map(Amount::from_minor), ..RefundAsk::default() };
        // The card's provider refuses its 1000; the other 500 went back in cash.
        let refused = open(&shop, &id, "k1", first(None)).await;
        work(&shop, &id, declined()).await;
        assert_eq!((refund(&shop, &refused).await.status, shop.checkout(&id).await.amount_refunded.minor()), (RefundStatus::Failed, 500));
        let too_much = asked(&shop, &id, "k2", first(Some(1001)));
        assert_eq!(code(shop.store.refund(&too_much).await.unwrap()), Code::RefundExceedsPaid);
        let again = open(&shop, &id, "k3", first(None)).await;
        assert_eq!(refund(&shop, &again).await.amount.minor(), 1000, "the line came to 1500");
        work(&shop, &id, approved(1000)).await;
        assert_eq!(shop.checkout(&id).await.amount_refunded.minor(), 1500);
        let rest = open(&shop, &id, "k4", RefundAsk { lines: vec![lines[1].clone()], ..RefundAsk::default() }).await;
        assert_eq!(refund(&shop, &rest).await.amount.minor(), 1500);
        assert_eq!(shop.checkout(&id).await.amount_refunded.minor(), 3000);
        shop.assert_clean().await;
    }

    async fn nobody_refunds_or_sees_what_is_anothers(shop) {
        let session = shop.session("yoga", 5).await;
        let (id, _) = sold(&shop, shop.buy(&session, 1)).await;
        let back = open(&shop, &id, "k", part(100)).await;
        let theirs = shop.other_scope();
        let new = NewRefund { scope: theirs.clone(), ..asked(&shop, &id, "k", part(100)) };
        assert!(matches!(shop.store.refund(&new).await.unwrap(), RefundResult::Missing));
        assert_eq!(shop.store.refund_by_id(&theirs, &back).await.unwrap(), None);
        assert_eq!(shop.store.refunds(&theirs, &id).await.unwrap(), []);
    }

    async fn the_audit_finds_refunds_that_do_not_add_up(shop) {
        let session = shop.session("yoga", 5).await;
        let (id, _) = sold(&shop, shop.buy(&session, 1)).await;
        open(&shop, &id, "k", RefundAsk::default()).await;
        work(&shop, &id, approved(1500)).await;
        shop.assert_clean().await;
        shop.sql("UPDATE claims SET state = 'sold'").await;
        shop.sql("UPDATE inventory SET taken = 1").await;
        assert_eq!(shop.broken().await, ["refunded_seat_live"]);
        shop.sql("UPDATE claims SET state = 'released'").await;
        shop.sql("UPDATE inventory SET taken = 0").await;
        shop.sql("UPDATE refund_parts SET amount = 1600").await;
        assert_eq!(shop.broken().await, ["refunds_above_paid", "refunds_differ", "refund_differs_from_parts"]);
        shop.sql("UPDATE refund_parts SET amount = 1500, status = 'failed'").await;
        shop.sql("UPDATE refunds SET status = 'failed', release_seats = 0").await;
        let found = shop.broken().await;
        assert!(found.contains(&"refunds_differ".to_owned()) && found.contains(&"refund_differs_from_attempt".to_owned()), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_is_opened_once_wherever_its_connection_is_cut() {
    let url = boxoffice_testkit::servers::shared::postgres_url().await.unwrap();
    let proxy = CuttingProxy::start(&url).await.unwrap();
    let shop = Shop::open(proxy.url(), &url, None).await;
    let session = shop.session("yoga", 1_000).await;
    for cut in [Cut::BeforeRequest, Cut::BeforeAnswer] {
        let mut reached_the_end = false;
        for step in 0..100 {
            let (id, _) = sold(&shop, shop.buy(&session, 1)).await;
            proxy.cut_at(step, cut);
            open(&shop, &id, "k", part(1000)).await;
            let was_cut = proxy.was_cut();
            assert_eq!(shop.store.refunds(&shop.scope, &id).await.unwrap().len(), 1, "{cut:?} at {step}");
            assert_eq!(shop.checkout(&id).await.attempts.len(), 2, "{cut:?} at {step}");
            if !was_cut {
                reached_the_end = true;
                break;
            }
        }
        assert!(reached_the_end, "{cut:?}: more than 100 steps");
    }
    shop.assert_clean().await;
}
