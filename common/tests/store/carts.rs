//! What the tests' customers buy, and how they pay.

use super::fixture::Shop;
use boxoffice_common::{
    domain::{
        id::{BoughtMembershipId, CatalogueId, CheckoutId, CustomerId, LineId},
        leg::{Cover, Leg, Tender},
        line::{Item, Line},
        membership::{MembershipType, Terms},
        money::{Amount, Currency},
        order::{Order, Totals},
        plan::Plan,
        plan_sale,
        pricing::Shelf,
        redeem,
        secret::Secret,
        span::{Span, Unit},
        view::QueueEstimate,
    },
    ports::{
        clock::{Clock, SystemClock},
        store::*,
    },
};
use std::time::Duration;

impl Shop {
    fn new_checkout(&self, lines: Vec<Line>, tender: Tender) -> NewCheckout {
        let now = SystemClock::default().now();
        let total = lines.iter().fold(Amount::ZERO, |sum, line| sum.plus(line.amount).unwrap());
        let id = CheckoutId::generate(&self.entropy, now);
        NewCheckout {
            scope: self.scope.clone(),
            order: Order::of(
                Currency::parse("usd").unwrap(),
                lines,
                Totals { subtotal: total, total, ..Totals::default() },
                vec![Leg { amount: total, tender }],
            ),
            customer: None,
            expires_in: Duration::from_secs(1800),
            idempotency: IdempotencyRow { route: "POST /v1/checkouts".to_owned(), key: id.to_string(), body_hash: "hash".to_owned() },
            queue: QueueEstimate { position: 0, estimated_wait_ms: 0 },
            id,
        }
    }

    fn line(&self, session: &CatalogueId, quantity: u32, seats: &[&str]) -> Line {
        let unit_amount = Amount::from_minor(1500);
        Line {
            id: LineId::generate(&self.entropy, SystemClock::default().now()),
            item: Item::Session {
                session: session.clone(),
                seats: seats.iter().map(|seat| (*seat).to_owned()).collect(),
                offer: None,
                participants: Vec::new(),
                pricing_plan: None,
                class: None,
            },
            name: "Yoga".to_owned(),
            quantity,
            unit_amount,
            amount: unit_amount.times(quantity).unwrap(),
            discount_amount: Amount::ZERO,
            tax_amount: Amount::ZERO,
        }
    }

    pub fn buy(&self, session: &CatalogueId, quantity: u32) -> NewCheckout {
        self.new_checkout(vec![self.line(session, quantity, &[])], Tender::card(Secret::new("tok_visa".to_owned())))
    }

    pub fn buy_seats(&self, session: &CatalogueId, seats: &[&str]) -> NewCheckout {
        let line = self.line(session, u32::try_from(seats.len()).unwrap(), seats);
        self.new_checkout(vec![line], Tender::card(Secret::new("tok_visa".to_owned())))
    }

    pub fn buy_product(&self, product: &CatalogueId, quantity: u32) -> NewCheckout {
        let line = Line { item: Item::Product { product: product.clone(), variant: None }, ..self.line(product, quantity, &[]) };
        self.new_checkout(vec![line], Tender::card(Secret::new("tok_visa".to_owned())))
    }

    /// A pack of so many credits for the customer, by card.
    pub fn buy_pack(&self, customer: &CustomerId, credits: u32) -> NewCheckout {
        let pack = CatalogueId::parse("mem_pack").unwrap();
        let line = self.line(&pack, 1, &[]);
        let terms = Terms { kind: MembershipType::Pack, credits: Some(credits), valid_for: Some(Span { count: 1, unit: Unit::Month }) };
        let item = Item::Membership { membership: pack, bought_membership: BoughtMembershipId::sold_by(&line.id), terms, time_zone: None };
        let mut new = self.new_checkout(vec![Line { item, ..line }], Tender::card(Secret::new("tok_visa".to_owned())));
        new.order.customer = Some(customer.clone());
        new
    }

    /// A plan for the customer, by card: of 30 days, so that time can be moved by whole periods. What it gives are packs of eight credits.
    pub fn buy_plan(&self, customer: &CustomerId, changes: &serde_json::Value) -> NewCheckout {
        let mut plan =
            serde_json::json!({"name": "Monthly", "unit_amount": 4900, "currency": "usd", "interval": "day", "interval_count": 30});
        plan.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let plan: Plan = serde_json::from_value(plan).unwrap();
        let pack = serde_json::json!({"name": "Eight", "unit_amount": 0, "currency": "usd", "type": "pack", "credits": 8});
        let pack = (CatalogueId::parse("mem_pack").unwrap(), serde_json::from_value(pack).unwrap());
        let shelf = Shelf { memberships: [pack].into(), ..Shelf::default() };
        let id = CatalogueId::parse("pln_1").unwrap();
        let line = self.line(&id, 1, &[]);
        let sold = plan_sale::sell(&plan, &id, &line.id, &shelf, SystemClock::default().now()).unwrap();
        let line = Line { item: sold.item, name: plan.name, unit_amount: sold.due, amount: sold.due, ..line };
        let mut new = self.new_checkout(vec![line], Tender::card(Secret::new("tok_visa".to_owned())));
        new.order.customer = Some(customer.clone());
        new
    }

    /// So many places for the customer, of which credits pay for `places`, and cash for the rest.
    pub fn buy_with_credits(&self, session: &CatalogueId, quantity: u32, customer: &CustomerId, bought: &str, places: u32) -> NewCheckout {
        self.with_credits(self.buy_cash(session, quantity), customer, bought, places)
    }

    /// The same checkout, of which credits pay for `places`.
    pub fn with_credits(&self, mut new: NewCheckout, customer: &CustomerId, bought: &str, places: u32) -> NewCheckout {
        let line = &new.order.lines[0];
        let paid = redeem::price(line, 0, places).unwrap();
        let bought_membership = BoughtMembershipId::parse(bought).unwrap();
        let tender = Tender::Membership { bought_membership, covers: vec![Cover { line: line.id.clone(), places }] };
        let rest = new.order.totals.total.minus(paid).unwrap();
        let mut legs = vec![Leg { amount: paid, tender }];
        if let (false, Some(money)) = (rest.is_zero(), new.order.legs.pop()) {
            legs.push(Leg { amount: rest, ..money });
        }
        (new.order.legs, new.order.customer) = (legs, Some(customer.clone()));
        new
    }

    /// The same checkout for the customer, whose balance pays `minor` of it.
    pub fn with_balance(&self, mut new: NewCheckout, customer: &CustomerId, minor: i64) -> NewCheckout {
        let paid = Amount::from_minor(minor);
        let rest = new.order.totals.total.minus(paid).unwrap();
        let mut legs = vec![Leg { amount: paid, tender: Tender::Balance {} }];
        if let (false, Some(money)) = (rest.is_zero(), new.order.legs.pop()) {
            legs.push(Leg { amount: rest, ..money });
        }
        (new.order.legs, new.order.customer) = (legs, Some(customer.clone()));
        new
    }

    pub fn buy_cash(&self, session: &CatalogueId, quantity: u32) -> NewCheckout {
        self.new_checkout(vec![self.line(session, quantity, &[])], Tender::Custom { name: "cash".to_owned(), note: None })
    }

    pub fn buy_with_promo(&self, session: &CatalogueId, code: &CatalogueId) -> NewCheckout {
        let mut new = self.buy(session, 1);
        new.order.promo_code = Some(code.clone());
        new.order.promo_uses_counted = true;
        new
    }

    pub fn with_new_id(&self, new: &NewCheckout) -> NewCheckout {
        NewCheckout { id: CheckoutId::generate(&self.entropy, SystemClock::default().now()), ..new.clone() }
    }
}
