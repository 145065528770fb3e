//! `/v1/providers`: the tenant's accounts with payment providers, and how they do.

use crate::{
    auth::{Admin, Caller, CheckoutsRead},
    context::ApiContext,
    problem::Problem,
    respond::json,
    routes::paths::Known,
    strict::Strict,
};
use axum::{extract::State, response::Response};
use boxoffice_common::{
    adapters::{
        provider_registry::{AccountEdit, AccountError, NewProviderAccount, OpenedAccount},
        sandbox::EVENTS_PATH,
    },
    domain::{
        attempt::SANDBOX,
        id::ProviderAccountId,
        provider_account::{CircuitState, CredentialParts, Hints, MAX_ACCOUNT_NAME, ProviderAccount, ProviderKind},
        routing::{Method, Routing},
        scope::Scope,
        time::Timestamp,
    },
    ports::store::Health,
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What a worker told of a circuit counts for so long: several of its rounds. It may have died since.
const FRESH: Duration = Duration::from_secs(20);

/// The routes.
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(get, change))
}

/// An account to be added.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct AddProvider {
    provider: ProviderKind,
    /// What you call it, 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// Whether charges may go there from now on.
    #[serde(default = "yes")]
    #[schema(default = true)]
    enabled: bool,
    #[schema(value_type = CredentialsSchema)]
    credentials: CredentialParts,
}

const fn yes() -> bool {
    true
}

/// What is to be changed; the rest stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeProvider {
    /// 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    /// Without it no new charge goes there; what is open there is brought to its end.
    enabled: Option<bool>,
    #[schema(value_type = Option<CredentialsSchema>)]
    credentials: Option<CredentialParts>,
}

/// What it takes to act in an account's name. Written, and never shown again.
#[derive(utoipa::ToSchema)]
#[schema(as = ProviderCredentials)]
#[allow(dead_code, reason = "it describes the fields of `CredentialParts`, whose secrets have no schema of their own")]
struct CredentialsSchema {
    /// Stripe: `sk_…` or `rk_…`, of the mode of your API key.
    #[schema(max_length = 255)]
    secret_key: Option<String>,
    /// Stripe: `pk_…`, for browsers. It is no secret, and is shown.
    #[schema(max_length = 255)]
    publishable_key: Option<String>,
    /// Stripe: `whsec_…` of the endpoint at Stripe that tells `webhook_url`. Up to 5 during a rotation; replaces those that there are.
    #[schema(max_items = 5)]
    webhook_secrets: Option<Vec<String>>,
    /// Mollie: `test_…` or `live_…`.
    #[schema(max_length = 255)]
    api_key: Option<String>,
}

/// An account.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ProviderAccount)]
struct ProviderView {
    /// `pac_…`; `sandbox` for the provider that moves no money.
    id: String,
    /// `provider_account`.
    object: &'static str,
    /// `stripe`, `mollie` or `sandbox`.
    provider: &'static str,
    name: String,
    /// Whether new charges may go there.
    enabled: bool,
    /// Whether real money moves.
    livemode: bool,
    /// What can be paid with there.
    methods: Vec<Method>,
    /// Where the provider tells its events to.
    webhook_url: String,
    /// What may be shown of its credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials: Option<Hints>,
    /// Why it does not work, in words that say what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    health: HealthView,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<Timestamp>,
}

/// How it does, as the workers that send to it have told in the last seconds.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ProviderHealth)]
struct HealthView {
    /// The worst that any worker sees. `closed` where none of them complains, or none has sent anything there.
    circuit: CircuitState,
    /// What went wrong there last, within a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<LastError>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ProviderError)]
struct LastError {
    /// For people.
    message: String,
    at: Timestamp,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ProviderAccounts)]
struct Providers {
    /// The oldest first; with a test key the sandbox comes last.
    data: Vec<ProviderView>,
}

impl From<Health> for HealthView {
    fn from(health: Health) -> Self {
        Self { circuit: health.circuit, last_error: health.last_error.map(|(message, at)| LastError { message, at }) }
    }
}

impl ProviderView {
    fn of(ctx: &ApiContext, opened: &OpenedAccount, health: Health) -> Self {
        let ProviderAccount { id, scope, provider, name, enabled, hints, created_at, updated_at, .. } = opened.account().clone();
        Self {
            webhook_url: format!("{}/webhooks/{}/{id}", ctx.config().public_url, provider.as_str()),
            id: id.to_string(),
            object: "provider_account",
            provider: provider.as_str(),
            name,
            enabled,
            livemode: scope.is_live(),
            methods: opened.account().takes(),
            credentials: Some(hints),
            problem: opened.problem().map(str::to_owned),
            health: health.into(),
            created_at: Some(created_at),
            updated_at: Some(updated_at),
        }
    }

    fn sandbox(ctx: &ApiContext, health: Health) -> Self {
        Self {
            id: SANDBOX.to_owned(),
            object: "provider_account",
            provider: SANDBOX,
            name: "Sandbox".to_owned(),
            enabled: true,
            livemode: false,
            methods: Routing::default().candidates.into_iter().flat_map(|sandbox| sandbox.takes).collect(),
            webhook_url: format!("{}{EVENTS_PATH}", ctx.config().public_url),
            credentials: None,
            problem: None,
            health: health.into(),
            created_at: None,
            updated_at: None,
        }
    }
}

/// All accounts of this tenant and mode, and how they do.
#[utoipa::path(
    get,
    path = "/v1/providers",
    tag = "providers",
    responses((status = 200, description = "The accounts, without their secrets", body = Providers)),
)]
async fn list(caller: Caller<CheckoutsRead>, State(ctx): State<ApiContext>) -> Result<Response, Problem> {
    let accounts = ctx.registry().accounts(caller.scope()).await?;
    let ids: Vec<&str> = accounts.iter().map(|opened| opened.account().id.as_str()).chain([SANDBOX]).collect();
    let mut health = ctx.store().health(&ids, FRESH).await?;
    let of_sandbox = health.pop().unwrap_or_default();
    let mut data: Vec<_> = accounts.iter().zip(health).map(|(opened, health)| ProviderView::of(&ctx, opened, health)).collect();
    if !caller.scope().is_live() {
        data.push(ProviderView::sandbox(&ctx, of_sandbox));
    }
    Ok(json(StatusCode::OK, &Providers { data }))
}

/// One account.
#[utoipa::path(
    get,
    path = "/v1/providers/{id}",
    tag = "providers",
    params(("id" = String, Path, description = "The id")),
    responses((status = 200, description = "The account", body = ProviderView), (status = 404, description = "Not there")),
)]
async fn get(
    caller: Caller<CheckoutsRead>,
    Known(id): Known<ProviderAccountId>,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    show(&ctx, caller.scope(), &id, StatusCode::OK).await
}

/// Adds an account. Its credentials are sealed with the server's `BOXOFFICE_SECRETS_KEY`, and not shown again.
#[utoipa::path(
    post,
    path = "/v1/providers",
    tag = "providers",
    request_body = AddProvider,
    responses(
        (status = 201, description = "Added", body = ProviderView),
        (status = 409, description = "`secrets_key_missing`, `provider_accounts_full`"),
    ),
)]
async fn add(caller: Caller<Admin>, State(ctx): State<ApiContext>, Strict { value, .. }: Strict<AddProvider>) -> Result<Response, Problem> {
    let AddProvider { provider, name, enabled, credentials } = value;
    let new = NewProviderAccount { provider, name, enabled, credentials };
    let office = ctx.registry().office();
    let account = office.add(caller.scope(), new, ctx.entropy(), ctx.clock().now()).await.map_err(refused)?;
    tracing::info!(key = %caller.key(), scope = %caller.scope(), account = %account.id, provider = provider.as_str(), enabled, "a payment account was added");
    ctx.registry().forget(caller.scope(), Some(&account.id));
    show(&ctx, caller.scope(), &account.id, StatusCode::CREATED).await
}

/// Changes a name, enables or disables, or replaces credentials. What is left out stays.
#[utoipa::path(
    patch,
    path = "/v1/providers/{id}",
    tag = "providers",
    params(("id" = String, Path, description = "The id")),
    request_body = ChangeProvider,
    responses(
        (status = 200, description = "Changed", body = ProviderView),
        (status = 404, description = "Not there"),
        (status = 409, description = "`secrets_key_missing`, `credentials_unreadable`, `provider_account_changed`, `provider_account_differs`, `provider_account_unknown`"),
    ),
)]
async fn change(
    caller: Caller<Admin>,
    Known(id): Known<ProviderAccountId>,
    State(ctx): State<ApiContext>,
    Strict { value, .. }: Strict<ChangeProvider>,
) -> Result<Response, Problem> {
    let ChangeProvider { name, enabled, credentials } = value;
    let (is_renamed, has_new_keys) = (name.is_some(), credentials.is_some());
    let edit = AccountEdit { name, enabled, credentials };
    ctx.registry().office().change(caller.scope(), &id, edit).await.map_err(refused)?;
    tracing::info!(key = %caller.key(), scope = %caller.scope(), account = %id, is_renamed, enabled, has_new_keys, "a payment account was changed");
    ctx.registry().forget(caller.scope(), Some(&id));
    show(&ctx, caller.scope(), &id, StatusCode::OK).await
}

async fn show(ctx: &ApiContext, scope: &Scope, id: &ProviderAccountId, status: StatusCode) -> Result<Response, Problem> {
    let accounts = ctx.registry().accounts(scope).await?;
    let opened = accounts.iter().find(|opened| opened.account().id == *id).ok_or(Problem::NotFound)?;
    let health = ctx.store().health(&[id.as_str()], FRESH).await?.pop().unwrap_or_default();
    Ok(json(status, &ProviderView::of(ctx, opened, health)))
}

fn refused(error: AccountError) -> Problem {
    let detail = error.to_string();
    match error {
        AccountError::Refused(refused) => refused.into(),
        AccountError::NoKey => Problem::Conflict { code: "secrets_key_missing", detail, param: None },
        AccountError::NotOpened(_) => Problem::Conflict { code: "credentials_unreadable", detail, param: Some("credentials") },
        AccountError::TooMany => Problem::Conflict { code: "provider_accounts_full", detail, param: None },
        AccountError::OtherAccount { .. } => Problem::Conflict { code: "provider_account_differs", detail, param: Some("credentials") },
        AccountError::NotIdentified(_) => Problem::Conflict { code: "provider_account_unknown", detail, param: Some("credentials") },
        AccountError::Moved => Problem::Conflict { code: "provider_account_changed", detail, param: None },
        AccountError::Missing => Problem::NotFound,
        AccountError::NotSealed(_) => Problem::Internal,
        AccountError::Store(error) => error.into(),
    }
}

const _: () = assert!(MAX_ACCOUNT_NAME == 100, "as the schemas say");
