//! Memberships as they are sold: packs of credits, and subscriptions.

use super::{
    catalogue_check::{check_name, check_price, check_tax, ensure},
    error::CodedError,
    id::CatalogueId,
    money::{Amount, Currency},
    span::{MAX_COUNT, Span},
};
use serde::{Deserialize, Serialize};

/// The most credits of a membership.
pub const MAX_CREDITS: u32 = 1_000_000;

/// What kind of membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MembershipType {
    /// A number of credits. Several packs pay together.
    Pack,
    /// A period at a time, with or without a limit to its credits. It pays beside no other membership.
    Subscription,
}

impl MembershipType {
    /// As it stands in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pack => "pack",
            Self::Subscription => "subscription",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pack, Self::Subscription].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What customers buy once and pay with later: one credit for one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// The client's own id; taken from the path when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<CatalogueId>,
    /// Shown to customers.
    pub name: String,
    /// Its price, minor units, tax not included.
    pub unit_amount: Amount,
    /// The price's currency.
    pub currency: Currency,
    /// Tax on top, in basis points.
    #[serde(default)]
    pub tax_rate_bp: u32,
    /// A pack or a subscription.
    #[serde(rename = "type")]
    pub kind: MembershipType,
    /// How many places it pays for. Required for a pack; of a subscription in each period, and without limit when left out.
    #[serde(default)]
    pub credits: Option<u32>,
    /// How long it is good for from when it is bought; for ever when left out.
    #[serde(default)]
    pub valid_for: Option<Span>,
    /// Whether it is on sale.
    #[serde(default = "yes")]
    pub active: bool,
    /// The client's own.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

fn yes() -> bool {
    true
}

/// What a line sold of a membership, frozen with its price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Terms {
    /// A pack or a subscription.
    #[serde(rename = "type")]
    pub kind: MembershipType,
    /// How many places it pays for; any number when not said.
    #[serde(default)]
    pub credits: Option<u32>,
    /// How long it is good for; for ever when not said.
    #[serde(default)]
    pub valid_for: Option<Span>,
}

impl Membership {
    /// What is sold of it now.
    pub const fn terms(&self) -> Terms {
        Terms { kind: self.kind, credits: self.credits, valid_for: self.valid_for }
    }

    /// Whether it can be kept; `parameter_invalid` with the field in `param` when not.
    pub fn check(&self) -> Result<(), CodedError> {
        check_name(&self.name, "name")?;
        check_price(self.unit_amount, "unit_amount")?;
        check_tax(self.tax_rate_bp)?;
        check_credits(self.kind, self.credits)?;
        let span_fits = self.valid_for.is_none_or(|span| (1..=MAX_COUNT).contains(&span.count));
        ensure(span_fits, "valid_for.count", || format!("is 1 to {MAX_COUNT}"))
    }
}

/// Whether a membership of this type may have so many credits.
pub fn check_credits(kind: MembershipType, credits: Option<u32>) -> Result<(), CodedError> {
    match (kind, credits) {
        (MembershipType::Pack, None) => ensure(false, "credits", || "is required for a pack".to_owned()),
        (_, Some(credits)) => ensure((1..=MAX_CREDITS).contains(&credits), "credits", || format!("is 1 to {MAX_CREDITS}")),
        (MembershipType::Subscription, None) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::error::Code;
    use serde_json::{Value, json};

    fn refused(changes: Value) -> Option<String> {
        let mut object = json!({"name": "Ten classes", "unit_amount": 12_000, "currency": "usd", "type": "pack", "credits": 10});
        object.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        serde_json::from_value::<Membership>(object).unwrap().check().err().map(|error| {
            assert_eq!(error.code, Code::ParameterInvalid);
            error.param.unwrap()
        })
    }

    #[test]
    fn a_membership_is_kept_or_refused_at_its_field() {
        for good in [
            json!({}),
            json!({"valid_for": {"count": 6, "unit": "month"}, "unit_amount": 0}),
            json!({"type": "subscription", "credits": null}),
            json!({"type": "subscription", "credits": 8, "valid_for": {"count": 1, "unit": "month"}}),
        ] {
            assert_eq!(refused(good.clone()), None, "{good}");
        }
        for (bad, field) in [
            (json!({"name": ""}), "name"),
            (json!({"unit_amount": -1}), "unit_amount"),
            (json!({"tax_rate_bp": 10_001}), "tax_rate_bp"),
            (json!({"credits": null}), "credits"),
            (json!({"credits": 0}), "credits"),
            (json!({"credits": 1_000_001}), "credits"),
            (json!({"type": "subscription", "credits": 0}), "credits"),
            (json!({"valid_for": {"count": 0, "unit": "day"}}), "valid_for.count"),
        ] {
            assert_eq!(refused(bad.clone()).as_deref(), Some(field), "{bad}");
        }
    }
}
