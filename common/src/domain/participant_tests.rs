//! What holds for each participant.

use super::*;
use crate::domain::{
    claim::{ClaimState, StockLevel},
    eligibility::claim_everything,
    id::CatalogueId,
    scope::{Mode, Scope},
    ticket::tests::sale,
    time::Timestamp,
    time_zone::TimeZone,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn scope() -> Scope {
    Scope::new("demo", Mode::Test).unwrap()
}

fn id(text: &str) -> CustomerId {
    CustomerId::parse(text).unwrap()
}

fn key() -> StockKey {
    StockKey { scope: scope(), kind: Kind::Session, id: CatalogueId::parse("yoga").unwrap() }
}

/// `yoga` with 20 places and `changes`; Ada and her children Bo (15) and Cy (8), and Eve, who is a stranger to them. All but Cy are members.
fn world(changes: Value) -> World {
    let mut yoga = json!({"name": "Yoga", "starts_at": NOW.after(std::time::Duration::from_secs(3600)), "capacity": 20, "unit_amount": 0, "currency": "usd"});
    yoga.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let customer = |name: &str, family: Option<&str>, born: &str, tags: &[&str]| {
        let value = json!({"id": name, "name": name, "family": family, "date_of_birth": born, "tags": tags});
        ((scope(), id(name)), serde_json::from_value(value).unwrap())
    };
    World {
        now: NOW,
        stock: HashMap::from([(key(), StockLevel { key: key(), capacity: 20, taken: 0, version: 1 })]),
        sessions: HashMap::from([(key(), Arc::new(serde_json::from_value(yoga).unwrap()))]),
        customers: HashMap::from([
            customer("ada", Some("lovelace"), "1990-01-01", &["member"]),
            customer("bo", Some("lovelace"), "2011-06-01", &["member"]),
            customer("cy", Some("lovelace"), "2018-06-01", &[]),
            customer("eve", None, "1990-01-01", &["member"]),
        ]),
        ..World::default()
    }
}

fn customer(name: &str) -> Participant {
    Participant { customer: Some(id(name)), ..Participant::default() }
}

fn stranger(name: &str, born: Option<&str>) -> Participant {
    Participant { name: Some(name.to_owned()), date_of_birth: born.and_then(BirthDate::parse), ..Participant::default() }
}

/// Ada's checkout of one line for each list of participants.
fn buys(buyer: Option<&str>, lines: &[&[Participant]]) -> Checkout {
    let mut checkout = sale();
    let line = checkout.order.lines[0].clone();
    checkout.status = crate::domain::state::Status::Queued;
    checkout.order.customer = buyer.map(id);
    checkout.order.lines = lines
        .iter()
        .map(|named| {
            let mut line = line.clone();
            let Item::Session { participants, .. } = &mut line.item else { panic!("places") };
            *participants = named.to_vec();
            line.quantity = u32::try_from(named.len()).unwrap();
            line
        })
        .collect();
    checkout
}

fn refused(changes: Value, checkout: &Checkout) -> (Code, String) {
    let error = claim_everything(checkout, ClaimState::Held, &mut world(changes)).unwrap_err();
    (error.code, error.param.unwrap())
}

fn second(code: Code) -> (Code, String) {
    (code, "lines[0].participants[1]".to_owned())
}

#[test]
fn tag_and_ages_are_asked_of_each_participant_and_not_of_the_buyer() {
    let (adult, child) = (json!({"min_age": 18}), json!({"max_age": 12}));
    let both = buys(Some("ada"), &[&[customer("ada"), customer("bo")]]);
    assert_eq!(refused(adult, &both), second(Code::AgeRestricted));
    let children = buys(Some("ada"), &[&[customer("cy"), stranger("Di", Some("2019-01-01"))]]);
    assert!(claim_everything(&children, ClaimState::Held, &mut world(child.clone())).is_ok(), "the mother is too old and does not come");
    let unknown = buys(Some("ada"), &[&[customer("cy"), stranger("Di", None)]]);
    assert_eq!(refused(child, &unknown), second(Code::DateOfBirthRequired));
    let member = json!({"required_tag": "member"});
    assert_eq!(refused(member.clone(), &buys(Some("ada"), &[&[customer("bo"), customer("cy")]])), second(Code::AccessRestricted));
    assert_eq!(refused(member, &buys(Some("ada"), &[&[customer("bo"), stranger("Di", None)]])), second(Code::AccessRestricted));
}

#[test]
fn a_stranger_comes_of_age_on_the_day_that_it_is_where_the_tenant_is() {
    // The session starts at 08:00 UTC on 15 January 2027.
    let turns_18 = buys(None, &[&[stranger("Di", Some("2009-01-16"))]]);
    let mut world = world(json!({"min_age": 18}));
    assert_eq!(claim_everything(&turns_18, ClaimState::Held, &mut world).unwrap_err().code, Code::AgeRestricted);
    world.time_zones.insert(scope(), TimeZone::parse("Pacific/Kiritimati").unwrap());
    let late = NOW.after(std::time::Duration::from_secs(8 * 3600));
    let session = Session { starts_at: late, ..Session::clone(&world.sessions[&key()]) };
    world.sessions.insert(key(), Arc::new(session));
    assert!(claim_everything(&turns_18, ClaimState::Held, &mut world).is_ok(), "on the eastern islands it is the 16th");
}

#[test]
fn only_the_buyer_and_the_family_can_be_named_by_id() {
    let other = |buyer| refused(json!({}), &buys(buyer, &[&[stranger("Di", None), customer("eve")]]));
    assert_eq!((other(Some("ada")), other(None)), (second(Code::ParticipantNotInFamily), second(Code::ParticipantNotInFamily)));
    let gone = buys(Some("ada"), &[&[customer("ada"), customer("nobody")]]);
    assert_eq!(refused(json!({}), &gone), second(Code::ParticipantNotInFamily));
    let alone = buys(Some("eve"), &[&[customer("eve")]]);
    assert!(claim_everything(&alone, ClaimState::Held, &mut world(json!({}))).is_ok(), "nobody needs a family to come himself");
}

#[test]
fn the_purchase_limit_counts_for_each_who_comes() {
    let one = json!({"purchase_limit": 1});
    let family = buys(Some("ada"), &[&[customer("ada"), customer("bo")], &[customer("cy"), stranger("Di", None), stranger("Ed", None)]]);
    let mut shop = world(one.clone());
    let claims = claim_everything(&family, ClaimState::Held, &mut shop).unwrap();
    let owners: Vec<_> = claims.iter().map(|claim| (claim.customer.as_ref().map(CustomerId::as_str), claim.quantity)).collect();
    assert_eq!(owners, [(Some("ada"), 1), (Some("bo"), 1), (Some("cy"), 1), (None, 2)]);
    // Later in the same batch, what they have counts.
    let again = buys(Some("ada"), &[&[stranger("Fa", None), customer("bo")]]);
    let error = claim_everything(&again, ClaimState::Held, &mut shop).unwrap_err();
    assert_eq!((error.code, error.param.unwrap()), second(Code::PurchaseLimitReached));
    for twice in [customer("bo"), stranger("Di", None), stranger("dI", None)] {
        let first = if twice.customer.is_some() { customer("bo") } else { stranger("Di", None) };
        assert_eq!(refused(one.clone(), &buys(Some("ada"), &[&[first, twice]])), second(Code::PurchaseLimitReached));
    }
    let named_and_not = buys(Some("ada"), &[&[customer("ada")], &[]]);
    let mut named_and_not = named_and_not;
    named_and_not.order.lines[1].quantity = 1;
    assert_eq!(refused(one, &named_and_not).0, Code::PurchaseLimitReached, "the buyer comes for a line that names nobody");
}

#[test]
fn a_ticket_is_the_participants_and_a_name_is_in_no_log() {
    let mut checkout =
        buys(Some("ada"), &[&[Participant { name: Some("Bo".to_owned()), ..customer("bo") }, stranger("Secret Name", None)]]);
    checkout.status = crate::domain::state::Status::Succeeded;
    let holder = |index| crate::domain::ticket::Ticket::of(&checkout, crate::domain::ticket::Place { line: 0, index }).unwrap().holder;
    assert_eq!((holder(0).customer, holder(0).name.as_deref()), (Some(id("bo")), Some("Bo")));
    assert_eq!((holder(1).customer, holder(1).name.as_deref()), (None, Some("Secret Name")));
    let debug = format!("{checkout:?} {:?}", holder(1));
    assert!(!debug.contains("Secret Name") && !debug.contains("Bo\""), "{debug}");
}

proptest! {
    /// Whoever is named, there are as many claims as places, each participant has his own, and nobody more than he may.
    #[test]
    fn places_are_shared_out_to_those_who_come(people in prop::collection::vec(0..6usize, 1..15), limit in 1..4u32) {
        let names = ["ada", "bo", "cy"];
        let named: Vec<Participant> =
            people.iter().map(|&at| names.get(at).map_or_else(|| stranger(&format!("S{at}"), None), |name| customer(name))).collect();
        let checkout = buys(Some("ada"), &[&named]);
        let mut shop = world(json!({"purchase_limit": limit}));
        let most = (0..6).map(|who| people.iter().filter(|&&at| at == who).count()).max().unwrap();
        match claim_everything(&checkout, ClaimState::Held, &mut shop) {
            Err(error) => {
                prop_assert_eq!(error.code, Code::PurchaseLimitReached);
                prop_assert!(most > limit as usize && shop.owned.is_empty());
            }
            Ok(claims) => {
                prop_assert!(most <= limit as usize);
                prop_assert_eq!(claims.iter().map(|claim| claim.quantity as usize).sum::<usize>(), people.len());
                for (who, name) in names.iter().enumerate() {
                    let here = people.iter().filter(|&&at| at == who).count();
                    let claimed: u32 = claims.iter().filter(|claim| claim.customer == Some(id(name))).map(|claim| claim.quantity).sum();
                    let owned = shop.owned.get(&(key(), id(name))).copied().unwrap_or(0);
                    prop_assert_eq!((claimed as usize, owned as usize), (here, here));
                }
            }
        }
    }
}
