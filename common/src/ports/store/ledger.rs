//! The ledger as people read it. It is written by the transitions of checkouts and by adjustments of balances, and by nothing else.

use super::{
    error::StoreError,
    paging::{Page, PageRequest},
};
use crate::domain::{
    id::{CheckoutId, CustomerId},
    ledger::LedgerKind,
    ledger_view::{Balance, LedgerRecord},
    scope::Scope,
    time::Timestamp,
};
use async_trait::async_trait;

/// What a list of transactions is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct LedgerFilter {
    /// Only for this checkout.
    pub checkout: Option<CheckoutId>,
    /// Only for checkouts of this customer, and for its balance.
    pub customer: Option<CustomerId>,
    /// Only for checkouts and balances of this family's customers, as it is now.
    pub family: Option<String>,
    /// Only with an entry in this account. All entries of such a transaction are told.
    pub account: Option<String>,
    /// Only of this kind.
    pub kind: Option<LedgerKind>,
    /// Only from then on.
    pub from: Option<Timestamp>,
    /// Only before then.
    pub to: Option<Timestamp>,
}

/// Whose checkouts and balances are summed over.
#[derive(Debug, Clone, Copy)]
pub enum BalancesOf<'a> {
    /// Everybody's.
    Everybody,
    /// This customer's.
    Customer(&'a CustomerId),
    /// Those of the customers of a family, as it is now.
    Family(&'a str),
}

/// The ledger as people read it.
#[async_trait]
pub trait LedgerStore: Send + Sync {
    /// A page of transactions, newest first, each with all its entries.
    async fn ledger_transactions(&self, scope: &Scope, filter: &LedgerFilter, page: &PageRequest)
    -> Result<Page<LedgerRecord>, StoreError>;

    /// The sums per account and currency, of one customer's when given; by account, then currency.
    async fn ledger_balances(&self, scope: &Scope, of: BalancesOf<'_>) -> Result<Vec<Balance>, StoreError>;
}
