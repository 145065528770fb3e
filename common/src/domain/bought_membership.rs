//! Memberships that customers have: what they are good for, and when.
//!
//! A frozen membership pays for nothing, and is good for as much longer as it was frozen. With an end said beforehand its validity is
//! extended at once, and what is thawed early is taken back; without one it is extended when it is thawed.

use super::{
    checkout::Checkout,
    id::{BoughtMembershipId, CatalogueId, CheckoutId, CustomerId, LineId},
    incompatibility::Incompatibility,
    line::{Gift, Item},
    membership::MembershipType,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// A membership of a customer's. How many of its credits are used is the claims' to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoughtMembership {
    /// Unique in the scope.
    pub id: BoughtMembershipId,
    /// Whose.
    pub customer: CustomerId,
    /// Which of the catalogue's: sessions name those that pay for them.
    pub membership: CatalogueId,
    /// A pack or a subscription.
    pub kind: MembershipType,
    /// In all; `None`: as many as are asked for.
    pub credits: Option<u32>,
    /// Not good before.
    pub valid_from: Timestamp,
    /// Not good from then on.
    pub valid_until: Option<Timestamp>,
    /// Of a subscription: its period that ends at `valid_until`, from 1. A renewal adds one.
    pub period: u32,
    /// When that period began.
    pub period_from: Timestamp,
    /// Since when it is frozen, and until when if that was said.
    pub frozen: Option<Frozen>,
    /// When it ended before its time: its price went back.
    pub ended_at: Option<Timestamp>,
    /// The checkout and the line that sold it; nothing when it was brought in.
    pub sold_by: Option<(CheckoutId, LineId)>,
    /// The client's own.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A span in which a membership pays for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frozen {
    /// Since then.
    pub from: Timestamp,
    /// Until then; until somebody thaws it when not said.
    pub until: Option<Timestamp>,
}

/// What a bought membership can be used for at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BoughtStatus {
    /// It pays, as long as there are credits.
    Active,
    /// It is not good yet.
    Upcoming,
    /// It pays for nothing until it is thawed.
    Frozen,
    /// Its time is over.
    Expired,
    /// Its price went back.
    Ended,
}

impl BoughtStatus {
    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Upcoming => "upcoming",
            Self::Frozen => "frozen",
            Self::Expired => "expired",
            Self::Ended => "ended",
        }
    }
}

/// Why a membership is not frozen or thawed: 409, or 400 for a wrong time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FreezeRefusal {
    /// It stands like this.
    Not(BoughtStatus),
    /// The end is not to come.
    Past,
}

impl BoughtMembership {
    /// What it can be used for at `now`.
    pub fn status(&self, now: Timestamp) -> BoughtStatus {
        let is_frozen = self.frozen.is_some_and(|frozen| frozen.until.is_none_or(|until| now < until));
        if self.ended_at.is_some() {
            BoughtStatus::Ended
        } else if is_frozen {
            BoughtStatus::Frozen
        } else if self.valid_until.is_some_and(|until| now >= until) {
            BoughtStatus::Expired
        } else if now < self.valid_from {
            BoughtStatus::Upcoming
        } else {
            BoughtStatus::Active
        }
    }

    /// Whether its validity covers that time.
    fn covers(&self, at: Timestamp) -> bool {
        at >= self.valid_from && self.valid_until.is_none_or(|until| at < until)
    }

    /// Whether it may pay now for a session that starts then. Whether it is the session's kind and has credits left is asked elsewhere.
    pub fn check_usable(&self, now: Timestamp, starts_at: Timestamp) -> Result<(), Incompatibility> {
        match self.status(now) {
            BoughtStatus::Active => {}
            BoughtStatus::Upcoming => return Err(Incompatibility::Upcoming),
            BoughtStatus::Frozen => return Err(Incompatibility::Frozen),
            BoughtStatus::Expired => return Err(Incompatibility::Expired),
            BoughtStatus::Ended => return Err(Incompatibility::Ended),
        }
        if self.covers(starts_at) { Ok(()) } else { Err(Incompatibility::EndsBefore) }
    }

    /// Freezes it from `now`, until `until` or until it is thawed. One that is frozen like that already stays as it is.
    pub fn freeze(mut self, until: Option<Timestamp>, now: Timestamp) -> Result<Self, FreezeRefusal> {
        match self.status(now) {
            BoughtStatus::Active => {}
            BoughtStatus::Frozen if self.frozen.is_some_and(|frozen| frozen.until == until) => return Ok(self),
            status => return Err(FreezeRefusal::Not(status)),
        }
        if until.is_some_and(|until| until <= now) {
            return Err(FreezeRefusal::Past);
        }
        let longer = until.map(|until| until.since(now)).unwrap_or_default();
        self.valid_until = self.valid_until.map(|end| end.after(longer));
        self.frozen = Some(Frozen { from: now, until });
        self.updated_at = now;
        Ok(self)
    }

    /// Thaws it. What it was frozen for is added to its validity; what was added before and not used is taken off again. One that is
    /// not frozen stays as it is.
    pub fn unfreeze(mut self, now: Timestamp) -> Result<Self, FreezeRefusal> {
        let frozen = match (self.status(now), self.frozen) {
            (BoughtStatus::Frozen, Some(frozen)) => frozen,
            (BoughtStatus::Active, _) => return Ok(self),
            (status, _) => return Err(FreezeRefusal::Not(status)),
        };
        self.valid_until = self.valid_until.map(|end| match frozen.until {
            Some(until) => end.before(until.since(now)),
            None => end.after(now.since(frozen.from)),
        });
        self.frozen = None;
        self.updated_at = now;
        Ok(self)
    }
}

/// What comes into being with the sale of a checkout, at its time. A checkout without a customer sells none: the intake refuses it.
pub fn sold(checkout: &Checkout) -> Vec<BoughtMembership> {
    let Some(customer) = &checkout.order.customer else { return Vec::new() };
    let now = checkout.updated_at;
    let made = checkout.order.lines.iter().filter_map(|line| {
        let (membership, terms, valid_from, valid_until) = match &line.item {
            Item::Membership { membership, terms, time_zone, .. } => {
                let time_zone = time_zone.clone().unwrap_or_default();
                (membership, terms, now, terms.valid_for.map(|span| span.after(now, &time_zone)))
            }
            Item::Plan { period, gives: Some(Gift::Membership { membership, terms, .. }), .. }
            | Item::Subscription { period, gives: Some(Gift::Membership { membership, terms, .. }), .. } => {
                (membership, terms, period.from, Some(period.until))
            }
            Item::Session { .. } | Item::Product { .. } | Item::Plan { .. } | Item::Subscription { .. } | Item::Custom(_) => return None,
        };
        Some(BoughtMembership {
            id: line.item.bought_membership()?.clone(),
            customer: customer.clone(),
            membership: membership.clone(),
            kind: terms.kind,
            credits: terms.credits,
            valid_from,
            valid_until,
            period: 1,
            period_from: valid_from,
            frozen: None,
            ended_at: None,
            sold_by: Some((checkout.id.clone(), line.id.clone())),
            metadata: serde_json::Map::new(),
            created_at: now,
            updated_at: now,
        })
    });
    made.collect()
}

/// A bought membership, and what its claims say of its credits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credited {
    /// The membership.
    pub bought: BoughtMembership,
    /// Credits that have paid.
    pub used: u32,
    /// Credits of checkouts under way.
    pub held: u32,
}

impl Credited {
    /// What can still be claimed; `None`: as much as is asked for.
    pub fn left(&self) -> Option<u32> {
        self.bought.credits.map(|credits| credits.saturating_sub(self.used).saturating_sub(self.held))
    }
}

/// A bought membership, and what it can still pay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spendable {
    /// The membership.
    pub bought: BoughtMembership,
    /// Credits that can still be claimed; `None`: as many as are asked for.
    pub left: Option<u32>,
}

/// Of a subscription: where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PeriodView {
    /// Counts from 1.
    pub n: u32,
    /// When it began.
    pub from: Timestamp,
    /// When it ends; never, when it has no end.
    pub until: Option<Timestamp>,
}

/// The object `bought_membership` of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = BoughtMembership)]
pub struct BoughtMembershipView<'a> {
    id: &'a BoughtMembershipId,
    object: &'static str,
    customer: &'a CustomerId,
    membership: &'a CatalogueId,
    #[serde(rename = "type")]
    kind: MembershipType,
    status: BoughtStatus,
    /// In all; null: as many as are asked for.
    credits_total: Option<u32>,
    /// Those that have paid.
    credits_used: u32,
    /// Those of checkouts under way.
    credits_held: u32,
    /// Those that can still pay; null: as many as are asked for.
    credits_left: Option<u32>,
    valid_from: Timestamp,
    valid_until: Option<Timestamp>,
    /// Of a subscription.
    period: Option<PeriodView>,
    frozen_from: Option<Timestamp>,
    frozen_until: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    /// What sold it; null when it was brought in.
    checkout: Option<&'a CheckoutId>,
    line: Option<&'a LineId>,
    #[schema(value_type = Object)]
    metadata: &'a serde_json::Map<String, serde_json::Value>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl<'a> BoughtMembershipView<'a> {
    /// As it stands at `now`.
    pub fn new(credited: &'a Credited, now: Timestamp) -> Self {
        let bought = &credited.bought;
        let (status, sold_by) = (bought.status(now), bought.sold_by.as_ref());
        let frozen = bought.frozen.filter(|_| status == BoughtStatus::Frozen);
        let period = PeriodView { n: bought.period, from: bought.period_from, until: bought.valid_until };
        Self {
            id: &bought.id,
            object: "bought_membership",
            customer: &bought.customer,
            membership: &bought.membership,
            kind: bought.kind,
            status,
            credits_total: bought.credits,
            credits_used: credited.used,
            credits_held: credited.held,
            credits_left: credited.left(),
            valid_from: bought.valid_from,
            valid_until: bought.valid_until,
            period: (bought.kind == MembershipType::Subscription).then_some(period),
            frozen_from: frozen.map(|frozen| frozen.from),
            frozen_until: frozen.and_then(|frozen| frozen.until),
            ended_at: bought.ended_at,
            checkout: sold_by.map(|(checkout, _)| checkout),
            line: sold_by.map(|(_, line)| line),
            metadata: &bought.metadata,
            created_at: bought.created_at,
            updated_at: bought.updated_at,
        }
    }
}

#[cfg(test)]
#[path = "bought_membership_tests.rs"]
mod tests;
