//! One checkout in memory with everybody who touches it: workers that die or stall at any point, a network that loses
//! requests and answers, a provider with a book of its own, a client, an operator, and the clock.

use super::{balance::Purse, events};
use crate::domain::{
    attempt::{Attempt, AttemptKind, AttemptStatus, Decline, MoneyRequest, Outcome, Receipt},
    begin::{self, Action, Begin, Begun},
    checkout::Checkout,
    effects::{ClaimChange, Effects},
    eligibility::World,
    ends::{self, CancelAnswer, Verdict},
    event::EventType,
    hosted::{self, Hosted, PaidWith, Pay},
    id::{CheckoutId, CustomerId, Entropy, LineId, RefundId},
    money::{Amount, Currency},
    order::{Item, Leg, Line, Order, Tender, Totals},
    provider_event::{self, judge},
    push::{PushKind, PushMethod},
    refund::{self, RefundAsk, RefundStatus},
    refund_resolve,
    scope::{Mode, Scope},
    secret::Secret,
    settle::{self, Settlement},
    state::Status,
    time::Timestamp,
};
use std::{collections::BTreeMap, time::Duration};

pub(super) const TOTAL: i64 = 1500;
pub(super) const LEASE: Duration = Duration::from_secs(30);
pub(super) const WINDOW: Duration = Duration::from_secs(23 * 3600);
/// The longest wait between two tries.
const MAX_RETRY: Duration = Duration::from_secs(3600);
/// More attempts than any leg needs: a charge, its capture, a void, a refund. One to spare of a single leg, which is not captured.
const MOST_ATTEMPTS: usize = 4;
/// The same where the customer tries on our page.
const MOST_ATTEMPTS_HOSTED: usize = hosted::MAX_TRIES + 3;

const ALL_KINDS: [AttemptKind; 4] = [AttemptKind::Charge, AttemptKind::Capture, AttemptKind::Void, AttemptKind::Refund];

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

/// What the network does with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Net {
    Well,
    RequestLost,
    AnswerLost,
    Refused,
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

/// A worker between `begin` and `settle`.
#[derive(Debug, Clone)]
pub(super) struct Hand {
    pub(super) n: u32,
    pub(super) token: String,
    attempt: Attempt,
    action: Action,
    answer: Option<Outcome>,
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
    /// How many transitions said that they are the end.
    ends: u32,
    held: bool,
    provider_balance: i64,
    /// What the ledger says of the purse.
    by_balance: i64,
    pub(super) unapplied: i64,
    entropy: Entropy,
    workers: u32,
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
            tender: Tender::Card { token: Secret::new("tok_visa".to_owned()) },
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
        let (odd_amounts, purse, ends, held, provider_balance, by_balance, unapplied, workers) = Default::default();
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
            ends,
            held,
            provider_balance,
            by_balance,
            unapplied,
            entropy,
            workers,
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
            provider: "sandbox".to_owned(),
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
            (Net::Well, Action::LookUp) => self.told(&hand.attempt.request),
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
        let Some(Hand { n, token, answer: Some(outcome), .. }) = self.hands.get(at).cloned() else { return false };
        if !keep {
            self.hands.remove(at);
        }
        self.record(n, &token, outcome)
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
        let tries = self.checkout.attempts.iter().find(|attempt| attempt.n == n).map_or(0, |attempt| attempt.tries);
        let retry_in = Duration::from_secs(1 << tries.min(20)).min(MAX_RETRY);
        let what = Settlement { checkout: self.checkout.id.clone(), n, lease_token: token.to_owned(), outcome, retry_in, known: None };
        let effects = settle::settle(self.checkout.clone(), &what, self.now, &self.entropy).unwrap();
        effects.map(|effects| self.apply(effects)).is_some()
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
        let pay = Pay { checkout: self.checkout.id.clone(), n, with, provider: "sandbox".to_owned() };
        let effects = hosted::pay(self.checkout.clone(), &pay, self.now, &self.entropy).unwrap();
        effects.map(|effects| self.apply(effects)).is_some()
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

    /// The provider said no to charge `n`, and takes the money all the same. It tells. `false`: there is no such charge.
    pub(super) fn take_after_all(&mut self, n: u32) -> bool {
        let charge = self.book.get_mut(&Attempt::key(&self.checkout.id, n));
        let Some(charge) = charge.filter(|charge| (charge.kind, charge.booked) == (AttemptKind::Charge, Booked::Declined)) else {
            return false;
        };
        charge.booked = Booked::Done;
        self.webhook(n);
        true
    }

    /// Everybody works without trouble until there is nothing to do. Panics if there is no end to it.
    pub(super) fn come_to_rest(&mut self) {
        for _ in 0..200 {
            let Some(due) = self.checkout.due_at else { return };
            self.now = self.now.max(due);
            self.work();
        }
        panic!("no end to {:#?}", self.checkout);
    }

    // ---- the provider

    fn execute(&mut self, request: &MoneyRequest) -> Outcome {
        let target = request.target.clone().unwrap_or_default();
        let fate = self.fates[request.leg];
        let before = self.book.get(&target).map(|target| target.booked);
        let fresh = match (request.kind, before) {
            (AttemptKind::Charge, _) => match fate {
                Fate::Approve | Fate::BreakPromise if request.capture_later => Booked::Authorized,
                Fate::Approve | Fate::BreakPromise | Fate::TakeAtOnce => Booked::Done,
                Fate::Decline => Booked::Declined,
                Fate::AskCustomer => Booked::Pending,
            },
            (AttemptKind::Capture, Some(Booked::Authorized)) if fate == Fate::BreakPromise => Booked::Declined,
            (AttemptKind::Capture, Some(Booked::Authorized)) => Booked::Done,
            (AttemptKind::Void, Some(Booked::Pending | Booked::Authorized | Booked::Voided)) => Booked::Done,
            (AttemptKind::Refund, Some(Booked::Done)) => Booked::Done,
            _ => Booked::Declined,
        };
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
    fn told(&self, request: &MoneyRequest) -> Outcome {
        let reference = request.key.clone();
        match self.book.get(&request.key).map(|operation| operation.booked) {
            None => Outcome::Unknown("not found".to_owned()),
            Some(Booked::Pending) if request.push.is_some() => Outcome::Pending { provider_reference: reference },
            Some(Booked::Pending) => Outcome::RequiresAction { url: "https://bank.example".to_owned(), provider_reference: reference },
            Some(Booked::Authorized) => Outcome::Authorized(receipt(&reference, request.amount.minor())),
            Some(Booked::Done) => approved(&reference, request.amount.minor()),
            Some(Booked::Declined | Booked::Voided) => declined(),
        }
    }

    /// What the provider has of the customer's money in the end.
    pub(super) fn taken(&self) -> i64 {
        let sum = |kind| {
            self.book.values().filter(|entry| (entry.kind, entry.booked) == (kind, Booked::Done)).map(|entry| entry.amount).sum::<i64>()
        };
        sum(AttemptKind::Charge) - sum(AttemptKind::Refund)
    }

    /// What providers are to take of a sale.
    fn total(&self) -> i64 {
        self.checkout.order.outside_legs().map(|(_, leg)| leg.amount.minor()).sum()
    }

    // ---- what must hold

    fn apply(&mut self, effects: Effects) {
        let (before, after) = (self.checkout.clone(), effects.checkout.clone());
        assert_eq!((effects.from_version, after.version), (before.version, before.version + 1));
        match &effects.claims {
            ClaimChange::Keep => {}
            // Where nobody outside is asked they are sold at once.
            ClaimChange::Insert(_) => self.held = !after.status.is_terminal(),
            ClaimChange::Sell | ClaimChange::Release | ClaimChange::GiveBack(_) => self.held = false,
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

    fn check(&self, before: &Checkout) {
        let checkout = &self.checkout;
        let status = checkout.status;
        if before.status.is_terminal() {
            assert_eq!(status, before.status, "an end never changes");
        }
        let (paid, refunded) = (checkout.amount_paid.minor(), checkout.amount_refunded.minor());
        assert_eq!(paid - refunded, self.provider_balance + self.by_balance, "the ledger knows what was taken: {checkout:#?}");
        if self.resolved != Some(Verdict::Succeeded) && !self.odd_amounts {
            let sum = |kind: AttemptKind| {
                let approved = checkout.attempts.iter().filter(|a| a.request.kind == kind && a.status == AttemptStatus::Approved);
                approved.map(|a| a.request.amount.minor()).sum::<i64>()
            };
            assert_eq!(paid, sum(AttemptKind::Charge) + self.by_balance, "what was paid is what was approved: {checkout:#?}");
            assert_eq!(refunded, sum(AttemptKind::Refund), "what went back is what was approved: {checkout:#?}");
        }
        let legs = checkout.order.legs.len();
        let most = if checkout.order.hosted().is_some() { MOST_ATTEMPTS_HOSTED } else { MOST_ATTEMPTS * legs };
        assert!(checkout.attempts.len() <= most, "attempts without end: {checkout:#?}");
        for (leg, kind) in (0..legs).flat_map(|leg| ALL_KINDS.map(|kind| (leg, kind))) {
            let about = |a: &&Attempt| (a.request.leg, a.request.kind) == (leg, kind);
            let open = checkout.attempts.iter().filter(about).filter(|attempt| attempt.status.is_open()).count();
            let asked = checkout.refunds.iter().filter(|refund| kind == AttemptKind::Refund && refund.status == RefundStatus::Pending);
            assert!(open <= 1 + asked.count(), "{open} open {kind:?} of leg {leg}");
        }
        let takes = |a: &&Attempt| matches!(a.request.kind, AttemptKind::Charge | AttemptKind::Capture) && a.status.is_open();
        assert!(self.resolved.is_some() || checkout.attempts.iter().filter(takes).count() <= 1, "one step at a time: {checkout:#?}");
        if checkout.attempts.iter().any(|a| a.request.kind == AttemptKind::Capture) && self.resolved.is_none() {
            let came = |(leg, _)| checkout.charge_of(leg).is_some();
            assert!(checkout.order.outside_legs().all(came), "nothing is captured before every leg was asked: {checkout:#?}");
        }
        let open = checkout.open_attempt().is_some();
        assert_eq!(self.ends, u32::from(status.is_terminal()), "it ends once, and whatever comes behind is no end: {checkout:#?}");
        let needs_work = if status.is_terminal() { open } else { status != Status::NeedsReview };
        assert_eq!(checkout.due_at.is_some(), needs_work, "whoever needs work is due: {checkout:#?}");
        if status.is_terminal() {
            assert!(!self.held, "no hold behind the end");
            let end = EventType::of(status).unwrap();
            assert_eq!(self.events.iter().filter(|event| **event == end).count(), 1, "one event for the end");
        }
        assert_eq!(
            checkout.payment_url.is_some(),
            status == Status::AwaitingPayment
                && (checkout.order.hosted().is_some() || !checkout.attempts.iter().any(|a| a.status == AttemptStatus::Pending)),
            "a page to pay on while it may be paid: {checkout:#?}"
        );
        let unpaid_end = matches!(status, Status::Failed | Status::Canceled | Status::Expired);
        if unpaid_end && !before.status.is_terminal() && self.resolved.is_none() {
            self.check_nothing_can_be_taken();
        }
    }

    /// No charge is in the provider's hands, and no worker can still send one.
    fn check_nothing_can_be_taken(&self) {
        let definite = |key: &str| {
            let charge = self.book.get(key).map(|charge| charge.booked);
            // What was taken of a split payment went back.
            let went_back = |key: &str| {
                let leg = self.checkout.attempts.iter().find(|a| a.request.key == key).map(|a| a.request.leg);
                let refunds = self.checkout.attempts.iter().filter(|a| a.request.kind == AttemptKind::Refund && Some(a.request.leg) == leg);
                refunds.map(|a| &a.request.key).any(|key| self.book.get(key).is_some_and(|refund| refund.booked == Booked::Done))
            };
            matches!(charge, Some(Booked::Declined | Booked::Voided)) || (charge == Some(Booked::Done) && went_back(key))
        };
        for attempt in self.checkout.attempts.iter().filter(|attempt| attempt.request.kind == AttemptKind::Charge) {
            let known_to_provider = self.book.contains_key(&attempt.request.key);
            let can_be_sent = self.hands.iter().any(|hand| hand.n == attempt.n && hand.action == Action::Send && hand.answer.is_none());
            assert!(
                definite(&attempt.request.key) || !(known_to_provider || can_be_sent),
                "ended unpaid while the provider may still take money: {:#?}",
                self.checkout
            );
        }
    }

    /// What must hold when nobody has anything to do any more.
    pub(super) fn check_at_rest(&self) {
        let status = self.checkout.status;
        assert!(status.is_terminal() || status == Status::NeedsReview, "{:#?}", self.checkout);
        if status.is_terminal() && self.resolved.is_none() {
            let owed = if status == Status::Succeeded { self.total() } else { 0 };
            assert_eq!(self.taken(), owed, "{status}: {:#?}\n{:#?}", self.checkout, self.book);
            assert_eq!(self.unapplied, 0, "what nobody is entitled to went back: {:#?}", self.checkout);
        }
        // An operator may sell what a worker that stalled is about to undo: then the books tell what the provider did.
        let is_undone =
            |a: &Attempt| matches!(a.request.kind, AttemptKind::Void | AttemptKind::Refund) && a.status == AttemptStatus::Approved;
        let undone = self.resolved.is_some() && self.checkout.attempts.iter().any(is_undone);
        if status == Status::Succeeded && !self.odd_amounts && !undone {
            let late = self.checkout.amount_paid.minor() - self.checkout.order.totals.total.minor();
            assert_eq!(self.checkout.amount_refunded.minor(), late, "a sale is not given back by itself: {:#?}", self.checkout);
        }
    }
}

pub(super) fn approved(reference: &str, minor: i64) -> Outcome {
    Outcome::Approved(receipt(reference, minor))
}

fn receipt(reference: &str, minor: i64) -> Receipt {
    let currency = Currency::parse("usd").unwrap();
    Receipt { provider_reference: reference.to_owned(), amount: Amount::from_minor(minor), currency }
}

pub(super) fn declined() -> Outcome {
    Outcome::Declined(Decline { decline_code: "generic_decline".to_owned(), message: "no".to_owned(), provider_reference: None })
}

fn queued(legs: Vec<Leg>, entropy: &Entropy, now: Timestamp) -> Checkout {
    let total = Amount::from_minor(legs.iter().map(|leg| leg.amount.minor()).sum());
    let line = Line {
        id: LineId::generate(entropy, now),
        item: Item::Custom {},
        name: "Shoe hire".to_owned(),
        quantity: 1,
        unit_amount: total,
        amount: total,
        discount_amount: Amount::ZERO,
        tax_amount: Amount::ZERO,
    };
    let order = Order {
        customer: None,
        currency: Currency::parse("usd").unwrap(),
        lines: vec![line],
        totals: Totals { subtotal: total, total, ..Totals::default() },
        promo_code: None,
        promo_uses_counted: false,
        legs,
        success_url: None,
        cancel_url: None,
        callback_url: None,
        callback_state: None,
        reference: None,
        metadata: serde_json::Map::new(),
    };
    Checkout {
        id: CheckoutId::generate(entropy, now),
        scope: Scope::new("studio", Mode::Test).unwrap(),
        status: Status::Queued,
        version: 1,
        order,
        amount_paid: Amount::ZERO,
        amount_refunded: Amount::ZERO,
        error: None,
        payment_url: None,
        closing: None,
        due_at: Some(now),
        rescues: 0,
        expires_at: now.after(Duration::from_secs(1800)),
        created_at: now,
        updated_at: now,
        completed_at: None,
        attempts: Vec::new(),
        refunds: Vec::new(),
    }
}
