//! `/v1/customers/{customer}/payment-methods…`: what customers have saved to pay with.

use crate::{
    auth::{Caller, CatalogWrite, CheckoutsRead},
    bounds,
    context::ApiContext,
    problem::Problem,
    respond::{List, json},
    routes::{
        paging::Paging,
        paths::{Known, KnownOf, NewOf},
    },
    strict::{Query, Strict},
};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use boxoffice_common::{
    domain::{
        error::{Code, CodedError},
        id::{CustomerId, PaymentMethodId, ProviderAccountId},
        payment_method::{BoundToken, CardFace, MAX_METHODS, PaymentMethodView, SavedType},
        routing::{Candidate, Method},
        scope::Scope,
        secret::Secret,
    },
    ports::{
        store::{MethodPut, PutMethod},
        vault::{KeptCard, VaultError},
    },
};
use http::StatusCode;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().routes(routes!(list_methods)).routes(routes!(put_method, get_method, delete_method))
}

/// A method to be kept. Its token is never shown again.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct PutPaymentMethod {
    /// Taken from the path when left out.
    id: Option<PaymentMethodId>,
    #[serde(rename = "type")]
    kind: SavedType,
    /// The provider's token. Never a card number.
    #[schema(value_type = String)]
    token: Secret<String>,
    /// Such as `visa`.
    brand: String,
    /// The last four digits of the card's number.
    last4: String,
    /// 1 to 12.
    exp_month: u32,
    /// Four digits.
    exp_year: u32,
    /// Whether it becomes the default, in the place of the one that is.
    #[serde(default)]
    default: bool,
    /// Whether customers of the same family may pay with it, too. Without this word of its owner nobody else does.
    #[serde(default)]
    shared_with_family: bool,
    /// The account with a provider at which it is kept, and charged for ever after: the one that a saved card would go to when left out.
    provider_account: Option<ProviderAccountId>,
}

/// Creates (201) or replaces (200), the token too.
#[utoipa::path(
    put,
    path = "/v1/customers/{customer}/payment-methods/{id}",
    tag = "customers",
    params(("customer" = CustomerId, Path, description = "Whose"), ("id" = PaymentMethodId, Path, description = "The id")),
    request_body = PutPaymentMethod,
    responses(
        (status = 201, description = "Created", body = PaymentMethodView),
        (status = 200, description = "Replaced", body = PaymentMethodView),
        (status = 404, description = "No such customer"),
        (status = 409, description = "`too_many_payment_methods`"),
        (status = 422, description = "`card_declined`: the provider does not keep this card"),
        (status = 503, description = "`unavailable`: the provider does not answer; the same request may be sent again"),
    ),
)]
async fn put_method(
    caller: Caller<CatalogWrite>,
    NewOf(customer, id): NewOf<CustomerId, PaymentMethodId>,
    State(ctx): State<ApiContext>,
    Strict { value: body, .. }: Strict<PutPaymentMethod>,
) -> Result<Response, Problem> {
    if body.id.as_ref().is_some_and(|other| *other != id) {
        return Err(Problem::invalid("id", "is not the id in the path"));
    }
    let SavedType::Card = body.kind;
    bounds::token(body.token.reveal(), 255, "token")?;
    let card = CardFace { brand: body.brand, last4: body.last4, exp_month: body.exp_month, exp_year: body.exp_year };
    card.check()?;
    if BoundToken::read(&body.token).account.is_some() {
        return Err(Problem::invalid("token", "is a provider's token"));
    }
    let kept = keep(&ctx, caller.scope(), &customer, &id, body.provider_account, body.token).await?;
    let put = PutMethod {
        scope: caller.scope().clone(),
        customer,
        id,
        token: kept.token,
        card: kept.face.unwrap_or(card),
        is_default: body.default,
        is_shared: body.shared_with_family,
    };
    match ctx.store().put_method(&put).await? {
        MethodPut::Created(method) => Ok(json(StatusCode::CREATED, &PaymentMethodView::from(&method))),
        MethodPut::Replaced(method) => Ok(json(StatusCode::OK, &PaymentMethodView::from(&method))),
        MethodPut::CustomerMissing => Err(Problem::NotFound),
        MethodPut::TooMany => {
            let detail = format!("a customer has at most {MAX_METHODS} saved methods");
            Err(Problem::Conflict { code: "too_many_payment_methods", detail, param: None })
        }
    }
}

/// Has a card kept at the account where it is to be charged; with the sandbox its token is kept as it is.
async fn keep(
    ctx: &ApiContext,
    scope: &Scope,
    customer: &CustomerId,
    id: &PaymentMethodId,
    account: Option<ProviderAccountId>,
    token: Secret<String>,
) -> Result<KeptCard, Problem> {
    let takes_it = |candidate: &&Candidate| candidate.takes.contains(&Method::SavedMethod);
    let routing = ctx.routes().routing(scope).await?;
    let mut accounts = routing.candidates.iter().filter(takes_it).filter_map(|candidate| candidate.route.account.clone());
    let account = match account {
        None => accounts.next(),
        Some(named) => match accounts.find(|known| *known == named) {
            None => return Err(Problem::invalid("provider_account", "is no enabled account that charges saved cards")),
            found => found,
        },
    };
    let Some(account) = account else { return Ok(KeptCard { token, face: None }) };
    ctx.store().customer(scope, customer).await?.ok_or(Problem::NotFound)?;
    let Some(vault) = ctx.registry().vault(&account, scope).await? else {
        let bound = BoundToken { account: Some(account), token };
        return Ok(KeptCard { token: bound.stored(), face: None });
    };
    let kept = vault.keep(&key_of(scope, customer, id, &token), customer.as_str(), &token).await.map_err(not_kept)?;
    Ok(KeptCard { token: BoundToken { account: Some(account), token: kept.token }.stored(), face: kept.face })
}

/// The same for the same put, so that a client that asks again keeps one card.
fn key_of(scope: &Scope, customer: &CustomerId, id: &PaymentMethodId, token: &Secret<String>) -> String {
    let digest = Sha256::digest(format!("{scope}\n{customer}\n{id}\n{}", token.reveal()));
    format!("pm_{}", digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn not_kept(error: VaultError) -> Problem {
    match error {
        VaultError::Declined(decline) => {
            CodedError::new(Code::CardDeclined, decline.message).at("token").declined(decline.decline_code).into()
        }
        VaultError::TryAgain { cause, .. } => {
            tracing::warn!(cause, "a card could not be kept");
            Problem::Unavailable
        }
    }
}

/// One of a customer's, without its token.
#[utoipa::path(
    get,
    path = "/v1/customers/{customer}/payment-methods/{id}",
    tag = "customers",
    params(("customer" = CustomerId, Path, description = "Whose"), ("id" = PaymentMethodId, Path, description = "The id")),
    responses(
        (status = 200, description = "The object", body = PaymentMethodView),
        (status = 404, description = "Not there"),
    ),
)]
async fn get_method(
    caller: Caller<CheckoutsRead>,
    KnownOf(customer, id): KnownOf<CustomerId, PaymentMethodId>,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    let method = ctx.store().method(caller.scope(), &customer, &id).await?.ok_or(Problem::NotFound)?;
    Ok(json(StatusCode::OK, &PaymentMethodView::from(&method)))
}

/// A page of a customer's, by id.
#[utoipa::path(
    get,
    path = "/v1/customers/{customer}/payment-methods",
    tag = "customers",
    params(("customer" = CustomerId, Path, description = "Whose"), Paging),
    responses(
        (status = 200, description = "A page", body = List<PaymentMethodView>),
        (status = 404, description = "No such customer"),
    ),
)]
async fn list_methods(
    caller: Caller<CheckoutsRead>,
    Known(customer): Known<CustomerId>,
    paging: Query<Paging>,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    ctx.store().customer(caller.scope(), &customer).await?.ok_or(Problem::NotFound)?;
    let page = ctx.store().methods_of(caller.scope(), &customer, &paging.page()?).await?;
    Ok(List::with_cursor(page.data.iter().map(PaymentMethodView::from).collect(), page.next_cursor).into_response())
}

/// Removes one. Checkouts that were accepted with it go on.
#[utoipa::path(
    delete,
    path = "/v1/customers/{customer}/payment-methods/{id}",
    tag = "customers",
    params(("customer" = CustomerId, Path, description = "Whose"), ("id" = PaymentMethodId, Path, description = "The id")),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "Not there"),
    ),
)]
async fn delete_method(
    caller: Caller<CatalogWrite>,
    KnownOf(customer, id): KnownOf<CustomerId, PaymentMethodId>,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    let was_there = ctx.store().delete_method(caller.scope(), &customer, &id).await?;
    if was_there { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(Problem::NotFound) }
}
