//! The checkout as clients see it: one shape for answers, streams and callbacks.

use super::{
    attempt::{EmbeddedForm, Fee},
    checkout::Checkout,
    dispute::Dispute,
    error::CodedError,
    id::{AttemptId, CheckoutId, CustomerId, EventId, SpaceId},
    line::Line,
    money::{Amount, Currency},
    push::{Phone, PushKind},
    refund_view::RefundView,
    secret::Secret,
    state::Status,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// Where a checkout stands in the queue, as far as the API can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct QueueEstimate {
    /// How many are before it.
    pub position: u64,
    /// How long that may take, ms.
    pub estimated_wait_ms: u64,
}

/// The object `checkout` of API.md.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = Checkout)]
pub struct CheckoutView<'a> {
    id: &'a CheckoutId,
    object: &'static str,
    status: Status,
    livemode: bool,
    currency: Currency,
    amount_subtotal: Amount,
    amount_discount: Amount,
    amount_tax: Amount,
    amount_total: Amount,
    amount_paid: Amount,
    amount_refunded: Amount,
    customer: Option<&'a CustomerId>,
    lines: &'a [Line],
    promo_code: Option<&'a str>,
    payment_attempts: Vec<AttemptView<'a>>,
    /// What banks have taken back, or tried to. Left out where there is nothing.
    #[serde(skip_serializing_if = "<[Dispute]>::is_empty")]
    disputes: &'a [Dispute],
    /// What was paid outside and recorded here: cash, an invoice. Left out where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    custom_payments: Vec<CustomPaymentView<'a>>,
    error: Option<&'a CodedError>,
    payment_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<QueueEstimate>,
    success_url: Option<&'a str>,
    cancel_url: Option<&'a str>,
    callback_url: Option<&'a str>,
    callback_state: Option<&'a str>,
    reference: Option<&'a str>,
    /// Left out where it stands in none.
    #[serde(skip_serializing_if = "Option::is_none")]
    space: Option<&'a SpaceId>,
    #[schema(value_type = Object)]
    metadata: &'a serde_json::Map<String, serde_json::Value>,
    version: i64,
    expires_at: Timestamp,
    created_at: Timestamp,
    updated_at: Timestamp,
    completed_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = PaymentAttempt)]
struct AttemptView<'a> {
    id: &'a AttemptId,
    kind: &'static str,
    provider: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<AskedView<'a>>,
    status: &'static str,
    amount: Amount,
    provider_reference: Option<&'a str>,
    decline_code: Option<&'a str>,
    /// The provider's id of the request, for its support. Left out where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    /// What the provider kept. Left out until that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    fee: Option<Fee>,
    /// What your page shows the provider's form with. Only in the answer to `GET /v1/checkouts/{id}`, while the customer has to fill it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<ActionView<'a>>,
    created_at: Timestamp,
}

/// What a customer does on your own page.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = PaymentAction)]
struct ActionView<'a> {
    /// `embedded_page`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Whoever has it can pay. For the customer's browser alone.
    #[schema(value_type = String)]
    client_secret: &'a Secret<String>,
    /// The account's key for browsers.
    publishable_key: &'a str,
}

impl<'a> ActionView<'a> {
    fn of(EmbeddedForm { client_secret, publishable_key }: &'a EmbeddedForm) -> Self {
        Self { kind: "embedded_page", client_secret, publishable_key }
    }
}

/// A payment of the method `custom`.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = CustomPayment)]
struct CustomPaymentView<'a> {
    /// What the client called it.
    name: &'a str,
    /// For people at the shop. No customer's page shows it.
    note: Option<&'a str>,
    amount: Amount,
}

/// Of a charge without a card: whom the customer is asked by.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = PaymentAttemptMethod)]
struct AskedView<'a> {
    #[serde(rename = "type")]
    kind: PushKind,
    provider: &'a str,
    /// All but the last digits are hidden.
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
}

impl<'a> CheckoutView<'a> {
    /// The object at the checkout's version. `queue` only while it is not terminal.
    pub fn new(checkout: &'a Checkout, queue: Option<QueueEstimate>) -> Self {
        let order = &checkout.order;
        Self {
            id: &checkout.id,
            object: "checkout",
            status: checkout.status,
            livemode: checkout.scope.is_live(),
            currency: order.currency,
            amount_subtotal: order.totals.subtotal,
            amount_discount: order.totals.discount,
            amount_tax: order.totals.tax,
            amount_total: order.totals.total,
            amount_paid: checkout.amount_paid,
            amount_refunded: checkout.amount_refunded,
            customer: order.customer.as_ref(),
            lines: &order.lines,
            promo_code: order.promo_code.as_ref().map(|code| code.as_str()),
            payment_attempts: checkout
                .attempts
                .iter()
                .map(|attempt| AttemptView {
                    id: &attempt.id,
                    kind: attempt.request.kind.as_str(),
                    provider: &attempt.provider,
                    method: attempt.request.push.as_ref().map(|push| AskedView {
                        kind: push.method,
                        provider: &push.provider,
                        phone: push.phone.as_ref().map(Phone::masked),
                    }),
                    status: attempt.status.as_str(),
                    amount: attempt.request.amount,
                    provider_reference: attempt.provider_reference.as_deref(),
                    decline_code: attempt.decline_code.as_deref(),
                    request_id: attempt.request_id.as_deref(),
                    fee: attempt.fee,
                    action: None,
                    created_at: attempt.created_at,
                })
                .collect(),
            disputes: &checkout.disputes,
            custom_payments: order.custom_payments().map(|(name, note, amount)| CustomPaymentView { name, note, amount }).collect(),
            error: checkout.error.as_ref(),
            payment_url: checkout.payment_url.as_deref(),
            queue: queue.filter(|_| !checkout.status.is_terminal()),
            success_url: order.success_url.as_deref(),
            cancel_url: order.cancel_url.as_deref(),
            callback_url: order.callback_url.as_deref(),
            callback_state: order.callback_state.as_deref(),
            reference: order.reference.as_deref(),
            space: order.space.as_ref(),
            metadata: &order.metadata,
            version: checkout.version,
            expires_at: checkout.expires_at,
            created_at: checkout.created_at,
            updated_at: checkout.updated_at,
            completed_at: checkout.completed_at,
        }
    }

    /// The same, with what the shop's page shows a provider's form with: for whoever reads the checkout with the tenant's key. *Never* for
    /// callbacks, streams and lists, *because* they are kept, passed on and written to logs, and whoever has a form's secret can pay.
    pub fn with_forms(mut self, checkout: &'a Checkout) -> Self {
        for (view, attempt) in self.payment_attempts.iter_mut().zip(&checkout.attempts) {
            view.action = attempt.open_form().map(ActionView::of);
        }
        self
    }

    /// Whether `later` tells a client nothing new: a lease, a try or a time to look again moves the version and nothing else that
    /// is seen. The estimate is not compared, because it is about the queue and not about the checkout.
    pub fn tells_as_much_as(&self, later: &Self) -> bool {
        *later == Self { queue: later.queue, version: later.version, updated_at: later.updated_at, ..self.clone() }
    }
}

/// An event as it is sent: `{"id", "type", "created_at", "data"}`.
#[derive(Debug, Serialize)]
pub struct EventView<'a> {
    /// `evt_…`, also the `webhook-id`.
    pub id: &'a EventId,
    /// The event's type.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// When it happened.
    pub created_at: Timestamp,
    /// The object at that version.
    pub data: CheckoutView<'a>,
    /// Of an event about a refund that a client asked for: the refund.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund: Option<RefundView<'a>>,
}
