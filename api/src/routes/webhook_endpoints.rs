//! `/v1/webhook-endpoints…`: where events go, and the secrets that they are signed with.

use crate::{
    auth::{Admin, Caller},
    callback_address,
    context::ApiContext,
    problem::Problem,
    respond::{List, json},
    routes::{
        paging::Paging,
        paths::{Known, New},
    },
    strict::{NoFields, Query, Strict},
};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use boxoffice_common::{
    adapters::callback::signature::generate_secret,
    domain::{
        event::{EventFormat, EventType},
        id::{EndpointId, SpaceId},
        secret::Secret,
        time::Timestamp,
    },
    ports::store::{Endpoint, PutEndpoint as Put},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};
use utoipa_axum::{router::OpenApiRouter, routes};

/// After a rotation, the secret before signs along for so long.
const OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// The routes.
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(put, get, delete))
        .routes(routes!(rotate))
        .routes(routes!(default_secret))
        .routes(routes!(rotate_default))
}

/// Where events go.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct PutEndpoint {
    id: Option<EndpointId>,
    url: String,
    events: Vec<String>,
    #[serde(default = "yes")]
    enabled: bool,
    /// How events are written and signed.
    #[serde(default)]
    format: EventFormat,
    /// Only events of checkouts in this space.
    space: Option<SpaceId>,
}

fn yes() -> bool {
    true
}

/// An endpoint; `secret` only in the answer that made it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = WebhookEndpoint)]
struct EndpointView {
    id: EndpointId,
    url: String,
    events: Vec<String>,
    enabled: bool,
    format: EventFormat,
    space: Option<SpaceId>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    secret: Option<Secret<String>>,
}

impl From<Endpoint> for EndpointView {
    fn from(endpoint: Endpoint) -> Self {
        let Endpoint { id, url, events, enabled, format, space, created_at, updated_at } = endpoint;
        Self { id, url, events, enabled, format, space, created_at, updated_at, secret: None }
    }
}

/// A secret, shown to whoever may see it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = WebhookSecret)]
struct SecretView {
    #[schema(value_type = String)]
    secret: Secret<String>,
}

/// Creates (201, with its secret, shown once) or replaces (200, keeping its secret).
#[utoipa::path(
    put,
    path = "/v1/webhook-endpoints/{id}",
    tag = "webhooks",
    params(("id" = EndpointId, Path, description = "The id")),
    request_body = PutEndpoint,
    responses(
        (status = 201, description = "Created; the secret is shown this once", body = EndpointView),
        (status = 200, description = "Replaced", body = EndpointView),
    ),
)]
async fn put(
    caller: Caller<Admin>,
    New(id): New<EndpointId>,
    State(ctx): State<ApiContext>,
    Strict { value: body, .. }: Strict<PutEndpoint>,
) -> Result<Response, Problem> {
    if body.id.is_some_and(|other| other != id) {
        return Err(Problem::invalid("id", "is not the id in the path"));
    }
    callback_address::check(&body.url, ctx.config().allow_private_callbacks, "url")?;
    let events = check_events(body.events)?;
    let secret = generate_secret(ctx.entropy());
    let put = Put { id, url: body.url, events, enabled: body.enabled, format: body.format, space: body.space };
    let (endpoint, is_new) = ctx.store().put_endpoint(caller.scope(), &put, &secret).await?;
    let mut view = EndpointView::from(endpoint);
    view.secret = is_new.then_some(secret);
    Ok(json(if is_new { StatusCode::CREATED } else { StatusCode::OK }, &view))
}

/// `*` alone, or types that there are; each once, in a fixed order.
fn check_events(events: Vec<String>) -> Result<Vec<String>, Problem> {
    if events.is_empty() {
        return Err(Problem::invalid("events", "names at least one type, or *"));
    }
    if events.iter().any(|event| event == "*") {
        return if events.len() == 1 { Ok(events) } else { Err(Problem::invalid("events", "* stands alone")) };
    }
    for (index, event) in events.iter().enumerate() {
        if EventType::parse(event).is_none() {
            let known = EventType::ALL.map(EventType::as_str).join(", ");
            return Err(Problem::invalid(format!("events[{index}]"), format!("is one of {known}, or *")));
        }
    }
    Ok(events.into_iter().collect::<BTreeSet<_>>().into_iter().collect())
}

/// One.
#[utoipa::path(
    get,
    path = "/v1/webhook-endpoints/{id}",
    tag = "webhooks",
    params(("id" = EndpointId, Path, description = "The id")),
    responses(
        (status = 200, description = "The endpoint", body = EndpointView),
        (status = 404, description = "Not there"),
    ),
)]
async fn get(caller: Caller<Admin>, Known(id): Known<EndpointId>, State(ctx): State<ApiContext>) -> Result<Response, Problem> {
    let endpoint = ctx.store().endpoint(caller.scope(), &id).await?.ok_or(Problem::NotFound)?;
    Ok(json(StatusCode::OK, &EndpointView::from(endpoint)))
}

/// A page, by id.
#[utoipa::path(
    get,
    path = "/v1/webhook-endpoints",
    tag = "webhooks",
    params(Paging),
    responses(
        (status = 200, description = "A page", body = List<EndpointView>),
    ),
)]
async fn list(caller: Caller<Admin>, paging: Query<Paging>, State(ctx): State<ApiContext>) -> Result<List<EndpointView>, Problem> {
    let page = ctx.store().endpoints(caller.scope(), &paging.page()?).await?;
    Ok(List::of(page, EndpointView::from))
}

/// Removes one; deliveries under way go on.
#[utoipa::path(
    delete,
    path = "/v1/webhook-endpoints/{id}",
    tag = "webhooks",
    params(("id" = EndpointId, Path, description = "The id")),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "Not there"),
    ),
)]
async fn delete(caller: Caller<Admin>, Known(id): Known<EndpointId>, State(ctx): State<ApiContext>) -> Result<Response, Problem> {
    let was_there = ctx.store().delete_endpoint(caller.scope(), &id).await?;
    if was_there { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(Problem::NotFound) }
}

/// A new secret, shown once; the one before signs along for a day.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints/{id}/rotate-secret",
    tag = "webhooks",
    params(("id" = EndpointId, Path, description = "The id")),
    responses(
        (status = 200, description = "The new secret", body = SecretView),
        (status = 404, description = "Not there"),
    ),
)]
async fn rotate(
    caller: Caller<Admin>,
    Known(id): Known<EndpointId>,
    State(ctx): State<ApiContext>,
    _: NoFields,
) -> Result<Response, Problem> {
    let secret = generate_secret(ctx.entropy());
    let was_there = ctx.store().rotate_secret(caller.scope(), Some(&id), &secret, OVERLAP).await?;
    if was_there { Ok(json(StatusCode::OK, &SecretView { secret })) } else { Err(Problem::NotFound) }
}

/// The secret that checkouts' own `callback_url`s are signed with.
#[utoipa::path(
    get,
    path = "/v1/webhook-secret",
    tag = "webhooks",
    responses(
        (status = 200, description = "The secret", body = SecretView),
    ),
)]
async fn default_secret(caller: Caller<Admin>, State(ctx): State<ApiContext>) -> Result<Response, Problem> {
    let secret = ctx.store().default_secret(caller.scope(), &generate_secret(ctx.entropy())).await?;
    Ok(json(StatusCode::OK, &SecretView { secret }))
}

/// A new default secret; the one before signs along for a day.
#[utoipa::path(
    post,
    path = "/v1/webhook-secret/rotate",
    tag = "webhooks",
    responses(
        (status = 200, description = "The new secret", body = SecretView),
    ),
)]
async fn rotate_default(caller: Caller<Admin>, State(ctx): State<ApiContext>, _: NoFields) -> Result<Response, Problem> {
    let secret = generate_secret(ctx.entropy());
    // There is one from its first use on: where there was no use yet, it is made to be rotated.
    ctx.store().default_secret(caller.scope(), &generate_secret(ctx.entropy())).await?;
    ctx.store().rotate_secret(caller.scope(), None, &secret, OVERLAP).await?;
    ctx.pages().put_secret(caller.scope(), &secret);
    Ok(json(StatusCode::OK, &SecretView { secret }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_known_types_or_a_lone_star() {
        let check = |events: &[&str]| check_events(events.iter().map(|event| (*event).to_owned()).collect());
        assert_eq!(
            check(&["checkout.succeeded", "checkout.failed", "checkout.failed"]).unwrap(),
            ["checkout.failed", "checkout.succeeded"]
        );
        assert_eq!(check(&["*"]).unwrap(), ["*"]);
        assert!(check(&[]).is_err() && check(&["*", "checkout.failed"]).is_err() && check(&["checkout.paid"]).is_err());
    }
}
