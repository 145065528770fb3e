//! What must hold of the machine after every move, and when nobody has anything to do any more.

use super::{machine::Machine, provider::Booked};
use crate::domain::{
    attempt::{Attempt, AttemptKind, AttemptStatus},
    begin::Action,
    checkout::Checkout,
    ends::Verdict,
    event::EventType,
    hosted,
    refund::RefundStatus,
    routing::MAX_CHARGES,
    state::Status,
};

/// More attempts than any leg needs: a charge, its capture, a void, a refund. One to spare of a single leg, which is not captured.
const MOST_ATTEMPTS: usize = 4;
/// The same where the customer tries on our page, and has each question taken back.
const MOST_ATTEMPTS_HOSTED: usize = 2 * hosted::MAX_TRIES + 3;

const ALL_KINDS: [AttemptKind; 4] = [AttemptKind::Charge, AttemptKind::Capture, AttemptKind::Void, AttemptKind::Refund];

impl Machine {
    pub(super) fn check(&self, before: &Checkout) {
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
        let refused = |a: &&Attempt| (a.request.kind, a.status) == (AttemptKind::Refund, AttemptStatus::Declined);
        // Charges that a provider's trouble has made another of, each with its void.
        let most = most + if self.troubles.is_empty() { 0 } else { 2 * MAX_CHARGES * legs };
        let most = most + checkout.refunds.len() + checkout.attempts.iter().filter(refused).count();
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
        let has_no_address = |a: &Attempt| a.status == AttemptStatus::Pending || a.open_form().is_some();
        assert_eq!(
            checkout.payment_url.is_some(),
            status == Status::AwaitingPayment && (checkout.order.hosted().is_some() || !checkout.attempts.iter().any(has_no_address)),
            "a page to pay on while it may be paid: {checkout:#?}"
        );
        assert!(
            status != Status::AwaitingPayment || checkout.closing.is_none(),
            "nobody is asked behind a wish for the end: {checkout:#?}"
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
        if status.is_terminal() {
            assert_eq!(-self.unapplied, self.late_money_left(), "what nobody is entitled to went back, or waits: {:#?}", self.checkout);
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

    /// What providers are to take of a sale.
    fn total(&self) -> i64 {
        self.checkout.order.outside_legs().map(|(_, leg)| leg.amount.minor()).sum()
    }
}
