//! Places that are offered to a member who waited for them: that member's own checkout takes them.

use crate::{context::ApiContext, problem::Problem};
use boxoffice_common::domain::{
    id::{CatalogueId, CustomerId},
    pricing::{Cart, CartItem},
    scope::Scope,
};

/// Names the member's open offers in the lines that ask for just what is offered.
pub(super) async fn take(ctx: &ApiContext, scope: &Scope, member: &CustomerId, cart: &mut Cart) -> Result<(), Problem> {
    let session_of = |item: &CartItem| if let CartItem::Session { session, .. } = item { Some(session.clone()) } else { None };
    let sessions: Vec<CatalogueId> = cart.lines.iter().filter_map(|line| session_of(&line.item)).collect();
    let mut open = ctx.store().open_offers(scope, member, &sessions).await?;
    for line in &mut cart.lines {
        let quantity = line.quantity;
        let CartItem::Session { session, seats, offer, .. } = &mut line.item else { continue };
        let Some(at) = open.iter().position(|entry| entry.is_for(session, quantity, &entry.seats)) else { continue };
        // A second line for the same session is bought beside it.
        let entry = open.swap_remove(at);
        (*offer, *seats) = (Some(entry.id), entry.seats);
    }
    Ok(())
}
