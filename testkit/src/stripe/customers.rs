//! Customers: <https://docs.stripe.com/api/customers>.

use super::{
    account::{Account, Call},
    form::{Params, merge_metadata},
    methods::address,
    refusal::Refusal,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A customer of the account.
#[derive(Debug, Clone)]
pub(super) struct Customer {
    pub(super) id: String,
    pub(super) email: Option<String>,
    name: Option<String>,
    phone: Option<String>,
    description: Option<String>,
    address: Value,
    default_method: Option<String>,
    metadata: BTreeMap<String, String>,
    pub(super) created: i64,
    deleted: bool,
}

impl Customer {
    pub(super) fn show(&self) -> Value {
        if self.deleted {
            return json!({ "id": self.id, "object": "customer", "deleted": true });
        }
        json!({
            "id": self.id,
            "object": "customer",
            "address": self.address,
            "balance": 0,
            "created": self.created,
            "currency": null,
            "default_source": null,
            "delinquent": false,
            "description": self.description,
            "discount": null,
            "email": self.email,
            "invoice_prefix": self.id.get(self.id.len().saturating_sub(8)..).map(str::to_ascii_uppercase),
            "invoice_settings": {
                "custom_fields": null, "default_payment_method": self.default_method, "footer": null, "rendering_options": null,
            },
            "livemode": false,
            "metadata": self.metadata,
            "name": self.name,
            "next_invoice_sequence": 1,
            "phone": self.phone,
            "preferred_locales": [],
            "shipping": null,
            "tax_exempt": "none",
            "test_clock": null,
        })
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.deleted
    }

    fn change(&mut self, params: &Params) -> Result<(), Refusal> {
        for (name, field) in
            [("email", &mut self.email), ("name", &mut self.name), ("phone", &mut self.phone), ("description", &mut self.description)]
        {
            if params.has(name) {
                *field = params.owned(name);
            }
        }
        if self.email.as_ref().is_some_and(|email| !email.contains('@')) {
            let message = format!("Invalid email address: {}", self.email.as_deref().unwrap_or_default());
            return Err(Refusal::parameter("email", "email_invalid", message));
        }
        if params.has("address") {
            self.address = params.branch("address").map_or(Value::Null, |params| address(Some(params)));
        }
        if let Some(method) = params.at(&["invoice_settings", "default_payment_method"]) {
            self.default_method = Some(method.to_owned());
        }
        merge_metadata(&mut self.metadata, params)
    }
}

const KNOWN: [&str; 18] = [
    "address",
    "balance",
    "business_name",
    "cash_balance",
    "description",
    "email",
    "individual_name",
    "invoice_prefix",
    "invoice_settings",
    "metadata",
    "name",
    "payment_method",
    "phone",
    "preferred_locales",
    "shipping",
    "tax",
    "tax_exempt",
    "validate",
];

impl Account {
    /// A customer that was not deleted. `param` says where its id stood.
    pub(super) fn customer(&self, id: &str, param: &str) -> Result<&Customer, Refusal> {
        self.customers.get(id).filter(|customer| !customer.deleted).ok_or_else(|| Refusal::no_such("customer", id, param))
    }

    /// `POST /v1/customers`.
    pub(super) fn create_customer(&mut self, call: &Call) -> Result<Value, Refusal> {
        call.params.only(&KNOWN)?;
        let mut customer = Customer {
            id: String::new(),
            email: None,
            name: None,
            phone: None,
            description: None,
            address: Value::Null,
            default_method: None,
            metadata: BTreeMap::new(),
            created: self.now(),
            deleted: false,
        };
        customer.change(&call.params)?;
        let method = call.params.text("payment_method").map(|method| self.resolve_method(method)).transpose()?;
        if let Some(decline) = method.as_ref().and_then(|id| self.methods.get(id)).and_then(|method| method.card.decline) {
            return Err(super::methods::declined(decline));
        }
        customer.id = self.ids.next("cus");
        let (id, shown) = (customer.id.clone(), customer.show());
        self.customers.insert(id.clone(), customer);
        self.emit(call, "customer.created", &shown);
        if let Some(method) = method {
            self.attach(call, &method, &id);
        }
        Ok(shown)
    }

    /// `POST /v1/customers/{id}`.
    pub(super) fn update_customer(&mut self, id: &str, call: &Call) -> Result<Value, Refusal> {
        call.params.only(&KNOWN)?;
        let mut changed = self.customer(id, "id")?.clone();
        changed.change(&call.params)?;
        let shown = changed.show();
        self.customers.insert(id.to_owned(), changed);
        self.emit(call, "customer.updated", &shown);
        Ok(shown)
    }

    /// `DELETE /v1/customers/{id}`.
    pub(super) fn delete_customer(&mut self, id: &str, call: &Call) -> Result<Value, Refusal> {
        let before = self.customer(id, "id")?.show();
        let methods: Vec<String> =
            self.methods.values().filter(|method| method.customer.as_deref() == Some(id)).map(|method| method.id.clone()).collect();
        for method in methods {
            if let Some(method) = self.methods.get_mut(&method) {
                (method.customer, method.consumed) = (None, true);
            }
        }
        if let Some(customer) = self.customers.get_mut(id) {
            customer.deleted = true;
        }
        self.emit(call, "customer.deleted", &before);
        Ok(json!({ "id": id, "object": "customer", "deleted": true }))
    }
}
