//! Making links to pages, and telling whether one is genuine.

use crate::{context::ApiContext, problem::Problem};
use boxoffice_common::domain::{id::CheckoutId, page_link::PageKey, scope::Scope, ticket::Ticket, ticket_code::TicketKey};

/// The keys of a tenant and mode: one that signs codes, and one for links.
pub(crate) struct Keys {
    pub(crate) code: TicketKey,
    pub(crate) page: PageKey,
}

impl Keys {
    /// Read from the store; made at their first use.
    pub(crate) async fn of(ctx: &ApiContext, scope: &Scope) -> Result<Self, Problem> {
        let seeds = ctx.store().ticket_keys(scope, &TicketKey::new_seed(ctx.entropy())).await?;
        // The newest signs. Links stay what they are: they follow from the oldest.
        let (Some(newest), Some(oldest)) = (seeds.first(), seeds.last()) else { return Err(Problem::Internal) };
        let code = TicketKey::from_seed(newest).map_err(|error| {
            tracing::error!(%scope, %error, "a ticket key cannot be used");
            Problem::Internal
        })?;
        Ok(Self { code, page: PageKey::from_seed(oldest) })
    }

    /// The page of a receipt, and the same as PDF.
    pub(crate) fn receipt(&self, ctx: &ApiContext, scope: &Scope, checkout: &CheckoutId) -> (String, String) {
        pair(ctx, "r", &self.page.receipt(scope, checkout))
    }

    /// The page of a ticket, and the same as PDF.
    pub(crate) fn ticket(&self, ctx: &ApiContext, ticket: &Ticket) -> (String, String) {
        pair(ctx, "t", &self.page.ticket(ticket))
    }
}

fn pair(ctx: &ApiContext, kind: &str, token: &str) -> (String, String) {
    let url = format!("{}/{kind}/{token}", ctx.config().public_url);
    let pdf = format!("{url}.pdf");
    (url, pdf)
}
