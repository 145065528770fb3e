//! Passing a ticket on.

use super::view::{TicketView, change};
use crate::{
    auth::{Caller, CheckoutsWrite},
    bounds,
    context::ApiContext,
    problem::Problem,
    routes::paths::Known,
    strict::Strict,
};
use axum::{extract::State, response::Response};
use boxoffice_common::domain::{
    id::{CustomerId, TicketId},
    ticket::{Holder, TicketAct},
};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The longest name, characters: as long as a customer's.
const MAX_NAME: usize = 200;

/// The routes.
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().routes(routes!(transfer))
}

/// Who is to come: exactly one of `customer` and `holder`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Transfer {
    /// A customer.
    customer: Option<CustomerId>,
    /// Somebody who is no customer.
    holder: Option<NewHolder>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewHolder {
    name: String,
    email: Option<String>,
}

impl Transfer {
    fn into_holder(self) -> Result<Holder, Problem> {
        match (self.customer, self.holder) {
            (Some(customer), None) => Ok(Holder { customer: Some(customer), ..Holder::default() }),
            (None, Some(NewHolder { name, email })) => {
                bounds::text(&name, MAX_NAME, "holder.name")?;
                bounds::optional_email(email.as_ref(), "holder.email")?;
                Ok(Holder { customer: None, name: Some(name), email })
            }
            (None, None) => Err(Problem::missing("customer")),
            (Some(_), Some(_)) => Err(Problem::invalid("holder", "is given without customer, or not at all")),
        }
    }
}

/// Passes a ticket on to somebody else: it gets a new code, and the old one opens no door any more. The session's tag and ages hold for
/// the new holder as they do for a buyer.
#[utoipa::path(
    post,
    path = "/v1/tickets/{id}/transfer",
    tag = "tickets",
    params(("id" = TicketId, Path, description = "The id")),
    request_body = Transfer,
    responses(
        (status = 200, description = "With its new holder and code", body = TicketView),
        (status = 404, description = "Not there"),
        (status = 409, description = "`already_admitted`, `ticket_void` or `ticket_changed_too_often`"),
        (status = 422, description = "An unknown customer, or one to whom the session is not open: `access_restricted`, `age_restricted`, `date_of_birth_required`"),
    ),
)]
async fn transfer(
    caller: Caller<CheckoutsWrite>,
    Known(ticket): Known<TicketId>,
    State(ctx): State<ApiContext>,
    Strict { value: to, .. }: Strict<Transfer>,
) -> Result<Response, Problem> {
    change(&ctx, caller.scope(), ticket, TicketAct::Transfer(to.into_holder()?)).await
}
