//! `/v1/customers/{customer}/bought-memberships…`: what customers have to pay with.

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
        bought_membership::{BoughtMembershipView, Credited, FreezeRefusal},
        catalogue::Kind,
        error::{Code, CodedError},
        id::{BoughtMembershipId, CatalogueId, CustomerId},
        membership::{Membership, check_credits},
        scope::Scope,
        time::Timestamp,
    },
    ports::store::{BoughtPut, Freezing, Froze, PutBought, StoreError},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new()
        .routes(routes!(list_memberships))
        .routes(routes!(put_membership, get_membership))
        .routes(routes!(freeze))
        .routes(routes!(unfreeze))
}

/// A membership that a shop gives a customer: one that the customer brings, or a change to one that is there.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct PutBoughtMembership {
    /// Taken from the path when left out.
    id: Option<BoughtMembershipId>,
    /// Which of the catalogue's.
    membership: CatalogueId,
    /// In all, those among them that are used. Left out: as many as the catalogue says.
    credits: Option<u32>,
    /// Not good before; now when left out.
    valid_from: Option<Timestamp>,
    /// Not good from then on; for ever when left out.
    valid_until: Option<Timestamp>,
    /// The client's own.
    #[serde(default)]
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
}

/// Creates (201) or replaces (200). What sold it, and whether it is frozen or was given back, stays as it is.
#[utoipa::path(
    put,
    path = "/v1/customers/{customer}/bought-memberships/{id}",
    tag = "customers",
    params(("customer" = CustomerId, Path, description = "Whose"), ("id" = BoughtMembershipId, Path, description = "The id")),
    request_body = PutBoughtMembership,
    responses(
        (status = 201, description = "Created", body = BoughtMembershipView),
        (status = 200, description = "Replaced", body = BoughtMembershipView),
        (status = 404, description = "No such customer"),
        (status = 409, description = "`id_taken`, or `capacity_too_small`: more credits are used or held"),
        (status = 422, description = "No such membership in the catalogue"),
    ),
)]
async fn put_membership(
    caller: Caller<CatalogWrite>,
    NewOf(customer, id): NewOf<CustomerId, BoughtMembershipId>,
    State(ctx): State<ApiContext>,
    Strict { value: body, .. }: Strict<PutBoughtMembership>,
) -> Result<Response, Problem> {
    if body.id.as_ref().is_some_and(|other| *other != id) {
        return Err(Problem::invalid("id", "is not the id in the path"));
    }
    bounds::metadata(&body.metadata)?;
    let put = terms(&ctx, caller.scope(), customer, id, body).await?;
    let (status, credited) = match ctx.store().put_bought(&put).await? {
        BoughtPut::Created(credited) => (StatusCode::CREATED, credited),
        BoughtPut::Replaced(credited) => (StatusCode::OK, credited),
        BoughtPut::CustomerMissing => return Err(Problem::NotFound),
        BoughtPut::IdTaken => return Err(id_taken("this id is another customer's")),
        BoughtPut::IdReserved => return Err(id_taken("ids of this form are made here: choose another one")),
        BoughtPut::TooFewCredits { taken } => {
            let detail = format!("{taken} credits are used or held: nothing was changed");
            return Err(Problem::Conflict { code: "capacity_too_small", detail, param: Some("credits") });
        }
    };
    Ok(show(status, &credited, &ctx))
}

/// Completes what was asked for from the catalogue.
async fn terms(
    ctx: &ApiContext,
    scope: &Scope,
    customer: CustomerId,
    id: BoughtMembershipId,
    body: PutBoughtMembership,
) -> Result<PutBought, Problem> {
    let missing = || CodedError::new(Code::ResourceMissing, "no such membership").at("membership");
    let row = ctx.store().get(scope, Kind::Membership, &body.membership).await?.ok_or_else(missing)?;
    let membership: Membership =
        serde_json::from_str(&row.doc).map_err(|error| StoreError::Corrupt(format!("membership {}: {error}", row.id)))?;
    let credits = body.credits.or(membership.credits);
    check_credits(membership.kind, credits)?;
    let valid_from = body.valid_from.unwrap_or_else(|| ctx.clock().now());
    if body.valid_until.is_some_and(|until| until <= valid_from) {
        return Err(Problem::invalid("valid_until", "is not after valid_from"));
    }
    let PutBoughtMembership { membership: which, valid_from, valid_until, metadata, .. } = body;
    Ok(PutBought {
        scope: scope.clone(),
        id,
        customer,
        membership: which,
        kind: membership.kind,
        credits,
        valid_from,
        valid_until,
        metadata,
    })
}

fn id_taken(detail: &str) -> Problem {
    Problem::Conflict { code: "id_taken", detail: detail.to_owned(), param: Some("id") }
}

fn show(status: StatusCode, credited: &Credited, ctx: &ApiContext) -> Response {
    json(status, &BoughtMembershipView::new(credited, ctx.clock().now()))
}

/// One of a customer's.
#[utoipa::path(
    get,
    path = "/v1/customers/{customer}/bought-memberships/{id}",
    tag = "customers",
    params(("customer" = CustomerId, Path, description = "Whose"), ("id" = BoughtMembershipId, Path, description = "The id")),
    responses(
        (status = 200, description = "The object", body = BoughtMembershipView),
        (status = 404, description = "Not there"),
    ),
)]
async fn get_membership(
    caller: Caller<CheckoutsRead>,
    KnownOf(customer, id): KnownOf<CustomerId, BoughtMembershipId>,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    let credited = ctx.store().bought(caller.scope(), &customer, &id).await?.ok_or(Problem::NotFound)?;
    Ok(show(StatusCode::OK, &credited, &ctx))
}

/// A page of a customer's, by id.
#[utoipa::path(
    get,
    path = "/v1/customers/{customer}/bought-memberships",
    tag = "customers",
    params(("customer" = CustomerId, Path, description = "Whose"), Paging),
    responses(
        (status = 200, description = "A page", body = List<BoughtMembershipView>),
        (status = 404, description = "No such customer"),
    ),
)]
async fn list_memberships(
    caller: Caller<CheckoutsRead>,
    Known(customer): Known<CustomerId>,
    paging: Query<Paging>,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    ctx.store().customer(caller.scope(), &customer).await?.ok_or(Problem::NotFound)?;
    let page = ctx.store().bought_of(caller.scope(), &customer, &paging.page()?).await?;
    let now = ctx.clock().now();
    let data = page.data.iter().map(|credited| BoughtMembershipView::new(credited, now)).collect();
    Ok(List::with_cursor(data, page.next_cursor).into_response())
}

/// How long to freeze.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Freeze {
    /// It thaws by itself then; when somebody thaws it, when left out.
    until: Option<Timestamp>,
}

/// From now on it pays for nothing; its validity is extended by the time for which it is frozen.
#[utoipa::path(
    post,
    path = "/v1/customers/{customer}/bought-memberships/{id}/freeze",
    tag = "customers",
    params(("customer" = CustomerId, Path, description = "Whose"), ("id" = BoughtMembershipId, Path, description = "The id")),
    request_body = Freeze,
    responses(
        (status = 200, description = "As it stands now", body = BoughtMembershipView),
        (status = 404, description = "Not there"),
        (status = 409, description = "`not_freezable`: it is not good now, or is frozen in another way"),
    ),
)]
async fn freeze(
    caller: Caller<CatalogWrite>,
    KnownOf(customer, id): KnownOf<CustomerId, BoughtMembershipId>,
    State(ctx): State<ApiContext>,
    Strict { value: body, .. }: Strict<Freeze>,
) -> Result<Response, Problem> {
    change(&ctx, caller.scope(), &customer, &id, Freezing::Freeze(body.until)).await
}

/// What a change without any fields takes.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// It pays again.
#[utoipa::path(
    post,
    path = "/v1/customers/{customer}/bought-memberships/{id}/unfreeze",
    tag = "customers",
    params(("customer" = CustomerId, Path, description = "Whose"), ("id" = BoughtMembershipId, Path, description = "The id")),
    request_body = Nothing,
    responses(
        (status = 200, description = "As it stands now", body = BoughtMembershipView),
        (status = 404, description = "Not there"),
        (status = 409, description = "`not_freezable`: its time is over"),
    ),
)]
async fn unfreeze(
    caller: Caller<CatalogWrite>,
    KnownOf(customer, id): KnownOf<CustomerId, BoughtMembershipId>,
    State(ctx): State<ApiContext>,
    _: Strict<Nothing>,
) -> Result<Response, Problem> {
    change(&ctx, caller.scope(), &customer, &id, Freezing::Thaw).await
}

async fn change(
    ctx: &ApiContext,
    scope: &Scope,
    customer: &CustomerId,
    id: &BoughtMembershipId,
    freezing: Freezing,
) -> Result<Response, Problem> {
    match ctx.store().freeze(scope, customer, id, freezing).await? {
        Froze::Done(credited) => Ok(show(StatusCode::OK, &credited, ctx)),
        Froze::Missing => Err(Problem::NotFound),
        Froze::Refused(FreezeRefusal::Past) => Err(Problem::invalid("until", "is not to come")),
        Froze::Refused(FreezeRefusal::Not(status)) => {
            let detail = format!("this membership is {}", status.as_str());
            Err(Problem::Conflict { code: "not_freezable", detail, param: None })
        }
    }
}
