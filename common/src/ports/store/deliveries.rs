//! Webhook endpoints, secrets and deliveries.

use super::{
    error::StoreError,
    paging::{Page, PageRequest},
};
use crate::domain::{
    delivery::{DeliveryRecord, DeliveryResult, DeliveryStatus, DeliveryTaken},
    event::EventFormat,
    id::{CheckoutId, DeliveryId, EndpointId, SpaceId},
    scope::Scope,
    secret::Secret,
    time::Timestamp,
};
use async_trait::async_trait;
use std::time::Duration;

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
    /// How it is written and signed.
    pub format: EventFormat,
    /// Only of checkouts in this space.
    pub space: Option<SpaceId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// An address to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutEndpoint {
    /// The client's own id.
    pub id: EndpointId,
    /// Where events go.
    pub url: String,
    /// Which; `*` for all.
    pub events: Vec<String>,
    /// Whether anything is sent.
    pub enabled: bool,
    /// How it is written and signed.
    pub format: EventFormat,
    /// Only of checkouts in this space.
    pub space: Option<SpaceId>,
}

impl PutEndpoint {
    /// One that hears of these events of every space, as we write them.
    pub fn standard(id: &EndpointId, url: &str, events: &[&str]) -> Self {
        let events = events.iter().map(|&event| event.to_owned()).collect();
        Self { id: id.clone(), url: url.to_owned(), events, enabled: true, format: EventFormat::Standard, space: None }
    }
}

/// Webhook endpoints, secrets and deliveries.
#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// Creates (with `secret`) or replaces (keeping its own). `true` when it is new.
    async fn put_endpoint(&self, scope: &Scope, endpoint: &PutEndpoint, secret: &Secret<String>) -> Result<(Endpoint, bool), StoreError>;

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
