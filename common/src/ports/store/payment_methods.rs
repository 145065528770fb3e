//! Payment methods that customers have saved.

use super::{
    error::StoreError,
    paging::{Page, PageRequest},
};
use crate::domain::{
    id::{CustomerId, PaymentMethodId},
    payment_method::{CardFace, PaymentMethod},
    scope::Scope,
    secret::Secret,
};
use async_trait::async_trait;

/// A method to be kept.
#[derive(Debug, Clone)]
pub struct PutMethod {
    /// Whose.
    pub scope: Scope,
    /// The customer's.
    pub customer: CustomerId,
    /// Which.
    pub id: PaymentMethodId,
    /// The provider's token.
    pub token: Secret<String>,
    /// What the customer knows it by.
    pub card: CardFace,
    /// Whether it becomes the default, in the place of the one that is.
    pub is_default: bool,
    /// Whether customers of the same family may pay with it, too.
    pub is_shared: bool,
}

/// What a put came to.
#[derive(Debug, Clone)]
pub enum MethodPut {
    /// New.
    Created(PaymentMethod),
    /// Replaced, its token, too.
    Replaced(PaymentMethod),
    /// No such customer: 404.
    CustomerMissing,
    /// He has as many as one may have: 409.
    TooMany,
}

/// Payment methods that customers have saved.
#[async_trait]
pub trait PaymentMethodStore: Send + Sync {
    /// Creates or replaces.
    async fn put_method(&self, put: &PutMethod) -> Result<MethodPut, StoreError>;

    /// One of a customer's.
    async fn method(&self, scope: &Scope, customer: &CustomerId, id: &PaymentMethodId) -> Result<Option<PaymentMethod>, StoreError>;

    /// One of `owner`'s that he shares with his family, while `customer` is of that family. `None` whatever is missing.
    async fn method_shared_with(
        &self,
        scope: &Scope,
        customer: &CustomerId,
        owner: &CustomerId,
        id: &PaymentMethodId,
    ) -> Result<Option<PaymentMethod>, StoreError>;

    /// A page of a customer's, by id.
    async fn methods_of(&self, scope: &Scope, customer: &CustomerId, page: &PageRequest) -> Result<Page<PaymentMethod>, StoreError>;

    /// Removes one; `false` when it is not there. Checkouts that were accepted with it go on.
    async fn delete_method(&self, scope: &Scope, customer: &CustomerId, id: &PaymentMethodId) -> Result<bool, StoreError>;
}
