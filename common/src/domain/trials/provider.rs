//! The machine's provider: a book of its own, what it does with a request, and what it tells of its own accord.

use super::{events, machine::Machine};
use crate::domain::{
    attempt::{Advice, Attempt, AttemptKind, Decline, MoneyRequest, Outcome, Receipt},
    money::{Amount, Currency},
    provider_event::{self, judge},
    refund_resolve,
};

/// What the provider does with a charge that it executes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Approve,
    Decline,
    AskCustomer,
    /// Takes the money at once, although it was asked to authorise only.
    TakeAtOnce,
    /// Promises, and does not keep it.
    BreakPromise,
}

/// Where an operation stands in the provider's book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Booked {
    Pending,
    /// Promised, and not taken.
    Authorized,
    Done,
    Declined,
    Voided,
}

/// An operation in the provider's book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Operation {
    pub(super) kind: AttemptKind,
    pub(super) booked: Booked,
    pub(super) amount: i64,
    capture_later: bool,
}

impl Machine {
    pub(super) fn execute(&mut self, request: &MoneyRequest) -> Outcome {
        let target = request.target.clone().unwrap_or_default();
        let fate = self.fates[request.leg];
        let before = self.book.get(&target).map(|target| target.booked);
        let fresh = match (request.kind, before) {
            (AttemptKind::Charge, _) if self.trouble(request).is_some() => Booked::Declined,
            (AttemptKind::Charge, _) => match fate {
                Fate::Approve | Fate::BreakPromise if request.capture_later => Booked::Authorized,
                Fate::Approve | Fate::BreakPromise | Fate::TakeAtOnce => Booked::Done,
                Fate::Decline => Booked::Declined,
                Fate::AskCustomer => Booked::Pending,
            },
            (AttemptKind::Capture, Some(Booked::Authorized)) if fate == Fate::BreakPromise => Booked::Declined,
            (AttemptKind::Capture, Some(Booked::Authorized)) => Booked::Done,
            (AttemptKind::Void, Some(Booked::Pending | Booked::Authorized | Booked::Voided)) => Booked::Done,
            (AttemptKind::Refund, Some(Booked::Done)) if self.refuses == 0 => Booked::Done,
            _ => Booked::Declined,
        };
        if request.kind == AttemptKind::Refund && !self.book.contains_key(&request.key) {
            self.refuses = self.refuses.saturating_sub(1);
        }
        if !self.book.contains_key(&request.key) {
            let (kind, amount, capture_later) = (request.kind, request.amount.minor(), request.capture_later);
            self.book.insert(request.key.clone(), Operation { kind, booked: fresh, amount, capture_later });
            let becomes = match (kind, fresh) {
                (AttemptKind::Void, Booked::Done) => Some(Booked::Voided),
                (AttemptKind::Capture, Booked::Done) => Some(Booked::Done),
                (AttemptKind::Capture, Booked::Declined) if before == Some(Booked::Authorized) => Some(Booked::Declined),
                _ => None,
            };
            if let Some(becomes) = becomes {
                self.book.get_mut(&target).unwrap().booked = becomes;
            }
        }
        self.told(request)
    }

    /// What the book says. Operations go by their key here, so a target is a key.
    pub(super) fn told(&self, request: &MoneyRequest) -> Outcome {
        let reference = request.key.clone();
        match self.book.get(&request.key).map(|operation| operation.booked) {
            None => Outcome::Unknown("not found".to_owned()),
            Some(Booked::Pending) if request.push.is_some() => Outcome::Pending { provider_reference: reference },
            Some(Booked::Pending) => Outcome::RequiresAction { url: "https://bank.example".to_owned(), provider_reference: reference },
            Some(Booked::Authorized) => Outcome::Authorized(receipt(&reference, request.amount.minor())),
            Some(Booked::Done) => approved(&reference, request.amount.minor()),
            Some(Booked::Declined) if self.trouble(request).is_some() => {
                let decline = Decline::new("try_again_later".to_owned(), "no".to_owned(), None);
                Outcome::Declined(Decline { advice: self.trouble(request).unwrap_or_default(), ..decline })
            }
            Some(Booked::Declined | Booked::Voided) => declined(),
        }
    }

    /// What ails the account that a charge goes to.
    fn trouble(&self, request: &MoneyRequest) -> Option<Advice> {
        let account = request.account.as_ref().filter(|_| request.kind == AttemptKind::Charge)?;
        self.troubles.get(account.as_str()).copied()
    }

    /// What the provider has of the customer's money in the end.
    pub(super) fn taken(&self) -> i64 {
        let sum = |kind| {
            self.book.values().filter(|entry| (entry.kind, entry.booked) == (kind, Booked::Done)).map(|entry| entry.amount).sum::<i64>()
        };
        sum(AttemptKind::Charge) - sum(AttemptKind::Refund)
    }

    /// The provider tells of its own accord how attempt `n` ended, if it did.
    pub(super) fn webhook(&mut self, n: u32) {
        let Some(attempt) = self.checkout.attempts.iter().find(|attempt| attempt.n == n).cloned() else { return };
        let outcome = self.told(&attempt.request);
        let Some(told) = events::told(&attempt.request, &outcome) else {
            if matches!(outcome, Outcome::Approved(_) | Outcome::Authorized(_) | Outcome::Declined(_)) {
                self.record(n, "the provider", outcome);
            }
            return;
        };
        match judge(&self.checkout, &events::account(), &told) {
            provider_event::Verdict::Settle { n, outcome } => drop(self.record(n, "the provider", outcome)),
            provider_event::Verdict::CameBack { n, decline } => {
                let effects = refund_resolve::came_back(self.checkout.clone(), n, &decline, self.now, &self.entropy).unwrap();
                effects.into_iter().for_each(|effects| self.apply(effects));
            }
            provider_event::Verdict::Known | provider_event::Verdict::Later | provider_event::Verdict::Review(_) => {}
        }
    }

    /// What refund `n` gave back came back to the provider. It tells.
    pub(super) fn come_back(&mut self, n: u32) {
        let refund = self.book.get_mut(&Attempt::key(&self.checkout.id, n)).unwrap();
        assert_eq!((refund.kind, refund.booked), (AttemptKind::Refund, Booked::Done));
        refund.booked = Booked::Declined;
        self.webhook(n);
    }

    /// The customer acts on the provider's page.
    pub(super) fn customer(&mut self, approves: bool) {
        for Operation { kind, booked, capture_later, .. } in self.book.values_mut() {
            if (*kind, *booked) == (AttemptKind::Charge, Booked::Pending) {
                let approved = if *capture_later { Booked::Authorized } else { Booked::Done };
                *booked = if approves { approved } else { Booked::Declined };
            }
        }
    }

    /// The provider confirmed that it took charge `n` back, and takes the money all the same. It tells.
    pub(super) fn break_word(&mut self, n: u32) {
        let key = Attempt::key(&self.checkout.id, n);
        let charge = self.book.get_mut(&key).unwrap();
        assert_eq!(charge.booked, Booked::Voided);
        charge.booked = Booked::Done;
        self.webhook(n);
    }

    /// The provider said no to charge `n`, or that it has taken it back, and takes the money all the same. It tells. `false`: there is no
    /// such charge.
    pub(super) fn take_after_all(&mut self, n: u32) -> bool {
        let charge = self.book.get_mut(&Attempt::key(&self.checkout.id, n));
        let is_refused =
            |charge: &&mut Operation| charge.kind == AttemptKind::Charge && matches!(charge.booked, Booked::Declined | Booked::Voided);
        let Some(charge) = charge.filter(is_refused) else { return false };
        charge.booked = Booked::Done;
        self.webhook(n);
        true
    }
}

pub(super) fn approved(reference: &str, minor: i64) -> Outcome {
    Outcome::Approved(receipt(reference, minor))
}

fn receipt(reference: &str, minor: i64) -> Receipt {
    let currency = Currency::parse("usd").unwrap();
    Receipt::of(reference.to_owned(), Amount::from_minor(minor), currency)
}

pub(super) fn declined() -> Outcome {
    Outcome::Declined(Decline::new("generic_decline".to_owned(), "no".to_owned(), None))
}
