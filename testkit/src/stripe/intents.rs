//! PaymentIntents: what they are and how they look. <https://docs.stripe.com/api/payment_intents/object>; how they change: [`super::paying`].

use super::{account::Account, refusal::Refusal};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// `status`: <https://docs.stripe.com/payments/paymentintents/lifecycle>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    /// The bank has been asked, and answers in days.
    Processing,
    RequiresCapture,
    Canceled,
    Succeeded,
}

impl Status {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresConfirmation => "requires_confirmation",
            Self::RequiresAction => "requires_action",
            Self::Processing => "processing",
            Self::RequiresCapture => "requires_capture",
            Self::Canceled => "canceled",
            Self::Succeeded => "succeeded",
        }
    }
}

/// One payment, from the wish to the money.
#[derive(Debug, Clone)]
pub(super) struct Intent {
    pub(super) id: String,
    pub(super) client_secret: String,
    pub(super) status: Status,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) amount_capturable: i64,
    pub(super) amount_received: i64,
    /// `automatic`, `automatic_async` or `manual`.
    pub(super) capture_method: &'static str,
    pub(super) customer: Option<String>,
    pub(super) method: Option<String>,
    pub(super) latest_charge: Option<String>,
    pub(super) last_error: Option<Map<String, Value>>,
    pub(super) return_url: Option<String>,
    /// Where the customer authenticates, while that is asked for. `None` inside: by Stripe's own script.
    pub(super) action: Option<Option<String>>,
    pub(super) setup_future_usage: Option<&'static str>,
    /// `automatic_payment_methods`: whether methods that redirect are allowed. `None`: a list of types instead.
    pub(super) automatic: Option<bool>,
    pub(super) types: Vec<String>,
    pub(super) description: Option<String>,
    pub(super) receipt_email: Option<String>,
    pub(super) statement_descriptor: Option<String>,
    pub(super) statement_descriptor_suffix: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) created: i64,
    pub(super) created_ms: u64,
    pub(super) canceled_at: Option<i64>,
    pub(super) cancellation_reason: Option<&'static str>,
    /// The Checkout Session it belongs to.
    pub(super) session: Option<String>,
}

impl Intent {
    pub(super) fn show(&self) -> Value {
        let automatic =
            self.automatic.map(|redirects| json!({ "allow_redirects": if redirects { "always" } else { "never" }, "enabled": true }));
        json!({
            "id": self.id,
            "object": "payment_intent",
            "amount": self.amount,
            "amount_capturable": self.amount_capturable,
            "amount_details": { "tip": {} },
            "amount_received": self.amount_received,
            "application": null,
            "application_fee_amount": null,
            "automatic_payment_methods": automatic,
            "canceled_at": self.canceled_at,
            "cancellation_reason": self.cancellation_reason,
            "capture_method": self.capture_method,
            "client_secret": self.client_secret,
            "confirmation_method": "automatic",
            "created": self.created,
            "currency": self.currency,
            "customer": self.customer,
            "customer_account": null,
            "description": self.description,
            "last_payment_error": self.last_error,
            "latest_charge": self.latest_charge,
            "livemode": false,
            "metadata": self.metadata,
            "next_action": self.next_action(),
            "on_behalf_of": null,
            "payment_method": self.method,
            "payment_method_configuration_details": null,
            "payment_method_options": { "card": { "installments": null, "mandate_options": null, "network": null, "request_three_d_secure": "automatic" } },
            "payment_method_types": self.types,
            "processing": null,
            "receipt_email": self.receipt_email,
            "review": null,
            "setup_future_usage": self.setup_future_usage,
            "shipping": null,
            "source": null,
            "statement_descriptor": self.statement_descriptor,
            "statement_descriptor_suffix": self.statement_descriptor_suffix,
            "status": self.status.as_str(),
            "transfer_data": null,
            "transfer_group": null,
        })
    }

    fn next_action(&self) -> Option<Value> {
        match self.action.as_ref()? {
            Some(url) => Some(json!({ "redirect_to_url": { "return_url": self.return_url, "url": url }, "type": "redirect_to_url" })),
            None => Some(json!({ "type": "use_stripe_sdk", "use_stripe_sdk": { "type": "three_d_secure_redirect" } })),
        }
    }

    /// The error for something that the status does not allow, with the payment in it.
    pub(super) fn unexpected(&self, verb: &str) -> Refusal {
        let why = match self.status {
            Status::Succeeded if verb == "confirm" => "because it has already succeeded after being previously confirmed.".to_owned(),
            status => format!("because it has a status of {}.", status.as_str()),
        };
        Refusal::state("payment_intent_unexpected_state", format!("You cannot {verb} this PaymentIntent {why}"))
            .with("payment_intent", self.show())
    }
}

impl Account {
    pub(super) fn intent(&self, id: &str) -> Result<&Intent, Refusal> {
        self.intents.get(id).ok_or_else(|| Refusal::no_such("payment_intent", id, "intent"))
    }

    pub(super) fn intent_mut(&mut self, id: &str) -> Result<&mut Intent, Refusal> {
        self.intents.get_mut(id).ok_or_else(|| Refusal::no_such("payment_intent", id, "intent"))
    }

    /// `GET /v1/payment_intents/{id}`.
    pub(super) fn retrieve_intent(&self, id: &str) -> Result<Value, Refusal> {
        self.intent(id).map(Intent::show)
    }
}
