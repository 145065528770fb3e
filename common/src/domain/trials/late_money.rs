//! Money that nobody is entitled to and that does not go back by itself: refused, come back, or nobody knows.

use super::{
    hosted::sold_and_taken_after_all,
    machine::{LEASE, Machine, Net, TOTAL, WINDOW},
    provider::{Booked, Fate},
};
use crate::domain::{
    attempt::{Attempt, AttemptKind, AttemptStatus},
    ends::Verdict,
    error::Code,
    id::{Entropy, RefundId},
    refund::{self, RefundAsk, RefundStatus, Refusal},
    refund_resolve::{self, Resolution},
    state::Status,
};
use std::time::Duration;

impl Machine {
    /// The merchant asks for late money, and an operator looks into the provider's book where somebody has to, until nothing is left of it.
    pub(super) fn give_back_late_money(&mut self) {
        let ask = RefundAsk { late_payment: true, ..RefundAsk::default() };
        for _ in 0..10 {
            let id = RefundId::generate(&self.entropy, self.now);
            let Ok(effects) = refund::open(self.checkout.clone(), &id, &ask, self.now, &self.entropy).unwrap() else { return };
            self.apply(effects);
            self.come_to_rest();
            self.look_into_refund(&id);
            self.come_to_rest();
        }
        panic!("no end to {:#?}", self.checkout);
    }

    fn look_into_refund(&mut self, id: &RefundId) {
        let refund = self.checkout.refunds.iter().find(|refund| refund.id == *id).unwrap().clone();
        for (at, part) in refund.parts.iter().enumerate().filter(|(_, part)| part.status == RefundStatus::NeedsReview) {
            let key = Attempt::key(&self.checkout.id, part.attempt.unwrap());
            let went = self.book.get(&key).is_some_and(|entry| entry.booked == Booked::Done);
            let verdict = if went { Verdict::Succeeded } else { Verdict::Failed };
            match refund_resolve::resolve(self.checkout.clone(), id, Some(at), verdict, "looked", self.now, &self.entropy).unwrap() {
                Resolution::Decided(effects) => self.apply(*effects),
                other => panic!("{other:?}"),
            }
        }
    }

    /// What came late, and of which a refund that nobody asked for was refused, or an operator has to find out.
    pub(super) fn late_money_left(&self) -> i64 {
        let is_sold = self.checkout.status == Status::Succeeded;
        let undoes = |undo: &&Attempt| undo.request.kind == AttemptKind::Refund && (!is_sold || self.checkout.undoes_late_money(undo.n));
        let newest_of = |charge: &Attempt| {
            let of_it = |undo: &&Attempt| undo.request.target == charge.provider_reference && undo.request.leg == charge.request.leg;
            self.checkout.attempts.iter().filter(undoes).rfind(of_it)
        };
        let asked = |n| self.checkout.refunds.iter().flat_map(|refund| &refund.parts).any(|part| part.attempt == Some(n));
        // What was asked for and is in doubt is promised: the ledger says so.
        let left = |undo: &&Attempt| match undo.status {
            AttemptStatus::Declined => true,
            AttemptStatus::NeedsReview => !asked(undo.n),
            _ => false,
        };
        self.checkout.approved_charges().filter_map(newest_of).filter(left).map(|undo| undo.request.amount.minor()).sum()
    }
}

#[test]
fn what_was_being_undone_when_an_operator_sold_it_is_no_late_money() {
    let mut machine = Machine::split(&[(1, Fate::TakeAtOnce), (1, Fate::Approve)]);
    machine.refuses = 1;
    assert!(machine.begin());
    machine.wait(LEASE);
    machine.work();
    machine.cancel();
    machine.work();
    machine.resolve(Verdict::Succeeded);
    machine.come_to_rest();
    machine.give_back_late_money();
    machine.check_at_rest();
    assert_eq!((machine.checkout.status, machine.unapplied, machine.taken()), (Status::Succeeded, 0, 1), "{:#?}", machine.checkout);
}

#[test]
fn late_money_that_was_refused_is_no_part_of_the_sale_and_goes_back_when_it_is_asked_for() {
    let whole = RefundAsk::default();
    let late = RefundAsk { late_payment: true, ..RefundAsk::default() };
    for sale_first in [true, false] {
        let mut machine = sold_and_taken_after_all();
        machine.refuses = 1;
        machine.come_to_rest();
        assert_eq!((machine.taken(), machine.unapplied), (2 * TOTAL, -TOTAL), "the provider keeps it");
        let asks = if sale_first { [&whole, &late, &late] } else { [&late, &late, &whole] };
        // The sale's own refund is refused to nobody.
        machine.refuses = u32::from(!sale_first);
        for (at, ask) in asks.into_iter().enumerate() {
            if sale_first && at == 1 {
                assert_eq!((machine.taken(), machine.unapplied), (TOTAL, -TOTAL), "the sale's, and no more");
                machine.refuses = 1;
            }
            machine.refund(ask);
            machine.come_to_rest();
        }
        let told: Vec<_> =
            machine.checkout.refunds.iter().map(|refund| (refund.late_payment, refund.status, refund.release_seats)).collect();
        let (failed, gone) = ((true, RefundStatus::Failed, false), (true, RefundStatus::Succeeded, false));
        let sale = (false, RefundStatus::Succeeded, true);
        assert_eq!(told, if sale_first { [sale, failed, gone] } else { [failed, gone, sale] });
        assert_eq!((machine.taken(), machine.unapplied), (0, 0), "{:#?}", machine.checkout);
        let id = RefundId::parse("ref_more").unwrap();
        let more = refund::open(machine.checkout.clone(), &id, &late, machine.now, &Entropy::from_seed(9)).unwrap();
        assert!(matches!(more, Err(Refusal::Refused(error)) if error.code == Code::RefundExceedsPaid), "once");
    }
}

#[test]
fn late_money_that_came_back_once_more_goes_back_when_it_is_asked_for_however_often_it_comes() {
    let mut machine = sold_and_taken_after_all();
    machine.come_to_rest();
    for _ in 0..2 {
        let went = machine.checkout.attempts.last().map(|undo| (undo.request.kind, undo.n)).unwrap();
        assert_eq!(went.0, AttemptKind::Refund);
        machine.come_back(went.1);
        assert_eq!((machine.taken(), machine.unapplied), (2 * TOTAL, -TOTAL));
        machine.refund(&RefundAsk { late_payment: true, ..RefundAsk::default() });
        machine.come_to_rest();
        assert_eq!((machine.taken(), machine.unapplied), (TOTAL, 0));
    }
    machine.check_at_rest();
}

/// A leg was taken, another broke its word, and what was to go back of the first is in doubt until its key is good no more.
fn undo_in_doubt(gone: bool) -> Machine {
    let mut machine = Machine::split_with_push(&[(500, Fate::AskCustomer), (1000, Fate::BreakPromise)], 0);
    machine.work();
    machine.work();
    machine.customer(true);
    machine.webhook(2);
    machine.work();
    let refund = machine.checkout.open_attempt().unwrap();
    assert_eq!((refund.request.kind, machine.unapplied), (AttemptKind::Refund, -500));
    machine.work_with(if gone { Net::AnswerLost } else { Net::RequestLost });
    machine.wait(WINDOW * 2);
    machine.work_with(Net::RequestLost);
    assert_eq!((machine.checkout.status, machine.unapplied), (Status::NeedsReview, -500));
    machine
}

#[test]
fn an_undo_in_doubt_is_looked_for_behind_an_operators_no_and_left_to_an_operator_where_nothing_is_found() {
    for gone in [true, false] {
        let mut machine = undo_in_doubt(gone);
        machine.resolve(Verdict::Failed);
        machine.come_to_rest();
        assert_eq!((machine.checkout.status, machine.unapplied), (Status::Failed, if gone { 0 } else { -500 }), "{:#?}", machine.checkout);
        assert_eq!(machine.taken(), if gone { 0 } else { 500 }, "nothing is sent under a key that is good no more");
        machine.give_back_late_money();
        assert_eq!((machine.taken(), machine.unapplied), (0, 0), "{:#?}", machine.checkout);
        machine.check_at_rest();
    }
}

#[test]
fn what_had_gone_back_before_an_operator_sold_went_out_of_the_sale() {
    let broken = [(500, Fate::AskCustomer), (600, Fate::TakeAtOnce), (400, Fate::BreakPromise)];
    let mut machine = Machine::split_with_push(&broken, 0);
    for _ in 0..20 {
        let mut undone = machine.checkout.attempts.iter().filter(|a| a.request.kind == AttemptKind::Refund);
        if undone.any(|a| a.status == AttemptStatus::Approved) {
            machine.refuses = 1;
        }
        if machine.checkout.status == Status::NeedsReview {
            break;
        }
        machine.customer(true);
        machine.now = machine.now.max(machine.checkout.due_at.unwrap());
        machine.work();
    }
    let gone = machine.checkout.amount_refunded.minor();
    assert_eq!((machine.checkout.status, gone > 0, machine.unapplied < 0), (Status::NeedsReview, true, true), "{:#?}", machine.checkout);
    machine.wait(Duration::from_secs(1));
    machine.resolve(Verdict::Succeeded);
    machine.come_to_rest();
    assert_eq!((machine.checkout.status, machine.unapplied), (Status::Succeeded, 0), "{:#?}", machine.checkout);
    machine.check_at_rest();
}
