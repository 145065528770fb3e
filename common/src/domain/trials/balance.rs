//! Payments of which a balance pays a part or all, at random: money is conserved, in the purse as at the provider.

use super::{
    machine::{Machine, Net},
    property::{a_move, any_fate, make},
    provider::{Fate, approved},
};
use crate::domain::{
    balance::{BalanceKey, BalanceMove, MoveState},
    checkout::Checkout,
    effects::{ClaimChange, Effects},
    error::Code,
    id::{Entropy, RefundId},
    money::Amount,
    refund::{self, RefundAsk, Refusal},
    state::Status,
};
use proptest::prelude::*;
use std::collections::HashMap;

/// A customer's balance, as the store keeps it: what was given, and the moves of one checkout.
#[derive(Debug, Default)]
pub(super) struct Purse {
    pub(super) given: i64,
    moves: Vec<BalanceMove>,
}

impl Purse {
    pub(super) fn with(given: i64) -> Self {
        Self { given, moves: Vec::new() }
    }

    fn sum(&self, state: MoveState) -> i64 {
        self.moves.iter().filter(|one| one.state == state).map(|one| one.amount.minor()).sum()
    }

    /// What is held, not negative.
    pub(super) fn held(&self) -> i64 {
        -self.sum(MoveState::Held)
    }

    /// What was spent and not given back.
    pub(super) fn spent(&self) -> i64 {
        -self.sum(MoveState::Booked)
    }

    /// What a store reads under the customer's lock.
    pub(super) fn available(&self, checkout: &Checkout) -> HashMap<BalanceKey, Amount> {
        let left = self.given - self.spent() - self.held();
        let key = checkout.order.customer.clone().map(|customer| BalanceKey {
            scope: checkout.scope.clone(),
            customer,
            currency: checkout.order.currency,
        });
        key.map(|key| (key, Amount::from_minor(left))).into_iter().collect()
    }

    /// Writes what a transition says, as the store does.
    pub(super) fn apply(&mut self, effects: &Effects) {
        let becomes = match &effects.claims {
            ClaimChange::Sell => Some(MoveState::Booked),
            ClaimChange::Release => Some(MoveState::Released),
            ClaimChange::Keep | ClaimChange::Insert(_) | ClaimChange::GiveBack(_) | ClaimChange::FreePlaces(_) => None,
        };
        let held = self.moves.iter_mut().filter(|one| one.state == MoveState::Held);
        held.zip(becomes.into_iter().cycle()).for_each(|(one, becomes)| one.state = becomes);
        self.moves.extend(effects.balance.iter().cloned());
        assert!(self.given - self.spent() - self.held() >= 0, "never below zero: {self:?}");
        assert!(self.held() == 0 || !effects.checkout.status.is_terminal(), "nothing is held behind the end: {self:?}");
    }
}

#[test]
fn a_balance_alone_is_spent_at_once_and_one_that_is_too_small_is_not_touched() {
    let mut machine = Machine::with_balance(&[], 0, 1_500, 1_500);
    assert!(!machine.begin());
    assert_eq!((machine.checkout.status, machine.purse.spent(), machine.purse.held()), (Status::Succeeded, 1_500, 0));
    let mut machine = Machine::with_balance(&[(500, Fate::Approve)], 0, 1_000, 999);
    assert!(!machine.begin());
    assert_eq!((machine.checkout.status, machine.purse.spent(), machine.purse.held()), (Status::Failed, 0, 0));
    assert_eq!(machine.checkout.error.as_ref().map(|error| error.code), Some(Code::BalanceInsufficient));
    assert_eq!(machine.book.len(), 0, "nobody was asked for money");
}

#[test]
fn what_is_held_waits_for_every_card_and_goes_with_their_word() {
    for (second, status, spent) in [(Fate::Approve, Status::Succeeded, 600), (Fate::Decline, Status::Failed, 0)] {
        let mut machine = Machine::with_balance(&[(500, Fate::Approve), (400, second)], 1, 600, 1_000);
        assert!(machine.begin());
        assert_eq!((machine.purse.held(), machine.purse.spent()), (600, 0));
        let at = machine.hands.len() - 1;
        machine.ask(at, Net::Well);
        machine.settle(at, false);
        machine.come_to_rest();
        assert_eq!((machine.checkout.status, machine.purse.held(), machine.purse.spent()), (status, 0, spent));
        machine.check_at_rest();
    }
}

#[test]
fn a_void_that_the_provider_confirms_of_a_paid_charge_gives_back_what_the_card_paid_and_nothing_of_the_balance() {
    let mut machine = Machine::with_balance(&[(500, Fate::AskCustomer)], 0, 1_000, 1_000);
    machine.work();
    assert!(!machine.cancel());
    assert!(machine.begin());
    machine.odd_amounts = true;
    machine.customer(true);
    machine.webhook(1);
    let void = machine.hands.remove(0);
    machine.record(void.n, &void.token, approved("void", 500));
    let checkout = &machine.checkout;
    assert_eq!((checkout.status, checkout.amount_paid.minor(), checkout.amount_refunded.minor()), (Status::Succeeded, 1_500, 500));
    assert_eq!(machine.purse.spent(), 1_000);
}

#[test]
fn of_what_a_void_has_given_back_nothing_is_refunded_again_whichever_leg_it_was() {
    for place in [0, 1] {
        let mut machine = Machine::with_balance(&[(500, Fate::AskCustomer)], place, 1_000, 1_000);
        machine.work();
        assert!(!machine.cancel() && machine.begin());
        machine.odd_amounts = true;
        machine.customer(true);
        machine.webhook(1);
        let void = machine.hands.remove(0);
        machine.record(void.n, &void.token, approved("void", 500));
        let refund = |amount: Option<i64>| {
            let ask = RefundAsk { amount: amount.map(Amount::from_minor), ..RefundAsk::default() };
            let id = RefundId::generate(&Entropy::from_seed(9), machine.now);
            let effects = refund::open(machine.checkout.clone(), &id, &ask, machine.now, &Entropy::from_seed(9)).unwrap()?;
            Ok::<_, Refusal>(effects.checkout)
        };
        let after = refund(None).unwrap();
        let parts: Vec<_> = after.refunds[0].parts.iter().map(|part| (part.leg, part.amount.minor(), part.attempt)).collect();
        assert_eq!(parts, [(place, 1_000, None)], "the balance's part, and no provider is asked");
        assert_eq!((after.amount_refunded, after.attempts.len()), (after.amount_paid, machine.checkout.attempts.len()));
        assert!(matches!(refund(Some(1_001)), Err(Refusal::Refused(error)) if error.code == Code::RefundExceedsPaid));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn money_is_conserved_in_purse_and_book_whatever_happens_in_whatever_order(
        cards in prop::collection::vec((1i64..900, any_fate()), 0..3),
        place in 0usize..3,
        amount in 1i64..900,
        spare in -2i64..50,
        moves in prop::collection::vec(a_move(), 1..60),
    ) {
        let mut machine = Machine::with_balance(&cards, place, amount, (amount + spare).max(0));
        for &step in &moves {
            make(&mut machine, step);
        }
        machine.wake_the_stalled();
        machine.come_to_rest();
        (1..=12).for_each(|n| machine.webhook(n));
        machine.come_to_rest();
        machine.check_at_rest();
        let status = machine.checkout.status;
        let (held, spent) = match status {
            Status::Succeeded => (0, amount),
            Status::NeedsReview => (amount, 0),
            _ => (0, 0),
        };
        prop_assert_eq!((machine.purse.held(), machine.purse.spent()), (held, spent), "{}", status);
        if spare < 0 {
            prop_assert_eq!((machine.book.len(), spent), (0, 0), "nobody is asked for money behind a balance that is too small");
        }
    }
}
