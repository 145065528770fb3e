//! Credits in shops at random: whoever buys, fails, gives back, freezes or changes a pack, no credit is lost and none pays twice.

use super::{
    fixture::{Shop, approved, declined},
    memberships::{ada, given},
};
use boxoffice_common::{
    domain::{
        attempt::Outcome,
        checkout::Checkout,
        id::{BoughtMembershipId, CheckoutId, CustomerId, Entropy, RefundId},
        refund::RefundAsk,
        state::Status,
    },
    ports::{clock::Clock, clock::SystemClock, store::*},
};

const PACKS: [&str; 3] = ["bmb_a", "bmb_b", "bmb_c"];
const STEPS: u32 = 60;

/// A shop, and what it should have of each pack's credits.
struct Trial<'s> {
    shop: &'s Shop,
    ada: CustomerId,
    dice: Entropy,
    /// Checkouts that are sold and not given back: the pack, and how many of its credits they took.
    live: Vec<(CheckoutId, usize, u32)>,
    keys: u32,
}

impl Trial<'_> {
    fn roll(&self, sides: u64) -> u64 {
        self.dice.next_u64() % sides
    }

    fn pack(&self) -> usize {
        self.roll(PACKS.len() as u64) as usize
    }

    /// A worker does what there is to do, and the provider says yes or no.
    async fn work(&self, id: &CheckoutId, amount: i64) -> Checkout {
        let (answer, token) = self.shop.begin(id).await;
        if let Next::Act { n, .. } = answer.next {
            let outcome: Outcome = if self.roll(3) == 0 { declined() } else { approved(amount) };
            self.shop.settle(id, n, &token, outcome).await;
        }
        self.shop.checkout(id).await
    }

    async fn buy(&mut self, session: &boxoffice_common::domain::id::CatalogueId) {
        let (pack, quantity) = (self.pack(), 1 + self.roll(3) as u32);
        let places = 1 + self.roll(u64::from(quantity)) as u32;
        let new = if self.roll(2) == 0 { self.shop.buy(session, quantity) } else { self.shop.buy_cash(session, quantity) };
        let id = self.shop.accept(self.shop.with_credits(new, &self.ada, PACKS[pack], places)).await;
        let end = self.work(&id, i64::from(quantity - places) * 1500).await;
        if end.status == Status::Succeeded {
            self.live.push((id, pack, places));
        }
    }

    async fn give_back(&mut self) {
        if self.live.is_empty() {
            return;
        }
        let at = self.roll(self.live.len() as u64) as usize;
        let id = self.live[at].0.clone();
        self.keys += 1;
        let refund = RefundId::generate(&self.shop.entropy, SystemClock::default().now());
        let idempotency =
            IdempotencyRow { route: format!("POST /v1/checkouts/{id}/refunds"), key: self.keys.to_string(), body_hash: String::new() };
        let (checkout, ask) = (id.clone(), RefundAsk::default());
        let new = NewRefund { id: refund, scope: self.shop.scope.clone(), checkout, ask, idempotency };
        assert!(matches!(self.shop.store.refund(&new).await.unwrap(), RefundResult::Created { .. }));
        let sale = self.shop.checkout(&id).await;
        let by_card = sale.order.legs.iter().find(|leg| leg.is_outside()).map_or(0, |leg| leg.amount.minor());
        if self.work(&id, by_card).await.amount_refunded == sale.amount_paid {
            self.live.remove(at);
        }
    }

    async fn change(&self) {
        let id = BoughtMembershipId::parse(PACKS[self.pack()]).unwrap();
        match self.roll(3) {
            0 => drop(self.shop.store.freeze(&self.shop.scope, &self.ada, &id, Freezing::Freeze(None)).await.unwrap()),
            1 => drop(self.shop.store.freeze(&self.shop.scope, &self.ada, &id, Freezing::Thaw).await.unwrap()),
            _ => {
                let credits = Some(1 + self.roll(12) as u32);
                drop(self.shop.store.put_bought(&given(self.shop, &self.ada, id.as_str(), credits)).await.unwrap());
            }
        }
    }

    /// Each pack: total is used and held and left, and what is used is what the sales took.
    async fn check(&self) {
        for (pack, id) in PACKS.iter().enumerate() {
            let id = BoughtMembershipId::parse(*id).unwrap();
            let credited = self.shop.store.bought(&self.shop.scope, &self.ada, &id).await.unwrap().unwrap();
            let taken: u32 = self.live.iter().filter(|(_, other, _)| *other == pack).map(|(_, _, places)| places).sum();
            assert_eq!((credited.used, credited.held), (taken, 0), "{id}");
            assert_eq!(credited.bought.credits, credited.left().map(|left| left + taken), "{id}");
            let spendable = self.shop.store.spendable(&self.shop.scope, &id).await.unwrap().unwrap();
            assert_eq!(spendable.left, credited.left(), "{id}");
        }
    }
}

over_both! {
    async fn no_credit_is_lost_and_none_pays_twice_whatever_happens_in_whatever_order(shop) {
        let seed = shop.entropy.next_u64();
        println!("seed {seed}");
        let (ada, session) = (ada(&shop).await, shop.members_session("yoga", 25).await);
        for id in PACKS {
            shop.store.put_bought(&given(&shop, &ada, id, Some(6))).await.unwrap();
        }
        let mut trial = Trial { shop: &shop, ada, dice: Entropy::from_seed(seed), live: Vec::new(), keys: 0 };
        for _ in 0..STEPS {
            match trial.roll(10) {
                0..5 => trial.buy(&session).await,
                5..8 => trial.give_back().await,
                _ => trial.change().await,
            }
            trial.check().await;
        }
        shop.assert_clean().await;
        let balances = shop.store.ledger_balances(&shop.scope, BalancesOf::Everybody).await.unwrap();
        assert_eq!(balances.iter().map(|balance| balance.amount.minor()).sum::<i64>(), 0);
        let by_credits = balances.iter().find(|balance| balance.account == "tender:membership").map_or(0, |balance| balance.amount.minor());
        assert_eq!(by_credits, trial.live.iter().map(|(_, _, places)| i64::from(*places) * 1500).sum::<i64>());
    }
}
