//! What sharing out promises.

use super::*;
use crate::domain::scope::Mode;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn entry(place: i64, quantity: u32) -> WaitingEntry {
    WaitingEntry {
        id: WaitingId::parse(format!("wle_{place}")).unwrap(),
        scope: Scope::new("demo", Mode::Test).unwrap(),
        session: CatalogueId::parse("yoga").unwrap(),
        place,
        customer: CustomerId::parse(format!("cus_{place}")).unwrap(),
        quantity,
        callback_url: None,
        offer_for: Duration::from_secs(900),
        status: WaitingStatus::Waiting,
        version: 1,
        seats: Vec::new(),
        expires_at: None,
        checkout: None,
        due_at: Some(NOW.after(Duration::from_secs(9_000))),
        created_at: NOW,
        updated_at: NOW,
    }
}

fn entries(quantities: &[u32]) -> Vec<WaitingEntry> {
    (1..).zip(quantities).map(|(place, &quantity)| entry(place, quantity)).collect()
}

fn served(quantities: &[u32], places: u32) -> Vec<usize> {
    share_out(&entries(quantities), Free { places, seats: None }).into_iter().map(|(at, _)| at).collect()
}

#[test]
fn who_came_first_is_served_first_and_what_is_too_little_for_one_goes_to_the_next() {
    assert_eq!(served(&[1, 1, 1], 2), [0, 1]);
    assert_eq!(served(&[2, 1], 1), [1]);
    assert_eq!(served(&[2, 1], 2), [0]);
    assert_eq!(served(&[3, 2, 1], 3), [0]);
    assert_eq!(served(&[2], 1), [0usize; 0]);
}

#[test]
fn named_seats_are_handed_out_once() {
    let free = Free { places: 3, seats: Some(["A1", "A2", "B1"].map(str::to_owned).to_vec()) };
    let offers = share_out(&entries(&[2, 2, 1]), free);
    assert_eq!(offers, [(0, vec!["A1".to_owned(), "A2".to_owned()]), (2, vec!["B1".to_owned()])]);
}

#[test]
fn a_checkout_that_comes_to_nothing_gives_the_offer_back_with_the_time_that_it_had() {
    let offered = entry(1, 1).offer(Vec::new(), NOW);
    let ends = NOW.after(Duration::from_secs(900));
    assert_eq!((offered.expires_at, offered.due_at, offered.is_open()), (Some(ends), Some(ends), true));
    let taken = offered.take(CheckoutId::parse("chk_1").unwrap(), NOW);
    assert_eq!((taken.due_at, taken.is_open(), taken.is_live()), (None, false, true));
    let again = taken.clone().reopen(NOW.after(Duration::from_secs(60)));
    assert_eq!((again.expires_at, again.due_at, again.is_open()), (Some(ends), Some(ends), true));
    assert_eq!((taken.sold(NOW).is_live(), again.version), (false, 4));
}

#[test]
fn nobody_waits_beyond_the_end_of_sales() {
    let session = |ends: serde_json::Value| -> Session {
        let doc = serde_json::json!({"name": "x", "starts_at": "2030-01-02T00:00:00Z", "sales_end_at": ends, "capacity": 1, "unit_amount": 1, "currency": "usd"});
        serde_json::from_value(doc).unwrap()
    };
    let day = |text: &str| serde_json::from_value::<Timestamp>(serde_json::json!(text)).unwrap();
    assert_eq!(waits_until(&session(serde_json::json!(null))), day("2030-01-02T00:00:00Z"));
    assert_eq!(waits_until(&session(serde_json::json!("2030-01-01T00:00:00Z"))), day("2030-01-01T00:00:00Z"));
    assert_eq!(waits_until(&session(serde_json::json!("2031-01-01T00:00:00Z"))), day("2030-01-02T00:00:00Z"));
}

proptest! {
    #[test]
    fn no_more_is_offered_than_is_free_and_nobody_is_passed_over_who_could_be_served(
        quantities in proptest::collection::vec(1u32..5, 0..20),
        places in 0u32..20,
    ) {
        let offers = share_out(&entries(&quantities), Free { places, seats: None });
        let mut left = places;
        let mut next = offers.iter().peekable();
        for (at, &quantity) in quantities.iter().enumerate() {
            if next.next_if(|(served, _)| *served == at).is_some() {
                prop_assert!(quantity <= left);
                left -= quantity;
            } else {
                prop_assert!(quantity > left, "{at} was passed over with {left} left");
            }
        }
        prop_assert!(next.next().is_none());
    }

    #[test]
    fn a_seat_is_offered_to_one_and_each_gets_as_many_as_he_waits_for(
        quantities in proptest::collection::vec(1u32..4, 0..10),
        count in 0u32..12,
    ) {
        let seats: Vec<String> = (0..count).map(|n| format!("S{n}")).collect();
        let offers = share_out(&entries(&quantities), Free { places: count, seats: Some(seats.clone()) });
        let mut given: Vec<String> = offers.iter().flat_map(|(_, seats)| seats.clone()).collect();
        for (at, seats) in &offers {
            prop_assert_eq!(seats.len(), quantities[*at] as usize);
        }
        given.sort();
        let count = given.len();
        given.dedup();
        prop_assert_eq!(given.len(), count);
        prop_assert!(given.iter().all(|seat| seats.contains(seat)));
    }
}
