//! What Loop's clients are told.

use crate::problem::Problem;
use boxoffice_common::domain::{
    checkout::Checkout,
    id::{CatalogueId, CheckoutId, SubscriptionId},
    line::Item,
    money::Currency,
    state::Status,
    subscription::SubscriptionStatus,
    time::Timestamp,
};
use http::StatusCode;
use serde::Serialize;

/// A payment as Loop shows it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = LoopPayment)]
pub(super) struct Payment<'a> {
    id: &'a CheckoutId,
    customer_id: &'a str,
    order_id: Option<&'a str>,
    /// Minor units, as digits.
    amount_cents: String,
    currency: Currency,
    /// `processing`, `requires_payment`, `succeeded`, `failed` or `canceled`.
    status: &'static str,
    /// The provider's own name for the charge.
    stripe_payment_intent_id: Option<&'a str>,
    mode: &'static str,
    subscription_id: Option<&'a SubscriptionId>,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// Ours: where the customer pays, with `requires_payment`.
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_url: Option<&'a str>,
    /// Ours: why, with `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_code: Option<&'static str>,
}

/// A subscription as Loop's clients ask for it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = LoopSubscription)]
pub(super) struct SubscriptionView<'a> {
    pub(super) id: &'a SubscriptionId,
    pub(super) customer_id: &'a str,
    pub(super) subscription_plan_id: &'a CatalogueId,
    /// `trialing`, `active`, `past_due`, `paused` or `canceled`.
    pub(super) status: SubscriptionStatus,
    /// Minor units, as digits.
    pub(super) amount_cents: String,
    pub(super) currency: Currency,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
}

impl<'a> Payment<'a> {
    pub(super) fn of(checkout: &'a Checkout, customer_id: &'a str) -> Self {
        let order = &checkout.order;
        let subscription_id =
            order.lines.iter().find_map(|line| if let Item::Plan { subscription, .. } = &line.item { Some(subscription) } else { None });
        let charge = checkout.charge_of(0);
        let error = checkout.error.as_ref().filter(|_| checkout.status == Status::Failed);
        Self {
            id: &checkout.id,
            customer_id,
            order_id: order.reference.as_deref(),
            amount_cents: order.totals.total.minor().to_string(),
            currency: order.currency,
            status: match checkout.status {
                Status::Queued | Status::Processing | Status::Reconciling | Status::NeedsReview => "processing",
                Status::AwaitingPayment => "requires_payment",
                Status::Succeeded => "succeeded",
                Status::Failed => "failed",
                Status::Canceled | Status::Expired => "canceled",
            },
            stripe_payment_intent_id: charge.and_then(|charge| charge.provider_reference.as_deref()),
            mode: if subscription_id.is_some() { "subscription" } else { "one_shot" },
            subscription_id,
            created_at: checkout.created_at,
            updated_at: checkout.updated_at,
            payment_url: checkout.payment_url.as_deref(),
            failure_code: error.map(|error| error.code.as_str()),
        }
    }
}

/// What is wrong.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = LoopError)]
pub(super) struct Fault<'a> {
    /// Stable: what programs act on.
    error: &'a str,
    /// For people.
    message: String,
}

impl<'a> Fault<'a> {
    pub(super) const fn new(error: &'a str, message: String) -> Self {
        Self { error, message }
    }
}

/// A problem in Loop's words. What was understood and cannot be done is a validation error here, too.
pub(super) fn fault(problem: &Problem) -> (StatusCode, String) {
    let status = match problem.status() {
        StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        status => status,
    };
    let message = match problem.param() {
        Some(param) => format!("{}: {}", theirs(param), problem.detail()),
        None => problem.detail(),
    };
    (status, serde_json::to_string(&Fault { error: problem.code(), message }).unwrap_or_default())
}

/// Where a fault is, in the words of the request.
fn theirs(param: &str) -> String {
    match param {
        "lines[0].plan" => "subscription_plan_id".to_owned(),
        "payment" | "payment.methods" | "payment.hosted" => "customer_id".to_owned(),
        _ => param
            .replace("lines[", "line_items[")
            .replace("].product", "].product_id")
            .replace("].variant", "].variant_id")
            .replace("].unit_amount", "].unit_amount_cents")
            .replace("].quantity", "].qty"),
    }
}
