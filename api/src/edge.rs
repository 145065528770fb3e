//! The outermost layer: every request gets an id, a trace, a place, a time limit and a count, and every answer, even to a
//! panic, is a proper one.

use crate::{
    context::ApiContext,
    dialects::{Callback, Heard},
    problem::Problem,
    trace::TraceParent,
};
use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use http::{HeaderName, HeaderValue, Method};
use std::{panic::AssertUnwindSafe, time::Duration};
use tokio::time::{Instant, timeout};

/// In every response.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// How long a request may take.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// How long a request may take that can ask to wait: 60 s of it are the client's.
const TIME_LIMIT_WAITING: Duration = Duration::from_secs(75);
const UNMATCHED: &str = "unmatched";

/// The layer.
pub async fn edge(State(ctx): State<ApiContext>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let trace = TraceParent::of(request.headers(), ctx.entropy());
    let id = format!("req_{}", ctx.entropy().ulid(ctx.clock().now()));
    request.extensions_mut().insert(trace);
    let callback = Callback::of(request.uri());
    let heard = Heard::of(&mut request);
    let response = bounded(&ctx, &method, &id, request, next).await;
    let mut response = match heard {
        Some(heard) => heard.answer(response, &id),
        None => response,
    };
    if let Some(callback) = callback {
        response = callback.wrap(response);
    }
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let route = route.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
    ctx.series().count(route, known(&method), response.status().as_u16(), started.elapsed());
    response
}

async fn bounded(ctx: &ApiContext, method: &Method, id: &str, request: Request, next: Next) -> Response {
    let Ok(_place) = ctx.in_flight().try_acquire() else {
        return Problem::Overloaded { retry_after: Duration::from_secs(1) }.into_response();
    };
    let path = request.uri().path();
    let may_wait = method == Method::GET && path.starts_with("/v1/checkouts/");
    let limit = if may_wait { TIME_LIMIT_WAITING } else { TIME_LIMIT };
    match timeout(limit, AssertUnwindSafe(next.run(request)).catch_unwind()).await {
        Ok(Ok(response)) => {
            if response.status().is_server_error() {
                tracing::warn!(request = id, status = response.status().as_u16(), "answered with a server error");
            }
            response
        }
        Ok(Err(_panic)) => {
            tracing::error!(request = id, "a handler panicked");
            metrics::counter!("boxoffice_api_panics_total").increment(1);
            Problem::Internal.into_response()
        }
        Err(_) => {
            tracing::warn!(request = id, "a request took too long");
            Problem::TimedOut.into_response()
        }
    }
}

/// A client can make up methods; it cannot make up series.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
