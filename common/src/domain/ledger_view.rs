//! The ledger as clients read it.

use super::{
    balance,
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
    /// For which checkout; none of an adjustment.
    pub checkout: Option<CheckoutId>,
    /// Who bought, or whose balance was adjusted.
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
    /// What it is: `payment`, `discount`, `tax`, `refund`, the type of the line that was sold, or the reason of an adjustment.
    #[serde(rename = "type")]
    pub kind: String,
    /// `provider:sandbox`, `tender:custom`, `tender:balance`, `revenue`, `memberships`, `discounts`, `tax`, `unapplied`, `refunds_pending`;
    /// of adjustments also `gifts`, `deposits`, `corrections`, `payouts`.
    pub account: String,
    /// Minor units; debit positive, credit negative.
    pub amount: Amount,
    /// What it is about.
    pub entity: Option<LedgerEntity>,
    /// Of a `custom` payment, the note that the client made. Left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What a side of a transaction is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LedgerEntity {
    /// `session`, `product`, `membership`, `promo_code`, `payment_attempt`, `refund`, `bought_membership`, `balance_adjustment`, `customer`,
    /// `custom`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id; of `custom`, the name that the client gave it.
    pub id: String,
}

impl LedgerLine {
    /// An entry of a transaction of that kind.
    pub fn new(entry: Entry, of: LedgerKind) -> Self {
        let Entry { account, amount, detail, entity } = entry;
        let kind = match (detail.as_str(), account.as_str()) {
            ("payment", "tender:custom") => "custom",
            ("payment", "tender:membership") => "bought_membership",
            ("payment", balance::ACCOUNT) => "customer",
            ("payment" | "refund" | "fee", _) => "payment_attempt",
            ("discount", _) => "promo_code",
            // A line is of the type of what it sells.
            (sold, _) => sold,
        };
        if of == LedgerKind::Adjustment {
            // One side is the customer's, the other says why.
            let kind = if account == balance::ACCOUNT { "customer" } else { balance::ADJUSTMENT };
            let entity = entity.map(|id| LedgerEntity { kind: kind.to_owned(), id });
            return Self { kind: detail, account, amount, entity, note: None };
        }
        // What was asked for is booked under the refund, what went back unasked under its attempt.
        let gives_back = matches!(of, LedgerKind::Refund | LedgerKind::RefundReversal);
        let kind_of = |id: &str| if gives_back && id.starts_with(RefundId::PREFIX) { "refund" } else { kind };
        let entity = entity.map(|id| LedgerEntity { kind: kind_of(&id).to_owned(), id });
        Self { kind: detail, account, amount, entity, note: None }
    }

    /// Whether it is what was paid outside: only such a side has a note.
    pub fn is_custom_payment(&self) -> bool {
        self.kind == "payment" && self.account == "tender:custom"
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

#[cfg(test)]
mod tests {
    use super::*;

    fn about(of: LedgerKind, detail: &str, entity: &str) -> String {
        about_in("revenue", of, detail, entity)
    }

    fn about_in(account: &str, of: LedgerKind, detail: &str, entity: &str) -> String {
        let entry = Entry { account: account.to_owned(), amount: Amount::ZERO, detail: detail.to_owned(), entity: Some(entity.to_owned()) };
        LedgerLine::new(entry, of).entity.map(|entity| entity.kind).unwrap_or_default()
    }

    #[test]
    fn an_entry_says_what_it_is_about_whatever_clients_call_their_things() {
        assert_eq!(about(LedgerKind::Sale, "session", "ref_union_hall"), "session");
        assert_eq!(about(LedgerKind::Sale, "payment", "pat_1"), "payment_attempt");
        assert_eq!(about_in("tender:custom", LedgerKind::Sale, "payment", "pat_of butter"), "custom");
        assert_eq!(about_in("tender:membership", LedgerKind::Sale, "payment", "bmb_1"), "bought_membership");
        assert_eq!(about_in("tender:balance", LedgerKind::Sale, "payment", "cus_1"), "customer");
        assert_eq!(about_in("tender:balance", LedgerKind::Refund, "refund", "ref_1"), "refund");
        assert_eq!(about_in("tender:balance", LedgerKind::Adjustment, "gift", "cus_1"), "customer");
        assert_eq!(about_in("gifts", LedgerKind::Adjustment, "gift", "adj_1"), "balance_adjustment");
        assert_eq!(about(LedgerKind::Refund, "session", "ref_1"), "refund");
        assert_eq!(about(LedgerKind::Refund, "refund", "pat_1"), "payment_attempt");
        assert_eq!(about(LedgerKind::RefundReversal, "refund", "ref_1"), "refund");
    }
}
