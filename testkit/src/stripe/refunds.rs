//! Refunds and their limits: <https://docs.stripe.com/api/refunds>, <https://docs.stripe.com/refunds>.

use super::{
    account::{Account, Call, Due},
    cards::Afterwards,
    charges::Charge,
    form::merge_metadata,
    refusal::Refusal,
    transactions::Source,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const REASONS: [&str; 3] = ["duplicate", "fraudulent", "requested_by_customer"];

/// `status` of a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RefundStatus {
    Pending,
    Succeeded,
    Failed,
}

impl RefundStatus {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// Money on its way back.
#[derive(Debug, Clone)]
pub(super) struct Refund {
    pub(super) id: String,
    pub(super) charge: String,
    pub(super) intent: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) status: RefundStatus,
    reason: Option<&'static str>,
    failure_reason: Option<String>,
    transaction: Option<String>,
    failure_transaction: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) created: i64,
}

impl Refund {
    pub(super) fn show(&self) -> Value {
        let mut shown = json!({
            "id": self.id,
            "object": "refund",
            "amount": self.amount,
            "balance_transaction": self.transaction,
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "destination_details": {
                "card": { "reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund" }, "type": "card",
            },
            "metadata": self.metadata,
            "payment_intent": self.intent,
            "reason": self.reason,
            "receipt_number": null,
            "source_transfer_reversal": null,
            "status": self.status.as_str(),
            "transfer_reversal": null,
        });
        // Both members are there only when the refund failed; `pending_reason` only while it is pending.
        let extra = [
            ("failure_reason", self.failure_reason.clone()),
            ("failure_balance_transaction", self.failure_transaction.clone()),
            ("pending_reason", (self.status == RefundStatus::Pending).then(|| "processing".to_owned())),
        ];
        if let Value::Object(members) = &mut shown {
            members.extend(extra.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))));
        }
        shown
    }
}

impl Account {
    /// The charge that a refund is for: named, or the payment's last one.
    fn charge_to_refund(&self, call: &Call) -> Result<&Charge, Refusal> {
        let params = &call.params;
        match (params.text("charge"), params.text("payment_intent")) {
            (Some(charge), _) => self.charges.get(charge).ok_or_else(|| Refusal::no_such("charge", charge, "charge")),
            (None, Some(id)) => {
                let intent = self.intents.get(id).ok_or_else(|| Refusal::no_such("payment_intent", id, "payment_intent"))?;
                let charge = intent.latest_charge.as_deref().and_then(|charge| self.charges.get(charge)).filter(|charge| charge.paid);
                charge.ok_or_else(|| {
                    Refusal::invalid(format!("This PaymentIntent ({id}) does not have a successful charge to refund.")).executed()
                })
            }
            (None, None) => {
                Err(Refusal::invalid("One of the following params should be provided for this request: payment_intent or charge."))
            }
        }
    }

    /// The charge and the amount that a refund is for, within the limits.
    fn refundable(&self, call: &Call) -> Result<(&Charge, i64), Refusal> {
        let wish = call.params.integer("amount")?;
        if wish.is_some_and(|amount| amount < 1) {
            return Err(Refusal::parameter("amount", "parameter_invalid_integer", "This value must be greater than or equal to 1."));
        }
        let charge = self.charge_to_refund(call)?;
        if !charge.paid || !charge.captured {
            let message = format!("Charge {} has not been captured; it cannot be refunded.", charge.id);
            return Err(Refusal::state("charge_not_refundable", message));
        }
        if charge.disputed && self.disputes.values().any(|dispute| dispute.charge == charge.id && !dispute.is_refundable()) {
            let message = format!("Charge {} has been charged back; cannot issue a refund.", charge.id);
            return Err(Refusal::state("charge_disputed", message));
        }
        let left = charge.refundable();
        if left == 0 {
            return Err(Refusal::state("charge_already_refunded", format!("Charge {} has already been refunded.", charge.id)));
        }
        let amount = wish.unwrap_or(left);
        if amount > left {
            let message = format!("Refund amount ({amount}) is greater than unrefunded amount on charge ({left})");
            return Err(Refusal::invalid(message).param("amount").executed());
        }
        Ok((charge, amount))
    }

    /// `POST /v1/refunds`.
    pub(super) fn create_refund(&mut self, call: &Call) -> Result<Value, Refusal> {
        call.params.only(&[
            "amount",
            "charge",
            "currency",
            "customer",
            "instructions_email",
            "metadata",
            "origin",
            "payment_intent",
            "reason",
            "refund_application_fee",
            "reverse_transfer",
        ])?;
        let reason = call.params.word("reason", &REASONS)?;
        let (charge, amount) = self.refundable(call)?;
        let (charge, intent, currency, method) = (charge.id.clone(), charge.intent.clone(), charge.currency.clone(), charge.method.clone());
        let afterwards = self.methods.get(&method).map(|method| method.card.afterwards);
        let mut metadata = BTreeMap::new();
        merge_metadata(&mut metadata, &call.params)?;
        let id = self.ids.next("re");
        let transaction = self.book(Source::Refund, &id, -amount, &currency, None);
        let pending = afterwards == Some(Afterwards::RefundPending);
        let refund = Refund {
            id: id.clone(),
            charge: charge.clone(),
            intent,
            amount,
            currency,
            status: if pending { RefundStatus::Pending } else { RefundStatus::Succeeded },
            reason,
            failure_reason: None,
            transaction: Some(transaction),
            failure_transaction: None,
            metadata,
            created: self.now(),
        };
        let shown = refund.show();
        self.refunds.insert(id.clone(), refund);
        if let Some(charge) = self.charges.get_mut(&charge) {
            charge.amount_refunded += amount;
            let shown = charge.show();
            self.emit(call, "charge.refunded", &shown);
        }
        self.emit(call, "refund.created", &shown);
        match afterwards {
            Some(Afterwards::RefundPending) => self.schedule(self.pace.refund_ms, Due::RefundSucceeds(id)),
            Some(Afterwards::RefundFails) => self.schedule(self.pace.refund_ms, Due::RefundFails(id)),
            _ => {}
        }
        Ok(shown)
    }

    /// `POST /v1/refunds/{id}`: its metadata.
    pub(super) fn update_refund(&mut self, id: &str, call: &Call) -> Result<Value, Refusal> {
        call.params.only(&["metadata"])?;
        let refund = self.refunds.get_mut(id).ok_or_else(|| Refusal::no_such("refund", id, "id"))?;
        merge_metadata(&mut refund.metadata, &call.params)?;
        let shown = refund.show();
        self.tell_refund_changed(call, "refund.updated", &shown);
        Ok(shown)
    }

    /// A pending refund has arrived.
    pub(super) fn refund_succeeds(&mut self, id: &str) {
        let Some(refund) = self.refunds.get_mut(id).filter(|refund| refund.status == RefundStatus::Pending) else { return };
        refund.status = RefundStatus::Succeeded;
        let shown = refund.show();
        self.tell_refund_changed(&Call::default(), "refund.updated", &shown);
    }

    /// A refund comes back: the customer's bank could not take it. The charge is as unrefunded as before.
    pub(super) fn refund_fails(&mut self, id: &str, reason: &str) {
        let Some(refund) = self.refunds.get(id).filter(|refund| refund.status != RefundStatus::Failed) else { return };
        let (charge, amount, currency) = (refund.charge.clone(), refund.amount, refund.currency.clone());
        let transaction = self.book(Source::RefundFailure, id, amount, &currency, None);
        if let Some(charge) = self.charges.get_mut(&charge) {
            charge.amount_refunded -= amount;
        }
        let Some(refund) = self.refunds.get_mut(id) else { return };
        (refund.status, refund.failure_transaction) = (RefundStatus::Failed, Some(transaction));
        refund.failure_reason = Some(reason.to_owned());
        let shown = refund.show();
        self.tell_refund_changed(&Call::default(), "refund.failed", &shown);
    }

    /// `charge.refund.updated` is the older name, and is still sent beside the newer.
    fn tell_refund_changed(&mut self, call: &Call, kind: &str, shown: &Value) {
        self.emit(call, kind, shown);
        if kind == "refund.failed" {
            self.emit(call, "refund.updated", shown);
        }
        self.emit(call, "charge.refund.updated", shown);
    }
}
