//! What is read of Mollie's objects: as little as is needed.

use crate::domain::{
    money::{Amount, Currency, MoneyError},
    time::Timestamp,
};
use serde::{Deserialize, Deserializer};

/// `{"currency": "EUR", "value": "10.00"}`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Money {
    currency: String,
    value: String,
}

impl Money {
    /// In minor units. Digits beyond the currency's own are an error, unless they are zeros.
    pub(super) fn read(&self) -> Result<(Amount, Currency), MoneyError> {
        let currency = Currency::parse(&self.currency)?;
        Ok((currency.amount(&self.value)?, currency))
    }
}

/// What we have written beside everything that we made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Metadata {
    pub(super) reference: String,
    pub(super) key: String,
}

/// Metadata may be anything at all: what is not ours is nobody's.
fn ours<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Metadata>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

/// A payment: <https://docs.mollie.com/reference/get-payment>.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Payment {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) amount: Money,
    #[serde(default, deserialize_with = "ours")]
    pub(super) metadata: Option<Metadata>,
    pub(super) created_at: String,
    #[serde(default)]
    pub(super) customer_id: Option<String>,
    #[serde(default)]
    pub(super) mandate_id: Option<String>,
    #[serde(default)]
    details: Option<Details>,
    #[serde(default, rename = "_links")]
    links: Option<PaymentLinks>,
    #[serde(default, rename = "_embedded")]
    embedded: Option<PaymentParts>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(default)]
    failure_reason: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct PaymentLinks {
    #[serde(default)]
    checkout: Option<Link>,
}

#[derive(Debug, Clone, Deserialize)]
struct Link {
    href: String,
}

#[derive(Debug, Clone, Deserialize)]
struct PaymentParts {
    #[serde(default)]
    refunds: Vec<Refund>,
    #[serde(default)]
    chargebacks: Vec<Chargeback>,
}

impl Payment {
    /// Why it failed.
    pub(super) fn failure(&self) -> Option<&str> {
        self.details.as_ref()?.failure_reason.as_deref()
    }

    /// Where the customer has to act. Nobody is sent to what is no page.
    pub(super) fn checkout(&self) -> Option<&str> {
        let href = self.links.as_ref()?.checkout.as_ref()?.href.as_str();
        Some(href).filter(|href| href.starts_with("https://") || href.starts_with("http://"))
    }

    /// Its refunds, where they were asked for.
    pub(super) fn refunds(&self) -> &[Refund] {
        self.embedded.as_ref().map_or(&[], |parts| parts.refunds.as_slice())
    }

    /// What banks took back of it, where that was asked for.
    pub(super) fn chargebacks(&self) -> &[Chargeback] {
        self.embedded.as_ref().map_or(&[], |parts| parts.chargebacks.as_slice())
    }

    pub(super) fn created(&self) -> Option<Timestamp> {
        Timestamp::parse(&self.created_at)
    }
}

/// A refund: <https://docs.mollie.com/reference/get-refund>.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Refund {
    pub(super) id: String,
    pub(super) payment_id: String,
    pub(super) status: String,
    pub(super) amount: Money,
    #[serde(default, deserialize_with = "ours")]
    pub(super) metadata: Option<Metadata>,
    pub(super) created_at: String,
}

/// A chargeback: <https://docs.mollie.com/reference/get-chargeback>.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Chargeback {
    pub(super) id: String,
    pub(super) amount: Money,
    #[serde(default)]
    pub(super) reason: Option<Reason>,
    #[serde(default)]
    pub(super) reversed_at: Option<String>,
}

/// Why a bank took money back, where it says so.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Reason {
    pub(super) code: String,
}

/// A capture: <https://docs.mollie.com/reference/get-capture>.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Capture {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) amount: Money,
    #[serde(default, deserialize_with = "ours")]
    pub(super) metadata: Option<Metadata>,
}

/// A customer: <https://docs.mollie.com/reference/get-customer>.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Customer {
    pub(super) id: String,
}

/// A page of a list: <https://docs.mollie.com/reference/pagination>.
#[derive(Debug, Clone, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub(super) struct List<T> {
    #[serde(rename = "_embedded")]
    items: Items<T>,
    #[serde(default, rename = "_links")]
    links: Option<ListLinks>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
struct Items<T> {
    #[serde(alias = "payments", alias = "refunds", alias = "captures")]
    all: Vec<T>,
}

#[derive(Debug, Clone, Deserialize)]
struct ListLinks {
    #[serde(default)]
    next: Option<Link>,
}

impl<T> List<T> {
    /// What the next page begins with. Only the id is taken of Mollie's address: we ask where we asked before.
    pub(super) fn next(&self) -> Option<String> {
        let href = &self.links.as_ref()?.next.as_ref()?.href;
        let (_, query) = href.split_once('?')?;
        url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "from").map(|(_, id)| id.into_owned())
    }

    pub(super) fn into_items(self) -> Vec<T> {
        self.items.all
    }
}

/// The error object: <https://docs.mollie.com/reference/handling-errors>. Its words may quote what we sent, and are not read.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Problem {
    pub(super) status: u16,
    #[serde(default)]
    pub(super) field: Option<String>,
}
