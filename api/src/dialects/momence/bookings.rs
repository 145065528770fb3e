//! Bookings that are canceled, and members who wait for one.

use super::{
    AGAIN, DIALECT, Fault,
    fault::named,
    ids::{Id, meant, numbers},
};
use crate::{
    auth::{Caller, CheckoutsWrite},
    context::ApiContext,
    dialects::{customers, keyed::Keyed, sale::PATIENCE},
    idempotency::{IdempotencyKey, REPLAYED},
    problem::Problem,
    respond::json,
    routes::{checkouts::read, paths::Known, refunds},
    strict::Strict,
    trace::TraceParent,
};
use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use boxoffice_common::{
    domain::{
        catalogue::Kind,
        checkout::Checkout,
        error::{Code, CodedError},
        id::{CatalogueId, LineId, RefundId, TicketId, WaitingId},
        money::{Amount, MoneyError},
        refund::{self, Refund, RefundAsk, RefundStatus, Refusal},
        scope::Scope,
        ticket::Ticket,
    },
    ports::store::{IdempotencyRow, JoinResult, NewRefund, NewWaiting, Numbered, RefundResult},
};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::Instant;
use utoipa_axum::{router::OpenApiRouter, routes};

/// How long a place that comes free is offered to a member who waits.
const OFFER_FOR: Duration = Duration::from_secs(900);
/// The most memberships that one who waits may name.
const MAX_NAMED: usize = 50;

/// The routes.
pub(super) fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().routes(routes!(momence_cancel_booking)).routes(routes!(momence_join_waitlist))
}

/// How a booking is canceled. Left out, its place comes free, and nothing goes back.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MomenceCancelBooking)]
struct CancelRequest {
    /// Whether what paid for it goes back: money or credits. Left out, it does not: that can be made good later, and money that went
    /// cannot be fetched.
    #[serde(default)]
    refund: bool,
    /// No e-mail is sent here in any case; callbacks are.
    #[serde(default)]
    #[allow(dead_code, reason = "checked, and described")]
    disable_notifications: bool,
    /// Noted as the refund's reason.
    #[serde(default)]
    is_late_cancellation: bool,
}

/// Done.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MomenceCanceled)]
struct Canceled {}

/// Cancels a booking: its place comes free. The same again gets the same answer.
#[utoipa::path(
    delete,
    path = "/api/v2/host/session-bookings/{id}",
    tag = "momence",
    params(("id" = u64, Path, description = "The `sessionBookingId` of a checkout")),
    request_body(content = Option<CancelRequest>),
    responses(
        (status = 200, description = "Canceled, now or before", body = Canceled),
        (status = 400, description = "`err-booking-not-cancelable`: it was sold together with others, or some of it went back in a way that it cannot follow; `err-payment-failed`: the provider gives nothing back", body = Fault),
        (status = 404, description = "No such booking", body = Fault),
        (status = 503, description = "`err-cancel-pending`: what comes of its refund is not known yet, and its place is not free; ask again with the same request. Or a server that does not answer", body = Fault),
    ),
)]
async fn momence_cancel_booking(
    caller: Caller<CheckoutsWrite>,
    Known(id): Known<TicketId>,
    State(ctx): State<ApiContext>,
    Extension(trace): Extension<TraceParent>,
    body: Option<Strict<CancelRequest>>,
) -> Result<Response, Problem> {
    let asked = body.map(|body| body.value).unwrap_or_default();
    let booking = TicketId::parse(meant(&ctx, caller.scope(), Numbered::Booking, id.as_str()).await?).map_err(|_| Problem::NotFound)?;
    let ticket = ctx.store().ticket(caller.scope(), &booking).await?.ok_or(Problem::NotFound)?;
    Canceling { ctx: &ctx, scope: caller.scope(), ticket: &ticket, asked, trace: &trace }.cancel().await
}

/// Whose booking is canceled, and how.
struct Canceling<'c> {
    ctx: &'c ApiContext,
    scope: &'c Scope,
    ticket: &'c Ticket,
    asked: CancelRequest,
    trace: &'c TraceParent,
}

/// What is done where a line cannot be given back whole.
#[derive(Debug, PartialEq)]
enum Next {
    /// Its place is free, or comes free, by this refund.
    Look(RefundId),
    /// What is left of it goes back with its place; the place alone, where that is nothing.
    Ask(Amount),
}

/// Money that went back and left the place taken is no cancellation; nor is one whose refund failed.
fn next(checkout: &Checkout, line: &LineId, gives_back: bool) -> Result<Next, MoneyError> {
    let left = if gives_back { refund::left_of(checkout, line)? } else { Amount::ZERO };
    // Whoever freed it for some of its money has said how much goes back.
    let is_all = |refund: &&Refund| refund.status != RefundStatus::Succeeded || !refund.amount.is_zero() || left.is_zero();
    Ok(refund::freeing(checkout, line).filter(is_all).map_or(Next::Ask(left), |refund| Next::Look(refund.id.clone())))
}

impl Canceling<'_> {
    /// A refund of its line: of all that paid for it, or of nothing.
    async fn cancel(&self) -> Result<Response, Problem> {
        let checkout = read(self.ctx, self.scope, &self.ticket.checkout).await?;
        let is_alone = checkout.order.lines.iter().any(|line| line.id == self.ticket.line && line.quantity == 1);
        if !is_alone {
            return Err(named("err-booking-not-cancelable", "id", "its place was sold together with others: give them back under /v1"));
        }
        let (what, amount) = if self.asked.refund { ("refund", None) } else { ("release", Some(Amount::ZERO)) };
        let refund = match self.ask(what, amount).await? {
            Ok(id) => id,
            Err(error) if error.code == Code::RefundExceedsPaid => self.rest().await?,
            Err(error) => return Err(error.into()),
        };
        let refund = refunds::look(self.ctx, self.scope, &refund).await?;
        // Its place comes free with the money.
        let refund = match refund.status {
            RefundStatus::Pending => refunds::ended(self.ctx, self.scope, &refund, Instant::now() + PATIENCE).await?,
            RefundStatus::Succeeded | RefundStatus::Failed | RefundStatus::NeedsReview => refund,
        };
        came_to(refund)
    }

    /// It went back before, or some of it did.
    async fn rest(&self) -> Result<RefundId, Problem> {
        let refunds = self.ctx.store().refunds(self.scope, &self.ticket.checkout).await?;
        let checkout = Checkout { refunds, ..read(self.ctx, self.scope, &self.ticket.checkout).await? };
        let left = match next(&checkout, &self.ticket.line, self.asked.refund).map_err(|_| Problem::Internal)? {
            Next::Look(id) => return Ok(id),
            Next::Ask(left) => left,
        };
        let what = if left.is_zero() { "place" } else { "rest" };
        let refused = |error: CodedError| named("err-booking-not-cancelable", "id", format!("give it back under /v1: {}", error.message));
        self.ask(what, Some(left)).await?.map_err(refused)
    }

    async fn ask(&self, what: &str, amount: Option<Amount>) -> Result<Result<RefundId, CodedError>, Problem> {
        let Self { ctx, scope, ticket, .. } = self;
        // What a provider refused is asked for anew; anything else is done once.
        let is_its = |refund: &&Refund| refund.lines.contains(&ticket.line);
        let refunds = ctx.store().refunds(scope, &ticket.checkout).await?;
        let refused = refunds.iter().filter(is_its).filter(|refund| refund.status == RefundStatus::Failed).count();
        let ask = RefundAsk {
            amount,
            lines: vec![ticket.line.clone()],
            reason: Some(if self.asked.is_late_cancellation { "canceled late" } else { "canceled" }.to_owned()),
            release_seats: Some(true),
            keep_credits: !self.asked.refund,
            late_payment: false,
        };
        let route = format!("momence DELETE /api/v2/host/session-bookings/{}", ticket.id);
        let idempotency = IdempotencyRow { route, key: format!("{what}-{refused}"), body_hash: String::new() };
        let id = RefundId::generate(ctx.entropy(), ctx.clock().now());
        let new = NewRefund { id, scope: Scope::clone(scope), checkout: ticket.checkout.clone(), ask, idempotency };
        let answer = match ctx.store().refund(&new).await? {
            RefundResult::Created { answer, moved } => {
                if let Some(moved) = moved {
                    ctx.after(moved, self.trace.as_str()).await;
                }
                answer
            }
            RefundResult::Replayed(answer) => answer,
            RefundResult::Refused(Refusal::Refused(error)) => return Ok(Err(error)),
            RefundResult::Refused(Refusal::NotSold(_)) | RefundResult::Missing | RefundResult::KeyReused => return Err(Problem::NotFound),
        };
        RefundId::parse(answer.object).map(Ok).map_err(|_| Problem::Internal)
    }
}

/// Canceled is what has given its place back.
fn came_to(refund: Refund) -> Result<Response, Problem> {
    match refund.status {
        RefundStatus::Succeeded => Ok(json(StatusCode::OK, &Canceled {})),
        RefundStatus::Pending | RefundStatus::NeedsReview => {
            let message = "what comes of the refund is not known yet, and it goes on; ask again with the same request".to_owned();
            let mut response = json(StatusCode::SERVICE_UNAVAILABLE, &Fault { kind: "err-cancel-pending", message });
            response.headers_mut().insert(header::RETRY_AFTER, AGAIN);
            Ok(response)
        }
        RefundStatus::Failed => {
            let refused = || CodedError::new(Code::RefundRefused, "the provider gives nothing back");
            Err(refund.error.unwrap_or_else(refused).into())
        }
    }
}

/// Who waits.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MomenceJoinWaitlist)]
struct WaitRequest {
    #[schema(required = true)]
    member_id: Option<Id>,
    /// Read, and not kept: an offer is bought by a checkout, and that says how it is paid.
    #[serde(default)]
    use_bought_membership_ids: Option<Vec<Id>>,
}

/// On the list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MomenceWaitlistBooking)]
struct WaitlistBooking {
    waitlist_booking_id: u64,
}

/// Has a member wait for a place of a session that is full.
#[utoipa::path(
    post,
    path = "/api/v2/host/sessions/{id}/waitlist/bookings",
    tag = "momence",
    params(
        ("id" = u64, Path, description = "The session"),
        ("Idempotency-Key" = Option<String>, Header, description = "Left out, the same request is one with an earlier one that was not answered"),
    ),
    request_body = WaitRequest,
    responses(
        (status = 200, description = "On the list", body = WaitlistBooking),
        (status = 400, description = "`err-member-not-found`, `err-member-already-on-waitlist`, `err-waitlist-full`, `err-waitlist-not-allowed` (there is place), `err-customer-age-prevents-from-action`, `err-missing-customer-date-of-birth`, or one of the checkout's", body = Fault),
        (status = 404, description = "`err-session-not-found`", body = Fault),
    ),
)]
async fn momence_join_waitlist(
    caller: Caller<CheckoutsWrite>,
    Known(session): Known<CatalogueId>,
    key: Option<IdempotencyKey>,
    State(ctx): State<ApiContext>,
    body: Strict<WaitRequest>,
) -> Result<Response, Problem> {
    let member = body.value.member_id.ok_or_else(|| Problem::missing("memberId"))?;
    if body.value.use_bought_membership_ids.is_some_and(|ids| ids.len() > MAX_NAMED) {
        return Err(Problem::invalid("useBoughtMembershipIds", format!("has at most {MAX_NAMED} ids")));
    }
    let route = format!("momence POST /api/v2/host/sessions/{session}/waitlist/bookings");
    let keyed = Keyed::of(&ctx, caller.scope(), &route, key, body.hash).await?;
    match join(&ctx, caller.scope(), session, &member, &keyed.row).await {
        Ok(response) => keyed.answer(&ctx, true, response).await,
        Err(Problem::NotFound) => {
            let missing = Fault { kind: "err-session-not-found", message: "there is no such session".to_owned() };
            keyed.answer(&ctx, true, json(StatusCode::NOT_FOUND, &missing)).await
        }
        Err(problem) => keyed.answer(&ctx, true, DIALECT.retold(problem.into_response())).await,
    }
}

async fn join(ctx: &ApiContext, scope: &Scope, session: CatalogueId, member: &Id, row: &IdempotencyRow) -> Result<Response, Problem> {
    let missing = || named("err-member-not-found", "memberId", "there is no such member");
    let Some(customer) = customers::find(ctx, scope, member.as_str()).await?.and_then(|customer| customer.id) else {
        // Whoever finds neither is told of the session, which is not there for anybody.
        ctx.store().get(scope, Kind::Session, &session).await?.ok_or(Problem::NotFound)?;
        return Err(missing());
    };
    let new = NewWaiting {
        id: WaitingId::generate(ctx.entropy(), ctx.clock().now()),
        scope: scope.clone(),
        session,
        idempotency: Some(row.clone()),
        quantity: 1,
        customer,
        callback_url: None,
        offer_for: OFFER_FOR,
    };
    let (answer, replayed) = match ctx.store().join(&new).await? {
        JoinResult::Created(answer) => (answer, false),
        JoinResult::Replayed(answer) => (answer, true),
        JoinResult::KeyReused => return Err(Problem::IdempotencyKeyReused),
        JoinResult::Missing => return Err(Problem::NotFound),
        JoinResult::CustomerMissing => return Err(missing()),
        JoinResult::Refused(error) => return Err(error.into()),
        JoinResult::NotFull => return Err(named("err-waitlist-not-allowed", "id", "there is place: book it")),
        JoinResult::AlreadyThere(_) => {
            return Err(named("err-member-already-on-waitlist", "memberId", "waits already, or is offered a place"));
        }
        JoinResult::ListFull => return Err(named("err-waitlist-full", "id", "as many wait as may")),
    };
    let number = numbers(ctx, scope, Numbered::WaitingEntry, [answer.object.as_str()]).await?;
    let waitlist_booking_id = number.first().copied().ok_or(Problem::Internal)?;
    let mut response = json(StatusCode::OK, &WaitlistBooking { waitlist_booking_id });
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}
