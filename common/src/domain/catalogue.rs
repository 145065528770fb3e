//! What a tenant sells. One shape of storage (an id and a document) for every kind; the kinds are typed here.

use super::{
    id::CatalogueId,
    money::{Amount, Currency},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// The kinds of catalogue objects, which are also the kinds of things that can run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One occurrence of a class, show or trip.
    Session,
    /// Goods.
    Product,
    /// A discount.
    PromoCode,
    /// What customers buy to pay with later.
    Membership,
    /// What customers subscribe to.
    Plan,
    /// One that a customer has: its credits can run out. No catalogue object.
    BoughtMembership,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::Session, Self::Product, Self::PromoCode, Self::Membership, Self::Plan, Self::BoughtMembership];

    /// As it stands in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Product => "product",
            Self::PromoCode => "promo_code",
            Self::Membership => "membership",
            Self::Plan => "plan",
            Self::BoughtMembership => "bought_membership",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether people rush for it, so that the seat table knows how much is left: most goods are not counted at all, and credits are
    /// one customer's.
    pub const fn is_contested(self) -> bool {
        match self {
            Self::Session | Self::PromoCode => true,
            Self::Product | Self::Membership | Self::Plan | Self::BoughtMembership => false,
        }
    }
}

/// Whether a session can be sold at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionStatus {
    /// On sale within its window.
    #[default]
    Scheduled,
    /// Called off.
    Canceled,
    /// Not published.
    Draft,
}

/// One occurrence of a class, show or trip. Exactly one of `capacity` and `seats` is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// The client's own id; taken from the path when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<CatalogueId>,
    /// Shown to customers.
    pub name: String,
    /// When it begins; after that nothing is sold.
    pub starts_at: Timestamp,
    /// When it ends.
    #[serde(default)]
    pub ends_at: Option<Timestamp>,
    /// Not sold before.
    #[serde(default)]
    pub sales_start_at: Option<Timestamp>,
    /// Not sold from then on.
    #[serde(default)]
    pub sales_end_at: Option<Timestamp>,
    /// How many places, when they have no names.
    #[serde(default)]
    pub capacity: Option<u32>,
    /// The names of all seats, when they have names.
    #[serde(default)]
    pub seats: Option<Vec<String>>,
    /// Price of one place, minor units, tax not included.
    pub unit_amount: Amount,
    /// Other prices of a place, which a line asks for by their ids: adult, child, a whole term.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20)]
    pub pricing_plans: Vec<PricingPlan>,
    /// The price's currency.
    pub currency: Currency,
    /// Tax on top, in basis points.
    #[serde(default)]
    pub tax_rate_bp: u32,
    /// What it is an occurrence of: the occurrences of a class share its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<CatalogueId>,
    /// Whether it can be sold at all.
    #[serde(default)]
    pub status: SessionStatus,
    /// Whether it can be bought without a membership.
    #[serde(default = "yes")]
    pub dropins_allowed: bool,
    /// The most places that one customer may have.
    #[serde(default)]
    pub purchase_limit: Option<u32>,
    /// A tag that the customer must carry.
    #[serde(default)]
    pub required_tag: Option<String>,
    /// Youngest age in whole years on the day it starts.
    #[serde(default)]
    pub min_age: Option<u32>,
    /// Oldest age in whole years on the day it starts.
    #[serde(default)]
    pub max_age: Option<u32>,
    /// Which memberships pay for it.
    #[serde(default)]
    pub compatible_memberships: Vec<CatalogueId>,
    /// The client's own.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

fn yes() -> bool {
    true
}

impl Session {
    /// How many places there are, named or not.
    pub fn places(&self) -> u32 {
        match (&self.seats, self.capacity) {
            (Some(seats), _) => u32::try_from(seats.len()).unwrap_or(u32::MAX),
            (None, capacity) => capacity.unwrap_or(0),
        }
    }
}

/// A price of a place that a line may ask for instead of the session's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PricingPlan {
    /// Unique within the session.
    pub id: CatalogueId,
    /// Shown to customers.
    pub name: String,
    /// Price of one place, minor units, tax not included.
    pub unit_amount: Amount,
}

/// Goods, with variants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// The client's own id; taken from the path when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<CatalogueId>,
    /// Shown to customers.
    pub name: String,
    /// Price of one, minor units, tax not included.
    pub unit_amount: Amount,
    /// The price's currency.
    pub currency: Currency,
    /// Tax on top, in basis points.
    #[serde(default)]
    pub tax_rate_bp: u32,
    /// Whether it is on sale.
    #[serde(default = "yes")]
    pub active: bool,
    /// How many there are; without end when left out.
    #[serde(default)]
    pub stock: Option<u32>,
    /// Kinds of it, each with its own price when given.
    #[serde(default)]
    pub variants: Vec<Variant>,
    /// The client's own.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

/// A kind of a product: a size, a colour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Unique within the product.
    pub id: CatalogueId,
    /// Shown to customers.
    pub name: String,
    /// Its own price, or the product's.
    #[serde(default)]
    pub unit_amount: Option<Amount>,
}

/// A discount by code: exactly one of `percent_off_bp` and `amount_off`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromoCode {
    /// The code itself, as customers type it; taken from the path when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<CatalogueId>,
    /// Basis points off the subtotal.
    #[serde(default)]
    pub percent_off_bp: Option<u32>,
    /// Minor units off the subtotal, never more than it.
    #[serde(default)]
    pub amount_off: Option<Amount>,
    /// Required with `amount_off`.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// Whether it can be used.
    #[serde(default = "yes")]
    pub active: bool,
    /// Not before.
    #[serde(default)]
    pub starts_at: Option<Timestamp>,
    /// Not from then on.
    #[serde(default)]
    pub ends_at: Option<Timestamp>,
    /// How often it can be used in all.
    #[serde(default)]
    pub max_uses: Option<u32>,
    /// Only for these sessions and products; for all when empty.
    #[serde(default)]
    pub applies_to: Vec<CatalogueId>,
    /// The client's own.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
}
