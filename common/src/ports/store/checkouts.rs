//! Checkouts and everything that moves with them: what is asked of the store, and what it answers.

use super::{
    error::StoreError,
    paging::{Page, PageRequest},
};
use crate::{
    domain::{
        begin::{Action, Begin},
        checkout::Checkout,
        claim::{StockKey, StockLevel},
        customer::Customer,
        ends::Verdict,
        hosted::Pay,
        id::{CatalogueId, CheckoutId, CustomerId, DeliveryId, RefundId, SpaceId},
        order::Order,
        refund::{Refund, RefundAsk, Refusal},
        scope::Scope,
        settle::Settlement,
        state::Status,
        time::Timestamp,
        timeline::TimelineEntry,
        view::QueueEstimate,
    },
    ports::{queue::Lane, seats::Told},
};
use async_trait::async_trait;
use std::time::Duration;

/// A checkout to be made durable.
#[derive(Debug, Clone)]
pub struct NewCheckout {
    /// Its id, made by the caller: a repeated accept after a lost answer is told by it.
    pub id: CheckoutId,
    /// Whose.
    pub scope: Scope,
    /// What is bought; priced.
    pub order: Order,
    /// The customer to find by `external_id`, or make, in the same transaction; its id goes into the order.
    pub customer: Option<Customer>,
    /// How long it may wait before it is begun or paid, from the store's now.
    pub expires_in: Duration,
    /// The client's key.
    pub idempotency: IdempotencyRow,
    /// What the answer says about the queue.
    pub queue: QueueEstimate,
}

/// What an idempotency key is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyRow {
    /// Method and path with its parameters.
    pub route: String,
    /// The client's key, unquoted.
    pub key: String,
    /// SHA-256 of the canonical body, hex.
    pub body_hash: String,
}

/// A first answer, kept to be given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// HTTP status.
    pub status: u16,
    /// The object that was made.
    pub object: String,
    /// The body, byte for byte.
    pub body: String,
}

/// The answer to an accept or a look-up of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// Durable now. The body to answer, and the same at every replay.
    Created {
        /// The answer.
        answer: StoredAnswer,
        /// The store's time, for `enqueued_at`.
        at: Timestamp,
    },
    /// The same key and body came before.
    Replayed(StoredAnswer),
    /// The same key came before with another body: 422.
    KeyReused,
    /// The order's customer id is not in the store. Nothing was written.
    CustomerMissing,
    /// More are open under its reference than one takes the place of: 409. Nothing was written.
    TooManyOpen,
}

/// The answer to an accept that takes the place of what is open under its reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacing {
    /// The answer.
    pub accepted: Accepted,
    /// What was called off; not known any more when the answer to the COMMIT was lost. The rows say the same.
    pub moved: Vec<Moved>,
}

/// What `begin` came to.
#[derive(Debug, Clone)]
pub struct BeginAnswer {
    /// What to do.
    pub next: Next,
    /// What was changed in the stock, for the seat table.
    pub stock: Vec<StockLevel>,
}

/// What a worker does after `begin`.
#[derive(Debug, Clone)]
pub enum Next {
    /// Nothing: ended before, or gone.
    Done,
    /// Not before then; somebody else has it.
    Busy(Timestamp),
    /// It moved on without an outside call.
    Moved(Moved),
    /// Act on attempt `n` of this checkout under the lease.
    Act {
        /// The checkout as it is now, attempts included.
        checkout: Box<Checkout>,
        /// Which attempt.
        n: u32,
        /// Send or look up.
        action: Action,
    },
}

/// What a transition changed, as others need to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Which.
    pub checkout: CheckoutId,
    /// Whose.
    pub scope: Scope,
    /// Where it stands now.
    pub status: Status,
    /// Its version now.
    pub version: i64,
    /// Whether it has ended by this very move; what is left of a checkout that has ended (a void, a refund) moves it, too.
    pub ended: bool,
    /// When it is due next: so long from now. `None`: nothing to do.
    pub due_in: Option<Duration>,
    /// Deliveries that were opened, to be published.
    pub deliveries: Vec<DeliveryId>,
    /// What was given back or taken, for the seat table.
    pub stock: Vec<StockLevel>,
}

/// What `settle` came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Written.
    Moved(Moved),
    /// Its outcome was known already, or a later taker has it.
    Already(Status),
}

/// What a payment that a customer submits came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paid {
    /// An attempt is recorded and due.
    Submitted(Moved),
    /// It cannot be paid now, or this form was submitted before. Nothing was written; the checkout tells how it stands.
    Unchanged,
}

/// What a cancel came to.
#[derive(Debug, Clone)]
pub enum CancelResult {
    /// Canceled now (`Some`) or before: 200.
    Canceled(Box<Checkout>, Option<Moved>),
    /// The provider has to confirm: 202.
    Closing(Box<Checkout>, Option<Moved>),
    /// It has ended otherwise: 409.
    NotCancelable(Box<Checkout>),
    /// Not in this scope: 404.
    Missing,
}

/// What an operator's decision came to.
#[derive(Debug, Clone)]
pub enum ResolveResult {
    /// Ended now.
    Resolved(Moved),
    /// The same words have ended it before: the answer to them was lost.
    Already,
    /// It does not need review, or not any more: 409.
    NotInReview,
    /// Of a refund only: more than one part could be meant: 409.
    WhichPart,
    /// Not in this scope: 404.
    Missing,
}

/// A refund that a client asks for.
#[derive(Debug, Clone)]
pub struct NewRefund {
    /// Its id, made by the caller: a repeated call after a lost answer is told by it.
    pub id: RefundId,
    /// Whose.
    pub scope: Scope,
    /// Of which checkout.
    pub checkout: CheckoutId,
    /// What.
    pub ask: RefundAsk,
    /// The client's key.
    pub idempotency: IdempotencyRow,
}

/// What asking for a refund came to.
#[derive(Debug, Clone)]
pub enum RefundResult {
    /// Durable now.
    Created {
        /// The answer, and the same at every replay.
        answer: StoredAnswer,
        /// What is to follow; not known any more when the answer to the COMMIT was lost. The rows say the same.
        moved: Option<Moved>,
    },
    /// The same key and body came before.
    Replayed(StoredAnswer),
    /// The same key came before with another body: 422.
    KeyReused,
    /// Nothing goes back: 409 or 422. Nothing was written.
    Refused(Refusal),
    /// No such checkout in this scope: 404.
    Missing,
}

/// What a list of checkouts is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct CheckoutFilter {
    /// Only in one of these states, when any are named.
    pub statuses: Vec<Status>,
    /// Only of this space.
    pub space: Option<SpaceId>,
    /// Only with a line of this session.
    pub session: Option<CatalogueId>,
    /// Only of this customer.
    pub customer: Option<CustomerId>,
    /// Only with this reference.
    pub reference: Option<String>,
    /// Only made after.
    pub created_after: Option<Timestamp>,
}

/// A row whose time has come and that no worker seems to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    /// The checkout or delivery.
    pub id: String,
    /// Whose.
    pub scope: Scope,
    /// Whether it has ended (then its open attempts ride the money lane).
    pub status: Option<Status>,
}

/// Checkouts and everything that moves with them.
#[async_trait]
pub trait CheckoutStore: Send + Sync {
    /// The store's time, the only one that decides between processes.
    async fn now(&self) -> Result<Timestamp, StoreError>;

    /// Makes a checkout durable. Concurrent calls share a transaction; each gets its own answer.
    async fn accept(&self, new: NewCheckout) -> Result<Accepted, StoreError>;

    /// The same for one that [takes the place](crate::domain::replace) of what is open under its reference: they are called off in the same
    /// transaction. Of two that come at once one finds the other.
    async fn accept_and_replace(&self, new: NewCheckout) -> Result<Replacing, StoreError>;

    /// Looks a key up before anything that can change with time.
    async fn answered(&self, scope: &Scope, row: &IdempotencyRow) -> Result<Option<Accepted>, StoreError>;

    /// Claims everything scarce and records the attempt, before anything is sent; or takes over what was left.
    async fn begin(&self, begin: Begin) -> Result<BeginAnswer, StoreError>;

    /// Records an outcome and all that follows from it.
    async fn settle(&self, settlement: Settlement) -> Result<Settled, StoreError>;

    /// Records the payment that a customer submits on our page, if it is the customer's turn and there is time.
    async fn pay(&self, pay: Pay) -> Result<Paid, StoreError>;

    /// Makes a checkout due whose customer is back from the bank. `None`: there is nothing to look for, or it was looked a moment ago.
    async fn look_now(&self, id: &CheckoutId) -> Result<Option<Moved>, StoreError>;

    /// Has the question that a provider asks the customer taken back, because the customer wants to pay in another way. `n`: the attempt
    /// that the form was made for. `None`: nobody asks, or this form was submitted before.
    async fn take_back(&self, id: &CheckoutId, n: u32) -> Result<Option<Moved>, StoreError>;

    /// Cancels, or asks the provider to.
    async fn cancel(&self, scope: &Scope, id: &CheckoutId) -> Result<CancelResult, StoreError>;

    /// An operator's decision. May be repeated.
    async fn resolve(&self, scope: &Scope, id: &CheckoutId, verdict: Verdict, note: &str) -> Result<ResolveResult, StoreError>;

    /// Opens a refund under the checkout's lock, or does it where no provider is asked.
    async fn refund(&self, new: &NewRefund) -> Result<RefundResult, StoreError>;

    /// An operator's decision about a refund, or the `part` at that place in it, that needs review, or that a provider gave back and then
    /// did not. May be repeated.
    async fn resolve_refund(
        &self,
        scope: &Scope,
        id: &RefundId,
        part: Option<usize>,
        verdict: Verdict,
        note: &str,
    ) -> Result<ResolveResult, StoreError>;

    /// One refund of this scope.
    async fn refund_by_id(&self, scope: &Scope, id: &RefundId) -> Result<Option<Refund>, StoreError>;

    /// The refunds of a checkout of this scope, oldest first.
    async fn refunds(&self, scope: &Scope, id: &CheckoutId) -> Result<Vec<Refund>, StoreError>;

    /// Ends queued checkouts whose deadline has passed, at most `limit`.
    async fn expire(&self, limit: u32) -> Result<Vec<Moved>, StoreError>;

    /// Takes overdue rows of a lane, oldest first, and pushes their `due_at` on at doubling intervals from `first` on.
    /// Only rows due before `now - grace`, and before `head` when it is given: what is younger waits its turn in the queue.
    async fn rescue(&self, lane: Lane, grace: Duration, head: Option<Timestamp>, limit: u32) -> Result<Vec<Overdue>, StoreError>;

    /// One checkout. Concurrent calls share a query.
    async fn checkout(&self, id: &CheckoutId) -> Result<Option<Checkout>, StoreError>;

    /// A page of checkouts, newest first.
    async fn checkouts(&self, scope: &Scope, filter: &CheckoutFilter, page: &PageRequest) -> Result<Page<Checkout>, StoreError>;

    /// What happened to a checkout behind its version `after`, oldest first: about 1,000 entries. `next_cursor` is the version to go on from.
    async fn timeline_page(&self, id: &CheckoutId, after: Option<i64>) -> Result<Page<TimelineEntry>, StoreError>;

    /// The first page of it.
    async fn timeline(&self, id: &CheckoutId) -> Result<Vec<TimelineEntry>, StoreError> {
        Ok(self.timeline_page(id, None).await?.data)
    }

    /// What is left of these things, and which named seats are gone; for the seat table. Unknown ones are left out.
    async fn stock(&self, keys: &[StockKey]) -> Result<Vec<Told>, StoreError>;
}
