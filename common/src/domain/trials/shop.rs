//! A whole shop in memory: what is on sale, a customer with a balance and a pack who pays in several ways, a provider with a book of its own,
//! and what must hold after every sale and every refund.

use super::balance::Purse;
use crate::domain::{
    attempt::{AttemptKind, Decline, MoneyRequest, Outcome, Receipt},
    begin::{self, Begin, Begun},
    bought_membership::{BoughtMembership, Spendable},
    catalogue::Kind,
    checkout::Checkout,
    claim::{ClaimState, NewClaim, StockKey, StockLevel},
    effects::{ClaimChange, Effects},
    eligibility::World,
    id::{BoughtMembershipId, CatalogueId, CheckoutId, CustomerId, Entropy, RefundId},
    leg::Tender,
    membership::MembershipType,
    money::{Amount, Currency},
    order::Order,
    plan_sale,
    pricing::{self, Cart, CartItem, CartLine, Shelf},
    redeem::{self, Redeeming, Whose},
    refund::{self, RefundAsk, RefundStatus},
    refund_membership,
    scope::{Mode, Scope},
    secret::Secret,
    settle::{self, Settlement},
    state::Status,
    tender::{self, Asked},
    time::Timestamp,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// The customer's balance in the beginning.
const GIVEN: i64 = 500_000;

pub(super) fn id(text: &str) -> CatalogueId {
    CatalogueId::parse(text).unwrap()
}

fn usd() -> Currency {
    Currency::parse("usd").unwrap()
}

/// A pack that the customer has from the beginning.
fn brought_along() -> BoughtMembership {
    BoughtMembership {
        id: BoughtMembershipId::parse("bmb_old").unwrap(),
        customer: Shop::ada(),
        membership: id("pack"),
        kind: MembershipType::Pack,
        credits: Some(12),
        valid_from: Timestamp::from_millis(0),
        valid_until: None,
        period: 1,
        period_from: Timestamp::from_millis(0),
        frozen: None,
        ended_at: None,
        sold_by: None,
        metadata: serde_json::Map::new(),
        created_at: NOW,
        updated_at: NOW,
    }
}

/// The shop's books, and the world outside.
pub(super) struct Shop {
    shelf: Shelf,
    entropy: Entropy,
    pub(super) sales: Vec<Checkout>,
    books: BTreeMap<String, i64>,
    claims: Vec<NewClaim>,
    pub(super) packs: Vec<BoughtMembership>,
    purse: Purse,
    /// What the provider took and did not give back.
    taken: i64,
    workers: u32,
}

impl Shop {
    pub(super) fn of(shelf: Shelf) -> Self {
        let (sales, books, claims, taken, workers) = Default::default();
        let packs = vec![brought_along()];
        Self { shelf, entropy: Entropy::from_seed(11), sales, books, claims, packs, purse: Purse::with(GIVEN), taken, workers }
    }

    fn scope() -> Scope {
        Scope::new("studio", Mode::Test).unwrap()
    }

    fn ada() -> CustomerId {
        CustomerId::parse("cus_ada").unwrap()
    }

    pub(super) fn used(&self, pack: &BoughtMembership) -> u32 {
        let live = self.claims.iter().filter(|claim| claim.stock.id == pack.id.in_stock() && claim.state != ClaimState::Released);
        live.map(|claim| claim.quantity).sum()
    }

    fn spendable(&self) -> Vec<Spendable> {
        let of = |pack: &BoughtMembership| Spendable { bought: pack.clone(), left: pack.credits.map(|all| all - self.used(pack)) };
        self.packs.iter().map(of).collect()
    }

    /// The methods as a client names them; packs only where there is one.
    fn asked(&self, methods: &[(u8, i64)]) -> Vec<Asked> {
        let last = methods.len() - 1;
        let packs = || self.packs.iter().filter(|pack| pack.ended_at.is_none()).map(|pack| pack.id.clone());
        let method = |(at, &(kind, amount)): (usize, &(u8, i64))| {
            let tender = match kind {
                0 => Tender::Balance {},
                1 => Tender::Custom { name: "cash".to_owned(), note: None },
                2 => packs()
                    .nth(at)
                    .map_or(Tender::Balance {}, |bought_membership| Tender::Membership { bought_membership, covers: Vec::new() }),
                _ => Tender::card(Secret::new("tok_visa".to_owned())),
            };
            let named = at != last && !matches!(tender, Tender::Membership { .. });
            Asked { tender, amount: named.then(|| Amount::from_minor(amount)), param: format!("payment.methods[{at}]") }
        };
        methods.iter().enumerate().map(method).collect()
    }

    /// A checkout that the intake would take in; nothing where it would not.
    fn order(&self, lines: &[(u8, u32)], promo: bool, methods: &[(u8, i64)]) -> Option<Checkout> {
        let line = |&(kind, quantity): &(u8, u32)| {
            let places = |session| CartItem::Session {
                session: id(session),
                seats: Vec::new(),
                offer: None,
                participants: Vec::new(),
                pricing_plan: None,
            };
            let (item, quantity, unit_amount) = match kind {
                0 => (places("class"), quantity, None),
                1 => (places("show"), quantity, None),
                2 => (CartItem::Product { product: id("mat"), variant: None }, quantity, None),
                3 => (CartItem::Membership { membership: id("pack") }, 1, None),
                _ if quantity == 3 => (CartItem::Plan { plan: id("plan") }, 1, None),
                _ => (CartItem::Custom { name: "Hire".to_owned(), about: Default::default() }, quantity, Some(Amount::from_minor(333))),
            };
            CartLine { item, quantity, unit_amount, total_amount: None }
        };
        let cart = Cart { currency: usd(), lines: lines.iter().map(line).collect(), promo_code: promo.then(|| id("CODE")) };
        let priced = pricing::price(&cart, &self.shelf, NOW, &self.entropy).ok()?;
        let total = priced.totals.total;
        let sums = |of: fn(&crate::domain::line::Line) -> Amount| priced.lines.iter().map(|line| of(line).minor()).sum::<i64>();
        let (subtotal, discount, tax) = (sums(|line| line.amount), sums(|line| line.discount_amount), sums(|line| line.tax_amount));
        assert_eq!(total.minor(), subtotal - discount + tax, "the lines come to the total");
        let mut asked = self.asked(methods);
        plan_sale::check_payment(&priced.lines, Some(&asked)).ok()?;
        let bought = self.spendable();
        let (sessions, ada) = (&self.shelf.sessions, Self::ada());
        let on = Redeeming { lines: &priced.lines, sessions, bought: &bought, buyer: Whose::Known(&ada), now: NOW };
        redeem::cover(&mut asked, &on).ok()?;
        let legs = tender::legs(&asked, total).ok()?;
        assert_eq!(legs.iter().map(|leg| leg.amount.minor()).sum::<i64>(), total.minor(), "the methods pay the total");
        let order = Order { customer: Some(ada), promo_code: priced.promo_code, ..Order::of(usd(), priced.lines, priced.totals, legs) };
        let expires_at = NOW.after(Duration::from_secs(1_800));
        Some(Checkout::queued(CheckoutId::generate(&self.entropy, NOW), Self::scope(), order, NOW, expires_at))
    }

    fn world(&self, checkout: &Checkout) -> World {
        let key = |kind, id: &CatalogueId| StockKey { scope: Self::scope(), kind, id: id.clone() };
        let level = |key: StockKey, capacity, taken| (key.clone(), StockLevel { key, capacity, taken, version: 1 });
        let mut world = World { now: NOW, balances: self.purse.available(checkout), ..World::default() };
        for (id, session) in &self.shelf.sessions {
            world.sessions.insert(key(Kind::Session, id), Arc::new(session.clone()));
            world.stock.extend([level(key(Kind::Session, id), 10_000, 0)]);
        }
        for pack in &self.packs {
            let key = key(Kind::BoughtMembership, &pack.id.in_stock());
            world.stock.extend([level(key.clone(), pack.credits.unwrap(), self.used(pack))]);
            world.bought.insert(key, pack.clone());
        }
        world
    }

    /// Workers go on with a checkout until it rests; `says_no` to its n-th charge, or refund.
    fn work(&mut self, mut checkout: Checkout, says_no: impl Fn(AttemptKind, u32) -> bool) -> Checkout {
        for _ in 0..60 {
            self.workers += 1;
            let lease_token = format!("worker {}", self.workers);
            let (lease_for, key_window) = (Duration::from_secs(30), Duration::from_secs(3_600));
            let ask = Begin {
                checkout: checkout.id.clone(),
                lease_token: lease_token.clone(),
                lease_for,
                routing: crate::domain::routing::to_the_sandbox(),
                key_window,
            };
            let n = match begin::begin(checkout.clone(), &ask, &mut self.world(&checkout), NOW, &self.entropy).unwrap() {
                Begun::Done | Begun::Busy(_) => return checkout,
                Begun::Moved(effects) => {
                    checkout = self.apply(*effects);
                    continue;
                }
                Begun::Act { effects, n, .. } => {
                    checkout = self.apply(*effects);
                    n
                }
            };
            let request = checkout.attempts.iter().find(|attempt| attempt.n == n).unwrap().request.clone();
            let outcome = self.provide(&request, says_no(request.kind, n));
            let what = Settlement {
                checkout: ask.checkout,
                n,
                lease_token,
                outcome,
                retry_in: Duration::ZERO,
                routing: crate::domain::routing::to_the_sandbox(),
                is_last_look: false,
                known: None,
            };
            let effects = settle::settle(checkout, &what, NOW, &self.entropy).unwrap().unwrap();
            checkout = self.apply(effects);
        }
        panic!("it never rests: {checkout:#?}");
    }

    fn provide(&mut self, request: &MoneyRequest, says_no: bool) -> Outcome {
        let receipt = Receipt::of("ref_1".to_owned(), request.amount, request.currency);
        let can_refuse = matches!(request.kind, AttemptKind::Charge | AttemptKind::Refund);
        if says_no && can_refuse {
            return Outcome::Declined(Decline::new("no".to_owned(), "no".to_owned(), None));
        }
        match request.kind {
            AttemptKind::Charge if request.capture_later => return Outcome::Authorized(receipt),
            AttemptKind::Charge | AttemptKind::Capture => self.taken += request.amount.minor(),
            AttemptKind::Refund => self.taken -= request.amount.minor(),
            AttemptKind::Void => {}
        }
        Outcome::Approved(receipt)
    }

    /// Writes what a transition says, as the store does.
    fn apply(&mut self, effects: Effects) -> Checkout {
        for transaction in &effects.ledger {
            assert!(transaction.is_balanced(), "{transaction:?}");
            for entry in &transaction.entries {
                *self.books.entry(entry.account.clone()).or_default() += entry.amount.minor();
            }
        }
        self.purse.apply(&effects);
        let checkout = &effects.checkout;
        let own = self.claims.iter_mut().filter(|claim| claim.checkout == checkout.id);
        match &effects.claims {
            ClaimChange::Keep => {}
            ClaimChange::Insert(claims) => self.claims.extend(claims.iter().cloned()),
            ClaimChange::Sell => own.filter(|claim| claim.state == ClaimState::Held).for_each(|claim| claim.state = ClaimState::Sold),
            ClaimChange::Release => {
                own.filter(|claim| claim.state == ClaimState::Held).for_each(|claim| claim.state = ClaimState::Released)
            }
            ClaimChange::GiveBack(lines) => {
                let is_given = |claim: &&mut NewClaim| claim.line.as_ref().is_some_and(|line| lines.contains(line));
                own.filter(is_given).for_each(|claim| claim.state = ClaimState::Released);
            }
            ClaimChange::FreePlaces(lines) => {
                let is_given = |claim: &&mut NewClaim| claim.line.as_ref().is_some_and(|line| lines.contains(line));
                let is_place = |claim: &&mut NewClaim| claim.stock.kind != Kind::BoughtMembership;
                own.filter(is_given).filter(is_place).for_each(|claim| claim.state = ClaimState::Released);
            }
        }
        self.packs.extend(effects.bought.iter().cloned());
        for (id, ended) in &effects.ended {
            self.packs.iter_mut().filter(|pack| pack.id == *id).for_each(|pack| pack.ended_at = *ended);
        }
        effects.checkout
    }

    pub(super) fn buy(&mut self, lines: &[(u8, u32)], promo: bool, methods: &[(u8, i64)], declines: u8) -> bool {
        let Some(queued) = self.order(lines, promo, methods) else { return false };
        let done = self.work(queued, |kind, n| kind == AttemptKind::Charge && n <= 8 && declines >> (n - 1) & 1 == 1);
        assert!(matches!(done.status, Status::Succeeded | Status::Failed), "{done:#?}");
        let is_held = |claim: &NewClaim| claim.checkout == done.id && claim.state == ClaimState::Held;
        assert!(!self.claims.iter().any(is_held), "nothing is held behind the end");
        let sold = done.status == Status::Succeeded;
        assert_eq!(done.amount_paid.minor() - done.amount_refunded.minor(), if sold { done.order.totals.total.minor() } else { 0 });
        self.sales.push(done);
        sold
    }

    pub(super) fn refund(&mut self, at: usize, ask: &RefundAsk, declined: bool) -> bool {
        let sale = self.sales[at].clone();
        let id = RefundId::generate(&self.entropy, NOW);
        let Ok(effects) = refund::open(sale, &id, ask, NOW, &self.entropy).unwrap() else { return false };
        let taken = self.packs.iter().map(|pack| (pack.id.in_stock(), self.used(pack))).collect();
        if refund_membership::check_unused(&effects, ask, &taken).is_err() {
            return false;
        }
        let opened = self.apply(effects);
        self.sales[at] = self.work(opened, |_, _| declined);
        let refund = self.sales[at].refunds.last().unwrap();
        assert_ne!((refund.status, refund.error.is_some()), (RefundStatus::Failed, false));
        assert!(declined || refund.status == RefundStatus::Succeeded, "{refund:?}");
        true
    }

    /// What must hold after every move.
    pub(super) fn check(&self) {
        let book = |account: &str| self.books.get(account).copied().unwrap_or_default();
        assert_eq!(self.books.values().sum::<i64>(), 0, "debits and credits");
        assert_eq!((book("provider:sandbox"), book("tender:balance")), (self.taken, self.purse.spent()), "as others see it");
        assert_eq!((book("refunds_pending"), book("unapplied"), self.purse.held()), (0, 0, 0), "all of it has come to rest");
        let (mut kept, mut by_method) = (0, BTreeMap::<String, i64>::new());
        for sale in &self.sales {
            let (paid, back) = (sale.amount_paid.minor(), sale.amount_refunded.minor());
            assert!((0..=paid).contains(&back), "{back} of {paid}");
            kept += paid - back;
            let given = |leg: usize| {
                let parts = sale.refunds.iter().flat_map(|refund| &refund.parts).filter(move |part| part.leg == leg);
                parts.filter(|part| part.status == RefundStatus::Succeeded).map(|part| part.amount.minor()).sum::<i64>()
            };
            if sale.status == Status::Succeeded {
                for (at, leg) in sale.order.legs.iter().enumerate() {
                    assert!((0..=leg.amount.minor()).contains(&given(at)), "a method gets back what it paid at the most: {sale:#?}");
                    *by_method.entry(leg.account("sandbox")).or_default() += leg.amount.minor() - given(at);
                }
                assert_eq!((0..sale.order.legs.len()).map(given).sum::<i64>(), back);
            }
            for refund in &sale.refunds {
                assert_eq!(
                    refund.parts.iter().map(|part| part.amount.minor()).sum::<i64>(),
                    refund.amount.minor(),
                    "its parts are all of it"
                );
            }
        }
        for (account, amount) in &by_method {
            assert_eq!(book(account), *amount, "{account}");
        }
        let earned = book("revenue") + book("memberships") + book("tax") + book("discounts");
        assert_eq!(-earned, kept, "what was paid and kept is what was earned or is owed");
        for pack in &self.packs {
            assert!(self.used(pack) <= pack.credits.unwrap(), "no credit is spent twice");
        }
        let covered = |sale: &Checkout| -> u32 {
            let covers = sale
                .order
                .legs
                .iter()
                .filter_map(|leg| if let Tender::Membership { covers, .. } = &leg.tender { Some(covers) } else { None });
            let freed = |line| {
                let gave = |refund: &&refund::Refund| refund.status == RefundStatus::Succeeded && !refund.keep_credits;
                sale.refunds.iter().filter(gave).any(|refund| refund.freed(sale).any(|one| one.id == line))
            };
            covers.flatten().filter(|cover| sale.status == Status::Succeeded && !freed(cover.line.clone())).map(|cover| cover.places).sum()
        };
        let used: u32 = self.packs.iter().map(|pack| self.used(pack)).sum();
        assert_eq!(
            used,
            self.sales.iter().map(covered).sum::<u32>(),
            "a credit is used for each place that is paid with one, and comes back with it"
        );
    }
}

/// Whoever gets all of it back has paid nothing: no method keeps anything, and no place or credit is taken.
pub(super) fn give_everything_back(shop: &mut Shop) {
    // Sales that were paid with a pack first: a pack whose credits are used goes back for an amount that is said.
    for at in (0..shop.sales.len()).rev() {
        let ask = RefundAsk { release_seats: Some(true), ..RefundAsk::default() };
        if shop.sales[at].status == Status::Succeeded && shop.refund(at, &ask, false) {
            shop.check();
            let sale = &shop.sales[at];
            assert_eq!(sale.amount_refunded, sale.amount_paid);
            let is_left = |claim: &NewClaim| claim.checkout == sale.id && claim.line.is_some() && claim.state != ClaimState::Released;
            assert!(!shop.claims.iter().any(|claim| is_left(claim) && matches!(claim.stock.kind, Kind::Session | Kind::BoughtMembership)));
        }
    }
}
