//! What clients and operators do to a checkout: cancel, resolve; and what happened to it.

use super::get::read;
use crate::{
    auth::{Admin, Caller, CheckoutsRead, CheckoutsWrite},
    bounds,
    context::ApiContext,
    problem::Problem,
    respond::{List, etag, json},
    routes::paths::Known,
    strict::{NoFields, Query, Strict},
    trace::TraceParent,
};
use axum::{Extension, extract::State, response::Response};
use boxoffice_common::{
    domain::{checkout::Checkout, ends::Verdict, id::CheckoutId, scope::Scope, timeline::TimelineEntry, view::CheckoutView},
    ports::store::{CancelResult, ResolveResult},
};
use http::{StatusCode, header};
use serde::Deserialize;

/// Calls a checkout off: 200 when nothing was sent, 202 while a provider has still to confirm, 409 when it is too late.
#[utoipa::path(
    post,
    path = "/v1/checkouts/{id}/cancel",
    tag = "checkouts",
    params(("id" = CheckoutId, Path, description = "The id")),
    responses(
        (status = 200, description = "Canceled; nothing was sent", body = CheckoutView),
        (status = 202, description = "`reconciling`: the provider has still to confirm that it can take no money", body = CheckoutView),
        (status = 404, description = "Not there"),
        (status = 409, description = "`not_cancelable`: it has ended otherwise, or a charge was sent"),
    ),
)]
pub async fn cancel(
    caller: Caller<CheckoutsWrite>,
    Known(id): Known<CheckoutId>,
    State(ctx): State<ApiContext>,
    Extension(trace): Extension<TraceParent>,
    _: NoFields,
) -> Result<Response, Problem> {
    let (status, checkout) = call_off(&ctx, caller.scope(), &id, &trace).await?;
    Ok(show(status, &checkout, &ctx))
}

/// Calls it off, and says whether it is off (200) or somebody has still to confirm it (202).
pub(crate) async fn call_off(
    ctx: &ApiContext,
    scope: &Scope,
    id: &CheckoutId,
    trace: &TraceParent,
) -> Result<(StatusCode, Box<Checkout>), Problem> {
    let (status, checkout, moved) = match ctx.store().cancel(scope, id).await? {
        CancelResult::Canceled(checkout, moved) => (StatusCode::OK, checkout, moved),
        CancelResult::Closing(checkout, moved) => (StatusCode::ACCEPTED, checkout, moved),
        CancelResult::NotCancelable(checkout) => {
            let detail = format!("a checkout that is {} cannot be canceled", checkout.status);
            return Err(Problem::Conflict { code: "not_cancelable", detail, param: None });
        }
        CancelResult::Missing => return Err(Problem::NotFound),
    };
    if let Some(moved) = moved {
        ctx.after(moved, trace.as_str()).await;
    }
    Ok((status, checkout))
}

/// What an operator found out about a checkout that needs review.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resolve {
    outcome: Outcome,
    #[serde(default)]
    note: Option<String>,
}

/// Whether the money is ours.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Succeeded,
    Failed,
}

/// Ends a checkout that needs review, as an operator says. The same words again are answered as they were the first time.
#[utoipa::path(
    post,
    path = "/v1/checkouts/{id}/resolve",
    tag = "checkouts",
    params(("id" = CheckoutId, Path, description = "The id")),
    request_body = Resolve,
    responses(
        (status = 200, description = "Ended, now or by the same words before", body = CheckoutView),
        (status = 404, description = "Not there"),
        (status = 409, description = "`not_in_review`: it does not need review, or was resolved otherwise or with another note"),
    ),
)]
pub async fn resolve(
    caller: Caller<Admin>,
    Known(id): Known<CheckoutId>,
    State(ctx): State<ApiContext>,
    Extension(trace): Extension<TraceParent>,
    Strict { value: body, .. }: Strict<Resolve>,
) -> Result<Response, Problem> {
    bounds::optional(body.note.as_ref(), 1_000, "note")?;
    let before = read(&ctx, caller.scope(), &id).await?;
    let verdict = match body.outcome {
        Outcome::Succeeded => Verdict::Succeeded,
        Outcome::Failed => Verdict::Failed,
    };
    match ctx.store().resolve(caller.scope(), &id, verdict, body.note.as_deref().unwrap_or_default()).await? {
        ResolveResult::Resolved(moved) => ctx.after(moved, trace.as_str()).await,
        ResolveResult::Already => {}
        ResolveResult::NotInReview | ResolveResult::WhichPart => {
            let detail = format!("only a checkout in needs_review can be resolved; this one is {}", before.status);
            return Err(Problem::Conflict { code: "not_in_review", detail, param: None });
        }
        ResolveResult::Missing => return Err(Problem::NotFound),
    }
    Ok(show(StatusCode::OK, &read(&ctx, caller.scope(), &id).await?, &ctx))
}

/// Where to go on in a list of which a page is as long as it is.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FromCursor {
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Everything that happened to a checkout, oldest first.
#[utoipa::path(
    get,
    path = "/v1/checkouts/{id}/timeline",
    tag = "checkouts",
    params(("id" = CheckoutId, Path, description = "The id"), FromCursor),
    responses(
        (status = 200, description = "About 1,000 entries; `next_cursor` leads to more", body = List<TimelineEntry>),
        (status = 404, description = "Not there"),
    ),
)]
pub async fn timeline(
    caller: Caller<CheckoutsRead>,
    Known(id): Known<CheckoutId>,
    query: Query<FromCursor>,
    State(ctx): State<ApiContext>,
) -> Result<List<TimelineEntry>, Problem> {
    let after =
        query.0.cursor.map(|cursor| cursor.parse::<u32>().map_err(|_| Problem::invalid("cursor", "is the next_cursor of the page before")));
    read(&ctx, caller.scope(), &id).await?;
    Ok(List::of(ctx.store().timeline_page(&id, after.transpose()?.map(i64::from)).await?, |entry| entry))
}

fn show(status: StatusCode, checkout: &Checkout, ctx: &ApiContext) -> Response {
    let mut response = json(status, &CheckoutView::new(checkout, ctx.estimate_for(checkout)));
    response.headers_mut().insert(header::ETAG, etag(checkout.version));
    response
}
