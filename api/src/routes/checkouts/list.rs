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
        id::{CatalogueId, CustomerId, SpaceId},
        state::Status,
        time::Timestamp,
        view::CheckoutView,
    },
    ports::store::CheckoutFilter,
};
use serde::Deserialize;

/// What the list is narrowed to, and which page of it.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only in this state.
    status: Option<Status>,
    /// Only with a line of this session.
    session: Option<CatalogueId>,
    /// Only of this customer.
    customer: Option<CustomerId>,
    /// Only with this reference.
    reference: Option<String>,
    /// Only of this space.
    space: Option<SpaceId>,
    /// Only made after.
    created_after: Option<Timestamp>,
    /// 1 to 100; 20 when left out.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Checkouts, newest first.
#[utoipa::path(
    get,
    path = "/v1/checkouts",
    tag = "checkouts",
    params(Filter),
    responses(
        (status = 200, description = "A page", body = List<CheckoutView>),
    ),
)]
pub async fn list(caller: Caller<CheckoutsRead>, Query(filter): Query<Filter>, State(ctx): State<ApiContext>) -> Result<Response, Problem> {
    let page = page(filter.limit, filter.cursor)?;
    let filter = CheckoutFilter {
        statuses: filter.status.into_iter().collect(),
        space: filter.space,
        session: filter.session,
        customer: filter.customer,
        reference: filter.reference,
        created_after: filter.created_after,
    };
    let found = ctx.store().checkouts(caller.scope(), &filter, &page).await?;
    let views = found.data.iter().map(|checkout| CheckoutView::new(checkout, ctx.estimate_for(checkout))).collect();
    Ok(List::with_cursor(views, found.next_cursor).into_response())
}
