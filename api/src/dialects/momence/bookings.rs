//! Bookings that are canceled, and members who wait for one.

use super::{
    DIALECT, Fault,
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
        error::Code,
        id::{CatalogueId, RefundId, TicketId, WaitingId},
        money::Amount,
        refund::{Refund, RefundAsk, RefundStatus, Refusal},
        scope::Scope,
        ticket::Ticket,
    },
    ports::store::{IdempotencyRow, JoinResult, NewRefund, NewWaiting, Numbered, RefundResult},
};
use http::{HeaderValue, StatusCode};
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

/// How a booking is canceled. Left out, it is in time, and is given back.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MomenceCancelBooking)]
struct CancelRequest {
    /// Whether what paid for it goes back: money or credits. Left out, it does unless the cancellation is late.
    refund: Option<bool>,
    /// No e-mail is sent here in any case; callbacks are.
    #[serde(default)]
    #[allow(dead_code, reason = "checked, and described")]
    disable_notifications: bool,
    /// Nothing goes back, unless `refund` says so.
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
        (status = 400, description = "`err-booking-not-cancelable`: it was sold together with others; `err-payment-failed`: the provider gives nothing back", body = Fault),
        (status = 404, description = "No such booking", body = Fault),
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
    let gives_back = asked.refund.unwrap_or(!asked.is_late_cancellation);
    cancel(&ctx, caller.scope(), &ticket, gives_back, asked.is_late_cancellation, &trace).await?;
    Ok(json(StatusCode::OK, &Canceled {}))
}

/// A refund of its line: of all that paid for it, or of nothing.
async fn cancel(
    ctx: &ApiContext,
    scope: &Scope,
    ticket: &Ticket,
    gives_back: bool,
    is_late: bool,
    trace: &TraceParent,
) -> Result<(), Problem> {
    let checkout = read(ctx, scope, &ticket.checkout).await?;
    let is_alone = checkout.order.lines.iter().any(|line| line.id == ticket.line && line.quantity == 1);
    if !is_alone {
        return Err(named("err-booking-not-cancelable", "id", "its place was sold together with others: give them back under /v1"));
    }
    // What a provider refused is asked for anew; anything else is done once.
    let is_its = |refund: &&Refund| refund.lines.contains(&ticket.line);
    let refunds = ctx.store().refunds(scope, &ticket.checkout).await?;
    let refused = refunds.iter().filter(is_its).filter(|refund| refund.status == RefundStatus::Failed).count();
    let what = if gives_back { "refund" } else { "release" };
    let ask = RefundAsk {
        amount: (!gives_back).then_some(Amount::ZERO),
        lines: vec![ticket.line.clone()],
        reason: Some(if is_late { "canceled late" } else { "canceled" }.to_owned()),
        release_seats: Some(true),
        keep_credits: !gives_back,
        late_payment: false,
    };
    let route = format!("momence DELETE /api/v2/host/session-bookings/{}", ticket.id);
    let idempotency = IdempotencyRow { route, key: format!("{what}-{refused}"), body_hash: String::new() };
    let id = RefundId::generate(ctx.entropy(), ctx.clock().now());
    let new = NewRefund { id, scope: scope.clone(), checkout: ticket.checkout.clone(), ask, idempotency };
    let answer = match ctx.store().refund(&new).await? {
        RefundResult::Created { answer, moved } => {
            if let Some(moved) = moved {
                ctx.after(moved, trace.as_str()).await;
            }
            answer
        }
        RefundResult::Replayed(answer) => answer,
        // It went back before, in whatever way: that is what is wanted.
        RefundResult::Refused(Refusal::Refused(error)) if error.code == Code::RefundExceedsPaid => return Ok(()),
        RefundResult::Refused(Refusal::Refused(error)) => return Err(error.into()),
        RefundResult::Refused(Refusal::NotSold(_)) | RefundResult::Missing | RefundResult::KeyReused => return Err(Problem::NotFound),
    };
    let id = RefundId::parse(answer.object).map_err(|_| Problem::Internal)?;
    let refund = refunds::look(ctx, scope, &id).await?;
    // Its place comes free with the money.
    let refund = match refund.status {
        RefundStatus::Pending => refunds::ended(ctx, scope, &refund, Instant::now() + PATIENCE).await?,
        RefundStatus::Succeeded | RefundStatus::Failed | RefundStatus::NeedsReview => refund,
    };
    match refund.error.filter(|_| refund.status == RefundStatus::Failed) {
        Some(error) => Err(error.into()),
        None => Ok(()),
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
