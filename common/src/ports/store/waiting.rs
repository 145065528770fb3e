//! Waiting lists: joining, leaving, and what the clock ends.

use super::{
    checkouts::{IdempotencyRow, StoredAnswer},
    error::StoreError,
    paging::{Page, PageRequest},
};
use crate::domain::{
    claim::StockLevel,
    error::CodedError,
    id::{CatalogueId, CustomerId, DeliveryId, WaitingId},
    scope::Scope,
    waiting::{WaitingEntry, WaitingStatus},
};
use async_trait::async_trait;
use std::time::Duration;

/// A wish to wait for places.
#[derive(Debug, Clone)]
pub struct NewWaiting {
    /// Its id, made by the caller: a repeated call after a lost answer is told by it.
    pub id: WaitingId,
    /// Whose.
    pub scope: Scope,
    /// For which session.
    pub session: CatalogueId,
    /// Who waits.
    pub customer: CustomerId,
    /// For how many places.
    pub quantity: u32,
    /// Where its callbacks go.
    pub callback_url: Option<String>,
    /// How long an offer is to last.
    pub offer_for: Duration,
    /// The client's key, if it gave one.
    pub idempotency: Option<IdempotencyRow>,
}

/// What joining came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinResult {
    /// Durable now.
    Created(StoredAnswer),
    /// The same key and body came before.
    Replayed(StoredAnswer),
    /// The same key came before with another body: 422.
    KeyReused,
    /// No such session in this scope: 404.
    Missing,
    /// No such customer in this scope: 422.
    CustomerMissing,
    /// The rules keep him from buying, so there is nothing to wait for: 422.
    Refused(CodedError),
    /// There is place for him: 409.
    NotFull,
    /// He waits already, or is offered places: 409.
    AlreadyThere(WaitingId),
    /// As many wait as may: 409.
    ListFull,
}

/// What leaving came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaveResult {
    /// Off the list, now or before.
    Left {
        /// The entry.
        entry: Box<WaitingEntry>,
        /// What follows where it held something.
        moved: Option<ListMoved>,
    },
    /// A checkout has what was offered: 409.
    InUse,
    /// It has ended otherwise: 409.
    Ended(WaitingStatus),
    /// Not in this scope: 404.
    Missing,
}

/// What a change of waiting lists is followed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListMoved {
    /// Deliveries that were opened, and whose: to be published.
    pub deliveries: Vec<(Scope, DeliveryId)>,
    /// What was given back or taken, for the seat table.
    pub stock: Vec<StockLevel>,
}

/// Waiting lists.
#[async_trait]
pub trait WaitingStore: Send + Sync {
    /// Joins, under the session's lock, where it is full.
    async fn join(&self, new: &NewWaiting) -> Result<JoinResult, StoreError>;

    /// Leaves. An offer that is open goes to the next, in the same transaction.
    async fn leave(&self, scope: &Scope, id: &WaitingId) -> Result<LeaveResult, StoreError>;

    /// One entry of this scope.
    async fn waiting_entry(&self, scope: &Scope, id: &WaitingId) -> Result<Option<WaitingEntry>, StoreError>;

    /// The offers of these sessions that are open to a customer: one of a session at the most.
    async fn open_offers(&self, scope: &Scope, customer: &CustomerId, sessions: &[CatalogueId]) -> Result<Vec<WaitingEntry>, StoreError>;

    /// A page of a session's entries, in their order.
    async fn waiting_list(
        &self,
        scope: &Scope,
        session: &CatalogueId,
        status: Option<WaitingStatus>,
        page: &PageRequest,
    ) -> Result<Page<WaitingEntry>, StoreError>;

    /// Ends offers whose time is over and waits that can come to nothing, at most `limit`, and offers what comes free to the next.
    /// Answers how many it looked at.
    async fn lapse(&self, limit: u32) -> Result<(u32, ListMoved), StoreError>;
}
