//! Subscriptions: what sold plans have become.

use super::{
    checkouts::Moved,
    error::StoreError,
    paging::{Page, PageRequest},
};
use crate::domain::{
    id::{CheckoutId, CustomerId, DeliveryId, SubscriptionId},
    scope::Scope,
    subscription::{Subscription, SubscriptionStatus},
    subscription_change::{Change, ChangeRefusal},
};
use async_trait::async_trait;

/// What was done about subscriptions that were due. All of it is in the store: what is lost of this is found there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Renewed {
    /// Renewals to be worked on.
    pub checkouts: Vec<(Scope, CheckoutId)>,
    /// Deliveries that were opened, to be published.
    pub deliveries: Vec<(Scope, DeliveryId)>,
}

/// What a list of subscriptions is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct SubscriptionFilter {
    /// Only of this customer.
    pub customer: Option<CustomerId>,
    /// Only in this state.
    pub status: Option<SubscriptionStatus>,
}

/// What a change came to.
#[derive(Debug, Clone)]
pub enum SubscriptionChanged {
    /// It is so now, or was before. An end that has to wait for the renewal that is under way is asked for.
    Done {
        /// As it is now.
        subscription: Box<Subscription>,
        /// What became of the renewal.
        moved: Option<Moved>,
        /// Deliveries that were opened besides.
        deliveries: Vec<DeliveryId>,
    },
    /// It does not allow that: 409. Nothing was written.
    Refused(ChangeRefusal, Box<Subscription>),
    /// Its customer has no such method: 422.
    MethodMissing,
    /// Not in this scope: 404.
    Missing,
}

/// Subscriptions.
#[async_trait]
pub trait SubscriptionStore: Send + Sync {
    /// Does what is due of at most `limit` of them: makes renewals durable as checkouts, each with its subscription's own change, and ends
    /// what was to end.
    async fn renew(&self, limit: u32) -> Result<Renewed, StoreError>;

    /// Changes one; what is so already stays so.
    async fn change_subscription(&self, scope: &Scope, id: &SubscriptionId, change: &Change) -> Result<SubscriptionChanged, StoreError>;

    /// One.
    async fn subscription(&self, scope: &Scope, id: &SubscriptionId) -> Result<Option<Subscription>, StoreError>;

    /// A page, newest first.
    async fn subscriptions(&self, scope: &Scope, filter: &SubscriptionFilter, page: &PageRequest)
    -> Result<Page<Subscription>, StoreError>;
}
