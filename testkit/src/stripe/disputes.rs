//! Disputes: <https://docs.stripe.com/api/disputes>, <https://docs.stripe.com/disputes/how-disputes-work>.

use super::{
    account::{Account, Call},
    charges::Charge,
    refusal::Refusal,
    transactions::{Source, Transaction},
};
use serde_json::{Map, Value, json};

/// `status` of a dispute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DisputeStatus {
    NeedsResponse,
    UnderReview,
    Won,
    Lost,
}

impl DisputeStatus {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::NeedsResponse => "needs_response",
            Self::UnderReview => "under_review",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }
}

/// A cardholder who wants the money back through the bank.
#[derive(Debug, Clone)]
pub(super) struct Dispute {
    pub(super) id: String,
    pub(super) charge: String,
    pub(super) intent: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) status: DisputeStatus,
    reason: String,
    network: String,
    transactions: Vec<String>,
    submissions: u32,
    pub(super) created: i64,
}

const EVIDENCE: [&str; 27] = [
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
];

impl Dispute {
    /// Once the money is with the bank, no refund is possible unless the dispute is won.
    pub(super) fn is_refundable(&self) -> bool {
        self.status == DisputeStatus::Won
    }

    fn is_open(&self) -> bool {
        matches!(self.status, DisputeStatus::NeedsResponse | DisputeStatus::UnderReview)
    }
}

impl Account {
    pub(super) fn show_dispute(&self, dispute: &Dispute) -> Value {
        let transactions: Vec<Value> =
            dispute.transactions.iter().filter_map(|id| self.transactions.get(id)).map(Transaction::show).collect();
        let mut evidence: Map<String, Value> = EVIDENCE.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
        evidence.insert("enhanced_evidence".to_owned(), json!({}));
        json!({
            "id": dispute.id,
            "object": "dispute",
            "amount": dispute.amount,
            "balance_transactions": transactions,
            "charge": dispute.charge,
            "created": dispute.created,
            "currency": dispute.currency,
            "enhanced_eligibility_types": [],
            "evidence": evidence,
            "evidence_details": {
                "due_by": dispute.created + 9 * 86_400,
                "enhanced_eligibility": {},
                "has_evidence": dispute.submissions > 0,
                "past_due": false,
                "submission_count": dispute.submissions,
            },
            "is_charge_refundable": dispute.is_refundable(),
            "livemode": false,
            "metadata": {},
            "payment_intent": dispute.intent,
            "payment_method_details": {
                "card": { "brand": dispute.network, "case_type": "chargeback", "network": dispute.network, "network_reason_code": "10.4" },
                "type": "card",
            },
            "reason": dispute.reason,
            "status": dispute.status.as_str(),
        })
    }

    pub(super) fn retrieve_dispute(&self, id: &str) -> Result<Value, Refusal> {
        self.disputes.get(id).map(|dispute| self.show_dispute(dispute)).ok_or_else(|| Refusal::no_such("dispute", id, "id"))
    }

    /// The cardholder disputes a charge: its money goes at once.
    pub(super) fn open_dispute(&mut self, call: &Call, charge: &str, reason: &str) -> Result<String, Refusal> {
        let found = self.charges.get(charge).filter(|charge| charge.paid && charge.captured && !charge.disputed);
        let charge = found.ok_or_else(|| Refusal::no_such("charge", charge, "charge"))?;
        let network = self.methods.get(&charge.method).map_or("visa", |method| method.card.brand).to_owned();
        let mut dispute = Dispute {
            id: String::new(),
            charge: charge.id.clone(),
            intent: charge.intent.clone(),
            amount: charge.refundable(),
            currency: charge.currency.clone(),
            status: DisputeStatus::NeedsResponse,
            reason: reason.to_owned(),
            network,
            transactions: Vec::new(),
            submissions: 0,
            created: self.now(),
        };
        let id = self.ids.next("dp");
        dispute.id = id.clone();
        let transaction = self.book(Source::Dispute, &id, -dispute.amount, &dispute.currency, None);
        dispute.transactions.push(transaction);
        if let Some(charge) = self.charges.get_mut(&dispute.charge) {
            charge.disputed = true;
        }
        let shown_charge = self.charges.get(&dispute.charge).map(Charge::show).unwrap_or_default();
        self.disputes.insert(id.clone(), dispute);
        let shown = self.retrieve_dispute(&id)?;
        self.emit(call, "charge.dispute.created", &shown);
        self.emit(call, "charge.dispute.funds_withdrawn", &shown);
        self.emit(call, "charge.updated", &shown_charge);
        Ok(id)
    }

    /// `POST /v1/disputes/{id}`: evidence. `winning_evidence` and `losing_evidence` decide it, as in test mode.
    pub(super) fn update_dispute(&mut self, id: &str, call: &Call) -> Result<Value, Refusal> {
        call.params.only(&["evidence", "metadata", "submit"])?;
        let dispute = self.disputes.get_mut(id).ok_or_else(|| Refusal::no_such("dispute", id, "id"))?;
        if !dispute.is_open() {
            return Err(Refusal::invalid("This dispute is already closed").executed());
        }
        (dispute.status, dispute.submissions) = (DisputeStatus::UnderReview, dispute.submissions + 1);
        let shown = self.retrieve_dispute(id)?;
        self.emit(call, "charge.dispute.updated", &shown);
        match call.params.at(&["evidence", "uncategorized_text"]) {
            Some("winning_evidence") => self.decide_dispute(call, id, true),
            Some("losing_evidence") => self.decide_dispute(call, id, false),
            _ => Ok(shown),
        }
    }

    /// `POST /v1/disputes/{id}/close`: the merchant gives in.
    pub(super) fn accept_dispute(&mut self, id: &str, call: &Call) -> Result<Value, Refusal> {
        call.params.only(&[])?;
        self.decide_dispute(call, id, false)
    }

    /// The bank decides. Won: money and fee come back.
    pub(super) fn decide_dispute(&mut self, call: &Call, id: &str, won: bool) -> Result<Value, Refusal> {
        let dispute = self.disputes.get(id).ok_or_else(|| Refusal::no_such("dispute", id, "id"))?;
        if !dispute.is_open() {
            return Err(Refusal::invalid("This dispute is already closed").executed());
        }
        let (amount, currency) = (dispute.amount, dispute.currency.clone());
        let transaction = won.then(|| self.book(Source::DisputeReversal, id, amount, &currency, None));
        if let Some(dispute) = self.disputes.get_mut(id) {
            dispute.status = if won { DisputeStatus::Won } else { DisputeStatus::Lost };
            dispute.transactions.extend(transaction);
        }
        let shown = self.retrieve_dispute(id)?;
        self.emit(call, "charge.dispute.closed", &shown);
        if won {
            self.emit(call, "charge.dispute.funds_reinstated", &shown);
        }
        Ok(shown)
    }
}
