//! Customers and their mandates (docs.mollie.com/reference/customers-api, docs.mollie.com/reference/mandates-api).

use super::{
    book::{Book, Customer, Mandate},
    call::{Call, Refusal, Reply},
    list,
    money::iso,
};
use serde_json::{Value, json};

/// `POST /v2/customers`.
pub(super) fn create(book: &mut Book, call: &Call) -> Result<Reply, Refusal> {
    let metadata = call.body()?.get("metadata").cloned().unwrap_or(Value::Null);
    let customer = Customer { id: book.id("cst"), metadata, created: book.now(), mandates: Vec::new() };
    let json = customer.json();
    book.customers.push(customer);
    Ok(Reply::created(json))
}

/// `GET /v2/customers/{id}`.
pub(super) fn get(book: &mut Book, id: &str) -> Result<Reply, Refusal> {
    find(book, id).map(|customer| Reply::ok(customer.json()))
}

/// `GET /v2/customers/{id}/mandates`.
pub(super) fn mandates(book: &mut Book, call: &Call, id: &str, base: &str) -> Result<Reply, Refusal> {
    let customer = find(book, id)?;
    list::page(call, base, "mandates", customer.mandates.iter().rev().map(|one| (one.id.as_str(), one.json(id))).collect())
}

/// `DELETE /v2/customers/{id}/mandates/{mandate}`.
pub(super) fn revoke(book: &mut Book, id: &str, mandate: &str) -> Result<Reply, Refusal> {
    let found = find(book, id)?.mandates.iter_mut().find(|one| one.id == mandate);
    found.ok_or_else(|| Refusal::not_found("mandate", mandate))?.is_valid = false;
    Ok(Reply::empty(204))
}

fn find<'b>(book: &'b mut Book, id: &str) -> Result<&'b mut Customer, Refusal> {
    book.customers.iter_mut().find(|one| one.id == id).ok_or_else(|| Refusal::not_found("customer", id))
}

impl Customer {
    fn json(&self) -> Value {
        json!({"resource": "customer", "id": self.id, "mode": "test", "metadata": self.metadata, "createdAt": iso(self.created), "_links": {}})
    }
}

impl Mandate {
    fn json(&self, customer: &str) -> Value {
        json!({
            "resource": "mandate",
            "id": self.id,
            "mode": "test",
            "status": if self.is_valid { "valid" } else { "invalid" },
            "method": "creditcard",
            "customerId": customer,
            "createdAt": iso(self.created),
            "_links": {},
        })
    }
}
