//! What claiming promises.

use super::*;
use crate::domain::{
    id::{CatalogueId, CheckoutId, Entropy, LineId},
    leg::{Leg, Tender},
    line::{Item, Line},
    money::{Amount, Currency},
    order::{Order, Totals},
    scope::Mode,
};
use proptest::prelude::*;
use serde_json::json;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn scope() -> Scope {
    Scope::new("demo", Mode::Test).unwrap()
}

fn key(kind: Kind, id: &str) -> StockKey {
    StockKey { scope: scope(), kind, id: CatalogueId::parse(id).unwrap() }
}

fn ada() -> CustomerId {
    CustomerId::parse("ada").unwrap()
}

fn level(key: &StockKey, capacity: u32) -> (StockKey, StockLevel) {
    (key.clone(), StockLevel { key: key.clone(), capacity, taken: 0, version: 1 })
}

/// `yoga` with 5 places, `gala` with seats A1 to A3, `CODE` with 2 uses, and the customer Ada.
fn world() -> World {
    let yoga = json!({"name": "Yoga", "starts_at": NOW.after(std::time::Duration::from_secs(3600)), "capacity": 5, "unit_amount": 1500, "currency": "usd"});
    let mut gala = yoga.clone();
    (gala["capacity"], gala["seats"]) = (json!(null), json!(["A1", "A2", "A3"]));
    let (yoga_key, gala_key, code_key) = (key(Kind::Session, "yoga"), key(Kind::Session, "gala"), key(Kind::PromoCode, "CODE"));
    World {
        now: NOW,
        stock: HashMap::from([level(&yoga_key, 5), level(&gala_key, 3), level(&code_key, 2)]),
        sessions: HashMap::from(
            [(yoga_key, yoga), (gala_key, gala)].map(|(key, value)| (key, Arc::new(serde_json::from_value(value).unwrap()))),
        ),
        promo_codes: HashMap::from([(code_key, serde_json::from_value(json!({"percent_off_bp": 1, "max_uses": 2})).unwrap())]),
        customers: HashMap::from([(
            (scope(), ada()),
            serde_json::from_value(json!({"id": "ada", "tags": ["vip"], "date_of_birth": "2009-01-15"})).unwrap(),
        )]),
        ..World::default()
    }
}

/// Replaces fields of `yoga`.
fn world_with(changes: serde_json::Value) -> World {
    let mut world = world();
    let yoga = world.sessions.get_mut(&key(Kind::Session, "yoga")).unwrap();
    let mut value = serde_json::to_value(&**yoga).unwrap();
    value.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    *yoga = Arc::new(serde_json::from_value(value).unwrap());
    world
}

fn checkout(n: u64, customer: Option<CustomerId>, lines: &[(&str, u32, &[&str])], promo: bool) -> Checkout {
    let entropy = Entropy::from_seed(n);
    let line = |(session, quantity, seats): &(&str, u32, &[&str])| Line {
        id: LineId::generate(&entropy, NOW),
        item: Item::Session {
            session: CatalogueId::parse(*session).unwrap(),
            seats: seats.iter().map(|seat| (*seat).to_owned()).collect(),
            offer: None,
            participants: Vec::new(),
            pricing_plan: None,
            class: None,
        },
        name: String::new(),
        quantity: *quantity,
        unit_amount: Amount::ZERO,
        amount: Amount::ZERO,
        discount_amount: Amount::ZERO,
        tax_amount: Amount::ZERO,
    };
    let legs = vec![Leg { amount: Amount::ZERO, tender: Tender::Free {} }];
    let order = Order {
        customer,
        promo_code: promo.then(|| CatalogueId::parse("CODE").unwrap()),
        promo_uses_counted: promo,
        ..Order::of(Currency::USD, lines.iter().map(line).collect(), Totals::default(), legs)
    };
    Checkout { due_at: None, ..Checkout::queued(CheckoutId::generate(&entropy, NOW), scope(), order, NOW, NOW) }
}

fn yoga(quantity: u32) -> Checkout {
    checkout(1, Some(ada()), &[("yoga", quantity, &[])], false)
}

/// Everything in it that can change, in an order that can be compared.
fn snapshot(world: &World) -> String {
    let mut stock: Vec<_> = world.stock.values().map(|level| format!("{level:?}")).collect();
    let mut seats: Vec<_> = world.taken_seats.iter().map(|seat| format!("{seat:?}")).collect();
    let mut owned: Vec<_> = world.owned.iter().map(|owned| format!("{owned:?}")).collect();
    stock.sort();
    seats.sort();
    owned.sort();
    format!("{stock:?}{seats:?}{owned:?}")
}

fn refusal(checkout: &Checkout, world: &mut World) -> (Code, String) {
    let before = snapshot(world);
    let error = claim_everything(checkout, ClaimState::Held, world).unwrap_err();
    assert_eq!(snapshot(world), before, "a refused checkout left a mark");
    (error.code, error.param.unwrap())
}

fn code_with(changes: serde_json::Value, customer: Option<CustomerId>) -> Code {
    refusal(&checkout(1, customer, &[("yoga", 1, &[])], false), &mut world_with(changes)).0
}

#[test]
fn what_is_claimed_is_taken_out_of_the_world_once() {
    let mut world = world_with(json!({"purchase_limit": 4}));
    let buying = checkout(1, Some(ada()), &[("yoga", 2, &[]), ("gala", 2, &["A1", "A3"]), ("yoga", 1, &[])], true);
    let claims = claim_everything(&buying, ClaimState::Sold, &mut world).unwrap();
    let shown: Vec<_> = claims.iter().map(|claim| (claim.stock.id.as_str(), claim.seat.as_deref(), claim.quantity)).collect();
    assert_eq!(shown, [("yoga", None, 2), ("gala", Some("A1"), 1), ("gala", Some("A3"), 1), ("yoga", None, 1), ("CODE", None, 1)]);
    assert!(claims.iter().all(|claim| claim.state == ClaimState::Sold && claim.customer == Some(ada()) && claim.checkout == buying.id));
    let left = |kind, id| world.stock.get(&key(kind, id)).map(|level| (level.taken, level.version)).unwrap();
    assert_eq!((left(Kind::Session, "yoga"), left(Kind::Session, "gala"), left(Kind::PromoCode, "CODE")), ((3, 2), (2, 2), (1, 2)));
    assert_eq!(world.owned.get(&(key(Kind::Session, "yoga"), ada())), Some(&3));
    assert_eq!(world.taken_seats.len(), 2);
    assert_eq!(refusal(&yoga(2), &mut world), (Code::PurchaseLimitReached, "lines[0]".to_owned()));
}

#[test]
fn a_session_that_is_not_on_sale_sells_nothing() {
    let at = |seconds: i64| Timestamp::from_millis(NOW.millis() + seconds * 1000);
    assert_eq!(code_with(json!({"status": "canceled"}), None), Code::SessionUnavailable);
    assert_eq!(code_with(json!({"status": "draft"}), None), Code::SessionUnavailable);
    assert_eq!(code_with(json!({"starts_at": NOW}), None), Code::SessionPassed);
    assert_eq!(code_with(json!({"starts_at": at(-1), "sales_end_at": at(-2)}), None), Code::SessionPassed);
    assert_eq!(code_with(json!({"sales_end_at": NOW}), None), Code::SalesEnded);
    assert_eq!(code_with(json!({"sales_start_at": at(1)}), None), Code::SalesNotStarted);
    assert_eq!(code_with(json!({"dropins_allowed": false}), None), Code::DropinsNotAllowed);
    assert!(
        claim_everything(
            &yoga(1),
            ClaimState::Held,
            &mut world_with(json!({"starts_at": at(1), "sales_start_at": NOW, "sales_end_at": at(1)}))
        )
        .is_ok()
    );
    let mut gone = world();
    gone.sessions.clear();
    assert_eq!(refusal(&yoga(1), &mut gone), (Code::SessionUnavailable, "lines[0]".to_owned()));
    let mut no_stock = world();
    no_stock.stock.clear();
    assert_eq!(refusal(&yoga(1), &mut no_stock).0, Code::SessionUnavailable);
}

#[test]
fn restricted_sessions_ask_who_is_buying() {
    let stranger = CustomerId::parse("stranger").unwrap();
    assert_eq!(code_with(json!({"required_tag": "vip"}), None), Code::AccessRestricted);
    assert_eq!(code_with(json!({"required_tag": "vip"}), Some(stranger.clone())), Code::AccessRestricted);
    assert_eq!(code_with(json!({"required_tag": "other"}), Some(ada())), Code::AccessRestricted);
    assert!(claim_everything(&yoga(1), ClaimState::Held, &mut world_with(json!({"required_tag": "vip"}))).is_ok());
    assert_eq!(code_with(json!({"max_age": 99}), None), Code::DateOfBirthRequired);
    assert_eq!(code_with(json!({"min_age": 18}), Some(stranger)), Code::DateOfBirthRequired);
}

#[test]
fn age_is_counted_on_the_day_that_the_session_starts() {
    // Today is 2027-01-15: Ada turns 18. The day before, she is 17.
    assert_eq!(NOW.date().to_string(), "2027-01-15");
    let on_the_day =
        |changes| claim_everything(&yoga(1), ClaimState::Held, &mut world_with(changes)).map(|_| ()).map_err(|error| error.code);
    assert_eq!(on_the_day(json!({"min_age": 18, "max_age": 18})), Ok(()));
    assert_eq!(on_the_day(json!({"min_age": 19})), Err(Code::AgeRestricted));
    assert_eq!(on_the_day(json!({"max_age": 17})), Err(Code::AgeRestricted));
    let mut eve = world_with(json!({"min_age": 18, "starts_at": "2027-01-14T23:00:00Z"}));
    eve.now = Timestamp::parse("2027-01-10T00:00:00Z").unwrap();
    assert_eq!(refusal(&yoga(1), &mut eve).0, Code::AgeRestricted);
}

#[test]
fn the_day_is_that_of_the_tenants_time_zone() {
    // Noon in UTC on 2027-01-14, Ada's last day as 17: in Kiritimati it is the next one already.
    let begins_at = |start: &str, zone: Option<&str>| {
        let mut world = world_with(json!({"min_age": 18, "starts_at": start}));
        world.now = Timestamp::parse("2027-01-10T00:00:00Z").unwrap();
        world.time_zones.extend(zone.map(|zone| (scope(), TimeZone::parse(zone).unwrap())));
        claim_everything(&yoga(1), ClaimState::Held, &mut world).map(|_| ()).map_err(|error| error.code)
    };
    assert_eq!(begins_at("2027-01-14T12:00:00Z", None), Err(Code::AgeRestricted));
    assert_eq!(begins_at("2027-01-14T12:00:00Z", Some("Pacific/Kiritimati")), Ok(()));
    assert_eq!(begins_at("2027-01-15T05:00:00Z", None), Ok(()));
    assert_eq!(begins_at("2027-01-15T05:00:00Z", Some("America/New_York")), Ok(()));
    assert_eq!(begins_at("2027-01-15T04:59:59Z", Some("America/New_York")), Err(Code::AgeRestricted));
}

#[test]
fn a_purchase_limit_counts_what_the_customer_has_and_all_lines() {
    let limited = || world_with(json!({"purchase_limit": 3}));
    let guest = |lines: &[(&str, u32, &[&str])]| checkout(1, None, lines, false);
    assert_eq!(refusal(&guest(&[("yoga", 2, &[]), ("yoga", 2, &[])]), &mut limited()), (Code::PurchaseLimitReached, "lines[0]".to_owned()));
    let mut world = limited();
    assert!(claim_everything(&guest(&[("yoga", 3, &[])]), ClaimState::Held, &mut world).is_ok());
    // The next guest is somebody else, as far as anybody can tell.
    assert!(claim_everything(&guest(&[("yoga", 2, &[])]), ClaimState::Held, &mut world).is_ok());
    let mut world = limited();
    world.owned.insert((key(Kind::Session, "yoga"), ada()), 2);
    assert_eq!(refusal(&yoga(2), &mut world).0, Code::PurchaseLimitReached);
    assert!(claim_everything(&yoga(1), ClaimState::Held, &mut world).is_ok());
}

#[test]
fn there_is_no_seat_for_two() {
    let mut world = world();
    assert!(claim_everything(&checkout(1, None, &[("gala", 1, &["A1"])], false), ClaimState::Held, &mut world).is_ok());
    assert_eq!(
        refusal(&checkout(2, None, &[("yoga", 1, &[]), ("gala", 2, &["A2", "A1"])], false), &mut world),
        (Code::SeatTaken, "lines[1]".to_owned())
    );
    assert_eq!(refusal(&checkout(3, None, &[("gala", 2, &["A2", "A2"])], false), &mut world).0, Code::SeatTaken);
    assert_eq!(refusal(&checkout(3, None, &[("gala", 1, &["A2"]), ("gala", 1, &["A2"])], false), &mut world).0, Code::SeatTaken);
    assert_eq!(refusal(&checkout(4, None, &[("gala", 1, &["Z9"])], false), &mut world).0, Code::SeatTaken);
    assert_eq!(refusal(&checkout(5, None, &[("gala", 1, &[])], false), &mut world).0, Code::SessionUnavailable);
    assert_eq!(refusal(&checkout(6, None, &[("yoga", 1, &["A2"])], false), &mut world).0, Code::SessionUnavailable);
    assert_eq!(
        refusal(&checkout(7, None, &[("yoga", 3, &[]), ("yoga", 3, &[])], false), &mut world),
        (Code::SessionFull, "lines[1]".to_owned())
    );
    assert_eq!(refusal(&yoga(u32::MAX), &mut world).0, Code::SessionFull);
}

#[test]
fn a_counted_promo_code_runs_out_and_is_looked_at_again() {
    let using = |n| checkout(n, None, &[("yoga", 1, &[])], true);
    let refused = (Code::PromoCodeInvalid, "promo_code".to_owned());
    let mut used = world();
    assert!(claim_everything(&using(1), ClaimState::Held, &mut used).is_ok());
    assert!(claim_everything(&using(2), ClaimState::Held, &mut used).is_ok());
    assert_eq!(refusal(&using(3), &mut used), refused);
    let with = |change: fn(&mut PromoCode)| {
        let mut world = world();
        world.promo_codes.values_mut().for_each(change);
        world
    };
    assert_eq!(refusal(&using(1), &mut with(|promo| promo.active = false)), refused);
    assert_eq!(refusal(&using(1), &mut with(|promo| promo.ends_at = Some(NOW))), refused);
    let mut gone = world();
    gone.promo_codes.clear();
    assert_eq!(refusal(&using(1), &mut gone), refused);
    // A limit that was lifted in the meantime leaves nothing to claim.
    let mut lifted = with(|promo| promo.max_uses = None);
    lifted.stock.remove(&key(Kind::PromoCode, "CODE"));
    assert_eq!(claim_everything(&using(1), ClaimState::Held, &mut lifted).unwrap().len(), 1);
}

/// An open offer of `quantity` places in `session` to Ada.
fn offered(session: &str, quantity: u32, seats: &[&str]) -> WaitingEntry {
    let entry = WaitingEntry {
        id: WaitingId::parse("wle_1").unwrap(),
        scope: scope(),
        session: CatalogueId::parse(session).unwrap(),
        place: 1,
        customer: ada(),
        quantity,
        callback_url: None,
        offer_for: std::time::Duration::from_secs(60),
        status: crate::domain::waiting::WaitingStatus::Waiting,
        version: 1,
        seats: Vec::new(),
        expires_at: None,
        checkout: None,
        due_at: None,
        created_at: NOW,
        updated_at: NOW,
    };
    entry.offer(seats.iter().map(|seat| (*seat).to_owned()).collect(), NOW)
}

/// The world with that offer, which has all that is left; and a checkout of Ada's that takes it.
fn offering(session: &str, quantity: u32, seats: &[&str]) -> (World, Checkout) {
    let mut world = world_with(json!({"purchase_limit": 5}));
    let stock = key(Kind::Session, session);
    let level = world.stock.get_mut(&stock).unwrap();
    level.taken = level.capacity;
    world.owned.insert((stock.clone(), ada()), quantity);
    world.taken_seats.extend(seats.iter().map(|seat| (stock.clone(), (*seat).to_owned())));
    let entry = offered(session, quantity, seats);
    world.offers.insert(entry.id.clone(), entry);
    let mut taking = checkout(1, Some(ada()), &[(session, quantity, seats)], false);
    take_offer(&mut taking);
    (world, taking)
}

fn take_offer(checkout: &mut Checkout) {
    for line in &mut checkout.order.lines {
        if let Item::Session { offer, .. } = &mut line.item {
            *offer = Some(WaitingId::parse("wle_1").unwrap());
        }
    }
}

#[test]
fn an_offer_is_taken_of_what_is_full_moves_no_counter_and_is_gone_then() {
    for (session, quantity, seats) in [("yoga", 5, &[][..]), ("gala", 2, &["A1", "A3"][..])] {
        let (mut world, taking) = offering(session, quantity, seats);
        let stock = key(Kind::Session, session);
        let (before, owned) = (world.stock[&stock].taken, world.owned.clone());
        let claims = claim_everything(&taking, ClaimState::Held, &mut world).unwrap();
        assert_eq!(claims.iter().map(|claim| claim.quantity).sum::<u32>(), quantity);
        assert_eq!((world.stock[&stock].taken, &world.owned), (before, &owned));
        assert_eq!(refusal(&taking, &mut world), (Code::OfferUnavailable, "lines[0].offer".to_owned()));
    }
}

#[test]
fn an_offer_is_its_customers_whole_in_time_and_named_once() {
    let refused = (Code::OfferUnavailable, "lines[0].offer".to_owned());
    let taking = |customer, lines: &[(&str, u32, &[&str])]| {
        let mut taking = checkout(1, customer, lines, false);
        take_offer(&mut taking);
        taking
    };
    let wrong = [
        taking(None, &[("yoga", 2, &[])]),
        taking(Some(CustomerId::parse("eve").unwrap()), &[("yoga", 2, &[])]),
        taking(Some(ada()), &[("yoga", 1, &[])]),
        taking(Some(ada()), &[("gala", 1, &["A1"])]),
        taking(Some(ada()), &[("yoga", 2, &[]), ("yoga", 2, &[])]),
    ];
    for wrong in wrong {
        let (mut world, _) = offering("yoga", 2, &[]);
        assert_eq!(refusal(&wrong, &mut world), refused, "{wrong:?}");
        assert_eq!(world.offers.len(), 1);
    }
    let (mut late, taking) = offering("yoga", 2, &[]);
    late.now = NOW.after(std::time::Duration::from_secs(60));
    assert_eq!(refusal(&taking, &mut late), refused);
    // Beside the offer, what is asked for has to be free and within the limit like anything else.
    let (mut world, _) = offering("yoga", 2, &[]);
    let mut both = checkout(1, Some(ada()), &[("yoga", 2, &[]), ("yoga", 1, &[])], false);
    let Item::Session { offer, .. } = &mut both.order.lines[0].item else { panic!() };
    *offer = Some(WaitingId::parse("wle_1").unwrap());
    assert_eq!(refusal(&both, &mut world), (Code::SessionFull, "lines[1]".to_owned()));
}

#[test]
fn who_could_not_buy_it_does_not_wait_for_it() {
    let world = world();
    let customer = &world.customers[&(scope(), ada())];
    let check = |changes: serde_json::Value, owned, quantity| {
        let session = world_with(changes).sessions[&key(Kind::Session, "yoga")].clone();
        check_waiter(&session, customer, owned, quantity, NOW, None).map_err(|error| error.code)
    };
    assert_eq!(check(json!({}), 0, 5), Ok(()));
    assert_eq!(check(json!({"dropins_allowed": false}), 0, 1), Ok(()), "how it is paid is not known yet");
    assert_eq!(check(json!({}), 0, 6), Err(Code::ParameterInvalid));
    assert_eq!(check(json!({"purchase_limit": 3}), 2, 2), Err(Code::PurchaseLimitReached));
    assert_eq!(check(json!({"required_tag": "staff"}), 0, 1), Err(Code::AccessRestricted));
    assert_eq!(check(json!({"min_age": 99}), 0, 1), Err(Code::AgeRestricted));
    assert_eq!(check(json!({"status": "canceled"}), 0, 1), Err(Code::SessionUnavailable));
}

proptest! {
    #[test]
    fn a_crowd_gets_what_there_is_and_no_more(
        crowd in prop::collection::vec((prop::collection::vec((any::<bool>(), 1u32..4, 0usize..3), 1..4), any::<bool>(), any::<bool>()), 1..40),
    ) {
        const SEATS: [&str; 3] = ["A1", "A2", "A3"];
        let mut world = world_with(json!({"purchase_limit": 4}));
        let mut sold_seats = HashSet::new();
        let mut sold_places = 0;
        for (n, (lines, known, promo)) in crowd.iter().enumerate() {
            let lines: Vec<(&str, u32, &[&str])> = lines
                .iter()
                .map(|&(named, quantity, seat)| if named { ("gala", 1, &SEATS[seat..=seat]) } else { ("yoga", quantity, &[][..]) })
                .collect();
            let before = snapshot(&world);
            match claim_everything(&checkout(n as u64, known.then(ada), &lines, *promo), ClaimState::Held, &mut world) {
                Err(_) => prop_assert_eq!(snapshot(&world), before),
                Ok(claims) => {
                    for claim in claims.iter().filter(|claim| claim.stock.kind == Kind::Session) {
                        match &claim.seat {
                            Some(seat) => prop_assert!(sold_seats.insert(seat.clone()), "seat {} was sold twice", seat),
                            None => sold_places += claim.quantity,
                        }
                    }
                }
            }
            prop_assert!(world.stock.values().all(|level| level.taken <= level.capacity));
            prop_assert!(world.owned.values().all(|&owned| owned <= 4));
        }
        prop_assert_eq!(world.stock.get(&key(Kind::Session, "yoga")).unwrap().taken, sold_places);
        prop_assert_eq!(world.stock.get(&key(Kind::Session, "gala")).unwrap().taken as usize, sold_seats.len());
    }
}
