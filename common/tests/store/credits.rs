//! Credits: as many pay as there are, whoever races, and a credit comes back with the place that it has paid for.

use super::{
    fixture::{self, Shop, approved, declined},
    memberships::{ada, given},
};
use boxoffice_common::{
    domain::{
        checkout::Checkout,
        error::Code,
        id::{BoughtMembershipId, CatalogueId, CheckoutId, CustomerId, LineId, RefundId},
        leg::{Leg, Tender},
        line::Item,
        money::Amount,
        order::Totals,
        refund::{RefundAsk, Refusal},
        state::Status,
    },
    ports::{clock::Clock, clock::SystemClock, store::*},
};
use futures::future::join_all;

/// A pack of the customer's with so many credits.
async fn pack(shop: &Shop, customer: &CustomerId, id: &str, credits: u32) {
    let put = shop.store.put_bought(&given(shop, customer, id, Some(credits))).await.unwrap();
    assert!(matches!(put, BoughtPut::Created(_)), "{put:?}");
}

/// Used, held and left of a pack's credits.
async fn credits(shop: &Shop, customer: &CustomerId, id: &str) -> (u32, u32, u32) {
    let id = BoughtMembershipId::parse(id).unwrap();
    let credited = shop.store.bought(&shop.scope, customer, &id).await.unwrap().unwrap();
    assert_eq!(credited.bought.credits, credited.left().map(|left| left + credited.used + credited.held));
    // Whoever is about to pay with it is told the same.
    let spendable = shop.store.spendable(&shop.scope, &id).await.unwrap().unwrap();
    assert_eq!((spendable.left, &spendable.bought), (credited.left(), &credited.bought));
    (credited.used, credited.held, credited.left().unwrap())
}

async fn end_of(shop: &Shop, new: NewCheckout) -> Checkout {
    let id = shop.accept(new).await;
    shop.begin(&id).await;
    shop.checkout(&id).await
}

fn failure(checkout: &Checkout) -> (Status, Option<Code>) {
    (checkout.status, checkout.error.as_ref().map(|error| error.code))
}

async fn refund_all(shop: &Shop, checkout: &CheckoutId, key: &str) -> RefundResult {
    refund(shop, checkout, key, RefundAsk::default()).await
}

async fn refund(shop: &Shop, checkout: &CheckoutId, key: &str, ask: RefundAsk) -> RefundResult {
    let id = RefundId::generate(&shop.entropy, SystemClock::default().now());
    let route = format!("POST /v1/checkouts/{checkout}/refunds");
    let idempotency = IdempotencyRow { route, key: key.to_owned(), body_hash: String::new() };
    let new = NewRefund { id, scope: shop.scope.clone(), checkout: checkout.clone(), ask, idempotency };
    shop.store.refund(&new).await.unwrap()
}

async fn balance(shop: &Shop, account: &str) -> i64 {
    let balances = shop.store.ledger_balances(&shop.scope, BalancesOf::Everybody).await.unwrap();
    balances.iter().find(|balance| balance.account == account).map_or(0, |balance| balance.amount.minor())
}

over_both! {
    async fn twenty_checkouts_race_for_three_credits_and_exactly_three_are_paid(shop) {
        let (ada, yoga) = (ada(&shop).await, shop.members_session("yoga", 100).await);
        pack(&shop, &ada, "bmb_1", 3).await;
        let ids = join_all((0..20).map(|_| shop.accept(shop.buy_with_credits(&yoga, 1, &ada, "bmb_1", 1)))).await;
        join_all(ids.iter().map(|id| shop.begin(id))).await;
        let ends = join_all(ids.iter().map(|id| shop.checkout(id))).await;
        let sold: Vec<&Checkout> = ends.iter().filter(|checkout| checkout.status == Status::Succeeded).collect();
        assert_eq!(sold.len(), 3);
        let refused = ends.iter().filter(|checkout| failure(checkout) == (Status::Failed, Some(Code::MembershipInsufficient))).count();
        assert_eq!((refused, credits(&shop, &ada, "bmb_1").await), (17, (3, 0, 0)));
        let left = shop.store.availability(&shop.scope, &yoga).await.unwrap().unwrap();
        assert_eq!((left.sold, left.held), (3, 0));
        assert_eq!((balance(&shop, "tender:membership").await, balance(&shop, "revenue").await), (4500, -4500));
        shop.assert_clean().await;
        // A credit comes back with the place that it paid for, and pays again.
        assert!(matches!(refund_all(&shop, &sold[0].id, "k").await, RefundResult::Created { .. }));
        assert_eq!(credits(&shop, &ada, "bmb_1").await, (2, 0, 1));
        assert_eq!(shop.store.availability(&shop.scope, &yoga).await.unwrap().unwrap().sold, 2);
        assert_eq!((balance(&shop, "tender:membership").await, balance(&shop, "revenue").await), (3000, -3000));
        assert_eq!(end_of(&shop, shop.buy_with_credits(&yoga, 1, &ada, "bmb_1", 1)).await.status, Status::Succeeded);
        shop.assert_clean().await;
    }

    async fn a_checkout_that_finds_no_place_takes_no_credit(shop) {
        let (ada, yoga) = (ada(&shop).await, shop.members_session("yoga", 1).await);
        pack(&shop, &ada, "bmb_1", 3).await;
        let full = end_of(&shop, shop.buy_with_credits(&yoga, 2, &ada, "bmb_1", 2)).await;
        assert_eq!((failure(&full), credits(&shop, &ada, "bmb_1").await), ((Status::Failed, Some(Code::SessionFull)), (0, 0, 3)));
        shop.assert_clean().await;
    }

    async fn what_has_changed_since_the_checkout_was_accepted_is_found_when_it_is_begun(shop) {
        let (ada, yoga, other) = (ada(&shop).await, shop.members_session("yoga", 100).await, shop.session("talk", 100).await);
        pack(&shop, &ada, "bmb_1", 3).await;
        let id = BoughtMembershipId::parse("bmb_1").unwrap();
        let incompatible = (Status::Failed, Some(Code::MembershipIncompatible));
        let waiting = shop.accept(shop.buy_with_credits(&yoga, 1, &ada, "bmb_1", 1)).await;
        shop.store.freeze(&shop.scope, &ada, &id, Freezing::Freeze(None)).await.unwrap();
        shop.begin(&waiting).await;
        assert_eq!(failure(&shop.checkout(&waiting).await), incompatible, "frozen");
        shop.store.freeze(&shop.scope, &ada, &id, Freezing::Thaw).await.unwrap();
        let bob = CustomerId::parse("cus_bob").unwrap();
        shop.store.put_customer(&shop.scope, &bob, &fixture::customer("crm-2")).await.unwrap().unwrap();
        assert_eq!(failure(&end_of(&shop, shop.buy_with_credits(&yoga, 1, &bob, "bmb_1", 1)).await), incompatible, "another's");
        assert_eq!(failure(&end_of(&shop, shop.buy_with_credits(&other, 1, &ada, "bmb_1", 1)).await), incompatible, "for other sessions");
        assert_eq!(failure(&end_of(&shop, shop.buy_with_credits(&yoga, 1, &ada, "bmb_none", 1)).await), incompatible, "not there");
        assert_eq!(credits(&shop, &ada, "bmb_1").await, (0, 0, 3));
        shop.assert_clean().await;
    }

    async fn a_session_for_members_is_sold_when_memberships_pay_for_all_its_places(shop) {
        let ada = ada(&shop).await;
        let members = shop.session_with("members", 100, |session| {
            session.compatible_memberships = vec![CatalogueId::parse("mem_pack").unwrap()];
            session.dropins_allowed = false;
        }).await;
        pack(&shop, &ada, "bmb_1", 3).await;
        let refused = (Status::Failed, Some(Code::DropinsNotAllowed));
        assert_eq!(failure(&end_of(&shop, shop.buy_cash(&members, 1)).await), refused);
        assert_eq!(failure(&end_of(&shop, shop.buy_with_credits(&members, 2, &ada, "bmb_1", 1)).await), refused);
        assert_eq!(credits(&shop, &ada, "bmb_1").await, (0, 0, 3));
        assert_eq!(end_of(&shop, shop.buy_with_credits(&members, 2, &ada, "bmb_1", 2)).await.status, Status::Succeeded);
        assert_eq!(credits(&shop, &ada, "bmb_1").await, (2, 0, 1));
        shop.assert_clean().await;
    }

    async fn credits_are_held_while_a_card_pays_the_rest_and_come_back_when_it_is_declined(shop) {
        let (ada, yoga) = (ada(&shop).await, shop.members_session("yoga", 100).await);
        pack(&shop, &ada, "bmb_1", 3).await;
        let id = shop.accept(shop.with_credits(shop.buy(&yoga, 3), &ada, "bmb_1", 2)).await;
        let (n, token) = shop.begin_charge(&id).await;
        assert_eq!(shop.checkout(&id).await.attempts[0].request.amount.minor(), 1500);
        assert_eq!(credits(&shop, &ada, "bmb_1").await, (0, 2, 1));
        let late = end_of(&shop, shop.buy_with_credits(&yoga, 2, &ada, "bmb_1", 2)).await;
        assert_eq!(failure(&late), (Status::Failed, Some(Code::MembershipInsufficient)), "what is held is nobody else's");
        shop.settle(&id, n, &token, declined()).await;
        assert_eq!((shop.checkout(&id).await.status, credits(&shop, &ada, "bmb_1").await), (Status::Failed, (0, 0, 3)));
        shop.assert_clean().await;
    }

    async fn credits_wait_for_the_money_of_the_same_refund_and_stay_used_when_it_is_refused(shop) {
        let (ada, yoga) = (ada(&shop).await, shop.members_session("yoga", 100).await);
        pack(&shop, &ada, "bmb_1", 3).await;
        let id = shop.accept(shop.with_credits(shop.buy(&yoga, 3), &ada, "bmb_1", 2)).await;
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, approved(1500)).await;
        assert_eq!((shop.checkout(&id).await.amount_paid.minor(), credits(&shop, &ada, "bmb_1").await), (4500, (2, 0, 1)));
        for (key, outcome, left, paid) in [("k1", declined(), (2, 0, 1), 0), ("k2", approved(1500), (0, 0, 3), 4500)] {
            assert!(matches!(refund_all(&shop, &id, key).await, RefundResult::Created { .. }));
            assert_eq!((credits(&shop, &ada, "bmb_1").await, balance(&shop, "tender:membership").await), ((2, 0, 1), 3000), "not before");
            assert!(matches!(refund_all(&shop, &id, "more").await, RefundResult::Refused(_)), "all of it is on its way");
            shop.assert_clean().await;
            let (n, token) = shop.begin_charge(&id).await;
            shop.settle(&id, n, &token, outcome).await;
            assert_eq!((credits(&shop, &ada, "bmb_1").await, shop.checkout(&id).await.amount_refunded.minor()), (left, paid));
            shop.assert_clean().await;
        }
        for account in ["tender:membership", "revenue", "provider:sandbox", "refunds_pending"] {
            assert_eq!(balance(&shop, account).await, 0, "{account}");
        }
        assert_eq!(shop.store.availability(&shop.scope, &yoga).await.unwrap().unwrap().sold, 0);
    }

    async fn money_given_back_for_other_reasons_never_comes_out_of_credits(shop) {
        let (ada, yoga) = (ada(&shop).await, shop.members_session("yoga", 100).await);
        pack(&shop, &ada, "bmb_1", 3).await;
        let id = shop.accept(shop.buy_with_credits(&yoga, 3, &ada, "bmb_1", 2)).await;
        shop.begin(&id).await;
        let line = shop.checkout(&id).await.order.lines[0].id.clone();
        let ask = |amount: i64, lines: &[LineId], release| RefundAsk {
            amount: Some(Amount::from_minor(amount)), lines: lines.to_vec(), release_seats: Some(release), ..RefundAsk::default()
        };
        let code = |result: RefundResult| match result {
            RefundResult::Refused(Refusal::Refused(error)) => error.code,
            other => panic!("{other:?}"),
        };
        assert_eq!(code(refund(&shop, &id, "k1", ask(1501, &[], false)).await), Code::RefundExceedsPaid, "1500 were paid in cash");
        assert_eq!(code(refund(&shop, &id, "k2", ask(2999, std::slice::from_ref(&line), true)).await), Code::ParameterInvalid);
        assert!(matches!(refund(&shop, &id, "k3", ask(500, &[], false)).await, RefundResult::Created { .. }));
        assert_eq!((balance(&shop, "tender:custom").await, credits(&shop, &ada, "bmb_1").await), (1000, (2, 0, 1)));
        assert!(matches!(refund(&shop, &id, "k4", ask(4000, &[line], true)).await, RefundResult::Created { .. }));
        assert_eq!((balance(&shop, "tender:custom").await, balance(&shop, "tender:membership").await), (0, 0));
        assert_eq!(credits(&shop, &ada, "bmb_1").await, (0, 0, 3));
        shop.assert_clean().await;
    }

    async fn credits_that_are_kept_stay_used_while_their_place_comes_free_and_can_go_back_later(shop) {
        let (ada, yoga) = (ada(&shop).await, shop.members_session("yoga", 100).await);
        pack(&shop, &ada, "bmb_1", 3).await;
        let sale = end_of(&shop, shop.buy_with_credits(&yoga, 2, &ada, "bmb_1", 2)).await;
        let lines = vec![sale.order.lines[0].id.clone()];
        let sold = async || shop.store.availability(&shop.scope, &yoga).await.unwrap().unwrap().sold;
        let kept = RefundAsk { lines: lines.clone(), release_seats: Some(true), keep_credits: true, ..RefundAsk::default() };
        assert!(matches!(refund(&shop, &sale.id, "k1", kept.clone()).await, RefundResult::Created { .. }));
        assert_eq!((sold().await, credits(&shop, &ada, "bmb_1").await), (0, (2, 0, 1)));
        let refunds = shop.store.refunds(&shop.scope, &sale.id).await.unwrap();
        assert_eq!((refunds[0].keep_credits, refunds[0].amount.minor(), refunds[0].parts.len()), (true, 0, 0));
        shop.assert_clean().await;
        let again = refund(&shop, &sale.id, "k2", kept).await;
        assert!(matches!(again, RefundResult::Refused(Refusal::Refused(error)) if error.code == Code::RefundExceedsPaid));
        let given = RefundAsk { lines, release_seats: Some(true), ..RefundAsk::default() };
        assert!(matches!(refund(&shop, &sale.id, "k3", given).await, RefundResult::Created { .. }));
        assert_eq!((sold().await, credits(&shop, &ada, "bmb_1").await), (0, (0, 0, 3)));
        assert_eq!(balance(&shop, "tender:membership").await, 0);
        shop.assert_clean().await;
    }

    async fn credits_are_kept_only_where_their_places_come_free(shop) {
        let (ada, yoga) = (ada(&shop).await, shop.members_session("yoga", 100).await);
        pack(&shop, &ada, "bmb_1", 3).await;
        let sale = end_of(&shop, shop.buy_with_credits(&yoga, 2, &ada, "bmb_1", 1)).await;
        let line = vec![sale.order.lines[0].id.clone()];
        let asks = [
            RefundAsk { lines: line.clone(), release_seats: Some(false), keep_credits: true, ..RefundAsk::default() },
            RefundAsk { release_seats: Some(false), keep_credits: true, ..RefundAsk::default() },
            RefundAsk { amount: Some(Amount::from_minor(500)), keep_credits: true, ..RefundAsk::default() },
        ];
        for (key, ask) in ["k1", "k2", "k3"].into_iter().zip(asks) {
            let RefundResult::Refused(Refusal::Refused(error)) = refund(&shop, &sale.id, key, ask).await else { panic!() };
            assert_eq!((error.code, error.param.as_deref()), (Code::ParameterInvalid, Some("keep_credits")));
        }
        assert_eq!((balance(&shop, "tender:custom").await, credits(&shop, &ada, "bmb_1").await), (1500, (1, 0, 2)));
        let both = RefundAsk { lines: line, keep_credits: true, ..RefundAsk::default() };
        assert!(matches!(refund(&shop, &sale.id, "k4", both).await, RefundResult::Created { .. }));
        assert_eq!((balance(&shop, "tender:custom").await, credits(&shop, &ada, "bmb_1").await), (0, (1, 0, 2)));
        shop.assert_clean().await;
    }

    async fn a_credit_that_paid_for_a_place_that_cost_nothing_and_was_kept_can_go_back_once(shop) {
        let (ada, yoga) = (ada(&shop).await, shop.members_session("yoga", 100).await);
        pack(&shop, &ada, "bmb_1", 3).await;
        for (first, then) in [(true, true), (true, false), (false, true)] {
            // For nothing, by a code that takes all of it off.
            let mut new = shop.buy_cash(&yoga, 1);
            let line = &mut new.order.lines[0];
            line.discount_amount = line.amount;
            new.order.totals = Totals { subtotal: line.amount, discount: line.amount, ..Totals::default() };
            let sale = end_of(&shop, shop.with_credits(new, &ada, "bmb_1", 1)).await;
            assert_eq!((failure(&sale), credits(&shop, &ada, "bmb_1").await), ((Status::Succeeded, None), (1, 0, 2)));
            let lines = |is_named: bool| if is_named { vec![sale.order.lines[0].id.clone()] } else { Vec::new() };
            let kept = RefundAsk { lines: lines(first), keep_credits: true, ..RefundAsk::default() };
            assert!(matches!(refund(&shop, &sale.id, "k1", kept.clone()).await, RefundResult::Created { .. }));
            assert!(matches!(refund(&shop, &sale.id, "k2", kept).await, RefundResult::Refused(_)), "kept once");
            assert_eq!(credits(&shop, &ada, "bmb_1").await, (1, 0, 2));
            let given = RefundAsk { lines: lines(then), ..RefundAsk::default() };
            assert!(matches!(refund(&shop, &sale.id, "k3", given.clone()).await, RefundResult::Created { .. }));
            assert_eq!(credits(&shop, &ada, "bmb_1").await, (0, 0, 3));
            assert!(matches!(refund(&shop, &sale.id, "k4", given).await, RefundResult::Refused(_)), "given back once");
            assert_eq!(shop.store.availability(&shop.scope, &yoga).await.unwrap().unwrap().sold, 0);
            shop.assert_clean().await;
        }
    }

    async fn a_membership_without_a_limit_pays_without_end_and_is_counted(shop) {
        let (ada, yoga) = (ada(&shop).await, shop.members_session("yoga", 100).await);
        shop.store.put_bought(&given(&shop, &ada, "bmb_gold", None)).await.unwrap();
        for _ in 0..3 {
            assert_eq!(end_of(&shop, shop.buy_with_credits(&yoga, 9, &ada, "bmb_gold", 9)).await.status, Status::Succeeded);
        }
        let id = BoughtMembershipId::parse("bmb_gold").unwrap();
        let credited = shop.store.bought(&shop.scope, &ada, &id).await.unwrap().unwrap();
        assert_eq!((credited.used, credited.left()), (27, None));
        let fewer = shop.store.put_bought(&given(&shop, &ada, "bmb_gold", Some(26))).await.unwrap();
        assert!(matches!(fewer, BoughtPut::TooFewCredits { taken: 27 }), "{fewer:?}");
        shop.assert_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_locks_what_it_ends_and_what_it_gives_back_in_the_order_of_everybody() {
    let shop = Shop::postgres().await;
    let (ada, yoga) = (ada(&shop).await, shop.members_session("yoga", 5).await);
    // Its key comes before that of any pack that is sold.
    pack(&shop, &ada, "a_pack", 3).await;
    // A place for a credit of one pack, and another pack for cash: nothing has to go back by a provider.
    let mut new = shop.buy_with_credits(&yoga, 1, &ada, "a_pack", 1);
    let sold = shop.buy_pack(&ada, 10);
    let bought = match &sold.order.lines[0].item {
        Item::Membership { bought_membership, .. } => bought_membership.clone(),
        other => panic!("{other:?}"),
    };
    let cash = Leg { tender: Tender::Custom { name: "cash".to_owned(), note: None }, ..sold.order.legs[0].clone() };
    new.order.lines.extend(sold.order.lines);
    new.order.legs.push(cash);
    let total = Amount::from_minor(3000);
    new.order.totals = Totals { subtotal: total, total, ..Totals::default() };
    let sale = end_of(&shop, new).await;
    assert_eq!(failure(&sale), (Status::Succeeded, None));
    let row = |id: &str| format!("SELECT 1 FROM inventory WHERE kind = 'bought_membership' AND id = '{id}' FOR UPDATE");
    shop.script(&format!("BEGIN; {}", row("a_pack"))).await;
    let refunding = async {
        assert!(matches!(refund_all(&shop, &sale.id, "k").await, RefundResult::Created { .. }));
    };
    let other = async {
        shop.wait_until_somebody_waits_for_a_lock().await;
        // Whoever pays with both packs has the first one, and takes the second one now.
        shop.script(&format!("{} NOWAIT; COMMIT", row(bought.as_str()))).await;
    };
    tokio::join!(refunding, other);
    assert_eq!(credits(&shop, &ada, "a_pack").await, (0, 0, 3));
    shop.assert_clean().await;
}
