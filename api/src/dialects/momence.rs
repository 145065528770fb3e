//! Momence's host checkout and its member's twin: prices, memberships that fit, the checkout, bookings canceled, and the waiting list.
//!
//! | file | owns |
//! |---|---|
//! | `request` | what its clients ask for, as a cart of ours |
//! | `view` | what they are told |
//! | `fault` | what is wrong, in one table |
//! | `ids` | ids that are numbers |
//! | `bookings` | bookings and the waiting list |
//! | `offers` | what a member has waited for |
//!
//! A checkout waits for its end: what the worker finds is its answer.

mod bookings;
mod fault;
mod ids;
mod offers;
mod request;
mod view;

use fault::Fault;
use ids::numbers;
use request::{CartRequest, CheckoutRequest, Ordered, Wanted};
use view::{Bought, Compatible, Compatibles, ItemPrice, Prices, Purchase, Purchased};

use super::{
    customers,
    keyed::Keyed,
    sale::{self, EXPIRES_IN, PATIENCE, Sold},
    told::{Dialect, is_under},
};
use crate::{
    auth::{Caller, CheckoutsRead, CheckoutsWrite},
    context::ApiContext,
    idempotency::IdempotencyKey,
    intake::{Buyer, Submission},
    problem::Problem,
    respond::json,
    strict::Strict,
    trace::TraceParent,
};
use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use boxoffice_common::{
    domain::{
        catalogue::Kind,
        checkout::Checkout,
        error::{Code, CodedError},
        id::{CatalogueId, CustomerId},
        line::{Item, Line},
        scope::Scope,
        state::Status,
        ticket::{Place, id_of},
    },
    ports::store::{IdempotencyRow, Numbered},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::Map;
use std::{collections::HashSet, sync::Arc};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// As the edge knows it.
pub(super) static DIALECT: Dialect = Dialect {
    prefix: "/momence",
    is_at_root: |path| is_under(path, "/api/v2/host") || is_under(path, "/api/v2/member"),
    schema_of_faults: || Fault::name(),
    fault: fault::fault,
    heads: None,
};

/// When to ask again for what came of a checkout that goes on, seconds.
const AGAIN: HeaderValue = HeaderValue::from_static("2");

/// Everything: the native API has none of these paths.
pub(super) fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new()
        .routes(routes!(momence_host_checkout))
        .routes(routes!(momence_host_prices))
        .routes(routes!(momence_host_compatible_memberships))
        .routes(routes!(momence_member_checkout))
        .routes(routes!(momence_member_prices))
        .routes(routes!(momence_member_compatible_memberships))
        .merge(bookings::router())
}

/// Buys what is in the cart for a member, and says what was bought.
#[utoipa::path(
    post,
    path = "/api/v2/host/checkout",
    tag = "momence",
    params(("Idempotency-Key" = Option<String>, Header, description = "Left out, the same request is one with an earlier one that was not answered")),
    request_body = CheckoutRequest,
    responses(
        (status = 200, description = "Bought", body = Purchase),
        (status = 400, description = "Not bought: one of the 27 errors of the page", body = Fault),
        (status = 503, description = "`err-checkout-pending`: what comes of it is not known yet, and it goes on; ask again with the same request. Or a server that does not answer", body = Fault),
    ),
)]
async fn momence_host_checkout(
    caller: Caller<CheckoutsWrite>,
    key: Option<IdempotencyKey>,
    State(ctx): State<ApiContext>,
    Extension(trace): Extension<TraceParent>,
    body: Strict<CheckoutRequest>,
) -> Result<Response, Problem> {
    checkout(&ctx, &caller, key, trace, body, "momence POST /api/v2/host/checkout").await
}

/// The same for a client of the member's: who that is stands in `memberId`, because a key here is the tenant's.
#[utoipa::path(
    post,
    path = "/api/v2/member/checkout",
    tag = "momence",
    params(("Idempotency-Key" = Option<String>, Header, description = "Left out, the same request is one with an earlier one that was not answered")),
    request_body = CheckoutRequest,
    responses(
        (status = 200, description = "Bought", body = Purchase),
        (status = 400, description = "Not bought: one of the errors of the page", body = Fault),
        (status = 503, description = "`err-checkout-pending`: what comes of it is not known yet, and it goes on; ask again with the same request. Or a server that does not answer", body = Fault),
    ),
)]
async fn momence_member_checkout(
    caller: Caller<CheckoutsWrite>,
    key: Option<IdempotencyKey>,
    State(ctx): State<ApiContext>,
    Extension(trace): Extension<TraceParent>,
    body: Strict<CheckoutRequest>,
) -> Result<Response, Problem> {
    checkout(&ctx, &caller, key, trace, body, "momence POST /api/v2/member/checkout").await
}

/// What the items of a cart cost; nothing is held.
#[utoipa::path(
    post,
    path = "/api/v2/host/checkout/prices",
    tag = "momence",
    request_body = CartRequest,
    responses(
        (status = 200, description = "The prices that a checkout demands", body = Prices),
        (status = 400, description = "There is no such cart", body = Fault),
    ),
)]
async fn momence_host_prices(
    caller: Caller<CheckoutsRead>,
    State(ctx): State<ApiContext>,
    body: Strict<CartRequest>,
) -> Result<Response, Problem> {
    prices(&ctx, caller.shared_scope(), body.value.read()?).await
}

/// The same for a client of the member's, with the `memberId`.
#[utoipa::path(
    post,
    path = "/api/v2/member/checkout/prices",
    tag = "momence",
    request_body = CartRequest,
    responses(
        (status = 200, description = "The prices that a checkout demands", body = Prices),
        (status = 400, description = "There is no such cart", body = Fault),
    ),
)]
async fn momence_member_prices(
    caller: Caller<CheckoutsRead>,
    State(ctx): State<ApiContext>,
    body: Strict<CartRequest>,
) -> Result<Response, Problem> {
    prices(&ctx, caller.shared_scope(), body.value.read()?).await
}

/// Every membership of a member's, and why it would not pay for this cart.
#[utoipa::path(
    post,
    path = "/api/v2/host/checkout/compatible-memberships",
    tag = "momence",
    request_body = CartRequest,
    responses(
        (status = 200, description = "The memberships, those that would not pay among them", body = Compatibles),
        (status = 400, description = "There is no such cart", body = Fault),
    ),
)]
async fn momence_host_compatible_memberships(
    caller: Caller<CheckoutsRead>,
    State(ctx): State<ApiContext>,
    body: Strict<CartRequest>,
) -> Result<Response, Problem> {
    compatible(&ctx, caller.shared_scope(), body.value.read()?).await
}

/// The same for a client of the member's, with the `memberId`.
#[utoipa::path(
    post,
    path = "/api/v2/member/checkout/compatible-memberships",
    tag = "momence",
    request_body = CartRequest,
    responses(
        (status = 200, description = "The memberships, those that would not pay among them", body = Compatibles),
        (status = 400, description = "There is no such cart", body = Fault),
    ),
)]
async fn momence_member_compatible_memberships(
    caller: Caller<CheckoutsRead>,
    State(ctx): State<ApiContext>,
    body: Strict<CartRequest>,
) -> Result<Response, Problem> {
    compatible(&ctx, caller.shared_scope(), body.value.read()?).await
}

/// The customer who is a client's member.
async fn member(ctx: &ApiContext, scope: &Scope, id: &ids::Id) -> Result<CustomerId, Problem> {
    let found = customers::find(ctx, scope, id.as_str()).await?.and_then(|customer| customer.id);
    found.ok_or_else(|| CodedError::new(Code::ResourceMissing, "there is no such member").at("customer").into())
}

async fn prices(ctx: &ApiContext, scope: Arc<Scope>, wanted: Wanted) -> Result<Response, Problem> {
    let wanted = wanted.meant(ctx, &scope).await?;
    let buyer = Buyer::Known(member(ctx, &scope, &wanted.member).await?);
    let shelf = ctx.intake().shelf(&scope, wanted.things()).await?;
    let cart = wanted.cart(&shelf)?;
    let priced = ctx.intake().quote(&scope, &cart, Some(&buyer)).await?;
    let in_major = |amount| cart.currency.decimal(amount);
    let price = |(line, item): (&Line, &request::Item)| {
        let total = line.total().map_err(|_| Problem::Internal)?;
        let without = line.amount.minus(line.discount_amount).map_err(|_| Problem::Internal)?;
        Ok::<_, Problem>(ItemPrice {
            id: item.id.clone(),
            price_in_currency_with_tax: in_major(total),
            price_in_currency_without_tax: in_major(without),
            tax_in_currency: in_major(line.tax_amount),
        })
    };
    let items_with_prices = priced.lines.iter().zip(&wanted.items).map(price).collect::<Result<_, _>>()?;
    Ok(json(StatusCode::OK, &Prices { total_in_currency: in_major(priced.totals.total), items_with_prices }))
}

async fn compatible(ctx: &ApiContext, scope: Arc<Scope>, wanted: Wanted) -> Result<Response, Problem> {
    let wanted = wanted.meant(ctx, &scope).await?;
    let customer = member(ctx, &scope, &wanted.member).await?;
    let shelf = ctx.intake().shelf(&scope, wanted.things()).await?;
    let found = ctx.intake().compatible(&scope, &wanted.cart(&shelf)?, &customer).await?;
    let mut seen = HashSet::new();
    let origins: Vec<&CatalogueId> = found.iter().map(|(credited, _)| &credited.bought.membership).filter(|id| seen.insert(*id)).collect();
    let shelf = ctx.intake().shelf(&scope, origins.iter().map(|id| (Kind::Membership, CatalogueId::clone(id))).collect()).await?;
    let of_origins = numbers(ctx, &scope, Numbered::Membership, origins.iter().map(|id| id.as_str())).await?;
    let origin = |id: &CatalogueId| {
        let at = origins.iter().position(|origin| *origin == id)?;
        Some((shelf.memberships.get(id)?, *of_origins.get(at)?))
    };
    let own = numbers(ctx, &scope, Numbered::BoughtMembership, found.iter().map(|(credited, _)| credited.bought.id.as_str())).await?;
    let told = found.iter().zip(own).map(|((credited, why), id)| Compatible {
        bought_membership: Bought::of(credited, id, origin(&credited.bought.membership)),
        incompatibility: why.map(|why| view::incompatibility(why, credited.bought.kind)),
    });
    Ok(json(StatusCode::OK, &Compatibles { items: told.collect() }))
}

async fn checkout(
    ctx: &ApiContext,
    caller: &Caller<CheckoutsWrite>,
    key: Option<IdempotencyKey>,
    trace: TraceParent,
    body: Strict<CheckoutRequest>,
    route: &str,
) -> Result<Response, Problem> {
    // What can never be done leaves nothing behind.
    let ordered = body.value.read()?;
    let scope = caller.shared_scope();
    let keyed = Keyed::of(ctx, &scope, route, key, body.hash).await?;
    let told = match sell(ctx, &scope, ordered, &keyed.row, trace).await {
        Ok(sold) => told(ctx, &scope, &sold).await,
        Err(problem) => Err(problem),
    };
    match told {
        Ok((is_final, response)) => keyed.answer(ctx, is_final, response).await,
        // In their words already here: what the edge would say again is noted as gone out.
        Err(problem) => keyed.answer(ctx, true, DIALECT.retold(problem.into_response())).await,
    }
}

/// Sells, or finds what was sold before: whatever has changed since, the same key has the same end.
async fn sell(ctx: &ApiContext, scope: &Arc<Scope>, ordered: Ordered, row: &IdempotencyRow, trace: TraceParent) -> Result<Sold, Problem> {
    match submission(ctx, scope, ordered, row, trace).await {
        Ok(submission) => sale::sell(ctx, submission, PATIENCE).await,
        Err(refused) => sale::again(ctx, scope, row, PATIENCE).await?.ok_or(refused),
    }
}

async fn submission(
    ctx: &ApiContext,
    scope: &Arc<Scope>,
    ordered: Ordered,
    row: &IdempotencyRow,
    trace: TraceParent,
) -> Result<Submission, Problem> {
    let payment = ordered.methods(ctx, scope).await?;
    let wanted = ordered.wanted.meant(ctx, scope).await?;
    let customer = member(ctx, scope, &wanted.member).await?;
    let shelf = ctx.intake().shelf(scope, wanted.things()).await?;
    let mut cart = wanted.cart(&shelf)?;
    offers::take(ctx, scope, &customer, &mut cart).await?;
    Ok(Submission {
        scope: Arc::clone(scope),
        idempotency: row.clone(),
        cart,
        buyer: Some(Buyer::Known(customer)),
        payment: Some(payment),
        page: None,
        success_url: None,
        cancel_url: None,
        callback_url: None,
        callback_state: None,
        reference: None,
        metadata: Map::new(),
        expires_in: EXPIRES_IN,
        replaces_open: false,
        space: None,
        trace,
    })
}

/// What came of it, and whether that is its end.
async fn told(ctx: &ApiContext, scope: &Scope, sold: &Sold) -> Result<(bool, Response), Problem> {
    match sold.checkout.status {
        Status::Succeeded => {
            let purchased_items = purchased(ctx, scope, &sold.checkout).await?;
            Ok((true, sold.marked(json(StatusCode::OK, &Purchase { purchased_items }))))
        }
        Status::Failed | Status::Canceled | Status::Expired => {
            let ended = || CodedError::new(Code::PaymentFailed, "the checkout was called off");
            let problem = Problem::from(sold.checkout.error.clone().unwrap_or_else(ended));
            Ok((true, sold.marked(DIALECT.retold(problem.into_response()))))
        }
        Status::Queued | Status::Processing | Status::AwaitingPayment | Status::Reconciling | Status::NeedsReview => {
            let message = match &sold.checkout.payment_url {
                Some(url) => format!("the member has to confirm the payment at {url}; ask again with the same request"),
                None => "the payment is under way, and goes on; ask again with the same request".to_owned(),
            };
            let mut response = json(StatusCode::SERVICE_UNAVAILABLE, &Fault { kind: "err-checkout-pending", message });
            response.headers_mut().insert(header::RETRY_AFTER, AGAIN);
            Ok((false, sold.marked(response)))
        }
    }
}

/// What each line has become, in their order.
async fn purchased(ctx: &ApiContext, scope: &Scope, checkout: &Checkout) -> Result<Vec<Purchased>, Problem> {
    let lines = || checkout.order.lines.iter().zip(0u32..);
    let booking = |(line, at): (&Line, u32)| match line.item {
        Item::Session { .. } => id_of(&checkout.id, Place { line: at, index: 0 }),
        _ => None,
    };
    let bookings: Vec<_> = lines().filter_map(booking).collect();
    let bought: Vec<_> = lines().filter_map(|(line, _)| line.item.bought_membership()).collect();
    let started = lines().filter_map(|(line, _)| match &line.item {
        Item::Plan { subscription, gives: None, .. } => Some(subscription.as_str()),
        _ => None,
    });
    let mut bookings = numbers(ctx, scope, Numbered::Booking, bookings.iter().map(AsRef::as_ref)).await?.into_iter();
    let mut bought = numbers(ctx, scope, Numbered::BoughtMembership, bought.iter().map(|id| id.as_str())).await?.into_iter();
    let mut started = numbers(ctx, scope, Numbered::Subscription, started).await?.into_iter();
    let told = |(line, _): (&Line, u32)| match &line.item {
        Item::Session { .. } => bookings.next().map(|session_booking_id| Purchased::Session { session_booking_id }),
        Item::Plan { gives: None, .. } => started.next().map(|bought_membership_id| Purchased::Membership { bought_membership_id }),
        Item::Membership { .. } | Item::Plan { .. } => {
            bought.next().map(|bought_membership_id| Purchased::Membership { bought_membership_id })
        }
        // No item of theirs becomes one of these.
        Item::Subscription { .. } | Item::Product { .. } | Item::Custom(_) => None,
    };
    Ok(lines().filter_map(told).collect())
}
