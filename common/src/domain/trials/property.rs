//! Moves at random: whoever dies, stalls, loses an answer or changes his mind, and whenever.

use super::{
    machine::{LEASE, Machine, Net, TOTAL, WINDOW},
    provider::Fate,
};
use crate::domain::{
    attempt::{Attempt, AttemptKind, AttemptStatus},
    ends::Verdict,
    state::Status,
};
use proptest::prelude::*;
use std::time::Duration;

#[derive(Debug, Clone, Copy)]
pub(super) enum Move {
    Begin,
    Ask(usize, Net),
    Settle(usize, bool),
    Die(usize),
    Work(Net),
    Wait(Duration),
    Cancel,
    Expire,
    Customer(bool),
    Webhook(u32),
    Resolve(Verdict),
}

fn net() -> impl Strategy<Value = Net> {
    prop_oneof![Just(Net::Well), Just(Net::RequestLost), Just(Net::AnswerLost), Just(Net::Refused)]
}

pub(super) fn a_move() -> impl Strategy<Value = Move> {
    let second = Duration::from_secs(1);
    let waits = prop::sample::select(vec![second, second * 3, LEASE + second, second * 1900, WINDOW]);
    prop_oneof![
        6 => Just(Move::Begin),
        6 => (0usize..3, net()).prop_map(|(at, net)| Move::Ask(at, net)),
        6 => (0usize..3, any::<bool>()).prop_map(|(at, again)| Move::Settle(at, again)),
        2 => (0usize..3).prop_map(Move::Die),
        6 => net().prop_map(Move::Work),
        8 => waits.prop_map(Move::Wait),
        2 => Just(Move::Cancel),
        1 => Just(Move::Expire),
        2 => any::<bool>().prop_map(Move::Customer),
        2 => (1u32..8).prop_map(Move::Webhook),
        1 => any::<bool>().prop_map(|ours| Move::Resolve(if ours { Verdict::Succeeded } else { Verdict::Failed })),
    ]
}

pub(super) fn make(machine: &mut Machine, step: Move) {
    match step {
        Move::Begin => drop(machine.begin()),
        Move::Ask(at, net) => machine.ask(at, net),
        Move::Settle(at, again) => drop(machine.settle(at, again)),
        Move::Die(at) if at < machine.hands.len() => drop(machine.hands.remove(at)),
        Move::Die(_) => {}
        Move::Work(net) => drop(machine.work_with(net)),
        Move::Wait(by) => machine.wait(by),
        Move::Cancel => drop(machine.cancel()),
        Move::Expire => machine.expire(),
        Move::Customer(approves) => machine.customer(approves),
        Move::Webhook(n) => machine.webhook(n),
        Move::Resolve(verdict) => machine.resolve(verdict),
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![2 => Just(Fate::Approve), 1 => Just(Fate::Decline), 3 => Just(Fate::AskCustomer)]
}

/// A provider of several legs may also break its word.
pub(super) fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => Just(Fate::Approve), 1 => Just(Fate::Decline), 2 => Just(Fate::AskCustomer), 1 => Just(Fate::TakeAtOnce), 1 => Just(Fate::BreakPromise)
    ]
}

/// One leg, or several, and which of them asks the customer instead of charging a card, if one does.
fn legs() -> impl Strategy<Value = (Vec<(i64, Fate)>, Option<usize>)> {
    let legs = prop_oneof![fate().prop_map(|fate| vec![(TOTAL, fate)]), prop::collection::vec((1i64..900, any_fate()), 2..4),];
    (legs, prop::option::of(0usize..4)).prop_map(|(legs, push)| {
        let push = push.filter(|&at| at < legs.len());
        (legs, push)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn money_and_state_agree_whatever_happens_in_whatever_order(
        (legs, push) in legs(),
        refuses in prop_oneof![2 => Just(0u32), 1 => 1u32..4],
        moves in prop::collection::vec(a_move(), 1..60),
    ) {
        let mut machine = push.map_or_else(|| Machine::split(&legs), |at| Machine::split_with_push(&legs, at));
        machine.refuses = refuses;
        for &step in &moves {
            make(&mut machine, step);
        }
        // Then the provider tells what it has, and all is worked off.
        machine.wake_the_stalled();
        machine.come_to_rest();
        // What an operator failed is looked for, unless nobody had the time while it was pursued, or the provider keeps it.
        let is_stuck = |a: &Attempt| {
            let refused = (a.request.kind, a.status) == (AttemptKind::Refund, AttemptStatus::Declined);
            refused || a.status == AttemptStatus::NeedsReview
        };
        let no_longer_pursued = machine.checkout.attempts.iter().any(is_stuck);
        if machine.resolved == Some(Verdict::Failed) && machine.checkout.status == Status::Failed && !no_longer_pursued {
            prop_assert_eq!(machine.taken(), 0, "nobody has to tell us: {:#?}", machine.checkout);
        }
        (1..=12).for_each(|n| machine.webhook(n));
        machine.come_to_rest();
        machine.give_back_late_money();
        machine.check_at_rest();
        if machine.checkout.status.is_terminal() {
            prop_assert_eq!(machine.unapplied, 0, "whoever looks after it leaves nothing that nobody is entitled to: {:#?}", machine.checkout);
        }
        if machine.resolved == Some(Verdict::Failed) && machine.checkout.status == Status::Failed {
            prop_assert_eq!(machine.taken(), 0, "what an operator failed is given back when it turns up: {:#?}", machine.checkout);
        }
    }
}
