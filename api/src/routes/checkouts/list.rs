//! `GET /v1/checkouts`.

use crate::{
    auth::{Caller, CheckoutsRead},
    context::ApiContext,
    problem::Problem,
    respond::List,
    routes::paging::page,
    strict::{Limit, Query},
};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use boxoffice_common::{
    domain::{
        id::{CatalogueId, CustomerId},
        state::Status,
        time::Timestamp,
        view::CheckoutView,
    },
    ports::store::CheckoutFilter,
};
use serde::Deserialize;

/// What the list is narrowed to, and which page of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    status: Option<Status>,
    session: Option<CatalogueId>,
    customer: Option<CustomerId>,
    reference: Option<String>,
    created_after: Option<Timestamp>,
    #[serde(default)]
    limit: Limit,
    cursor: Option<String>,
}

/// Checkouts, newest first.
pub async fn list(caller: Caller<CheckoutsRead>, Query(filter): Query<Filter>, State(ctx): State<ApiContext>) -> Result<Response, Problem> {
    let page = page(filter.limit, filter.cursor)?;
    let filter = CheckoutFilter {
        status: filter.status,
        session: filter.session,
        customer: filter.customer,
        reference: filter.reference,
        created_after: filter.created_after,
    };
    let found = ctx.store().checkouts(caller.scope(), &filter, &page).await?;
    let views = found.data.iter().map(|checkout| CheckoutView::new(checkout, ctx.estimate_for(checkout))).collect();
    Ok(List::with_cursor(views, found.next_cursor).into_response())
}
