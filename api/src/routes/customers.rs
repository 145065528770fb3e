//! `/v1/customers…`

use crate::{
    auth::{Caller, CatalogWrite, CheckoutsRead},
    bounds,
    context::ApiContext,
    problem::Problem,
    respond::{List, json},
    routes::{
        paging::page,
        paths::{Known, New},
    },
    strict::{Limit, Query, Strict},
};
use axum::{extract::State, response::Response};
use boxoffice_common::domain::{customer::Customer, id::CustomerId};
use http::StatusCode;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(put, get))
}

/// Creates (201) or replaces (200). 409 when its `external_id` is another customer's.
#[utoipa::path(
    put,
    path = "/v1/customers/{id}",
    tag = "customers",
    params(("id" = CustomerId, Path, description = "The id")),
    request_body = Customer,
    responses(
        (status = 201, description = "Created", body = Customer),
        (status = 200, description = "Replaced", body = Customer),
        (status = 409, description = "What is sold or held does not fit, or the external id is taken"),
    ),
)]
async fn put(
    caller: Caller<CatalogWrite>,
    New(id): New<CustomerId>,
    State(ctx): State<ApiContext>,
    Strict { value: mut customer, .. }: Strict<Customer>,
) -> Result<Response, Problem> {
    if customer.id.as_ref().is_some_and(|other| *other != id) {
        return Err(Problem::invalid("id", "is not the id in the path"));
    }
    customer.id = Some(id.clone());
    bounds::customer(&customer, "")?;
    bounds::born(&customer, ctx.clock().now(), "")?;
    // Only for the status: between the two, somebody else may have made it.
    let is_new = ctx.store().customer(caller.scope(), &id).await?.is_none();
    match ctx.store().put_customer(caller.scope(), &id, &customer).await? {
        Ok(kept) => Ok(json(if is_new { StatusCode::CREATED } else { StatusCode::OK }, &kept)),
        Err(owner) => {
            let detail = format!("this external_id belongs to {owner}");
            Err(Problem::Conflict { code: "external_id_taken", detail, param: Some("external_id") })
        }
    }
}

/// One.
#[utoipa::path(
    get,
    path = "/v1/customers/{id}",
    tag = "customers",
    params(("id" = CustomerId, Path, description = "The id")),
    responses(
        (status = 200, description = "The object", body = Customer),
        (status = 404, description = "Not there"),
    ),
)]
async fn get(caller: Caller<CheckoutsRead>, Known(id): Known<CustomerId>, State(ctx): State<ApiContext>) -> Result<Response, Problem> {
    let customer = ctx.store().customer(caller.scope(), &id).await?.ok_or(Problem::NotFound)?;
    Ok(json(StatusCode::OK, &customer))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only of this family.
    family: Option<String>,
    /// 1 to 100; 20 when left out.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page, by id.
#[utoipa::path(
    get,
    path = "/v1/customers",
    tag = "customers",
    params(Filter),
    responses(
        (status = 200, description = "A page", body = List<Customer>),
    ),
)]
async fn list(
    caller: Caller<CheckoutsRead>,
    Query(filter): Query<Filter>,
    State(ctx): State<ApiContext>,
) -> Result<List<Customer>, Problem> {
    bounds::optional(filter.family.as_ref(), 64, "family")?;
    let page = ctx.store().customers(caller.scope(), filter.family.as_deref(), &page(filter.limit, filter.cursor)?).await?;
    Ok(List::of(page, |customer| customer))
}
