//! The ledger: double entry. Every transaction's entries sum to zero; balances are sums, never counters.
//!
//! A positive amount debits the account, a negative one credits it.

use super::{
    attempt::SANDBOX,
    checkout::Checkout,
    id::{CheckoutId, LedgerId},
    leg::{Leg, Tender},
    line::{Item, Line},
    money::{Amount, Currency},
    order::Order,
    scope::Scope,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// Why there is a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LedgerKind {
    /// A checkout succeeded.
    Sale,
    /// Money that came for a checkout which could not use it any more, or cannot yet: an operator has to decide. Negative where
    /// such a booking is taken back because the money has become part of the sale.
    LatePayment,
    /// Money went back, or is promised back.
    Refund,
    /// It did not go back after all: what was booked of a refund is taken back.
    RefundReversal,
    /// A customer's balance was changed by hand.
    Adjustment,
    /// A provider kept something for its service.
    Fee,
    /// A bank took money back, and looks into it.
    Dispute,
    /// A bank gave that back.
    DisputeWon,
    /// A bank keeps that.
    DisputeLost,
}

impl LedgerKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Sale,
        Self::LatePayment,
        Self::Refund,
        Self::RefundReversal,
        Self::Adjustment,
        Self::Fee,
        Self::Dispute,
        Self::DisputeWon,
        Self::DisputeLost,
    ];

    /// Reads it back from the store.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// As it stands in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sale => "sale",
            Self::LatePayment => "late_payment",
            Self::Refund => "refund",
            Self::RefundReversal => "refund_reversal",
            Self::Adjustment => "adjustment",
            Self::Fee => "fee",
            Self::Dispute => "dispute",
            Self::DisputeWon => "dispute_won",
            Self::DisputeLost => "dispute_lost",
        }
    }
}

/// One side of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// `provider:sandbox`, `tender:custom`, `tender:balance`, `revenue`, `memberships`, `discounts`, `tax`, `unapplied`, `refunds_pending`,
    /// `disputes`, `chargebacks`, `fees`,
    /// and where balances come from: `gifts`, `deposits`, `corrections`, `payouts`.
    pub account: String,
    /// Minor units; debit positive, credit negative.
    pub amount: Amount,
    /// What it is: a line's type, `payment`, `discount`, `tax`, `refund`, an adjustment's reason.
    pub detail: String,
    /// The catalogue object, attempt, refund, adjustment, bought membership or customer that it is about, or a custom payment's name.
    pub entity: Option<String>,
}

/// A balanced transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerTransaction {
    /// Public id.
    pub id: LedgerId,
    /// Whose.
    pub scope: Scope,
    /// Why.
    pub kind: LedgerKind,
    /// For which checkout.
    pub checkout: CheckoutId,
    /// The currency of every entry.
    pub currency: Currency,
    /// When.
    pub at: Timestamp,
    /// Its sides.
    pub entries: Vec<Entry>,
}

impl LedgerTransaction {
    /// Whether the sides sum to zero.
    pub fn is_balanced(&self) -> bool {
        self.entries.iter().map(|entry| i128::from(entry.amount.minor())).sum::<i128>() == 0
    }
}

/// The account that the money of the leg in place `at` comes into.
pub fn account_of(checkout: &Checkout, at: usize, leg: &Leg) -> String {
    // The one that was paid, which need not be the newest.
    let paid = checkout.approved_charges().filter(|charge| charge.request.leg == at).last();
    leg.account(paid.or_else(|| checkout.charge_of(at)).map_or(SANDBOX, |charge| charge.provider.as_str()))
}

/// The account that a provider's money comes into.
pub fn provider_account(provider: &str) -> String {
    format!("provider:{provider}")
}

/// What was earned.
pub const REVENUE: &str = "revenue";
/// What came and nobody is entitled to, or not yet.
pub const UNAPPLIED: &str = "unapplied";
/// What banks have taken back until it is known whose it is.
pub const DISPUTES: &str = "disputes";
/// What banks have taken back for good.
pub const CHARGEBACKS: &str = "chargebacks";
/// What providers keep for their service.
pub const FEES: &str = "fees";
/// What customers have paid for and not used: places are owed for it.
pub const MEMBERSHIPS: &str = "memberships";

/// The account that a line is sold out of: what was earned, or, for a membership, what is owed in places.
pub const fn account_of_line(line: &Line) -> &'static str {
    match line.item {
        Item::Membership { .. } => MEMBERSHIPS,
        Item::Session { .. } | Item::Product { .. } | Item::Plan { .. } | Item::Subscription { .. } | Item::Custom(_) => REVENUE,
    }
}

/// What a payment without a provider is about: the name of what was paid outside, the membership, the customer whose balance it was.
fn paid_by(order: &Order, leg: &Leg) -> Option<String> {
    match &leg.tender {
        Tender::Custom { name, .. } => Some(name.clone()),
        Tender::Membership { bought_membership, .. } => Some(bought_membership.to_string()),
        Tender::Balance {} => order.customer.as_ref().map(ToString::to_string),
        Tender::Card { .. }
        | Tender::ProviderPage { .. }
        | Tender::SavedMethod { .. }
        | Tender::PaymentIntent(_)
        | Tender::Push(_)
        | Tender::Hosted(_)
        | Tender::Free {} => None,
    }
}

/// The sides of a sale: the payments against what was sold, what was taken off, and the tax.
pub fn sale_entries(checkout: &Checkout) -> Vec<Entry> {
    let order = &checkout.order;
    let mut entries = Vec::with_capacity(order.lines.len() + order.legs.len() + 2);
    let mut push = |account: &str, amount: Amount, detail: &str, entity: Option<String>| {
        if !amount.is_zero() {
            entries.push(Entry { account: account.to_owned(), amount, detail: detail.to_owned(), entity });
        }
    };
    for (at, leg) in order.legs.iter().enumerate() {
        push(&account_of(checkout, at, leg), leg.amount, "payment", paid_by(order, leg));
    }
    push("discounts", order.totals.discount, "discount", order.promo_code.as_ref().map(|code| code.to_string()));
    for line in &order.lines {
        let entity = line.item.entity().map(|id| id.to_string());
        push(account_of_line(line), line.amount.negated(), line.item.type_name(), entity);
    }
    push("tax", order.totals.tax.negated(), "tax", None);
    entries
}

/// Money that nobody is entitled to yet: taken, and owed back.
pub fn late_payment_entries(paid_into: &str, amount: Amount, attempt: &str) -> Vec<Entry> {
    let entry = |account: &str, amount| Entry {
        account: account.to_owned(),
        amount,
        detail: "payment".to_owned(),
        entity: Some(attempt.to_owned()),
    };
    vec![entry(paid_into, amount), entry(UNAPPLIED, amount.negated())]
}

/// Money that went back out of `paid_into`, against `account` (`revenue` after a sale, `unapplied` after late money, `refunds_pending` where it
/// was promised). `under` is the attempt or the refund.
pub fn refund_entries(paid_into: &str, account: &str, amount: Amount, under: &str) -> Vec<Entry> {
    let entry =
        |account: &str, amount| Entry { account: account.to_owned(), amount, detail: "refund".to_owned(), entity: Some(under.to_owned()) };
    vec![entry(paid_into, amount.negated()), entry(account, amount)]
}

/// What a provider keeps of what attempt `under` has brought.
pub fn fee_entries(provider: &str, amount: Amount, under: &str) -> Vec<Entry> {
    let entry =
        |account: &str, amount| Entry { account: account.to_owned(), amount, detail: "fee".to_owned(), entity: Some(under.to_owned()) };
    vec![entry(FEES, amount), entry(provider, amount.negated())]
}

/// What was given back out of `from` is given back out of `to` instead.
pub fn moved_entries(from: &str, to: &str, amount: Amount) -> Vec<Entry> {
    let entry = |account: &str, amount| Entry { account: account.to_owned(), amount, detail: "refund".to_owned(), entity: None };
    vec![entry(to, amount), entry(from, amount.negated())]
}
