//! What the provider tells of its own accord, and refunds that come back.

use super::{
    machine::{Machine, TOTAL},
    provider::Fate,
};
use crate::domain::{
    attempt::{Advice, AttemptKind, AttemptStatus, MoneyRequest, Outcome},
    event::EventType,
    provider_event::{About, EventAccount, ToldMoney, Word},
    scope::Mode,
    state::Status,
};

/// The one account of the machine's provider.
pub(super) fn account() -> EventAccount {
    EventAccount { provider: "sandbox", account: "test".to_owned(), mode: Mode::Test, tenant: None }
}

/// The same in the words of an event, if there are such words.
pub(super) fn told(request: &MoneyRequest, outcome: &Outcome) -> Option<ToldMoney> {
    let about = match request.kind {
        AttemptKind::Charge => About::Charge,
        AttemptKind::Refund => About::Refund,
        AttemptKind::Capture | AttemptKind::Void => return None,
    };
    let (amount, word) = match outcome {
        Outcome::Approved(receipt) => (receipt.amount, Word::Moved),
        Outcome::Declined(decline) => {
            let (code, message) = (decline.decline_code.clone(), decline.message.clone());
            (request.amount, Word::Refused { code, message, advice: Advice::AskCustomer })
        }
        Outcome::Pending { .. } => (request.amount, Word::Asked),
        Outcome::Authorized(_)
        | Outcome::RequiresAction { .. }
        | Outcome::RequiresForm { .. }
        | Outcome::Unknown(_)
        | Outcome::NotSent { .. } => return None,
    };
    let (reference, key, currency) = (request.reference.clone(), request.key.clone(), request.currency);
    Some(ToldMoney { about, reference, provider_reference: key.clone(), pending_as: None, reusable: None, key, amount, currency, word })
}

fn count(machine: &Machine, event: EventType) -> usize {
    machine.events.iter().filter(|told| **told == event).count()
}

fn went_back(machine: &Machine) -> Option<u32> {
    let went = |kind, status| (kind, status) == (AttemptKind::Refund, AttemptStatus::Approved);
    machine.checkout.attempts.iter().find(|attempt| went(attempt.request.kind, attempt.status)).map(|attempt| attempt.n)
}

#[test]
fn late_money_that_comes_back_once_more_is_told_of_once_and_stays_in_the_books() {
    let mut machine = Machine::split_with_push(&[(TOTAL, Fate::AskCustomer)], 0);
    machine.work();
    machine.cancel();
    machine.come_to_rest();
    machine.break_word(1);
    machine.come_to_rest();
    assert_eq!((machine.taken(), count(&machine, EventType::RefundFailed)), (0, 0));
    let refund = went_back(&machine).unwrap();
    machine.come_back(refund);
    let version = machine.checkout.version;
    machine.webhook(refund);
    machine.webhook(1);
    machine.come_to_rest();
    assert_eq!((machine.checkout.version, machine.checkout.status), (version, Status::Canceled), "told again, known already");
    let left = machine.checkout.amount_paid.minor() - machine.checkout.amount_refunded.minor();
    assert_eq!((machine.taken(), left, count(&machine, EventType::RefundFailed)), (TOTAL, TOTAL, 1));
}

#[test]
fn what_comes_back_while_the_rest_is_undone_is_for_a_person() {
    let broken = [(500, Fate::AskCustomer), (600, Fate::TakeAtOnce), (400, Fate::BreakPromise)];
    let mut machine = Machine::split_with_push(&broken, 0);
    for step in 0..40 {
        if let Some(n) = went_back(&machine).filter(|_| machine.checkout.status == Status::Reconciling) {
            machine.come_back(n);
            assert_eq!((machine.checkout.status, machine.checkout.due_at), (Status::NeedsReview, None));
            machine.webhook(n);
            assert_eq!(count(&machine, EventType::CheckoutNeedsReview), 1);
            return;
        }
        machine.customer(true);
        machine.now = machine.now.max(machine.checkout.due_at.unwrap_or_else(|| panic!("step {step}: {:#?}", machine.checkout)));
        machine.work();
    }
    panic!("nothing went back: {:#?}", machine.checkout);
}
