//! A line of an order: what is sold, how many of it, and what it comes to.

use super::{
    id::{BoughtMembershipId, CatalogueId, LineId, SubscriptionId, WaitingId},
    membership::Terms,
    money::{Amount, MoneyError},
    participant::Participant,
    plan::{Given, PlanTerms},
    schedule::Period,
    time_zone::TimeZone,
};
use serde::{Deserialize, Serialize};

/// One line, priced. Serializes as it stands in the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Line {
    /// Unique in the checkout.
    pub id: LineId,
    /// What it is.
    #[serde(flatten)]
    pub item: Item,
    /// Shown to customers.
    pub name: String,
    /// How many; the number of seats when they have names.
    pub quantity: u32,
    /// Price of one, minor units, before discount and tax.
    pub unit_amount: Amount,
    /// `unit_amount * quantity`.
    pub amount: Amount,
    /// Its share of the discount, not negative.
    #[serde(default)]
    pub discount_amount: Amount,
    /// Tax on what is left.
    #[serde(default)]
    pub tax_amount: Amount,
}

impl Line {
    /// What it comes to: less its discount, with its tax.
    pub fn total(&self) -> Result<Amount, MoneyError> {
        self.amount.minus(self.discount_amount)?.plus(self.tax_amount)
    }
}

/// What a line sells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Item {
    /// Places in a session.
    Session {
        /// Which.
        session: CatalogueId,
        /// By name, or empty when places have none.
        #[serde(default)]
        seats: Vec<String>,
        /// The entry of the waiting list whose offer it takes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offer: Option<WaitingId>,
        /// Who comes, one for each place; empty where the buyer does.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        participants: Vec<Participant>,
        /// Which of the session's pricing plans the price is of; its own when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pricing_plan: Option<CatalogueId>,
        /// The class that the session is an occurrence of, as it was then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<CatalogueId>,
    },
    /// Goods.
    Product {
        /// Which.
        product: CatalogueId,
        /// Which kind of it.
        #[serde(default)]
        variant: Option<CatalogueId>,
    },
    /// A membership for the checkout's customer.
    Membership {
        /// Which.
        membership: CatalogueId,
        /// What the customer has when the checkout has succeeded.
        bought_membership: BoughtMembershipId,
        /// What it is good for, as it was when it was priced.
        terms: Terms,
        /// Where the days of its `valid_for` are counted; left out where it is good for ever.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        time_zone: Option<TimeZone>,
    },
    /// A plan: the checkout's customer has a subscription when it has succeeded.
    Plan {
        /// Which.
        plan: CatalogueId,
        /// The subscription that starts.
        subscription: SubscriptionId,
        /// What is paid for now, or the trial.
        period: Period,
        /// What that gives.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gives: Option<Gift>,
        /// What is agreed on for every period.
        terms: PlanTerms,
    },
    /// A period of a subscription. Renewals make such lines; nobody orders them.
    Subscription {
        /// Of which plan it is.
        plan: CatalogueId,
        /// Which.
        subscription: SubscriptionId,
        /// What is paid for.
        period: Period,
        /// What that gives.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gives: Option<Gift>,
    },
    /// Anything else, named and priced by the client.
    Custom(About),
}

/// What a client says of a line of its own, beside its name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct About {
    /// Shown to customers under the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The client's own reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Addresses of pictures, https. Kept and told; no page of ours loads anything from elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
}

/// What a paid period gives to its customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Gift {
    /// A membership, good for the period.
    Membership {
        /// Which.
        membership: CatalogueId,
        /// What the customer has when the checkout has succeeded.
        bought_membership: BoughtMembershipId,
        /// What it is good for.
        terms: Terms,
    },
}

impl Gift {
    /// What a line gives.
    pub fn of(given: &Given, line: &LineId) -> Self {
        let Given { membership, terms } = given.clone();
        Self::Membership { membership, bought_membership: BoughtMembershipId::sold_by(line), terms }
    }
}

impl Item {
    /// As it stands in JSON, also the detail type in the ledger.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Session { .. } => "session",
            Self::Product { .. } => "product",
            Self::Membership { .. } => "membership",
            Self::Plan { .. } => "plan",
            Self::Subscription { .. } => "subscription",
            Self::Custom(_) => "custom",
        }
    }

    /// The membership that comes into being with it.
    pub fn bought_membership(&self) -> Option<&BoughtMembershipId> {
        match self {
            Self::Membership { bought_membership, .. } => Some(bought_membership),
            Self::Plan { gives, .. } | Self::Subscription { gives, .. } => {
                gives.as_ref().map(|Gift::Membership { bought_membership, .. }| bought_membership)
            }
            Self::Session { .. } | Self::Product { .. } | Self::Custom(_) => None,
        }
    }

    /// The entry of the waiting list whose offer it takes.
    pub fn offer(&self) -> Option<&WaitingId> {
        match self {
            Self::Session { offer, .. } => offer.as_ref(),
            Self::Product { .. } | Self::Membership { .. } | Self::Plan { .. } | Self::Subscription { .. } | Self::Custom(_) => None,
        }
    }

    /// Who comes, where they are named.
    pub fn participants(&self) -> &[Participant] {
        match self {
            Self::Session { participants, .. } => participants,
            Self::Product { .. } | Self::Membership { .. } | Self::Plan { .. } | Self::Subscription { .. } | Self::Custom(_) => &[],
        }
    }

    /// The catalogue object behind it.
    pub fn entity(&self) -> Option<&CatalogueId> {
        match self {
            Self::Session { session, .. } => Some(session),
            Self::Product { product, .. } => Some(product),
            Self::Membership { membership, .. } => Some(membership),
            Self::Plan { plan, .. } | Self::Subscription { plan, .. } => Some(plan),
            Self::Custom(_) => None,
        }
    }
}
