//! Payments for which a provider asks the customer: alone, and beside cards.

use super::{
    machine::{Machine, Net, TOTAL},
    provider::Fate,
};
use crate::domain::{
    attempt::{AttemptKind, AttemptStatus},
    error::Code,
    event::EventType,
    state::Status,
};
use std::time::Duration;

const TOO_LONG: Duration = Duration::from_secs(1801);

/// The customer has been asked.
fn asked() -> Machine {
    let mut machine = Machine::split_with_push(&[(TOTAL, Fate::AskCustomer)], 0);
    machine.work();
    assert_eq!((machine.checkout.status, machine.checkout.attempts[0].status), (Status::AwaitingPayment, AttemptStatus::Pending));
    assert_eq!(machine.checkout.payment_url, None, "there is nothing to open");
    machine
}

#[test]
fn the_customers_yes_sells_whoever_brings_it_first() {
    for by_webhook in [true, false] {
        let mut machine = asked();
        machine.customer(true);
        if by_webhook {
            machine.webhook(1);
        } else {
            machine.now = machine.checkout.due_at.unwrap();
            machine.work();
        }
        assert_eq!((machine.checkout.status, machine.taken()), (Status::Succeeded, TOTAL));
        let version = machine.checkout.version;
        machine.webhook(1);
        assert_eq!(machine.checkout.version, version, "told twice, done once");
    }
}

#[test]
fn the_yes_may_come_before_our_own_question_is_answered() {
    let mut machine = Machine::split_with_push(&[(TOTAL, Fate::AskCustomer)], 0);
    assert!(machine.begin());
    machine.ask(0, Net::Well);
    machine.customer(true);
    machine.webhook(1);
    assert_eq!(machine.checkout.status, Status::Succeeded);
    assert!(!machine.settle(0, false), "that the customer was asked is old news");
    assert_eq!((machine.checkout.status, machine.taken()), (Status::Succeeded, TOTAL));
    machine.check_at_rest();
}

#[test]
fn a_refusal_is_a_failed_payment_and_no_declined_card() {
    let mut machine = asked();
    machine.customer(false);
    machine.webhook(1);
    assert_eq!((machine.checkout.status, machine.taken()), (Status::Failed, 0));
    assert_eq!(machine.checkout.error.as_ref().map(|error| error.code), Some(Code::PaymentFailed));
}

#[test]
fn nobody_answers_and_the_question_is_taken_back_before_it_ends() {
    let mut machine = asked();
    machine.wait(TOO_LONG);
    machine.work();
    assert_eq!(machine.checkout.status, Status::Expired);
    let kinds: Vec<AttemptKind> = machine.checkout.attempts.iter().map(|attempt| attempt.request.kind).collect();
    assert_eq!(kinds, [AttemptKind::Charge, AttemptKind::Void]);
    machine.check_at_rest();
}

#[test]
fn a_provider_that_took_its_question_back_and_the_money_all_the_same_gives_it_back_once() {
    let mut machine = asked();
    machine.cancel();
    machine.come_to_rest();
    assert_eq!(machine.checkout.status, Status::Canceled);
    machine.break_word(1);
    assert_eq!((machine.checkout.status, machine.taken()), (Status::Canceled, TOTAL));
    machine.webhook(1);
    machine.come_to_rest();
    assert_eq!((machine.checkout.status, machine.taken()), (Status::Canceled, 0));
    assert_eq!(machine.events.iter().filter(|event| **event == EventType::RefundSucceeded).count(), 1);
    machine.check_at_rest();
}

#[test]
fn beside_cards_the_customer_is_asked_last_when_all_else_is_promised() {
    let mut machine = Machine::split_with_push(&[(500, Fate::AskCustomer), (600, Fate::Approve), (400, Fate::Approve)], 0);
    for _ in 0..3 {
        machine.work();
    }
    let legs: Vec<(usize, AttemptStatus)> = machine.checkout.attempts.iter().map(|a| (a.request.leg, a.status)).collect();
    assert_eq!(legs, [(1, AttemptStatus::Authorized), (2, AttemptStatus::Authorized), (0, AttemptStatus::Pending)]);
    assert_eq!(machine.checkout.attempts.iter().map(|a| a.request.capture_later).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(machine.taken(), 0);
    machine.customer(true);
    machine.webhook(3);
    machine.come_to_rest();
    assert_eq!((machine.checkout.status, machine.taken()), (Status::Succeeded, 1500));
    machine.check_at_rest();
}

#[test]
fn beside_cards_a_refusal_gives_up_what_was_promised_and_a_broken_promise_gives_back_what_was_taken() {
    let mut machine = Machine::split_with_push(&[(500, Fate::AskCustomer), (1000, Fate::Approve)], 0);
    machine.work();
    machine.work();
    machine.customer(false);
    machine.webhook(2);
    machine.come_to_rest();
    assert_eq!((machine.checkout.status, machine.taken()), (Status::Failed, 0));
    machine.check_at_rest();

    let mut machine = Machine::split_with_push(&[(500, Fate::AskCustomer), (1000, Fate::BreakPromise)], 0);
    machine.work();
    machine.work();
    machine.customer(true);
    machine.webhook(2);
    assert_eq!(machine.taken(), 500);
    machine.come_to_rest();
    assert_eq!((machine.checkout.status, machine.taken()), (Status::Failed, 0));
    machine.check_at_rest();
}
