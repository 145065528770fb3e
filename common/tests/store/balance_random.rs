//! Balances in shops at random: whoever gives, takes, buys, fails and gives back, no cent is lost and none is spent twice.

use super::{
    balance::{adjustment, has, refund},
    fixture::{self, Shop, approved, declined},
};
use boxoffice_common::{
    domain::{
        attempt::Outcome,
        checkout::Checkout,
        id::{CatalogueId, CheckoutId, CustomerId, Entropy},
        money::Amount,
        refund::RefundAsk,
        state::Status,
    },
    ports::store::*,
};

const CUSTOMERS: usize = 3;
const STEPS: u32 = 80;

/// A shop, and what each customer should have.
struct Trial<'s> {
    shop: &'s Shop,
    customers: Vec<CustomerId>,
    dice: Entropy,
    should: Vec<i64>,
    /// Checkouts whose card has not answered yet: whose, and what of the balance is held.
    open: Vec<(CheckoutId, usize, i64, u32, String)>,
    /// Sales: whose, and what of the balance was spent and is not given back.
    sold: Vec<(CheckoutId, usize, i64)>,
    keys: u32,
}

impl Trial<'_> {
    fn roll(&self, sides: i64) -> i64 {
        (self.dice.next_u64() % sides.unsigned_abs()).cast_signed()
    }

    fn somebody(&self) -> usize {
        self.roll(CUSTOMERS as i64) as usize
    }

    fn held(&self, who: usize) -> i64 {
        self.open.iter().filter(|(_, whose, ..)| *whose == who).map(|(_, _, held, ..)| held).sum()
    }

    async fn adjust(&mut self) {
        let (who, minor) = (self.somebody(), self.roll(6_000) - 2_000);
        let may = minor != 0 && self.should[who] - self.held(who) + minor >= 0;
        let result = self.shop.store.adjust_balance(&adjustment(self.shop, &self.customers[who], minor)).await.unwrap();
        assert_eq!(matches!(result, AdjustResult::Created(_)), may, "{minor}: {result:?}");
        if may {
            self.should[who] += minor;
        }
    }

    async fn buy(&mut self, session: &CatalogueId) {
        let (who, by_balance) = (self.somebody(), 1 + self.roll(1_500));
        let may = self.should[who] - self.held(who) >= by_balance;
        let by_card = self.roll(2) == 0 && by_balance < 1_500;
        let new = if by_card { self.shop.buy(session, 1) } else { self.shop.buy_cash(session, 1) };
        let id = self.shop.accept(self.shop.with_balance(new, &self.customers[who], by_balance)).await;
        let (answer, token) = self.shop.begin(&id).await;
        let status = self.shop.checkout(&id).await.status;
        match (answer.next, may) {
            (Next::Act { n, .. }, true) => self.open.push((id, who, by_balance, n, token)),
            (_, true) => {
                assert_eq!(status, Status::Succeeded);
                self.should[who] -= by_balance;
                self.sold.push((id, who, by_balance));
            }
            (_, false) => assert_eq!(status, Status::Failed),
        }
    }

    async fn answer(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let (id, who, held, n, token) = self.open.remove(self.roll(self.open.len() as i64) as usize);
        let outcome: Outcome = if self.roll(2) == 0 { declined() } else { approved(1_500 - held) };
        self.shop.settle(&id, n, &token, outcome).await;
        if self.shop.checkout(&id).await.status == Status::Succeeded {
            self.should[who] -= held;
            self.sold.push((id, who, held));
        }
    }

    async fn give_back(&mut self) {
        if self.sold.is_empty() {
            return;
        }
        let at = self.roll(self.sold.len() as i64) as usize;
        let (id, who, spent) = self.sold[at].clone();
        self.keys += 1;
        let amount = (self.roll(2) == 0).then(|| Amount::from_minor(1 + self.roll(1_500)));
        let result = refund(self.shop, &id, &self.keys.to_string(), RefundAsk { amount, ..RefundAsk::default() }).await;
        if !matches!(result, RefundResult::Created { .. }) {
            return;
        }
        let after: Checkout = self.shop.checkout(&id).await;
        let refunds = self.shop.store.refunds(&self.shop.scope, &id).await.unwrap();
        let to_balance = |refund: &boxoffice_common::domain::refund::Refund| {
            refund.parts.iter().filter(|part| part.method == "balance").map(|part| part.amount.minor()).sum::<i64>()
        };
        let back: i64 = to_balance(refunds.last().unwrap());
        assert!(back <= spent, "never more than was spent");
        (self.should[who], self.sold[at].2) = (self.should[who] + back, spent - back);
        // What a card has to give back is answered one way or the other; the balance's part is back already.
        if after.due_at.is_some() {
            let (n, token) = self.shop.begin_charge(&id).await;
            let amount = self.shop.checkout(&id).await.attempts.last().unwrap().request.amount.minor();
            self.shop.settle(&id, n, &token, if self.roll(3) == 0 { declined() } else { approved(amount) }).await;
        }
    }

    async fn check(&self) {
        for (who, customer) in self.customers.iter().enumerate() {
            let (should, held) = (self.should[who], self.held(who));
            assert_eq!(has(self.shop, customer).await, (should, held, should - held), "{customer}");
        }
    }
}

over_both! {
    async fn no_cent_is_lost_and_none_is_spent_twice_whatever_happens_in_whatever_order(shop) {
        let seed = shop.entropy.next_u64();
        println!("seed {seed}");
        let session = shop.session("yoga", 1_000).await;
        let mut customers = Vec::new();
        for n in 0..CUSTOMERS {
            let id = CustomerId::parse(format!("cus_{n}")).unwrap();
            shop.store.put_customer(&shop.scope, &id, &fixture::customer(&format!("crm-{n}"))).await.unwrap().unwrap();
            customers.push(id);
        }
        let (open, sold, should) = (Vec::new(), Vec::new(), vec![0; CUSTOMERS]);
        let mut trial = Trial { shop: &shop, customers, dice: Entropy::from_seed(seed), should, open, sold, keys: 0 };
        for _ in 0..STEPS {
            match trial.roll(10) {
                0..3 => trial.adjust().await,
                3..7 => trial.buy(&session).await,
                7 => trial.answer().await,
                _ => trial.give_back().await,
            }
            trial.check().await;
        }
        shop.assert_clean().await;
        let sums = shop.store.ledger_balances(&shop.scope, BalancesOf::Everybody).await.unwrap();
        assert_eq!(sums.iter().map(|sum| sum.amount.minor()).sum::<i64>(), 0);
        let owed = sums.iter().find(|sum| sum.account == "tender:balance").map_or(0, |sum| -sum.amount.minor());
        assert_eq!(owed, trial.should.iter().sum::<i64>());
    }
}
