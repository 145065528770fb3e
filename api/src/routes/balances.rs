//! `/v1/customers/{customer}/balance…`: what customers have to pay with, and changes of it by hand.

use crate::{
    auth::{Admin, Caller, CheckoutsRead},
    bounds,
    context::ApiContext,
    idempotency::IdempotencyKey,
    problem::Problem,
    respond::{List, first_answer, first_answer_again},
    routes::{paging::Paging, paths::Known},
    strict::{Query, Strict},
};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use boxoffice_common::{
    domain::{
        balance::{Adjustment, CustomerBalance, Reason},
        id::{AdjustmentId, CustomerId},
        money::{Amount, Currency},
    },
    ports::store::{AdjustResult, NewAdjustment},
};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The longest note, characters.
const MAX_NOTE: usize = 500;

/// The routes.
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().routes(routes!(adjust_balance, balance_adjustments)).routes(routes!(customer_balances))
}

/// A change of a balance by hand.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateBalanceAdjustment {
    /// Minor units, not 0; negative to take away. A `deposit` is positive, a `payout` negative.
    amount: Amount,
    currency: Currency,
    reason: Reason,
    /// For people.
    note: Option<String>,
}

/// Gives to a customer's balance, or takes from it: 201 once it is durable.
#[utoipa::path(
    post,
    path = "/v1/customers/{customer}/balance-adjustments",
    tag = "customers",
    params(
        ("customer" = CustomerId, Path, description = "Whose"),
        ("Idempotency-Key" = String, Header, description = "1 to 255 visible ASCII characters, quoted or not"),
    ),
    request_body = CreateBalanceAdjustment,
    responses(
        (status = 201, description = "Booked. The same key and body again get this answer again, with `Idempotent-Replayed: true`", body = Adjustment, headers(("Idempotent-Replayed" = bool))),
        (status = 404, description = "No such customer"),
        (status = 422, description = "`balance_insufficient`: less is there, or the rest is held for checkouts under way. Or a key that was used with another body"),
    ),
)]
async fn adjust_balance(
    caller: Caller<Admin>,
    Known(customer): Known<CustomerId>,
    key: IdempotencyKey,
    State(ctx): State<ApiContext>,
    body: Strict<CreateBalanceAdjustment>,
) -> Result<Response, Problem> {
    let idempotency = key.with_body(body.hash);
    let CreateBalanceAdjustment { amount, currency, reason, note } = body.value;
    if amount < Amount::MAX.negated() || amount > Amount::MAX {
        return Err(Problem::invalid("amount", "is more than we count"));
    }
    bounds::optional(note.as_ref(), MAX_NOTE, "note")?;
    let id = AdjustmentId::generate(ctx.entropy(), ctx.clock().now());
    let new = NewAdjustment { id, scope: caller.scope().clone(), customer, amount, currency, reason, note, idempotency };
    match ctx.store().adjust_balance(&new).await? {
        AdjustResult::Created(answer) => Ok(first_answer(answer, None)),
        AdjustResult::Replayed(answer) => Ok(first_answer_again(answer, None)),
        AdjustResult::KeyReused => Err(Problem::IdempotencyKeyReused),
        AdjustResult::Refused(error) => Err(error.into()),
        AdjustResult::CustomerMissing => Err(Problem::NotFound),
    }
}

/// A customer's adjustments, newest first.
#[utoipa::path(
    get,
    path = "/v1/customers/{customer}/balance-adjustments",
    tag = "customers",
    params(("customer" = CustomerId, Path, description = "Whose"), Paging),
    responses(
        (status = 200, description = "A page", body = List<Adjustment>),
        (status = 404, description = "No such customer"),
    ),
)]
async fn balance_adjustments(
    caller: Caller<CheckoutsRead>,
    Known(customer): Known<CustomerId>,
    paging: Query<Paging>,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    ctx.store().customer(caller.scope(), &customer).await?.ok_or(Problem::NotFound)?;
    let page = ctx.store().balance_adjustments(caller.scope(), &customer, &paging.page()?).await?;
    Ok(List::of(page, |adjustment| adjustment).into_response())
}

/// What a customer has, in each currency in which there was ever anything.
#[utoipa::path(
    get,
    path = "/v1/customers/{customer}/balance",
    tag = "customers",
    params(("customer" = CustomerId, Path, description = "Whose")),
    responses(
        (status = 200, description = "One for each currency", body = List<CustomerBalance>),
        (status = 404, description = "No such customer"),
    ),
)]
async fn customer_balances(
    caller: Caller<CheckoutsRead>,
    Known(customer): Known<CustomerId>,
    State(ctx): State<ApiContext>,
) -> Result<List<CustomerBalance>, Problem> {
    let balances = ctx.store().balances_of(caller.scope(), &customer).await?.ok_or(Problem::NotFound)?;
    Ok(List::whole(balances))
}
