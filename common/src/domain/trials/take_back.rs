//! A customer who is asked, and wants to pay in another way.

use super::{
    hosted::{TOO_LONG, by_push, try_to_pay, waiting},
    machine::{Machine, Net, TOTAL},
    provider::Fate,
};
use crate::domain::{
    error::Code,
    hosted::{MAX_TRIES, TAKEN_BACK},
    refund::RefundAsk,
    state::Status,
};
use std::time::Duration;

/// A bank asks the customer.
fn asked_by_bank() -> Machine {
    let mut machine = waiting(Fate::AskCustomer);
    assert!(machine.pay_with(1, by_push("slb001")) && machine.work());
    assert_eq!(machine.checkout.status, Status::AwaitingPayment);
    machine
}

#[test]
fn a_question_that_is_taken_back_opens_the_page_once_the_provider_has_confirmed_it() {
    let mut machine = asked_by_bank();
    assert!(!machine.take_back(1), "the form of another attempt");
    assert!(machine.take_back(2));
    assert!(!machine.take_back(2) && !machine.take_back(3) && !machine.pay(3), "a double click, or another window");
    assert_eq!((machine.checkout.status, machine.checkout.due_at), (Status::Reconciling, Some(machine.now)));
    machine.work();
    let error = machine.checkout.error.as_ref().unwrap();
    assert_eq!(
        (machine.checkout.status, error.code, error.decline_code.as_deref()),
        (Status::AwaitingPayment, Code::PaymentFailed, Some(TAKEN_BACK))
    );
    machine.fates[0] = Fate::Approve;
    assert!(machine.pay(3));
    machine.come_to_rest();
    assert_eq!((machine.checkout.status, machine.taken()), (Status::Succeeded, TOTAL));
    machine.check_at_rest();
}

#[test]
fn what_was_sold_behind_a_question_that_was_taken_back_goes_back_like_any_sale() {
    for another_way in [true, false] {
        let mut machine = asked_by_bank();
        assert!(machine.take_back(2));
        machine.work();
        assert_eq!(machine.checkout.status, Status::AwaitingPayment);
        machine.fates[0] = Fate::Approve;
        // Or the bank takes it although it had said that it would not, and nobody has paid in another way yet.
        assert!(if another_way { machine.pay(3) } else { machine.take_after_all(1) });
        machine.come_to_rest();
        assert_eq!((machine.checkout.status, machine.taken()), (Status::Succeeded, TOTAL));
        machine.refund(&RefundAsk::default());
        machine.come_to_rest();
        assert_eq!((machine.taken(), machine.checkout.refunds[0].release_seats), (0, true), "{:#?}", machine.checkout);
        assert_eq!(machine.unapplied, 0);
    }
}

#[test]
fn a_yes_or_a_no_at_the_very_moment_of_the_taking_back_counts_whichever_is_first() {
    for (yes, void) in [(true, None), (true, Some(Net::Well)), (false, None), (false, Some(Net::Well)), (false, Some(Net::AnswerLost))] {
        let mut machine = asked_by_bank();
        // Somebody looks for the answer just then: he finds that it is being taken back.
        machine.now = machine.checkout.due_at.unwrap();
        assert!(machine.begin());
        machine.ask(0, Net::Well);
        assert!(machine.take_back(2));
        assert!(machine.settle(0, false));
        assert_eq!(
            (machine.checkout.status, machine.checkout.due_at),
            (Status::Reconciling, Some(machine.now)),
            "the void waits for nobody"
        );
        if void.is_some() {
            assert!(machine.begin());
        }
        machine.customer(yes);
        machine.webhook(1);
        if let Some(net) = void {
            machine.ask(0, net);
            machine.settle(0, false);
        }
        if !yes {
            if machine.checkout.status == Status::Reconciling {
                machine.now = machine.now.max(machine.checkout.due_at.unwrap());
                machine.work();
            }
            assert_eq!(machine.checkout.status, Status::AwaitingPayment, "another way may be tried: {:#?}", machine.checkout);
            machine.fates[0] = Fate::Approve;
            assert!(machine.pay(machine.checkout.next_n()));
        }
        machine.come_to_rest();
        assert_eq!((machine.checkout.status, machine.taken()), (Status::Succeeded, TOTAL), "{:#?}", machine.checkout);
        machine.check_at_rest();
    }
}

#[test]
fn a_question_that_is_taken_back_ends_with_the_cancel_or_the_deadline_that_comes_meanwhile_and_not_behind_the_last_try() {
    let mut machine = asked_by_bank();
    assert!(machine.take_back(2) && !machine.cancel());
    machine.come_to_rest();
    assert_eq!(machine.checkout.status, Status::Canceled);
    let mut machine = asked_by_bank();
    assert!(machine.take_back(2));
    machine.wait(TOO_LONG);
    machine.work();
    assert_eq!(machine.checkout.status, Status::Expired);
    machine.check_at_rest();
    let mut machine = waiting(Fate::Decline);
    for _ in 1..MAX_TRIES {
        try_to_pay(&mut machine);
    }
    machine.fates[0] = Fate::AskCustomer;
    try_to_pay(&mut machine);
    assert_eq!(machine.checkout.charges().count(), MAX_TRIES);
    assert!(!machine.take_back(machine.checkout.next_n()), "behind it is no other way");
}

#[test]
fn a_void_that_is_refused_while_a_dead_worker_still_holds_the_charge_waits_for_its_lease() {
    let mut machine = Machine::hosted(Fate::AskCustomer);
    machine.work();
    assert!(machine.pay(1));
    machine.work();
    machine.wait(Duration::from_secs(1));
    assert!(machine.begin(), "somebody looks what became of it");
    assert!(machine.take_back(2));
    machine.hands.clear();
    machine.customer(false);
    machine.come_to_rest();
    machine.check_at_rest();
}

#[test]
fn a_void_that_is_refused_behind_the_charges_own_no_ends_what_was_called_off() {
    let mut machine = Machine::hosted(Fate::AskCustomer);
    machine.work();
    assert!(machine.pay(1));
    machine.work();
    assert!(machine.take_back(2));
    assert!(machine.begin(), "the void is under way");
    machine.customer(false);
    machine.webhook(1);
    assert!(!machine.cancel());
    machine.ask(0, Net::Well);
    machine.settle(0, false);
    machine.come_to_rest();
    assert_eq!(machine.checkout.status, Status::Canceled);
    machine.check_at_rest();
}

#[test]
fn a_void_that_was_never_sent_behind_the_charges_own_no_keeps_no_called_off_checkout_open() {
    let mut machine = Machine::hosted(Fate::AskCustomer);
    machine.work();
    assert!(machine.pay(1));
    machine.work();
    assert!(machine.take_back(2));
    machine.customer(false);
    assert!(machine.begin(), "the void is under way");
    machine.ask(0, Net::Refused);
    machine.webhook(1);
    machine.settle(0, false);
    assert_eq!(machine.checkout.status, Status::AwaitingPayment, "another way may be tried");
    assert!(machine.cancel());
    machine.come_to_rest();
    assert_eq!(machine.checkout.status, Status::Canceled);
    machine.check_at_rest();
}
