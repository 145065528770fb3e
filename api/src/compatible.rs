//! Which of a customer's memberships pay for a cart, by the rules of a sale.

use crate::{
    intake::{Buyer, Intake},
    problem::Problem,
};
use boxoffice_common::{
    domain::{
        bought_membership::Credited,
        catalogue::Kind,
        id::{CatalogueId, CustomerId},
        incompatibility::Incompatibility,
        pricing::{Cart, Shelf},
        redeem::{self, Redeeming, Whose},
        scope::Scope,
    },
    ports::store::PageRequest,
};
use std::sync::Arc;

/// The most memberships of a customer that are looked at.
const MAX_LOOKED_AT: usize = 1_000;
/// As many as a page has.
const PAGE: u32 = 100;

impl Intake {
    /// What there is of these in the catalogue, now.
    pub(crate) async fn shelf(&self, scope: &Arc<Scope>, things: Vec<(Kind, CatalogueId)>) -> Result<Arc<Shelf>, Problem> {
        Ok(self.shelves.load(scope, things).await?)
    }

    /// Each membership that a customer has, and why it would pay for nothing of this cart; nothing where it would. At most the first 1,000
    /// by id. Errors: those of a quote.
    pub(crate) async fn compatible(
        &self,
        scope: &Arc<Scope>,
        cart: &Cart,
        customer: &CustomerId,
    ) -> Result<Vec<(Credited, Option<Incompatibility>)>, Problem> {
        let now = self.clock.now();
        let (priced, shelf) = self.priced(scope, cart, Some(&Buyer::Known(customer.clone())), now).await?;
        let mut bought = Vec::new();
        let mut after = None;
        loop {
            let page = self.store.bought_of(scope, customer, &PageRequest { limit: PAGE, after }).await?;
            bought.extend(page.data);
            after = page.next_cursor;
            if after.is_none() || bought.len() >= MAX_LOOKED_AT {
                break;
            }
        }
        let on = Redeeming { lines: &priced.lines, sessions: &shelf.sessions, bought: &[], buyer: Whose::Known(customer), now };
        let told = |credited: Credited| {
            let why = redeem::incompatibility(&credited.bought, credited.left(), &on);
            (credited, why)
        };
        Ok(bought.into_iter().map(told).collect())
    }
}
