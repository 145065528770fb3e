//! Payment intents: money that a customer has authorised at a provider before there was anything to pay for. A charge takes one, whole and once.

use super::{
    customer::Customer,
    id::{CustomerId, PaymentIntentId},
    money::{Amount, Currency},
    secret::Secret,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest name of an owner, characters.
pub const MAX_OWNER: usize = 255;

/// Under what an owner is named, so that a family is never taken for a customer of the same name.
const KINDS: [&str; 3] = ["customer:", "external_id:", "family:"];

/// Whether a name is one of an owner: a kind and what comes behind it.
pub fn is_owner(name: &str) -> bool {
    KINDS.into_iter().any(|kind| name.strip_prefix(kind).is_some_and(|rest| !rest.is_empty()))
}

/// Every name under which this customer may own an intent.
pub fn owners(customer: &Customer) -> Vec<String> {
    let names = [customer.id.as_ref().map(CustomerId::as_str), customer.external_id.as_deref(), customer.family.as_deref()];
    KINDS.into_iter().zip(names).filter_map(|(kind, name)| Some(format!("{kind}{}", name?))).collect()
}

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
    /// Who may pay with it: `customer:` and an id, `external_id:` and that, or `family:` and that.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_not_a_customer_of_the_same_name() {
        let customer = Customer { external_id: Some("7".to_owned()), family: Some("8".to_owned()), ..Customer::default() };
        assert_eq!(owners(&customer), ["external_id:7", "family:8"]);
        let named = Customer { id: CustomerId::parse("cus_1").ok(), ..Customer::default() };
        assert_eq!(owners(&named), ["customer:cus_1"]);
        assert!(owners(&customer).iter().chain(&owners(&named)).all(|owner| is_owner(owner)));
        for bad in ["", "7", "family", "family:", "cus_1", "pets:7"] {
            assert!(!is_owner(bad), "{bad}");
        }
    }
}
