//! Event objects: what happened to which object. <https://docs.stripe.com/api/events/object>.

use super::{account::Call, charges::Charge, intents::Intent};
use serde::Serialize;
use serde_json::{Value, value::RawValue};
use std::{
    collections::VecDeque,
    sync::{Arc, OnceLock, atomic::AtomicBool},
};

/// The version of the API that the stand-in speaks.
pub const API_VERSION: &str = "2026-09-30.endive";

/// The object that an event tells of, as it was then. Those of every sale are kept as they are, and written out when somebody reads them.
#[derive(Debug, Clone)]
pub(super) enum Snapshot {
    Intent(Box<Intent>),
    Charge(Box<Charge>),
    /// Written out.
    Shown {
        id: String,
        json: String,
    },
}

impl Snapshot {
    pub(super) fn shown(object: &Value) -> Self {
        let id = object.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        Self::Shown { id, json: object.to_string() }
    }

    fn id(&self) -> &str {
        match self {
            Self::Intent(intent) => &intent.id,
            Self::Charge(charge) => &charge.id,
            Self::Shown { id, .. } => id,
        }
    }

    fn json(&self) -> String {
        match self {
            Self::Intent(intent) => intent.show().to_string(),
            Self::Charge(charge) => charge.show().to_string(),
            Self::Shown { json, .. } => json.clone(),
        }
    }
}

/// An event as it was made. It never changes.
#[derive(Debug)]
pub struct StripeEvent {
    /// `evt_…`.
    pub id: String,
    /// Such as `payment_intent.succeeded`.
    pub kind: String,
    /// The object's id.
    pub object: String,
    pub(super) created: i64,
    request: Option<String>,
    key: Option<String>,
    endpoints: usize,
    snapshot: Snapshot,
    body: OnceLock<String>,
}

impl StripeEvent {
    /// The event object as JSON, as every delivery carries it.
    pub fn body(&self) -> &str {
        self.body.get_or_init(|| self.render())
    }

    /// The event object.
    pub fn json(&self) -> Value {
        serde_json::from_str(self.body()).unwrap_or_default()
    }

    fn render(&self) -> String {
        // Both are JSON already, so neither fails.
        let object = RawValue::from_string(self.snapshot.json()).unwrap_or_else(|_| RawValue::NULL.to_owned());
        let envelope = Envelope {
            id: &self.id,
            object: "event",
            api_version: API_VERSION,
            created: self.created,
            data: Data { object: &object },
            livemode: false,
            pending_webhooks: self.endpoints,
            request: Request { id: self.request.as_deref(), idempotency_key: self.key.as_deref() },
            r#type: &self.kind,
        };
        serde_json::to_string(&envelope).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    id: &'a str,
    object: &'static str,
    api_version: &'static str,
    created: i64,
    data: Data<'a>,
    livemode: bool,
    pending_webhooks: usize,
    request: Request<'a>,
    r#type: &'a str,
}

#[derive(Serialize)]
struct Data<'a> {
    object: &'a RawValue,
}

#[derive(Serialize)]
struct Request<'a> {
    id: Option<&'a str>,
    idempotency_key: Option<&'a str>,
}

/// All events, and those that are not sent yet.
#[derive(Debug)]
pub(super) struct Events {
    made: VecDeque<Arc<StripeEvent>>,
    unsent: VecDeque<Arc<StripeEvent>>,
    most: usize,
    /// How many endpoints are told.
    pub(super) endpoints: usize,
    /// Set when there is something to send: the lock's holder wakes the sender.
    pub(super) stirred: AtomicBool,
}

impl Events {
    pub(super) fn new(most: usize) -> Self {
        Self { made: VecDeque::new(), unsent: VecDeque::new(), most: most.max(1), endpoints: 0, stirred: AtomicBool::new(false) }
    }

    pub(super) fn add(&mut self, id: String, kind: &str, snapshot: Snapshot, now: i64, call: &Call) {
        let event = Arc::new(StripeEvent {
            id,
            kind: kind.to_owned(),
            object: snapshot.id().to_owned(),
            created: now,
            request: Some(call.request.clone()).filter(|request| !request.is_empty()),
            key: call.key.clone(),
            endpoints: self.endpoints,
            snapshot,
            body: OnceLock::new(),
        });
        if self.endpoints > 0 {
            bounded(&mut self.unsent, Arc::clone(&event), self.most);
            *self.stirred.get_mut() = true;
        }
        bounded(&mut self.made, event, self.most);
    }

    pub(super) fn find(&self, id: &str) -> Option<Arc<StripeEvent>> {
        // Ids sort as they were made.
        let at = self.made.binary_search_by(|event| event.id.as_str().cmp(id)).ok()?;
        self.made.get(at).cloned()
    }

    pub(super) fn get(&self, id: &str) -> Option<Value> {
        self.find(id).map(|event| event.json())
    }

    /// Oldest first.
    pub(super) fn all(&self) -> impl DoubleEndedIterator<Item = &Arc<StripeEvent>> {
        self.made.iter()
    }

    pub(super) fn unsent(&self) -> impl Iterator<Item = &Arc<StripeEvent>> {
        self.unsent.iter()
    }

    pub(super) fn take_unsent(&mut self) -> Vec<Arc<StripeEvent>> {
        self.unsent.drain(..).collect()
    }

    /// Takes one out of those that are not sent yet.
    pub(super) fn take_one(&mut self, id: &str) {
        self.unsent.retain(|event| event.id != id);
    }
}

fn bounded<T>(queue: &mut VecDeque<T>, item: T, most: usize) {
    if queue.len() >= most {
        queue.pop_front();
    }
    queue.push_back(item);
}
