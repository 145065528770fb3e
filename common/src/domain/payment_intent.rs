//! Payment intents: money that a customer has authorised at a provider before there was anything to pay for. A charge takes one, whole and once.

use super::{
    id::PaymentIntentId,
    money::{Amount, Currency},
    secret::Secret,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest name of an owner, characters.
pub const MAX_OWNER: usize = 255;

/// The intent that a payment takes, and who pays with it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentUse {
    /// Which, in the provider's words.
    pub id: PaymentIntentId,
    /// In whose account it has to be: the checkout's tenant and mode.
    pub account: String,
    /// Whose it has to be: the names of the checkout's customer, as they were when it was accepted, and his family.
    pub owners: Vec<String>,
}

impl IntentUse {
    /// Of whoever the checkout's customer turns out to be.
    pub fn of(id: PaymentIntentId) -> Self {
        Self { id, account: String::new(), owners: Vec::new() }
    }
}

impl fmt::Debug for IntentUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntentUse").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Money to be authorised.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewIntent {
    /// The tenant and mode.
    pub account: String,
    /// Who may pay with it: a customer by its id or `external_id`, or a family.
    pub owner: String,
    /// Minor units.
    pub amount: Amount,
    /// Its currency.
    pub currency: Currency,
    /// The card, by the provider's token.
    pub token: Secret<String>,
}

/// Whether an intent can be paid with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IntentStatus {
    /// Authorised, and nobody has taken it.
    Authorized,
    /// A charge has taken it, whatever became of that since.
    Used,
}

/// An intent as its provider shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PaymentIntent {
    /// The provider's id.
    pub id: PaymentIntentId,
    /// Who may pay with it.
    pub owner: String,
    /// Minor units.
    pub amount: Amount,
    /// Its currency.
    pub currency: Currency,
    /// Whether it can be paid with.
    pub status: IntentStatus,
    /// The charge that took it, by the provider's id.
    pub charge: Option<String>,
    /// When it was authorised.
    pub created_at: Timestamp,
}
