//! A checkout as the store keeps it: the frozen order, and the few things about it that change.

use super::{
    attempt::{Attempt, AttemptKind, AttemptStatus, Fee},
    dispute::Dispute,
    error::CodedError,
    id::CheckoutId,
    ledger,
    money::Amount,
    order::Order,
    refund::Refund,
    scope::Scope,
    state::Status,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// Why a checkout is being closed while a provider could still take money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closing {
    /// The client asked.
    Cancel,
    /// The deadline passed.
    Expire,
    /// A newer checkout takes its place.
    Replace,
}

impl Closing {
    /// As it stands in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Expire => "expire",
            Self::Replace => "replace",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Cancel, Self::Expire, Self::Replace].into_iter().find(|closing| closing.as_str() == text)
    }
}

/// A checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// Public id.
    pub id: CheckoutId,
    /// Whose.
    pub scope: Scope,
    /// Where it stands.
    pub status: Status,
    /// Grows by one with every change: the ETag.
    pub version: i64,
    /// What was bought, frozen.
    pub order: Order,
    /// What was taken, minor units.
    pub amount_paid: Amount,
    /// What was given back, minor units.
    pub amount_refunded: Amount,
    /// Why it failed.
    pub error: Option<CodedError>,
    /// Where the customer has to act.
    pub payment_url: Option<String>,
    /// What it becomes once the provider confirms that it can take no money.
    pub closing: Option<Closing>,
    /// When somebody should look at it next; nothing to do when `None`.
    pub due_at: Option<Timestamp>,
    /// How often the rescuer published it again since it last moved.
    pub rescues: u32,
    /// `queued` and `awaiting_payment` end here.
    pub expires_at: Timestamp,
    /// When it was made durable.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it became terminal.
    pub completed_at: Option<Timestamp>,
    /// Its attempts, by `n`.
    pub attempts: Vec<Attempt>,
    /// The refunds that clients asked for, oldest first. Read under the checkout's lock only: nobody else decides by them.
    pub refunds: Vec<Refund>,
    /// What banks have taken back, or tried to, oldest first.
    pub disputes: Vec<Dispute>,
}

impl Checkout {
    /// One that nobody has begun yet, and that is due.
    pub fn queued(id: CheckoutId, scope: Scope, order: Order, now: Timestamp, expires_at: Timestamp) -> Self {
        Self {
            id,
            scope,
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
            expires_at,
            created_at: now,
            updated_at: now,
            completed_at: None,
            attempts: Vec::new(),
            refunds: Vec::new(),
            disputes: Vec::new(),
        }
    }

    /// The attempt whose outcome is still to come and that is to be worked on next: an undo before a charge, and of several undos
    /// the one that was tried least, so that one without an answer holds up no other.
    pub fn open_attempt(&self) -> Option<&Attempt> {
        let undo = |attempt: &&Attempt| attempt.request.kind != AttemptKind::Charge;
        let open = || self.attempts.iter().filter(|attempt| attempt.status.is_open());
        open().filter(undo).min_by_key(|attempt| attempt.tries).or_else(|| open().next())
    }

    /// The charges, in the order in which they were recorded.
    pub fn charges(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts.iter().filter(|attempt| attempt.request.kind == AttemptKind::Charge)
    }

    /// The newest charge of a leg: that of which a capture, a void or a refund of this leg is.
    pub fn charge_of(&self, leg: usize) -> Option<&Attempt> {
        self.charges().filter(|charge| charge.request.leg == leg).last()
    }

    /// The charges that succeeded.
    pub fn approved_charges(&self) -> impl Iterator<Item = &Attempt> {
        self.charges().filter(|charge| charge.status == AttemptStatus::Approved)
    }

    /// Whether the leg's charge can still be undone by a void: it may come, or it was promised.
    pub fn can_be_voided(&self, leg: usize) -> bool {
        self.charge_of(leg).is_some_and(|charge| charge.status.is_open() || charge.status == AttemptStatus::Authorized)
    }

    /// Whether the provider was asked to void the leg's charge, or is being asked. A void that nobody got an answer to may be asked
    /// for once more: an operator has looked in between.
    pub fn has_asked_to_void(&self, leg: usize) -> bool {
        let mut voids = self.voids_of(leg);
        voids.clone().count() > 1 || voids.any(|void| void.status != AttemptStatus::NeedsReview)
    }

    /// Whether the provider said no to a void of the leg's charge.
    pub fn was_refused_a_void(&self, leg: usize) -> bool {
        self.voids_of(leg).any(|void| void.status == AttemptStatus::Declined)
    }

    /// Whether the provider confirmed a void of the leg's charge.
    pub fn was_voided(&self, leg: usize) -> bool {
        self.voids_of(leg).any(|void| void.status == AttemptStatus::Approved)
    }

    fn voids_of(&self, leg: usize) -> impl Iterator<Item = &Attempt> + Clone {
        // Of an earlier charge of this leg a void is no more than history.
        let newest = self.charge_of(leg).map_or(0, |charge| charge.n);
        self.attempts.iter().filter(move |a| a.request.kind == AttemptKind::Void && a.request.leg == leg && a.n > newest)
    }

    /// Whether attempt `n` undoes what came behind the end: somebody has asked for just that, or nobody has asked for it, and it was opened
    /// when the checkout had ended. Such money is nobody's, also where the end is a sale. What was opened before is about what the sale was
    /// paid with.
    pub fn undoes_late_money(&self, n: u32) -> bool {
        let of_sale = self.refunds.iter().filter(|refund| !refund.late_payment);
        let is_asked_for = of_sale.flat_map(|refund| &refund.parts).any(|part| part.attempt == Some(n));
        let undoes = |attempt: &&Attempt| matches!(attempt.request.kind, AttemptKind::Refund | AttemptKind::Void) && attempt.n == n;
        let undo = self.attempts.iter().find(undoes).filter(|_| !is_asked_for);
        undo.is_some_and(|undo| self.completed_at.is_some_and(|end| undo.created_at >= end))
    }

    /// The attempts to take what a charge has promised.
    pub fn captures_of<'c>(&'c self, charge: &Attempt) -> impl Iterator<Item = &'c Attempt> {
        let (leg, newest) = (charge.request.leg, self.charge_of(charge.request.leg).map(|newest| newest.n));
        let is_of_it = newest == Some(charge.n);
        self.attempts.iter().filter(move |other| is_of_it && other.request.kind == AttemptKind::Capture && other.request.leg == leg)
    }

    /// What the provider keeps of a charge, as it is in the books: with the charge, or with what captured it.
    pub fn fee_of(&self, charge: &Attempt) -> Option<Fee> {
        charge.fee.or_else(|| self.captures_of(charge).find_map(|capture| capture.fee))
    }

    /// Whether what a charge has promised is being taken.
    pub fn is_being_captured(&self, charge: &Attempt) -> bool {
        self.captures_of(charge).any(|capture| capture.status.is_open())
    }

    /// The charge that a refund of this leg's sale is of: one that was approved, and not of money that came behind the end.
    pub fn charge_to_refund(&self, leg: usize) -> Option<&Attempt> {
        let is_late = |charge: &Attempt| {
            // Of this leg: the parts of a refund that is being opened are not known as asked for yet, and another provider may use the same
            // reference.
            // Nor is a void of it meant, which was refused or found nothing to take back: late money goes back by a refund.
            let of_it = |undo: &&Attempt| {
                let is_refund = undo.request.kind == AttemptKind::Refund && undo.request.leg == leg;
                is_refund && undo.request.target.is_some() && undo.request.target == charge.provider_reference
            };
            self.attempts.iter().filter(of_it).any(|undo| self.undoes_late_money(undo.n))
        };
        self.approved_charges().find(|charge| charge.request.leg == leg && !is_late(charge))
    }

    /// The account that unasked attempt `n` gives money back out of: the sale's, or that of money that nobody is entitled to.
    pub fn account_undone(&self, n: u32) -> &'static str {
        if self.status == Status::Succeeded && !self.undoes_late_money(n) { ledger::REVENUE } else { ledger::UNAPPLIED }
    }

    /// Whether several are asked for the money: then each is authorised before any is captured.
    pub fn is_split(&self) -> bool {
        self.order.outside_legs().count() > 1
    }

    /// The number of the next attempt.
    pub fn next_n(&self) -> u32 {
        self.attempts.iter().map(|attempt| attempt.n).max().unwrap_or(0).saturating_add(1)
    }
}
