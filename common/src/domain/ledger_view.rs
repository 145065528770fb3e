//! The ledger as clients read it.

use super::{
    id::{CheckoutId, CustomerId, LedgerId, RefundId},
    ledger::{Entry, LedgerKind},
    money::{Amount, Currency},
    time::Timestamp,
};
use serde::Serialize;

/// A transaction with its sides, which sum to zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LedgerRecord {
    /// Its id.
    pub id: LedgerId,
    /// `ledger_transaction`.
    pub object: &'static str,
    /// Why.
    pub kind: LedgerKind,
    /// For which checkout.
    pub checkout: CheckoutId,
    /// Who bought.
    pub customer: Option<CustomerId>,
    /// The client's own word for the checkout.
    pub reference: Option<String>,
    /// The currency of every entry.
    pub currency: Currency,
    /// When.
    pub created_at: Timestamp,
    /// Its sides.
    pub entries: Vec<LedgerLine>,
}

/// What a [`LedgerRecord`] says in `object`.
pub const LEDGER_TRANSACTION: &str = "ledger_transaction";

/// One side of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LedgerLine {
    /// What it is: `payment`, `discount`, `tax`, `refund`, or the type of the line that was sold.
    #[serde(rename = "type")]
    pub kind: String,
    /// `provider:sandbox`, `tender:custom`, `revenue`, `discounts`, `tax`, `unapplied`, `refunds_pending`.
    pub account: String,
    /// Minor units; debit positive, credit negative.
    pub amount: Amount,
    /// What it is about.
    pub entity: Option<LedgerEntity>,
}

/// What a side of a transaction is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LedgerEntity {
    /// `session`, `product`, `promo_code`, `payment_attempt`, `refund`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id.
    pub id: String,
}

impl From<Entry> for LedgerLine {
    fn from(entry: Entry) -> Self {
        let Entry { account, amount, detail, entity } = entry;
        let kind = match detail.as_str() {
            "payment" | "refund" => "payment_attempt",
            "discount" => "promo_code",
            // A line is of the type of what it sells.
            sold => sold,
        };
        let kind_of = |id: &str| if RefundId::parse(id).is_ok() { "refund" } else { kind };
        let entity = entity.map(|id| LedgerEntity { kind: kind_of(&id).to_owned(), id });
        Self { kind: detail, account, amount, entity }
    }
}

/// The sum of an account's entries in a currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Balance {
    /// Which account.
    pub account: String,
    /// In which currency.
    pub currency: Currency,
    /// Minor units; debit positive, credit negative.
    pub amount: Amount,
}
