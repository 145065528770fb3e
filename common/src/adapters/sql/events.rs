//! Events and who hears of them: bodies frozen at the transition, and a delivery for each listener.

use super::{
    bulk::{Rows, Type::Int, Type::Text},
    db::Tx,
    load,
    script::Write,
    value::corrupt,
};
use crate::{
    domain::{
        delivery::DeliveryStatus,
        effects::Effects,
        event::EventType,
        id::{DeliveryId, Entropy, EventId},
        refund::RefundView,
        scope::Scope,
        time::Timestamp,
        view::{CheckoutView, EventView},
    },
    ports::store::StoreError,
};
use std::collections::HashMap;

/// Who hears of a scope's events.
pub(super) struct Listener {
    endpoint: String,
    url: String,
    events: Vec<String>,
}

impl Listener {
    fn hears(&self, event: EventType) -> bool {
        self.events.iter().any(|name| name == "*" || name == event.as_str())
    }
}

/// Who hears of what, by scope.
pub(super) type Listeners = HashMap<Scope, Vec<Listener>>;

/// An event with its body as it will be sent.
pub(super) struct Frozen<'e> {
    pub(super) id: &'e EventId,
    pub(super) scope: &'e Scope,
    /// The id of the checkout, or of whatever else it is about.
    pub(super) subject: &'e str,
    pub(super) kind: EventType,
    pub(super) version: i64,
    pub(super) body: String,
}

/// Events and deliveries on their way into the store.
pub(super) struct Outgoing {
    events: Rows,
    deliveries: Rows,
}

impl Default for Outgoing {
    fn default() -> Self {
        let events = Rows::new(&[
            ("id", Text),
            ("scope", Text),
            ("checkout", Text),
            ("kind", Text),
            ("version", Int),
            ("body", Text),
            ("created_at", Int),
        ]);
        let deliveries = Rows::new(&[
            ("id", Text),
            ("scope", Text),
            ("event", Text),
            ("event_kind", Text),
            ("checkout", Text),
            ("endpoint", Text),
            ("url", Text),
            ("status", Text),
            ("tries", Int),
            ("due_at", Int),
            ("rescues", Int),
            ("created_at", Int),
            ("updated_at", Int),
        ]);
        Self { events, deliveries }
    }
}

impl Outgoing {
    /// Adds an event, and a delivery to its subject's own address and to each listener that hears of it. Answers those.
    pub(super) fn tell(
        &mut self,
        event: Frozen<'_>,
        own: Option<&str>,
        listeners: &Listeners,
        now: Timestamp,
        entropy: &Entropy,
    ) -> Vec<DeliveryId> {
        let Frozen { id, scope, subject, kind, version, body } = event;
        self.events.push([
            id.as_str().into(),
            scope.as_str().into(),
            subject.into(),
            kind.as_str().into(),
            version.into(),
            body.into(),
            now.into(),
        ]);
        let registered = listeners.get(scope).map(Vec::as_slice).unwrap_or_default();
        let registered = registered.iter().filter(|listener| listener.hears(kind));
        let registered = registered.map(|listener| (listener.endpoint.as_str(), listener.url.as_str()));
        let mut opened = Vec::new();
        for (endpoint, url) in own.map(|url| ("", url)).into_iter().chain(registered) {
            let delivery = DeliveryId::generate(entropy, now);
            self.deliveries.push([
                delivery.as_str().into(),
                scope.as_str().into(),
                id.as_str().into(),
                kind.as_str().into(),
                subject.into(),
                endpoint.into(),
                url.into(),
                DeliveryStatus::Pending.as_str().into(),
                0i64.into(),
                now.into(),
                0i64.into(),
                now.into(),
                now.into(),
            ]);
            opened.push(delivery);
        }
        opened
    }

    pub(super) fn into_writes(self) -> [Write; 2] {
        [Write::insert("events", self.events), Write::insert("deliveries", self.deliveries)]
    }
}

/// The events of a batch, ready to be written.
pub(super) struct Events {
    pub(super) writes: [Write; 2],
    /// For each transition, the deliveries that it opens.
    pub(super) deliveries: Vec<Vec<DeliveryId>>,
}

/// Freezes each event's body and opens its deliveries.
pub(super) async fn events(tx: &mut Tx<'_>, batch: &[Effects], now: Timestamp, entropy: &Entropy) -> Result<Events, StoreError> {
    let telling = batch.iter().filter(|effects| !effects.events.is_empty());
    let listeners = listeners(tx, telling.map(|effects| &effects.checkout.scope)).await?;
    let mut out = Outgoing::default();
    let mut deliveries = Vec::with_capacity(batch.len());
    for effects @ Effects { checkout, events: kinds, .. } in batch {
        let mut opened = Vec::new();
        for &kind in kinds {
            let id = EventId::generate(entropy, now);
            let view = EventView {
                id: &id,
                kind: kind.as_str(),
                created_at: now,
                data: CheckoutView::new(checkout, None),
                refund: refund_of(effects, kind),
            };
            let body = serde_json::to_string(&view).map_err(corrupt)?;
            let (scope, subject, version) = (&checkout.scope, checkout.id.as_str(), checkout.version);
            let event = Frozen { id: &id, scope, subject, kind, version, body };
            opened.extend(out.tell(event, checkout.order.callback_url.as_deref(), &listeners, now, entropy));
        }
        deliveries.push(opened);
    }
    Ok(Events { writes: out.into_writes(), deliveries })
}

/// The refund that an event is about, where a client asked for it.
fn refund_of(effects: &Effects, kind: EventType) -> Option<RefundView<'_>> {
    let id = effects.refunds.last().filter(|_| matches!(kind, EventType::RefundSucceeded | EventType::RefundFailed))?;
    effects.checkout.refunds.iter().find(|refund| refund.id == *id).map(RefundView::from)
}

/// Who hears of what in these scopes.
pub(super) async fn listeners<'s>(tx: &mut Tx<'_>, scopes: impl Iterator<Item = &'s Scope>) -> Result<Listeners, StoreError> {
    let mut scopes: Vec<&str> = scopes.map(Scope::as_str).collect();
    scopes.sort_unstable();
    scopes.dedup();
    if scopes.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = "SELECT scope, id, url, events FROM webhook_endpoints WHERE enabled = 1 AND scope IN (SELECT id FROM {rows})";
    let mut listeners = Listeners::new();
    for row in tx.fetch(sql, Some(&Rows::ids(scopes)), &[]).await? {
        let events = serde_json::from_str(&row.text(3)?).map_err(corrupt)?;
        let listener = Listener { endpoint: row.text(1)?, url: row.text(2)?, events };
        listeners.entry(load::scope(&row.text(0)?)?).or_default().push(listener);
    }
    Ok(listeners)
}
