//! Charges: one try to move money. <https://docs.stripe.com/api/charges/object>.

use super::{
    account::{Account, Call},
    cards::{Decline, TestCard},
    events::Snapshot,
    intents::Intent,
    methods::{Method, fingerprint},
    transactions::Source,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// One try to move money.
#[derive(Debug, Clone)]
pub(super) struct Charge {
    pub(super) id: String,
    pub(super) intent: String,
    pub(super) customer: Option<String>,
    pub(super) method: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) paid: bool,
    /// The bank has not answered yet.
    pub(super) pending: bool,
    pub(super) captured: bool,
    pub(super) amount_captured: i64,
    pub(super) amount_refunded: i64,
    pub(super) disputed: bool,
    /// Its balance transaction, when it is known.
    pub(super) transaction: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) created: i64,
    description: Option<String>,
    receipt_email: Option<String>,
    billing: Arc<Value>,
    card: &'static TestCard,
    authenticated: bool,
    decline: Option<Decline>,
}

/// `payment_method_details`: what was paid with.
fn details(card: &TestCard, amount: i64, authenticated: bool) -> Value {
    if card.delayed.is_some() {
        let account = json!({
            "account_holder_type": "individual", "account_type": "checking", "bank_name": "STRIPE TEST BANK",
            "fingerprint": fingerprint(card), "last4": card.last4, "routing_number": "110000000",
        });
        return json!({ "type": "us_bank_account", "us_bank_account": account });
    }
    let three_d_secure =
        authenticated.then(|| json!({ "authentication_flow": "challenge", "result": "authenticated", "version": "2.2.0" }));
    let shown = json!({
        "amount_authorized": amount,
        "authorization_code": null,
        "brand": card.brand,
        "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
        "country": card.country,
        "exp_month": 12,
        "exp_year": 2034,
        "extended_authorization": { "status": "disabled" },
        "fingerprint": fingerprint(card),
        "funding": card.funding,
        "incremental_authorization": { "status": "unavailable" },
        "installments": null,
        "last4": card.last4,
        "mandate": null,
        "multicapture": { "status": "unavailable" },
        "network": card.brand,
        "network_token": { "used": false },
        "network_transaction_id": null,
        "overcapture": { "maximum_amount_capturable": amount, "status": "unavailable" },
        "regulated_status": "unregulated",
        "three_d_secure": three_d_secure,
        "wallet": null,
    });
    json!({ "card": shown, "type": "card" })
}

impl Charge {
    fn new(id: String, intent: &Intent, method: &Method, now: i64, authenticated: bool) -> Self {
        Self {
            id,
            intent: intent.id.clone(),
            customer: intent.customer.clone(),
            method: method.id.clone(),
            amount: intent.amount,
            currency: intent.currency.clone(),
            paid: true,
            pending: false,
            captured: true,
            amount_captured: 0,
            amount_refunded: 0,
            disputed: false,
            transaction: None,
            metadata: intent.metadata.clone(),
            created: now,
            description: intent.description.clone(),
            receipt_email: intent.receipt_email.clone(),
            billing: Arc::clone(&method.billing),
            card: method.card,
            authenticated,
            decline: None,
        }
    }

    /// The bank said yes.
    pub(super) fn approved(id: String, intent: &Intent, method: &Method, captured: bool, authenticated: bool, now: i64) -> Self {
        let amount_captured = if captured { intent.amount } else { 0 };
        Self { captured, amount_captured, ..Self::new(id, intent, method, now, authenticated) }
    }

    /// The bank said no.
    pub(super) fn declined(id: String, intent: &Intent, method: &Method, decline: Decline, now: i64) -> Self {
        Self { paid: false, captured: false, decline: Some(decline), ..Self::new(id, intent, method, now, false) }
    }

    /// The bank will answer later.
    pub(super) fn pending(id: String, intent: &Intent, method: &Method, now: i64) -> Self {
        Self { paid: false, pending: true, ..Self::new(id, intent, method, now, false) }
    }

    /// The bank has answered late.
    pub(super) fn settle(&mut self, decline: Option<Decline>) {
        (self.paid, self.pending, self.decline) = (decline.is_none(), false, decline);
        self.amount_captured = if self.paid { self.amount } else { 0 };
    }

    /// An authorisation that is given back.
    pub(super) fn release(&mut self) {
        self.amount_refunded = self.amount;
    }

    /// Whether every cent of it went back.
    pub(super) fn refunded(&self) -> bool {
        self.paid && self.amount_refunded >= self.amount
    }

    /// What can still be refunded.
    pub(super) fn refundable(&self) -> i64 {
        if self.paid && self.captured { self.amount - self.amount_refunded } else { 0 }
    }

    fn status(&self) -> &'static str {
        match (self.paid, self.pending) {
            (true, _) => "succeeded",
            (false, true) => "pending",
            (false, false) => "failed",
        }
    }

    fn outcome(&self) -> Value {
        let decline = self.decline;
        let code = decline.map(|decline| decline.decline_code);
        let (status, kind, risk, score) = match decline {
            None => ("approved_by_network", "authorized", "normal", 12),
            Some(decline) if decline.network.is_some() => ("declined_by_network", "issuer_declined", "normal", 12),
            Some(_) => ("not_sent_to_network", "blocked", "highest", 92),
        };
        let message = match kind {
            "authorized" => "Payment complete.",
            "blocked" => "Stripe blocked this payment as too risky.",
            _ => "The bank did not approve this payment.",
        };
        json!({
            "advice_code": null,
            "network_advice_code": null,
            "network_decline_code": decline.and_then(|decline| decline.network),
            "network_status": status,
            "reason": if kind == "blocked" { Some("highest_risk_level") } else { code },
            "risk_level": risk,
            "risk_score": score,
            "seller_message": message,
            "type": kind,
        })
    }

    pub(super) fn show(&self) -> Value {
        let receipt = self.paid.then(|| format!("https://pay.stripe.com/receipts/payment/{}", self.id));
        json!({
            "id": self.id,
            "object": "charge",
            "amount": self.amount,
            "amount_captured": self.amount_captured,
            "amount_refunded": self.amount_refunded,
            "application": null,
            "application_fee": null,
            "application_fee_amount": null,
            "balance_transaction": self.transaction,
            "billing_details": *self.billing,
            "calculated_statement_descriptor": "STAND-IN",
            "captured": self.captured,
            "created": self.created,
            "currency": self.currency,
            "customer": self.customer,
            "description": self.description,
            "disputed": self.disputed,
            "failure_balance_transaction": null,
            "failure_code": self.decline.map(|decline| decline.code),
            "failure_message": self.decline.map(|decline| decline.message),
            "fraud_details": {},
            "livemode": false,
            "metadata": self.metadata,
            "on_behalf_of": null,
            "outcome": self.outcome(),
            "paid": self.paid,
            "payment_intent": self.intent,
            "payment_method": self.method,
            "payment_method_details": details(self.card, self.amount, self.authenticated),
            "receipt_email": self.receipt_email,
            "receipt_number": null,
            "receipt_url": receipt,
            "refunded": self.refunded(),
            "review": null,
            "shipping": null,
            "source": null,
            "source_transfer": null,
            "statement_descriptor": null,
            "statement_descriptor_suffix": null,
            "status": self.status(),
            "transfer_data": null,
            "transfer_group": null,
        })
    }
}

impl Account {
    /// Takes the money of an authorisation, or a part of it; the rest is released.
    pub(super) fn capture_charge(&mut self, call: &Call, id: &str, amount: i64, asynchronous: bool) {
        let Some(charge) = self.charges.get_mut(id) else { return };
        (charge.captured, charge.amount_captured) = (true, amount);
        charge.amount_refunded = charge.amount - amount;
        let method = charge.method.clone();
        if !asynchronous {
            self.book_charge(id, amount);
        }
        let shown = self.show(id).unwrap_or_default();
        self.emit(call, "charge.captured", &shown);
        if let Some(method) = self.methods.get(&method).cloned() {
            self.after_capture(call, id, &method, asynchronous);
        }
    }

    /// The money of a captured charge stands in the balance.
    pub(super) fn book_charge(&mut self, id: &str, amount: i64) {
        let Some(charge) = self.charges.get(id) else { return };
        let (currency, description) = (charge.currency.clone(), charge.description.clone());
        let transaction = self.book(Source::Charge, id, amount, &currency, description);
        if let Some(charge) = self.charges.get_mut(id) {
            charge.transaction = Some(transaction);
        }
    }

    /// The fee of an asynchronous capture has become known.
    pub(super) fn learn_fee(&mut self, id: &str) {
        let Some(amount) = self.charges.get(id).filter(|charge| charge.transaction.is_none()).map(|charge| charge.amount_captured) else {
            return;
        };
        self.book_charge(id, amount);
        self.tell_of_charge(&Call::default(), "charge.updated", id);
    }

    /// Tells of a charge as it is now.
    pub(super) fn tell_of_charge(&mut self, call: &Call, kind: &str, id: &str) {
        if let Some(charge) = self.charges.get(id).cloned() {
            self.tell(call, kind, Snapshot::Charge(Box::new(charge)));
        }
    }
}
