//! Payments on our page, with moves at random: whatever happens in whatever order, a page charges once at the most, and what was sold can be
//! given back.

use super::{
    hosted::{TOO_LONG, by_push},
    machine::{LEASE, Machine, Net, TOTAL, WINDOW},
    property,
    provider::Fate,
};
use crate::domain::{ends::Verdict, refund::RefundAsk, state::Status};
use proptest::prelude::*;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
enum Move {
    /// With the form of now, or an older one.
    Pay(u32),
    /// The same at a bank.
    PayAtBank(u32),
    /// To pay in another way than the one he is asked about, with the form of now or an older one.
    TakeBack(u32),
    Fate(Fate),
    /// One that is made everywhere.
    Any(property::Move),
}

fn net() -> impl Strategy<Value = Net> {
    prop_oneof![3 => Just(Net::Well), 1 => Just(Net::RequestLost), 1 => Just(Net::AnswerLost), 1 => Just(Net::Refused)]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![Just(Fate::Approve), Just(Fate::Decline), Just(Fate::AskCustomer)]
}

fn a_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        5 => (0u32..3).prop_map(Move::Pay),
        4 => (0u32..3).prop_map(Move::PayAtBank),
        3 => (0u32..2).prop_map(Move::TakeBack),
        4 => fate().prop_map(Move::Fate),
        39 => any_move().prop_map(Move::Any),
    ]
}

fn any_move() -> impl Strategy<Value = property::Move> {
    use property::Move;
    let waits = prop::sample::select(vec![SECOND, SECOND * 3, LEASE + SECOND, SECOND * 1700, TOO_LONG, WINDOW]);
    prop_oneof![
        6 => Just(Move::Begin),
        6 => (0usize..3, net()).prop_map(|(at, net)| Move::Ask(at, net)),
        6 => (0usize..3, any::<bool>()).prop_map(|(at, again)| Move::Settle(at, again)),
        2 => (0usize..3).prop_map(Move::Die),
        10 => net().prop_map(Move::Work),
        4 => waits.prop_map(Move::Wait),
        1 => Just(Move::Cancel),
        2 => any::<bool>().prop_map(Move::Customer),
        1 => (1u32..6).prop_map(Move::Webhook),
        1 => any::<bool>().prop_map(|ours| Move::Resolve(if ours { Verdict::Succeeded } else { Verdict::Failed })),
    ]
}

fn make(machine: &mut Machine, step: Move) {
    match step {
        Move::Pay(back) => drop(machine.pay(machine.checkout.next_n().saturating_sub(back))),
        Move::PayAtBank(back) => drop(machine.pay_with(machine.checkout.next_n().saturating_sub(back), by_push("slb001"))),
        Move::TakeBack(back) => drop(machine.take_back(machine.checkout.next_n().saturating_sub(back))),
        Move::Fate(fate) => machine.fates[0] = fate,
        Move::Any(step) => property::make(machine, step),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_page_that_is_paid_on_in_whatever_order_charges_once_at_the_most(
        fate in fate(),
        refuses in 0u32..3,
        moves in prop::collection::vec(a_move(), 1..80),
    ) {
        let mut machine = Machine::hosted(fate);
        for &step in &moves {
            make(&mut machine, step);
        }
        machine.wake_the_stalled();
        machine.come_to_rest();
        (1..=23).for_each(|n| machine.webhook(n));
        machine.come_to_rest();
        machine.check_at_rest();
        machine.refuses = refuses;
        // One that was refused is taken all the same: behind the end it goes back, and the books hold nothing of it.
        if machine.resolved.is_none() && machine.checkout.status.is_terminal() && (1..=23).any(|n| machine.take_after_all(n)) {
            machine.come_to_rest();
            machine.give_back_late_money();
            machine.check_at_rest();
        }
        if machine.checkout.status.is_terminal() {
            machine.give_back_late_money();
            prop_assert_eq!(machine.unapplied, 0, "{:#?}", machine.checkout);
        }
        prop_assert!((0..=TOTAL).contains(&machine.taken()), "{:#?}", machine.checkout);
        // Whichever way paid it in the end: what was sold can be given back.
        if machine.resolved.is_none() && machine.checkout.status == Status::Succeeded && machine.taken() == TOTAL {
            machine.refuses = 0;
            machine.refund(&RefundAsk::default());
            machine.come_to_rest();
            prop_assert_eq!((machine.taken(), machine.unapplied), (0, 0), "{:#?}", machine.checkout);
        }
    }
}
