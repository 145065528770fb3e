//! What the ledger says of a sale.

use super::client::Client;
use serde_json::Value;

/// One side of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Why there is a transaction: `sale`, `refund`, ….
    pub kind: String,
    pub currency: String,
    /// What this side of it is: `payment`, the type of the line, ….
    pub is: String,
    pub account: String,
    /// Minor units; debit positive, credit negative.
    pub amount: i64,
}

/// Every side of the transactions of a list, in its order.
pub fn entries(list: &Value) -> Vec<Entry> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of = |transaction: &Value| {
        let (kind, currency) = (text(&transaction["kind"]), text(&transaction["currency"]));
        let entry = |entry: &Value| Entry {
            kind: kind.clone(),
            currency: currency.clone(),
            is: text(&entry["type"]),
            account: text(&entry["account"]),
            amount: entry["amount"].as_i64().unwrap(),
        };
        transaction["entries"].as_array().unwrap().iter().map(entry).collect::<Vec<_>>()
    };
    list["data"].as_array().unwrap().iter().flat_map(of).collect()
}

impl Client {
    /// What is booked of a checkout, the newest transaction first.
    pub async fn booked(&self, id: &str) -> Vec<Entry> {
        entries(&self.get(&format!("/v1/ledger/transactions?checkout={id}")).await.expect(200))
    }

    /// What is booked of a checkout on one account, the newest first. Minor units.
    pub async fn booked_on(&self, id: &str, account: &str) -> Vec<i64> {
        self.booked(id).await.into_iter().filter(|entry| entry.account == account).map(|entry| entry.amount).collect()
    }

    /// Holds two sales against each other: the books say the same of both.
    pub async fn books_agree(&self, one: &Value, other: &Value) {
        let [one, other] = [one, other].map(|id| id.as_str().unwrap());
        let booked = self.booked(one).await;
        assert!(!booked.is_empty(), "nothing is booked of {one}");
        assert_eq!(booked, self.booked(other).await);
    }
}
