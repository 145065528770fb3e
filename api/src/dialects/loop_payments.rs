//! Loop's payments: `POST /v1/checkout`, `GET /v1/payments/{id}`, and subscriptions, under `/loop` whole.
//!
//! | file | owns |
//! |---|---|
//! | `request` | what its clients ask for, as a cart of ours |
//! | `view` | what they are told |
//! | `webhook` | what Stripe tells their installations |
//!
//! It names no card: who has a default saved method pays with it, and everybody else on our page, at `payment_url`.

mod request;
mod view;
mod webhook;

use request::CheckoutRequest;
use view::{Fault, Payment, SubscriptionView};
pub(super) use webhook::{PATH as SIGNED_PATH, router as signed};

use super::{
    customers::{self, name_of},
    keyed::Keyed,
    sale::{EXPIRES_IN, PATIENCE, Sold, sell},
    told::{Dialect, is_under},
};
use crate::{
    auth::{Caller, CheckoutsRead, CheckoutsWrite},
    bounds,
    context::ApiContext,
    idempotency::IdempotencyKey,
    intake::{Buyer, Page, Submission},
    problem::Problem,
    respond::json,
    routes::{checkouts::read, paths::Known, subscriptions},
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
        customer::Customer,
        id::{CheckoutId, PaymentMethodId, SubscriptionId},
        leg::Tender,
        pricing::Cart,
        scope::Scope,
        subscription::{MAX_REASON, Subscription},
        subscription_change::Change,
        tender,
    },
    ports::store::{IdempotencyRow, PageRequest},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// As the edge knows it.
pub(super) static DIALECT: Dialect = Dialect {
    prefix: "/loop",
    is_at_root: |path| path == "/v1/checkout" || path == SIGNED_PATH || is_under(path, "/v1/payments"),
    schema_of_faults: || Fault::name(),
    fault: view::fault,
    heads: None,
};

/// What a key is bound to, wherever the route is mounted.
const ROUTE: &str = "loop POST /v1/checkout";

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
    /// For people; at most 255 characters.
    #[schema(max_length = 255)]
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
    let mut keyed = Keyed::of(&ctx, caller.scope(), ROUTE, key, body.hash).await?;
    let CheckoutRequest { customer_id: customer, order_id, .. } = body.value;
    let asked = Asked { cart, metadata, customer: customer.clone(), reference: order_id.filter(|order| !order.is_empty()) };
    let mut paid = pay(&ctx, caller.shared_scope(), &asked, &keyed.row, &trace).await;
    if let Ok(over) = &paid
        && let Some(anew) = keyed.anew(&ctx, over).await?
    {
        keyed = anew;
        paid = pay(&ctx, caller.shared_scope(), &asked, &keyed.row, &trace).await;
    }
    match paid {
        Ok(sold) => {
            let response = sold.marked(json(StatusCode::CREATED, &Payment::of(&sold.checkout, &customer)));
            keyed.answer(&ctx, sold.is_settled(), response).await
        }
        // In their words already here: what the edge would say again is noted as gone out.
        Err(problem) => keyed.answer(&ctx, true, DIALECT.retold(problem.into_response())).await,
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
    let reason = body.value.reason;
    bounds::optional(reason.as_ref(), MAX_REASON, "reason")?;
    let subscription = subscriptions::changed(&ctx, caller.scope(), &id, &Change::Pause(reason), &trace).await?;
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

/// What is asked for, as far as it can be read without a look at the store.
struct Asked {
    cart: Cart,
    metadata: Map<String, Value>,
    customer: String,
    reference: Option<String>,
}

/// What became of it.
async fn pay(ctx: &ApiContext, scope: Arc<Scope>, asked: &Asked, row: &IdempotencyRow, trace: &TraceParent) -> Result<Sold, Problem> {
    let (buyer, method) = payer(ctx, &scope, asked.customer.clone()).await?;
    let (payment, page) = match method {
        Some(id) => {
            let tender = Tender::SavedMethod { id, token: None, owner: None };
            (Some(vec![tender::Asked { tender, amount: None, param: "customer_id".to_owned() }]), None)
        }
        None => (None, Some(Page::default())),
    };
    let submission = Submission {
        cart: asked.cart.clone(),
        reference: asked.reference.clone(),
        replaces_open: false,
        space: None,
        metadata: asked.metadata.clone(),
        scope,
        idempotency: row.clone(),
        buyer: Some(buyer),
        payment,
        page,
        success_url: None,
        cancel_url: None,
        callback_url: None,
        callback_state: None,
        expires_in: EXPIRES_IN,
        trace: trace.clone(),
    };
    sell(ctx, submission, PATIENCE).await
}

/// Who pays, and with what he has saved for that. A customer whom nobody knows yet is made, under that name.
async fn payer(ctx: &ApiContext, scope: &Scope, name: String) -> Result<(Buyer, Option<PaymentMethodId>), Problem> {
    let Some(id) = customers::find(ctx, scope, &name).await?.and_then(|customer| customer.id) else {
        let customer = Customer { external_id: Some(name), ..Customer::default() };
        return Ok((Buyer::Described(Box::new(customer)), None));
    };
    let saved = ctx.store().methods_of(scope, &id, &PageRequest { limit: 100, after: None }).await?;
    let method = saved.data.into_iter().find(|method| method.is_default).map(|method| method.id);
    Ok((Buyer::Known(id), method))
}
