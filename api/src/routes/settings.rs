//! `/v1/settings`: how a tenant presents itself, and where its days are counted.

use crate::{
    auth::{Admin, AnyKey, Caller},
    bounds,
    context::ApiContext,
    problem::Problem,
    respond::{etag, is_known, json},
    strict::Strict,
};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use boxoffice_common::{
    domain::settings::{MAX_NAME, Settings},
    ports::store::StoredSettings,
};
use http::{HeaderMap, StatusCode, header};
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
    if is_known(&headers, stored.version) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag(stored.version))]).into_response());
    }
    Ok(show(&stored))
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
    Ok(show(&stored))
}

fn show(stored: &StoredSettings) -> Response {
    let mut response = json(StatusCode::OK, &stored.settings);
    response.headers_mut().insert(header::ETAG, etag(stored.version));
    response
}
