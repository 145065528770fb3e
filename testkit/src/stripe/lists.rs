//! Lists, newest first, a page at a time: <https://docs.stripe.com/api/pagination>.

use super::{account::Account, form::Params, refusal::Refusal, table::Table};
use serde_json::{Value, json};

/// One list of the API.
pub(super) struct Listing<'a, T> {
    pub(super) url: &'a str,
    pub(super) what: &'static str,
    pub(super) rows: &'a Table<T>,
    pub(super) created: fn(&T) -> i64,
}

/// `created`, as a moment or as `gt`, `gte`, `lt`, `lte`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Created {
    from: i64,
    to: i64,
}

impl Created {
    pub(super) fn read(params: &Params) -> Result<Self, Refusal> {
        if let Some(at) = params.integer("created")? {
            return Ok(Self { from: at, to: at });
        }
        let none = Params::default();
        let range = params.branch("created").unwrap_or(&none);
        range.only(&["gt", "gte", "lt", "lte"])?;
        let from = range.integer("gte")?.unwrap_or(i64::MIN).max(range.integer("gt")?.map_or(i64::MIN, |at| at.saturating_add(1)));
        let to = range.integer("lte")?.unwrap_or(i64::MAX).min(range.integer("lt")?.map_or(i64::MAX, |at| at.saturating_sub(1)));
        Ok(Self { from, to })
    }

    pub(super) fn holds(self, at: i64) -> bool {
        (self.from..=self.to).contains(&at)
    }
}

pub(super) fn limit(params: &Params) -> Result<usize, Refusal> {
    let limit = params.integer("limit")?.unwrap_or(10);
    if !(1..=100).contains(&limit) {
        return Err(Refusal::parameter("limit", "parameter_invalid_integer", "Limit must be between 1 and 100."));
    }
    Ok(usize::try_from(limit).unwrap_or(10))
}

impl<T> Listing<'_, T> {
    /// The page that `params` asks for, of the rows that `fits` lets through.
    pub(super) fn page(&self, params: &Params, fits: impl Fn(&T) -> bool, show: impl Fn(&T) -> Value) -> Result<Value, Refusal> {
        let (limit, created) = (limit(params)?, Created::read(params)?);
        let (after, before) = (params.text("starting_after"), params.text("ending_before"));
        if after.is_some() && before.is_some() {
            return Err(Refusal::invalid("You may only specify one of: starting_after, ending_before."));
        }
        for (name, id) in [("starting_after", after), ("ending_before", before)] {
            if id.is_some_and(|id| self.rows.get(id).is_none()) {
                return Err(Refusal::no_such(self.what, id.unwrap_or_default(), name));
            }
        }
        let fitting = self.rows.iter().filter(|(_, row)| created.holds((self.created)(row)) && fits(row));
        let mut data: Vec<Value> = match before {
            // The page that ends just before an id: walked from there towards the newest.
            Some(before) => fitting.filter(|(id, _)| *id > before).take(limit + 1).map(|(_, row)| show(row)).collect(),
            None => {
                let newest = fitting.rev().skip_while(|(id, _)| after.is_some_and(|after| *id >= after));
                newest.take(limit + 1).map(|(_, row)| show(row)).collect()
            }
        };
        let has_more = data.len() > limit;
        data.truncate(limit);
        if before.is_some() {
            data.reverse();
        }
        Ok(json!({ "object": "list", "data": data, "has_more": has_more, "url": self.url }))
    }
}

const PAGE: [&str; 4] = ["limit", "starting_after", "ending_before", "created"];

/// Refuses what neither pages nor filters the list.
fn only(params: &Params, filters: &[&str]) -> Result<(), Refusal> {
    params.only(&[&PAGE[..], filters].concat())
}

/// Whether a filter names this value, or is not there.
fn is(params: &Params, name: &str, value: Option<&str>) -> bool {
    params.text(name).is_none_or(|wanted| value == Some(wanted))
}

impl Account {
    /// The list at `url` (`/v1/refunds`). `None`: there is none.
    pub(super) fn list(&self, url: &str, params: &Params) -> Option<Result<Value, Refusal>> {
        Some(match url {
            "/v1/payment_intents" => self.list_intents(url, params),
            "/v1/charges" => self.list_charges(url, params),
            "/v1/refunds" => self.list_refunds(url, params),
            "/v1/customers" => self.list_customers(url, params),
            "/v1/payment_methods" => self.list_methods(url, params, params.text("customer")),
            "/v1/checkout/sessions" => self.list_sessions(url, params),
            "/v1/disputes" => self.list_disputes(url, params),
            "/v1/balance_transactions" => self.list_transactions(url, params),
            "/v1/events" => self.list_events(url, params),
            _ => return None,
        })
    }

    fn list_intents(&self, url: &str, params: &Params) -> Result<Value, Refusal> {
        only(params, &["customer"])?;
        let list = Listing { url, what: "payment_intent", rows: &self.intents, created: |intent| intent.created };
        list.page(params, |intent| is(params, "customer", intent.customer.as_deref()), |intent| intent.show())
    }

    fn list_charges(&self, url: &str, params: &Params) -> Result<Value, Refusal> {
        only(params, &["customer", "payment_intent"])?;
        let list = Listing { url, what: "charge", rows: &self.charges, created: |charge| charge.created };
        let fits = |charge: &super::charges::Charge| {
            is(params, "customer", charge.customer.as_deref()) && is(params, "payment_intent", Some(&charge.intent))
        };
        list.page(params, fits, |charge| charge.show())
    }

    fn list_refunds(&self, url: &str, params: &Params) -> Result<Value, Refusal> {
        only(params, &["charge", "payment_intent"])?;
        let list = Listing { url, what: "refund", rows: &self.refunds, created: |refund| refund.created };
        let fits = |refund: &super::refunds::Refund| {
            is(params, "charge", Some(&refund.charge)) && is(params, "payment_intent", Some(&refund.intent))
        };
        list.page(params, fits, |refund| refund.show())
    }

    fn list_customers(&self, url: &str, params: &Params) -> Result<Value, Refusal> {
        only(params, &["email"])?;
        let list = Listing { url, what: "customer", rows: &self.customers, created: |customer| customer.created };
        let fits = |customer: &super::customers::Customer| !customer.is_deleted() && is(params, "email", customer.email.as_deref());
        list.page(params, fits, |customer| customer.show())
    }

    /// `GET /v1/payment_methods?customer=` and `GET /v1/customers/{id}/payment_methods`.
    pub(super) fn list_methods(&self, url: &str, params: &Params, customer: Option<&str>) -> Result<Value, Refusal> {
        only(params, &["customer", "type", "allow_redisplay"])?;
        let Some(customer) = customer else { return Err(Refusal::missing_parameter("customer")) };
        self.customer(customer, "customer")?;
        let list = Listing { url, what: "payment_method", rows: &self.methods, created: |method| method.created };
        let fits =
            |method: &super::methods::Method| method.customer.as_deref() == Some(customer) && is(params, "type", Some(method.card.kind()));
        list.page(params, fits, |method| method.show())
    }

    fn list_sessions(&self, url: &str, params: &Params) -> Result<Value, Refusal> {
        only(params, &["payment_intent", "customer", "status"])?;
        let list = Listing { url, what: "checkout.session", rows: &self.sessions, created: |session| session.created };
        let fits = |session: &super::sessions::Session| {
            is(params, "payment_intent", session.intent.as_deref()) && is(params, "status", Some(session.state()))
        };
        list.page(params, fits, |session| session.show())
    }

    fn list_disputes(&self, url: &str, params: &Params) -> Result<Value, Refusal> {
        only(params, &["charge", "payment_intent"])?;
        let list = Listing { url, what: "dispute", rows: &self.disputes, created: |dispute| dispute.created };
        let fits = |dispute: &super::disputes::Dispute| {
            is(params, "charge", Some(&dispute.charge)) && is(params, "payment_intent", Some(&dispute.intent))
        };
        list.page(params, fits, |dispute| self.show_dispute(dispute))
    }

    fn list_transactions(&self, url: &str, params: &Params) -> Result<Value, Refusal> {
        only(params, &["source", "type", "currency"])?;
        let list = Listing { url, what: "balance_transaction", rows: &self.transactions, created: |transaction| transaction.created };
        let fits = |transaction: &super::transactions::Transaction| {
            is(params, "source", Some(&transaction.source))
                && is(params, "type", Some(transaction.kind()))
                && is(params, "currency", Some(&transaction.currency))
        };
        list.page(params, fits, |transaction| transaction.show())
    }

    fn list_events(&self, url: &str, params: &Params) -> Result<Value, Refusal> {
        only(params, &["type", "types"])?;
        let (limit, created) = (limit(params)?, Created::read(params)?);
        let types = params.list("types");
        let after = params.text("starting_after");
        let fits = |kind: &str| is(params, "type", Some(kind)) && (types.is_empty() || types.contains(&kind));
        let newest = self.events.all().rev().skip_while(|event| after.is_some_and(|after| event.id.as_str() >= after));
        let fitting = newest.filter(|event| fits(&event.kind) && created.holds(event.created));
        let mut data: Vec<Value> = fitting.take(limit + 1).map(|event| event.json()).collect();
        let has_more = data.len() > limit;
        data.truncate(limit);
        Ok(json!({ "object": "list", "data": data, "has_more": has_more, "url": url }))
    }
}
