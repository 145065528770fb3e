//! Balances: what is there is spent once, whoever races, what is held is nobody else's, and every move stands in the ledger.

use super::{
    fixture::{self, Shop, approved, declined, page},
    memberships::ada,
};
use boxoffice_common::{
    adapters::sql::SqlStore,
    domain::{
        attempt::Outcome,
        balance::Reason,
        begin::Begin,
        checkout::Checkout,
        customer::Customer,
        ends::Verdict,
        error::Code,
        id::{AdjustmentId, CheckoutId, CustomerId, RefundId},
        ledger::LedgerKind,
        money::{Amount, Currency},
        refund::RefundAsk,
        routing::to_the_sandbox,
        state::Status,
    },
    ports::{clock::Clock, clock::SystemClock, store::*},
};
use boxoffice_testkit::proxy::{Cut, CuttingProxy};
use futures::future::join_all;
use std::{sync::Arc, time::Duration};

pub fn adjustment(shop: &Shop, customer: &CustomerId, minor: i64) -> NewAdjustment {
    let id = AdjustmentId::generate(&shop.entropy, SystemClock::default().now());
    NewAdjustment {
        scope: shop.scope.clone(),
        customer: customer.clone(),
        amount: Amount::from_minor(minor),
        currency: Currency::parse("usd").unwrap(),
        reason: Reason::Correction,
        note: None,
        idempotency: IdempotencyRow { route: "POST adjustments".to_owned(), key: id.to_string(), body_hash: "hash".to_owned() },
        id,
    }
}

pub async fn give(shop: &Shop, customer: &CustomerId, minor: i64) {
    let result = shop.store.adjust_balance(&adjustment(shop, customer, minor)).await.unwrap();
    assert!(matches!(result, AdjustResult::Created(_)), "{result:?}");
}

/// Amount, held and available, in dollars.
pub async fn has(shop: &Shop, customer: &CustomerId) -> (i64, i64, i64) {
    let balances = shop.store.balances_of(&shop.scope, customer).await.unwrap().unwrap();
    let usd = balances.iter().find(|balance| balance.currency.as_str() == "usd");
    usd.map_or((0, 0, 0), |balance| (balance.amount.minor(), balance.held.minor(), balance.available.minor()))
}

async fn end_of(shop: &Shop, new: NewCheckout) -> Checkout {
    let id = shop.accept(new).await;
    shop.begin(&id).await;
    shop.checkout(&id).await
}

fn failure(checkout: &Checkout) -> (Status, Option<Code>) {
    (checkout.status, checkout.error.as_ref().map(|error| error.code))
}

const INSUFFICIENT: (Status, Option<Code>) = (Status::Failed, Some(Code::BalanceInsufficient));

async fn account(shop: &Shop, name: &str) -> i64 {
    let sums = shop.store.ledger_balances(&shop.scope, BalancesOf::Everybody).await.unwrap();
    sums.iter().find(|sum| sum.account == name).map_or(0, |sum| sum.amount.minor())
}

pub async fn refund(shop: &Shop, checkout: &CheckoutId, key: &str, ask: RefundAsk) -> RefundResult {
    let id = RefundId::generate(&shop.entropy, SystemClock::default().now());
    let idempotency =
        IdempotencyRow { route: format!("POST /v1/checkouts/{checkout}/refunds"), key: key.to_owned(), body_hash: String::new() };
    let new = NewRefund { id, scope: shop.scope.clone(), checkout: checkout.clone(), ask, idempotency };
    shop.store.refund(&new).await.unwrap()
}

fn code(result: AdjustResult) -> Code {
    match result {
        AdjustResult::Refused(error) => error.code,
        other => panic!("{other:?}"),
    }
}

/// A worker of that process takes it in hand.
async fn begin_at(store: &SqlStore, id: &CheckoutId, token: &str) -> BeginAnswer {
    let (lease_for, key_window) = (Duration::from_secs(30), Duration::from_secs(3_600));
    let (checkout, lease_token, routing) = (id.clone(), token.to_owned(), to_the_sandbox());
    store.begin(Begin { checkout, lease_token, lease_for, routing, key_window }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balance_is_changed_once_wherever_its_connection_is_cut() {
    let url = boxoffice_testkit::servers::shared::postgres_url().await.unwrap();
    let proxy = CuttingProxy::start(&url).await.unwrap();
    let shop = Shop::open(proxy.url(), &url, None).await;
    let (ada, yoga) = (ada(&shop).await, shop.session("yoga", 1_000).await);
    let mut changes = 0;
    for cut in [Cut::BeforeRequest, Cut::BeforeAnswer] {
        let mut reached_the_end = false;
        for step in 0..100 {
            proxy.cut_at(step, cut);
            give(&shop, &ada, 1_000).await;
            let spent = end_of(&shop, shop.with_balance(shop.buy_cash(&yoga, 1), &ada, 900)).await;
            assert_eq!(spent.status, Status::Succeeded);
            changes += 1;
            assert_eq!(has(&shop, &ada).await, (changes * 100, 0, changes * 100), "{cut:?} at {step}");
            if !proxy.was_cut() {
                reached_the_end = true;
                break;
            }
        }
        assert!(reached_the_end, "{cut:?}: more than 100 steps");
    }
    assert!(changes > 20, "only {changes} steps were cut");
    shop.assert_clean().await;
}

/// Whoever holds a customer waits for nobody's places: else two would wait for each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_locks_what_it_may_give_back_before_the_customers_whose_balances_pay() {
    let shop = Shop::postgres().await;
    let (ada, yoga, boxing) = (ada(&shop).await, shop.session("yoga", 10).await, shop.session("boxing", 10).await);
    give(&shop, &ada, 1_500).await;
    // Its charge was refused before it was sent, and its time is over: whoever takes it in hand gives its place back.
    let late = shop.accept(shop.buy(&boxing, 1)).await;
    let (n, token) = shop.begin_charge(&late).await;
    shop.settle(&late, n, &token, Outcome::NotSent { cause: "refused".to_owned(), retry_after: None }).await;
    shop.sql(&format!("UPDATE checkouts SET due_at = 1, expires_at = 1 WHERE id = '{late}'")).await;
    let pays = shop.accept(shop.with_balance(shop.buy_cash(&yoga, 1), &ada, 1_500)).await;
    shop.script("BEGIN; SELECT id FROM inventory WHERE id = 'boxing' FOR UPDATE").await;
    let (store, ids) = (Arc::clone(&shop.store), [late.clone(), pays.clone()]);
    let batch = tokio::spawn(async move {
        tokio::join!(begin_at(&store, &ids[0], "late"), begin_at(&store, &ids[1], "pays"));
    });
    shop.wait_until_somebody_waits_for_a_lock().await;
    // Fails at once if somebody holds her.
    shop.script("SELECT id FROM customers WHERE id = 'cus_ada' FOR UPDATE NOWAIT; COMMIT").await;
    batch.await.unwrap();
    let ends = [shop.checkout(&late).await.status, shop.checkout(&pays).await.status];
    assert_eq!(ends, [Status::Failed, Status::Succeeded]);
    shop.assert_clean().await;
}

over_both! {
    async fn an_adjustment_is_booked_once_and_shows_in_balance_list_and_ledger(shop) {
        let ada = ada(&shop).await;
        assert_eq!(shop.store.balances_of(&shop.scope, &ada).await.unwrap(), Some(vec![]));
        let gift = NewAdjustment { reason: Reason::Gift, note: Some("for Ada".to_owned()), ..adjustment(&shop, &ada, 5_000) };
        let AdjustResult::Created(first) = shop.store.adjust_balance(&gift).await.unwrap() else { panic!() };
        // After a lost answer the caller comes with the same id, and another process with another.
        assert_eq!(shop.store.adjust_balance(&gift).await.unwrap(), AdjustResult::Created(first.clone()));
        let again = NewAdjustment { id: adjustment(&shop, &ada, 1).id, ..gift.clone() };
        assert_eq!(shop.store.adjust_balance(&again).await.unwrap(), AdjustResult::Replayed(first));
        let mut other = again;
        other.idempotency.body_hash = "other".to_owned();
        assert_eq!(shop.store.adjust_balance(&other).await.unwrap(), AdjustResult::KeyReused);
        let payout = NewAdjustment { reason: Reason::Payout, ..adjustment(&shop, &ada, -2_000) };
        assert!(matches!(shop.store.adjust_balance(&payout).await.unwrap(), AdjustResult::Created(_)));
        let eur = NewAdjustment { currency: Currency::parse("eur").unwrap(), ..adjustment(&shop, &ada, 700) };
        assert!(matches!(shop.store.adjust_balance(&eur).await.unwrap(), AdjustResult::Created(_)));
        let balances = shop.store.balances_of(&shop.scope, &ada).await.unwrap().unwrap();
        let told: Vec<_> = balances.iter().map(|b| (b.currency.to_string(), b.amount.minor(), b.held.minor(), b.available.minor())).collect();
        assert_eq!(told, [("eur".to_owned(), 700, 0, 700), ("usd".to_owned(), 3_000, 0, 3_000)]);
        let first = shop.store.balance_adjustments(&shop.scope, &ada, &page(2)).await.unwrap();
        let rest = PageRequest { limit: 2, after: first.next_cursor.clone() };
        let rest = shop.store.balance_adjustments(&shop.scope, &ada, &rest).await.unwrap();
        let amounts: Vec<i64> = first.data.iter().chain(&rest.data).map(|one| one.amount.minor()).collect();
        assert_eq!((amounts, rest.next_cursor), (vec![700, -2_000, 5_000], None));
        assert_eq!((rest.data[0].reason, rest.data[0].note.as_deref(), &rest.data[0].id), (Reason::Gift, Some("for Ada"), &gift.id));
        assert_eq!((account(&shop, "gifts").await, account(&shop, "payouts").await), (5_000, -2_000));
        shop.assert_clean().await;
    }

    async fn the_ledger_of_a_customer_and_its_family_has_adjustments_and_sales(shop) {
        let yoga = shop.session("yoga", 50).await;
        let member = Customer { family: Some("byron".to_owned()), ..fixture::customer("crm-1") };
        let (ada, bob) = (CustomerId::parse("cus_ada").unwrap(), CustomerId::parse("cus_bob").unwrap());
        shop.store.put_customer(&shop.scope, &ada, &member).await.unwrap().unwrap();
        shop.store.put_customer(&shop.scope, &bob, &fixture::customer("crm-2")).await.unwrap().unwrap();
        give(&shop, &ada, 2_000).await;
        give(&shop, &bob, 100).await;
        let sale = end_of(&shop, shop.with_balance(shop.buy_cash(&yoga, 1), &ada, 1_500)).await;
        let (store, scope) = (&shop.store, &shop.scope);
        let everything = |filter| async move { store.ledger_transactions(scope, &filter, &page(100)).await.unwrap().data };
        for filter in [
            LedgerFilter { customer: Some(ada.clone()), ..LedgerFilter::default() },
            LedgerFilter { family: Some("byron".to_owned()), ..LedgerFilter::default() },
        ] {
            let records = everything(filter).await;
            let told: Vec<_> = records.iter().map(|record| (record.kind, record.checkout.clone(), record.customer.clone())).collect();
            assert_eq!(told, [(LedgerKind::Sale, Some(sale.id.clone()), Some(ada.clone())), (LedgerKind::Adjustment, None, Some(ada.clone()))]);
        }
        let adjustments = everything(LedgerFilter { kind: Some(LedgerKind::Adjustment), ..LedgerFilter::default() }).await;
        assert_eq!(adjustments.len(), 2);
        let lines: Vec<_> = adjustments[1].entries.iter().map(|line| {
            let entity = line.entity.as_ref().unwrap();
            (line.kind.as_str(), line.account.as_str(), line.amount.minor(), entity.kind.as_str(), entity.id.starts_with("adj_") || entity.id == "cus_ada")
        }).collect();
        assert_eq!(lines, [
            ("correction", "corrections", 2_000, "balance_adjustment", true), ("correction", "tender:balance", -2_000, "customer", true)
        ]);
        for of in [BalancesOf::Customer(&ada), BalancesOf::Family("byron")] {
            let sums = shop.store.ledger_balances(&shop.scope, of).await.unwrap();
            let sums: Vec<_> = sums.iter().map(|sum| (sum.account.as_str(), sum.amount.minor())).collect();
            assert_eq!(sums, [("corrections", 2_000), ("revenue", -1_500), ("tender:balance", -500)]);
        }
    }

    async fn what_is_not_there_or_held_cannot_be_taken_by_hand(shop) {
        let (ada, yoga) = (ada(&shop).await, shop.session("yoga", 50).await);
        give(&shop, &ada, 2_000).await;
        let id = shop.accept(shop.with_balance(shop.buy(&yoga, 1), &ada, 1_200)).await;
        shop.begin_charge(&id).await;
        assert_eq!(has(&shop, &ada).await, (2_000, 1_200, 800));
        assert_eq!(code(shop.store.adjust_balance(&adjustment(&shop, &ada, -801)).await.unwrap()), Code::BalanceInsufficient);
        give(&shop, &ada, -800).await;
        assert_eq!(has(&shop, &ada).await, (1_200, 1_200, 0));
        assert_eq!(code(shop.store.adjust_balance(&adjustment(&shop, &ada, -1)).await.unwrap()), Code::BalanceInsufficient);
        assert_eq!(code(shop.store.adjust_balance(&adjustment(&shop, &ada, 0)).await.unwrap()), Code::ParameterInvalid);
        let nobody = CustomerId::parse("cus_nobody").unwrap();
        assert_eq!(shop.store.adjust_balance(&adjustment(&shop, &nobody, 1)).await.unwrap(), AdjustResult::CustomerMissing);
        let elsewhere = NewAdjustment { scope: shop.other_scope(), ..adjustment(&shop, &ada, 1) };
        assert_eq!(shop.store.adjust_balance(&elsewhere).await.unwrap(), AdjustResult::CustomerMissing);
        assert_eq!(shop.store.balances_of(&shop.other_scope(), &ada).await.unwrap(), None);
        assert_eq!(shop.store.balance_adjustments(&shop.other_scope(), &ada, &page(10)).await.unwrap().data, []);
        shop.assert_clean().await;
    }

    async fn a_balance_pays_alone_without_any_call_and_never_more_than_it_has(shop) {
        let (ada, yoga) = (ada(&shop).await, shop.session("yoga", 50).await);
        give(&shop, &ada, 4_000).await;
        let sale = end_of(&shop, shop.with_balance(shop.buy_cash(&yoga, 2), &ada, 3_000)).await;
        assert_eq!((sale.status, sale.amount_paid.minor(), sale.attempts.len()), (Status::Succeeded, 3_000, 0));
        let timeline = shop.store.timeline(&sale.id).await.unwrap();
        let told: Vec<_> = timeline.iter().map(|entry| (entry.what.as_str(), entry.detail.as_deref())).collect();
        assert!(told.contains(&("balance.spent", Some("3000 usd"))), "{told:?}");
        assert_eq!(has(&shop, &ada).await, (1_000, 0, 1_000));
        let over = end_of(&shop, shop.with_balance(shop.buy_cash(&yoga, 1), &ada, 1_001)).await;
        assert_eq!((failure(&over), over.error.unwrap().param.as_deref()), (INSUFFICIENT, Some("payment")));
        let last = end_of(&shop, shop.with_balance(shop.buy_cash(&yoga, 1), &ada, 1_000)).await;
        assert_eq!((last.status, has(&shop, &ada).await), (Status::Succeeded, (0, 0, 0)));
        let taken = shop.store.availability(&shop.scope, &yoga).await.unwrap().unwrap();
        assert_eq!((taken.sold, taken.held), (3, 0), "the one that was refused has no place");
        assert_eq!((account(&shop, "tender:balance").await, account(&shop, "tender:custom").await), (0, 500));
        shop.assert_clean().await;
    }

    async fn a_balance_is_its_customers_and_in_its_currency(shop) {
        let (ada, yoga) = (ada(&shop).await, shop.session("yoga", 50).await);
        give(&shop, &ada, 9_000).await;
        let bob = CustomerId::parse("cus_bob").unwrap();
        shop.store.put_customer(&shop.scope, &bob, &fixture::customer("crm-2")).await.unwrap().unwrap();
        assert_eq!(failure(&end_of(&shop, shop.with_balance(shop.buy_cash(&yoga, 1), &bob, 1_500)).await), INSUFFICIENT, "another's");
        let mut guest = shop.with_balance(shop.buy_cash(&yoga, 1), &ada, 1_500);
        guest.order.customer = None;
        assert_eq!(failure(&end_of(&shop, guest).await), INSUFFICIENT, "nobody's");
        let mut euros = shop.with_balance(shop.buy_cash(&yoga, 1), &ada, 1_500);
        euros.order.currency = Currency::parse("eur").unwrap();
        assert_eq!(failure(&end_of(&shop, euros).await), INSUFFICIENT, "another currency");
        assert_eq!(has(&shop, &ada).await, (9_000, 0, 9_000));
        shop.assert_clean().await;
    }

    async fn fifty_racing_spends_in_two_processes_take_what_is_there_and_no_more(shop) {
        // Two sessions, so that nothing but the customer is shared.
        let sessions = [shop.session("yoga", 500).await, shop.session("boxing", 500).await];
        let (ada, other) = (ada(&shop).await, shop.another_store().await);
        for _ in 0..4 {
            give(&shop, &ada, 15_000).await;
            let mut ids = Vec::new();
            for n in 0..50 {
                let session = &sessions[n % 2];
                // Some are held for a card that pays the rest.
                let new = if n % 3 == 0 { shop.buy(session, 2) } else { shop.buy_cash(session, 1) };
                ids.push(shop.accept(shop.with_balance(new, &ada, 1_500)).await);
            }
            let begin = |(n, id): (usize, &CheckoutId)| {
                let (shop, other, id) = (&shop, &other, id.clone());
                async move {
                    let token = format!("worker {n}");
                    let store = if n % 2 == 0 { other } else { &shop.store };
                    let answer = begin_at(store, &id, &token).await;
                    if let Next::Act { n, .. } = answer.next {
                        shop.settle(&id, n, &token, approved(1_500)).await;
                    }
                }
            };
            join_all(ids.iter().enumerate().map(begin)).await;
            let ends = join_all(ids.iter().map(|id| shop.checkout(id))).await;
            let sold = ends.iter().filter(|end| end.status == Status::Succeeded).count();
            let refused = ends.iter().filter(|end| failure(end) == INSUFFICIENT).count();
            assert_eq!((sold, refused), (10, 40));
            assert_eq!((has(&shop, &ada).await, account(&shop, "tender:balance").await), ((0, 0, 0), 0));
        }
        shop.assert_clean().await;
    }

    async fn adjustments_that_race_with_spends_never_take_the_same_money(shop) {
        let (ada, yoga) = (ada(&shop).await, shop.session("yoga", 100).await);
        give(&shop, &ada, 15_000).await;
        let mut ids = Vec::new();
        for _ in 0..20 {
            ids.push(shop.accept(shop.with_balance(shop.buy_cash(&yoga, 1), &ada, 1_500)).await);
        }
        let spends = join_all(ids.iter().map(|id| shop.begin(id)));
        let takes: Vec<NewAdjustment> = (0..20).map(|_| adjustment(&shop, &ada, -1_500)).collect();
        let (_, taken) = tokio::join!(spends, join_all(takes.iter().map(|take| shop.store.adjust_balance(take))));
        let taken = taken.into_iter().filter(|result| matches!(result, Ok(AdjustResult::Created(_)))).count();
        let ends = join_all(ids.iter().map(|id| shop.checkout(id))).await;
        let sold = ends.iter().filter(|end| end.status == Status::Succeeded).count();
        assert_eq!((sold + taken, has(&shop, &ada).await), (10, (0, 0, 0)));
        shop.assert_clean().await;
    }

    async fn a_customer_who_is_given_another_name_meanwhile_keeps_every_cent(shop) {
        let (ada, yoga) = (ada(&shop).await, shop.session("yoga", 100).await);
        give(&shop, &ada, 15_000).await;
        let mut ids = Vec::new();
        for _ in 0..30 {
            ids.push(shop.accept(shop.with_balance(shop.buy_cash(&yoga, 1), &ada, 1_500)).await);
        }
        let names = async {
            for n in 0..30 {
                shop.store.put_customer(&shop.scope, &ada, &fixture::customer(&format!("crm-{n}-new"))).await.unwrap().unwrap();
            }
        };
        let other = shop.another_store().await;
        let spends = ids.iter().enumerate().map(|(n, id)| {
            let (shop, other) = (&shop, &other);
            async move { begin_at(if n % 2 == 0 { other } else { &shop.store }, id, &n.to_string()).await }
        });
        tokio::join!(names, join_all(spends));
        let ends = join_all(ids.iter().map(|id| shop.checkout(id))).await;
        assert_eq!(ends.iter().filter(|end| end.status == Status::Succeeded).count(), 10);
        assert_eq!(has(&shop, &ada).await, (0, 0, 0));
        shop.assert_clean().await;
    }

    async fn what_is_held_while_a_card_pays_is_spent_with_the_sale_and_comes_back_without(shop) {
        let (ada, yoga) = (ada(&shop).await, shop.session("yoga", 100).await);
        give(&shop, &ada, 2_000).await;
        for (outcome, left, status) in [(declined(), (2_000, 0, 2_000), Status::Failed), (approved(500), (1_000, 0, 1_000), Status::Succeeded)] {
            let id = shop.accept(shop.with_balance(shop.buy(&yoga, 1), &ada, 1_000)).await;
            let (n, token) = shop.begin_charge(&id).await;
            assert_eq!(shop.checkout(&id).await.attempts[0].request.amount.minor(), 500);
            assert_eq!(has(&shop, &ada).await, (2_000, 1_000, 1_000));
            let late = end_of(&shop, shop.with_balance(shop.buy_cash(&yoga, 1), &ada, 1_001)).await;
            assert_eq!(failure(&late), INSUFFICIENT, "what is held is nobody else's");
            shop.settle(&id, n, &token, outcome).await;
            assert_eq!((shop.checkout(&id).await.status, has(&shop, &ada).await), (status, left));
            shop.assert_clean().await;
        }
    }

    async fn what_is_held_is_kept_until_it_is_known_and_follows_an_operators_word(shop) {
        let (ada, yoga) = (ada(&shop).await, shop.session("yoga", 100).await);
        give(&shop, &ada, 3_000).await;
        for (verdict, after) in [(Verdict::Failed, (3_000, 0, 3_000)), (Verdict::Succeeded, (2_000, 0, 2_000))] {
            let id = shop.accept(shop.with_balance(shop.buy(&yoga, 1), &ada, 1_000)).await;
            let (n, token) = shop.begin_charge(&id).await;
            shop.settle(&id, n, &token, Outcome::Unknown("no answer".to_owned())).await;
            assert_eq!((shop.checkout(&id).await.status, has(&shop, &ada).await), (Status::Reconciling, (3_000, 1_000, 2_000)));
            shop.exhaust_window(&id).await;
            assert_eq!((shop.checkout(&id).await.status, has(&shop, &ada).await), (Status::NeedsReview, (3_000, 1_000, 2_000)));
            shop.assert_clean().await;
            shop.resolve(&id, verdict, "looked").await;
            assert_eq!(has(&shop, &ada).await, after);
            shop.assert_clean().await;
        }
    }

    async fn a_cancel_before_the_charge_gives_back_what_is_held(shop) {
        let (ada, yoga) = (ada(&shop).await, shop.session("yoga", 100).await);
        give(&shop, &ada, 3_000).await;
        let queued = shop.accept(shop.with_balance(shop.buy(&yoga, 1), &ada, 1_000)).await;
        assert!(matches!(shop.store.cancel(&shop.scope, &queued).await.unwrap(), CancelResult::Canceled(..)));
        let begun = shop.accept(shop.with_balance(shop.buy(&yoga, 1), &ada, 1_000)).await;
        let (n, token) = shop.begin_charge(&begun).await;
        shop.store.cancel(&shop.scope, &begun).await.unwrap();
        shop.settle(&begun, n, &token, declined()).await;
        assert_eq!((shop.checkout(&begun).await.status, has(&shop, &ada).await), (Status::Canceled, (3_000, 0, 3_000)));
        shop.assert_clean().await;
    }

    async fn a_refund_gives_the_balances_part_back_at_once_and_the_cards_when_it_has_gone(shop) {
        let (ada, yoga) = (ada(&shop).await, shop.session("yoga", 100).await);
        give(&shop, &ada, 1_000).await;
        let id = shop.accept(shop.with_balance(shop.buy(&yoga, 1), &ada, 1_000)).await;
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, approved(500)).await;
        // The last leg first: the card's 500, then the balance's.
        let part = RefundAsk { amount: Some(Amount::from_minor(700)), ..RefundAsk::default() };
        assert!(matches!(refund(&shop, &id, "k1", part).await, RefundResult::Created { .. }));
        assert_eq!((has(&shop, &ada).await, shop.checkout(&id).await.amount_refunded.minor()), ((200, 0, 200), 200));
        shop.assert_clean().await;
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, declined()).await;
        assert_eq!((has(&shop, &ada).await, shop.checkout(&id).await.amount_refunded.minor()), ((200, 0, 200), 200), "what is back stays");
        assert!(matches!(refund(&shop, &id, "k2", RefundAsk::default()).await, RefundResult::Created { .. }));
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, approved(500)).await;
        assert_eq!((has(&shop, &ada).await, shop.checkout(&id).await.amount_refunded.minor()), ((1_000, 0, 1_000), 1_500));
        assert_eq!(shop.store.availability(&shop.scope, &yoga).await.unwrap().unwrap().sold, 0);
        for name in ["revenue", "provider:sandbox", "refunds_pending"] {
            assert_eq!(account(&shop, name).await, 0, "{name}");
        }
        shop.assert_clean().await;
    }

    async fn racing_refunds_of_a_balance_give_back_what_was_spent_and_no_more(shop) {
        let (ada, yoga) = (ada(&shop).await, shop.session("yoga", 100).await);
        give(&shop, &ada, 1_500).await;
        let sale = end_of(&shop, shop.with_balance(shop.buy_cash(&yoga, 1), &ada, 1_500)).await;
        let ask = || RefundAsk { amount: Some(Amount::from_minor(400)), ..RefundAsk::default() };
        let keys: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        let results = join_all(keys.iter().map(|key| refund(&shop, &sale.id, key, ask()))).await;
        assert_eq!(results.iter().filter(|result| matches!(result, RefundResult::Created { .. })).count(), 3);
        assert_eq!(has(&shop, &ada).await, (1_200, 0, 1_200));
        shop.assert_clean().await;
    }

    async fn the_audit_finds_balances_that_do_not_add_up_and_mends_orphaned_holds(shop) {
        let (ada, yoga) = (ada(&shop).await, shop.session("yoga", 100).await);
        give(&shop, &ada, 3_000).await;
        let id = shop.accept(shop.with_balance(shop.buy(&yoga, 1), &ada, 1_000)).await;
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, declined()).await;
        let spent = end_of(&shop, shop.with_balance(shop.buy_cash(&yoga, 1), &ada, 500)).await.id;
        let rules = || async {
            let mut rules = shop.broken().await;
            rules.dedup();
            rules
        };
        assert_eq!(rules().await, Vec::<String>::new());
        shop.sql(&format!("UPDATE balance_moves SET state = 'held' WHERE source = '{id}'")).await;
        assert_eq!(rules().await, ["balance_of_ended_checkout"]);
        assert_eq!(shop.store.repair().await.unwrap(), ["1 orphaned holds on balances released"]);
        assert_eq!(rules().await, Vec::<String>::new());
        shop.sql(&format!("UPDATE balance_moves SET amount = -600 WHERE source = '{spent}'")).await;
        assert_eq!(rules().await, ["balance_differs"]);
        shop.sql(&format!("UPDATE balance_moves SET amount = -3500 WHERE source = '{spent}'")).await;
        assert_eq!(rules().await, ["balance_below_zero", "balance_differs"]);
        shop.sql(&format!("UPDATE balance_moves SET amount = -500, source = 'chk_none' WHERE source = '{spent}'")).await;
        assert_eq!(rules().await, ["balance_of_ended_checkout"]);
    }
}
