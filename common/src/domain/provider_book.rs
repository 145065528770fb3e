//! A provider's own book: what it says of payments and refunds when its list is read.

use super::{
    attempt::Fee,
    money::{Amount, Currency},
    time::Timestamp,
};

/// Where money stands in a provider's book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BookStatus {
    /// It moved.
    Moved,
    /// It is promised, and neither taken nor given up.
    Promised,
    /// Under way, or waiting for somebody.
    Open,
    /// It did not move, or came back; and no other try of it can follow.
    Failed,
}

/// A payment or a refund as it stands in a provider's book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookRow {
    /// The provider's id.
    pub id: String,
    /// Our reference, when it was made by us.
    pub reference: Option<String>,
    /// Our key, when it was made by us.
    pub key: Option<String>,
    /// Which of our accounts made it, by our own id, where that is written beside it.
    pub account: Option<String>,
    /// Of a refund: the payment.
    pub payment: Option<String>,
    /// Minor units, and the currency; `None` when we cannot count it.
    pub money: Option<(Amount, Currency)>,
    /// Where it stands.
    pub status: BookStatus,
    /// When it was made, by the provider's clock.
    pub created_at: Timestamp,
    /// What the provider keeps of it, when that is known.
    pub fee: Option<Fee>,
}
