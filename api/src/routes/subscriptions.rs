//! `/v1/subscriptions…`: what sold plans have become. Plans are sold by `POST /v1/checkouts`, and renew by themselves.

use crate::{
    auth::{Caller, CheckoutsRead, CheckoutsWrite},
    bounds,
    context::ApiContext,
    problem::Problem,
    respond::{List, json},
    routes::{paging::page, paths::Known},
    strict::{AnyFields, Limit, NoFields, Query, Strict},
    trace::TraceParent,
};
use axum::{
    Extension,
    extract::State,
    response::{IntoResponse, Response},
};
use boxoffice_common::{
    domain::{
        error::{Code, CodedError},
        id::{CustomerId, PaymentMethodId, SubscriptionId},
        scope::Scope,
        subscription::{MAX_REASON, Subscription, SubscriptionStatus},
        subscription_change::{Change, ChangeRefusal},
        subscription_view::SubscriptionView,
    },
    ports::{
        queue::Lane,
        store::{SubscriptionChanged, SubscriptionFilter},
    },
};
use http::StatusCode;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn router() -> OpenApiRouter<ApiContext> {
    OpenApiRouter::new()
        .routes(routes!(list_subscriptions))
        .routes(routes!(get_subscription))
        .routes(routes!(pause_subscription))
        .routes(routes!(resume_subscription))
        .routes(routes!(cancel_subscription))
        .routes(routes!(change_payment_method))
}

/// What the list is narrowed to, and which page of it.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only of this customer.
    customer: Option<CustomerId>,
    /// Only in this state.
    status: Option<SubscriptionStatus>,
    /// 1 to 100; 20 when left out.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Why it pauses.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct PauseSubscription {
    /// For people; at most 255 characters.
    #[schema(max_length = 255)]
    reason: Option<String>,
}

/// When it is to end.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CancelSubscription {
    /// With the period that is paid, and not now.
    #[serde(default)]
    at_period_end: bool,
}

/// What is charged from now on.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangePaymentMethod {
    /// Which of the customer's saved methods.
    id: PaymentMethodId,
}

/// Subscriptions, newest first.
#[utoipa::path(
    get,
    path = "/v1/subscriptions",
    tag = "subscriptions",
    params(Filter),
    responses(
        (status = 200, description = "A page", body = List<SubscriptionView>),
    ),
)]
async fn list_subscriptions(
    caller: Caller<CheckoutsRead>,
    Query(filter): Query<Filter>,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    let page = page(filter.limit, filter.cursor)?;
    let filter = SubscriptionFilter { customer: filter.customer, status: filter.status };
    let found = ctx.store().subscriptions(caller.scope(), &filter, &page).await?;
    Ok(List::with_cursor(found.data.iter().map(SubscriptionView::from).collect(), found.next_cursor).into_response())
}

/// One.
#[utoipa::path(
    get,
    path = "/v1/subscriptions/{id}",
    tag = "subscriptions",
    params(("id" = SubscriptionId, Path, description = "The id")),
    responses(
        (status = 200, description = "The subscription", body = SubscriptionView),
        (status = 404, description = "Not there"),
    ),
)]
async fn get_subscription(
    caller: Caller<CheckoutsRead>,
    Known(id): Known<SubscriptionId>,
    State(ctx): State<ApiContext>,
) -> Result<Response, Problem> {
    let subscription = ctx.store().subscription(caller.scope(), &id).await?.ok_or(Problem::NotFound)?;
    Ok(json(StatusCode::OK, &SubscriptionView::from(&subscription)))
}

/// Stops renewals until it is resumed. What is paid stays paid.
#[utoipa::path(
    post,
    path = "/v1/subscriptions/{id}/pause",
    tag = "subscriptions",
    params(("id" = SubscriptionId, Path, description = "The id")),
    request_body(content = PauseSubscription, description = "May be left out"),
    responses(
        (status = 200, description = "Paused, now or before", body = SubscriptionView),
        (status = 404, description = "Not there"),
        (status = 409, description = "`subscription_ended`, `renewal_under_way`"),
    ),
)]
async fn pause_subscription(
    caller: Caller<CheckoutsWrite>,
    Known(id): Known<SubscriptionId>,
    State(ctx): State<ApiContext>,
    Extension(trace): Extension<TraceParent>,
    AnyFields(body): AnyFields<PauseSubscription>,
) -> Result<Response, Problem> {
    bounds::optional(body.reason.as_ref(), MAX_REASON, "reason")?;
    change(&ctx, caller.scope(), &id, &Change::Pause(body.reason), &trace).await
}

/// Lets it go on: after a pause, after an end that was asked for and has not come, after its tries were used up.
#[utoipa::path(
    post,
    path = "/v1/subscriptions/{id}/resume",
    tag = "subscriptions",
    params(("id" = SubscriptionId, Path, description = "The id")),
    responses(
        (status = 200, description = "It goes on, now or before. What is owed is charged at once", body = SubscriptionView),
        (status = 404, description = "Not there"),
        (status = 409, description = "`subscription_ended`, `renewal_under_way`"),
    ),
)]
async fn resume_subscription(
    caller: Caller<CheckoutsWrite>,
    Known(id): Known<SubscriptionId>,
    State(ctx): State<ApiContext>,
    Extension(trace): Extension<TraceParent>,
    _: NoFields,
) -> Result<Response, Problem> {
    change(&ctx, caller.scope(), &id, &Change::Resume, &trace).await
}

/// Ends it, now or with the period that is paid. Behind a 200 nobody is charged any more.
#[utoipa::path(
    post,
    path = "/v1/subscriptions/{id}/cancel",
    tag = "subscriptions",
    params(("id" = SubscriptionId, Path, description = "The id")),
    request_body = CancelSubscription,
    responses(
        (status = 200, description = "Canceled, or it ends with its period; now or before", body = SubscriptionView),
        (status = 202, description = "A renewal is under way, and its provider is asked to give it up; it ends with that", body = SubscriptionView),
        (status = 404, description = "Not there"),
    ),
)]
async fn cancel_subscription(
    caller: Caller<CheckoutsWrite>,
    Known(id): Known<SubscriptionId>,
    State(ctx): State<ApiContext>,
    Extension(trace): Extension<TraceParent>,
    Strict { value: body, .. }: Strict<CancelSubscription>,
) -> Result<Response, Problem> {
    let change_to = if body.at_period_end { Change::CancelAtPeriodEnd } else { Change::CancelNow };
    change(&ctx, caller.scope(), &id, &change_to, &trace).await
}

/// Charges another of the customer's saved methods from now on, and at once when a period is not paid.
#[utoipa::path(
    post,
    path = "/v1/subscriptions/{id}/payment-method",
    tag = "subscriptions",
    params(("id" = SubscriptionId, Path, description = "The id")),
    request_body = ChangePaymentMethod,
    responses(
        (status = 200, description = "Changed, now or before", body = SubscriptionView),
        (status = 404, description = "Not there"),
        (status = 409, description = "`subscription_ended`"),
        (status = 422, description = "`payment_method_invalid`: the customer has no such method"),
    ),
)]
async fn change_payment_method(
    caller: Caller<CheckoutsWrite>,
    Known(id): Known<SubscriptionId>,
    State(ctx): State<ApiContext>,
    Extension(trace): Extension<TraceParent>,
    Strict { value: body, .. }: Strict<ChangePaymentMethod>,
) -> Result<Response, Problem> {
    change(&ctx, caller.scope(), &id, &Change::PayWith(body.id), &trace).await
}

async fn change(ctx: &ApiContext, scope: &Scope, id: &SubscriptionId, change: &Change, trace: &TraceParent) -> Result<Response, Problem> {
    let subscription = changed(ctx, scope, id, change, trace).await?;
    // An end that was asked for now, and that has to wait.
    let waits = *change == Change::CancelNow && subscription.status != SubscriptionStatus::Canceled;
    let status = if waits { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok(json(status, &SubscriptionView::from(&subscription)))
}

/// Changes one, and hands on what follows.
pub(crate) async fn changed(
    ctx: &ApiContext,
    scope: &Scope,
    id: &SubscriptionId,
    change: &Change,
    trace: &TraceParent,
) -> Result<Subscription, Problem> {
    match ctx.store().change_subscription(scope, id, change).await? {
        SubscriptionChanged::Done { subscription, moved, deliveries } => {
            for delivery in deliveries {
                ctx.hand_on(Lane::Deliveries, delivery.as_str(), scope, trace.as_str());
            }
            if let Some(moved) = moved {
                ctx.after(moved, trace.as_str()).await;
            }
            Ok(*subscription)
        }
        SubscriptionChanged::Refused(refusal, subscription) => Err(refused(refusal, &subscription)),
        SubscriptionChanged::MethodMissing => {
            let words = "the customer has no such payment method";
            Err(CodedError::new(Code::PaymentMethodInvalid, words).at("id").into())
        }
        SubscriptionChanged::Missing => Err(Problem::NotFound),
    }
}

fn refused(refusal: ChangeRefusal, subscription: &Subscription) -> Problem {
    match refusal {
        ChangeRefusal::Ended => Problem::Conflict {
            code: "subscription_ended",
            detail: "this subscription has ended: sell the plan again".to_owned(),
            param: None,
        },
        ChangeRefusal::UnderWay => {
            let checkout = subscription.renewal.as_ref().map(|renewal| renewal.checkout.to_string()).unwrap_or_default();
            let detail = format!("its renewal {checkout} is under way: try again when that has ended, or cancel it");
            Problem::Conflict { code: "renewal_under_way", detail, param: None }
        }
    }
}
