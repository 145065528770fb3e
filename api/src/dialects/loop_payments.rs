//! Loop's payments: `POST /v1/checkout`, `GET /v1/payments/{id}`, and subscriptions, under `/loop` whole.
//!
//! | file | owns |
//! |---|---|
//! | `request` | what its clients ask for, as a cart of ours |
//! | `view` | what they are told |
//!
//! It names no card: who has a default saved method pays with it, and everybody else on our page, at `payment_url`.

mod request;
mod view;

pub(super) use view::fault;

use request::CheckoutRequest;
use view::{Fault, Payment, SubscriptionView};

use super::{keyed::Keyed, told::Dialect};
use crate::{
    auth::{Caller, CheckoutsRead, CheckoutsWrite},
    bounds,
    context::ApiContext,
    idempotency::{IdempotencyKey, REPLAYED},
    intake::{Buyer, Page, Submission},
    problem::Problem,
    respond::json,
    routes::{
        checkouts::{read, settled},
        paths::Known,
        subscriptions,
    },
    strict::Strict,
    trace::TraceParent,
    waiting::is_settled,
};
use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use boxoffice_common::{
    domain::{
        checkout::Checkout,
        customer::Customer,
        hosted::{PaymentOptions, UiMode},
        id::{CheckoutId, CustomerId, PaymentMethodId, SubscriptionId},
        leg::Tender,
        pricing::Cart,
        scope::Scope,
        subscription::Subscription,
        subscription_change::Change,
        tender,
    },
    ports::store::{IdempotencyRow, PageRequest},
};
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use utoipa_axum::{router::OpenApiRouter, routes};

/// How long an answer waits for what comes of the payment. Whatever it is by then is told, and goes on.
/// Shorter than the patience of most clients.
const PATIENCE: Duration = Duration::from_secs(7);
/// How long what is made here may wait for its customer.
const EXPIRES_IN: Duration = Duration::from_secs(1_800);

/// What a key is bound to, wherever the route is mounted.
const ROUTE: &str = "loop POST /v1/checkout";
/// How our own ids of customers begin.
const OURS: &str = "cus_";

/// What the native API has no route of its own for.
pub(super) fn at_root() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new().routes(routes!(loop_checkout)).routes(routes!(loop_payment))
}

/// Everything.
pub(super) fn whole() -> OpenApiRouter<ApiContext> {
    at_root().routes(routes!(loop_subscription)).routes(routes!(loop_pause_subscription))
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = LoopPause)]
struct PauseRequest {
    /// For people; checked, and not kept.
    reason: Option<String>,
}

/// Pays for an amount, for products, or for the first period of a plan.
#[utoipa::path(
    post,
    path = "/v1/checkout",
    tag = "loop",
    params(("Idempotency-Key" = Option<String>, Header, description = "Left out, the same request is one with an earlier one that was not answered")),
    request_body = CheckoutRequest,
    responses(
        (status = 201, description = "Payment created", body = Payment),
        (status = 400, description = "Validation error", body = Fault),
    ),
)]
async fn loop_checkout(
    caller: Caller<CheckoutsWrite>,
    key: Option<IdempotencyKey>,
    State(ctx): State<ApiContext>,
    Extension(trace): Extension<TraceParent>,
    body: Strict<CheckoutRequest>,
) -> Result<Response, Problem> {
    // What can never be done leaves nothing behind.
    bounds::text(&body.value.customer_id, 255, "customer_id")?;
    let (cart, metadata) = (body.value.cart()?, body.value.metadata()?);
    let keyed = Keyed::of(&ctx, caller.scope(), ROUTE, key, body.hash).await?;
    let CheckoutRequest { customer_id: customer, order_id, .. } = body.value;
    let asked = Asked { cart, metadata, customer: customer.clone(), reference: order_id.filter(|order| !order.is_empty()) };
    match sell(&ctx, caller.shared_scope(), asked, keyed.row.clone(), trace).await {
        Ok((checkout, replayed)) => {
            let mut response = json(StatusCode::CREATED, &Payment::of(&checkout, &customer));
            if replayed {
                response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            }
            keyed.answer(&ctx, is_settled(checkout.status), response).await
        }
        // In their words already here: what the edge would say again is noted as gone out.
        Err(problem) => keyed.answer(&ctx, true, Dialect::Loop.retold(problem.into_response())).await,
    }
}

/// One payment.
#[utoipa::path(
    get,
    path = "/v1/payments/{id}",
    tag = "loop",
    params(("id" = CheckoutId, Path, description = "The id")),
    responses(
        (status = 200, description = "The payment", body = Payment),
        (status = 404, description = "Not there", body = Fault),
    ),
)]
async fn loop_payment(
    caller: Caller<CheckoutsRead>,
    Known(id): Known<CheckoutId>,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    let checkout = read(&ctx, caller.scope(), &id).await?;
    let customer = match &checkout.order.customer {
        Some(customer) => name_of(&ctx, caller.scope(), customer).await?,
        None => String::new(),
    };
    Ok(json(StatusCode::OK, &Payment::of(&checkout, &customer)))
}

/// One subscription.
#[utoipa::path(
    get,
    path = "/v1/subscriptions/{id}",
    tag = "loop",
    params(("id" = SubscriptionId, Path, description = "The id")),
    responses(
        (status = 200, description = "The subscription", body = SubscriptionView),
        (status = 404, description = "Not there", body = Fault),
    ),
)]
async fn loop_subscription(
    caller: Caller<CheckoutsRead>,
    Known(id): Known<SubscriptionId>,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    let subscription = ctx.store().subscription(caller.scope(), &id).await?.ok_or(Problem::NotFound)?;
    shown(&ctx, &subscription).await
}

/// No renewals until it is resumed.
#[utoipa::path(
    post,
    path = "/v1/subscriptions/{id}/pause",
    tag = "loop",
    params(("id" = SubscriptionId, Path, description = "The id")),
    request_body = PauseRequest,
    responses(
        (status = 200, description = "Paused, now or before", body = SubscriptionView),
        (status = 404, description = "Not there", body = Fault),
        (status = 409, description = "`subscription_ended`, `renewal_under_way`", body = Fault),
    ),
)]
async fn loop_pause_subscription(
    caller: Caller<CheckoutsWrite>,
    Known(id): Known<SubscriptionId>,
    State(ctx): State<ApiContext>,
    Extension(trace): Extension<TraceParent>,
    body: Strict<PauseRequest>,
) -> Result<Response, Problem> {
    bounds::optional(body.value.reason.as_ref(), 255, "reason")?;
    let subscription = subscriptions::changed(&ctx, caller.scope(), &id, &Change::Pause, &trace).await?;
    shown(&ctx, &subscription).await
}

async fn shown(ctx: &ApiContext, subscription: &Subscription) -> Result<Response, Problem> {
    let customer = name_of(ctx, &subscription.scope, &subscription.customer).await?;
    let view = SubscriptionView {
        id: &subscription.id,
        customer_id: &customer,
        subscription_plan_id: &subscription.plan,
        status: subscription.status,
        amount_cents: subscription.agreement.terms.unit_amount.minor().to_string(),
        currency: subscription.agreement.currency,
        created_at: subscription.created_at,
        updated_at: subscription.updated_at,
    };
    Ok(json(StatusCode::OK, &view))
}

/// What Loop's client calls a customer: by the name that it gave him itself, if it did.
async fn name_of(ctx: &ApiContext, scope: &Scope, id: &CustomerId) -> Result<String, Problem> {
    let customer = ctx.store().customer(scope, id).await?;
    Ok(customer.and_then(|customer| customer.external_id).unwrap_or_else(|| id.to_string()))
}

/// What is asked for, as far as it can be read without a look at the store.
struct Asked {
    cart: Cart,
    metadata: Map<String, Value>,
    customer: String,
    reference: Option<String>,
}

/// What became of it, and whether it was asked for before.
async fn sell(
    ctx: &ApiContext,
    scope: Arc<Scope>,
    asked: Asked,
    idempotency: IdempotencyRow,
    trace: TraceParent,
) -> Result<(Checkout, bool), Problem> {
    let (buyer, method) = payer(ctx, &scope, &asked.customer).await?;
    let (payment, page) = match method {
        Some(id) => {
            let tender = Tender::SavedMethod { id, token: None, owner: None };
            (Some(vec![tender::Asked { tender, amount: None, param: "customer_id".to_owned() }]), None)
        }
        None => (None, Some(Page { options: PaymentOptions::default(), ui_mode: UiMode::Hosted })),
    };
    let submission = Submission {
        cart: asked.cart,
        reference: asked.reference,
        metadata: asked.metadata,
        scope: Arc::clone(&scope),
        idempotency,
        buyer: Some(buyer),
        payment,
        page,
        success_url: None,
        cancel_url: None,
        callback_url: None,
        callback_state: None,
        expires_in: EXPIRES_IN,
        trace,
    };
    let answer = ctx.intake().accept(submission).await?;
    let id = CheckoutId::parse(answer.stored.object.as_str()).map_err(|_| Problem::Internal)?;
    Ok((settled(ctx, &scope, &id, Instant::now() + PATIENCE).await?, answer.replayed))
}

/// Who pays, and with what he has saved for that. A customer whom nobody knows yet is made, under that name.
async fn payer(ctx: &ApiContext, scope: &Scope, name: &str) -> Result<(Buyer, Option<PaymentMethodId>), Problem> {
    // Only what looks like an id of ours: a new customer of theirs must not be taken for an old one of somebody's.
    let ours: Vec<CustomerId> = CustomerId::parse(name).into_iter().filter(|id| id.as_str().starts_with(OURS)).collect();
    let known = ctx.store().customers_by_name(scope, &ours, &[name.to_owned()]).await?;
    // The client's own name goes before one of ours that happens to be the same.
    let named = known.iter().find(|customer| customer.external_id.as_deref() == Some(name)).or(known.first());
    let Some(id) = named.and_then(|customer| customer.id.clone()) else {
        let customer = Customer {
            id: None,
            external_id: Some(name.to_owned()),
            email: None,
            name: None,
            date_of_birth: None,
            tags: Vec::new(),
            family: None,
            metadata: Map::new(),
        };
        return Ok((Buyer::Described(Box::new(customer)), None));
    };
    let saved = ctx.store().methods_of(scope, &id, &PageRequest { limit: 100, after: None }).await?;
    let method = saved.data.into_iter().find(|method| method.is_default).map(|method| method.id);
    Ok((Buyer::Known(id), method))
}
