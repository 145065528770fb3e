//! `GET /v1/checkouts/{id}`: at once, when it changed, or when it is settled.

use crate::{
    auth::{Caller, CheckoutsRead},
    context::ApiContext,
    problem::Problem,
    respond::{json, unless_known},
    routes::{paths::Known, preferred_wait::PreferredWait},
    waiting::{Interest, is_settled},
};
use axum::{extract::State, response::Response};
use boxoffice_common::domain::{checkout::Checkout, id::CheckoutId, scope::Scope, view::CheckoutView};
use http::{HeaderMap, StatusCode};
use tokio::time::{Instant, timeout_at};

/// One checkout: at once, or with `Prefer: wait=N` when it is settled (it has ended, or a customer or an operator has to act).
#[utoipa::path(
    get,
    path = "/v1/checkouts/{id}",
    tag = "checkouts",
    params(
        ("id" = CheckoutId, Path, description = "The id"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: answer when it is settled, or after N seconds (60 at most)"),
        ("If-None-Match" = Option<String>, Header, description = "Versions that the client has"),
    ),
    responses(
        (status = 200, description = "The checkout; its version is the ETag", body = CheckoutView, headers(("ETag" = String), ("Preference-Applied" = String))),
        (status = 304, description = "The version in `If-None-Match` is the newest"),
        (status = 404, description = "Not there"),
    ),
)]
pub async fn get(
    caller: Caller<CheckoutsRead>,
    Known(id): Known<CheckoutId>,
    wait: PreferredWait,
    headers: HeaderMap,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    let checkout = match wait.0 {
        None => read(&ctx, caller.scope(), &id).await?,
        Some(wait) => settled(&ctx, caller.scope(), &id, Instant::now() + wait).await?,
    };
    let view = || CheckoutView::new(&checkout, ctx.estimate_for(&checkout)).with_forms(&checkout);
    Ok(wait.applied(unless_known(&headers, checkout.version, || json(StatusCode::OK, &view()))))
}

/// A checkout of this scope; what is another's is not there.
pub async fn read(ctx: &ApiContext, scope: &Scope, id: &CheckoutId) -> Result<Checkout, Problem> {
    let checkout = ctx.store().checkout(id).await?;
    checkout.filter(|checkout| checkout.scope == *scope).ok_or(Problem::NotFound)
}

/// The same once it is settled, or as it is at the deadline. When too many wait already, as it is now.
///
/// A checkout that was accepted here and not announced since is not looked at first: the announcement, which cannot come
/// unheard after registering, leads to the only look that is needed.
pub(crate) async fn settled(ctx: &ApiContext, scope: &Scope, id: &CheckoutId, deadline: Instant) -> Result<Checkout, Problem> {
    let Some(ticket) = ctx.waiters().register(id, Interest::Settled) else { return read(ctx, scope, id).await };
    if !ctx.waiters().is_pending(id, scope) {
        let checkout = read(ctx, scope, id).await?;
        if is_settled(checkout.status) {
            return Ok(checkout);
        }
    }
    loop {
        let woken = ctx.shutdown().run_until_cancelled(ticket.woken());
        let is_over = !matches!(timeout_at(deadline, woken).await, Ok(Some(())));
        let checkout = read(ctx, scope, id).await?;
        if is_over || is_settled(checkout.status) {
            return Ok(checkout);
        }
    }
}
