//! Who may buy what, and whether there is any left: decided under the store's locks, one checkout after the other.

use super::{
    catalogue::{Kind, PromoCode, Session},
    checkout::Checkout,
    claim::{ClaimState, NewClaim, StockKey, StockLevel},
    customer::Customer,
    error::CodedError,
    id::CustomerId,
    scope::Scope,
    time::Timestamp,
};
use std::collections::{HashMap, HashSet};

/// What the store read for a batch, under its locks. Claims are taken out of it as they are decided.
#[derive(Debug, Default)]
pub struct World {
    /// The store's time.
    pub now: Timestamp,
    /// The sessions that the batch asks for.
    pub sessions: HashMap<StockKey, Session>,
    /// The promo codes that the batch asks for and that are counted.
    pub promo_codes: HashMap<StockKey, PromoCode>,
    /// What is left of each.
    pub stock: HashMap<StockKey, StockLevel>,
    /// Named seats with a live claim, of those that the batch asks for.
    pub taken_seats: HashSet<(StockKey, String)>,
    /// The customers of the batch.
    pub customers: HashMap<(Scope, CustomerId), Customer>,
    /// Places that customers of the batch have already, where a session limits them.
    pub owned: HashMap<(StockKey, CustomerId), u32>,
}

/// Checks every line and claims all that it wants, or nothing.
pub fn claim_everything(checkout: &Checkout, state: ClaimState, world: &mut World) -> Result<Vec<NewClaim>, CodedError> {
    let _ = (checkout, state, world, Kind::Session);
    Ok(Vec::new())
}
