//! What one transition changes. The domain decides it; the store writes it, all or nothing.

use super::{
    attempt::{Attempt, Fee},
    balance::BalanceMove,
    bought_membership::{self, BoughtMembership},
    checkout::{Checkout, Closing},
    claim::NewClaim,
    error::{Code, CodedError},
    event::EventType,
    id::{BoughtMembershipId, Entropy, LedgerId, LineId, RefundId},
    ledger::{self, Entry, LedgerKind, LedgerTransaction},
    money::{Amount, Currency, MoneyError},
    refund::Refund,
    routing::Routing,
    state::{IllegalStep, Status, Step},
    time::Timestamp,
    timeline::TimelineEntry,
};
use std::sync::Arc;

/// What becomes of a checkout's claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimChange {
    /// They stay as they are.
    Keep,
    /// New ones, held or sold at once.
    Insert(Vec<NewClaim>),
    /// Held ones are sold now.
    Sell,
    /// Held ones are given back.
    Release,
    /// Sold places of these lines are given back.
    GiveBack(Vec<LineId>),
    /// So are these, and the credits that paid for them stay used.
    FreePlaces(Vec<LineId>),
}

/// A decision that cannot be made: our bug, or amounts out of range. The store writes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecideError {
    /// The state machine has no such step.
    #[error(transparent)]
    IllegalStep(#[from] IllegalStep),
    /// Sums out of range.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// An attempt that does not exist.
    #[error("checkout has no attempt {0}")]
    NoSuchAttempt(u32),
}

/// One transition of one checkout, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effects {
    /// The version it starts from: the compare of the compare-and-set.
    pub from_version: i64,
    /// The checkout after it, attempts included.
    pub checkout: Checkout,
    /// Which attempts are new or changed, by `n`.
    pub attempts: Vec<u32>,
    /// Which refunds are new or changed; the last one is what a refund's event is about.
    pub refunds: Vec<RefundId>,
    /// What becomes of the claims.
    pub claims: ClaimChange,
    /// New moves of the customer's balance. What is held of it goes the way of the claims: booked when they are sold, released with them.
    pub balance: Vec<BalanceMove>,
    /// Memberships that come into being.
    pub bought: Vec<BoughtMembership>,
    /// Bought memberships that end, or, with no time, that go on after all.
    pub ended: Vec<(BoughtMembershipId, Option<Timestamp>)>,
    /// Ledger transactions; each balanced.
    pub ledger: Vec<LedgerTransaction>,
    /// What clients are told.
    pub events: Vec<EventType>,
    /// What the timeline says.
    pub timeline: Vec<TimelineEntry>,
    /// Where charges go that follow from it; where the last one went, if nothing is said. Not written: the attempts say where they went.
    pub routing: Option<Arc<Routing>>,
}

impl Effects {
    /// Starts a transition of `checkout`: one version on, nothing else changed.
    pub fn start(mut checkout: Checkout, now: Timestamp) -> Self {
        let from_version = checkout.version;
        checkout.version += 1;
        // Its own time never runs backwards, whichever machine's clock is behind: what was opened before an end is told from what came after.
        checkout.updated_at = now.max(checkout.updated_at);
        checkout.rescues = 0;
        let (attempts, refunds, balance, bought, ended, ledger, events, timeline) = Default::default();
        let routing = None;
        Self {
            from_version,
            checkout,
            attempts,
            refunds,
            claims: ClaimChange::Keep,
            balance,
            bought,
            ended,
            ledger,
            events,
            timeline,
            routing,
        }
    }

    /// By these rules from here on.
    pub(super) fn routed_by(mut self, routing: &Arc<Routing>) -> Self {
        self.routing = Some(Arc::clone(routing));
        self
    }

    /// Takes one step of the state machine.
    pub fn step(&mut self, step: Step) -> Result<(), IllegalStep> {
        let status = self.checkout.status.after(step)?;
        self.checkout.status = status;
        if status != Status::AwaitingPayment {
            // Nobody is sent to pay for what is being closed.
            self.checkout.payment_url = None;
        }
        if let Some(event) = EventType::of(status) {
            self.events.push(event);
            self.timeline.push(TimelineEntry::new(self.checkout.updated_at, event.as_str()));
        }
        if status.is_terminal() {
            self.checkout.completed_at = Some(self.checkout.updated_at);
            self.checkout.due_at = None;
        }
        Ok(())
    }

    /// Notes something on the timeline.
    pub fn note(&mut self, what: impl Into<String>, detail: impl Into<String>) {
        self.timeline.push(TimelineEntry::new(self.checkout.updated_at, what).saying(detail));
    }

    /// Changes attempt `n` and marks it to be written.
    pub fn attempt(&mut self, n: u32) -> Result<&mut Attempt, DecideError> {
        let found = self.checkout.attempts.iter_mut().find(|attempt| attempt.n == n);
        let attempt = found.ok_or(DecideError::NoSuchAttempt(n))?;
        if !self.attempts.contains(&n) {
            self.attempts.push(n);
        }
        Ok(attempt)
    }

    /// Changes a refund and marks it to be written.
    pub fn refund(&mut self, id: &RefundId) -> Option<&mut Refund> {
        let at = self.checkout.updated_at;
        let refund = self.checkout.refunds.iter_mut().find(|refund| refund.id == *id)?;
        refund.updated_at = at;
        if !self.refunds.contains(id) {
            self.refunds.push(id.clone());
        }
        Some(refund)
    }

    /// Adds a new refund.
    pub fn add_refund(&mut self, refund: Refund) {
        self.refunds.push(refund.id.clone());
        self.checkout.refunds.push(refund);
    }

    /// Adds a new attempt.
    pub fn add_attempt(&mut self, attempt: Attempt) {
        self.attempts.push(attempt.n);
        self.checkout.attempts.push(attempt);
    }

    /// The sale: claims are sold, the ledger says so, the client is told.
    pub fn succeed(&mut self, entropy: &Entropy) -> Result<(), DecideError> {
        let entries = ledger::sale_entries(&self.checkout);
        if !entries.is_empty() {
            self.post(LedgerKind::Sale, entries, entropy);
        }
        self.checkout.amount_paid = self.checkout.order.totals.total;
        self.checkout.error = None;
        self.bought = bought_membership::sold(&self.checkout);
        if self.claims == ClaimChange::Keep {
            self.claims = ClaimChange::Sell;
        }
        Ok(self.step(Step::Succeed)?)
    }

    /// A definite end without a sale: claims are given back.
    pub fn fail(&mut self, error: CodedError) -> Result<(), DecideError> {
        self.checkout.error = Some(error);
        self.release();
        Ok(self.step(Step::Fail)?)
    }

    /// The end that `closing` asked for, or a failure where none was asked.
    pub fn close(&mut self, closing: Option<Closing>, otherwise: CodedError) -> Result<(), DecideError> {
        let Some(closing) = closing else { return self.fail(otherwise) };
        let (step, code, words) = match closing {
            Closing::Cancel => (Step::Cancel, Code::Canceled, "canceled before it was paid"),
            Closing::Expire => (Step::Expire, Code::Expired, "not paid in time"),
            Closing::Replace => (Step::Cancel, Code::Replaced, "a newer checkout took its place"),
        };
        self.checkout.error = Some(CodedError::new(code, words));
        self.release();
        Ok(self.step(step)?)
    }

    /// Books what the provider keeps of attempt `n`, once.
    pub(super) fn book_fee(&mut self, n: u32, fee: Fee, entropy: &Entropy) -> Result<(), DecideError> {
        let attempt = self.attempt(n)?;
        if attempt.fee.is_some() {
            return Ok(());
        }
        attempt.fee = Some(fee);
        let (provider, id) = (ledger::provider_account(&attempt.provider), attempt.id.to_string());
        if !fee.amount.is_zero() {
            self.post_in(fee.currency, LedgerKind::Fee, ledger::fee_entries(&provider, fee.amount, &id), entropy);
        }
        Ok(())
    }

    /// Adds a ledger transaction in the order's currency.
    pub fn post(&mut self, kind: LedgerKind, entries: Vec<Entry>, entropy: &Entropy) {
        self.post_in(self.checkout.order.currency, kind, entries, entropy);
    }

    fn post_in(&mut self, currency: Currency, kind: LedgerKind, entries: Vec<Entry>, entropy: &Entropy) {
        let at = self.checkout.updated_at;
        self.ledger.push(LedgerTransaction {
            id: LedgerId::generate(entropy, at),
            scope: self.checkout.scope.clone(),
            kind,
            checkout: self.checkout.id.clone(),
            currency,
            at,
            entries,
        });
    }

    /// Money that came and that the checkout is not, or not yet, entitled to. A negative amount takes such a booking back.
    pub fn add_unapplied(&mut self, n: u32, amount: Amount, entropy: &Entropy) -> Result<(), DecideError> {
        let attempt = self.attempt(n)?;
        let entries = ledger::late_payment_entries(&ledger::provider_account(&attempt.provider), amount, attempt.id.as_str());
        self.checkout.amount_paid = self.checkout.amount_paid.plus(amount)?;
        self.post(LedgerKind::LatePayment, entries, entropy);
        Ok(())
    }

    /// All that came and was booked as nobody's is the sale's now: such bookings are taken back, each from its own charge.
    pub fn apply_what_came(&mut self, entropy: &Entropy) -> Result<(), DecideError> {
        let mut charges: Vec<(u32, Amount)> = self.checkout.approved_charges().map(|charge| (charge.n, charge.request.amount)).collect();
        // The last one takes what is left, so that an amount other than was asked for is taken back whole.
        let last = charges.pop();
        for (n, asked) in charges {
            let booked = asked.min(self.checkout.amount_paid);
            self.take_back_unapplied(n, booked, entropy)?;
        }
        if let Some((n, _)) = last {
            self.take_back_unapplied(n, self.checkout.amount_paid, entropy)?;
        }
        // What went back of it before an operator sold it went back out of the sale.
        let gone = self.checkout.amount_refunded;
        if !gone.is_zero() {
            self.post(LedgerKind::Refund, ledger::moved_entries(ledger::UNAPPLIED, ledger::REVENUE, gone), entropy);
        }
        Ok(())
    }

    fn take_back_unapplied(&mut self, n: u32, booked: Amount, entropy: &Entropy) -> Result<(), DecideError> {
        if booked.is_zero() { Ok(()) } else { self.add_unapplied(n, booked.negated(), entropy) }
    }

    /// Attempt `n` gave `amount` back: out of the sale, or out of what nobody was entitled to.
    pub fn add_refunded(&mut self, n: u32, amount: Amount, entropy: &Entropy) -> Result<(), DecideError> {
        let account = self.checkout.account_undone(n);
        self.book_refunded(n, amount, account, None, entropy)?;
        if self.checkout.status != Status::Reconciling {
            // A saga that is being undone is told of by its end.
            self.events.push(EventType::RefundSucceeded);
        }
        Ok(())
    }

    /// Books that attempt `n` gave `amount` back, against `account`; a negative amount takes such a booking back. It stands under a refund that
    /// is named, else under the attempt.
    pub(super) fn book_refunded(
        &mut self,
        n: u32,
        amount: Amount,
        account: &str,
        under: Option<&RefundId>,
        entropy: &Entropy,
    ) -> Result<(), DecideError> {
        let attempt = self.attempt(n)?;
        let under = under.map_or(attempt.id.as_str(), RefundId::as_str);
        let entries = ledger::refund_entries(&ledger::provider_account(&attempt.provider), account, amount, under);
        let kind = if amount < Amount::ZERO { LedgerKind::RefundReversal } else { LedgerKind::Refund };
        self.checkout.amount_refunded = self.checkout.amount_refunded.plus(amount)?;
        self.post(kind, entries, entropy);
        Ok(())
    }

    /// An operator has to look at what is left of a checkout that has ended. Its status stays what it is, so nothing but the event
    /// tells its owner.
    pub fn ask_for_review(&mut self) {
        if self.checkout.status.is_terminal() {
            self.events.push(EventType::CheckoutNeedsReview);
        }
    }

    /// Whether this very transition is the end of the checkout. What is left of it (a void, a refund) may move it on behind that.
    pub fn ends(&self) -> bool {
        self.checkout.status.is_terminal() && EventType::of(self.checkout.status).is_some_and(|end| self.events.contains(&end))
    }

    /// Where the checkout stands after it.
    pub fn status(&self) -> Status {
        self.checkout.status
    }

    fn release(&mut self) {
        if self.claims == ClaimChange::Keep {
            self.claims = ClaimChange::Release;
        }
    }
}
