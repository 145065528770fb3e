//! What pricing promises.

use super::*;
use proptest::prelude::*;
use serde_json::json;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn id(text: &str) -> CatalogueId {
    CatalogueId::parse(text).unwrap()
}

fn usd() -> Currency {
    Currency::parse("usd").unwrap()
}

fn shelf() -> Shelf {
    let session = |value| serde_json::from_value::<Session>(value).unwrap();
    let product = |value| serde_json::from_value::<Product>(value).unwrap();
    let start = "2030-01-01T10:00:00Z";
    Shelf {
        sessions: HashMap::from([
            (
                id("yoga"),
                session(
                    json!({"name": "Yoga", "starts_at": start, "capacity": 20, "unit_amount": 1500, "currency": "usd", "tax_rate_bp": 750}),
                ),
            ),
            (
                id("gala"),
                session(json!({"name": "Gala", "starts_at": start, "seats": ["A1", "A2", "A3"], "unit_amount": 5000, "currency": "usd"})),
            ),
            (id("tokyo"), session(json!({"name": "Tokyo", "starts_at": start, "capacity": 20, "unit_amount": 1500, "currency": "jpy"}))),
            (id("broken"), session(json!({"name": "Broken", "starts_at": start, "capacity": 20, "unit_amount": -5, "currency": "usd"}))),
        ]),
        products: HashMap::from([
            (id("mat"), product(json!({"name": "Mat", "unit_amount": 2500, "currency": "usd"}))),
            (id("gone"), product(json!({"name": "Gone", "unit_amount": 2500, "currency": "usd", "active": false}))),
            (
                id("shirt"),
                product(json!({"name": "Shirt", "unit_amount": 2000, "currency": "usd",
                "variants": [{"id": "s", "name": "Small"}, {"id": "xl", "name": "Extra large", "unit_amount": 2300}]})),
            ),
        ]),
        memberships: HashMap::from([(
            id("pack"),
            serde_json::from_value(
                json!({"name": "Ten", "unit_amount": 12_000, "currency": "usd", "tax_rate_bp": 1000, "type": "pack", "credits": 10}),
            )
            .unwrap(),
        )]),
        promo_codes: HashMap::new(),
        ..Shelf::default()
    }
}

fn with_promo(promo: serde_json::Value) -> Shelf {
    Shelf { promo_codes: HashMap::from([(id("CODE"), serde_json::from_value(promo).unwrap())]), ..shelf() }
}

fn session(name: &str, seats: &[&str], quantity: u32) -> CartLine {
    let seats = seats.iter().map(|seat| (*seat).to_owned()).collect();
    CartLine {
        item: CartItem::Session { session: id(name), seats, offer: None, participants: Vec::new(), pricing_plan: None },
        quantity,
        unit_amount: None,
        total_amount: None,
    }
}

fn product(name: &str, variant: Option<&str>, quantity: u32) -> CartLine {
    CartLine { item: CartItem::Product { product: id(name), variant: variant.map(id) }, quantity, unit_amount: None, total_amount: None }
}

fn custom(name: &str, quantity: u32, unit_amount: i64) -> CartLine {
    CartLine {
        item: CartItem::Custom { name: name.to_owned(), about: Default::default() },
        quantity,
        unit_amount: Some(Amount::from_minor(unit_amount)),
        total_amount: None,
    }
}

fn cart(lines: Vec<CartLine>) -> Cart {
    Cart { currency: usd(), lines, promo_code: None }
}

fn with_code(lines: Vec<CartLine>) -> Cart {
    Cart { promo_code: Some(id("CODE")), ..cart(lines) }
}

fn run(cart: &Cart, shelf: &Shelf) -> Result<Priced, CodedError> {
    price(cart, shelf, NOW, &Entropy::from_seed(7))
}

fn refusal(lines: Vec<CartLine>) -> (Code, String) {
    let error = run(&cart(lines), &shelf()).unwrap_err();
    (error.code, error.param.unwrap())
}

fn promo_refusal(promo: serde_json::Value) -> (Code, String) {
    let error = run(&with_code(vec![session("yoga", &[], 2)]), &with_promo(promo)).unwrap_err();
    (error.code, error.param.unwrap())
}

#[test]
fn a_cart_is_priced_from_the_catalogue() {
    let lines =
        vec![session("gala", &["A1", "A2"], 2), session("yoga", &[], 2), product("shirt", Some("xl"), 1), custom("Shoe hire", 3, 500)];
    let priced = run(&cart(lines), &shelf()).unwrap();
    let shown: Vec<_> =
        priced.lines.iter().map(|line| (line.name.as_str(), line.quantity, line.amount.minor(), line.tax_amount.minor())).collect();
    assert_eq!(shown, [("Gala", 2, 10_000, 0), ("Yoga", 2, 3_000, 225), ("Shirt, Extra large", 1, 2_300, 0), ("Shoe hire", 3, 1_500, 0)]);
    let totals = priced.totals;
    assert_eq!((totals.subtotal.minor(), totals.discount.minor(), totals.tax.minor(), totals.total.minor()), (16_800, 0, 225, 17_025));
    assert_eq!((priced.promo_code, priced.promo_uses_counted), (None, false));
    let ids: HashSet<_> = priced.lines.iter().map(|line| line.id.clone()).collect();
    assert_eq!(ids.len(), 4);
}

fn pack(quantity: u32) -> CartLine {
    CartLine { item: CartItem::Membership { membership: id("pack") }, quantity, unit_amount: None, total_amount: None }
}

#[test]
fn a_membership_is_priced_with_its_terms_and_the_id_that_it_will_have() {
    let priced = run(&cart(vec![pack(1), pack(1)]), &shelf()).unwrap();
    assert_eq!((priced.totals.total.minor(), priced.lines[0].tax_amount.minor()), (26_400, 1_200));
    let sold = |line: &Line| match &line.item {
        Item::Membership { bought_membership, terms, .. } => (bought_membership.clone(), terms.credits),
        other => panic!("{other:?}"),
    };
    let (first, second) = (sold(&priced.lines[0]), sold(&priced.lines[1]));
    assert_eq!((first.1, first.0 == second.0, first.0.is_ours()), (Some(10), false, true));
    assert_eq!(refusal(vec![pack(2)]), (Code::ParameterInvalid, "lines[0].quantity".to_owned()));
}

#[test]
fn each_thing_is_wanted_once() {
    let lines = vec![session("yoga", &[], 1), session("yoga", &[], 2), product("mat", None, 1), custom("x", 1, 1)];
    assert_eq!(with_code(lines).wanted(), [(Kind::Session, id("yoga")), (Kind::Product, id("mat")), (Kind::PromoCode, id("CODE"))]);
}

#[test]
fn what_is_not_said_about_the_quantity_is_one_or_the_seats() {
    assert_eq!(session("gala", &["A1", "A2"], 0).item.default_quantity(), 2);
    assert_eq!(session("yoga", &[], 0).item.default_quantity(), 1);
    assert_eq!(product("mat", None, 0).item.default_quantity(), 1);
}

#[test]
fn a_right_echo_passes_and_a_wrong_one_is_told_the_right_price() {
    let line = |echo| CartLine { unit_amount: Some(Amount::from_minor(echo)), ..session("yoga", &[], 1) };
    assert!(run(&cart(vec![line(1500)]), &shelf()).is_ok());
    let error = run(&cart(vec![line(1400)]), &shelf()).unwrap_err();
    assert_eq!((error.code, error.param.as_deref()), (Code::PriceMismatch, Some("lines[0].unit_amount")));
    assert!(error.message.contains("1500") && error.message.contains("15.00 usd"), "{}", error.message);
}

/// A place under the pricing plan.
fn under(plan: &str, quantity: u32) -> CartLine {
    let mut line = session("ballet", &[], quantity);
    if let CartItem::Session { pricing_plan, .. } = &mut line.item {
        *pricing_plan = Some(id(plan));
    }
    line
}

fn with_ballet(child: i64) -> Shelf {
    let mut shelf = shelf();
    let ballet = json!({"name": "Ballet", "starts_at": "2030-01-01T10:00:00Z", "capacity": 20, "unit_amount": 1500, "currency": "usd", "tax_rate_bp": 1000,
        "pricing_plans": [{"id": "adult", "name": "Adult term", "unit_amount": 9000}, {"id": "child", "name": "Child", "unit_amount": child}]});
    shelf.sessions.insert(id("ballet"), serde_json::from_value(ballet).unwrap());
    shelf
}

#[test]
fn a_place_under_a_pricing_plan_has_its_price_and_its_name() {
    let shelf = with_ballet(4000);
    let priced = run(&cart(vec![under("adult", 1), under("child", 2), session("ballet", &[], 1)]), &shelf).unwrap();
    let shown: Vec<_> = priced.lines.iter().map(|line| (line.name.as_str(), line.amount.minor(), line.tax_amount.minor())).collect();
    assert_eq!(shown, [("Ballet, Adult term", 9_000, 900), ("Ballet, Child", 8_000, 800), ("Ballet", 1_500, 150)]);
    let plan = |line: &Line| serde_json::to_value(line).unwrap()["pricing_plan"].clone();
    assert_eq!([plan(&priced.lines[0]), plan(&priced.lines[2])], [json!("adult"), json!(null)]);
    let echo = |amount| CartLine { unit_amount: Some(Amount::from_minor(amount)), ..under("child", 1) };
    assert!(run(&cart(vec![echo(4000)]), &shelf).is_ok());
    assert_eq!(run(&cart(vec![echo(1500)]), &shelf).unwrap_err().code, Code::PriceMismatch);
    let unknown = run(&cart(vec![under("senior", 1)]), &shelf).unwrap_err();
    assert_eq!((unknown.code, unknown.param.as_deref()), (Code::ResourceMissing, Some("lines[0].pricing_plan")));
}

#[test]
fn what_a_line_comes_to_may_be_echoed_with_its_discount_and_tax() {
    let at = |total| CartLine { total_amount: Some(Amount::from_minor(total)), ..session("yoga", &[], 2) };
    let plain = run(&cart(vec![session("yoga", &[], 2)]), &shelf()).unwrap();
    let right = plain.lines[0].total().unwrap();
    assert_eq!(right, plain.totals.total);
    assert!(run(&cart(vec![at(right.minor())]), &shelf()).is_ok());
    let error = run(&cart(vec![custom("x", 1, 1), at(right.minor() - 1)]), &shelf()).unwrap_err();
    assert_eq!((error.code, error.param.as_deref()), (Code::PriceMismatch, Some("lines[1].total_amount")));
    assert!(error.message.contains(&right.to_string()), "{}", error.message);
}

#[test]
fn what_cannot_be_bought_is_refused_at_its_field() {
    use Code::*;
    let at = |code, param: &str| (code, param.to_owned());
    assert_eq!(refusal(vec![]), at(ParameterInvalid, "lines"));
    assert_eq!(refusal(vec![custom("x", 1, 1); 51]), at(ParameterInvalid, "lines"));
    assert_eq!(refusal(vec![session("nope", &[], 1)]), at(ResourceMissing, "lines[0].session"));
    assert_eq!(refusal(vec![custom("x", 1, 1), product("nope", None, 1)]), at(ResourceMissing, "lines[1].product"));
    assert_eq!(refusal(vec![product("gone", None, 1)]), at(ResourceMissing, "lines[0].product"));
    assert_eq!(refusal(vec![product("shirt", None, 1)]), at(ParameterInvalid, "lines[0].variant"));
    assert_eq!(refusal(vec![product("shirt", Some("m"), 1)]), at(ResourceMissing, "lines[0].variant"));
    assert_eq!(refusal(vec![product("mat", Some("m"), 1)]), at(ResourceMissing, "lines[0].variant"));
    assert_eq!(refusal(vec![session("tokyo", &[], 1)]), at(CurrencyMismatch, "lines[0]"));
    assert_eq!(refusal(vec![session("broken", &[], 1)]), at(AmountOutOfRange, "lines[0]"));
    assert_eq!(refusal(vec![session("yoga", &[], 0)]), at(ParameterInvalid, "lines[0].quantity"));
    assert_eq!(refusal(vec![session("yoga", &[], 1001)]), at(ParameterInvalid, "lines[0].quantity"));
    assert_eq!(refusal(vec![custom("", 1, 1)]), at(ParameterInvalid, "lines[0].name"));
    assert_eq!(refusal(vec![custom(&"é".repeat(201), 1, 1)]), at(ParameterInvalid, "lines[0].name"));
    assert_eq!(refusal(vec![custom("x", 1, -1)]), at(ParameterInvalid, "lines[0].unit_amount"));
    assert_eq!(refusal(vec![CartLine { unit_amount: None, ..custom("x", 1, 1) }]), at(ParameterInvalid, "lines[0].unit_amount"));
    assert_eq!(refusal(vec![custom("x", 2, 600_000_000_000)]), at(AmountOutOfRange, "lines[0]"));
    assert_eq!(refusal(vec![custom("x", 1, 600_000_000_000), custom("y", 1, 600_000_000_000)]), at(AmountOutOfRange, "lines"));
    assert_eq!(refusal(vec![custom("x", 1, i64::MAX)]), at(AmountOutOfRange, "lines[0]"));
}

#[test]
fn named_seats_must_exist_once_and_agree_with_the_quantity() {
    let at = |code, param: &str| (code, param.to_owned());
    assert_eq!(refusal(vec![session("gala", &[], 1)]), at(Code::ParameterInvalid, "lines[0].seats"));
    assert_eq!(refusal(vec![session("yoga", &["A1"], 1)]), at(Code::ParameterInvalid, "lines[0].seats"));
    assert_eq!(refusal(vec![session("gala", &["A1", "Z9", "Z8"], 3)]), at(Code::ResourceMissing, "lines[0].seats[1]"));
    assert_eq!(refusal(vec![session("gala", &["A1", "A1"], 2)]), at(Code::ParameterInvalid, "lines[0].seats[1]"));
    let twice = vec![session("gala", &["A1"], 1), session("gala", &["A2", "A1"], 2)];
    assert_eq!(refusal(twice), at(Code::ParameterInvalid, "lines[1].seats[1]"));
    assert_eq!(refusal(vec![session("gala", &["A1", "A2"], 3)]), at(Code::ParameterInvalid, "lines[0].quantity"));
}

#[test]
fn a_promo_code_that_cannot_be_used_is_refused() {
    let refused = (Code::PromoCodeInvalid, "promo_code".to_owned());
    let error = run(&with_code(vec![session("yoga", &[], 1)]), &shelf()).unwrap_err();
    assert_eq!((error.code, error.param.unwrap()), refused);
    for promo in [
        json!({"percent_off_bp": 1000, "active": false}),
        json!({"percent_off_bp": 1000, "starts_at": "2099-01-01T00:00:00Z"}),
        json!({"percent_off_bp": 1000, "ends_at": NOW}),
        json!({"percent_off_bp": 1000, "currency": "eur"}),
        json!({"percent_off_bp": 1000, "applies_to": ["mat"]}),
        json!({"amount_off": 100, "currency": "eur"}),
        json!({"amount_off": 100}),
        json!({}),
        json!({"amount_off": 100, "currency": "usd", "percent_off_bp": 1}),
    ] {
        assert_eq!(promo_refusal(promo.clone()), refused, "{promo}");
    }
}

#[test]
fn a_part_off_only_touches_the_lines_that_it_is_for() {
    let shelf = with_promo(json!({"percent_off_bp": 1000, "applies_to": ["yoga"], "max_uses": 5, "starts_at": NOW}));
    let priced = run(&with_code(vec![session("yoga", &[], 2), product("mat", None, 1), custom("x", 1, 100)]), &shelf).unwrap();
    let discounts: Vec<_> = priced.lines.iter().map(|line| line.discount_amount.minor()).collect();
    assert_eq!(discounts, [300, 0, 0]);
    // 7.5 % of 27.00: tax is on what is left.
    assert_eq!(priced.lines[0].tax_amount.minor(), 203);
    assert!(priced.promo_uses_counted);
    assert_eq!(priced.promo_code, Some(id("CODE")));
}

#[test]
fn an_amount_off_is_never_more_than_the_lines_and_splits_by_largest_remainder() {
    let off = |amount: i64, lines| run(&with_code(lines), &with_promo(json!({"amount_off": amount, "currency": "usd"}))).unwrap();
    let priced = off(99_999, vec![custom("x", 1, 100), custom("y", 1, 0)]);
    assert_eq!((priced.totals.discount.minor(), priced.totals.total.minor()), (100, 0));
    let split = off(100, vec![custom("a", 1, 333), custom("b", 1, 333), custom("c", 1, 333)]);
    let discounts: Vec<_> = split.lines.iter().map(|line| line.discount_amount.minor()).collect();
    assert_eq!(discounts, [34, 33, 33]);
    assert!(!split.promo_uses_counted);
}

prop_compose! {
    fn any_promo()(percent in proptest::option::of(0u32..=20_000), off in 0i64..5_000_000_000, some in any::<bool>()) -> serde_json::Value {
        let applies_to = if some { json!(["yoga", "mat"]) } else { json!([]) };
        match percent {
            Some(bp) => json!({"percent_off_bp": bp, "applies_to": applies_to}),
            None => json!({"amount_off": off, "currency": "usd", "applies_to": applies_to}),
        }
    }
}

fn any_line() -> impl Strategy<Value = (u8, u32, i64)> {
    (0u8..4, 1u32..=1000, prop_oneof![0i64..100, 0i64..1_000_000, Just(1i64)])
}

proptest! {
    #[test]
    fn what_is_priced_adds_up_and_no_line_is_negative(
        lines in prop::collection::vec(any_line(), 1..=50), promo in any_promo(), tax in 0u32..=10_000, price in 0i64..1_000_000,
    ) {
        let mut shelf = Shelf { sessions: with_ballet(price / 2).sessions, ..with_promo(promo) };
        for session in shelf.sessions.values_mut() {
            (session.tax_rate_bp, session.unit_amount) = (tax, Amount::from_minor(price));
        }
        let line = |(kind, quantity, amount)| match kind {
            0 => session("yoga", &[], quantity),
            1 => product("mat", None, quantity),
            2 => under("child", quantity),
            _ => custom("x", quantity, amount),
        };
        let Ok(priced) = run(&with_code(lines.into_iter().map(line).collect()), &shelf) else { return Ok(()) };
        let totals = priced.totals;
        let sum = |of: fn(&Line) -> Amount| priced.lines.iter().map(|line| of(line).minor()).sum::<i64>();
        prop_assert_eq!(sum(|line| line.amount), totals.subtotal.minor());
        prop_assert_eq!(sum(|line| line.discount_amount), totals.discount.minor());
        prop_assert_eq!(sum(|line| line.tax_amount), totals.tax.minor());
        prop_assert_eq!(totals.total.minor(), totals.subtotal.minor() - totals.discount.minor() + totals.tax.minor());
        prop_assert!(totals.total >= Amount::ZERO && totals.total <= Amount::MAX);
        for line in &priced.lines {
            prop_assert_eq!(line.amount.minor(), line.unit_amount.minor() * i64::from(line.quantity));
            prop_assert!(line.discount_amount >= Amount::ZERO && line.discount_amount <= line.amount);
            prop_assert!(line.tax_amount >= Amount::ZERO);
        }
    }

    #[test]
    fn no_numbers_whatever_make_it_panic(
        quantity in any::<u32>(), unit in any::<i64>(), tax in any::<u32>(), percent in proptest::option::of(any::<u32>()), off in any::<i64>(), catalogue_price in any::<i64>(),
    ) {
        let promo = match percent {
            Some(bp) => json!({"percent_off_bp": bp}),
            None => json!({"amount_off": off, "currency": "usd"}),
        };
        let mut shelf = with_promo(promo);
        for session in shelf.sessions.values_mut() {
            (session.tax_rate_bp, session.unit_amount) = (tax, Amount::from_minor(catalogue_price));
        }
        let lines = vec![session("yoga", &[], quantity), custom("x", quantity, unit), custom("y", 1, unit)];
        if let Ok(priced) = run(&with_code(lines), &shelf) {
            prop_assert!(priced.totals.total >= Amount::ZERO && priced.totals.total <= Amount::MAX);
        }
    }
}
