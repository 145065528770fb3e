//! The balance: one transaction for every movement, with its fee. <https://docs.stripe.com/api/balance_transactions>.

use super::{account::Account, money};
use serde_json::{Value, json};

/// What moved the balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Charge,
    Refund,
    /// A refund came back.
    RefundFailure,
    /// A dispute took the money.
    Dispute,
    /// A dispute was won.
    DisputeReversal,
}

impl Source {
    fn kind(self) -> (&'static str, &'static str) {
        match self {
            Self::Charge => ("charge", "charge"),
            Self::Refund => ("refund", "refund"),
            Self::RefundFailure => ("refund_failure", "refund_failure"),
            Self::Dispute => ("adjustment", "dispute"),
            Self::DisputeReversal => ("adjustment", "dispute_reversal"),
        }
    }

    fn fee(self, amount: i64, currency: &str) -> (i64, &'static str) {
        match self {
            Self::Charge => (money::fee(amount, currency), "Stripe processing fees"),
            Self::Dispute => (money::dispute_fee(currency), "Dispute fee"),
            Self::DisputeReversal => (-money::dispute_fee(currency), "Dispute fee refund"),
            Self::Refund | Self::RefundFailure => (0, ""),
        }
    }
}

/// One movement of the balance.
#[derive(Debug, Clone)]
pub(super) struct Transaction {
    pub(super) id: String,
    kind: Source,
    pub(super) source: String,
    /// Signed: out is negative.
    pub(super) amount: i64,
    pub(super) fee: i64,
    fee_description: &'static str,
    pub(super) currency: String,
    description: Option<String>,
    pub(super) created: i64,
}

impl Transaction {
    pub(super) fn net(&self) -> i64 {
        self.amount - self.fee
    }

    pub(super) fn kind(&self) -> &'static str {
        self.kind.kind().0
    }

    pub(super) fn show(&self) -> Value {
        let fees = if self.fee == 0 {
            json!([])
        } else {
            json!([{
                "amount": self.fee, "application": null, "currency": self.currency, "description": self.fee_description, "type": "stripe_fee",
            }])
        };
        let (kind, category) = self.kind.kind();
        json!({
            "id": self.id,
            "object": "balance_transaction",
            "amount": self.amount,
            "available_on": self.created + 2 * 86_400,
            "balance_type": "payments",
            "created": self.created,
            "currency": self.currency,
            "description": self.description,
            "exchange_rate": null,
            "fee": self.fee,
            "fee_details": fees,
            "net": self.net(),
            "reporting_category": category,
            "source": self.source,
            "status": "pending",
            "type": kind,
        })
    }
}

impl Account {
    /// Moves the balance and answers the transaction's id.
    pub(super) fn book(&mut self, kind: Source, source: &str, amount: i64, currency: &str, description: Option<String>) -> String {
        let id = self.ids.next("txn");
        let (fee, fee_description) = kind.fee(amount, currency);
        let transaction = Transaction {
            id: id.clone(),
            kind,
            source: source.to_owned(),
            amount,
            fee,
            fee_description,
            currency: currency.to_owned(),
            description,
            created: self.now(),
        };
        self.transactions.insert(id.clone(), transaction);
        id
    }

    /// `GET /v1/balance`: everything is pending, as no payout is made.
    pub(super) fn show_balance(&self) -> Value {
        let mut sums = std::collections::BTreeMap::<&str, i64>::new();
        for transaction in self.transactions.values() {
            *sums.entry(&transaction.currency).or_default() += transaction.net();
        }
        let entry =
            |(currency, amount): (&&str, &i64)| json!({ "amount": amount, "currency": currency, "source_types": { "card": amount } });
        let pending: Vec<Value> = sums.iter().map(entry).collect();
        let available: Vec<Value> = sums.keys().map(|currency| entry((currency, &0))).collect();
        json!({ "object": "balance", "available": available, "connect_reserved": [], "livemode": false, "pending": pending })
    }

    /// `GET /v1/account`.
    pub(super) fn show_account(&self) -> Value {
        json!({
            "id": self.id,
            "object": "account",
            "business_profile": { "name": "Stand-in", "support_email": null, "url": null },
            "business_type": "company",
            "capabilities": { "card_payments": "active", "transfers": "active" },
            "charges_enabled": true,
            "controller": { "type": "account" },
            "country": "US",
            "created": 1_700_000_000,
            "default_currency": "usd",
            "details_submitted": true,
            "email": "stand-in@example.com",
            "metadata": {},
            "payouts_enabled": true,
            "settings": {
                "branding": { "icon": null, "logo": null, "primary_color": null, "secondary_color": null },
                "card_payments": { "statement_descriptor_prefix": null },
                "dashboard": { "display_name": "Stand-in", "timezone": "Etc/UTC" },
                "payments": { "statement_descriptor": "STAND-IN" },
            },
            "type": "standard",
        })
    }
}
