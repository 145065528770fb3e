//! A ticket as clients see it, and what is refused.

use crate::{context::ApiContext, problem::Problem, receipts::links::Keys, respond::json};
use axum::response::Response;
use boxoffice_common::{
    domain::{
        error::{Code, CodedError},
        id::{CatalogueId, CheckoutId, LineId, TicketId},
        scope::Scope,
        ticket::{Holder, Ticket, TicketAct, TicketRefusal, TicketStatus},
        ticket_code::TicketKey,
        time::Timestamp,
    },
    ports::store::{TicketAnswer, TicketChange},
};
use http::StatusCode;
use serde::Serialize;

/// The object `ticket`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Ticket)]
pub struct TicketView {
    id: TicketId,
    object: &'static str,
    checkout: CheckoutId,
    /// Of which line of the checkout.
    line: LineId,
    session: CatalogueId,
    /// What the session was called when it was sold.
    name: String,
    /// Where places have names.
    seat: Option<String>,
    status: TicketStatus,
    /// 1 as it was sold; grows when it is passed on.
    serial: u32,
    holder: Holder,
    /// What a QR code shows and a door verifies; none when it is void.
    code: Option<String>,
    /// A page with its QR code for whoever has the link; another one when it was passed on.
    url: String,
    /// The same for paper.
    pdf_url: String,
    admitted_at: Option<Timestamp>,
}

impl TicketView {
    /// Signs what opens a door.
    pub(crate) fn new(ctx: &ApiContext, ticket: Ticket, keys: &Keys) -> Self {
        let status = ticket.status();
        let code = (status != TicketStatus::Void).then(|| keys.code.code(&ticket));
        let (url, pdf_url) = keys.ticket(ctx, &ticket);
        let Ticket { id, checkout, line, session, name, seat, serial, holder, admitted_at, .. } = ticket;
        Self { id, object: "ticket", checkout, line, session, name, seat, status, serial, holder, code, url, pdf_url, admitted_at }
    }
}

/// The keys that verify what a tenant signs, the one that signs first; made when there is none.
pub async fn keys(ctx: &ApiContext, scope: &Scope) -> Result<Vec<TicketKey>, Problem> {
    let seeds = ctx.store().ticket_keys(scope, &TicketKey::new_seed(ctx.entropy())).await?;
    let keys: Result<Vec<TicketKey>, _> = seeds.iter().map(TicketKey::from_seed).collect();
    keys.map_err(|error| {
        tracing::error!(%scope, %error, "a ticket key cannot be used");
        Problem::Internal
    })
}

/// Lets something happen to a ticket, and shows it as it is then.
pub async fn change(ctx: &ApiContext, scope: &Scope, ticket: TicketId, act: TicketAct) -> Result<Response, Problem> {
    let token = ctx.entropy().ulid(ctx.clock().now());
    let change = TicketChange { scope: scope.clone(), ticket, act, token };
    match ctx.store().change_ticket(&change).await? {
        TicketAnswer::Changed(ticket) => {
            tracing::info!(ticket = %ticket.id, tenant = %scope, what = change.act.as_str(), "ticket");
            Ok(json(StatusCode::OK, &TicketView::new(ctx, *ticket, &Keys::of(ctx, scope).await?)))
        }
        TicketAnswer::Refused(refusal) => Err(problem(refusal)),
        TicketAnswer::Missing => Err(Problem::NotFound),
    }
}

fn problem(refusal: TicketRefusal) -> Problem {
    match refusal {
        TicketRefusal::OtherSession => Problem::Conflict {
            code: "ticket_other_session",
            detail: "this ticket is for another session".to_owned(),
            param: Some("session"),
        },
        TicketRefusal::Replaced => Problem::Conflict {
            code: "ticket_replaced",
            detail: "this ticket was passed on: only its newest code lets in".to_owned(),
            param: Some("code"),
        },
        TicketRefusal::Void => {
            Problem::Conflict { code: "ticket_void", detail: "the place of this ticket was given back".to_owned(), param: None }
        }
        TicketRefusal::AlreadyAdmitted(at) => Problem::AlreadyAdmitted { at },
        TicketRefusal::NotAdmitted => {
            Problem::Conflict { code: "ticket_not_admitted", detail: "nobody was let in with this ticket".to_owned(), param: None }
        }
        TicketRefusal::ChangedTooOften => Problem::Conflict {
            code: "ticket_changed_too_often",
            detail: "this ticket was checked in or passed on as often as it can be".to_owned(),
            param: None,
        },
        TicketRefusal::UnknownCustomer => CodedError::new(Code::ResourceMissing, "there is no such customer").at("customer").into(),
        TicketRefusal::Refused(error) => error.into(),
    }
}
