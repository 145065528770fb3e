//! Which call goes where.

use super::{
    account::{Account, Call},
    charges::Charge,
    customers::Customer,
    expand,
    form::Params,
    intents::Intent,
    methods::Method,
    refunds::Refund,
    refusal::Refusal,
    sessions::Session,
    table::Table,
    transactions::Transaction,
};
use serde_json::{Value, json};

/// An object of a table, as retrieving it shows it.
fn one<T>(table: &Table<T>, id: &str, what: &str, call: &Call, show: fn(&T) -> Value) -> Result<Value, Refusal> {
    call.params.only(&["client_secret"])?;
    table.get(id).map(show).ok_or_else(|| Refusal::no_such(what, id, "id"))
}

impl Account {
    /// Executes a call of the API; the answer is what `expand[]` made of it.
    pub(super) fn execute(&mut self, method: &str, path: &str, call: &Call) -> Result<Value, Refusal> {
        expand::check(&call.params)?;
        let parts: Vec<&str> = path.strip_prefix("/v1/").unwrap_or_default().split('/').collect();
        let mut answer = match method {
            "GET" => self.read(path, &parts, call),
            "POST" => self.write(path, &parts, call),
            "DELETE" => match parts.as_slice() {
                ["customers", id] => self.delete_customer(id, call),
                _ => Err(Refusal::no_route(method, path)),
            },
            _ => Err(Refusal::no_route(method, path)),
        }?;
        if call.params.has("expand") {
            self.expand(&mut answer, &call.params)?;
        }
        Ok(answer)
    }

    fn read(&mut self, path: &str, parts: &[&str], call: &Call) -> Result<Value, Refusal> {
        if let Some(list) = self.list(path, &call.params) {
            return list;
        }
        match parts {
            ["account"] => Ok(self.show_account()),
            ["balance"] => Ok(self.show_balance()),
            ["payment_intents", "search"] => self.search_intents(&call.params),
            ["payment_intents", id] => one(&self.intents, id, "payment_intent", call, Intent::show),
            ["charges", id] => one(&self.charges, id, "charge", call, Charge::show),
            ["refunds", id] => one(&self.refunds, id, "refund", call, Refund::show),
            ["payment_methods", id] => one(&self.methods, id, "PaymentMethod", call, Method::show),
            ["customers", id] => one(&self.customers, id, "customer", call, Customer::show),
            ["customers", id, "payment_methods"] => self.list_methods(path, &call.params, Some(id)),
            ["customers", id, "payment_methods", method] => {
                self.customer(id, "customer")?;
                one(&self.methods, method, "PaymentMethod", call, Method::show)
            }
            ["checkout", "sessions", id] => one(&self.sessions, id, "checkout.session", call, Session::show),
            ["checkout", "sessions", id, "line_items"] => self.list_lines(path, id, &call.params),
            ["disputes", id] => self.retrieve_dispute(id),
            ["balance_transactions", id] => one(&self.transactions, id, "balance_transaction", call, Transaction::show),
            ["events", id] => self.events.get(id).ok_or_else(|| Refusal::no_such("event", id, "id")),
            _ => Err(Refusal::no_route("GET", path)),
        }
    }

    fn write(&mut self, path: &str, parts: &[&str], call: &Call) -> Result<Value, Refusal> {
        match parts {
            ["payment_intents"] => self.create_intent(call),
            ["payment_intents", id] => self.update_intent(id, call),
            ["payment_intents", id, "confirm"] => self.confirm_intent(id, call),
            ["payment_intents", id, "capture"] => self.capture_intent(id, call),
            ["payment_intents", id, "cancel"] => self.cancel_intent(id, call),
            ["refunds"] => self.create_refund(call),
            ["refunds", id] => self.update_refund(id, call),
            ["payment_methods"] => self.create_method(call),
            ["payment_methods", id, "attach"] => self.attach_method(id, call),
            ["payment_methods", id, "detach"] => self.detach_method(id, call),
            ["customers"] => self.create_customer(call),
            ["customers", id] => self.update_customer(id, call),
            ["checkout", "sessions"] => self.create_session(call),
            ["checkout", "sessions", id] => self.update_session(id, call),
            ["checkout", "sessions", id, "expire"] => self.expire_session(id, call),
            ["disputes", id] => self.update_dispute(id, call),
            ["disputes", id, "close"] => self.accept_dispute(id, call),
            _ => Err(Refusal::no_route("POST", path)),
        }
    }

    /// `GET /v1/checkout/sessions/{id}/line_items`.
    fn list_lines(&self, url: &str, id: &str, params: &Params) -> Result<Value, Refusal> {
        params.only(&["limit", "starting_after", "ending_before"])?;
        let limit = super::lists::limit(params)?;
        let after = params.text("starting_after");
        let lines = self.session(id)?.show_lines();
        let begin = after.and_then(|after| lines.iter().position(|line| line.get("id").and_then(Value::as_str) == Some(after)));
        let rest: Vec<Value> = lines.into_iter().skip(begin.map_or(0, |at| at + 1)).collect();
        let has_more = rest.len() > limit;
        Ok(json!({ "object": "list", "data": rest.into_iter().take(limit).collect::<Vec<_>>(), "has_more": has_more, "url": url }))
    }
}
