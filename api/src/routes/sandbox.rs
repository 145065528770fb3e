//! `/sandbox/charges` and `/sandbox/payment-intents`: the sandbox provider's own book, for test keys.

use crate::{
    auth::{Caller, CheckoutsRead, CheckoutsWrite},
    bounds,
    context::ApiContext,
    problem::Problem,
    respond::json,
    routes::paths::Known,
    sandbox::{BookUnavailable, SandboxBook},
    strict::{Query, Strict},
};
use axum::{extract::State, response::Response};
use boxoffice_common::domain::{
    error::{Code, CodedError},
    id::{CheckoutId, PaymentIntentId},
    money::{Amount, Currency},
    payment_intent::{MAX_OWNER, NewIntent, PaymentIntent, is_owner},
    scope::Scope,
    secret::Secret,
};
use http::StatusCode;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().routes(routes!(charges)).routes(routes!(authorize)).routes(routes!(intent))
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
    let book = book(&ctx, caller.scope())?;
    crate::routes::checkouts::read(&ctx, caller.scope(), &reference).await?;
    let charges = book.charges(reference.as_str()).await.map_err(unavailable)?;
    Ok(json(StatusCode::OK, &charges))
}

/// Money to be authorised, as a client's own page would have the provider do.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct IntentRequest {
    /// The card, by the sandbox's token.
    #[schema(value_type = String, min_length = 1, max_length = 255)]
    token: Secret<String>,
    /// Minor units, more than 0.
    amount: Amount,
    /// Its currency.
    currency: Currency,
    /// Who may pay with it: `customer:` and an id, `external_id:` and that, or `family:` and that.
    #[schema(min_length = 1, max_length = 255)]
    owner: String,
}

/// Authorises money before there is a checkout: a checkout of the owner pays with it once, by the method `payment_intent`. Nothing is taken
/// until then.
#[utoipa::path(
    post,
    path = "/sandbox/payment-intents",
    tag = "sandbox",
    request_body = IntentRequest,
    responses(
        (status = 201, description = "Authorised", body = PaymentIntent),
        (status = 404, description = "A live key, or no sandbox"),
        (status = 422, description = "`card_declined`, with the `decline_code`"),
    ),
)]
async fn authorize(
    caller: Caller<CheckoutsWrite>,
    State(ctx): State<ApiContext>,
    body: Strict<IntentRequest>,
) -> Result<Response, Problem> {
    let book = book(&ctx, caller.scope())?;
    let IntentRequest { token, amount, currency, owner } = body.value;
    bounds::token(token.reveal(), 255, "token")?;
    bounds::text(&owner, MAX_OWNER, "owner")?;
    if !is_owner(&owner) {
        return Err(Problem::invalid("owner", "is customer:, external_id: or family:, and who that is"));
    }
    if amount <= Amount::ZERO || amount > Amount::MAX {
        return Err(Problem::invalid("amount", format!("is 1 to {} minor units", Amount::MAX)));
    }
    let account = caller.scope().as_str().to_owned();
    match book.authorize_intent(NewIntent { account, owner, amount, currency, token }).await.map_err(unavailable)? {
        Ok(intent) => Ok(json(StatusCode::CREATED, &intent)),
        Err(code) => Err(CodedError::new(Code::CardDeclined, "the card was declined").at("token").declined(code).into()),
    }
}

/// A payment intent: whether it was used.
#[utoipa::path(
    get,
    path = "/sandbox/payment-intents/{id}",
    tag = "sandbox",
    params(("id" = PaymentIntentId, Path, description = "The id")),
    responses(
        (status = 200, description = "As it stands", body = PaymentIntent),
        (status = 404, description = "A live key, another's, or no sandbox"),
    ),
)]
async fn intent(
    caller: Caller<CheckoutsRead>,
    Known(id): Known<PaymentIntentId>,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    let found = book(&ctx, caller.scope())?.intent(caller.scope().as_str(), &id).await.map_err(unavailable)?;
    Ok(json(StatusCode::OK, &found.ok_or(Problem::NotFound)?))
}

fn book<'c>(ctx: &'c ApiContext, scope: &Scope) -> Result<&'c dyn SandboxBook, Problem> {
    if scope.is_live() { Err(Problem::NotFound) } else { ctx.sandbox().ok_or(Problem::NotFound) }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn unavailable(error: BookUnavailable) -> Problem {
    tracing::warn!(%error, "the sandbox book cannot be read");
    Problem::Unavailable
}
