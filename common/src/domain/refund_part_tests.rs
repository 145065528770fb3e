//! Which legs give how much back, whatever banks have taken of them.

use super::*;
use crate::domain::{
    dispute::{Dispute, DisputeStatus},
    id::DisputeId,
    refund::{self, RefundAsk, tests::Sale},
    secret::Secret,
};
use proptest::prelude::*;

/// In the order of the payment; together what the sale came to.
const LEGS: [i64; 3] = [1500, 2000, 1700];

/// A sale that was paid with three cards.
fn by_three_cards() -> Sale {
    let mut sale = Sale::by_card();
    let checkout = &mut sale.checkout;
    let charge = checkout.attempts[0].clone();
    (checkout.attempts, checkout.order.legs) = Default::default();
    for (leg, minor) in LEGS.into_iter().enumerate() {
        let amount = Amount::from_minor(minor);
        let mut charge = charge.clone();
        charge.n = u32::try_from(leg).unwrap() + 1;
        charge.provider_reference = Some(format!("ch_{}", charge.n));
        (charge.request.leg, charge.request.amount) = (leg, amount);
        checkout.attempts.push(charge);
        checkout.order.legs.push(Leg { amount, tender: Tender::card(Secret::new("tok_visa".to_owned())) });
    }
    sale
}

fn dispute(sale: &mut Sale, leg: usize, minor: i64, status: DisputeStatus) {
    let (id, now) = (DisputeId::generate(&sale.entropy, sale.now), sale.now);
    sale.checkout.disputes.push(Dispute {
        id,
        charge: u32::try_from(leg).unwrap() + 1,
        provider_reference: format!("dp_{leg}"),
        amount: Amount::from_minor(minor),
        reason: "fraudulent".to_owned(),
        status,
        created_at: now,
        updated_at: now,
    });
}

/// Asks for so much, and says what each part gives; nothing when it is refused.
fn refund(sale: &mut Sale, minor: i64) -> Option<Vec<(usize, i64)>> {
    let id = RefundId::generate(&sale.entropy, sale.now);
    let ask = RefundAsk { amount: Some(Amount::from_minor(minor)), release_seats: Some(false), ..RefundAsk::default() };
    let effects = refund::open(sale.checkout.clone(), &id, &ask, sale.now, &sale.entropy).unwrap().ok()?;
    sale.checkout = effects.checkout;
    let refund = sale.checkout.refunds.last().unwrap();
    Some(refund.parts.iter().map(|part| (part.leg, part.amount.minor())).collect())
}

#[test]
fn what_a_bank_has_is_not_given_back_once_more() {
    let mut sale = by_three_cards();
    dispute(&mut sale, 2, 1700, DisputeStatus::Open);
    assert_eq!(refund(&mut sale, 700), Some(vec![(1, 700)]), "the last leg's money is at the bank");
    sale.checkout.disputes[0].status = DisputeStatus::Won;
    assert_eq!(refund(&mut sale, 1900), Some(vec![(2, 1700), (1, 200)]), "it is back");
}

#[test]
fn a_leg_that_a_bank_has_taken_a_part_of_gives_the_rest_and_last() {
    let mut sale = by_three_cards();
    dispute(&mut sale, 2, 1000, DisputeStatus::Lost);
    assert_eq!(refund(&mut sale, 4000), Some(vec![(1, 2000), (0, 1500), (2, 500)]));
    assert_eq!(refund(&mut sale, 201), None);
    assert_eq!(refund(&mut sale, 200), Some(vec![(2, 200)]));
}

fn statuses() -> impl Strategy<Value = DisputeStatus> {
    use DisputeStatus::{Closed, Inquiry, Lost, Open, Won};
    prop::sample::select(vec![Inquiry, Open, Won, Lost, Closed])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_leg_gives_more_than_banks_have_left_of_it_and_all_that_is_left_can_go(
        taken in prop::collection::vec((0..3usize, 1..=100i64, statuses()), 0..3),
        asked in prop::collection::vec(1..3000i64, 1..8),
    ) {
        let mut sale = by_three_cards();
        for (leg, percent, status) in taken {
            if !sale.checkout.disputes.iter().any(|known| known.charge as usize == leg + 1) {
                dispute(&mut sale, leg, LEGS[leg] * percent / 100, status);
            }
        }
        let at_banks = [0, 1, 2].map(|leg| disputed(&sale.checkout, leg).unwrap().minor());
        for minor in asked {
            let left = refund::refundable(&sale.checkout).unwrap().minor();
            let rests = [0, 1, 2].map(|leg| rest(&sale.checkout, leg, &sale.checkout.order.legs[leg]).unwrap().minor());
            prop_assert_eq!(rests.iter().sum::<i64>(), left);
            let Some(parts) = refund(&mut sale, minor) else {
                prop_assert!(minor > left, "{} of {} was refused", minor, left);
                continue;
            };
            prop_assert_eq!(parts.iter().map(|(_, amount)| amount).sum::<i64>(), minor);
            for (leg, amount) in &parts {
                prop_assert!(*amount <= rests[*leg], "{:?} of {:?}", parts, rests);
                let touched_before = |other: usize| parts.iter().any(|(leg, amount)| *leg == other && *amount == rests[other]);
                let others = (0..3).filter(|other| at_banks[*other] == 0 && rests[*other] > 0);
                prop_assert!(at_banks[*leg] == 0 || others.clone().all(touched_before), "{:?} of {:?}", parts, rests);
            }
        }
        for leg in 0..3 {
            let gone = given_back(&sale.checkout, leg, RefundPart::counts).unwrap().minor();
            prop_assert!(gone + at_banks[leg] <= LEGS[leg], "leg {} gave {} beside {}", leg, gone, at_banks[leg]);
        }
    }
}
