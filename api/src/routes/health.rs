//! Whether this process is up, whether it can work, and what it counted.

use crate::{context::ApiContext, problem::Problem, respond::json};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde::Serialize;
use std::time::Duration;
use tokio::time::timeout;
use utoipa_axum::{router::OpenApiRouter, routes};

/// How long a dependency may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether a dependency answered: `ok`, or what went wrong in a word.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Readiness {
    status: &'static str,
    store: &'static str,
    queue: &'static str,
    seats: &'static str,
}

/// `/healthz`, `/readyz`, `/metrics`
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz)).routes(routes!(metrics))
}

/// The process is up.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "health",
    responses(
        (status = 200, description = "Up"),
    ),
)]
async fn healthz() -> Response {
    json(StatusCode::OK, &serde_json::json!({"status": "ok"}))
}

/// The store, the queue and the seat table answer, and the process is not about to stop. Without the seat table sales go
/// on, slower: it alone does not make the process unready.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    responses(
        (status = 200, description = "Ready", body = Readiness),
        (status = 503, description = "Not ready, or about to stop", body = Readiness),
    ),
)]
async fn readyz(State(ctx): State<ApiContext>) -> Response {
    let (store, queue, seats) =
        tokio::join!(timeout(PATIENCE, ctx.store().ping()), timeout(PATIENCE, ctx.queue().ping()), timeout(PATIENCE, ctx.seats().ping()));
    let word = |answered: bool| if answered { "ok" } else { "unavailable" };
    let is_stopping = ctx.shutdown().is_cancelled();
    let (store, queue, seats) = (matches!(store, Ok(Ok(()))), matches!(queue, Ok(Ok(()))), matches!(seats, Ok(Ok(()))));
    let (code, status) = match (is_stopping, store && queue) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        (false, true) => (StatusCode::OK, "ready"),
        (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "unready"),
    };
    json(code, &Readiness { status, store: word(store), queue: word(queue), seats: word(seats) })
}

/// Prometheus text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    responses(
        (status = 200, description = "Prometheus text format", content_type = "text/plain", body = String),
    ),
)]
async fn metrics(State(ctx): State<ApiContext>) -> Result<Response, Problem> {
    let handle = ctx.metrics().ok_or(Problem::NotFound)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render()).into_response())
}
