//! One checkout in memory with everybody who touches it: workers that die or stall at any point, a network that loses
//! requests and answers, a client, an operator, and the clock. The provider is in `provider`.

use super::{
    balance::Purse,
    provider::{Fate, Operation},
};
use crate::domain::{
    attempt::{Advice, Attempt, Outcome},
    begin::{self, Action, Begin, Begun},
    checkout::Checkout,
    effects::{ClaimChange, Effects},
    eligibility::World,
    ends::{self, CancelAnswer, Verdict},
    event::EventType,
    hosted::{self, Hosted, PaidWith, Pay},
    id::{CheckoutId, CustomerId, Entropy, LineId, RefundId},
    leg::{Leg, Tender},
    line::{Item, Line},
    money::{Amount, Currency},
    order::{Order, Totals},
    push::{PushKind, PushMethod},
    refund::{self, RefundAsk},
    routing::{self, Routing},
    scope::{Mode, Scope},
    secret::Secret,
    settle::{self, Settlement},
    time::Timestamp,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub(super) const TOTAL: i64 = 1500;
pub(super) const LEASE: Duration = Duration::from_secs(30);
pub(super) const WINDOW: Duration = Duration::from_secs(23 * 3600);
/// The longest wait between two tries.
const MAX_RETRY: Duration = Duration::from_secs(3600);

/// What the network does with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Net {
    Well,
    RequestLost,
    AnswerLost,
    Refused,
}

/// A worker between `begin` and `settle`.
#[derive(Debug, Clone)]
pub(super) struct Hand {
    pub(super) n: u32,
    pub(super) token: String,
    attempt: Attempt,
    pub(super) action: Action,
    pub(super) answer: Option<Outcome>,
}

pub(super) struct Machine {
    pub(super) checkout: Checkout,
    pub(super) now: Timestamp,
    pub(super) hands: Vec<Hand>,
    pub(super) book: BTreeMap<String, Operation>,
    pub(super) events: Vec<EventType>,
    pub(super) resolved: Option<Verdict>,
    /// Of each leg.
    pub(super) fates: Vec<Fate>,
    /// Whether a test makes the provider take or give other amounts than it was asked for.
    pub(super) odd_amounts: bool,
    /// The customer's balance.
    pub(super) purse: Purse,
    /// How many refunds the provider still refuses.
    pub(super) refuses: u32,
    /// How many transitions said that they are the end.
    pub(super) ends: u32,
    pub(super) held: bool,
    pub(super) provider_balance: i64,
    /// What the ledger says of the purse.
    pub(super) by_balance: i64,
    pub(super) unapplied: i64,
    pub(super) entropy: Entropy,
    workers: u32,
    /// Where charges go.
    pub(super) routing: Arc<Routing>,
    /// The accounts that say no to every charge, and what makes sense then.
    pub(super) troubles: BTreeMap<String, Advice>,
}

impl Machine {
    pub(super) fn new(fate: Fate) -> Self {
        Self::split(&[(TOTAL, fate)])
    }

    /// The customer pays on our page.
    pub(super) fn hosted(fate: Fate) -> Self {
        let entropy = Entropy::from_seed(8);
        let page = Hosted::new(Default::default(), Default::default(), "https://pay.example", &entropy);
        Self::paid_with(vec![Leg { amount: Amount::from_minor(TOTAL), tender: Tender::Hosted(Box::new(page)) }], vec![fate])
    }

    /// A card for each amount.
    pub(super) fn split(legs: &[(i64, Fate)]) -> Self {
        let card = |&(amount, _): &(i64, Fate)| Leg {
            amount: Amount::from_minor(amount),
            tender: Tender::card(Secret::new("tok_visa".to_owned())),
        };
        Self::paid_with(legs.iter().map(card).collect(), legs.iter().map(|(_, fate)| *fate).collect())
    }

    /// A card for each amount, and in the place among them a balance that pays `amount`, of which there is `given`.
    pub(super) fn with_balance(cards: &[(i64, Fate)], place: usize, amount: i64, given: i64) -> Self {
        let Self { checkout, mut fates, .. } = Self::split(cards);
        let (mut legs, place) = (checkout.order.legs, place.min(cards.len()));
        legs.insert(place, Leg { amount: Amount::from_minor(amount), tender: Tender::Balance {} });
        // Nobody asks for it.
        fates.insert(place, Fate::Decline);
        let mut machine = Self::paid_with(legs, fates);
        machine.checkout.order.customer = Some(CustomerId::generate(&machine.entropy, machine.now));
        machine.purse = Purse::with(given);
        machine
    }

    /// The same, of which the leg at `at` asks the customer.
    pub(super) fn split_with_push(legs: &[(i64, Fate)], at: usize) -> Self {
        let mut machine = Self::split(legs);
        let push = PushMethod { method: PushKind::Bank, provider: "slb001".to_owned(), phone: None };
        machine.checkout.order.legs[at].tender = Tender::Push(push);
        machine
    }

    fn paid_with(legs: Vec<Leg>, fates: Vec<Fate>) -> Self {
        let (entropy, now) = (Entropy::from_seed(7), Timestamp::from_millis(1_000_000));
        let (checkout, events) = (queued(legs, &entropy, now), Vec::new());
        let (hands, book, resolved) = Default::default();
        let (odd_amounts, purse, refuses, ends, held, provider_balance, by_balance, unapplied, workers) = Default::default();
        Self {
            checkout,
            now,
            hands,
            book,
            events,
            resolved,
            fates,
            odd_amounts,
            purse,
            refuses,
            ends,
            held,
            provider_balance,
            by_balance,
            unapplied,
            entropy,
            workers,
            routing: routing::to_the_sandbox(),
            troubles: BTreeMap::new(),
        }
    }

    pub(super) fn wait(&mut self, by: Duration) {
        self.now = self.now.after(by);
    }

    /// A worker takes the checkout in hand. `true`: it may act now.
    pub(super) fn begin(&mut self) -> bool {
        self.workers += 1;
        let token = format!("worker {}", self.workers);
        self.begin_as(&token)
    }

    pub(super) fn begin_as(&mut self, token: &str) -> bool {
        let ask = Begin {
            checkout: self.checkout.id.clone(),
            lease_token: token.to_owned(),
            lease_for: LEASE,
            routing: Arc::clone(&self.routing),
            key_window: WINDOW,
        };
        let mut world = World { now: self.now, balances: self.purse.available(&self.checkout), ..World::default() };
        match begin::begin(self.checkout.clone(), &ask, &mut world, self.now, &self.entropy).unwrap() {
            Begun::Done | Begun::Busy(_) => false,
            Begun::Moved(effects) => {
                self.apply(*effects);
                false
            }
            Begun::Act { effects, n, action } => {
                self.apply(*effects);
                let attempt = self.checkout.attempts.iter().find(|attempt| attempt.n == n).unwrap().clone();
                self.hands.push(Hand { n, token: token.to_owned(), attempt, action, answer: None });
                true
            }
        }
    }

    /// The worker in place `at` asks the provider.
    pub(super) fn ask(&mut self, at: usize, net: Net) {
        let Some(hand) = self.hands.get(at).cloned().filter(|hand| hand.answer.is_none()) else { return };
        let answer = match (net, hand.action) {
            // Also of a look-up: its lease may be over before anything is asked.
            (Net::Refused, _) => Outcome::NotSent { cause: "refused".to_owned(), retry_after: None },
            (Net::RequestLost, _) => Outcome::Unknown("no answer".to_owned()),
            (Net::Well, Action::Send) => self.execute(&hand.attempt.request),
            (Net::Well, Action::LookUp | Action::LastLook) => self.told(&hand.attempt.request),
            (Net::AnswerLost, action) => {
                if action == Action::Send {
                    self.execute(&hand.attempt.request);
                }
                Outcome::Unknown("the answer was lost".to_owned())
            }
        };
        self.hands[at].answer = Some(answer);
    }

    /// The worker in place `at` records what it was told, if anything; `keep`: its answer to the COMMIT was lost, it does so again.
    pub(super) fn settle(&mut self, at: usize, keep: bool) -> bool {
        let Some(Hand { n, token, action, answer: Some(outcome), .. }) = self.hands.get(at).cloned() else { return false };
        if !keep {
            self.hands.remove(at);
        }
        self.record_last(n, &token, outcome, action == Action::LastLook)
    }

    /// `begin`, `ask`, `settle` by one worker without any trouble.
    pub(super) fn work(&mut self) -> bool {
        self.work_with(Net::Well)
    }

    pub(super) fn work_with(&mut self, net: Net) -> bool {
        if !self.begin() {
            return false;
        }
        let at = self.hands.len() - 1;
        self.ask(at, net);
        self.settle(at, false)
    }

    pub(super) fn record(&mut self, n: u32, token: &str, outcome: Outcome) -> bool {
        self.record_last(n, token, outcome, false)
    }

    /// The same, of a look behind which nobody looks again.
    fn record_last(&mut self, n: u32, token: &str, outcome: Outcome, is_last_look: bool) -> bool {
        let tries = self.checkout.attempts.iter().find(|attempt| attempt.n == n).map_or(0, |attempt| attempt.tries);
        let retry_in = Duration::from_secs(1 << tries.min(20)).min(MAX_RETRY);
        let what = Settlement {
            checkout: self.checkout.id.clone(),
            n,
            lease_token: token.to_owned(),
            outcome,
            retry_in,
            routing: Arc::clone(&self.routing),
            is_last_look,
            known: None,
        };
        let effects = settle::settle(self.checkout.clone(), &what, self.now, &self.entropy).unwrap();
        effects.map(|effects| self.apply(effects)).is_some()
    }

    pub(super) fn cancel(&mut self) -> bool {
        match ends::cancel(self.checkout.clone(), self.now, &self.entropy).unwrap() {
            CancelAnswer::Canceled(effects) => {
                effects.into_iter().for_each(|effects| self.apply(*effects));
                true
            }
            CancelAnswer::Closing(effects) => {
                effects.into_iter().for_each(|effects| self.apply(*effects));
                false
            }
            CancelAnswer::NotCancelable => false,
        }
    }

    pub(super) fn resolve(&mut self, verdict: Verdict) {
        let effects = ends::resolve(self.checkout.clone(), verdict, "looked", self.now, &self.entropy).unwrap();
        if let Some(effects) = effects {
            self.resolved = Some(verdict);
            self.apply(effects);
        }
    }

    /// The client wants so much given back.
    pub(super) fn refund(&mut self, ask: &RefundAsk) {
        let id = RefundId::generate(&self.entropy, self.now);
        let effects = refund::open(self.checkout.clone(), &id, ask, self.now, &self.entropy).unwrap();
        self.apply(effects.unwrap_or_else(|refusal| panic!("{refusal:?}")));
    }

    pub(super) fn expire(&mut self) {
        ends::expire(self.checkout.clone(), self.now).unwrap().into_iter().for_each(|effects| self.apply(effects));
    }

    /// The customer submits the form that our page showed when the next attempt was number `n`.
    pub(super) fn pay(&mut self, n: u32) -> bool {
        let with = PaidWith::Card(Secret::new("tok_visa".to_owned()));
        self.pay_with(n, with)
    }

    pub(super) fn pay_with(&mut self, n: u32, with: PaidWith) -> bool {
        let pay = Pay { checkout: self.checkout.id.clone(), n, with, routing: Arc::clone(&self.routing), known: None };
        let effects = hosted::pay(self.checkout.clone(), &pay, self.now, &self.entropy).unwrap();
        effects.map(|effects| self.apply(effects)).is_some()
    }

    /// The customer wants to pay in another way.
    pub(super) fn take_back(&mut self, n: u32) -> bool {
        let effects = hosted::take_back(self.checkout.clone(), n, self.now, &self.entropy).unwrap();
        effects.map(|effects| self.apply(effects)).is_some()
    }

    /// Those who stalled wake up and do what they had begun, the last of them first.
    pub(super) fn wake_the_stalled(&mut self) {
        while let Some(at) = self.hands.len().checked_sub(1) {
            self.ask(at, Net::Well);
            self.settle(at, false);
        }
    }

    /// Everybody works without trouble until there is nothing to do. Panics if there is no end to it.
    pub(super) fn come_to_rest(&mut self) {
        for _ in 0..200 {
            let Some(due) = self.checkout.due_at else { return };
            self.now = self.now.max(due);
            if !self.work() && self.checkout.due_at == Some(due) {
                // Somebody holds it: the rescuer comes again when that lease is over.
                self.wait(LEASE);
            }
        }
        panic!("no end to {:#?}", self.checkout);
    }

    /// One transition. What must hold is looked at behind it.
    pub(super) fn apply(&mut self, effects: Effects) {
        let (before, after) = (self.checkout.clone(), effects.checkout.clone());
        assert_eq!((effects.from_version, after.version), (before.version, before.version + 1));
        match &effects.claims {
            ClaimChange::Keep => {}
            // Where nobody outside is asked they are sold at once.
            ClaimChange::Insert(_) => self.held = !after.status.is_terminal(),
            ClaimChange::Sell | ClaimChange::Release | ClaimChange::GiveBack(_) | ClaimChange::FreePlaces(_) => self.held = false,
        }
        for transaction in &effects.ledger {
            assert!(transaction.is_balanced(), "{transaction:?}");
            for entry in &transaction.entries {
                match entry.account.as_str() {
                    "provider:sandbox" => self.provider_balance += entry.amount.minor(),
                    "tender:balance" => self.by_balance += entry.amount.minor(),
                    "unapplied" => self.unapplied += entry.amount.minor(),
                    _ => {}
                }
            }
        }
        self.purse.apply(&effects);
        assert_eq!(self.by_balance, self.purse.spent(), "the ledger knows what was spent of the balance");
        self.events.extend(&effects.events);
        self.ends += u32::from(effects.ends());
        self.checkout = after;
        self.check(&before);
    }
}

fn queued(legs: Vec<Leg>, entropy: &Entropy, now: Timestamp) -> Checkout {
    let total = Amount::from_minor(legs.iter().map(|leg| leg.amount.minor()).sum());
    let line = Line {
        id: LineId::generate(entropy, now),
        item: Item::Custom(Default::default()),
        name: "Shoe hire".to_owned(),
        quantity: 1,
        unit_amount: total,
        amount: total,
        discount_amount: Amount::ZERO,
        tax_amount: Amount::ZERO,
    };
    let totals = Totals { subtotal: total, total, ..Totals::default() };
    let order = Order::of(Currency::USD, vec![line], totals, legs);
    let expires_at = now.after(Duration::from_secs(1800));
    Checkout::queued(CheckoutId::generate(entropy, now), Scope::new("studio", Mode::Test).unwrap(), order, now, expires_at)
}
