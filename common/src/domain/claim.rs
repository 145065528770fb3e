//! Claims on what can run out. The store's claims are the only thing that entitles anybody to a seat.

use super::{
    catalogue::Kind,
    id::{CatalogueId, CheckoutId, CustomerId, LineId},
    scope::Scope,
};
use serde::{Deserialize, Serialize};

/// What a checkout needs of one scarce thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// The kind of thing.
    pub kind: Kind,
    /// Which.
    pub id: CatalogueId,
    /// How much of it.
    pub quantity: u32,
    /// By name, when its places have names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seats: Vec<String>,
    /// The line that asks, for the error's `param`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

impl Want {
    /// How much it takes: named seats count themselves.
    pub fn places(&self) -> u32 {
        if self.seats.is_empty() { self.quantity } else { u32::try_from(self.seats.len()).unwrap_or(u32::MAX) }
    }
}

/// Names one scarce thing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StockKey {
    /// Whose.
    pub scope: Scope,
    /// The kind of thing.
    pub kind: Kind,
    /// Which.
    pub id: CatalogueId,
}

/// How much of one scarce thing is left, as of `version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockLevel {
    /// Which thing.
    pub key: StockKey,
    /// How much there is in all.
    pub capacity: u32,
    /// Held and sold together. Never above `capacity`.
    pub taken: u32,
    /// Grows with every change of the two; the newer statement wins.
    pub version: i64,
}

impl StockLevel {
    /// What nobody has claimed.
    pub fn free(&self) -> u32 {
        self.capacity.saturating_sub(self.taken)
    }
}

/// The state of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimState {
    /// For a checkout that is under way.
    Held,
    /// For good.
    Sold,
    /// Given back; counts for nothing.
    Released,
}

impl ClaimState {
    /// As it stands in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Sold => "sold",
            Self::Released => "released",
        }
    }
}

/// A claim to be written: one for each named seat, else one for each line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClaim {
    /// For which checkout.
    pub checkout: CheckoutId,
    /// On what.
    pub stock: StockKey,
    /// The seat's name.
    pub seat: Option<String>,
    /// The line that it is for; none for the use of a promo code.
    pub line: Option<LineId>,
    /// How much; 1 with a seat.
    pub quantity: u32,
    /// For purchase limits.
    pub customer: Option<CustomerId>,
    /// `Held` before a charge, `Sold` where none is needed.
    pub state: ClaimState,
}
