//! Payments (docs.mollie.com/reference/payments-api).

use super::{
    book::{Book, Payment, PaymentStatus},
    call::{Call, Refusal, Reply},
    list,
    money::{Money, iso},
};
use serde_json::{Value, json};

/// How long a card payment stays open, ms; any other, and one without a method (docs.mollie.com/docs/handling-payment-status).
const CARD_LIFE_MS: i64 = 30 * 60_000;
const OTHER_LIFE_MS: i64 = 15 * 60_000;
/// The most that one payment may be, major units.
const MOST: i64 = 50_000;
const METHODS: [&str; 8] = ["bancontact", "banktransfer", "creditcard", "eps", "giftcard", "ideal", "paypal", "przelewy24"];
/// Why card payments fail (the schema `payment-details-failure-reason`).
pub(super) const REASONS: [&str; 15] = [
    "authentication_abandoned",
    "authentication_failed",
    "authentication_required",
    "authentication_unavailable_acs",
    "card_declined",
    "card_expired",
    "inactive_card",
    "insufficient_funds",
    "invalid_cvv",
    "invalid_card_holder_name",
    "invalid_card_number",
    "invalid_card_type",
    "possible_fraud",
    "refused_by_issuer",
    "unknown_reason",
];
/// The reason that a whole amount stands for, from 1,001.00 on (docs.mollie.com/reference/testing).
const MAGIC: [&str; 11] = [
    "invalid_card_number",
    "invalid_cvv",
    "invalid_card_holder_name",
    "card_expired",
    "invalid_card_type",
    "refused_by_issuer",
    "insufficient_funds",
    "inactive_card",
    "possible_fraud",
    "authentication_failed",
    "card_declined",
];

/// `POST /v2/payments`.
pub(super) fn create(book: &mut Book, call: &Call, base: &str) -> Result<Reply, Refusal> {
    let mut payment = read(book, call)?;
    let (id, first) = (payment.id.clone(), next_of(book, &mut payment)?);
    book.payments.push(payment);
    match first {
        Next::Nothing => {}
        Next::Goes(to) => {
            book.advance(&id, to, None);
        }
        Next::Fails(reason) => {
            book.advance(&id, PaymentStatus::Failed, Some(&reason));
        }
    }
    Ok(Reply::created(book.payment(&id)?.json(base)))
}

enum Next {
    /// The customer has to act.
    Nothing,
    Goes(PaymentStatus),
    Fails(String),
}

/// What happens to a new payment at once.
fn next_of(book: &Book, payment: &mut Payment) -> Result<Next, Refusal> {
    if payment.sequence == "recurring" {
        let customer = book.customers.iter().find(|one| Some(&one.id) == payment.customer.as_ref());
        let mandates = customer.map(|customer| customer.mandates.as_slice()).unwrap_or_default();
        let is_it = |one: &&super::book::Mandate| one.is_valid && payment.mandate.as_ref().is_none_or(|id| *id == one.id);
        let mandate = mandates.iter().find(is_it).ok_or_else(|| Refusal::field("mandateId", "The mandate is invalid"))?;
        payment.mandate = Some(mandate.id.clone());
        return Ok(mandate.fails_with.clone().map_or(Next::Goes(PaymentStatus::Paid), Next::Fails));
    }
    let Some(token) = payment.card_token.as_deref() else { return Ok(Next::Nothing) };
    let failure = token.strip_prefix("tkn_fail_").filter(|reason| REASONS.contains(reason));
    Ok(match (token, failure) {
        (_, Some(reason)) => Next::Fails(reason.to_owned()),
        ("tkn_paid", _) => Next::Goes(PaymentStatus::Paid),
        ("tkn_pending", _) => Next::Goes(PaymentStatus::Pending),
        ("tkn_3ds", _) => Next::Nothing,
        _ if token.starts_with("tkn_saved_fail_") => Next::Goes(PaymentStatus::Paid),
        _ => return Err(Refusal::field("cardToken", "The card token is invalid")),
    })
}

fn read(book: &mut Book, call: &Call) -> Result<Payment, Refusal> {
    let body = call.body()?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let amount = Money::read(&body, "amount")?;
    if amount.minor <= 0 {
        return Err(Refusal::field("amount", "The amount is lower than the minimum"));
    }
    if amount.is_above(MOST) {
        return Err(Refusal::field("amount", "The amount is higher than the maximum"));
    }
    let description = text("description").filter(|text| !text.is_empty());
    let description: String =
        description.ok_or_else(|| Refusal::field("description", "The description is invalid"))?.chars().take(255).collect();
    let sequence = match text("sequenceType").unwrap_or("oneoff") {
        "oneoff" => "oneoff",
        "first" => "first",
        "recurring" => "recurring",
        _ => return Err(Refusal::field("sequenceType", "The sequence type is invalid")),
    };
    let redirect_url = url_of(&body, "redirectUrl")?;
    if redirect_url.is_none() && sequence != "recurring" {
        return Err(Refusal::field("redirectUrl", "The redirect URL is invalid"));
    }
    let webhook_url = url_of(&body, "webhookUrl")?;
    let method = method_of(&body)?;
    let card_token = text("cardToken").map(str::to_owned);
    if card_token.is_some() && method.as_deref() != Some("creditcard") {
        return Err(Refusal::field("cardToken", "A card token needs the method 'creditcard'"));
    }
    let customer = text("customerId").map(str::to_owned);
    if customer.as_ref().is_some_and(|id| book.customers.iter().all(|one| one.id != *id)) {
        return Err(Refusal::field("customerId", "The customer is invalid"));
    }
    if sequence != "oneoff" && customer.is_none() {
        return Err(Refusal::field("customerId", "A customer is required for this sequence type"));
    }
    let manual_capture = match text("captureMode").unwrap_or("automatic") {
        "automatic" => false,
        "manual" => true,
        _ => return Err(Refusal::field("captureMode", "The capture mode is invalid")),
    };
    let metadata = body.get("metadata").cloned().unwrap_or(Value::Null);
    if metadata.to_string().len() > 1_100 {
        return Err(Refusal::field("metadata", "The metadata is too long"));
    }
    let now = book.now();
    let life = if method.as_deref().is_none_or(|method| method == "creditcard") { CARD_LIFE_MS } else { OTHER_LIFE_MS };
    Ok(Payment {
        id: book.id("tr"),
        amount,
        status: PaymentStatus::Open,
        metadata,
        captured: 0,
        refunded: 0,
        key: call.header("idempotency-key").map(str::to_owned),
        description,
        method,
        sequence,
        redirect_url,
        webhook_url,
        manual_capture,
        card_token,
        customer,
        mandate: text("mandateId").map(str::to_owned),
        stores_card: sequence == "first",
        failure: None,
        created: now,
        moved: now,
        expires: now + life,
    })
}

fn url_of(body: &Value, field: &str) -> Result<Option<String>, Refusal> {
    let Some(text) = body.get(field).filter(|value| !value.is_null()) else { return Ok(None) };
    let found = text.as_str().filter(|text| url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https")));
    found.map(|text| Some(text.to_owned())).ok_or_else(|| Refusal::field(field, "The URL is invalid"))
}

/// One method is kept; of several, or none, the customer chooses one on the page.
fn method_of(body: &Value) -> Result<Option<String>, Refusal> {
    let wrong = || Refusal::field("method", "The payment method is invalid");
    let known = |value: &Value| value.as_str().filter(|name| METHODS.contains(name)).map(str::to_owned).ok_or_else(wrong);
    match body.get("method") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(several)) => several.iter().try_for_each(|one| known(one).map(drop)).map(|()| None),
        Some(one) => known(one).map(Some),
    }
}

/// `GET /v2/payments/{id}`.
pub(super) fn get(book: &mut Book, call: &Call, id: &str, base: &str) -> Result<Reply, Refusal> {
    let mut json = book.payment(id)?.json(base);
    let mut embedded = serde_json::Map::new();
    for part in call.query("embed").unwrap_or_default().split(',') {
        let items: Vec<Value> = match part {
            "refunds" => book.refunds.iter().rev().filter(|one| one.payment == id).map(|one| one.json(base)).collect(),
            "captures" => book.captures.iter().rev().filter(|one| one.payment == id).map(|one| one.json(base)).collect(),
            "chargebacks" => book.chargebacks.iter().rev().filter(|one| one.payment == id).map(super::book::Chargeback::json).collect(),
            _ => continue,
        };
        embedded.insert(part.to_owned(), Value::Array(items));
    }
    if let Some(object) = json.as_object_mut().filter(|_| !embedded.is_empty()) {
        object.insert("_embedded".to_owned(), Value::Object(embedded));
    }
    Ok(Reply::ok(json))
}

/// `GET /v2/payments`.
pub(super) fn list(book: &mut Book, call: &Call, base: &str) -> Result<Reply, Refusal> {
    book.expire();
    let all: Vec<(&str, Value)> = book.payments.iter().rev().map(|one| (one.id.as_str(), one.json(base))).collect();
    list::page(call, base, "payments", all)
}

/// `DELETE /v2/payments/{id}`.
pub(super) fn cancel(book: &mut Book, id: &str, base: &str) -> Result<Reply, Refusal> {
    let payment = book.payment(id)?;
    if !payment.is_cancelable() {
        return Err(Refusal::unprocessable("The payment cannot be cancelled"));
    }
    book.advance(id, PaymentStatus::Canceled, None);
    Ok(Reply::ok(book.payment(id)?.json(base)))
}

/// `POST /v2/payments/{id}/release-authorization`.
pub(super) fn release(book: &mut Book, id: &str) -> Result<Reply, Refusal> {
    if book.payment(id)?.status != PaymentStatus::Authorized {
        return Err(Refusal::unprocessable("Authorization cannot be released because the payment is not in the authorized state."));
    }
    if !book.releases_wait {
        book.advance(id, PaymentStatus::Canceled, None);
    }
    Ok(Reply::empty(202))
}

impl Payment {
    /// Only while the customer has not been sent to an issuer: as in the documentation's examples an open card payment is not.
    fn is_cancelable(&self) -> bool {
        self.status == PaymentStatus::Open && self.method.as_deref().is_none_or(|method| method == "banktransfer")
    }

    /// Why it fails when it is made to: by its amount, as in test mode.
    pub(super) fn magic_reason(&self) -> &'static str {
        let at = self.amount.whole().and_then(|whole| usize::try_from(whole - 1_001).ok());
        at.and_then(|at| MAGIC.get(at)).copied().unwrap_or("card_declined")
    }

    pub(super) fn json(&self, base: &str) -> Value {
        let at = |ms: i64| Value::String(iso(ms));
        let mut json = json!({
            "resource": "payment",
            "id": self.id,
            "mode": "test",
            "createdAt": at(self.created),
            "amount": self.amount.json(),
            "description": self.description,
            "method": self.method,
            "metadata": self.metadata,
            "status": self.status.as_str(),
            "profileId": super::PROFILE,
            "sequenceType": self.sequence,
            "redirectUrl": self.redirect_url,
            "webhookUrl": self.webhook_url,
            "_links": {
                "self": {"href": format!("{base}/v2/payments/{}", self.id), "type": "application/hal+json"},
                "dashboard": {"href": format!("https://www.mollie.com/dashboard/org_1/payments/{}", self.id), "type": "text/html"},
            },
        });
        let mut put = |name: &str, value: Value| {
            if let Some(object) = json.as_object_mut() {
                object.insert(name.to_owned(), value);
            }
        };
        for (name, text) in [("customerId", &self.customer), ("mandateId", &self.mandate)] {
            if let Some(text) = text {
                put(name, json!(text));
            }
        }
        if self.manual_capture {
            put("captureMode", json!("manual"));
        }
        match self.status {
            PaymentStatus::Open | PaymentStatus::Pending => {
                put("isCancelable", json!(self.is_cancelable()));
                put("expiresAt", at(self.expires));
            }
            PaymentStatus::Authorized => put("authorizedAt", at(self.moved)),
            PaymentStatus::Paid => {
                put("paidAt", at(self.moved));
                put("amountRefunded", self.amount.of(self.refunded).json());
                put("amountRemaining", self.amount.of(self.captured - self.refunded).json());
            }
            PaymentStatus::Canceled => put("canceledAt", at(self.moved)),
            PaymentStatus::Expired => put("expiredAt", at(self.moved)),
            PaymentStatus::Failed => put("failedAt", at(self.moved)),
        }
        if self.manual_capture {
            put("amountCaptured", self.amount.of(self.captured).json());
        }
        if self.card_token.is_some() || self.failure.is_some() {
            let message = self.failure.as_ref().map(|_| "Your card was declined. Please use another card.");
            put("details", json!({"cardToken": self.card_token, "failureReason": self.failure, "failureMessage": message}));
        }
        let waits = self.status == PaymentStatus::Open && self.sequence != "recurring";
        if waits && let Some(links) = json.get_mut("_links").and_then(Value::as_object_mut) {
            links.insert("checkout".to_owned(), json!({"href": format!("{base}/checkout/{}", self.id), "type": "text/html"}));
        }
        json
    }
}
