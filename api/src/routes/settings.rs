//! `/v1/settings`: how a tenant presents itself, and where its days are counted.

use crate::{
    auth::{Admin, AnyKey, Caller},
    bounds,
    context::ApiContext,
    problem::Problem,
    respond::{json, unless_known, with_etag},
    strict::Strict,
};
use axum::{extract::State, response::Response};
use boxoffice_common::domain::settings::{MAX_NAME, Settings};
use http::{HeaderMap, StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().routes(routes!(get, put))
}

/// What is in force: the defaults until something is put.
#[utoipa::path(
    get,
    path = "/v1/settings",
    tag = "settings",
    responses(
        (status = 200, description = "The settings of this tenant and mode", body = Settings, headers(("ETag" = String))),
        (status = 304, description = "`If-None-Match` names them"),
    ),
)]
async fn get(caller: Caller<AnyKey>, headers: HeaderMap, State(ctx): State<ApiContext>) -> Result<Response, Problem> {
    let stored = ctx.store().settings(caller.scope()).await?;
    Ok(unless_known(&headers, stored.version, || json(StatusCode::OK, &stored.settings)))
}

/// Replaces all of them: what is left out is as if it had never been said.
#[utoipa::path(
    put,
    path = "/v1/settings",
    tag = "settings",
    request_body = Settings,
    responses(
        (status = 200, description = "In force", body = Settings, headers(("ETag" = String))),
    ),
)]
async fn put(
    caller: Caller<Admin>,
    State(ctx): State<ApiContext>,
    Strict { value: settings, .. }: Strict<Settings>,
) -> Result<Response, Problem> {
    bounds::optional(settings.name.as_ref(), MAX_NAME, "name")?;
    bounds::optional_email(settings.support_email.as_ref(), "support_email")?;
    settings.check(caller.scope().mode())?;
    let stored = ctx.store().put_settings(caller.scope(), &settings).await?;
    ctx.pages().put(caller.scope(), &stored.settings);
    Ok(with_etag(stored.version, json(StatusCode::OK, &stored.settings)))
}
