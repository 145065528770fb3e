//! Sessions, products, promo codes and customers.

use super::{
    error::StoreError,
    paging::{Page, PageRequest},
};
use crate::domain::{
    catalogue::Kind,
    customer::Customer,
    id::{CatalogueId, CustomerId},
    scope::Scope,
    time::Timestamp,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

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

/// Occurrences of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrences {
    /// Which class.
    pub class: CatalogueId,
    /// Only those that start then or later.
    pub from: Option<Timestamp>,
    /// Only those that start before.
    pub to: Option<Timestamp>,
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

    /// A page of a class's occurrences, by their start, then by id.
    async fn occurrences(&self, scope: &Scope, of: &Occurrences, page: &PageRequest) -> Result<Page<CatalogueRow>, StoreError>;

    /// What is left of a session. `None` when it is not there.
    async fn availability(&self, scope: &Scope, id: &CatalogueId) -> Result<Option<Availability>, StoreError>;

    /// Creates or replaces a customer. `Err(taken)` when its `external_id` belongs to another.
    async fn put_customer(&self, scope: &Scope, id: &CustomerId, customer: &Customer) -> Result<Result<Customer, CustomerId>, StoreError>;

    /// One customer.
    async fn customer(&self, scope: &Scope, id: &CustomerId) -> Result<Option<Customer>, StoreError>;

    /// Those with one of these ids or `external_ids`, each once, in any order; unknown ones are left out.
    async fn customers_by_name(&self, scope: &Scope, ids: &[CustomerId], external_ids: &[String]) -> Result<Vec<Customer>, StoreError>;

    /// A page of customers, by id; of one family when given.
    async fn customers(&self, scope: &Scope, family: Option<&str>, page: &PageRequest) -> Result<Page<Customer>, StoreError>;
}
