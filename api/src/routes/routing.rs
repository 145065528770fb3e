//! `/v1/routing`: which of a tenant's accounts a charge goes to.

use crate::{
    auth::{Admin, Caller, CheckoutsRead},
    context::ApiContext,
    problem::Problem,
    respond::{json, unless_known, with_etag},
    strict::Strict,
};
use axum::{extract::State, response::Response};
use boxoffice_common::domain::{attempt::SANDBOX, routing::RoutingRules, scope::Scope};
use http::{HeaderMap, StatusCode};
use std::collections::HashSet;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().routes(routes!(get, put))
}

/// The rules in force; none until some are put.
#[utoipa::path(
    get,
    path = "/v1/routing",
    tag = "providers",
    responses(
        (status = 200, description = "The rules of this tenant and mode", body = RoutingRules, headers(("ETag" = String))),
        (status = 304, description = "`If-None-Match` names them"),
    ),
)]
async fn get(caller: Caller<CheckoutsRead>, headers: HeaderMap, State(ctx): State<ApiContext>) -> Result<Response, Problem> {
    let stored = ctx.store().routing_rules(caller.scope()).await?;
    Ok(unless_known(&headers, stored.version, || json(StatusCode::OK, &stored.rules)))
}

/// Replaces all of them. They hold for charges that begin from now on, in every worker within seconds.
#[utoipa::path(
    put,
    path = "/v1/routing",
    tag = "providers",
    request_body = RoutingRules,
    responses(
        (status = 200, description = "In force", body = RoutingRules, headers(("ETag" = String))),
    ),
)]
async fn put(
    caller: Caller<Admin>,
    State(ctx): State<ApiContext>,
    Strict { value: rules, .. }: Strict<RoutingRules>,
) -> Result<Response, Problem> {
    rules.check()?;
    check_accounts(&ctx, caller.scope(), &rules).await?;
    let stored = ctx.store().put_routing_rules(caller.scope(), &rules).await?;
    tracing::info!(key = %caller.key(), scope = %caller.scope(), rules = rules.rules.len(), version = stored.version, "routing rules were put");
    ctx.registry().forget(caller.scope(), None);
    Ok(with_etag(stored.version, json(StatusCode::OK, &stored.rules)))
}

/// Every account that is named is there. One that is disabled may be named: it is passed over until it is enabled.
async fn check_accounts(ctx: &ApiContext, scope: &Scope, rules: &RoutingRules) -> Result<(), Problem> {
    let accounts = ctx.store().accounts(scope).await?;
    let mut known: HashSet<&str> = accounts.iter().map(|stored| stored.account.id.as_str()).collect();
    if !scope.is_live() {
        known.insert(SANDBOX);
    }
    for (at, rule) in rules.rules.iter().enumerate() {
        if let Some(place) = rule.to.iter().position(|target| !known.contains(target.account.as_str())) {
            let param = format!("rules[{at}].to[{place}].account");
            return Err(Problem::invalid(param, "is the id of an account of this tenant and mode, or `sandbox` with a test key"));
        }
    }
    Ok(())
}
