//! Payments on our page: one promise each.

use super::{
    machine::{Machine, Net, TOTAL, WINDOW},
    provider::{Fate, approved},
};
use crate::domain::{
    attempt::{AttemptKind, AttemptStatus},
    ends::Verdict,
    error::Code,
    hosted::{MAX_TRIES, PaidWith},
    money::Amount,
    push::{PushKind, PushMethod},
    refund::{RefundAsk, RefundStatus},
    state::Status,
};
use std::time::Duration;

/// Longer than a checkout of these trials may wait.
pub(super) const TOO_LONG: Duration = Duration::from_secs(1801);

/// Everything is claimed, and the customer has the link.
pub(super) fn waiting(fate: Fate) -> Machine {
    let mut machine = Machine::hosted(fate);
    machine.work();
    assert_eq!(machine.checkout.status, Status::AwaitingPayment);
    machine
}

/// The customer pays, and a worker brings it to the provider.
pub(super) fn try_to_pay(machine: &mut Machine) {
    assert!(machine.pay(machine.checkout.next_n()));
    assert!(machine.work());
}

#[test]
fn everything_is_held_and_the_customer_is_sent_to_our_page_before_anybody_is_charged() {
    let machine = waiting(Fate::Approve);
    let url = machine.checkout.payment_url.clone().unwrap();
    assert!(url.starts_with(&format!("https://pay.example/pay/{}.", machine.checkout.id)), "{url}");
    assert_eq!((machine.checkout.due_at, machine.checkout.attempts.len()), (Some(machine.checkout.expires_at), 0));
    assert!(machine.book.is_empty());
}

#[test]
fn what_the_customer_submits_is_charged_once_and_sold() {
    let mut machine = waiting(Fate::Approve);
    assert!(machine.pay(1));
    assert_eq!((machine.checkout.status, machine.checkout.due_at), (Status::Processing, Some(machine.now)));
    assert!(!machine.pay(1) && !machine.pay(2), "a second click finds a payment under way");
    machine.work();
    assert_eq!((machine.checkout.status, machine.taken()), (Status::Succeeded, TOTAL));
    assert!(!machine.pay(2));
}

#[test]
fn a_decline_lets_the_customer_try_again_and_the_old_form_does_nothing() {
    let mut machine = waiting(Fate::Decline);
    try_to_pay(&mut machine);
    assert_eq!(machine.checkout.status, Status::AwaitingPayment);
    assert_eq!(machine.checkout.error.as_ref().map(|error| error.code), Some(Code::CardDeclined));
    assert!(!machine.pay(1), "the form of the first try, sent again by the back button");
    machine.fates[0] = Fate::Approve;
    try_to_pay(&mut machine);
    assert_eq!((machine.checkout.status, machine.taken(), machine.checkout.error.clone()), (Status::Succeeded, TOTAL, None));
    machine.check_at_rest();
}

#[test]
fn tries_are_bounded_and_the_last_decline_ends_it() {
    let mut machine = waiting(Fate::Decline);
    for _ in 1..MAX_TRIES {
        try_to_pay(&mut machine);
        assert_eq!(machine.checkout.status, Status::AwaitingPayment);
    }
    try_to_pay(&mut machine);
    assert_eq!((machine.checkout.status, machine.checkout.attempts.len()), (Status::Failed, MAX_TRIES));
    assert_eq!(machine.checkout.error.as_ref().map(|error| error.code), Some(Code::CardDeclined));
    machine.check_at_rest();
}

#[test]
fn nobody_pays_from_the_deadline_on_and_a_worker_ends_it_without_asking_anybody() {
    let mut machine = waiting(Fate::Approve);
    machine.now = machine.checkout.expires_at;
    assert!(!machine.pay(1));
    assert!(!machine.work());
    assert_eq!((machine.checkout.status, machine.book.len()), (Status::Expired, 0));
    machine.check_at_rest();
}

#[test]
fn what_was_submitted_in_time_and_never_sent_is_not_sent_after_the_deadline() {
    let mut machine = waiting(Fate::Approve);
    assert!(machine.pay(1));
    machine.wait(TOO_LONG);
    machine.work();
    assert_eq!((machine.checkout.status, machine.book.len()), (Status::Expired, 0));
    assert_eq!(machine.checkout.attempts[0].status, AttemptStatus::NotSent);
}

#[test]
fn what_was_sent_in_time_and_approved_after_the_deadline_is_sold() {
    let mut machine = waiting(Fate::Approve);
    assert!(machine.pay(1) && machine.begin());
    machine.wait(TOO_LONG);
    machine.ask(0, Net::Well);
    machine.settle(0, false);
    assert_eq!((machine.checkout.status, machine.taken()), (Status::Succeeded, TOTAL));
}

#[test]
fn a_decline_after_the_deadline_is_an_expiry() {
    let mut machine = waiting(Fate::Decline);
    assert!(machine.pay(1) && machine.begin());
    machine.wait(TOO_LONG);
    machine.ask(0, Net::Well);
    machine.settle(0, false);
    assert_eq!(machine.checkout.status, Status::Expired);
    machine.check_at_rest();
}

#[test]
fn a_cancel_ends_it_at_once_while_nobody_was_asked_for_money() {
    let mut machine = waiting(Fate::Approve);
    assert!(machine.cancel());
    assert_eq!(machine.checkout.status, Status::Canceled);
    assert!(!machine.pay(1));
    // Also behind a decline, and behind a payment that nobody has taken in hand.
    for behind in [|machine: &mut Machine| try_to_pay(machine), |machine: &mut Machine| assert!(machine.pay(1))] {
        let mut machine = waiting(Fate::Decline);
        behind(&mut machine);
        assert!(machine.cancel());
        machine.come_to_rest();
        assert_eq!((machine.checkout.status, machine.taken()), (Status::Canceled, 0));
    }
}

#[test]
fn a_cancel_behind_a_charge_that_was_sent_waits_for_its_outcome() {
    let mut machine = waiting(Fate::Approve);
    assert!(machine.pay(1) && machine.begin());
    assert!(!machine.cancel());
    machine.ask(0, Net::Well);
    machine.settle(0, false);
    assert_eq!((machine.checkout.status, machine.taken()), (Status::Succeeded, TOTAL), "the money was there first");
    machine.check_at_rest();
}

#[test]
fn a_bank_that_asks_the_customer_is_reached_from_our_page_and_its_no_is_a_decline() {
    let mut machine = waiting(Fate::AskCustomer);
    let page = machine.checkout.payment_url.clone();
    try_to_pay(&mut machine);
    assert_eq!((machine.checkout.status, &machine.checkout.payment_url), (Status::AwaitingPayment, &page));
    assert!(!machine.pay(2), "one payment at a time");
    machine.customer(false);
    machine.wait(Duration::from_secs(60));
    machine.work();
    assert_eq!((machine.checkout.status, &machine.checkout.payment_url), (Status::AwaitingPayment, &page));
    assert_eq!(machine.checkout.due_at, Some(machine.checkout.expires_at));
    machine.fates[0] = Fate::Approve;
    try_to_pay(&mut machine);
    assert_eq!((machine.checkout.status, machine.taken()), (Status::Succeeded, TOTAL));
}

#[test]
fn a_bank_page_that_nobody_comes_back_from_is_voided_at_the_deadline() {
    let mut machine = waiting(Fate::AskCustomer);
    try_to_pay(&mut machine);
    machine.wait(TOO_LONG);
    machine.come_to_rest();
    assert_eq!((machine.checkout.status, machine.taken()), (Status::Expired, 0));
    assert!(machine.checkout.attempts.iter().any(|attempt| attempt.request.kind == AttemptKind::Void));
}

#[test]
fn a_provider_that_cannot_be_reached_is_no_end_but_counts_as_a_try() {
    let mut machine = waiting(Fate::Approve);
    assert!(machine.pay(1));
    while machine.checkout.status == Status::Processing {
        machine.now = machine.now.max(machine.checkout.due_at.unwrap());
        machine.work_with(Net::Refused);
    }
    assert_eq!(machine.checkout.status, Status::AwaitingPayment);
    assert_eq!(machine.checkout.error.as_ref().map(|error| error.code), Some(Code::ProviderUnavailable));
    try_to_pay(&mut machine);
    assert_eq!(machine.checkout.status, Status::Succeeded);
}

#[test]
fn a_lost_answer_is_found_out_before_the_customer_may_try_again() {
    let mut machine = waiting(Fate::Approve);
    assert!(machine.pay(1));
    machine.work_with(Net::AnswerLost);
    assert_eq!(machine.checkout.status, Status::Reconciling);
    assert!(!machine.pay(2));
    machine.come_to_rest();
    assert_eq!((machine.checkout.status, machine.taken()), (Status::Succeeded, TOTAL));
}

#[test]
fn a_lost_answer_that_was_a_no_leaves_another_try_and_the_place_is_kept_meanwhile() {
    for told in [|machine: &mut Machine| assert!(machine.work()), |machine: &mut Machine| machine.webhook(1)] {
        let mut machine = waiting(Fate::Decline);
        assert!(machine.pay(1));
        machine.work_with(Net::AnswerLost);
        assert_eq!((machine.checkout.status, &machine.checkout.payment_url), (Status::Reconciling, &None));
        machine.now = machine.checkout.due_at.unwrap();
        told(&mut machine);
        assert_eq!((machine.checkout.status, machine.checkout.due_at), (Status::AwaitingPayment, Some(machine.checkout.expires_at)));
        assert_eq!(machine.checkout.payment_url, machine.checkout.hosted_url());
        assert_eq!(machine.checkout.error.as_ref().map(|error| error.code), Some(Code::CardDeclined));
        machine.fates[0] = Fate::Approve;
        try_to_pay(&mut machine);
        assert_eq!((machine.checkout.status, machine.taken()), (Status::Succeeded, TOTAL));
        machine.check_at_rest();
    }
}

#[test]
fn a_no_that_was_lost_is_the_end_behind_a_cancel_the_deadline_or_the_last_try() {
    let lost = |machine: &mut Machine| {
        assert!(machine.pay(machine.checkout.next_n()));
        machine.work_with(Net::AnswerLost);
    };
    let mut machine = waiting(Fate::Decline);
    lost(&mut machine);
    assert!(!machine.cancel());
    machine.come_to_rest();
    assert_eq!(machine.checkout.status, Status::Canceled);

    let mut machine = waiting(Fate::Decline);
    lost(&mut machine);
    machine.wait(TOO_LONG);
    machine.come_to_rest();
    assert_eq!(machine.checkout.status, Status::Expired);
    assert_eq!(machine.checkout.error.as_ref().map(|error| error.code), Some(Code::Expired));

    let mut machine = waiting(Fate::Decline);
    for _ in 1..MAX_TRIES {
        try_to_pay(&mut machine);
    }
    lost(&mut machine);
    machine.come_to_rest();
    assert_eq!((machine.checkout.status, machine.checkout.attempts.len()), (Status::Failed, MAX_TRIES));
    machine.check_at_rest();
}

#[test]
fn a_customer_who_was_asked_although_the_answer_was_lost_may_still_say_yes() {
    for by_bank in [true, false] {
        let mut machine = waiting(Fate::AskCustomer);
        assert!(if by_bank { machine.pay(1) } else { machine.pay_with(1, by_push("slb001")) });
        machine.work_with(Net::AnswerLost);
        machine.now = machine.checkout.due_at.unwrap();
        machine.work();
        assert_eq!((machine.checkout.status, machine.checkout.attempts.len()), (Status::AwaitingPayment, 1));
        machine.customer(true);
        machine.webhook(1);
        assert_eq!((machine.checkout.status, machine.taken()), (Status::Succeeded, TOTAL));
        machine.check_at_rest();
    }
}

#[test]
fn the_provider_asks_the_customer_and_after_a_no_another_way_pays() {
    let mut machine = waiting(Fate::AskCustomer);
    assert!(!machine.pay_with(1, by_push("of_nobody")), "who is not offered asks nobody");
    assert!(machine.pay_with(1, by_push("slb001")));
    assert!(!machine.pay_with(1, by_push("slb001")) && !machine.pay(1), "two windows, two ways, one payment");
    machine.work();
    assert_eq!((machine.checkout.status, machine.checkout.attempts[0].status), (Status::AwaitingPayment, AttemptStatus::Pending));
    assert!(!machine.pay(2) && !machine.pay_with(2, by_push("slb002")), "while the customer is asked there is no other way");
    machine.customer(false);
    machine.webhook(1);
    assert_eq!(machine.checkout.error.as_ref().map(|error| error.code), Some(Code::PaymentFailed));
    machine.fates[0] = Fate::Approve;
    try_to_pay(&mut machine);
    assert_eq!((machine.checkout.status, machine.taken()), (Status::Succeeded, TOTAL));
    machine.check_at_rest();
}

/// The first try was refused. What came of the second nobody knows, so that an operator has to decide.
fn second_try_in_review(fate: Fate, net: Net) -> Machine {
    let mut machine = waiting(Fate::Decline);
    try_to_pay(&mut machine);
    machine.fates[0] = fate;
    assert!(machine.pay(2));
    machine.work_with(net);
    machine.wait(WINDOW * 2);
    machine.work_with(Net::RequestLost);
    assert_eq!(machine.checkout.status, Status::NeedsReview);
    machine
}

#[test]
fn money_of_an_older_try_waits_for_the_operator_and_goes_back_behind_his_word() {
    for (net, verdict, kept) in [(Net::AnswerLost, Verdict::Succeeded, TOTAL), (Net::RequestLost, Verdict::Failed, 0)] {
        let mut machine = second_try_in_review(Fate::Approve, net);
        assert!(machine.take_after_all(1));
        assert_eq!((machine.checkout.status, machine.checkout.amount_paid.minor()), (Status::NeedsReview, 0), "put off");
        assert!(!machine.record(1, "somebody", approved("late", TOTAL)), "whoever brings it");
        machine.resolve(verdict);
        machine.webhook(1);
        machine.come_to_rest();
        machine.webhook(1);
        machine.come_to_rest();
        machine.check_at_rest();
        let left = machine.checkout.amount_paid.minor() - machine.checkout.amount_refunded.minor();
        assert_eq!((machine.taken(), left, machine.unapplied), (kept, kept, 0), "{:#?}", machine.checkout);
    }
}

/// The second try is sold, and what the refused one took after all is on its way back. The customer wants his money back, too.
pub(super) fn sold_and_taken_after_all() -> Machine {
    let mut machine = waiting(Fate::Decline);
    try_to_pay(&mut machine);
    machine.fates[0] = Fate::Approve;
    try_to_pay(&mut machine);
    assert!(machine.take_after_all(1));
    machine
}

#[test]
fn a_refund_of_the_sale_goes_to_the_charge_that_paid_it_and_late_money_goes_back_beside_it() {
    for late_first in [true, false] {
        let mut machine = sold_and_taken_after_all();
        if late_first {
            machine.come_to_rest();
            machine.check_at_rest();
        }
        machine.refund(&RefundAsk { amount: Some(Amount::from_minor(TOTAL)), ..RefundAsk::default() });
        machine.come_to_rest();
        let refund = machine.checkout.refunds[0].status;
        let left = machine.checkout.amount_paid.minor() - machine.checkout.amount_refunded.minor();
        assert_eq!((refund, machine.taken(), left, machine.unapplied), (RefundStatus::Succeeded, 0, 0, 0), "{:#?}", machine.checkout);
    }
}

pub(super) fn by_push(provider: &str) -> PaidWith {
    PaidWith::Push(PushMethod { method: PushKind::Bank, provider: provider.to_owned(), phone: None })
}
