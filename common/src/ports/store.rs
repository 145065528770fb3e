//! The truth. It speaks in transitions; each method is one transaction, and a lost race is a value, not an error.

use crate::domain::{
    begin::{Action, Begin},
    catalogue::Kind,
    checkout::Checkout,
    claim::{StockKey, StockLevel},
    customer::Customer,
    delivery::{DeliveryRecord, DeliveryResult, DeliveryStatus, DeliveryTaken},
    id::{CatalogueId, CheckoutId, CustomerId, DeliveryId, EndpointId, KeyId},
    order::Order,
    scope::{Mode, Scope},
    secret::Secret,
    settle::{Settlement, Verdict},
    state::Status,
    time::Timestamp,
    timeline::TimelineEntry,
    view::QueueEstimate,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What can go wrong with the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Not reachable, or too slow. Nothing is known to be written; asking again is safe.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The rules refused to make or write this transition: our bug. Logged, never retried blindly.
    #[error("the store refused an inconsistent change: {0}")]
    Inconsistent(String),
    /// A row cannot be read: written by a newer version, or damaged.
    #[error("a stored row cannot be read: {0}")]
    Corrupt(String),
}

// ---- checkouts -------------------------------------------------------------------------------------------------------

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
    /// Not in this scope: 404.
    Missing,
}

/// What a list of checkouts is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct CheckoutFilter {
    /// Only in this state.
    pub status: Option<Status>,
    /// Only with a line of this session.
    pub session: Option<CatalogueId>,
    /// Only of this customer.
    pub customer: Option<CustomerId>,
    /// Only with this reference.
    pub reference: Option<String>,
    /// Only made after.
    pub created_after: Option<Timestamp>,
}

/// A page of a list, newest first; `after` is the last id of the page before.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// 1 to 100.
    pub limit: u32,
    /// The cursor.
    pub after: Option<String>,
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// At most `limit` of them.
    pub data: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next_cursor: Option<String>,
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

    /// Looks a key up before anything that can change with time.
    async fn answered(&self, scope: &Scope, row: &IdempotencyRow) -> Result<Option<Accepted>, StoreError>;

    /// Claims everything scarce and records the attempt, before anything is sent; or takes over what was left.
    async fn begin(&self, begin: Begin) -> Result<BeginAnswer, StoreError>;

    /// Records an outcome and all that follows from it.
    async fn settle(&self, settlement: Settlement) -> Result<Settled, StoreError>;

    /// Cancels, or asks the provider to.
    async fn cancel(&self, scope: &Scope, id: &CheckoutId) -> Result<CancelResult, StoreError>;

    /// An operator's decision. May be repeated.
    async fn resolve(&self, scope: &Scope, id: &CheckoutId, verdict: Verdict, note: &str) -> Result<ResolveResult, StoreError>;

    /// Ends queued checkouts whose deadline has passed, at most `limit`.
    async fn expire(&self, limit: u32) -> Result<Vec<Moved>, StoreError>;

    /// Takes overdue rows of a lane, oldest first, and pushes their `due_at` on at doubling intervals from `first` on.
    /// Only rows due before `now - grace`, and before `head` when it is given: what is younger waits its turn in the queue.
    async fn rescue(
        &self,
        lane: super::queue::Lane,
        grace: Duration,
        head: Option<Timestamp>,
        limit: u32,
    ) -> Result<Vec<Overdue>, StoreError>;

    /// One checkout. Concurrent calls share a query.
    async fn checkout(&self, id: &CheckoutId) -> Result<Option<Checkout>, StoreError>;

    /// A page of checkouts, newest first.
    async fn checkouts(&self, scope: &Scope, filter: &CheckoutFilter, page: &PageRequest) -> Result<Page<Checkout>, StoreError>;

    /// What happened to a checkout, oldest first (at most 1,000).
    async fn timeline(&self, id: &CheckoutId) -> Result<Vec<TimelineEntry>, StoreError>;

    /// What is left of these things, and which named seats are gone; for the seat table. Unknown ones are left out.
    async fn stock(&self, keys: &[StockKey]) -> Result<Vec<super::seats::Told>, StoreError>;
}

// ---- catalogue -------------------------------------------------------------------------------------------------------

/// A catalogue object as it is kept: an id, a document, a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueRow {
    /// Which kind.
    pub kind: Kind,
    /// The client's own id.
    pub id: CatalogueId,
    /// The document, JSON, as the domain type of its kind writes it (without `id`).
    pub doc: String,
    /// Grows with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What a put came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// New.
    Created(CatalogueRow),
    /// Replaced.
    Replaced(CatalogueRow),
    /// Capacity below what is sold and held, or a claimed seat left out: 409.
    CapacityTooSmall {
        /// What is taken now.
        taken: u32,
    },
}

/// What is left of a session, as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Availability {
    /// In all.
    pub capacity: u32,
    /// For good.
    pub sold: u32,
    /// For checkouts under way.
    pub held: u32,
    /// Free.
    pub available: u32,
    /// Grows with every change.
    pub version: i64,
    /// Live claims on named seats: `held` or `sold`.
    pub taken_seats: Vec<(String, String)>,
}

/// Sessions, products, promo codes and customers.
#[async_trait]
pub trait CatalogueStore: Send + Sync {
    /// Creates or replaces. `capacity` is what can be claimed of it: places, stock, uses; `None` for no limit.
    async fn put(
        &self,
        scope: &Scope,
        kind: Kind,
        id: &CatalogueId,
        doc: &str,
        capacity: Option<u32>,
        seats: Option<&[String]>,
    ) -> Result<Put, StoreError>;

    /// One.
    async fn get(&self, scope: &Scope, kind: Kind, id: &CatalogueId) -> Result<Option<CatalogueRow>, StoreError>;

    /// Many by id, in any order; unknown ones are left out. Concurrent calls may share a query.
    async fn get_many(&self, scope: &Scope, ids: &[(Kind, CatalogueId)]) -> Result<Vec<CatalogueRow>, StoreError>;

    /// A page, by id.
    async fn list(&self, scope: &Scope, kind: Kind, page: &PageRequest) -> Result<Page<CatalogueRow>, StoreError>;

    /// What is left of a session. `None` when it is not there.
    async fn availability(&self, scope: &Scope, id: &CatalogueId) -> Result<Option<Availability>, StoreError>;

    /// Creates or replaces a customer. `Err(taken)` when its `external_id` belongs to another.
    async fn put_customer(&self, scope: &Scope, id: &CustomerId, customer: &Customer) -> Result<Result<Customer, CustomerId>, StoreError>;

    /// One customer.
    async fn customer(&self, scope: &Scope, id: &CustomerId) -> Result<Option<Customer>, StoreError>;

    /// A page of customers, by id.
    async fn customers(&self, scope: &Scope, page: &PageRequest) -> Result<Page<Customer>, StoreError>;
}

// ---- keys, endpoints, deliveries -------------------------------------------------------------------------------------

/// An API key as it is kept: hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Public id.
    pub id: KeyId,
    /// Whose.
    pub scope: Scope,
    /// `checkouts:write`, `checkouts:read`, `catalog:write`, `admin`.
    pub scopes: Vec<String>,
    /// The first characters, to tell keys apart.
    pub hint: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// API keys.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// Keeps a key by its SHA-256 (hex). The same hash again changes nothing.
    async fn add_key(&self, key: &ApiKey, hash: &str) -> Result<(), StoreError>;

    /// The live key with this hash.
    async fn key_by_hash(&self, hash: &str) -> Result<Option<ApiKey>, StoreError>;

    /// All keys, of one tenant when given (at most 1,000).
    async fn keys(&self, tenant: Option<&str>) -> Result<Vec<ApiKey>, StoreError>;

    /// Revokes. `false` when there is no such live key.
    async fn revoke_key(&self, id: &KeyId) -> Result<bool, StoreError>;
}

/// A registered address for events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The client's own id.
    pub id: EndpointId,
    /// Where events go.
    pub url: String,
    /// Which; `*` for all.
    pub events: Vec<String>,
    /// Whether anything is sent.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Webhook endpoints, secrets and deliveries.
#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// Creates (with `secret`) or replaces (keeping its own). `true` when it is new.
    async fn put_endpoint(
        &self,
        scope: &Scope,
        id: &EndpointId,
        url: &str,
        events: &[String],
        enabled: bool,
        secret: &Secret<String>,
    ) -> Result<(Endpoint, bool), StoreError>;

    /// One endpoint.
    async fn endpoint(&self, scope: &Scope, id: &EndpointId) -> Result<Option<Endpoint>, StoreError>;

    /// A page of endpoints, by id.
    async fn endpoints(&self, scope: &Scope, page: &PageRequest) -> Result<Page<Endpoint>, StoreError>;

    /// Removes one. Deliveries under way go on. `false` when there is none.
    async fn delete_endpoint(&self, scope: &Scope, id: &EndpointId) -> Result<bool, StoreError>;

    /// Puts a new secret first; the one before lives on for `overlap`. `false` when there is no such endpoint. With no
    /// id, the scope's default secret.
    async fn rotate_secret(
        &self,
        scope: &Scope,
        id: Option<&EndpointId>,
        new: &Secret<String>,
        overlap: Duration,
    ) -> Result<bool, StoreError>;

    /// The scope's default secret, `candidate` when there was none.
    async fn default_secret(&self, scope: &Scope, candidate: &Secret<String>) -> Result<Secret<String>, StoreError>;

    /// Leases a delivery.
    async fn take_delivery(&self, id: &DeliveryId, lease_token: &str, lease_for: Duration) -> Result<DeliveryTaken, StoreError>;

    /// Records a try. `false` when a later taker has it.
    async fn record_delivery(&self, result: DeliveryResult) -> Result<bool, StoreError>;

    /// One delivery.
    async fn delivery(&self, scope: &Scope, id: &DeliveryId) -> Result<Option<DeliveryRecord>, StoreError>;

    /// A page of deliveries, newest first.
    async fn deliveries(
        &self,
        scope: &Scope,
        checkout: Option<&CheckoutId>,
        status: Option<DeliveryStatus>,
        page: &PageRequest,
    ) -> Result<Page<DeliveryRecord>, StoreError>;

    /// Makes a delivery due at once, from the first try again. `false` when there is none.
    async fn replay_delivery(&self, scope: &Scope, id: &DeliveryId) -> Result<bool, StoreError>;
}

// ---- the whole -------------------------------------------------------------------------------------------------------

/// A broken invariant, in words for an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Breach {
    /// Which rule: `oversold`, `stock_drift`, `seat_twice`, `ledger_unbalanced`, `approved_without_sale`, `hold_without_checkout`, `stuck`.
    pub rule: String,
    /// About what.
    pub subject: String,
    /// What was found.
    pub finding: String,
}

/// Checks and upkeep of the whole store.
#[async_trait]
pub trait UpkeepStore: Send + Sync {
    /// Applies migrations. Safe to run by many at once.
    async fn migrate(&self) -> Result<(), StoreError>;

    /// Whether the store answers, and its schema is the one that we know.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Recomputes every invariant; at most 1,000 breaches. `stuck_after`: how far behind its `due_at` a row may be.
    async fn audit(&self, stuck_after: Duration) -> Result<Vec<Breach>, StoreError>;

    /// Mends what can be mended from the claims and attempts (counters that drifted, rows that lost their `due_at`);
    /// says what it did.
    async fn repair(&self) -> Result<Vec<String>, StoreError>;

    /// Deletes idempotency rows older than `keep`, at most `limit`; says how many.
    async fn forget_answers(&self, keep: Duration, limit: u32) -> Result<u64, StoreError>;

    /// Checkouts by status in a scope or all, for metrics and doctor.
    async fn counts(&self, mode: Option<Mode>) -> Result<Vec<(Status, u64)>, StoreError>;
}

/// The truth as a whole.
pub trait Store: CheckoutStore + CatalogueStore + KeyStore + DeliveryStore + UpkeepStore {}

impl<T: CheckoutStore + CatalogueStore + KeyStore + DeliveryStore + UpkeepStore> Store for T {}
