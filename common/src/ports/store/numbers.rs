//! Numbers for things whose ids are none: clients of other people's APIs keep integers.

use super::error::StoreError;
use crate::domain::scope::Scope;
use async_trait::async_trait;
use std::ops::RangeInclusive;

/// Between these are the numbers that are given here: they fit in 32 bits with a sign, and few people choose such ids themselves.
pub const NUMBERS: RangeInclusive<u32> = 1_000_000_000..=2_147_483_647;

/// What is numbered. Each kind has numbers of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbered {
    /// A place that was sold: its ticket.
    Booking,
    /// A membership of the catalogue's.
    Membership,
    /// A membership that a customer has.
    BoughtMembership,
    /// A subscription of a plan.
    Subscription,
    /// An entry of a waiting list.
    WaitingEntry,
}

impl Numbered {
    /// As it stands in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Booking => "booking",
            Self::Membership => "membership",
            Self::BoughtMembership => "bought_membership",
            Self::Subscription => "subscription",
            Self::WaitingEntry => "waiting_entry",
        }
    }
}

/// Which number belongs to what. A number stays what it was given to.
#[async_trait]
pub trait NumberStore: Send + Sync {
    /// The numbers of these ids, in their order; what has none yet is given one.
    async fn numbers_of(&self, scope: &Scope, kind: Numbered, ids: &[String]) -> Result<Vec<u32>, StoreError>;

    /// The id of what has this number.
    async fn numbered(&self, scope: &Scope, kind: Numbered, number: u32) -> Result<Option<String>, StoreError>;
}
