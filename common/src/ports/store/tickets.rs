//! Tickets: what became of them, and what they are signed with.

use super::error::StoreError;
use crate::domain::{
    id::{CheckoutId, TicketId},
    scope::Scope,
    secret::Secret,
    ticket::{Place, Ticket, TicketAct, TicketRefusal},
};
use async_trait::async_trait;

/// What is to happen to a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketChange {
    /// Whose.
    pub scope: Scope,
    /// Which.
    pub ticket: TicketId,
    /// What.
    pub act: TicketAct,
    /// The caller's own, never used before: a call that is run again after a lost answer is told by it.
    pub token: String,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TicketAnswer {
    /// Durable now.
    Changed(Box<Ticket>),
    /// Nothing was written.
    Refused(TicketRefusal),
    /// No such ticket here.
    Missing,
}

/// Tickets.
#[async_trait]
pub trait TicketStore: Send + Sync {
    /// At most `limit` tickets of a checkout behind `after`, in the order of its lines. `None`: no such checkout here.
    async fn tickets(
        &self,
        scope: &Scope,
        checkout: &CheckoutId,
        after: Option<Place>,
        limit: u32,
    ) -> Result<Option<Vec<Ticket>>, StoreError>;

    /// One.
    async fn ticket(&self, scope: &Scope, id: &TicketId) -> Result<Option<Ticket>, StoreError>;

    /// Decides under the checkout's lock: of many that want to admit with one ticket, one does.
    async fn change_ticket(&self, change: &TicketChange) -> Result<TicketAnswer, StoreError>;

    /// The seeds of the keys that sign this scope's tickets, the newest first; `candidate` is kept when there was none. Of two that come
    /// at once both get the same.
    async fn ticket_keys(&self, scope: &Scope, candidate: &Secret<String>) -> Result<Vec<Secret<String>>, StoreError>;
}
