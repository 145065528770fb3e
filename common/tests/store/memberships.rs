//! Memberships: they come with their sale and end with its refund, whatever fails in between.

use super::fixture::{self, Shop, approved, declined};
use boxoffice_common::{
    domain::{
        bought_membership::{BoughtStatus, Credited, FreezeRefusal},
        error::Code,
        id::{BoughtMembershipId, CatalogueId, CheckoutId, CustomerId, RefundId},
        line::Item,
        membership::MembershipType,
        money::Amount,
        refund::{RefundAsk, Refusal},
        state::Status,
    },
    ports::{clock::Clock, clock::SystemClock, store::*},
};
use futures::future::join_all;
use std::time::Duration;

pub async fn ada(shop: &Shop) -> CustomerId {
    let ada = CustomerId::parse("cus_ada").unwrap();
    shop.customer(&ada).await;
    ada
}

/// Three places are sold to Ada: two for credits of her pack, one by card.
pub async fn sold_partly_for_credits(shop: &Shop) -> CheckoutId {
    let ada = ada(shop).await;
    shop.store.put_bought(&given(shop, &ada, "bmb_1", Some(3))).await.unwrap();
    let session = shop.members_session("ses_1", 5).await;
    let id = shop.accept(shop.with_credits(shop.buy(&session, 3), &ada, "bmb_1", 2)).await;
    let (n, token) = shop.begin_charge(&id).await;
    shop.settle(&id, n, &token, approved(1500)).await;
    id
}

/// What the only line of a checkout sells.
fn sells(new: &NewCheckout) -> BoughtMembershipId {
    match &new.order.lines[0].item {
        Item::Membership { bought_membership, .. } => bought_membership.clone(),
        other => panic!("{other:?}"),
    }
}

async fn bought(shop: &Shop, customer: &CustomerId, id: &BoughtMembershipId) -> Option<Credited> {
    shop.store.bought(&shop.scope, customer, id).await.unwrap()
}

/// A pack that was sold: its checkout and its id.
async fn sold(shop: &Shop, customer: &CustomerId) -> (CheckoutId, BoughtMembershipId) {
    let new = shop.buy_pack(customer, 10);
    let pack = sells(&new);
    let id = shop.accept(new).await;
    let (n, token) = shop.begin_charge(&id).await;
    shop.settle(&id, n, &token, approved(1500)).await;
    (id, pack)
}

pub fn given(shop: &Shop, customer: &CustomerId, id: &str, credits: Option<u32>) -> PutBought {
    PutBought {
        scope: shop.scope.clone(),
        id: BoughtMembershipId::parse(id).unwrap(),
        customer: customer.clone(),
        membership: CatalogueId::parse("mem_pack").unwrap(),
        kind: if credits.is_some() { MembershipType::Pack } else { MembershipType::Subscription },
        credits,
        valid_from: None,
        valid_until: None,
        metadata: serde_json::Map::new(),
    }
}

async fn refund(shop: &Shop, checkout: &CheckoutId, key: &str, amount: Option<i64>) -> RefundResult {
    let id = RefundId::generate(&shop.entropy, SystemClock::default().now());
    let route = format!("POST /v1/checkouts/{checkout}/refunds");
    let idempotency = IdempotencyRow { route, key: key.to_owned(), body_hash: String::new() };
    let ask = RefundAsk { amount: amount.map(Amount::from_minor), release_seats: Some(true), ..RefundAsk::default() };
    shop.store.refund(&NewRefund { id, scope: shop.scope.clone(), checkout: checkout.clone(), ask, idempotency }).await.unwrap()
}

async fn balance(shop: &Shop, account: &str) -> i64 {
    let balances = shop.store.ledger_balances(&shop.scope, BalancesOf::Everybody).await.unwrap();
    balances.iter().find(|balance| balance.account == account).map_or(0, |balance| balance.amount.minor())
}

over_both! {
    async fn a_membership_comes_into_being_with_its_sale_and_not_before(shop) {
        let ada = ada(&shop).await;
        let new = shop.buy_pack(&ada, 10);
        let pack = sells(&new);
        let id = shop.accept(new).await;
        let (n, token) = shop.begin_charge(&id).await;
        assert_eq!(bought(&shop, &ada, &pack).await, None, "nobody has paid");
        shop.settle(&id, n, &token, approved(1500)).await;
        let now = shop.store.now().await.unwrap();
        let credited = bought(&shop, &ada, &pack).await.unwrap();
        assert_eq!((credited.bought.credits, credited.left(), credited.bought.status(now)), (Some(10), Some(10), BoughtStatus::Active));
        assert_eq!(credited.bought.sold_by.as_ref().map(|(checkout, _)| checkout), Some(&id));
        assert_eq!((balance(&shop, "memberships").await, balance(&shop, "revenue").await), (-1500, 0));
        let page = shop.store.bought_of(&shop.scope, &ada, &fixture::page(10)).await.unwrap();
        assert_eq!(page.data, [credited]);
        shop.assert_clean().await;
    }

    async fn a_sale_that_fails_leaves_no_membership(shop) {
        let ada = ada(&shop).await;
        let new = shop.buy_pack(&ada, 10);
        let pack = sells(&new);
        let id = shop.accept(new).await;
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, declined()).await;
        assert_eq!((shop.checkout(&id).await.status, bought(&shop, &ada, &pack).await), (Status::Failed, None));
        shop.assert_clean().await;
    }

    async fn a_refund_ends_a_membership_when_it_is_asked_for_and_lets_it_go_on_when_it_is_refused(shop) {
        let ada = ada(&shop).await;
        let (id, pack) = sold(&shop, &ada).await;
        assert!(matches!(refund(&shop, &id, "k1", None).await, RefundResult::Created { .. }));
        assert!(bought(&shop, &ada, &pack).await.unwrap().bought.ended_at.is_some(), "before the money goes");
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, declined()).await;
        assert_eq!(bought(&shop, &ada, &pack).await.unwrap().bought.ended_at, None);
        assert_eq!(balance(&shop, "memberships").await, -1500);
        assert!(matches!(refund(&shop, &id, "k2", None).await, RefundResult::Created { .. }));
        let (n, token) = shop.begin_charge(&id).await;
        shop.settle(&id, n, &token, approved(1500)).await;
        assert!(bought(&shop, &ada, &pack).await.unwrap().bought.ended_at.is_some());
        assert_eq!((balance(&shop, "memberships").await, balance(&shop, "revenue").await), (0, 0));
        shop.assert_clean().await;
    }

    async fn a_membership_that_was_used_is_not_given_back_for_its_whole_price(shop) {
        let ada = ada(&shop).await;
        let (id, pack) = sold(&shop, &ada).await;
        // As if a checkout held two of its credits.
        shop.sql(&format!("UPDATE inventory SET taken = 2 WHERE id = '{pack}'")).await;
        let refused = refund(&shop, &id, "k1", None).await;
        assert!(matches!(&refused, RefundResult::Refused(Refusal::Refused(error)) if error.code == Code::MembershipUsed), "{refused:?}");
        assert_eq!(bought(&shop, &ada, &pack).await.unwrap().bought.ended_at, None);
    }

    async fn an_id_belongs_to_one_customer_also_when_two_are_given_it_at_once(shop) {
        let ada = ada(&shop).await;
        let bob = CustomerId::parse("cus_bob").unwrap();
        shop.store.put_customer(&shop.scope, &bob, &fixture::customer("crm-2")).await.unwrap().unwrap();
        let puts: Vec<PutBought> = (0..20).map(|n| given(&shop, if n % 2 == 0 { &ada } else { &bob }, "bmb_one", Some(5))).collect();
        let answers: Vec<BoughtPut> = join_all(puts.iter().map(|put| shop.store.put_bought(put))).await.into_iter().map(Result::unwrap).collect();
        let created = answers.iter().filter(|answer| matches!(answer, BoughtPut::Created(_))).count();
        let taken = answers.iter().filter(|answer| matches!(answer, BoughtPut::IdTaken)).count();
        assert_eq!((created, taken), (1, 10), "{answers:?}");
        let id = BoughtMembershipId::parse("bmb_one").unwrap();
        let owners = [bought(&shop, &ada, &id).await, bought(&shop, &bob, &id).await];
        assert_eq!(owners.iter().flatten().count(), 1);
        shop.assert_clean().await;
    }

    async fn a_promised_id_cannot_be_taken_and_what_is_used_cannot_be_taken_away(shop) {
        let ada = ada(&shop).await;
        let promised = sells(&shop.buy_pack(&ada, 10));
        let put = shop.store.put_bought(&given(&shop, &ada, promised.as_str(), Some(5))).await.unwrap();
        assert!(matches!(put, BoughtPut::IdReserved), "{put:?}");
        let nobody = CustomerId::parse("cus_nobody").unwrap();
        assert!(matches!(shop.store.put_bought(&given(&shop, &nobody, "bmb_1", Some(5))).await.unwrap(), BoughtPut::CustomerMissing));
        let (_, pack) = sold(&shop, &ada).await;
        let put = shop.store.put_bought(&given(&shop, &ada, pack.as_str(), Some(12))).await.unwrap();
        assert!(matches!(&put, BoughtPut::Replaced(credited) if credited.left() == Some(12) && credited.bought.sold_by.is_some()), "{put:?}");
        let put = shop.store.put_bought(&given(&shop, &ada, pack.as_str(), None)).await.unwrap();
        assert!(matches!(&put, BoughtPut::Replaced(credited) if credited.left().is_none()), "{put:?}");
        shop.assert_clean().await;
    }

    async fn a_membership_is_frozen_and_thawed_by_its_customer_and_by_nobody_else(shop) {
        let ada = ada(&shop).await;
        let (_, pack) = sold(&shop, &ada).await;
        let before = bought(&shop, &ada, &pack).await.unwrap().bought;
        let freeze = |freezing| shop.store.freeze(&shop.scope, &ada, &pack, freezing);
        let Froze::Done(frozen) = freeze(Freezing::Freeze(None)).await.unwrap() else { panic!() };
        assert_eq!(frozen.bought.status(shop.store.now().await.unwrap()), BoughtStatus::Frozen);
        assert_eq!(bought(&shop, &ada, &pack).await.unwrap(), *frozen);
        let since = frozen.bought.frozen.unwrap().from;
        shop.wait_until_past(since.after(Duration::from_millis(20))).await;
        let Froze::Done(thawed) = freeze(Freezing::Thaw).await.unwrap() else { panic!() };
        let longer = thawed.bought.valid_until.unwrap().since(before.valid_until.unwrap());
        assert_eq!((longer, thawed.bought.frozen), (thawed.bought.updated_at.since(since), None));
        let past = freeze(Freezing::Freeze(Some(since))).await.unwrap();
        assert!(matches!(past, Froze::Refused(FreezeRefusal::Past)), "{past:?}");
        for (scope, customer) in [(&shop.other_scope(), &ada), (&shop.scope, &CustomerId::parse("cus_bob").unwrap())] {
            let theirs = shop.store.freeze(scope, customer, &pack, Freezing::Thaw).await.unwrap();
            assert!(matches!(theirs, Froze::Missing), "{theirs:?}");
            assert_eq!(shop.store.bought(scope, customer, &pack).await.unwrap(), None);
        }
        shop.assert_clean().await;
    }

    async fn the_audit_sees_memberships_that_are_missing_invented_or_of_other_credits(shop) {
        let ada = ada(&shop).await;
        let (id, pack) = sold(&shop, &ada).await;
        shop.sql(&format!("UPDATE bought_memberships SET credits = 11 WHERE id = '{pack}'")).await;
        assert_eq!(shop.broken().await, ["credits_differ"]);
        shop.sql(&format!("UPDATE bought_memberships SET credits = 10, checkout = 'chk_nobodys' WHERE id = '{pack}'")).await;
        assert_eq!(shop.broken().await, ["membership_not_given", "membership_not_sold"]);
        shop.sql(&format!("UPDATE bought_memberships SET checkout = '{id}' WHERE id = '{pack}'")).await;
        shop.assert_clean().await;
    }
}
