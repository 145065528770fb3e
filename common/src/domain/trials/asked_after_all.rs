//! A customer who is asked, at an address or on the phone, and the answer that says so is lost: asked again, the provider says the same.

use super::{
    machine::{LEASE, Machine, Net, TOTAL},
    provider::Fate,
};
use crate::domain::{
    attempt::{AttemptKind, CustomerAction, EmbeddedForm, Outcome},
    event::EventType,
    secret::Secret,
    state::Status,
};
use std::time::Duration;

/// The answer was lost on its way to whoever lives to see that.
fn lost() -> [Machine; 2] {
    let push = Machine::split_with_push(&[(TOTAL, Fate::AskCustomer)], 0);
    [Machine::new(Fate::AskCustomer), push].map(|mut machine| {
        machine.work_with(Net::AnswerLost);
        assert_eq!((machine.checkout.status, &machine.checkout.payment_url), (Status::Reconciling, &None));
        machine
    })
}

fn kinds(machine: &Machine) -> Vec<AttemptKind> {
    machine.checkout.attempts.iter().map(|attempt| attempt.request.kind).collect()
}

/// The next look, when it is due.
fn look(machine: &mut Machine) {
    machine.now = machine.now.max(machine.checkout.due_at.unwrap());
    machine.work();
}

#[test]
fn it_is_the_customers_turn_when_the_answer_comes_again_and_what_he_says_counts() {
    for yes in [true, false] {
        for mut machine in lost() {
            let ends = machine.checkout.expires_at;
            look(&mut machine);
            assert_eq!((machine.checkout.status, machine.checkout.expires_at), (Status::AwaitingPayment, ends), "{:#?}", machine.checkout);
            let is_pushed = machine.checkout.attempts[0].request.push.is_some();
            assert_eq!(machine.checkout.payment_url.is_some(), !is_pushed, "an address to go to, or the phone");
            assert_eq!((machine.book.len(), kinds(&machine)), (1, vec![AttemptKind::Charge]), "one question, and none taken back");
            let told = machine.events.iter().filter(|event| **event == EventType::CheckoutAwaitingPayment).count();
            assert_eq!(told, 1, "the shop is told as by an answer that came at once");
            machine.customer(yes);
            look(&mut machine);
            let (status, taken) = if yes { (Status::Succeeded, TOTAL) } else { (Status::Failed, 0) };
            assert_eq!((machine.checkout.status, machine.taken()), (status, taken));
            machine.check_at_rest();
        }
    }
}

#[test]
fn a_form_is_shown_again_with_what_the_provider_says_again() {
    let [mut machine, _] = lost();
    machine.now = machine.checkout.due_at.unwrap();
    assert!(machine.begin());
    let form = EmbeddedForm { client_secret: Secret::new("cs_secret".to_owned()), publishable_key: "pk".to_owned() };
    let hand = machine.hands.remove(0);
    machine.record(hand.n, &hand.token, Outcome::RequiresForm { form: form.clone(), provider_reference: "cs_1".to_owned() });
    let attempt = &machine.checkout.attempts[0];
    assert_eq!((machine.checkout.status, &attempt.action), (Status::AwaitingPayment, &Some(CustomerAction::Form(form))));
    assert_eq!(attempt.open_form().map(|form| form.publishable_key.as_str()), Some("pk"));
}

#[test]
fn whoever_paid_before_the_answer_came_again_has_paid_once() {
    for mut machine in lost() {
        machine.customer(true);
        look(&mut machine);
        machine.webhook(1);
        assert_eq!((machine.checkout.status, machine.taken()), (Status::Succeeded, TOTAL));
        machine.check_at_rest();
    }
}

#[test]
fn with_no_time_left_the_question_is_taken_back_and_it_expires() {
    // The answer comes again with so much left.
    for left in [Duration::from_secs(30), Duration::from_secs(3), Duration::ZERO] {
        for mut machine in lost() {
            machine.now = machine.checkout.expires_at.before(left);
            machine.work();
            assert_eq!((machine.checkout.status, &machine.checkout.payment_url), (Status::Reconciling, &None), "{left:?}");
            look(&mut machine);
            assert_eq!((machine.checkout.status, kinds(&machine)), (Status::Expired, vec![AttemptKind::Charge, AttemptKind::Void]));
            machine.check_at_rest();
        }
    }
    for mut machine in lost() {
        machine.now = machine.checkout.expires_at.before(Duration::from_secs(31));
        machine.work();
        assert_eq!(machine.checkout.status, Status::AwaitingPayment, "this is time enough");
        machine.come_to_rest();
        assert_eq!(machine.checkout.status, Status::Expired, "and its end is where it was");
        machine.check_at_rest();
    }
}

#[test]
fn what_is_taken_back_late_and_turns_out_paid_is_sold() {
    for mut machine in lost() {
        machine.now = machine.checkout.expires_at;
        machine.work();
        machine.customer(true);
        machine.come_to_rest();
        assert_eq!((machine.checkout.status, machine.taken()), (Status::Succeeded, TOTAL));
        machine.check_at_rest();
    }
}

#[test]
fn behind_a_cancel_nobody_is_asked() {
    for mut machine in lost() {
        assert!(!machine.cancel());
        machine.come_to_rest();
        assert_eq!((machine.checkout.status, kinds(&machine)), (Status::Canceled, vec![AttemptKind::Charge, AttemptKind::Void]));
        assert!(!machine.events.contains(&EventType::CheckoutAwaitingPayment));
        machine.check_at_rest();
    }
}

#[test]
fn beside_other_cards_he_is_waited_for_and_all_of_it_is_taken_or_given_up() {
    for yes in [true, false] {
        let mut machine = Machine::split(&[(500, Fate::Approve), (400, Fate::AskCustomer), (600, Fate::Approve)]);
        machine.work();
        machine.work_with(Net::AnswerLost);
        assert_eq!(machine.checkout.status, Status::Reconciling);
        look(&mut machine);
        assert_eq!((machine.checkout.status, machine.taken()), (Status::AwaitingPayment, 0));
        machine.customer(yes);
        machine.come_to_rest();
        let (status, taken) = if yes { (Status::Succeeded, 1500) } else { (Status::Failed, 0) };
        assert_eq!((machine.checkout.status, machine.taken()), (status, taken), "{:#?}", machine.checkout);
        machine.check_at_rest();
    }
}

#[test]
fn a_worker_that_stalled_and_says_the_same_later_changes_nothing() {
    for mut machine in lost() {
        machine.now = machine.checkout.due_at.unwrap();
        assert!(machine.begin());
        machine.ask(0, Net::Well);
        machine.wait(LEASE * 2);
        machine.work();
        let (version, status) = (machine.checkout.version, machine.checkout.status);
        assert_eq!(status, Status::AwaitingPayment);
        assert!(!machine.settle(0, false), "somebody else had the lease since");
        assert_eq!(machine.checkout.version, version);
    }
}
