//! The seat table: who may try to buy, answered in microseconds. It may forget everything; the store has the last word.
//!
//! It knows, for each scarce thing, what the store last told (the newer version wins) and the try-tokens of checkouts
//! that were let through since. A token is one checkout's; it expires by itself.

use crate::domain::{
    claim::{StockKey, StockLevel, Want},
    id::CheckoutId,
    scope::Scope,
    seat_check::Belief,
};
use async_trait::async_trait;
use std::time::Duration;

/// How long a try-token lives when nobody gives it back.
pub const TOKEN_LIFE: Duration = Duration::from_secs(30);

/// What the store tells of one thing: how much is left, and which named seats are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Capacity, taken, version.
    pub level: StockLevel,
    /// Named seats with a live claim; `None` when its places have no names.
    pub taken_seats: Option<Vec<String>>,
}

/// The answer to a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// Go on to the store. The token is set.
    Reserved,
    /// As far as the table knows, the want at this index cannot be met. Nothing was set for any want.
    Gone(usize),
    /// The wants at these indexes are not in the table: load them (`tell`) and try again.
    Missing(Vec<usize>),
}

/// The table does not answer. A bounded number of tries goes to the store directly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the seat table is unavailable: {0}")]
pub struct SeatsUnavailable(pub String);

/// A seat table.
#[async_trait]
pub trait Seats: Send + Sync {
    /// Lets a checkout try for all its wants, or for none; one round trip. The same checkout again gets the same answer.
    async fn try_reserve(&self, scope: &Scope, checkout: &CheckoutId, wants: &[Want]) -> Result<Tried, SeatsUnavailable>;

    /// The store's word, after a load or a change. Older versions are ignored. Never fails loudly: what is not told now
    /// is loaded later.
    async fn tell(&self, told: Vec<Told>);

    /// Takes back a checkout's tokens: its claims are in the store now (and told), or it will not buy.
    async fn forget(&self, scope: &Scope, checkouts: Vec<(CheckoutId, Vec<Want>)>);

    /// Whether the table answers.
    async fn ping(&self) -> Result<(), SeatsUnavailable>;
}

/// A page of what a table believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeliefPage {
    /// Each thing read at one moment; not all at the same one.
    pub beliefs: Vec<Belief>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<u64>,
}

/// The auditor's door to a seat table. Every table has one beside its [`Seats`].
#[async_trait]
pub trait SeatsOffice: Send + Sync {
    /// What the table believes, page by page; `from` is 0, then the last page's `next`. What is there all the time is shown at
    /// least once.
    async fn beliefs(&self, from: u64) -> Result<BeliefPage, SeatsUnavailable>;

    /// Drops all that is believed of these things, tokens included: they are loaded again when they are asked for.
    async fn drop_beliefs(&self, things: &[StockKey]) -> Result<(), SeatsUnavailable>;
}
