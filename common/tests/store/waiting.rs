//! Waiting lists: what comes free is never free for anybody but who waits for it, whoever races and whatever comes to nothing.

use super::fixture::{self, Shop, approved, declined, page};
use boxoffice_common::{
    domain::{
        error::Code,
        id::{CatalogueId, CheckoutId, CustomerId, RefundId, WaitingId},
        line::Item,
        refund::RefundAsk,
        state::Status,
        waiting::{WaitingEntry, WaitingStatus},
    },
    ports::{
        clock::{Clock, SystemClock},
        store::*,
    },
};
use boxoffice_testkit::proxy::{Cut, CuttingProxy};
use futures::future::join_all;
use std::time::Duration;

const OFFER: Duration = Duration::from_secs(900);

pub async fn customer(shop: &Shop, n: usize) -> CustomerId {
    let id = CustomerId::parse(format!("cus_{n}")).unwrap();
    shop.store.put_customer(&shop.scope, &id, &fixture::customer(&format!("crm-{n}"))).await.unwrap().unwrap();
    id
}

pub fn wish(shop: &Shop, session: &CatalogueId, customer: &CustomerId, quantity: u32) -> NewWaiting {
    NewWaiting {
        id: WaitingId::generate(&shop.entropy, SystemClock::default().now()),
        scope: shop.scope.clone(),
        session: session.clone(),
        customer: customer.clone(),
        quantity,
        callback_url: Some("https://shop.example/waiting".to_owned()),
        offer_for: OFFER,
        idempotency: None,
    }
}

pub async fn join(shop: &Shop, new: NewWaiting) -> WaitingId {
    let id = new.id.clone();
    let joined = shop.store.join(&new).await.unwrap();
    assert!(matches!(joined, JoinResult::Created(_)), "{joined:?}");
    id
}

/// A customer who waits for `quantity` places.
pub async fn waits(shop: &Shop, session: &CatalogueId, n: usize, quantity: u32) -> WaitingId {
    let customer = customer(shop, n).await;
    join(shop, wish(shop, session, &customer, quantity)).await
}

pub async fn entry(shop: &Shop, id: &WaitingId) -> WaitingEntry {
    shop.store.waiting_entry(&shop.scope, id).await.unwrap().unwrap()
}

pub async fn status(shop: &Shop, id: &WaitingId) -> WaitingStatus {
    entry(shop, id).await.status
}

/// Sold, held, available.
pub async fn left(shop: &Shop, session: &CatalogueId) -> (u32, u32, u32) {
    let left = shop.store.availability(&shop.scope, session).await.unwrap().unwrap();
    (left.sold, left.held, left.available)
}

pub async fn charged(shop: &Shop, new: NewCheckout) -> (CheckoutId, u32, String) {
    let id = shop.accept(new).await;
    let (n, token) = shop.begin_charge(&id).await;
    (id, n, token)
}

/// Everything that was paid goes back, and the places come free.
pub async fn give_back(shop: &Shop, sale: &CheckoutId) -> Moved {
    let id = RefundId::generate(&shop.entropy, SystemClock::default().now());
    let idempotency = IdempotencyRow { route: "refund".to_owned(), key: id.to_string(), body_hash: String::new() };
    let ask = RefundAsk::default();
    let refund = NewRefund { id, scope: shop.scope.clone(), checkout: sale.clone(), ask, idempotency };
    assert!(matches!(shop.store.refund(&refund).await.unwrap(), RefundResult::Created { .. }));
    let (n, token) = shop.begin_charge(sale).await;
    let amount = shop.checkout(sale).await.amount_paid.minor();
    match shop.settle(sale, n, &token, approved(amount)).await {
        Settled::Moved(moved) => moved,
        other => panic!("{other:?}"),
    }
}

/// A checkout that takes what the entry is offered.
pub async fn taking(shop: &Shop, entry: &WaitingEntry) -> NewCheckout {
    let names: Vec<&str> = entry.seats.iter().map(String::as_str).collect();
    let mut new = if names.is_empty() { shop.buy(&entry.session, entry.quantity) } else { shop.buy_seats(&entry.session, &names) };
    new.order.customer = Some(entry.customer.clone());
    if let Item::Session { offer, .. } = &mut new.order.lines[0].item {
        *offer = Some(entry.id.clone());
    }
    new
}

/// As if the time of an offer had passed.
async fn let_offer_end(shop: &Shop, id: &WaitingId) {
    shop.sql(&format!("UPDATE waiting_list SET due_at = 1 WHERE id = '{id}' AND due_at IS NOT NULL")).await;
    shop.sql(&format!("UPDATE waiting_list SET expires_at = 1 WHERE id = '{id}'")).await;
}

async fn failed_with(shop: &Shop, id: &CheckoutId) -> Code {
    let checkout = shop.checkout(id).await;
    assert_eq!(checkout.status, Status::Failed);
    checkout.error.unwrap().code
}

async fn told(shop: &Shop, moved: &Moved) -> Vec<String> {
    let mut kinds = Vec::new();
    for id in &moved.deliveries {
        kinds.push(shop.store.delivery(&shop.scope, id).await.unwrap().unwrap().event_type);
    }
    kinds
}

over_both! {
    async fn a_place_that_comes_back_is_held_for_who_waits_and_bought_by_nobody_else(shop) {
        let session = shop.session("yoga", 1).await;
        let sale = shop.sold(shop.buy(&session, 1)).await;
        let (first, second) = (waits(&shop, &session, 1, 1).await, waits(&shop, &session, 2, 1).await);
        let before = shop.store.stock(&[]).await.unwrap();
        assert!(before.is_empty());
        let moved = give_back(&shop, &sale).await;
        assert_eq!((moved.stock[0].taken, moved.stock[0].capacity), (1, 1), "nobody sees it free");
        assert_eq!(told(&shop, &moved).await, ["waiting_list.offered"]);
        let offered = entry(&shop, &first).await;
        assert!(offered.is_open() && offered.expires_at == Some(offered.updated_at.after(OFFER)), "{offered:?}");
        assert_eq!((status(&shop, &second).await, left(&shop, &session).await), (WaitingStatus::Waiting, (0, 1, 0)));
        let stranger = shop.accept(shop.buy(&session, 1)).await;
        shop.begin(&stranger).await;
        assert_eq!(failed_with(&shop, &stranger).await, Code::SessionFull);
        shop.assert_clean().await;
        let (bought, n, token) = charged(&shop, taking(&shop, &offered).await).await;
        assert_eq!((status(&shop, &first).await, left(&shop, &session).await), (WaitingStatus::Offered, (0, 1, 0)));
        shop.assert_clean().await;
        let Settled::Moved(moved) = shop.settle(&bought, n, &token, approved(1500)).await else { panic!() };
        assert!(told(&shop, &moved).await.contains(&"waiting_list.taken".to_owned()));
        let taken = entry(&shop, &first).await;
        assert_eq!((taken.status, taken.checkout, left(&shop, &session).await), (WaitingStatus::Taken, Some(bought), (1, 0, 0)));
        shop.assert_clean().await;
    }

    async fn twenty_refunds_serve_the_twenty_who_wait_and_none_of_fifty_strangers(shop) {
        let session = shop.session("yoga", 20).await;
        let mut sales = Vec::new();
        for _ in 0..20 {
            sales.push(shop.sold(shop.buy(&session, 1)).await);
        }
        let mut waiting = Vec::new();
        for n in 0..20 {
            waiting.push(waits(&shop, &session, n, 1).await);
        }
        let strangers = join_all((0..50).map(|_| shop.accept(shop.buy(&session, 1)))).await;
        let trying = join_all(strangers.iter().map(|stranger| shop.begin(stranger)));
        let refunding = join_all(sales.iter().map(|sale| give_back(&shop, sale)));
        tokio::join!(trying, refunding);
        for stranger in &strangers {
            assert_eq!(failed_with(&shop, stranger).await, Code::SessionFull);
        }
        let offered = join_all(waiting.iter().map(|id| entry(&shop, id))).await;
        assert!(offered.iter().all(WaitingEntry::is_open), "{offered:?}");
        assert_eq!(left(&shop, &session).await, (0, 20, 0));
        shop.assert_clean().await;
        let bought = join_all(offered.iter().map(async |offered| shop.sold(taking(&shop, offered).await).await)).await;
        assert_eq!((bought.len(), left(&shop, &session).await), (20, (20, 0, 0)));
        shop.assert_clean().await;
    }

    async fn an_offer_is_taken_whole_in_time_by_its_customer_and_once(shop) {
        let session = shop.session("yoga", 2).await;
        let other = shop.session("pilates", 2).await;
        let sale = shop.sold(shop.buy(&session, 2)).await;
        let id = waits(&shop, &session, 1, 2).await;
        let waiting = entry(&shop, &id).await;
        let early = shop.accept(taking(&shop, &waiting).await).await;
        shop.begin(&early).await;
        assert_eq!(failed_with(&shop, &early).await, Code::OfferUnavailable);
        give_back(&shop, &sale).await;
        let offered = entry(&shop, &id).await;
        let (mut theirs, mut part, mut elsewhere) = (taking(&shop, &offered).await, taking(&shop, &offered).await, taking(&shop, &offered).await);
        theirs.order.customer = Some(customer(&shop, 2).await);
        part.order.lines[0].quantity = 1;
        elsewhere.order.lines[0].item = Item::Session { session: other, seats: Vec::new(), offer: Some(id.clone()), participants: Vec::new(), pricing_plan: None, class: None };
        for new in [theirs, part, elsewhere] {
            let wrong = shop.accept(new).await;
            shop.begin(&wrong).await;
            assert_eq!(failed_with(&shop, &wrong).await, Code::OfferUnavailable);
            assert!(entry(&shop, &id).await.is_open());
        }
        let twins = join_all([0, 1].map(async |_| shop.accept(taking(&shop, &offered).await).await)).await;
        join_all(twins.iter().map(|twin| shop.begin(twin))).await;
        let statuses = join_all(twins.iter().map(|twin| shop.checkout(twin))).await;
        assert_eq!(statuses.iter().filter(|twin| twin.status == Status::Processing).count(), 1, "{statuses:?}");
        assert_eq!(left(&shop, &session).await, (0, 2, 0));
        shop.assert_clean().await;
    }

    async fn an_offer_whose_checkout_comes_to_nothing_is_open_again_and_then_goes_to_the_next(shop) {
        let session = shop.session("yoga", 1).await;
        let sale = shop.sold(shop.buy(&session, 1)).await;
        let (first, second) = (waits(&shop, &session, 1, 1).await, waits(&shop, &session, 2, 1).await);
        give_back(&shop, &sale).await;
        let offered = entry(&shop, &first).await;
        let (id, n, token) = charged(&shop, taking(&shop, &offered).await).await;
        let Settled::Moved(moved) = shop.settle(&id, n, &token, declined()).await else { panic!() };
        assert_eq!(told(&shop, &moved).await, ["waiting_list.offered"]);
        let again = entry(&shop, &first).await;
        assert!(again.is_open() && again.expires_at == offered.expires_at, "{again:?}");
        shop.assert_clean().await;
        let (id, n, token) = charged(&shop, taking(&shop, &again).await).await;
        let_offer_end(&shop, &first).await;
        assert_eq!(shop.store.lapse(100).await.unwrap().0, 0, "no clock but the checkout's own ends it");
        let Settled::Moved(moved) = shop.settle(&id, n, &token, declined()).await else { panic!() };
        assert_eq!(told(&shop, &moved).await, ["waiting_list.expired", "waiting_list.offered"]);
        assert_eq!((status(&shop, &first).await, status(&shop, &second).await), (WaitingStatus::Expired, WaitingStatus::Offered));
        assert_eq!((moved.stock[0].taken, left(&shop, &session).await), (1, (0, 1, 0)));
        shop.assert_clean().await;
    }

    async fn an_offer_that_runs_out_goes_to_the_next_until_nobody_waits(shop) {
        let session = shop.session("yoga", 1).await;
        let sale = shop.sold(shop.buy(&session, 1)).await;
        let ids = [waits(&shop, &session, 1, 1).await, waits(&shop, &session, 2, 1).await];
        give_back(&shop, &sale).await;
        assert_eq!(shop.store.lapse(100).await.unwrap().0, 0);
        let_offer_end(&shop, &ids[0]).await;
        let (looked_at, moved) = shop.store.lapse(100).await.unwrap();
        assert_eq!((looked_at, moved.deliveries.len(), moved.stock[0].taken), (1, 2, 1));
        assert_eq!((status(&shop, &ids[0]).await, status(&shop, &ids[1]).await), (WaitingStatus::Expired, WaitingStatus::Offered));
        shop.assert_clean().await;
        let_offer_end(&shop, &ids[1]).await;
        shop.store.lapse(100).await.unwrap();
        assert_eq!((status(&shop, &ids[1]).await, left(&shop, &session).await), (WaitingStatus::Expired, (0, 0, 1)));
        let late = shop.accept(taking(&shop, &entry(&shop, &ids[1]).await).await).await;
        shop.begin(&late).await;
        assert_eq!(failed_with(&shop, &late).await, Code::OfferUnavailable);
        shop.sold(shop.buy(&session, 1)).await;
        shop.assert_clean().await;
    }

    async fn who_needs_more_than_came_free_keeps_his_turn_and_the_next_is_served(shop) {
        let session = shop.session("yoga", 3).await;
        let (one, two) = (shop.sold(shop.buy(&session, 1)).await, shop.sold(shop.buy(&session, 2)).await);
        let ids = [waits(&shop, &session, 1, 2).await, waits(&shop, &session, 2, 1).await, waits(&shop, &session, 3, 1).await];
        give_back(&shop, &one).await;
        let statuses = async || join_all(ids.iter().map(|id| status(&shop, id))).await;
        assert_eq!(statuses().await, [WaitingStatus::Waiting, WaitingStatus::Offered, WaitingStatus::Waiting]);
        give_back(&shop, &two).await;
        assert_eq!(statuses().await, [WaitingStatus::Offered, WaitingStatus::Offered, WaitingStatus::Waiting]);
        let list = shop.store.waiting_list(&shop.scope, &session, None, &page(2)).await.unwrap();
        let rest = PageRequest { limit: 2, after: list.next_cursor };
        let rest = shop.store.waiting_list(&shop.scope, &session, None, &rest).await.unwrap().data;
        assert_eq!(list.data.into_iter().chain(rest).map(|entry| entry.id).collect::<Vec<_>>(), ids);
        let only = shop.store.waiting_list(&shop.scope, &session, Some(WaitingStatus::Waiting), &page(9)).await.unwrap();
        assert_eq!(only.data.len(), 1);
        shop.assert_clean().await;
    }

    async fn the_seats_that_come_free_are_offered_by_name(shop) {
        let gala = shop.seated("gala", &["A1", "A2", "B1"]).await;
        let sale = shop.sold(shop.buy_seats(&gala, &["A2", "B1"])).await;
        shop.sold(shop.buy_seats(&gala, &["A1"])).await;
        let (both, one) = (waits(&shop, &gala, 1, 2).await, waits(&shop, &gala, 2, 1).await);
        give_back(&shop, &sale).await;
        let offered = entry(&shop, &both).await;
        assert_eq!((&offered.seats[..], status(&shop, &one).await), (&["A2".to_owned(), "B1".to_owned()][..], WaitingStatus::Waiting));
        let seats = shop.store.availability(&shop.scope, &gala).await.unwrap().unwrap().taken_seats;
        assert!(seats.contains(&("A2".to_owned(), "held".to_owned())), "{seats:?}");
        let stranger = shop.accept(shop.buy_seats(&gala, &["A2"])).await;
        shop.begin(&stranger).await;
        assert_eq!(failed_with(&shop, &stranger).await, Code::SeatTaken);
        let (id, n, token) = charged(&shop, taking(&shop, &offered).await).await;
        shop.settle(&id, n, &token, declined()).await;
        let again = entry(&shop, &both).await;
        assert_eq!((again.is_open(), &again.seats), (true, &offered.seats));
        shop.assert_clean().await;
        assert!(matches!(shop.store.leave(&shop.scope, &both).await.unwrap(), LeaveResult::Left { .. }));
        assert_eq!(entry(&shop, &one).await.seats, ["A2"]);
        assert_eq!(left(&shop, &gala).await, (1, 1, 1));
        shop.sold(taking(&shop, &entry(&shop, &one).await).await).await;
        shop.sold(shop.buy_seats(&gala, &["B1"])).await;
        shop.assert_clean().await;
    }

    async fn an_offer_is_taken_for_cash_in_one_step(shop) {
        let session = shop.session("yoga", 1).await;
        let sale = shop.sold(shop.buy(&session, 1)).await;
        let id = waits(&shop, &session, 1, 1).await;
        give_back(&shop, &sale).await;
        let offered = entry(&shop, &id).await;
        let cash = NewCheckout { order: boxoffice_common::domain::order::Order { legs: shop.buy_cash(&session, 1).order.legs, ..taking(&shop, &offered).await.order }, ..shop.buy_cash(&session, 1) };
        let bought = shop.accept(cash).await;
        shop.begin(&bought).await;
        assert_eq!(shop.checkout(&bought).await.status, Status::Succeeded);
        assert_eq!((entry(&shop, &id).await.checkout, status(&shop, &id).await), (Some(bought), WaitingStatus::Taken));
        shop.assert_clean().await;
    }

    async fn the_audit_knows_offers_and_a_repair_takes_none_away(shop) {
        let session = shop.session("yoga", 1).await;
        let sale = shop.sold(shop.buy(&session, 1)).await;
        let (first, second) = (waits(&shop, &session, 1, 1).await, waits(&shop, &session, 2, 1).await);
        give_back(&shop, &sale).await;
        assert_eq!(shop.store.repair().await.unwrap(), Vec::<String>::new());
        assert!(entry(&shop, &first).await.is_open());
        shop.assert_clean().await;
        shop.sql("UPDATE inventory SET waiting = 7").await;
        assert_eq!(shop.broken().await, ["waiting_drift"]);
        assert_eq!(shop.store.repair().await.unwrap(), ["1 waiting counters set to their entries"]);
        shop.sql(&format!("UPDATE waiting_list SET due_at = 1 WHERE id = '{second}'")).await;
        assert_eq!(shop.broken().await, ["stuck_waiting"]);
        shop.store.lapse(10).await.unwrap();
        shop.sql(&format!("UPDATE waiting_list SET checkout = 'chk_none' WHERE id = '{first}'")).await;
        assert_eq!(shop.broken().await, ["hold_without_checkout", "offer_of_ended_checkout"]);
        shop.sql(&format!("UPDATE waiting_list SET checkout = NULL, quantity = 2 WHERE id = '{first}'")).await;
        assert_eq!(shop.broken().await, ["offer_without_claims"]);
    }

    async fn a_session_whose_rows_are_broken_keeps_no_other_offer_from_ending(shop) {
        let mut offers = Vec::new();
        for (n, id) in ["broken", "yoga", "gala"].into_iter().enumerate() {
            let session = shop.session(id, 1).await;
            let sale = shop.sold(shop.buy(&session, 1)).await;
            let waiting = waits(&shop, &session, n, 1).await;
            give_back(&shop, &sale).await;
            assert_eq!(status(&shop, &waiting).await, WaitingStatus::Offered);
            let_offer_end(&shop, &waiting).await;
            offers.push(waiting);
        }
        // Its counter says that nothing is taken: what the offer holds cannot be taken off it.
        shop.sql("UPDATE inventory SET taken = 0 WHERE id = 'broken'").await;
        for _ in 0..3 {
            shop.store.lapse(200).await.unwrap();
        }
        let mut ends = Vec::new();
        for offer in &offers {
            ends.push(status(&shop, offer).await);
        }
        assert_eq!(ends, [WaitingStatus::Offered, WaitingStatus::Expired, WaitingStatus::Expired]);
        // Once it is mended, its turn comes.
        shop.store.repair().await.unwrap();
        shop.store.lapse(200).await.unwrap();
        assert_eq!(status(&shop, &offers[0]).await, WaitingStatus::Expired);
        shop.assert_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_is_offered_once_wherever_the_connection_is_cut() {
    let url = boxoffice_testkit::servers::shared::postgres_url().await.unwrap();
    let proxy = CuttingProxy::start(&url).await.unwrap();
    let shop = Shop::open(proxy.url(), &url, None).await;
    for cut in [Cut::BeforeRequest, Cut::BeforeAnswer] {
        let mut reached_the_end = false;
        for step in 0..100 {
            let session = shop.session(&format!("yoga_{cut:?}_{step}"), 1).await;
            let new = shop.buy(&session, 1);
            let (sale, n, token) = charged(&shop, new).await;
            let (first, second) = (waits(&shop, &session, 1, 1).await, waits(&shop, &session, 2, 1).await);
            proxy.cut_at(step, cut);
            shop.settle(&sale, n, &token, declined()).await;
            let was_cut = proxy.was_cut();
            assert_eq!(
                (status(&shop, &first).await, status(&shop, &second).await),
                (WaitingStatus::Offered, WaitingStatus::Waiting),
                "{cut:?} at {step}"
            );
            assert_eq!((entry(&shop, &first).await.version, left(&shop, &session).await), (2, (0, 1, 0)), "{cut:?} at {step}");
            if !was_cut {
                reached_the_end = true;
                break;
            }
        }
        assert!(reached_the_end, "{cut:?}: more than 100 steps");
    }
    shop.assert_clean().await;
}
