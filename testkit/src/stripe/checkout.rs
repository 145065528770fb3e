//! How a Checkout Session changes: created, paid on its page, expired. <https://docs.stripe.com/api/checkout/sessions>.

use super::{
    account::{Account, Call, Due},
    authorising::Confirmation,
    form::{Params, merge_metadata},
    intents::Status,
    money,
    paying::Order,
    refusal::Refusal,
    sessions::{Line, Session, State},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a customer has to open a page before it is gone: 30 minutes at least, a day at most.
const EXPIRES: std::ops::RangeInclusive<i64> = 1800..=86_400;
const UI_MODES: [&str; 6] = ["hosted_page", "embedded_page", "hosted", "embedded", "custom", "elements"];
const KNOWN: [&str; 38] = [
    "adaptive_pricing",
    "after_expiration",
    "allow_promotion_codes",
    "automatic_tax",
    "billing_address_collection",
    "branding_settings",
    "cancel_url",
    "client_reference_id",
    "consent_collection",
    "currency",
    "custom_fields",
    "custom_text",
    "customer",
    "customer_creation",
    "customer_email",
    "customer_update",
    "discounts",
    "excluded_payment_method_types",
    "expires_at",
    "integration_identifier",
    "invoice_creation",
    "line_items",
    "locale",
    "metadata",
    "mode",
    "name_collection",
    "origin_context",
    "payment_intent_data",
    "payment_method_collection",
    "payment_method_options",
    "payment_method_types",
    "permissions",
    "phone_number_collection",
    "redirect_on_completion",
    "return_url",
    "submit_type",
    "success_url",
    "ui_mode",
];

/// Lines of one session.
const MAX_LINES: usize = 100;

/// `ui_mode`, with the addresses that belong to it.
fn ui_mode(params: &Params) -> Result<&'static str, Refusal> {
    let ui_mode = params.word("ui_mode", &UI_MODES)?.unwrap_or("hosted_page");
    let hosted = ui_mode.starts_with("hosted");
    let back = if hosted { "success_url" } else { "return_url" };
    if params.text(back).is_none() && params.text("redirect_on_completion") != Some("never") {
        return Err(Refusal::missing_parameter(back));
    }
    if !hosted && (params.has("success_url") || params.has("cancel_url")) {
        return Err(Refusal::invalid(format!("You may only specify `return_url` when `ui_mode` is `{ui_mode}`.")));
    }
    match ["success_url", "cancel_url", "return_url"].iter().find(|name| params.text(name).is_some_and(|url| url::Url::parse(url).is_err()))
    {
        Some(name) => Err(Refusal::parameter(name, "url_invalid", "Not a valid URL")),
        None => Ok(ui_mode),
    }
}

/// `expires_at`: in a day unless something else was asked for.
fn expires_at(params: &Params, now: i64) -> Result<i64, Refusal> {
    let at = params.integer("expires_at")?.unwrap_or(now + EXPIRES.end());
    // A client's clock may be a little off.
    if (EXPIRES.start() - 60..=EXPIRES.end() + 60).contains(&at.saturating_sub(now)) {
        return Ok(at);
    }
    let message = "The `expires_at` timestamp must be at least 30 minutes and less than 24 hours from Checkout Session creation.";
    Err(Refusal::invalid(message).param("expires_at"))
}

/// What the lines come to, if it can be charged.
fn total(lines: &[Line], currency: &str) -> Result<i64, Refusal> {
    let total = lines.iter().map(|line| line.unit.saturating_mul(line.quantity)).fold(0, i64::saturating_add);
    money::chargeable(total, currency).map(|()| total).map_err(|refusal| refusal.param("line_items"))
}

impl Account {
    fn line(&mut self, params: &Params) -> Result<(Line, String), Refusal> {
        let missing = |name: &str| Refusal::missing_parameter(&format!("line_items[0][price_data]{name}"));
        let data = params.branch("price_data").ok_or_else(|| missing(""))?;
        let unit = data.integer("unit_amount")?.ok_or_else(|| missing("[unit_amount]"))?;
        let quantity = params.integer("quantity")?.ok_or_else(|| Refusal::missing_parameter("line_items[0][quantity]"))?;
        let name = data.at(&["product_data", "name"]).or_else(|| data.text("product")).ok_or_else(|| missing("[product_data][name]"))?;
        if unit < 0 || quantity < 1 {
            return Err(Refusal::parameter("line_items", "parameter_invalid_integer", "Amounts and quantities must not be negative."));
        }
        let currency = money::currency(data.text("currency").ok_or_else(|| missing("[currency]"))?)?;
        let (id, price, product) = (self.ids.next("li"), self.ids.next("price"), self.ids.next("prod"));
        Ok((Line { id, name: name.to_owned(), unit, quantity, price, product }, currency))
    }

    /// `POST /v1/checkout/sessions`.
    pub(super) fn create_session(&mut self, call: &Call) -> Result<Value, Refusal> {
        let params = &call.params;
        params.only(&KNOWN)?;
        if params.required("mode")? != "payment" {
            return Err(Refusal::invalid("The stand-in knows mode=payment only.").param("mode"));
        }
        let ui_mode = ui_mode(params)?;
        let hosted = ui_mode.starts_with("hosted");
        let now = self.now();
        let expires_at = expires_at(params, now)?;
        let (lines, currency) = self.lines(params)?;
        let amount = total(&lines, &currency)?;
        if let Some(customer) = params.text("customer") {
            self.customer(customer, "customer")?;
        }
        let mut metadata = BTreeMap::new();
        merge_metadata(&mut metadata, params)?;
        let id = self.ids.next("cs").replacen("cs_", "cs_test_", 1);
        let session = Session {
            state: State::Open,
            paid: false,
            ui_mode,
            amount,
            currency,
            lines,
            url: hosted.then(|| format!("{}/c/pay/{id}", self.pages)),
            client_secret: (!hosted).then(|| format!("{id}_secret_{}", self.ids.secret(40))),
            success_url: params.owned("success_url"),
            cancel_url: params.owned("cancel_url"),
            return_url: params.owned("return_url"),
            client_reference_id: params.owned("client_reference_id"),
            customer: params.owned("customer"),
            customer_email: params.owned("customer_email"),
            email: params.owned("customer_email"),
            intent: None,
            intent_data: params.branch("payment_intent_data").cloned().unwrap_or_default(),
            metadata,
            expires_at,
            created: now,
            id: id.clone(),
        };
        let shown = session.show();
        self.sessions.insert(id.clone(), session);
        self.schedule(u64::try_from(expires_at - now).unwrap_or_default() * 1000, Due::SessionExpires(id));
        Ok(shown)
    }

    /// What is bought, all in one currency.
    fn lines(&mut self, params: &Params) -> Result<(Vec<Line>, String), Refusal> {
        let (mut lines, mut currency) = (Vec::new(), None);
        for item in params.items("line_items") {
            let (line, of_line) = self.line(item)?;
            if currency.get_or_insert_with(|| of_line.clone()) != &of_line {
                return Err(Refusal::invalid("All line items must have the same currency.").param("line_items"));
            }
            lines.push(line);
        }
        if lines.len() > MAX_LINES {
            return Err(Refusal::invalid(format!("There can be at most {MAX_LINES} line items.")).param("line_items"));
        }
        Ok((lines, currency.ok_or_else(|| Refusal::missing_parameter("line_items"))?))
    }

    pub(super) fn session(&self, id: &str) -> Result<&Session, Refusal> {
        self.sessions.get(id).ok_or_else(|| Refusal::no_such("checkout.session", id, "id"))
    }

    /// `POST /v1/checkout/sessions/{id}`: its metadata.
    pub(super) fn update_session(&mut self, id: &str, call: &Call) -> Result<Value, Refusal> {
        call.params.only(&["metadata"])?;
        let session = self.sessions.get_mut(id).ok_or_else(|| Refusal::no_such("checkout.session", id, "id"))?;
        merge_metadata(&mut session.metadata, &call.params)?;
        Ok(session.show())
    }

    /// `POST /v1/checkout/sessions/{id}/expire`.
    pub(super) fn expire_session(&mut self, id: &str, call: &Call) -> Result<Value, Refusal> {
        call.params.only(&[])?;
        if !self.session(id)?.is_open() {
            return Err(Refusal::invalid("Only Checkout Sessions with a status in [\"open\"] can be expired.").executed());
        }
        self.end_session(call, id);
        self.session(id).map(Session::show)
    }

    /// Its time is over.
    pub(super) fn session_expires(&mut self, id: &str) {
        if self.sessions.get(id).is_some_and(Session::is_open) {
            self.end_session(&Call::default(), id);
        }
    }

    /// Nobody can pay any more, and a payment that was begun is canceled.
    fn end_session(&mut self, call: &Call, id: &str) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        session.state = State::Expired;
        let (shown, intent) = (session.show(), session.intent.clone());
        if let Some(intent) = intent.filter(|intent| self.intents.get(intent).is_some_and(|intent| intent.status != Status::Canceled)) {
            // A payment of an open session is not over: it can be canceled.
            let _ = self.cancel(call, &intent, None);
        }
        self.emit(call, "checkout.session.expired", &shown);
    }

    /// The customer chose a card on the page. `Err`: the bank said no, and the page says why.
    pub(super) fn pay_session(&mut self, id: &str, card: &str, email: Option<&str>) -> Result<Status, Refusal> {
        let call = Call::default();
        let session = self.session(id)?;
        if !session.is_open() {
            return Err(Refusal::invalid("This session is over.").executed());
        }
        let method = self.resolve_method(card)?;
        let session = self.sessions.get_mut(id).ok_or_else(|| Refusal::no_such("checkout.session", id, "id"))?;
        session.email = email.map(str::to_owned).or(session.email.take());
        let intent = match session.intent.clone() {
            Some(intent) => intent,
            None => self.begin_session_payment(&call, id)?,
        };
        let return_url = Some(format!("{}/c/return/{id}", self.pages));
        let payment = self.intent_mut(&intent)?;
        if payment.status == Status::RequiresAction || payment.status == Status::RequiresPaymentMethod {
            payment.method = Some(method);
        }
        self.confirm(&call, &intent, Confirmation { return_url, ..Confirmation::default() })?;
        self.session_moved(&call, id);
        Ok(self.intent(&intent)?.status)
    }

    /// A session's payment is made when the customer first tries to pay.
    fn begin_session_payment(&mut self, call: &Call, id: &str) -> Result<String, Refusal> {
        let session = self.session(id)?.clone();
        let order = Order {
            amount: session.amount,
            currency: session.currency,
            capture_method: session
                .intent_data
                .word("capture_method", &["automatic", "automatic_async", "manual"])?
                .unwrap_or("automatic_async"),
            automatic: None,
            types: vec!["card".to_owned()],
            session: Some(id.to_owned()),
        };
        let mut draft = self.draft(order, &session.intent_data)?;
        draft.customer = session.customer;
        let intent = self.open(call, draft);
        if let Some(session) = self.sessions.get_mut(id) {
            session.intent = Some(intent.clone());
        }
        Ok(intent)
    }

    /// Completes a session whose payment has gone through, or is with the bank.
    pub(super) fn session_moved(&mut self, call: &Call, id: &str) {
        let Some(session) = self.sessions.get(id).filter(|session| session.is_open()) else { return };
        let Some(intent) = session.intent.as_ref().and_then(|intent| self.intents.get(intent)) else { return };
        let paid = match intent.status {
            Status::Succeeded | Status::RequiresCapture => true,
            Status::Processing => false,
            _ => return,
        };
        if let Some(session) = self.sessions.get_mut(id) {
            (session.state, session.paid) = (State::Complete, paid);
            let shown = session.show();
            self.emit(call, "checkout.session.completed", &shown);
        }
    }

    /// The bank has answered about the payment of a complete session.
    pub(super) fn session_settled(&mut self, call: &Call, id: &str, paid: bool) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        session.paid = paid;
        let shown = session.show();
        let kind = if paid { "checkout.session.async_payment_succeeded" } else { "checkout.session.async_payment_failed" };
        self.emit(call, kind, &shown);
    }
}
