//! What customers have to pay with, changed by hand and read. Checkouts spend it in their own transitions.

use super::{
    checkouts::{IdempotencyRow, StoredAnswer},
    error::StoreError,
    paging::{Page, PageRequest},
};
use crate::domain::{
    balance::{Adjustment, CustomerBalance, Reason},
    error::CodedError,
    id::{AdjustmentId, CustomerId},
    money::{Amount, Currency},
    scope::Scope,
};
use async_trait::async_trait;

/// A change to be made.
#[derive(Debug, Clone)]
pub struct NewAdjustment {
    /// The caller's own: a lost answer is told by it.
    pub id: AdjustmentId,
    /// Whose.
    pub scope: Scope,
    /// Whose balance.
    pub customer: CustomerId,
    /// Minor units; negative: taken from the customer.
    pub amount: Amount,
    /// In which currency.
    pub currency: Currency,
    /// Why.
    pub reason: Reason,
    /// For people.
    pub note: Option<String>,
    /// The key, bound to route and body.
    pub idempotency: IdempotencyRow,
}

/// What it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdjustResult {
    /// Booked: 201.
    Created(StoredAnswer),
    /// The same key and body came before.
    Replayed(StoredAnswer),
    /// The same key came before with another body.
    KeyReused,
    /// The rules refuse it. Nothing was written.
    Refused(CodedError),
    /// No such customer: 404.
    CustomerMissing,
}

/// Balances.
#[async_trait]
pub trait BalanceStore: Send + Sync {
    /// Changes a balance, under its customer's lock. What is held or not there cannot be taken.
    async fn adjust_balance(&self, new: &NewAdjustment) -> Result<AdjustResult, StoreError>;

    /// A page of a customer's adjustments, newest first.
    async fn balance_adjustments(&self, scope: &Scope, customer: &CustomerId, page: &PageRequest) -> Result<Page<Adjustment>, StoreError>;

    /// What a customer has, in each currency in which there was ever anything; `None` without such a customer.
    async fn balances_of(&self, scope: &Scope, customer: &CustomerId) -> Result<Option<Vec<CustomerBalance>>, StoreError>;
}
