//! `/v1/customers…`

use crate::{
    auth::{Caller, CatalogWrite, CheckoutsRead},
    bounds,
    context::ApiContext,
    problem::Problem,
    respond::{List, json},
    routes::{
        paging::Paging,
        paths::{Known, New},
    },
    strict::{Query, Strict},
};
use axum::{Router, extract::State, response::Response, routing};
use boxoffice_common::domain::{customer::Customer, id::CustomerId};
use http::StatusCode;

/// The routes.
pub fn router() -> Router<ApiContext> {
    Router::new().route("/v1/customers", routing::get(list)).route("/v1/customers/{id}", routing::put(put).get(get))
}

/// Creates (201) or replaces (200). 409 when its `external_id` is another customer's.
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

async fn get(caller: Caller<CheckoutsRead>, Known(id): Known<CustomerId>, State(ctx): State<ApiContext>) -> Result<Response, Problem> {
    let customer = ctx.store().customer(caller.scope(), &id).await?.ok_or(Problem::NotFound)?;
    Ok(json(StatusCode::OK, &customer))
}

async fn list(caller: Caller<CheckoutsRead>, paging: Query<Paging>, State(ctx): State<ApiContext>) -> Result<List<Customer>, Problem> {
    let page = ctx.store().customers(caller.scope(), &paging.page()?).await?;
    Ok(List::of(page, |customer| customer))
}
