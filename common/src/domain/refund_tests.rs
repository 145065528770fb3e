//! Refunds in whatever order, with whatever answers: totals are conserved, and the books balance.

use super::*;
use crate::domain::{
    attempt::{Outcome, Receipt},
    begin::{self, Action, Begin, Begun},
    charge::Means,
    eligibility::World,
    id::{CatalogueId, JobId},
    job::{self, Job, JobStatus, Undo},
    leg::{Leg, Tender},
    order::{Order, Totals},
    refund_part::PENDING,
    refund_resolve,
    routing::Route,
    saga,
    scope::{Mode, Scope},
    secret::Secret,
    settle::{self, Settlement},
};
use proptest::prelude::*;
use std::{collections::BTreeMap, time::Duration};

const DAY: Duration = Duration::from_secs(24 * 3600);
const LINES: [i64; 3] = [1500, 3000, 700];

/// A sale that was paid, and the books about it.
pub(in crate::domain) struct Sale {
    pub(in crate::domain) checkout: Checkout,
    pub(in crate::domain) now: Timestamp,
    pub(in crate::domain) books: BTreeMap<String, i64>,
    freed: Vec<LineId>,
    pub(in crate::domain) entropy: Entropy,
    workers: u32,
}

fn line(entropy: &Entropy, at: usize, amount: i64) -> Line {
    let (id, amount) = (LineId::generate(entropy, Timestamp::from_millis(1)), Amount::from_minor(amount));
    let session = CatalogueId::parse(format!("ses_{at}")).unwrap();
    // The last one is no place.
    let item = if at == 2 {
        Item::Custom(Default::default())
    } else {
        Item::Session { session, seats: Vec::new(), offer: None, participants: Vec::new(), pricing_plan: None, class: None }
    };
    let (discount_amount, tax_amount) = (Amount::ZERO, Amount::ZERO);
    Line { id, item, name: "Class".to_owned(), quantity: 1, unit_amount: amount, amount, discount_amount, tax_amount }
}

impl Sale {
    fn of(tender: Tender, prices: &[i64]) -> Self {
        let (entropy, now) = (Entropy::from_seed(3), Timestamp::from_millis(1_000_000));
        let total = Amount::from_minor(prices.iter().sum());
        let lines = prices.iter().enumerate().map(|(at, price)| line(&entropy, at, *price)).collect();
        let totals = Totals { subtotal: total, total, ..Totals::default() };
        let order = Order::of(Currency::USD, lines, totals, vec![Leg { amount: total, tender: tender.clone() }]);
        let (id, scope) = (CheckoutId::generate(&entropy, now), Scope::new("studio", Mode::Test).unwrap());
        let checkout = Checkout { status: Status::Processing, due_at: None, ..Checkout::queued(id, scope, order, now, now.after(DAY)) };
        let mut effects = Effects::start(checkout, now);
        if matches!(tender, Tender::Card { .. }) {
            let n = saga::open_charge(&mut effects, 0, &Route::sandbox(), Means::default(), &entropy);
            let charge = effects.attempt(n).unwrap();
            (charge.status, charge.provider_reference) = (AttemptStatus::Approved, Some("ch_1".to_owned()));
        }
        effects.succeed(&entropy).unwrap();
        let (books, freed) = Default::default();
        let mut sale = Self { checkout: effects.checkout.clone(), now, books, freed, entropy, workers: 0 };
        sale.apply(effects);
        sale
    }

    pub(in crate::domain) fn by_card() -> Self {
        Self::of(Tender::card(Secret::new("tok_visa".to_owned())), &LINES)
    }

    pub(in crate::domain) fn ask(&mut self, ask: &RefundAsk) -> Result<RefundId, Refusal> {
        let id = RefundId::generate(&self.entropy, self.now);
        let effects = open(self.checkout.clone(), &id, ask, self.now, &self.entropy).unwrap()?;
        self.apply(effects);
        Ok(id)
    }

    fn part(&mut self, minor: i64) -> Result<RefundId, Refusal> {
        self.ask(&RefundAsk { amount: Some(Amount::from_minor(minor)), ..RefundAsk::default() })
    }

    fn lines(&mut self, at: &[usize]) -> Result<RefundId, Refusal> {
        let lines = at.iter().map(|at| self.checkout.order.lines[*at].id.clone()).collect();
        self.ask(&RefundAsk { lines, ..RefundAsk::default() })
    }

    fn code(refusal: Result<RefundId, Refusal>) -> Code {
        match refusal {
            Err(Refusal::Refused(error)) => error.code,
            other => panic!("{other:?}"),
        }
    }

    /// A worker takes what is due in hand and is answered so. `false`: there is nothing to do.
    fn work(&mut self, answer: fn(&Amount) -> Outcome) -> bool {
        self.workers += 1;
        let lease_token = format!("worker {}", self.workers);
        let (lease_for, key_window) = (Duration::from_secs(30), DAY);
        let checkout = self.checkout.id.clone();
        let ask =
            Begin { checkout, lease_token: lease_token.clone(), lease_for, routing: crate::domain::routing::to_the_sandbox(), key_window };
        let begun = begin::begin(self.checkout.clone(), &ask, &mut World::default(), self.now, &self.entropy).unwrap();
        let (n, action) = match begun {
            Begun::Done | Begun::Busy(_) => return false,
            Begun::Moved(effects) => {
                self.apply(*effects);
                return true;
            }
            Begun::Act { effects, n, action } => {
                self.apply(*effects);
                (n, action)
            }
        };
        let outcome = answer(&self.checkout.attempts.iter().find(|attempt| attempt.n == n).unwrap().request.amount);
        let retry_in = Duration::from_secs(60);
        let what = Settlement {
            checkout: ask.checkout,
            n,
            lease_token,
            outcome,
            retry_in,
            routing: crate::domain::routing::to_the_sandbox(),
            is_last_look: action == Action::LastLook,
            known: None,
        };
        let effects = settle::settle(self.checkout.clone(), &what, self.now, &self.entropy).unwrap().unwrap();
        self.apply(effects);
        true
    }

    pub(in crate::domain) fn apply(&mut self, effects: Effects) {
        for transaction in &effects.ledger {
            assert!(transaction.is_balanced(), "{transaction:?}");
            for entry in &transaction.entries {
                *self.books.entry(entry.account.clone()).or_default() += entry.amount.minor();
            }
        }
        if let ClaimChange::GiveBack(lines) | ClaimChange::FreePlaces(lines) = &effects.claims {
            self.freed.extend(lines.iter().cloned());
        }
        self.checkout = effects.checkout;
        self.check();
    }

    fn sum(&self, which: impl Fn(RefundStatus) -> bool) -> i64 {
        self.checkout.refunds.iter().filter(|refund| which(refund.status)).map(|refund| refund.amount.minor()).sum()
    }

    fn check(&self) {
        let checkout = &self.checkout;
        let (paid, back) = (checkout.amount_paid.minor(), checkout.amount_refunded.minor());
        let (gone, counted) = (self.sum(|status| status == RefundStatus::Succeeded), self.sum(|status| status != RefundStatus::Failed));
        let waiting = self.sum(|status| matches!(status, RefundStatus::Pending | RefundStatus::NeedsReview));
        let book = |account: &str| self.books.get(account).copied().unwrap_or_default();
        assert_eq!(back, gone, "what went back is what succeeded");
        assert!(counted <= paid, "{counted} of {paid}");
        let disputed = checkout.amount_disputed().unwrap().minor();
        assert_eq!(refundable(checkout).unwrap().minor(), paid - counted - disputed);
        assert_eq!(book("provider:sandbox") + book("tender:custom") + disputed, paid - back, "the money is where the checkout says");
        assert_eq!((book("revenue"), book(PENDING)), (counted - paid, -waiting), "{:?}", self.books);
        let is_due = checkout.open_attempt().is_some();
        assert_eq!((checkout.status, checkout.due_at.is_some()), (Status::Succeeded, is_due), "{checkout:#?}");
        for refund in checkout.refunds.iter().filter(|refund| refund.status == RefundStatus::Succeeded) {
            assert!(refund.freed(checkout).all(|line| self.freed.contains(&line.id)), "places come free with the money");
        }
    }
}

fn gave(amount: &Amount) -> Outcome {
    Outcome::Approved(Receipt::of("re_1".to_owned(), *amount, Currency::parse("usd").unwrap()))
}

fn gave_too_little(_: &Amount) -> Outcome {
    gave(&Amount::from_minor(1_000_000))
}

fn no(_: &Amount) -> Outcome {
    Outcome::Declined(Decline::new("not_captured".to_owned(), "no".to_owned(), None))
}

fn silence(_: &Amount) -> Outcome {
    Outcome::Unknown("no answer".to_owned())
}

fn refused(_: &Amount) -> Outcome {
    Outcome::NotSent { cause: "refused".to_owned(), retry_after: None }
}

#[test]
fn a_whole_refund_gives_everything_back_and_frees_the_places_when_it_has_succeeded() {
    let mut sale = Sale::by_card();
    sale.ask(&RefundAsk::default()).unwrap();
    assert_eq!((sale.checkout.amount_refunded, sale.freed.len()), (Amount::ZERO, 0), "not before");
    assert_eq!(Sale::code(sale.part(1)), Code::RefundExceedsPaid, "what is on its way counts");
    assert!(sale.work(gave));
    assert_eq!((sale.checkout.amount_refunded.minor(), sale.freed.len()), (5200, 2));
    assert_eq!(Sale::code(sale.ask(&RefundAsk::default())), Code::RefundExceedsPaid);
}

#[test]
fn a_definite_no_takes_the_booking_back_and_what_it_was_about_can_be_asked_for_again() {
    let mut sale = Sale::by_card();
    let first = sale.lines(&[0]).unwrap();
    assert_eq!(Sale::code(sale.lines(&[0])), Code::RefundExceedsPaid, "a line is given back once");
    sale.work(no);
    let failed = &sale.checkout.refunds[0];
    assert_eq!((&failed.id, failed.status, failed.error.as_ref().unwrap().code), (&first, RefundStatus::Failed, Code::RefundRefused));
    assert_eq!((sale.freed.len(), sale.books["revenue"]), (0, -5200));
    sale.lines(&[0]).unwrap();
    sale.work(gave);
    assert_eq!((sale.checkout.amount_refunded.minor(), sale.freed.len()), (1500, 1));
}

#[test]
fn a_refund_that_nobody_knows_about_is_never_a_failure_and_counts_as_gone() {
    let mut sale = Sale::by_card();
    sale.ask(&RefundAsk::default()).unwrap();
    sale.work(silence);
    assert_eq!(sale.checkout.refunds[0].status, RefundStatus::Pending);
    sale.now = sale.now.after(DAY * 2);
    sale.work(silence);
    assert_eq!(sale.checkout.refunds[0].status, RefundStatus::NeedsReview);
    assert_eq!(Sale::code(sale.part(1)), Code::RefundExceedsPaid);
    assert!(sale.freed.is_empty());
}

#[test]
fn a_refund_without_an_answer_holds_up_no_other() {
    let mut sale = Sale::by_card();
    sale.part(100).unwrap();
    sale.work(silence);
    sale.part(200).unwrap();
    assert!(sale.work(gave));
    assert_eq!(sale.checkout.amount_refunded.minor(), 200);
}

#[test]
fn cash_is_settled_at_once_and_nothing_paid_frees_its_places_once() {
    let mut cash = Sale::of(Tender::Custom { name: "cash".to_owned(), note: None }, &LINES);
    cash.part(200).unwrap();
    cash.lines(&[1]).unwrap();
    assert_eq!((cash.checkout.amount_refunded.minor(), cash.freed.len(), cash.checkout.due_at), (3200, 1, None));
    let mut free = Sale::of(Tender::Free {}, &[0]);
    free.ask(&RefundAsk::default()).unwrap();
    assert_eq!((free.checkout.amount_refunded, free.freed.len()), (Amount::ZERO, 1));
    assert_eq!(Sale::code(free.ask(&RefundAsk::default())), Code::RefundExceedsPaid);
}

/// What the job of a session that is called off does next about a sale: the first line's session.
fn called_off(sale: &Sale) -> Undo {
    let job = Job {
        id: JobId::parse("job_1").unwrap(),
        object: Job::OBJECT,
        kind: Job::SESSION_CANCELLATION,
        session: CatalogueId::parse("ses_0").unwrap(),
        status: JobStatus::Running,
        total: 1,
        done: 0,
        failed: 0,
        reason: None,
        created_at: sale.now,
        updated_at: sale.now,
        completed_at: None,
    };
    let ours = job.refund_of(&sale.checkout.id, 0).unwrap();
    job::undo(sale.checkout.clone(), sale.checkout.refunds.clone(), &ours, &job).unwrap()
}

#[test]
fn places_that_were_freed_for_nothing_are_not_money_that_went_back() {
    for came_back in [true, false] {
        let mut sale = Sale::by_card();
        let first = vec![sale.checkout.order.lines[0].id.clone()];
        let free = RefundAsk { amount: Some(Amount::ZERO), lines: first.clone(), release_seats: Some(true), ..RefundAsk::default() };
        if came_back {
            sale.ask(&RefundAsk { lines: first.clone(), release_seats: Some(false), ..RefundAsk::default() }).unwrap();
            sale.work(gave);
        }
        sale.ask(&free).unwrap();
        if came_back {
            assert_eq!(Sale::code(sale.lines(&[0])), Code::RefundExceedsPaid, "its money is gone");
            assert_eq!(called_off(&sale), Undo::Nothing);
            let Outcome::Declined(closed) = no(&Amount::ZERO) else { panic!() };
            let n = sale.checkout.attempts.last().unwrap().n;
            let effects = refund_resolve::came_back(sale.checkout.clone(), n, &closed, sale.now, &sale.entropy).unwrap();
            sale.apply(effects.unwrap());
        }
        assert_eq!(Sale::code(sale.ask(&free)), Code::RefundExceedsPaid, "places are freed once");
        let ask = RefundAsk { amount: None, lines: first, release_seats: Some(true), ..RefundAsk::default() };
        assert_eq!(called_off(&sale), Undo::Refund(ask.clone()));
        sale.ask(&ask).unwrap();
        sale.work(gave);
        assert_eq!((sale.checkout.amount_refunded.minor(), called_off(&sale)), (1500, Undo::Nothing));
        assert_eq!(Sale::code(sale.ask(&ask)), Code::RefundExceedsPaid, "and so is money");
    }
    // A line that cost nothing is done with when its places are free.
    let mut free = Sale::of(Tender::Free {}, &[0]);
    free.lines(&[0]).unwrap();
    assert_eq!((called_off(&free), Sale::code(free.lines(&[0]))), (Undo::Nothing, Code::RefundExceedsPaid));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let mut sale = Sale::by_card();
    let part = RefundAsk { amount: Some(Amount::from_minor(5)), release_seats: Some(true), ..RefundAsk::default() };
    assert_eq!(Sale::code(sale.ask(&part)), Code::ParameterInvalid);
    assert_eq!(Sale::code(sale.lines(&[0, 0])), Code::ParameterInvalid);
    let unknown = RefundAsk { lines: vec![LineId::parse("li_x").unwrap()], ..RefundAsk::default() };
    assert_eq!(Sale::code(sale.ask(&unknown)), Code::ResourceMissing);
    let dear =
        RefundAsk { amount: Some(Amount::from_minor(701)), lines: vec![sale.checkout.order.lines[2].id.clone()], ..RefundAsk::default() };
    assert_eq!(Sale::code(sale.ask(&dear)), Code::RefundExceedsPaid);
    sale.checkout.status = Status::Failed;
    assert_eq!(sale.part(1), Err(Refusal::NotSold(Status::Failed)));
}

#[derive(Debug, Clone)]
enum Move {
    Part(i64),
    Lines(Vec<usize>, bool),
    Whole(bool),
    Work(u8),
    Wait(Duration),
}

fn a_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        2 => (1..3000i64).prop_map(Move::Part),
        2 => (prop::sample::subsequence(vec![0usize, 1, 2], 1..=3), any::<bool>()).prop_map(|(lines, free)| Move::Lines(lines, free)),
        1 => any::<bool>().prop_map(Move::Whole),
        6 => (0..5u8).prop_map(Move::Work),
        2 => prop_oneof![Just(Duration::from_secs(60)), Just(DAY * 2)].prop_map(Move::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn totals_are_conserved_and_the_books_balance_whatever_is_asked_and_answered(cash in any::<bool>(), moves in prop::collection::vec(a_move(), 1..40)) {
        let mut sale = if cash { Sale::of(Tender::Custom { name: "cash".to_owned(), note: None }, &LINES) } else { Sale::by_card() };
        for step in moves {
            // What is refused changes nothing; `apply` checks what is not.
            let before = sale.checkout.clone();
            let asked = match step {
                Move::Part(minor) => sale.part(minor),
                Move::Lines(at, free) => {
                    let lines = at.iter().map(|at| sale.checkout.order.lines[*at].id.clone()).collect();
                    sale.ask(&RefundAsk { lines, release_seats: Some(free), ..RefundAsk::default() })
                }
                Move::Whole(free) => sale.ask(&RefundAsk { release_seats: Some(free), ..RefundAsk::default() }),
                Move::Work(answer) => {
                    sale.work([gave, no, silence, refused, gave_too_little][usize::from(answer)]);
                    continue;
                }
                Move::Wait(by) => {
                    sale.now = sale.now.after(by);
                    continue;
                }
            };
            if asked.is_err() {
                prop_assert_eq!(before, sale.checkout.clone());
            }
        }
        for _ in 0..300 {
            let Some(due) = sale.checkout.due_at else { break };
            sale.now = sale.now.max(due);
            sale.work(gave);
        }
        prop_assert!(sale.checkout.open_attempt().is_none(), "all of it comes to rest");
        prop_assert_eq!(sale.sum(|status| status == RefundStatus::Pending), 0);
    }
}
