//! What the stand-in has in its books, for assertions.

use super::{
    account::Account,
    events::StripeEvent,
    lock,
    log::{Log, SeenRequest},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::watch;

/// Money that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// `pi_…`.
    pub intent: String,
    /// `ch_…`.
    pub charge: String,
    /// In minor units, as captured.
    pub amount: i64,
    /// What went back of it, failed refunds not counted.
    pub refunded: i64,
    /// Lower case.
    pub currency: String,
    /// The payment's metadata.
    pub metadata: BTreeMap<String, String>,
}

/// A payment as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookedIntent {
    /// `pi_…`.
    pub id: String,
    /// `status`.
    pub status: &'static str,
    /// In minor units.
    pub amount: i64,
    /// Lower case.
    pub currency: String,
    /// Its metadata.
    pub metadata: BTreeMap<String, String>,
}

/// A refund as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookedRefund {
    /// `re_…`.
    pub id: String,
    /// `ch_…`.
    pub charge: String,
    /// `pi_…`.
    pub intent: String,
    /// In minor units.
    pub amount: i64,
    /// `pending`, `succeeded` or `failed`.
    pub status: &'static str,
    /// Its metadata.
    pub metadata: BTreeMap<String, String>,
}

/// A look into the books. Each call answers how things stand at that moment.
#[derive(Debug, Clone)]
pub struct Book {
    pub(super) account: Arc<Mutex<Account>>,
    pub(super) log: Arc<Mutex<Log>>,
    pub(super) changes: watch::Receiver<u64>,
}

impl Book {
    /// Waits until `find` returns something; it looks after every request and every change. `None`: it did not in time.
    pub async fn wait_for<T>(&self, patience: Duration, find: impl Fn(&Self) -> Option<T>) -> Option<T> {
        let mut changes = self.changes.clone();
        let look = async {
            loop {
                changes.borrow_and_update();
                if let Some(found) = find(self) {
                    return Some(found);
                }
                changes.changed().await.ok()?;
            }
        };
        tokio::time::timeout(patience, look).await.ok().flatten()
    }

    /// Every charge that was paid and captured, oldest first.
    pub fn captures(&self) -> Vec<Capture> {
        let account = lock(&self.account);
        let captured = account.charges.values().filter(|charge| charge.paid && charge.captured);
        let capture = |charge: &super::charges::Charge| Capture {
            intent: charge.intent.clone(),
            charge: charge.id.clone(),
            amount: charge.amount_captured,
            refunded: charge.amount_refunded - (charge.amount - charge.amount_captured),
            currency: charge.currency.clone(),
            metadata: account.intents.get(&charge.intent).map_or_else(BTreeMap::new, |intent| intent.metadata.clone()),
        };
        captured.map(capture).collect()
    }

    /// The captures of payments that carry this metadata.
    pub fn captures_with(&self, name: &str, value: &str) -> Vec<Capture> {
        self.captures().into_iter().filter(|capture| capture.metadata.get(name).is_some_and(|text| text == value)).collect()
    }

    /// The captures by the value of one metadata key; those without it under an empty text.
    pub fn captures_by(&self, name: &str) -> BTreeMap<String, Vec<Capture>> {
        let mut by = BTreeMap::<String, Vec<Capture>>::new();
        for capture in self.captures() {
            by.entry(capture.metadata.get(name).cloned().unwrap_or_default()).or_default().push(capture);
        }
        by
    }

    /// Every payment, oldest first.
    pub fn intents(&self) -> Vec<BookedIntent> {
        let account = lock(&self.account);
        let booked = account.intents.values().map(|intent| BookedIntent {
            id: intent.id.clone(),
            status: intent.status.as_str(),
            amount: intent.amount,
            currency: intent.currency.clone(),
            metadata: intent.metadata.clone(),
        });
        booked.collect()
    }

    /// Every refund, oldest first.
    pub fn refunds(&self) -> Vec<BookedRefund> {
        let account = lock(&self.account);
        let booked = account.refunds.values().map(|refund| BookedRefund {
            id: refund.id.clone(),
            charge: refund.charge.clone(),
            intent: refund.intent.clone(),
            amount: refund.amount,
            status: refund.status.as_str(),
            metadata: refund.metadata.clone(),
        });
        booked.collect()
    }

    /// Every event, oldest first.
    pub fn events(&self) -> Vec<Arc<StripeEvent>> {
        lock(&self.account).events.all().cloned().collect()
    }

    /// The events of one kind, oldest first.
    pub fn events_of(&self, kind: &str) -> Vec<Arc<StripeEvent>> {
        lock(&self.account).events.all().filter(|event| event.kind == kind).cloned().collect()
    }

    /// Any object by its id, as retrieving it shows it.
    pub fn object(&self, id: &str) -> Option<Value> {
        lock(&self.account).show(id)
    }

    /// Every request to the API, oldest first.
    pub fn requests(&self) -> Vec<SeenRequest> {
        lock(&self.log).requests().cloned().collect()
    }

    /// The requests with this method and a path that begins so, oldest first.
    pub fn requests_to(&self, method: &str, path: &str) -> Vec<SeenRequest> {
        lock(&self.log).requests().filter(|seen| seen.method == method && seen.path.starts_with(path)).cloned().collect()
    }

    /// How many requests there were, those that are forgotten counted.
    pub fn request_count(&self) -> u64 {
        lock(&self.log).count()
    }
}
