//! Memberships that customers have.

use super::{
    error::StoreError,
    paging::{Page, PageRequest},
};
use crate::domain::{
    bought_membership::{Credited, FreezeRefusal, Spendable},
    id::{BoughtMembershipId, CatalogueId, CustomerId},
    membership::MembershipType,
    scope::Scope,
    time::Timestamp,
};
use async_trait::async_trait;

/// A membership that a shop gives a customer: one that it brings with it, or a change to one that is there.
#[derive(Debug, Clone)]
pub struct PutBought {
    /// Whose.
    pub scope: Scope,
    /// Which.
    pub id: BoughtMembershipId,
    /// The customer's.
    pub customer: CustomerId,
    /// Which of the catalogue's.
    pub membership: CatalogueId,
    /// A pack or a subscription, as the catalogue says.
    pub kind: MembershipType,
    /// In all, the used ones among them; `None`: as many as are asked for.
    pub credits: Option<u32>,
    /// Not good before; the store's now when not said.
    pub valid_from: Option<Timestamp>,
    /// Not good from then on.
    pub valid_until: Option<Timestamp>,
    /// The client's own.
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

/// What a put came to.
#[derive(Debug, Clone)]
pub enum BoughtPut {
    /// New.
    Created(Box<Credited>),
    /// Replaced.
    Replaced(Box<Credited>),
    /// No such customer: 404.
    CustomerMissing,
    /// The id is another customer's: 409.
    IdTaken,
    /// Nothing is there, and the id looks like one that we make: 409.
    IdReserved,
    /// More credits than that are used or held: 409.
    TooFewCredits {
        /// How many.
        taken: u32,
    },
}

/// A change to whether a membership is frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freezing {
    /// Until then, or until it is thawed.
    Freeze(Option<Timestamp>),
    /// Not any more.
    Thaw,
}

/// What freezing came to.
#[derive(Debug, Clone)]
pub enum Froze {
    /// As it stands now.
    Done(Box<Credited>),
    /// The rules refuse it.
    Refused(FreezeRefusal),
    /// This customer has no such membership: 404.
    Missing,
}

/// Memberships that customers have. Those that are sold here come into being with their sale, in `begin` or `settle`.
#[async_trait]
pub trait MembershipStore: Send + Sync {
    /// Creates or replaces. What sold it, and whether it is frozen or was given back, stays as it is.
    async fn put_bought(&self, put: &PutBought) -> Result<BoughtPut, StoreError>;

    /// One of a customer's.
    async fn bought(&self, scope: &Scope, customer: &CustomerId, id: &BoughtMembershipId) -> Result<Option<Credited>, StoreError>;

    /// One by id, whoever's, with what it can still pay: cheap, for those who are about to pay with it.
    async fn spendable(&self, scope: &Scope, id: &BoughtMembershipId) -> Result<Option<Spendable>, StoreError>;

    /// A page of a customer's, by id.
    async fn bought_of(&self, scope: &Scope, customer: &CustomerId, page: &PageRequest) -> Result<Page<Credited>, StoreError>;

    /// Freezes one of a customer's, or thaws it, by the store's time.
    async fn freeze(&self, scope: &Scope, customer: &CustomerId, id: &BoughtMembershipId, freezing: Freezing) -> Result<Froze, StoreError>;
}
