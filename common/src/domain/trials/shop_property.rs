//! Shops at random: prices, taxes, promo codes, packs and prorated plans, several methods, refunds of lines and of amounts. Totals add up, the
//! ledger balances and says what the provider says, and credits and balances are conserved.

use super::shop::{Shop, give_everything_back, id};
use crate::domain::{checkout::Checkout, money::Amount, pricing::Shelf, refund::RefundAsk, state::Status, time_zone::TimeZone};
use proptest::prelude::*;
use serde_json::json;
use std::collections::HashMap;

/// What a tenant has put on sale.
#[derive(Debug, Clone)]
struct Tenant {
    prices: [i64; 4],
    taxes: [u32; 4],
    percent: Option<u32>,
    off: i64,
    off_for_all: bool,
    credits: u32,
    anchor: Option<u32>,
    zone: &'static str,
}

fn any_tenant() -> impl Strategy<Value = Tenant> {
    let prices = prop::array::uniform4(prop_oneof![1 => Just(0i64), 4 => 1i64..10_000, 1 => 1i64..1_000_000]);
    let taxes = prop::array::uniform4(prop_oneof![Just(0u32), Just(750), Just(1_900), 0u32..10_000]);
    let zones = prop::sample::select(vec!["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kathmandu"]);
    let promo = (prop::option::of(0u32..=10_000), 0i64..20_000, any::<bool>());
    (prices, taxes, promo, 1u32..8, prop::option::of(1u32..=31), zones).prop_map(|(prices, taxes, promo, credits, anchor, zone)| {
        let (percent, off, off_for_all) = promo;
        Tenant { prices, taxes, percent, off, off_for_all, credits, anchor, zone }
    })
}

impl Tenant {
    fn shelf(&self) -> Shelf {
        let priced = |at: usize, more: serde_json::Value| {
            let mut object = json!({"name": "Thing", "unit_amount": self.prices[at], "currency": "usd", "tax_rate_bp": self.taxes[at]});
            object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            object
        };
        let class = priced(0, json!({"starts_at": "2060-01-01T10:00:00Z", "capacity": 10_000, "compatible_memberships": ["pack"]}));
        let show = priced(1, json!({"starts_at": "2060-01-01T10:00:00Z", "capacity": 10_000}));
        let pack = priced(2, json!({"type": "pack", "credits": self.credits}));
        let proration = if self.anchor.is_some() { "first_period" } else { "none" };
        let plan = priced(3, json!({"interval": "month", "anchor_day": self.anchor, "proration": proration}));
        let applies_to = if self.off_for_all { json!([]) } else { json!(["class", "mat"]) };
        let promo = match self.percent {
            Some(bp) => json!({"percent_off_bp": bp, "applies_to": applies_to}),
            None => json!({"amount_off": self.off, "currency": "usd", "applies_to": applies_to}),
        };
        let read = |value| serde_json::from_value(value).unwrap();
        Shelf {
            sessions: HashMap::from([(id("class"), read(class)), (id("show"), serde_json::from_value(show).unwrap())]),
            products: HashMap::from([(id("mat"), serde_json::from_value(priced(1, json!({}))).unwrap())]),
            memberships: HashMap::from([(id("pack"), serde_json::from_value(pack).unwrap())]),
            plans: HashMap::from([(id("plan"), serde_json::from_value(plan).unwrap())]),
            promo_codes: HashMap::from([(id("CODE"), serde_json::from_value(promo).unwrap())]),
            time_zone: TimeZone::parse(self.zone).unwrap(),
        }
    }
}

/// One thing that somebody does.
#[derive(Debug, Clone)]
enum Move {
    /// Lines by kind and quantity; with the code; shares that card, balance and cash take before the last method pays the rest; which
    /// charges are declined.
    Buy { lines: Vec<(u8, u32)>, promo: bool, methods: Vec<(u8, i64)>, declines: u8 },
    /// Of a sale: an amount in hundredths of what was paid, or lines; whether places come free, and credits are kept; whether the provider
    /// says no.
    Refund { sale: usize, part: Option<i64>, lines: u8, free: Option<bool>, keep: bool, declined: bool },
}

fn any_move() -> impl Strategy<Value = Move> {
    let lines = prop::collection::vec((0u8..5, 1u32..4), 1..5);
    let methods = prop::collection::vec((0u8..5, 1i64..3_000), 1..5);
    let declines = prop_oneof![4 => Just(0u8), 1 => any::<u8>()];
    let free = (prop::option::of(any::<bool>()), any::<bool>());
    let refund = (any::<prop::sample::Index>(), prop::option::of(0i64..=100), 0u8..32, free, any::<bool>());
    prop_oneof![
        3 => (lines, any::<bool>(), methods, declines).prop_map(|(lines, promo, methods, declines)| Move::Buy { lines, promo, methods, declines }),
        2 => refund.prop_map(|(sale, part, lines, (free, keep), declined)| Move::Refund { sale: sale.index(64), part, lines, free, keep, declined }),
    ]
}

fn play(tenant: &Tenant, moves: &[Move]) -> [u32; 4] {
    let mut shop = Shop::of(tenant.shelf());
    let mut seen = [0; 4];
    for step in moves {
        match step {
            Move::Buy { lines, promo, methods, declines } => {
                seen[0] += u32::from(shop.buy(lines, *promo, methods, *declines));
            }
            Move::Refund { sale, part, lines, free, keep, declined } => {
                let Some(at) = sale.checked_rem(shop.sales.len()) else { continue };
                let of = &shop.sales[at];
                let amount = part.map(|part| Amount::from_minor(of.amount_paid.minor() * part / 100));
                let lines =
                    of.order.lines.iter().enumerate().filter(|(at, _)| lines >> at & 1 == 1).map(|(_, line)| line.id.clone()).collect();
                let ask = RefundAsk { amount, lines, release_seats: *free, keep_credits: *keep, ..RefundAsk::default() };
                seen[1] += u32::from(shop.refund(at, &ask, *declined));
            }
        }
        shop.check();
    }
    let of_legs = |sale: &&Checkout| sale.status == Status::Succeeded && sale.order.legs.len() > 1;
    seen[2] = u32::try_from(shop.sales.iter().filter(of_legs).count()).unwrap();
    seen[3] = shop.packs.iter().map(|pack| shop.used(pack)).sum();
    give_everything_back(&mut shop);
    seen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_whatever_shop_totals_add_up_the_ledger_balances_and_credits_are_conserved(tenant in any_tenant(), moves in prop::collection::vec(any_move(), 1..14)) {
        play(&tenant, &moves);
    }
}

/// That the shop above does sell, in several ways at once, with credits, and gives back: a model that refuses everything proves nothing.
#[test]
fn the_random_shop_sells_splits_redeems_and_refunds() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut seen = [0; 4];
    for _ in 0..300 {
        let one = (any_tenant(), prop::collection::vec(any_move(), 1..14)).new_tree(&mut runner).unwrap().current();
        play(&one.0, &one.1).into_iter().zip(&mut seen).for_each(|(more, sum)| *sum += more);
    }
    assert!(seen.iter().all(|&times| times > 50), "sales, refunds, sales by several methods, credits: {seen:?}");
}
