//! `/v1/checkouts/{id}/refunds`, `/v1/refunds/{id}`: giving back what was sold.

use crate::{
    auth::{Admin, Caller, CheckoutsRead, CheckoutsWrite},
    bounds,
    context::ApiContext,
    idempotency::IdempotencyKey,
    problem::Problem,
    respond::{List, first_answer, first_answer_again, json},
    routes::{checkouts::read, paths::Known, preferred_wait::PreferredWait},
    strict::Strict,
    trace::TraceParent,
    waiting::Interest,
};
use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use boxoffice_common::{
    domain::{
        ends::Verdict,
        id::{CheckoutId, LineId, RefundId},
        money::Amount,
        refund::{Refund, RefundAsk, RefundStatus, Refusal},
        refund_view::RefundView,
        scope::Scope,
    },
    ports::store::{NewRefund, RefundResult, ResolveResult},
};
use http::StatusCode;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Where refunds are looked up.
const FOLDER: &str = "/v1/refunds";
/// The most lines of a refund: as many as a checkout can have.
const MAX_LINES: usize = 100;
/// The longest reason, characters.
const MAX_REASON: usize = 500;

/// The routes.
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().routes(routes!(refund, refunds)).routes(routes!(get)).routes(routes!(resolve_refund))
}

/// What to give back. `{}`: everything that is left.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateRefund {
    /// Minor units; all that is left, or what the lines came to, when left out. 0 frees places that an earlier refund has kept.
    amount: Option<Amount>,
    /// Ids of lines of the checkout, each given back once.
    #[serde(default)]
    lines: Option<Vec<LineId>>,
    /// For people.
    reason: Option<String>,
    /// Whether the places come free when the money is back. Left out: yes, unless it is a part that names no line.
    release_seats: Option<bool>,
    /// That the credits which paid for places that come free stay used: the customer came off too late, say. Not without places that do.
    #[serde(default)]
    keep_credits: bool,
    /// That money is meant which came too late and whose refund was refused, or came back: all of it, and nothing of the sale. Of a
    /// checkout that sold nothing it need not be said.
    #[serde(default)]
    late_payment: bool,
}

impl CreateRefund {
    fn into_ask(self) -> Result<RefundAsk, Problem> {
        // Nothing, to free places that an earlier refund has kept.
        let least = Amount::from_minor(i64::from(self.release_seats != Some(true)));
        if self.amount.is_some_and(|amount| amount < least || amount > Amount::MAX) {
            return Err(Problem::invalid("amount", "is at least 1 minor unit, or 0 with release_seats"));
        }
        if self.lines.as_ref().is_some_and(|lines| lines.is_empty() || lines.len() > MAX_LINES) {
            return Err(Problem::invalid("lines", format!("has 1 to {MAX_LINES} ids")));
        }
        bounds::optional(self.reason.as_ref(), MAX_REASON, "reason")?;
        let Self { amount, reason, release_seats, keep_credits, late_payment, lines } = self;
        Ok(RefundAsk { amount, lines: lines.unwrap_or_default(), reason, release_seats, keep_credits, late_payment })
    }
}

/// Gives back what was paid, whole, in part or by line, to where it came from: 202 once it is durable.
#[utoipa::path(
    post,
    path = "/v1/checkouts/{id}/refunds",
    tag = "refunds",
    params(
        ("id" = CheckoutId, Path, description = "The checkout's id"),
        ("Idempotency-Key" = String, Header, description = "1 to 255 visible ASCII characters, quoted or not"),
    ),
    request_body = CreateRefund,
    responses(
        (status = 202, description = "Durable: `pending` at the provider, or `succeeded` where none is asked. The same key and body again get this answer again, with `Idempotent-Replayed: true`", body = RefundView, headers(("Location" = String), ("Idempotent-Replayed" = bool))),
        (status = 404, description = "No such checkout"),
        (status = 409, description = "`not_refundable`: only a checkout that has succeeded is given back, and late money of one that has ended otherwise"),
        (status = 422, description = "`refund_exceeds_paid`, an unknown line, or a key that was used with another body"),
    ),
)]
async fn refund(
    caller: Caller<CheckoutsWrite>,
    Known(checkout): Known<CheckoutId>,
    key: IdempotencyKey,
    State(ctx): State<ApiContext>,
    Extension(trace): Extension<TraceParent>,
    body: Strict<CreateRefund>,
) -> Result<Response, Problem> {
    let idempotency = key.with_body(body.hash);
    let ask = body.value.into_ask()?;
    let id = RefundId::generate(ctx.entropy(), ctx.clock().now());
    let new = NewRefund { id, scope: caller.scope().clone(), checkout, ask, idempotency };
    match ctx.store().refund(&new).await? {
        RefundResult::Created { answer, moved } => {
            if let Some(moved) = moved {
                ctx.after(moved, trace.as_str()).await;
            }
            Ok(first_answer(answer, Some(FOLDER)))
        }
        RefundResult::Replayed(answer) => Ok(first_answer_again(answer, Some(FOLDER))),
        RefundResult::KeyReused => Err(Problem::IdempotencyKeyReused),
        RefundResult::Refused(Refusal::Refused(error)) => Err(error.into()),
        RefundResult::Refused(Refusal::NotSold(status)) => {
            let detail = format!("only a checkout that has succeeded is given back; this one is {status}");
            Err(Problem::Conflict { code: "not_refundable", detail, param: None })
        }
        RefundResult::Missing => Err(Problem::NotFound),
    }
}

/// What an operator found out, and how.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ResolveRefund {
    outcome: Outcome,
    /// Which of its `parts`, counted from 0. Needed where more than one could be meant: each has its own provider's answer.
    #[serde(default)]
    part: Option<u8>,
    #[serde(default)]
    note: Option<String>,
}

/// Whether the money went back.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RefundOutcome)]
enum Outcome {
    Succeeded,
    Failed,
}

/// Ends a refund that needs review, as an operator says; or takes back one of which the provider said that it had succeeded, and which then
/// failed there. The same words again are answered as they were the first time.
#[utoipa::path(
    post,
    path = "/v1/refunds/{id}/resolve",
    tag = "refunds",
    params(("id" = RefundId, Path, description = "The id")),
    request_body = ResolveRefund,
    responses(
        (status = 200, description = "Decided, now or by the same words before", body = RefundView),
        (status = 404, description = "Not there"),
        (status = 409, description = "`not_in_review`: it neither needs review nor is `succeeded` at a provider and said to have failed, or it was resolved otherwise or with another note; `which_part`: more than one of its parts could be meant, name one"),
    ),
)]
async fn resolve_refund(
    caller: Caller<Admin>,
    Known(id): Known<RefundId>,
    State(ctx): State<ApiContext>,
    Extension(trace): Extension<TraceParent>,
    Strict { value: body, .. }: Strict<ResolveRefund>,
) -> Result<Response, Problem> {
    bounds::optional(body.note.as_ref(), 1_000, "note")?;
    let verdict = match body.outcome {
        Outcome::Succeeded => Verdict::Succeeded,
        Outcome::Failed => Verdict::Failed,
    };
    match ctx
        .store()
        .resolve_refund(caller.scope(), &id, body.part.map(usize::from), verdict, body.note.as_deref().unwrap_or_default())
        .await?
    {
        ResolveResult::Resolved(moved) => ctx.after(moved, trace.as_str()).await,
        ResolveResult::Already => {}
        ResolveResult::NotInReview => {
            let detail = "only a refund in needs_review is resolved, or one that a provider gave back and that failed after all".to_owned();
            return Err(Problem::Conflict { code: "not_in_review", detail, param: None });
        }
        ResolveResult::WhichPart => {
            let detail = "more than one of its parts could be meant, and each has its own provider's answer: name one".to_owned();
            return Err(Problem::Conflict { code: "which_part", detail, param: Some("part") });
        }
        ResolveResult::Missing => return Err(Problem::NotFound),
    }
    let refund = ctx.store().refund_by_id(caller.scope(), &id).await?.ok_or(Problem::NotFound)?;
    Ok(json(StatusCode::OK, &RefundView::from(&refund)))
}

/// The refunds of a checkout that were asked for, oldest first.
#[utoipa::path(
    get,
    path = "/v1/checkouts/{id}/refunds",
    tag = "refunds",
    params(("id" = CheckoutId, Path, description = "The checkout's id")),
    responses(
        (status = 200, description = "At most 100", body = List<RefundView>),
        (status = 404, description = "Not there"),
    ),
)]
async fn refunds(caller: Caller<CheckoutsRead>, Known(id): Known<CheckoutId>, State(ctx): State<ApiContext>) -> Result<Response, Problem> {
    read(&ctx, caller.scope(), &id).await?;
    let refunds = ctx.store().refunds(caller.scope(), &id).await?;
    Ok(List::whole(refunds.iter().map(RefundView::from).collect()).into_response())
}

/// One refund.
#[utoipa::path(
    get,
    path = "/v1/refunds/{id}",
    tag = "refunds",
    params(
        ("id" = RefundId, Path, description = "The id"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: answer when it is not `pending` any more, or after N seconds (60 at most)"),
    ),
    responses(
        (status = 200, description = "The refund", body = RefundView, headers(("Preference-Applied" = String))),
        (status = 404, description = "Not there"),
    ),
)]
async fn get(
    caller: Caller<CheckoutsRead>,
    Known(id): Known<RefundId>,
    wait: PreferredWait,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    let mut refund = look(&ctx, caller.scope(), &id).await?;
    if let PreferredWait(Some(wait)) = wait
        && refund.status == RefundStatus::Pending
    {
        refund = ended(&ctx, caller.scope(), &refund, Instant::now() + wait).await?;
    }
    Ok(wait.applied(json(StatusCode::OK, &RefundView::from(&refund))))
}

/// One refund of this scope.
pub(crate) async fn look(ctx: &ApiContext, scope: &Scope, id: &RefundId) -> Result<Refund, Problem> {
    ctx.store().refund_by_id(scope, id).await?.ok_or(Problem::NotFound)
}

/// The same once it is not pending any more, or as it is at the deadline. Whatever becomes of a refund is announced as news of its
/// checkout.
pub(crate) async fn ended(ctx: &ApiContext, scope: &Scope, refund: &Refund, deadline: Instant) -> Result<Refund, Problem> {
    // When too many wait already: as it is now.
    let Some(ticket) = ctx.waiters().register(&refund.checkout, Interest::Any) else { return look(ctx, scope, &refund.id).await };
    let mut is_over = false;
    loop {
        let refund = look(ctx, scope, &refund.id).await?;
        if is_over || refund.status != RefundStatus::Pending {
            return Ok(refund);
        }
        let woken = ctx.shutdown().run_until_cancelled(ticket.woken());
        is_over = !matches!(timeout_at(deadline, woken).await, Ok(Some(())));
    }
}
