//! Refunds, captures and chargebacks (docs.mollie.com/reference/refunds-api, docs.mollie.com/reference/captures-api).

use super::{
    book::{Book, Capture, Chargeback, PaymentStatus, Refund},
    call::{Call, Refusal, Reply},
    list,
    money::{Money, iso},
};
use serde_json::{Value, json};

/// How soon the same refund once more is a duplicate, ms.
const DUPLICATE_WITHIN_MS: i64 = 10_000;

/// `POST /v2/payments/{id}/refunds`.
pub(super) fn create(book: &mut Book, call: &Call, payment: &str, base: &str) -> Result<Reply, Refusal> {
    let body = call.body()?;
    let amount = Money::read(&body, "amount")?;
    let description = body.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    let now = book.now();
    let paid = book.payment(payment)?.clone();
    if paid.status != PaymentStatus::Paid {
        return Err(Refusal::unprocessable("The payment is not paid and cannot be refunded"));
    }
    if amount.currency != paid.amount.currency {
        return Err(Refusal::field("amount.currency", "The currency differs from the payment's"));
    }
    if amount.minor <= 0 || amount.minor > paid.captured - paid.refunded {
        return Err(Refusal::field("amount", "The specified amount cannot be refunded"));
    }
    let twin = |one: &Refund| {
        one.payment == payment && one.amount == amount && one.description == description && now - one.created < DUPLICATE_WITHIN_MS
    };
    if book.refunds.iter().any(twin) {
        return Err(Refusal::new(409, "Conflict", "A duplicate refund has been detected"));
    }
    let refund = Refund {
        id: book.id("re"),
        payment: payment.to_owned(),
        amount,
        status: if book.refunds_queue { "queued" } else { "pending" },
        metadata: body.get("metadata").cloned().unwrap_or(Value::Null),
        description,
        key: call.header("idempotency-key").map(str::to_owned),
        created: now,
    };
    book.payment(payment)?.refunded += amount.minor;
    let json = refund.json(base);
    book.refunds.push(refund);
    Ok(Reply::created(json))
}

/// `GET /v2/payments/{id}/refunds/{refund}`.
pub(super) fn get(book: &mut Book, payment: &str, id: &str, base: &str) -> Result<Reply, Refusal> {
    let found = book.refunds.iter().find(|one| one.id == id && one.payment == payment);
    found.map(|one| Reply::ok(one.json(base))).ok_or_else(|| Refusal::not_found("refund", id))
}

/// `DELETE /v2/payments/{id}/refunds/{refund}`.
pub(super) fn cancel(book: &mut Book, payment: &str, id: &str) -> Result<Reply, Refusal> {
    let found = book.refunds.iter().find(|one| one.id == id && one.payment == payment);
    match found.ok_or_else(|| Refusal::not_found("refund", id))?.status {
        "queued" | "pending" => {
            book.move_refund(id, "canceled");
            Ok(Reply::empty(204))
        }
        _ => Err(Refusal::unprocessable("The refund cannot be canceled any more")),
    }
}

/// `GET /v2/refunds`, or those of one payment.
pub(super) fn list(book: &mut Book, call: &Call, payment: Option<&str>, base: &str) -> Result<Reply, Refusal> {
    if let Some(payment) = payment {
        book.payment(payment)?;
    }
    let is_its = |one: &&Refund| payment.is_none_or(|payment| one.payment == payment);
    let all = book.refunds.iter().rev().filter(is_its).map(|one| (one.id.as_str(), one.json(base))).collect();
    list::page(call, base, "refunds", all)
}

/// `POST /v2/payments/{id}/captures`.
pub(super) fn capture(book: &mut Book, call: &Call, payment: &str, base: &str) -> Result<Reply, Refusal> {
    let body = call.body()?;
    let held = book.payment(payment)?.clone();
    if held.status != PaymentStatus::Authorized {
        return Err(Refusal::unprocessable("The payment is not authorized and cannot be captured"));
    }
    let asked: i64 = book.captures.iter().filter(|one| one.payment == payment && one.status != "failed").map(|one| one.amount.minor).sum();
    let rest = held.amount.of(held.amount.minor - asked);
    let amount = if body.get("amount").is_some() { Money::read(&body, "amount")? } else { rest };
    if amount.currency != held.amount.currency {
        return Err(Refusal::field("amount.currency", "The amount contains an invalid currency"));
    }
    if amount.minor <= 0 || amount.minor > rest.minor {
        return Err(Refusal::field("amount", "The amount is higher than what is authorized"));
    }
    let id = book.id("cpt");
    let metadata = body.get("metadata").cloned().unwrap_or(Value::Null);
    let created = book.now();
    book.captures.push(Capture { id: id.clone(), payment: payment.to_owned(), amount, status: "pending", metadata, created });
    if !book.captures_wait {
        book.end_capture(&id, true);
    }
    let made = book.captures.iter().find(|one| one.id == id).map(|one| one.json(base));
    Ok(Reply::created(made.unwrap_or(Value::Null)))
}

/// `GET /v2/payments/{id}/captures`.
pub(super) fn list_captures(book: &mut Book, call: &Call, payment: &str, base: &str) -> Result<Reply, Refusal> {
    book.payment(payment)?;
    let its = book.captures.iter().rev().filter(|one| one.payment == payment);
    list::page(call, base, "captures", its.map(|one| (one.id.as_str(), one.json(base))).collect())
}

impl Refund {
    pub(super) fn json(&self, base: &str) -> Value {
        json!({
            "resource": "refund",
            "id": self.id,
            "mode": "test",
            "description": self.description,
            "amount": self.amount.json(),
            "status": self.status,
            "metadata": self.metadata,
            "paymentId": self.payment,
            "createdAt": iso(self.created),
            "_links": {
                "self": {"href": format!("{base}/v2/payments/{}/refunds/{}", self.payment, self.id), "type": "application/hal+json"},
                "payment": {"href": format!("{base}/v2/payments/{}", self.payment), "type": "application/hal+json"},
            },
        })
    }
}

impl Chargeback {
    pub(super) fn json(&self) -> Value {
        json!({
            "resource": "chargeback",
            "id": self.id,
            "amount": self.amount.json(),
            "paymentId": self.payment,
            "createdAt": iso(self.created),
            "reversedAt": self.reversed.map(iso),
            "_links": {},
        })
    }
}

impl Capture {
    pub(super) fn json(&self, base: &str) -> Value {
        json!({
            "resource": "capture",
            "id": self.id,
            "mode": "test",
            "amount": self.amount.json(),
            "status": self.status,
            "metadata": self.metadata,
            "paymentId": self.payment,
            "createdAt": iso(self.created),
            "_links": {"payment": {"href": format!("{base}/v2/payments/{}", self.payment), "type": "application/hal+json"}},
        })
    }
}
