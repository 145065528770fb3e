//! How a PaymentIntent changes: created, confirmed, captured, canceled. <https://docs.stripe.com/payments/paymentintents/lifecycle>.

use super::{
    account::{Account, Call},
    authorising::Confirmation,
    charges::Charge,
    events::Snapshot,
    form::{Params, merge_metadata},
    intents::{Intent, Status},
    money,
    refusal::Refusal,
};
use serde_json::Value;
use std::collections::BTreeMap;

const CAPTURE_METHODS: [&str; 3] = ["automatic", "automatic_async", "manual"];
const FUTURE_USAGES: [&str; 2] = ["off_session", "on_session"];
const CANCELLATION_REASONS: [&str; 4] = ["abandoned", "duplicate", "fraudulent", "requested_by_customer"];
/// What creating takes. Those that the stand-in has no use for are taken and left alone.
const CREATE: [&str; 33] = [
    "amount",
    "amount_details",
    "application_fee_amount",
    "automatic_payment_methods",
    "capture_method",
    "confirm",
    "confirmation_method",
    "currency",
    "customer",
    "description",
    "error_on_requires_action",
    "mandate",
    "mandate_data",
    "metadata",
    "off_session",
    "on_behalf_of",
    "payment_details",
    "payment_method",
    "payment_method_configuration",
    "payment_method_data",
    "payment_method_options",
    "payment_method_types",
    "radar_options",
    "receipt_email",
    "return_url",
    "setup_future_usage",
    "shipping",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_data",
    "transfer_group",
    "use_stripe_sdk",
    "excluded_payment_method_types",
];
const CONFIRM: [&str; 15] = [
    "capture_method",
    "error_on_requires_action",
    "mandate",
    "mandate_data",
    "off_session",
    "payment_method",
    "payment_method_data",
    "payment_method_options",
    "payment_method_types",
    "radar_options",
    "receipt_email",
    "return_url",
    "setup_future_usage",
    "shipping",
    "use_stripe_sdk",
];

/// What a new payment is for.
pub(super) struct Order {
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) capture_method: &'static str,
    pub(super) automatic: Option<bool>,
    pub(super) types: Vec<String>,
    pub(super) session: Option<String>,
}

impl Order {
    fn read(params: &Params) -> Result<Self, Refusal> {
        let amount = params.integer("amount")?.ok_or_else(|| Refusal::missing_parameter("amount"))?;
        let currency = money::currency(params.required("currency")?)?;
        money::chargeable(amount, &currency)?;
        let types: Vec<String> = params.list("payment_method_types").into_iter().map(str::to_owned).collect();
        let wish = params.branch("automatic_payment_methods");
        let enabled = wish.map(|wish| wish.boolean("enabled")).transpose()?.flatten();
        let redirects = wish.and_then(|wish| wish.text("allow_redirects")) != Some("never");
        if enabled == Some(true) && !types.is_empty() {
            return Err(Refusal::invalid("You may only specify one of these parameters: automatic_payment_methods, payment_method_types."));
        }
        // Since 2023-08-16 methods are automatic unless types are named.
        let automatic = (types.is_empty() && enabled != Some(false)).then_some(redirects);
        Ok(Self {
            amount,
            currency,
            capture_method: params.word("capture_method", &CAPTURE_METHODS)?.unwrap_or("automatic_async"),
            automatic,
            types: if types.is_empty() { vec!["card".to_owned()] } else { types },
            session: None,
        })
    }
}

impl Account {
    /// `POST /v1/payment_intents`.
    pub(super) fn create_intent(&mut self, call: &Call) -> Result<Value, Refusal> {
        call.params.only(&CREATE)?;
        let order = Order::read(&call.params)?;
        let confirm = call.params.boolean("confirm")?.unwrap_or(false);
        let confirmation = Confirmation::read(&call.params)?;
        if confirmation.off_session && !confirm {
            return Err(Refusal::invalid("The parameter `off_session` cannot be used without `confirm=true`.").param("off_session"));
        }
        if call.params.has("return_url") && !confirm {
            return Err(Refusal::invalid("A return_url may only be specified when confirm=true.").param("return_url"));
        }
        let mut intent = self.draft(order, &call.params)?;
        if confirm {
            Self::check_return_url(&intent, &confirmation)?;
        }
        let method = self.wished_method(&call.params)?;
        if let Some(method) = &method {
            self.check_owner(method, intent.customer.as_deref())?;
            (intent.method, intent.status) = (Some(method.clone()), Status::RequiresConfirmation);
        }
        if confirm && method.is_none() {
            return Err(Refusal::state(
                "payment_intent_unexpected_state",
                "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the PaymentIntent with a \
                 payment method and then confirm it again, or confirm it again directly with a payment method or ConfirmationToken.",
            ));
        }
        let id = self.open(call, intent);
        if confirm {
            self.confirm(call, &id, confirmation)?;
        }
        self.retrieve_intent(&id)
    }

    /// A new payment that nobody knows of yet.
    pub(super) fn draft(&mut self, order: Order, params: &Params) -> Result<Intent, Refusal> {
        let customer = params.owned("customer");
        if let Some(customer) = &customer {
            self.customer(customer, "customer")?;
        }
        let mut metadata = BTreeMap::new();
        merge_metadata(&mut metadata, params)?;
        let id = self.ids.next("pi");
        Ok(Intent {
            client_secret: format!("{id}_secret_{}", self.ids.secret(25)),
            id,
            status: Status::RequiresPaymentMethod,
            amount: order.amount,
            currency: order.currency,
            amount_capturable: 0,
            amount_received: 0,
            capture_method: order.capture_method,
            customer,
            method: None,
            latest_charge: None,
            last_error: None,
            return_url: None,
            action: None,
            setup_future_usage: params.word("setup_future_usage", &FUTURE_USAGES)?,
            automatic: order.automatic,
            types: order.types,
            description: params.owned("description"),
            receipt_email: params.owned("receipt_email"),
            statement_descriptor: params.owned("statement_descriptor"),
            statement_descriptor_suffix: params.owned("statement_descriptor_suffix"),
            metadata,
            created: self.now(),
            created_ms: self.clock.now_ms(),
            canceled_at: None,
            cancellation_reason: None,
            session: order.session,
        })
    }

    /// Keeps a draft and says that it was created.
    pub(super) fn open(&mut self, call: &Call, intent: Intent) -> String {
        let (id, snapshot) = (intent.id.clone(), Snapshot::Intent(Box::new(intent.clone())));
        self.intents.insert(id.clone(), intent);
        self.tell(call, "payment_intent.created", snapshot);
        id
    }

    /// The method that a request names or describes.
    fn wished_method(&mut self, params: &Params) -> Result<Option<String>, Refusal> {
        match (params.text("payment_method"), params.branch("payment_method_data")) {
            (Some(_), Some(_)) => Err(Refusal::invalid("You may only specify one of: payment_method, payment_method_data.")),
            (Some(method), None) => self.resolve_method(method).map(Some),
            (None, Some(data)) => self.method_from_data(data).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// `POST /v1/payment_intents/{id}`.
    pub(super) fn update_intent(&mut self, id: &str, call: &Call) -> Result<Value, Refusal> {
        call.params.only(&[
            "amount",
            "currency",
            "customer",
            "description",
            "metadata",
            "payment_method",
            "payment_method_data",
            "payment_method_options",
            "payment_method_types",
            "receipt_email",
            "setup_future_usage",
            "shipping",
            "statement_descriptor",
            "statement_descriptor_suffix",
        ])?;
        let mut intent = self.intent(id)?.clone();
        let settled = matches!(intent.status, Status::Canceled | Status::Succeeded | Status::RequiresCapture | Status::Processing);
        if settled && call.params.names().any(|name| !["metadata", "description", "expand", "receipt_email"].contains(&name)) {
            return Err(intent.unexpected("update"));
        }
        if let Some(currency) = call.params.text("currency") {
            intent.currency = money::currency(currency)?;
        }
        intent.amount = call.params.integer("amount")?.unwrap_or(intent.amount);
        money::chargeable(intent.amount, &intent.currency)?;
        merge_metadata(&mut intent.metadata, &call.params)?;
        if let Some(customer) = call.params.text("customer") {
            self.customer(customer, "customer")?;
            intent.customer = Some(customer.to_owned());
        }
        for (name, field) in [("description", &mut intent.description), ("receipt_email", &mut intent.receipt_email)] {
            if call.params.has(name) {
                *field = call.params.owned(name);
            }
        }
        if let Some(usage) = call.params.word("setup_future_usage", &FUTURE_USAGES)? {
            intent.setup_future_usage = Some(usage);
        }
        if let Some(method) = self.wished_method(&call.params)? {
            self.check_owner(&method, intent.customer.as_deref())?;
            (intent.method, intent.status) = (Some(method), Status::RequiresConfirmation);
        }
        let shown = intent.show();
        self.intents.insert(id.to_owned(), intent);
        Ok(shown)
    }

    /// `POST /v1/payment_intents/{id}/confirm`.
    pub(super) fn confirm_intent(&mut self, id: &str, call: &Call) -> Result<Value, Refusal> {
        call.params.only(&CONFIRM)?;
        let confirmation = Confirmation::read(&call.params)?;
        let intent = self.intent(id)?.clone();
        if !matches!(intent.status, Status::RequiresPaymentMethod | Status::RequiresConfirmation | Status::RequiresAction) {
            return Err(intent.unexpected("confirm"));
        }
        Self::check_return_url(&intent, &confirmation)?;
        let capture = call.params.word("capture_method", &CAPTURE_METHODS)?;
        let usage = call.params.word("setup_future_usage", &FUTURE_USAGES)?;
        let method = match self.wished_method(&call.params)? {
            Some(method) => method,
            None => intent.method.clone().ok_or_else(|| {
                Refusal::state(
                    "payment_intent_unexpected_state",
                    "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the PaymentIntent \
                     with a payment method and then confirm it again, or confirm it again directly with a payment method or ConfirmationToken.",
                )
                .with("payment_intent", intent.show())
            })?,
        };
        self.check_owner(&method, intent.customer.as_deref())?;
        let intent = self.intent_mut(id)?;
        intent.method = Some(method);
        intent.capture_method = capture.unwrap_or(intent.capture_method);
        intent.setup_future_usage = usage.or(intent.setup_future_usage);
        self.confirm(call, id, confirmation)?;
        self.retrieve_intent(id)
    }

    /// `POST /v1/payment_intents/{id}/capture`.
    pub(super) fn capture_intent(&mut self, id: &str, call: &Call) -> Result<Value, Refusal> {
        call.params.only(&[
            "amount_to_capture",
            "application_fee_amount",
            "final_capture",
            "metadata",
            "payment_details",
            "amount_details",
            "statement_descriptor",
            "statement_descriptor_suffix",
            "transfer_data",
        ])?;
        let wish = call.params.integer("amount_to_capture")?;
        let intent = self.intent(id)?;
        if intent.status != Status::RequiresCapture {
            let mut refusal = intent.unexpected("capture");
            if let Some(charge) = intent.latest_charge.as_ref().filter(|_| intent.status == Status::Succeeded) {
                refusal = refusal.with("charge", charge.clone());
            }
            return Err(refusal);
        }
        let amount = wish.unwrap_or(intent.amount_capturable);
        if amount < 1 {
            return Err(Refusal::parameter(
                "amount_to_capture",
                "parameter_invalid_integer",
                "This value must be greater than or equal to 1.",
            ));
        }
        if amount > intent.amount_capturable {
            let message = format!(
                "The amount you wish to capture ({amount}) is greater than the amount that can be captured ({}).",
                intent.amount_capturable
            );
            return Err(Refusal::state("amount_too_large", message).param("amount_to_capture").with("payment_intent", intent.show()));
        }
        let charge = intent.latest_charge.clone().unwrap_or_default();
        let asynchronous = intent.capture_method != "automatic";
        let intent = self.intent_mut(id)?;
        merge_metadata(&mut intent.metadata, &call.params)?;
        (intent.status, intent.amount_capturable, intent.amount_received) = (Status::Succeeded, 0, amount);
        let shown = intent.show();
        self.capture_charge(call, &charge, amount, asynchronous);
        self.emit(call, "payment_intent.succeeded", &shown);
        Ok(shown)
    }

    /// `POST /v1/payment_intents/{id}/cancel`.
    pub(super) fn cancel_intent(&mut self, id: &str, call: &Call) -> Result<Value, Refusal> {
        call.params.only(&["cancellation_reason"])?;
        let reason = call.params.word("cancellation_reason", &CANCELLATION_REASONS)?;
        let intent = self.intent(id)?;
        if matches!(intent.status, Status::Canceled | Status::Succeeded | Status::Processing) {
            return Err(intent.unexpected("cancel"));
        }
        if intent.session.as_ref().and_then(|session| self.sessions.get(session)).is_some_and(|session| session.is_open()) {
            let message =
                "You cannot cancel this PaymentIntent because it belongs to an open Checkout Session. Expire the session instead.";
            return Err(Refusal::state("payment_intent_unexpected_state", message).with("payment_intent", intent.show()));
        }
        self.cancel(call, id, reason)
    }

    /// Ends a payment without money.
    pub(super) fn cancel(&mut self, call: &Call, id: &str, reason: Option<&'static str>) -> Result<Value, Refusal> {
        let now = self.now();
        let intent = self.intent_mut(id)?;
        let held = (intent.status == Status::RequiresCapture).then(|| intent.latest_charge.clone()).flatten();
        (intent.status, intent.amount_capturable, intent.action) = (Status::Canceled, 0, None);
        (intent.canceled_at, intent.cancellation_reason) = (Some(now), reason);
        let shown = intent.show();
        if let Some(charge) = held.as_ref().and_then(|charge| self.charges.get_mut(charge)) {
            Charge::release(charge);
            let shown = charge.show();
            self.emit(call, "charge.refunded", &shown);
        }
        self.emit(call, "payment_intent.canceled", &shown);
        Ok(shown)
    }
}
