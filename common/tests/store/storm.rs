//! Everybody at once, in two processes: nobody waits for somebody who waits for him, nothing fails, and nothing is lost.

use super::{
    fixture::{self, Shop, approved, declined, page},
    memberships::given,
};
use boxoffice_common::{
    domain::{
        attempt::Outcome,
        begin::Begin,
        id::{BoughtMembershipId, CatalogueId, CheckoutId, CustomerId, Entropy, JobId, RefundId, WaitingId},
        line::Item,
        money::Amount,
        order::Totals,
        refund::RefundAsk,
        settle::Settlement,
        waiting::WaitingStatus,
    },
    ports::{clock::Clock, clock::SystemClock, store::*},
};
use futures::future::join_all;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

const ACTORS: u64 = 24;
const STEPS: u32 = 100;
const SESSIONS: u64 = 3;
const PACKS: u64 = 3;
const CUSTOMERS: u64 = 3;
const HOUR: Duration = Duration::from_secs(3600);

/// One of many who do what comes to their mind.
struct Actor {
    shop: Arc<Shop>,
    store: Arc<dyn Store>,
    dice: Entropy,
    /// Everybody's.
    checkouts: Arc<Mutex<Vec<CheckoutId>>>,
}

impl Actor {
    fn roll(&self, sides: u64) -> u64 {
        self.dice.next_u64() % sides
    }

    fn session(&self) -> CatalogueId {
        CatalogueId::parse(format!("ses_{}", self.roll(SESSIONS))).unwrap()
    }

    fn customer(&self) -> CustomerId {
        CustomerId::parse(format!("cus_{}", self.roll(CUSTOMERS))).unwrap()
    }

    fn pack_of(&self, customer: &CustomerId) -> String {
        format!("p{}_{customer}", self.roll(PACKS))
    }

    fn some_checkout(&self) -> Option<CheckoutId> {
        let all = self.checkouts.lock().unwrap();
        let at = self.roll(all.len().max(1) as u64) as usize;
        all.get(at).cloned()
    }

    /// A worker does what there is to do, and the provider says yes, no, or nothing.
    async fn work(&self, id: &CheckoutId) {
        for _ in 0..3 {
            let token = format!("{:016x}", self.dice.next_u64());
            let (checkout, lease_token) = (id.clone(), token.clone());
            let begin = Begin {
                checkout,
                lease_token,
                lease_for: Duration::from_secs(30),
                routing: boxoffice_common::domain::routing::to_the_sandbox(),
                key_window: HOUR,
            };
            let Next::Act { n, checkout, .. } = self.store.begin(begin).await.unwrap().next else { return };
            let amount = checkout.attempts.iter().find(|attempt| attempt.n == n).unwrap().request.amount.minor();
            let outcome = match self.roll(6) {
                0 => declined(),
                1 => Outcome::Unknown("no answer".to_owned()),
                _ => approved(amount),
            };
            let known = (self.roll(2) == 0).then_some(checkout);
            let routing = boxoffice_common::domain::routing::to_the_sandbox();
            let settlement = Settlement {
                checkout: id.clone(),
                n,
                lease_token: token,
                outcome,
                retry_in: Duration::ZERO,
                routing,
                is_last_look: false,
                known,
            };
            self.store.settle(settlement).await.unwrap();
        }
    }

    /// A checkout of places, alone or with credits, another session, or a pack.
    async fn cart(&self) -> NewCheckout {
        let (customer, session, quantity) = (self.customer(), self.session(), 1 + self.roll(2) as u32);
        let offers = self.store.waiting_list(&self.shop.scope, &session, Some(WaitingStatus::Offered), &page(20)).await.unwrap();
        if let Some(entry) = offers.data.first().filter(|_| self.roll(2) == 0) {
            let mut new = self.shop.buy(&session, entry.quantity);
            new.order.customer = Some(entry.customer.clone());
            if let Item::Session { offer, .. } = &mut new.order.lines[0].item {
                *offer = Some(entry.id.clone());
            }
            return new;
        }
        let mut new = if self.roll(2) == 0 { self.shop.buy(&session, quantity) } else { self.shop.buy_cash(&session, quantity) };
        new.order.customer = Some(customer.clone());
        let beside = match self.roll(4) {
            0 => {
                let places = 1 + self.roll(u64::from(quantity)) as u32;
                return self.shop.with_credits(new, &customer, &self.pack_of(&customer), places);
            }
            1 => self.shop.buy_pack(&customer, 5),
            2 => self.shop.buy(&self.session(), 1),
            _ => return new,
        };
        new.order.lines.extend(beside.order.lines);
        let total = new.order.totals.total.plus(beside.order.totals.total).unwrap();
        new.order.legs[0].amount = total;
        new.order.totals = Totals { subtotal: total, total, ..Totals::default() };
        new
    }

    async fn buy(&self) {
        let id = self.shop.accept(self.cart().await).await;
        if self.roll(8) == 0 {
            self.store.cancel(&self.shop.scope, &id).await.unwrap();
        }
        self.work(&id).await;
        self.checkouts.lock().unwrap().push(id);
    }

    async fn give_back(&self) {
        let Some(id) = self.some_checkout() else { return };
        let lines = self.store.checkout(&id).await.unwrap().unwrap().order.lines;
        let line = lines[self.roll(lines.len() as u64) as usize].id.clone();
        let ask = match self.roll(3) {
            0 => RefundAsk::default(),
            1 => RefundAsk { lines: vec![line], ..RefundAsk::default() },
            _ => RefundAsk { amount: Some(Amount::from_minor(100)), ..RefundAsk::default() },
        };
        let refund = RefundId::generate(&self.shop.entropy, SystemClock::default().now());
        let idempotency = IdempotencyRow { route: "refund".to_owned(), key: refund.to_string(), body_hash: String::new() };
        let new = NewRefund { id: refund, scope: self.shop.scope.clone(), checkout: id.clone(), ask, idempotency };
        self.store.refund(&new).await.unwrap();
        self.work(&id).await;
    }

    async fn change_a_pack(&self) {
        let (scope, customer) = (&self.shop.scope, self.customer());
        let id = BoughtMembershipId::parse(self.pack_of(&customer)).unwrap();
        match self.roll(4) {
            0 => drop(self.store.freeze(scope, &customer, &id, Freezing::Freeze(None)).await.unwrap()),
            1 | 2 => drop(self.store.freeze(scope, &customer, &id, Freezing::Thaw).await.unwrap()),
            _ => {
                let put = given(&self.shop, &customer, id.as_str(), Some(5 + self.roll(600) as u32));
                self.store.put_bought(&put).await.unwrap();
            }
        }
    }

    async fn wait(&self) {
        let new = NewWaiting {
            id: WaitingId::generate(&self.shop.entropy, SystemClock::default().now()),
            scope: self.shop.scope.clone(),
            session: self.session(),
            customer: self.customer(),
            quantity: 1 + self.roll(2) as u32,
            callback_url: Some("https://shop.example/waiting".to_owned()),
            offer_for: Duration::from_millis(1 + self.roll(300)),
            idempotency: None,
        };
        self.store.join(&new).await.unwrap();
        if self.roll(5) == 0 {
            self.store.leave(&self.shop.scope, &new.id).await.unwrap();
        }
    }

    /// Calls a session off, and puts it on sale again.
    async fn call_off(&self) {
        let (id, session) = (JobId::generate(&self.shop.entropy, SystemClock::default().now()), self.session());
        let new = NewCancellation { id, scope: self.shop.scope.clone(), session: session.clone(), reason: None, idempotency: None };
        self.store.cancel_session(&new).await.unwrap();
        self.shop.put_members_session(&session, 5_000).await;
    }

    async fn step(&self) {
        match self.roll(80) {
            0..30 => self.buy().await,
            30..52 => self.give_back().await,
            52..58 => self.change_a_pack().await,
            58..68 => self.wait().await,
            68..72 => drop(self.store.lapse(200).await.unwrap()),
            72..74 => drop(self.shop.put_members_session(&self.session(), 60 + self.roll(400) as u32).await),
            74 => self.call_off().await,
            75 => {
                if let Some(id) = self.some_checkout() {
                    self.store.cancel(&self.shop.scope, &id).await.unwrap();
                }
            }
            _ => {
                if let Some(id) = self.some_checkout() {
                    self.work(&id).await;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_everybody_at_once_waits_for_nobody_who_waits_for_him() {
    let shop = Arc::new(Shop::postgres().await);
    for n in 0..SESSIONS {
        shop.members_session(&format!("ses_{n}"), 200).await;
    }
    for n in 0..CUSTOMERS {
        let id = CustomerId::parse(format!("cus_{n}")).unwrap();
        shop.store.put_customer(&shop.scope, &id, &fixture::customer(&format!("crm-{n}"))).await.unwrap().unwrap();
        for pack in 0..PACKS {
            shop.store.put_bought(&given(&shop, &id, &format!("p{pack}_{id}"), Some(400))).await.unwrap();
        }
    }
    let stores: [Arc<dyn Store>; 2] = [shop.store.clone(), Arc::new(shop.another_store().await)];
    let (seed, checkouts) = (shop.entropy.next_u64(), Arc::default());
    println!("seed {seed}");
    let actors = stores.iter().cycle().zip(0..ACTORS).map(|(store, n)| {
        let dice = Entropy::from_seed(seed.wrapping_add(n));
        let actor = Actor { shop: Arc::clone(&shop), store: Arc::clone(store), dice, checkouts: Arc::clone(&checkouts) };
        tokio::spawn(async move {
            for _ in 0..STEPS {
                actor.step().await;
            }
        })
    });
    for end in join_all(actors).await {
        end.unwrap();
    }
    shop.assert_clean().await;
    // Counted about once a second: one of the very last moment may be missed.
    assert_eq!(shop.deadlocks().await, 0);
}
