//! `GET /sandbox/charges`: the sandbox provider's own book, for test keys.

use crate::{
    auth::{Caller, CheckoutsRead},
    context::ApiContext,
    problem::Problem,
    respond::json,
    strict::Query,
};
use axum::{extract::State, response::Response};
use boxoffice_common::domain::id::CheckoutId;
use http::StatusCode;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().routes(routes!(charges))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Reference {
    /// The checkout.
    reference: CheckoutId,
}

/// The charges of a checkout in the provider's book. The book knows no tenants, so we look whose checkout it is.
#[utoipa::path(
    get,
    path = "/sandbox/charges",
    tag = "sandbox",
    params(Reference),
    responses(
        (status = 200, description = "`{data: [{id, reference, idempotency_key, amount, currency, status, amount_refunded}]}`", body = serde_json::Value),
        (status = 404, description = "A live key, another's checkout, or no sandbox"),
    ),
)]
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
