//! What became of an attempt is not known, and its key is good no more: it is never sent again, and looked for until a look is the last.

use super::{
    machine::{LEASE, Machine, Net, TOTAL, WINDOW},
    provider::Fate,
};
use crate::domain::{
    attempt::{AttemptKind, AttemptStatus, MAX_TAKEOVERS},
    begin::Action,
    refund::{RefundAsk, RefundStatus},
    routing::Routing,
    state::Status,
};
use std::{sync::Arc, time::Duration};

const SECOND: Duration = Duration::from_secs(1);
/// How long it is looked for behind the window.
const LOOKED_FOR: Duration = Duration::from_secs(3600);

/// The charge's answer, or its request, was lost, and its key is good no more.
fn behind_window(fate: Fate, net: Net) -> Machine {
    let mut machine = Machine::new(fate);
    machine.work_with(net);
    assert_eq!(machine.checkout.status, Status::Reconciling);
    machine.wait(WINDOW + SECOND);
    machine
}

#[test]
fn a_charge_that_a_look_finds_is_sold_and_needs_nobody() {
    let mut machine = behind_window(Fate::Approve, Net::AnswerLost);
    assert!(machine.begin());
    assert_eq!(machine.hands[0].action, Action::LookUp);
    machine.ask(0, Net::Well);
    machine.settle(0, false);
    assert_eq!((machine.checkout.status, machine.taken()), (Status::Succeeded, TOTAL));
    machine.check_at_rest();
}

#[test]
fn a_no_that_a_look_finds_is_a_no() {
    let mut machine = behind_window(Fate::Decline, Net::AnswerLost);
    machine.work();
    assert_eq!((machine.checkout.status, machine.taken()), (Status::Failed, 0));
    machine.check_at_rest();
}

#[test]
fn a_provider_that_is_down_for_longer_than_its_keys_last_is_looked_at_when_it_is_back() {
    let mut machine = behind_window(Fate::Approve, Net::AnswerLost);
    for _ in 0..3 {
        machine.work_with(Net::RequestLost);
        assert_eq!(machine.checkout.status, Status::Reconciling, "{:#?}", machine.checkout);
        machine.now = machine.checkout.due_at.unwrap();
    }
    machine.now = machine.checkout.created_at.after(WINDOW + LOOKED_FOR);
    machine.work();
    assert_eq!((machine.checkout.status, machine.taken()), (Status::Succeeded, TOTAL));
}

#[test]
fn what_is_not_found_is_sent_by_nobody_and_goes_to_a_person_in_the_end() {
    let mut machine = behind_window(Fate::Approve, Net::RequestLost);
    machine.come_to_rest();
    assert_eq!(machine.checkout.status, Status::NeedsReview);
    assert!(machine.book.is_empty(), "a charge behind its key's window: {:?}", machine.book);
    let looked_for = machine.now.since(machine.checkout.created_at);
    assert!(looked_for > WINDOW + LOOKED_FOR && looked_for < WINDOW + LOOKED_FOR * 3, "{looked_for:?}");
    assert!(machine.held, "the place is kept until he has decided");
}

#[test]
fn whoever_comes_late_looks_once_and_whatever_keeps_him_from_an_answer_leaves_it_to_a_person() {
    for net in [Net::RequestLost, Net::AnswerLost, Net::Refused] {
        let mut machine = behind_window(Fate::Approve, Net::AnswerLost);
        machine.wait(LOOKED_FOR);
        assert!(machine.begin());
        assert_eq!(machine.hands[0].action, Action::LastLook);
        machine.ask(0, net);
        machine.settle(0, false);
        assert_eq!((machine.checkout.status, machine.checkout.due_at), (Status::NeedsReview, None), "{net:?}");
        // The provider's own word is still heard.
        machine.webhook(1);
        assert_eq!(machine.checkout.amount_paid.minor(), TOTAL);
    }
    let mut machine = behind_window(Fate::Approve, Net::AnswerLost);
    machine.wait(LOOKED_FOR * 10);
    machine.work();
    assert_eq!((machine.checkout.status, machine.taken()), (Status::Succeeded, TOTAL), "and what it finds counts");
}

#[test]
fn where_keys_last_less_than_an_hour_it_is_looked_for_as_long_again() {
    let window = Duration::from_secs(55 * 60);
    for (after, action) in
        [(window, Action::Send), (window + SECOND, Action::LookUp), (window * 2, Action::LookUp), (window * 2 + SECOND, Action::LastLook)]
    {
        let mut machine = Machine::new(Fate::Approve);
        machine.routing = Arc::new(Routing { key_windows: vec![("sandbox".to_owned(), window)], ..(*machine.routing).clone() });
        machine.work_with(Net::RequestLost);
        machine.now = machine.checkout.attempts[0].created_at.after(after);
        assert!(machine.begin());
        assert_eq!(machine.hands[0].action, action, "{after:?}");
    }
}

#[test]
fn a_worker_whose_commit_was_not_answered_looks_as_it_was_told_and_never_sends() {
    for wait in [Duration::ZERO, LOOKED_FOR] {
        let mut machine = behind_window(Fate::Approve, Net::RequestLost);
        machine.wait(wait);
        assert!(machine.begin_as("he") && machine.begin_as("he"));
        let looks = if wait.is_zero() { Action::LookUp } else { Action::LastLook };
        assert_eq!(machine.hands.iter().map(|hand| hand.action).collect::<Vec<_>>(), [looks, looks]);
    }
}

#[test]
fn workers_that_die_over_the_last_look_have_successors_and_not_for_ever() {
    let mut machine = behind_window(Fate::Approve, Net::AnswerLost);
    machine.wait(LOOKED_FOR);
    for _ in 0..=MAX_TAKEOVERS {
        assert!(machine.begin(), "{:#?}", machine.checkout);
        assert_eq!(machine.hands.remove(0).action, Action::LastLook);
        machine.wait(LEASE + SECOND);
    }
    assert!(!machine.begin());
    assert_eq!(machine.checkout.status, Status::NeedsReview);
}

#[test]
fn a_question_that_a_look_finds_too_late_is_taken_back() {
    for wait in [Duration::ZERO, LOOKED_FOR] {
        let mut machine = behind_window(Fate::AskCustomer, Net::AnswerLost);
        machine.wait(wait);
        machine.work();
        assert_eq!(machine.checkout.attempts[1].request.kind, AttemptKind::Void);
        machine.come_to_rest();
        assert_eq!((machine.checkout.status, machine.taken()), (Status::Expired, 0));
        machine.check_at_rest();
    }
}

#[test]
fn a_refund_that_a_look_finds_is_given_back_and_one_that_it_does_not_find_is_not_sent_again() {
    for (net, status, taken) in [(Net::AnswerLost, RefundStatus::Succeeded, 0), (Net::RequestLost, RefundStatus::NeedsReview, TOTAL)] {
        let mut machine = Machine::new(Fate::Approve);
        machine.work();
        machine.refund(&RefundAsk::default());
        machine.work_with(net);
        machine.wait(WINDOW + SECOND);
        machine.come_to_rest();
        assert_eq!((machine.checkout.refunds[0].status, machine.taken()), (status, taken));
        assert_eq!(machine.checkout.status, Status::Succeeded);
    }
}

#[test]
fn a_void_without_an_answer_is_looked_for_too() {
    let mut machine = Machine::new(Fate::AskCustomer);
    machine.work();
    assert!(!machine.cancel());
    machine.work_with(Net::AnswerLost);
    machine.wait(WINDOW + SECOND);
    machine.work();
    assert_eq!((machine.checkout.status, machine.checkout.attempts[1].status), (Status::Canceled, AttemptStatus::Approved));
    machine.check_at_rest();
}
