//! The subscription as clients see it: one shape for answers and callbacks.

use super::{
    error::CodedError,
    event::EventType,
    id::{CatalogueId, CheckoutId, CustomerId, EventId, PaymentMethodId, SubscriptionId},
    money::{Amount, Currency},
    schedule::Period,
    span::Unit,
    subscription::{Subscription, SubscriptionStatus},
    time::Timestamp,
    time_zone::TimeZone,
};
use serde::Serialize;

/// The object `subscription` of the API.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = Subscription)]
pub struct SubscriptionView<'a> {
    id: &'a SubscriptionId,
    object: &'static str,
    status: SubscriptionStatus,
    livemode: bool,
    customer: &'a CustomerId,
    plan: &'a CatalogueId,
    name: &'a str,
    /// The price of a period as it was agreed on, tax not included.
    unit_amount: Amount,
    currency: Currency,
    tax_rate_bp: u32,
    interval: Unit,
    interval_count: u32,
    anchor_day: Option<u32>,
    /// Where its days are counted.
    time_zone: &'a TimeZone,
    /// Which of the customer's methods is charged.
    payment_method: &'a PaymentMethodId,
    /// The last period that was paid; 0 is the trial.
    period: Period,
    /// When it renews, is tried again, or ends. Null while a renewal is under way, and when nothing is to come.
    due_at: Option<Timestamp>,
    /// The checkout of the renewal that is under way.
    renewal: Option<&'a CheckoutId>,
    /// How many renewals since the last one that was paid came to nothing.
    failed_renewals: u32,
    /// Why the last one did.
    error: Option<&'a CodedError>,
    /// It ends with its period.
    cancel_at_period_end: bool,
    /// It ends with the renewal that is under way.
    cancel_requested: bool,
    /// The checkout that sold it.
    checkout: &'a CheckoutId,
    callback_url: Option<&'a str>,
    /// Grows with every change.
    version: i64,
    paused_at: Option<Timestamp>,
    /// Why it is paused, for people.
    pause_reason: Option<&'a str>,
    ended_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl<'a> From<&'a Subscription> for SubscriptionView<'a> {
    fn from(subscription: &'a Subscription) -> Self {
        let (agreement, renewal) = (&subscription.agreement, subscription.renewal.as_ref());
        let terms = &agreement.terms;
        Self {
            id: &subscription.id,
            object: "subscription",
            status: subscription.status,
            livemode: subscription.scope.is_live(),
            customer: &subscription.customer,
            plan: &subscription.plan,
            name: &agreement.name,
            unit_amount: terms.unit_amount,
            currency: agreement.currency,
            tax_rate_bp: terms.tax_rate_bp,
            interval: terms.interval,
            interval_count: terms.interval_count,
            anchor_day: terms.anchor_day,
            time_zone: &terms.time_zone,
            payment_method: &subscription.method,
            period: subscription.period,
            due_at: subscription.due_at,
            renewal: renewal.map(|renewal| &renewal.checkout),
            failed_renewals: subscription.tries,
            error: subscription.error.as_ref(),
            cancel_at_period_end: subscription.cancel_at_period_end,
            cancel_requested: renewal.is_some_and(|renewal| renewal.is_called_off),
            checkout: &subscription.sold_by.0,
            callback_url: agreement.callback_url.as_deref(),
            version: subscription.version,
            paused_at: subscription.pause.as_ref().map(|pause| pause.since),
            pause_reason: subscription.pause.as_ref().and_then(|pause| pause.reason.as_deref()),
            ended_at: subscription.ended_at,
            created_at: subscription.created_at,
            updated_at: subscription.updated_at,
        }
    }
}

/// An event about a subscription as it is sent.
#[derive(Debug, Serialize)]
pub struct SubscriptionEventView<'a> {
    /// `evt_…`, also the `webhook-id`.
    pub id: &'a EventId,
    /// The event's type.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// When it happened.
    pub created_at: Timestamp,
    /// The subscription at that version.
    pub data: SubscriptionView<'a>,
}
