//! What becomes of a ticket.

use super::*;
use crate::domain::{
    id::Entropy,
    line::Line,
    money::{Amount, Currency},
    order::{Order, Totals},
    scope::Mode,
};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Three places, two named seats, and a thing.
pub fn sale() -> Checkout {
    let entropy = Entropy::from_seed(7);
    let line = |item: Item, quantity: u32| Line {
        id: LineId::generate(&entropy, NOW),
        item,
        name: "Evening".to_owned(),
        quantity,
        unit_amount: Amount::ZERO,
        amount: Amount::ZERO,
        discount_amount: Amount::ZERO,
        tax_amount: Amount::ZERO,
    };
    let session = |id: &str, seats: &[&str]| Item::Session {
        session: CatalogueId::parse(id).unwrap(),
        seats: seats.iter().map(|seat| (*seat).to_owned()).collect(),
        offer: None,
        participants: Vec::new(),
        pricing_plan: None,
        class: None,
    };
    let lines = vec![line(session("yoga", &[]), 3), line(Item::Custom(Default::default()), 2), line(session("gala", &["A1", "B2"]), 2)];
    let order =
        Order { customer: Some(CustomerId::parse("ada").unwrap()), ..Order::of(Currency::USD, lines, Totals::default(), Vec::new()) };
    let queued = Checkout::queued(CheckoutId::generate(&entropy, NOW), Scope::new("demo", Mode::Test).unwrap(), order, NOW, NOW);
    Checkout { status: Status::Succeeded, version: 3, due_at: None, completed_at: Some(NOW), ..queued }
}

/// For seat B2 of the gala.
pub(in crate::domain) fn ticket() -> Ticket {
    Ticket::of(&sale(), Place { line: 2, index: 1 }).unwrap()
}

fn admit() -> TicketAct {
    TicketAct::Admit { serial: None, session: None }
}

fn shown(serial: u32) -> TicketAct {
    TicketAct::Admit { serial: Some(serial), session: None }
}

fn to(name: &str) -> TicketAct {
    TicketAct::Transfer(Holder { name: Some(name.to_owned()), ..Holder::default() })
}

#[test]
fn every_place_of_a_sale_has_one_ticket_and_nothing_else_has_any() {
    let sale = sale();
    let found: Vec<Ticket> = places(&sale, None).map(|place| Ticket::of(&sale, place).unwrap()).collect();
    let seats: Vec<_> = found.iter().map(|ticket| (ticket.session.as_str(), ticket.seat.as_deref())).collect();
    assert_eq!(seats, [("yoga", None), ("yoga", None), ("yoga", None), ("gala", Some("A1")), ("gala", Some("B2"))]);
    assert!(found.iter().all(|ticket| ticket.status() == TicketStatus::Valid && ticket.holder.customer == sale.order.customer));
    for (line, index) in [(0, 3), (1, 0), (2, 2), (3, 0), (u32::MAX, u32::MAX)] {
        assert_eq!(Ticket::of(&sale, Place { line, index }), None);
    }
    for status in Status::ALL.into_iter().filter(|status| *status != Status::Succeeded) {
        let unsold = Checkout { status, ..sale.clone() };
        assert_eq!(Ticket::of(&unsold, Place { line: 0, index: 0 }), None, "{status}");
    }
}

#[test]
fn places_go_on_behind_any_of_them() {
    let sale = sale();
    let all: Vec<Place> = places(&sale, None).collect();
    for (at, place) in all.iter().enumerate() {
        assert_eq!(places(&sale, Some(*place)).collect::<Vec<_>>(), all[at + 1..]);
    }
    assert_eq!(places(&sale, Some(Place { line: 1, index: 7 })).count(), 2);
    assert_eq!(places(&sale, Some(Place { line: 9, index: u32::MAX })).count(), 0);
}

#[test]
fn an_id_leads_to_its_place_and_is_written_in_one_way_only() {
    let sale = sale();
    for place in places(&sale, None) {
        let id = id_of(&sale.id, place).unwrap();
        assert_eq!(place_of(&id), Some((sale.id.clone(), place)));
    }
    let own = sale.id.as_str().strip_prefix("chk").unwrap();
    for bad in [
        format!("tkt{own}_00_1"),
        format!("tkt{own}_0_+1"),
        format!("tkt{own}_0"),
        format!("tkt{own}_0_-1"),
        format!("chk{own}_0_1"),
        "tkt".to_owned(),
    ] {
        assert_eq!(TicketId::parse(&bad).ok().and_then(|id| place_of(&id)), None, "{bad}");
    }
}

#[test]
fn a_ticket_admits_once_until_that_is_undone() {
    let admitted = ticket().after(&admit(), "a", NOW).unwrap();
    assert_eq!((admitted.status(), admitted.admitted_at), (TicketStatus::Admitted, Some(NOW)));
    let later = NOW.after(std::time::Duration::from_secs(60));
    assert_eq!(admitted.clone().after(&shown(1), "b", later), Err(TicketRefusal::AlreadyAdmitted(NOW)));
    assert_eq!(admitted.clone().after(&to("Eve"), "b", later), Err(TicketRefusal::AlreadyAdmitted(NOW)));
    let undone = admitted.after(&TicketAct::UndoAdmission, "b", later).unwrap();
    assert_eq!(undone.clone().after(&TicketAct::UndoAdmission, "c", later), Err(TicketRefusal::NotAdmitted));
    assert_eq!(undone.after(&shown(1), "c", later).unwrap().admitted_at, Some(later));
}

#[test]
fn a_ticket_that_was_passed_on_lets_in_with_its_new_code_only() {
    let eve = ticket().after(&to("Eve"), "a", NOW).unwrap();
    assert_eq!((eve.serial, eve.holder.name.as_deref(), eve.holder.customer.as_ref()), (2, Some("Eve"), None));
    assert_eq!(eve.clone().after(&shown(1), "b", NOW), Err(TicketRefusal::Replaced));
    assert_eq!(eve.clone().after(&shown(3), "b", NOW), Err(TicketRefusal::Replaced));
    assert!(eve.after(&shown(2), "b", NOW).is_ok());
}

#[test]
fn the_door_of_another_session_stays_shut() {
    let door = |session: &str| TicketAct::Admit { serial: Some(1), session: CatalogueId::parse(session).ok() };
    assert_eq!(ticket().after(&door("yoga"), "a", NOW), Err(TicketRefusal::OtherSession));
    assert!(ticket().after(&door("gala"), "a", NOW).is_ok());
}

#[test]
fn nothing_happens_to_a_void_ticket() {
    let void = Ticket { is_sold: false, admitted_at: Some(NOW), ..ticket() };
    assert_eq!(void.status(), TicketStatus::Void);
    for act in [admit(), shown(1), TicketAct::UndoAdmission, to("Eve")] {
        assert_eq!(void.clone().after(&act, "a", NOW), Err(TicketRefusal::Void));
    }
}

#[test]
fn a_holder_is_not_shown_by_accident() {
    let holder = Holder { name: Some("Eve".to_owned()), email: Some("eve@example.com".to_owned()), ..Holder::default() };
    assert!(!format!("{holder:?}{:?}", TicketAct::Transfer(holder.clone())).to_lowercase().contains("eve"));
}

proptest! {
    #[test]
    fn whatever_happens_a_ticket_never_admits_twice_and_its_serial_only_grows(acts in proptest::collection::vec(0u32..5, 0..300)) {
        let mut ticket = ticket();
        let mut inside = false;
        for (n, act) in acts.into_iter().enumerate() {
            let act = match act {
                0 => admit(),
                1 => shown(ticket.serial),
                2 => shown(ticket.serial - 1),
                3 => TicketAct::UndoAdmission,
                _ => to("Eve"),
            };
            let (serial, changes) = (ticket.serial, ticket.changes);
            let Ok(after) = ticket.clone().after(&act, &n.to_string(), NOW) else { continue };
            match act {
                TicketAct::Admit { serial: shown, .. } => {
                    prop_assert!(!inside && shown.is_none_or(|shown| shown == serial));
                    inside = true;
                }
                TicketAct::UndoAdmission => {
                    prop_assert!(inside);
                    inside = false;
                }
                TicketAct::Transfer(_) => prop_assert!(!inside && after.serial == serial + 1),
            }
            prop_assert!(after.serial >= serial && after.changes == changes + 1 && after.changes <= MAX_CHANGES);
            ticket = after;
        }
        prop_assert_eq!(ticket.status() == TicketStatus::Admitted, inside);
    }
}
