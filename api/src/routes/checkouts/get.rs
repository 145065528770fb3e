//! `GET /v1/checkouts/{id}`: at once, when it changed, or when it is settled.

use crate::{
    auth::{Caller, CheckoutsRead},
    context::ApiContext,
    problem::Problem,
    respond::{etag, is_known, json},
    routes::paths::Known,
    waiting::{Interest, is_settled},
};
use axum::{
    extract::{FromRequestParts, State},
    response::{IntoResponse, Response},
};
use boxoffice_common::domain::{checkout::Checkout, id::CheckoutId, scope::Scope, view::CheckoutView};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The longest wait.
const MAX_WAIT: Duration = Duration::from_secs(60);
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// `Prefer: wait=N` (RFC 7240), in whole seconds, 60 at most. What cannot be read is not preferred: preferences never fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreferredWait(Option<Duration>);

impl<S: Sync> FromRequestParts<S> for PreferredWait {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let texts = parts.headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        let mut waits = texts.flat_map(|text| text.split([',', ';'])).filter_map(|preference| {
            let (name, value) = preference.split_once('=')?;
            let seconds = value.trim().trim_matches('"').parse().ok()?;
            name.trim().eq_ignore_ascii_case("wait").then(|| Duration::from_secs(seconds).min(MAX_WAIT))
        });
        Ok(Self(waits.next()))
    }
}

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
    let PreferredWait(wait) = wait;
    let checkout = match wait {
        None => read(&ctx, caller.scope(), &id).await?,
        Some(wait) => settled(&ctx, caller.scope(), &id, Instant::now() + wait).await?,
    };
    let mut response = if is_known(&headers, checkout.version) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        json(StatusCode::OK, &CheckoutView::new(&checkout, ctx.estimate_for(&checkout)))
    };
    response.headers_mut().insert(header::ETAG, etag(checkout.version));
    if let Some(wait) = wait
        && let Ok(applied) = HeaderValue::try_from(format!("wait={}", wait.as_secs()))
    {
        response.headers_mut().insert(PREFERENCE_APPLIED, applied);
    }
    Ok(response)
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
async fn settled(ctx: &ApiContext, scope: &Scope, id: &CheckoutId, deadline: Instant) -> Result<Checkout, Problem> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_preferred_wait_is_read_and_bounded() {
        let read = async |prefer: &str| {
            let mut parts = http::Request::get("/").header("prefer", prefer).body(()).unwrap().into_parts().0;
            PreferredWait::from_request_parts(&mut parts, &()).await.unwrap().0.map(|wait| wait.as_secs())
        };
        assert_eq!((read("wait=10").await, read("respond-async, Wait = \"5\"").await), (Some(10), Some(5)));
        assert_eq!((read("wait=600").await, read("wait=0").await), (Some(60), Some(0)));
        assert_eq!((read("wait=soon").await, read("wait=-1").await, read("respond-async").await), (None, None, None));
    }
}
