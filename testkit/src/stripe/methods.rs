//! Payment methods: <https://docs.stripe.com/api/payment_methods>.

use super::{
    account::{Account, Call},
    cards::{self, Decline, TestCard},
    form::{Params, merge_metadata},
    refusal::Refusal,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, OnceLock},
};

/// A card as it was handed in.
#[derive(Debug, Clone)]
pub(super) struct Method {
    pub(super) id: String,
    pub(super) card: &'static TestCard,
    pub(super) customer: Option<String>,
    /// Used once without a customer, or detached: it can't be used again.
    pub(super) consumed: bool,
    /// Saved with authentication, so that it pays without the customer.
    pub(super) set_up: bool,
    pub(super) created: i64,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) billing: Arc<Value>,
}

/// The names of `billing_details` and of its address.
const ADDRESS: [&str; 6] = ["city", "country", "line1", "line2", "postal_code", "state"];

pub(super) fn address(params: Option<&Params>) -> Value {
    let members = ADDRESS.iter().map(|name| ((*name).to_owned(), json!(params.and_then(|params| params.text(name)))));
    Value::Object(members.collect())
}

/// What tells two cards with the same digits apart from others.
pub(super) fn fingerprint(card: &TestCard) -> String {
    let mut hasher = DefaultHasher::new();
    (card.last4, card.brand).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// `billing_details`, one and the same where nothing was given.
pub(super) fn billing(params: Option<&Params>) -> Arc<Value> {
    static NOTHING: OnceLock<Arc<Value>> = OnceLock::new();
    let details = |params: Option<&Params>| {
        let text = |name| params.and_then(|params| params.text(name));
        Arc::new(json!({
            "address": address(params.and_then(|params| params.branch("address"))),
            "email": text("email"),
            "name": text("name"),
            "phone": text("phone"),
            "tax_id": null,
        }))
    };
    if params.is_some() { details(params) } else { Arc::clone(NOTHING.get_or_init(|| details(None))) }
}

impl Method {
    pub(super) fn show(&self) -> Value {
        let mut shown = json!({
            "id": self.id,
            "object": "payment_method",
            "allow_redisplay": "unspecified",
            "billing_details": *self.billing,
            "created": self.created,
            "customer": self.customer,
            "customer_account": null,
            "livemode": false,
            "metadata": self.metadata,
            "type": self.card.kind(),
        });
        if let Value::Object(members) = &mut shown {
            members.insert(self.card.kind().to_owned(), self.details());
        }
        shown
    }

    /// The member that has the name of the type.
    fn details(&self) -> Value {
        let card = self.card;
        if card.delayed.is_some() {
            return json!({
                "account_holder_type": "individual",
                "account_type": "checking",
                "bank_name": "STRIPE TEST BANK",
                "financial_connections_account": null,
                "fingerprint": fingerprint(card),
                "last4": card.last4,
                "networks": { "preferred": "ach", "supported": ["ach"] },
                "routing_number": "110000000",
                "status_details": {},
            });
        }
        json!({
            "brand": card.brand,
            "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
            "country": card.country,
            "display_brand": card.brand,
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": fingerprint(card),
            "funding": card.funding,
            "generated_from": null,
            "last4": card.last4,
            "networks": { "available": [card.brand], "preferred": null },
            "regulated_status": "unregulated",
            "three_d_secure_usage": { "supported": true },
            "wallet": null,
        })
    }
}

/// A card error for a decline, as the API words it.
pub(super) fn declined(decline: Decline) -> Refusal {
    let mut refusal = Refusal::card(decline.code, decline.message);
    if decline.code == "card_declined" || decline.code == "authentication_required" {
        refusal = refusal.with("decline_code", decline.decline_code);
    }
    if decline.code == "incorrect_cvc" {
        refusal = refusal.param("cvc");
    }
    match decline.decline_code {
        "insufficient_funds" | "processing_error" | "card_velocity_exceeded" => refusal.with("advice_code", "try_again_later"),
        "lost_card" | "stolen_card" | "fraudulent" => refusal.with("advice_code", "do_not_try_again"),
        "expired_card" | "incorrect_cvc" => refusal.with("advice_code", "confirm_card_data"),
        _ => refusal,
    }
}

impl Account {
    /// A method of our own from a test card.
    pub(super) fn new_method(&mut self, card: &'static TestCard, params: &Params) -> Result<String, Refusal> {
        let mut metadata = BTreeMap::new();
        merge_metadata(&mut metadata, params)?;
        let id = self.ids.next("pm");
        let method = Method {
            id: id.clone(),
            card,
            customer: None,
            consumed: false,
            set_up: false,
            created: self.now(),
            metadata,
            billing: billing(params.branch("billing_details")),
        };
        self.methods.insert(id.clone(), method);
        Ok(id)
    }

    /// `type=card` with `card[token]`: what `payment_method_data` and creating take.
    pub(super) fn method_from_data(&mut self, data: &Params) -> Result<String, Refusal> {
        match data.required("type")? {
            "card" => {}
            other => return Err(Refusal::invalid(format!("The stand-in takes cards only, not {other}.")).param("type")),
        }
        if data.at(&["card", "number"]).is_some() {
            let message = "Sending credit card numbers directly to the Stripe API is generally unsafe. We suggest you use test tokens that map to \
                           the test card you are using, see https://stripe.com/docs/testing.";
            return Err(Refusal::card("card_declined", message).with("decline_code", "test_mode_live_card"));
        }
        let token = data.at(&["card", "token"]).ok_or_else(|| Refusal::missing_parameter("card[token]"))?;
        let card =
            cards::find(token).filter(|_| token.starts_with("tok_")).ok_or_else(|| Refusal::no_such("token", token, "card[token]"))?;
        self.new_method(card, data)
    }

    /// The method that a request names: one of ours, or a test card's name, which becomes one of ours.
    pub(super) fn resolve_method(&mut self, id: &str) -> Result<String, Refusal> {
        if self.methods.get(id).is_some() {
            return Ok(id.to_owned());
        }
        let card =
            cards::find(id).filter(|_| id.starts_with("pm_")).ok_or_else(|| Refusal::no_such("PaymentMethod", id, "payment_method"))?;
        self.new_method(card, &Params::default())
    }

    pub(super) fn method(&self, id: &str) -> Result<&Method, Refusal> {
        self.methods.get(id).ok_or_else(|| Refusal::no_such("PaymentMethod", id, "id"))
    }

    /// `POST /v1/payment_methods`.
    pub(super) fn create_method(&mut self, call: &Call) -> Result<Value, Refusal> {
        call.params.only(&["type", "card", "billing_details", "metadata", "allow_redisplay", "customer", "payment_method"])?;
        let id = self.method_from_data(&call.params)?;
        Ok(self.method(&id)?.show())
    }

    /// `POST /v1/payment_methods/{id}/attach`.
    pub(super) fn attach_method(&mut self, id: &str, call: &Call) -> Result<Value, Refusal> {
        call.params.only(&["customer"])?;
        let customer = call.params.required("customer")?.to_owned();
        self.customer(&customer, "customer")?;
        let id = self.resolve_method(id)?;
        let method = self.method(&id)?;
        if method.consumed {
            return Err(consumed());
        }
        if method.customer.as_ref().is_some_and(|owner| *owner != customer) {
            let message = "The payment method you provided has already been attached to a customer.";
            return Err(Refusal::state("payment_method_unexpected_state", message));
        }
        if let Some(decline) = method.card.decline.filter(|_| method.card.declines_saving) {
            return Err(declined(decline));
        }
        self.attach(call, &id, &customer);
        Ok(self.method(&id)?.show())
    }

    /// Ties a method to a customer and says so.
    pub(super) fn attach(&mut self, call: &Call, id: &str, customer: &str) {
        if let Some(method) = self.methods.get_mut(id) {
            method.customer = Some(customer.to_owned());
            let shown = method.show();
            self.emit(call, "payment_method.attached", &shown);
        }
    }

    /// `POST /v1/payment_methods/{id}/detach`.
    pub(super) fn detach_method(&mut self, id: &str, call: &Call) -> Result<Value, Refusal> {
        call.params.only(&[])?;
        let method = self.methods.get_mut(id).ok_or_else(|| Refusal::no_such("PaymentMethod", id, "id"))?;
        if method.customer.is_none() {
            let message = "The payment method you provided is not attached to a customer so detachment is impossible.";
            return Err(Refusal::state("payment_method_unexpected_state", message));
        }
        (method.customer, method.consumed) = (None, true);
        let shown = method.show();
        self.emit(call, "payment_method.detached", &shown);
        Ok(shown)
    }
}

/// What is said of a method that was used up.
pub(super) fn consumed() -> Refusal {
    Refusal::invalid(
        "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared with a connected account \
         without Customer attachment, or was detached from a Customer. It may not be used again. To use a PaymentMethod multiple times, you \
         must attach it to a Customer first.",
    )
    .executed()
}
