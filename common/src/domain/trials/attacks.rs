//! Moves that somebody suspected, one promise each.

use super::{
    machine::{LEASE, Machine, Net, TOTAL, WINDOW},
    provider::{Booked, Fate, approved, declined},
};
use crate::domain::{
    attempt::{AttemptKind, AttemptStatus, MAX_TAKEOVERS, Outcome, Receipt},
    ends::Verdict,
    error::Code,
    event::EventType,
    money::{Amount, Currency},
    state::Status,
};
use std::time::Duration;

/// Longer than any wait between two tries, shorter than a deadline.
const PAUSE: Duration = Duration::from_secs(120);

fn pending() -> Outcome {
    Outcome::RequiresAction { url: "https://bank.example".to_owned(), provider_reference: "later".to_owned() }
}

/// The charge's answer was lost and its key window is over: an operator has to decide.
fn in_review(fate: Fate, net: Net) -> Machine {
    let mut machine = Machine::new(fate);
    machine.work_with(net);
    machine.wait(WINDOW * 2);
    // Nobody can be asked.
    machine.work_with(Net::RequestLost);
    assert_eq!(machine.checkout.status, Status::NeedsReview);
    machine
}

/// The customer was sent to a page and has called the checkout off: a void is in a worker's hands.
fn voiding() -> Machine {
    let mut machine = Machine::new(Fate::AskCustomer);
    machine.work();
    assert!(!machine.cancel());
    assert!(machine.begin());
    assert_eq!(machine.checkout.attempts[1].request.kind, AttemptKind::Void);
    machine
}

#[test]
fn what_several_cards_have_promised_is_given_up_one_after_the_other_without_a_wait() {
    let mut machine = Machine::split(&[(500, Fate::Approve), (400, Fate::Approve), (300, Fate::Approve), (600, Fate::Decline)]);
    for _ in 0..20 {
        machine.work();
    }
    let voids = machine.checkout.attempts.iter().filter(|attempt| attempt.request.kind == AttemptKind::Void).count();
    assert_eq!((machine.checkout.status, voids), (Status::Failed, 3), "{:?}", machine.checkout.due_at);
}

#[test]
fn a_charge_that_was_certainly_never_sent_is_canceled_at_once() {
    let mut machine = Machine::new(Fate::Approve);
    machine.work_with(Net::Refused);
    assert_eq!(machine.checkout.status, Status::Processing);
    assert!(machine.cancel(), "nothing was sent");
    assert_eq!(machine.checkout.status, Status::Canceled);
    machine.come_to_rest();
    assert!(machine.book.is_empty(), "and nothing is");
}

#[test]
fn a_refusal_that_comes_back_behind_a_cancel_is_not_tried_again() {
    let mut machine = Machine::new(Fate::Approve);
    machine.begin();
    assert!(!machine.cancel());
    machine.ask(0, Net::Refused);
    machine.settle(0, false);
    assert_eq!(machine.checkout.status, Status::Canceled);
    machine.come_to_rest();
    assert!(machine.book.is_empty());
}

#[test]
fn a_cancel_behind_a_worker_that_died_asks_the_provider_and_concludes_nothing() {
    let mut machine = Machine::new(Fate::Approve);
    machine.begin();
    machine.ask(0, Net::AnswerLost);
    machine.hands.clear();
    machine.wait(LEASE * 2);
    assert!(!machine.cancel(), "it may have been sent");
    machine.work_with(Net::Refused);
    assert_eq!(machine.checkout.status, Status::Reconciling);
    machine.come_to_rest();
    assert_eq!((machine.checkout.status, machine.taken()), (Status::Succeeded, TOTAL));
}

#[test]
fn nobody_is_charged_after_the_deadline_for_the_first_time() {
    let mut machine = Machine::new(Fate::Approve);
    machine.begin();
    machine.wait(LEASE * 100);
    machine.ask(0, Net::Refused);
    machine.settle(0, false);
    let error = machine.checkout.error.clone().map(|error| error.code);
    assert_eq!((machine.checkout.status, error), (Status::Failed, Some(Code::ProviderUnavailable)));
}

#[test]
fn what_an_operator_sold_stays_sold_when_the_providers_word_comes_later() {
    for net in [Net::AnswerLost, Net::RequestLost] {
        let mut machine = in_review(Fate::Approve, net);
        machine.resolve(Verdict::Succeeded);
        machine.record(1, "late", approved("ch", TOTAL));
        assert_eq!((machine.checkout.attempts.len(), machine.checkout.amount_paid.minor()), (1, TOTAL), "{:#?}", machine.checkout);
        machine.record(1, "late", declined());
        machine.come_to_rest();
        machine.check_at_rest();
    }
}

#[test]
fn money_that_turns_up_in_review_is_in_the_books_before_the_operator_decides() {
    for verdict in [Verdict::Succeeded, Verdict::Failed] {
        let mut machine = in_review(Fate::Approve, Net::AnswerLost);
        machine.webhook(1);
        assert_eq!((machine.checkout.status, machine.checkout.amount_paid.minor()), (Status::NeedsReview, TOTAL));
        machine.resolve(verdict);
        machine.come_to_rest();
        machine.check_at_rest();
        assert_eq!(machine.taken(), if verdict == Verdict::Succeeded { TOTAL } else { 0 });
    }
}

#[test]
fn money_that_an_operator_did_not_see_is_looked_for_and_goes_back() {
    let died_too_often = || {
        let mut machine = Machine::new(Fate::Approve);
        for _ in 0..=MAX_TAKEOVERS + 1 {
            machine.begin();
            machine.ask(0, Net::AnswerLost);
            machine.hands.clear();
            machine.wait(LEASE * 2);
        }
        machine
    };
    for mut machine in [in_review(Fate::Approve, Net::AnswerLost), died_too_often()] {
        assert_eq!((machine.checkout.status, machine.taken()), (Status::NeedsReview, TOTAL));
        machine.resolve(Verdict::Failed);
        machine.come_to_rest();
        assert_eq!((machine.taken(), machine.checkout.amount_refunded.minor()), (0, TOTAL), "{:#?}", machine.checkout);
        machine.check_at_rest();
    }
}

#[test]
fn what_a_customer_could_still_pay_behind_an_operators_no_is_called_off() {
    let mut machine = in_review(Fate::AskCustomer, Net::AnswerLost);
    machine.resolve(Verdict::Failed);
    machine.come_to_rest();
    assert_eq!(machine.checkout.attempts[1].request.kind, AttemptKind::Void);
    machine.customer(true);
    assert_eq!(machine.taken(), 0, "nothing is left to be paid: {:?}", machine.book);
}

#[test]
fn looking_behind_an_operators_no_sends_nothing_and_has_an_end() {
    let mut machine = in_review(Fate::Approve, Net::RequestLost);
    machine.resolve(Verdict::Failed);
    machine.come_to_rest();
    assert!(machine.book.is_empty(), "a charge behind the end: {:?}", machine.book);
    assert_eq!((machine.checkout.attempts.len(), machine.checkout.attempts[0].status), (1, AttemptStatus::NeedsReview));
    assert!(machine.now > machine.checkout.completed_at.unwrap().after(WINDOW), "it was given up early");
    let asked = machine.events.iter().filter(|event| **event == EventType::CheckoutNeedsReview).count();
    assert_eq!(asked, 1, "an operator is not asked again about what he has decided");
    machine.check_at_rest();
}

#[test]
fn a_refused_void_is_not_opened_again_and_the_wait_has_an_end() {
    let mut machine = voiding();
    let void = machine.hands.remove(0);
    machine.record(void.n, &void.token, declined());
    for _ in 0..100 {
        machine.wait(PAUSE);
        machine.work();
    }
    assert_eq!((machine.checkout.status, machine.checkout.attempts.len()), (Status::Reconciling, 2));
    machine.come_to_rest();
    assert_eq!(machine.checkout.status, Status::NeedsReview);
}

#[test]
fn a_settlement_repeated_after_a_lost_commit_counts_once() {
    for net in [Net::Refused, Net::RequestLost] {
        let mut machine = Machine::new(Fate::Approve);
        machine.begin();
        machine.ask(0, net);
        assert!(machine.settle(0, true));
        assert!(!machine.settle(0, false), "{net:?}: the first run has written it");
        assert_eq!(machine.checkout.attempts[0].tries, 1);
    }
}

#[test]
fn a_void_that_was_never_sent_is_dropped_when_the_charge_turns_out_paid() {
    let mut machine = Machine::new(Fate::AskCustomer);
    machine.work();
    machine.wait(PAUSE);
    machine.begin();
    assert!(!machine.cancel());
    machine.ask(0, Net::Well);
    machine.settle(0, false);
    assert_eq!(machine.checkout.attempts[1].status, AttemptStatus::Started);
    machine.customer(true);
    machine.webhook(1);
    assert_eq!((machine.checkout.status, machine.checkout.due_at), (Status::Succeeded, None));
    assert_eq!(machine.checkout.attempts[1].status, AttemptStatus::NotSent, "it must not undo what was sold");
    machine.check_at_rest();
}

#[test]
fn a_void_that_was_perhaps_sent_is_looked_up_and_not_sent_again_once_the_charge_is_paid() {
    let mut machine = voiding();
    machine.ask(0, Net::RequestLost);
    machine.settle(0, false);
    machine.customer(true);
    machine.webhook(1);
    assert_eq!(machine.checkout.status, Status::Succeeded);
    machine.come_to_rest();
    assert_eq!(machine.book.len(), 1, "no void came to the provider: {:?}", machine.book);
    machine.check_at_rest();
}

#[test]
fn a_void_that_the_provider_confirms_of_a_paid_charge_is_booked_as_money_that_went_back() {
    let mut machine = voiding();
    machine.odd_amounts = true;
    machine.customer(true);
    machine.webhook(1);
    let void = machine.hands.remove(0);
    machine.record(void.n, &void.token, approved("void", TOTAL));
    let checkout = &machine.checkout;
    assert_eq!(
        (checkout.status, checkout.amount_paid, checkout.amount_refunded.minor()),
        (Status::Succeeded, Amount::from_minor(TOTAL), TOTAL)
    );
}

#[test]
fn another_amount_than_was_asked_is_in_the_books_and_goes_back_when_an_operator_says_so() {
    let mut machine = Machine::new(Fate::Approve);
    machine.odd_amounts = true;
    machine.begin();
    let hand = machine.hands.remove(0);
    machine.record(hand.n, &hand.token, approved("ch", 7));
    assert_eq!((machine.checkout.status, machine.checkout.amount_paid.minor()), (Status::NeedsReview, 7));
    machine.record(hand.n, "told twice", approved("ch", 7));
    assert_eq!(machine.checkout.amount_paid.minor(), 7, "once");
    machine.resolve(Verdict::Failed);
    let refund = machine.checkout.attempts[1].clone();
    assert_eq!(
        (refund.request.kind, refund.request.amount.minor(), refund.request.target.as_deref()),
        (AttemptKind::Refund, 7, Some("ch"))
    );
    assert_eq!(machine.checkout.due_at, Some(machine.now));
}

#[test]
fn another_amount_that_an_operator_accepts_is_sold_once() {
    let mut machine = Machine::new(Fate::Approve);
    machine.odd_amounts = true;
    machine.begin();
    let hand = machine.hands.remove(0);
    machine.record(hand.n, &hand.token, approved("ch", 7));
    machine.resolve(Verdict::Succeeded);
    assert_eq!((machine.checkout.status, machine.checkout.amount_paid.minor()), (Status::Succeeded, TOTAL));
    assert_eq!(machine.checkout.due_at, None);
}

#[test]
fn late_money_goes_back_as_it_came() {
    let mut machine = in_review(Fate::Approve, Net::RequestLost);
    machine.odd_amounts = true;
    machine.resolve(Verdict::Failed);
    machine.record(1, "late", approved("ch", TOTAL + 1));
    let refund = machine.checkout.attempts[1].clone();
    assert_eq!((refund.request.kind, refund.request.amount.minor()), (AttemptKind::Refund, TOTAL + 1));
    machine.record(1, "late", approved("ch", TOTAL + 1));
    assert_eq!(machine.checkout.attempts.len(), 2, "once");
}

#[test]
fn a_refund_of_another_amount_is_not_booked_as_if_it_were_ours() {
    let mut machine = in_review(Fate::Approve, Net::AnswerLost);
    machine.odd_amounts = true;
    machine.resolve(Verdict::Failed);
    machine.webhook(1);
    machine.begin();
    let hand = machine.hands.remove(0);
    machine.record(hand.n, &hand.token, approved("re", 1));
    assert_eq!((machine.checkout.attempts[1].status, machine.checkout.amount_refunded), (AttemptStatus::NeedsReview, Amount::ZERO));
    assert_eq!(machine.events.last(), Some(&EventType::CheckoutNeedsReview), "its owner is told");
}

#[test]
fn what_is_left_of_an_ended_checkout_tells_its_owner_when_only_a_person_can_go_on() {
    // A refund of late money whose workers die.
    let mut machine = in_review(Fate::Approve, Net::AnswerLost);
    machine.resolve(Verdict::Failed);
    machine.webhook(1);
    let told = machine.events.len();
    for _ in 0..=MAX_TAKEOVERS {
        machine.begin();
        machine.wait(LEASE * 2);
    }
    assert_eq!(machine.events.len(), told, "nothing is told while somebody may still go on");
    machine.begin();
    machine.hands.clear();
    let refund = &machine.checkout.attempts[1];
    assert_eq!(
        (machine.checkout.status, refund.request.kind, refund.status),
        (Status::Failed, AttemptKind::Refund, AttemptStatus::NeedsReview)
    );
    assert_eq!(machine.events[told..], [EventType::CheckoutNeedsReview]);
    machine.come_to_rest();
    assert_eq!(machine.events.len(), told + 1, "once");
}

#[test]
fn late_money_that_the_books_cannot_hold_tells_its_owner() {
    let mut machine = in_review(Fate::Approve, Net::RequestLost);
    machine.resolve(Verdict::Failed);
    let currency = Currency::parse("jpy").unwrap();
    let receipt = Receipt::of("ch".to_owned(), Amount::from_minor(TOTAL), currency);
    machine.record(1, "late", Outcome::Approved(receipt));
    assert_eq!((machine.checkout.status, machine.checkout.attempts[0].status), (Status::Failed, AttemptStatus::NeedsReview));
    assert_eq!(machine.events.last(), Some(&EventType::CheckoutNeedsReview));
}

#[test]
fn a_refund_that_is_pending_is_waited_for() {
    let mut machine = in_review(Fate::Approve, Net::AnswerLost);
    machine.resolve(Verdict::Failed);
    machine.webhook(1);
    machine.begin();
    let hand = machine.hands.remove(0);
    machine.record(hand.n, &hand.token, pending());
    assert_eq!((machine.checkout.attempts.len(), machine.checkout.attempts[1].status), (2, AttemptStatus::Unknown));
    machine.come_to_rest();
    machine.check_at_rest();
    assert_eq!(machine.taken(), 0);
}

#[test]
fn a_stray_message_moves_nothing_that_waits_for_an_operator() {
    let mut machine = voiding();
    for _ in 0..=MAX_TAKEOVERS {
        machine.wait(LEASE * 2);
        machine.begin();
    }
    machine.hands.clear();
    assert_eq!((machine.checkout.status, machine.checkout.attempts[0].status), (Status::NeedsReview, AttemptStatus::RequiresAction));
    let version = machine.checkout.version;
    machine.wait(PAUSE);
    assert!(!machine.begin());
    assert_eq!(machine.checkout.version, version);
    // The operator says no: what the provider could still take is called off.
    machine.resolve(Verdict::Failed);
    machine.come_to_rest();
    assert!(!machine.book.values().any(|operation| operation.booked == Booked::Pending), "{:#?}", machine.checkout);
}

#[test]
fn looking_whether_a_customer_paid_becomes_rarer() {
    let mut machine = Machine::new(Fate::AskCustomer);
    machine.work();
    for _ in 0..3 {
        machine.wait(PAUSE);
        machine.work();
    }
    assert_eq!(machine.checkout.attempts[0].tries, 4);
}
