//! `GET /sandbox/charges`: the sandbox provider's own book, for test keys.

use crate::{
    auth::{Caller, CheckoutsRead},
    context::ApiContext,
    problem::Problem,
    respond::json,
    strict::Query,
};
use axum::{Router, extract::State, response::Response, routing};
use boxoffice_common::domain::id::CheckoutId;
use http::StatusCode;
use serde::Deserialize;

/// The routes.
pub fn router() -> Router<ApiContext> {
    Router::new().route("/sandbox/charges", routing::get(charges))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reference {
    reference: CheckoutId,
}

/// The charges of a checkout in the provider's book. The book knows no tenants, so we look whose checkout it is.
async fn charges(
    caller: Caller<CheckoutsRead>,
    Query(Reference { reference }): Query<Reference>,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    if caller.scope().is_live() {
        return Err(Problem::NotFound);
    }
    let book = ctx.sandbox().ok_or(Problem::NotFound)?;
    crate::routes::checkouts::read(&ctx, caller.scope(), &reference).await?;
    let charges = book.charges(reference.as_str()).await.map_err(|error| {
        tracing::warn!(%error, "the sandbox book cannot be read");
        Problem::Unavailable
    })?;
    Ok(json(StatusCode::OK, &charges))
}
