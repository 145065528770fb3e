//! At the door: letting somebody in, and taking that back.

use super::view::{TicketView, change, keys};
use crate::{
    auth::{Caller, CheckoutsWrite},
    context::ApiContext,
    problem::Problem,
    routes::paths::Known,
    strict::{NoFields, Strict},
};
use axum::{extract::State, response::Response};
use boxoffice_common::domain::{
    error::{Code, CodedError},
    id::{CatalogueId, TicketId},
    ticket::TicketAct,
    ticket_code::verify,
};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().routes(routes!(check_in)).routes(routes!(undo))
}

/// Who stands at the door: exactly one of `code` and `ticket`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CheckIn {
    /// What the QR code says.
    code: Option<String>,
    /// The ticket's id, where it was picked from a list.
    ticket: Option<TicketId>,
    /// The session that this door leads to; a ticket for another one is refused.
    session: Option<CatalogueId>,
}

/// Lets the holder of a ticket in, once: of many that show it, one gets the 200.
#[utoipa::path(
    post,
    path = "/v1/check-ins",
    tag = "tickets",
    request_body = CheckIn,
    responses(
        (status = 200, description = "Admitted, just now and by this request", body = TicketView),
        (status = 404, description = "No such ticket"),
        (status = 409, description = "`already_admitted` (with `admitted_at`), `ticket_replaced`, `ticket_void`, `ticket_other_session` or `ticket_changed_too_often`"),
        (status = 422, description = "`ticket_code_invalid`: not one of this tenant's codes, or tampered with"),
    ),
)]
async fn check_in(
    caller: Caller<CheckoutsWrite>,
    State(ctx): State<ApiContext>,
    Strict { value: shown, .. }: Strict<CheckIn>,
) -> Result<Response, Problem> {
    let (ticket, serial) = match (shown.code, shown.ticket) {
        (Some(code), None) => {
            let public: Vec<_> = keys(&ctx, caller.scope()).await?.iter().map(|key| key.public()).collect();
            let invalid =
                |_| CodedError::new(Code::TicketCodeInvalid, "this is no ticket of this tenant, or it was tampered with").at("code");
            let claims = verify(&code, &public).map_err(invalid)?;
            (claims.ticket, Some(claims.serial))
        }
        (None, Some(ticket)) => (ticket, None),
        (None, None) => return Err(Problem::missing("code")),
        (Some(_), Some(_)) => return Err(Problem::invalid("ticket", "is given without code, or not at all")),
    };
    change(&ctx, caller.scope(), ticket, TicketAct::Admit { serial, session: shown.session }).await
}

/// Takes a check-in back that was a mistake: the ticket lets in again.
#[utoipa::path(
    post,
    path = "/v1/tickets/{id}/undo-check-in",
    tag = "tickets",
    params(("id" = TicketId, Path, description = "The id")),
    responses(
        (status = 200, description = "Valid again", body = TicketView),
        (status = 404, description = "Not there"),
        (status = 409, description = "`ticket_not_admitted` or `ticket_void`"),
    ),
)]
async fn undo(
    caller: Caller<CheckoutsWrite>,
    Known(ticket): Known<TicketId>,
    State(ctx): State<ApiContext>,
    _: NoFields,
) -> Result<Response, Problem> {
    change(&ctx, caller.scope(), ticket, TicketAct::UndoAdmission).await
}
