//! Checkout Sessions in mode `payment`: <https://docs.stripe.com/api/checkout/sessions/object>. How they change: [`super::checkout`].

use super::form::Params;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A line of what is bought.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) unit: i64,
    pub(super) quantity: i64,
    pub(super) price: String,
    pub(super) product: String,
}

/// `status` of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open,
    Complete,
    Expired,
}

/// A page on which a customer pays.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) state: State,
    /// Whether the money has come.
    pub(super) paid: bool,
    pub(super) ui_mode: &'static str,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) lines: Vec<Line>,
    pub(super) url: Option<String>,
    pub(super) client_secret: Option<String>,
    pub(super) success_url: Option<String>,
    pub(super) cancel_url: Option<String>,
    pub(super) return_url: Option<String>,
    pub(super) client_reference_id: Option<String>,
    pub(super) customer: Option<String>,
    pub(super) customer_email: Option<String>,
    /// The address that the customer gave on the page, or was known before.
    pub(super) email: Option<String>,
    pub(super) intent: Option<String>,
    /// What the payment is to carry.
    pub(super) intent_data: Params,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) expires_at: i64,
    pub(super) created: i64,
}

impl Session {
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Nothing is left to do on its page.
    pub(super) fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    fn details(&self) -> Option<Value> {
        let email = self.email.as_ref()?;
        Some(json!({
            "address": null, "business_name": null, "email": email, "individual_name": null, "name": null, "phone": null,
            "tax_exempt": "none", "tax_ids": null,
        }))
    }

    fn embedded(&self) -> bool {
        !self.ui_mode.starts_with("hosted")
    }

    /// The way back from the page: `{CHECKOUT_SESSION_ID}` filled in.
    pub(super) fn way_back(&self) -> Option<String> {
        let url = if self.embedded() { self.return_url.as_ref() } else { self.success_url.as_ref() };
        url.map(|url| url.replace("{CHECKOUT_SESSION_ID}", &self.id))
    }

    pub(super) fn cancel_url(&self) -> Option<&str> {
        self.cancel_url.as_deref()
    }

    /// What is bought, for the page: names and counts.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, i64)> {
        self.lines.iter().map(|line| (line.name.as_str(), line.quantity))
    }

    /// `status`.
    pub(super) fn state(&self) -> &'static str {
        match self.state {
            State::Open => "open",
            State::Complete => "complete",
            State::Expired => "expired",
        }
    }

    pub(super) fn show(&self) -> Value {
        // The page and its secret are shown while they can be used.
        let url = self.url.as_ref().filter(|_| self.is_open());
        let secret = self.client_secret.as_ref().filter(|_| self.is_open());
        json!({
            "id": self.id,
            "object": "checkout.session",
            "adaptive_pricing": { "enabled": false },
            "after_expiration": null,
            "allow_promotion_codes": null,
            "amount_subtotal": self.amount,
            "amount_total": self.amount,
            "automatic_tax": { "enabled": false, "liability": null, "provider": null, "status": null },
            "billing_address_collection": null,
            "cancel_url": self.cancel_url,
            "client_reference_id": self.client_reference_id,
            "client_secret": secret,
            "collected_information": null,
            "consent": null,
            "consent_collection": null,
            "created": self.created,
            "currency": self.currency,
            "currency_conversion": null,
            "custom_fields": [],
            "custom_text": { "after_submit": null, "shipping_address": null, "submit": null, "terms_of_service_acceptance": null },
            "customer": self.customer,
            "customer_creation": "if_required",
            "customer_details": self.details(),
            "customer_email": self.customer_email,
            "discounts": [],
            "expires_at": self.expires_at,
            "invoice": null,
            "invoice_creation": null,
            "livemode": false,
            "locale": null,
            "metadata": self.metadata,
            "mode": "payment",
            "origin_context": null,
            "payment_intent": self.intent,
            "payment_link": null,
            "payment_method_collection": "if_required",
            "payment_method_configuration_details": null,
            "payment_method_options": {},
            "payment_method_types": ["card"],
            "payment_status": if self.paid { "paid" } else { "unpaid" },
            "permissions": null,
            "phone_number_collection": { "enabled": false },
            "recovered_from": null,
            "redirect_on_completion": self.embedded().then_some("always"),
            "return_url": self.return_url,
            "saved_payment_method_options": null,
            "setup_intent": null,
            "shipping_address_collection": null,
            "shipping_cost": null,
            "shipping_options": [],
            "status": self.state(),
            "submit_type": null,
            "subscription": null,
            "success_url": self.success_url,
            "total_details": { "amount_discount": 0, "amount_shipping": 0, "amount_tax": 0 },
            "ui_mode": self.ui_mode,
            "url": url,
            "wallet_options": null,
        })
    }

    /// The objects of `GET …/line_items`.
    pub(super) fn show_lines(&self) -> Vec<Value> {
        let show = |line: &Line| {
            let total = line.unit.saturating_mul(line.quantity);
            json!({
                "id": line.id,
                "object": "item",
                "amount_discount": 0,
                "amount_subtotal": total,
                "amount_tax": 0,
                "amount_total": total,
                "currency": self.currency,
                "description": line.name,
                "metadata": {},
                "price": {
                    "id": line.price,
                    "object": "price",
                    "active": false,
                    "billing_scheme": "per_unit",
                    "created": self.created,
                    "currency": self.currency,
                    "custom_unit_amount": null,
                    "livemode": false,
                    "lookup_key": null,
                    "metadata": {},
                    "nickname": null,
                    "product": line.product,
                    "recurring": null,
                    "tax_behavior": "unspecified",
                    "tiers_mode": null,
                    "transform_quantity": null,
                    "type": "one_time",
                    "unit_amount": line.unit,
                    "unit_amount_decimal": line.unit.to_string(),
                },
                "quantity": line.quantity,
            })
        };
        self.lines.iter().map(show).collect()
    }
}
