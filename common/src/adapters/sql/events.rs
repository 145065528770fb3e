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
struct Listener {
    endpoint: String,
    url: String,
    events: Vec<String>,
}

impl Listener {
    fn hears(&self, event: EventType) -> bool {
        self.events.iter().any(|name| name == "*" || name == event.as_str())
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
    let mut events = Rows::new(&[
        ("id", Text),
        ("scope", Text),
        ("checkout", Text),
        ("kind", Text),
        ("version", Int),
        ("body", Text),
        ("created_at", Int),
    ]);
    let mut deliveries = Rows::new(&[
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
    let listeners = listeners(tx, batch).await?;
    let mut opened = Vec::with_capacity(batch.len());
    for effects @ Effects { checkout, events: kinds, .. } in batch {
        let mut ids = Vec::new();
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
            events.push([
                id.as_str().into(),
                checkout.scope.as_str().into(),
                checkout.id.as_str().into(),
                kind.as_str().into(),
                checkout.version.into(),
                body.into(),
                now.into(),
            ]);
            let own = checkout.order.callback_url.iter().map(|url| ("", url.as_str()));
            let registered = listeners.get(&checkout.scope).map(Vec::as_slice).unwrap_or_default();
            let registered = registered.iter().filter(|listener| listener.hears(kind));
            for (endpoint, url) in own.chain(registered.map(|listener| (listener.endpoint.as_str(), listener.url.as_str()))) {
                let delivery = DeliveryId::generate(entropy, now);
                deliveries.push([
                    delivery.as_str().into(),
                    checkout.scope.as_str().into(),
                    id.as_str().into(),
                    kind.as_str().into(),
                    checkout.id.as_str().into(),
                    endpoint.into(),
                    url.into(),
                    DeliveryStatus::Pending.as_str().into(),
                    0i64.into(),
                    now.into(),
                    0i64.into(),
                    now.into(),
                    now.into(),
                ]);
                ids.push(delivery);
            }
        }
        opened.push(ids);
    }
    Ok(Events { writes: [Write::insert("events", events), Write::insert("deliveries", deliveries)], deliveries: opened })
}

/// The refund that an event is about, where a client asked for it.
fn refund_of(effects: &Effects, kind: EventType) -> Option<RefundView<'_>> {
    let id = effects.refunds.last().filter(|_| matches!(kind, EventType::RefundSucceeded | EventType::RefundFailed))?;
    effects.checkout.refunds.iter().find(|refund| refund.id == *id).map(RefundView::from)
}

async fn listeners(tx: &mut Tx<'_>, batch: &[Effects]) -> Result<HashMap<Scope, Vec<Listener>>, StoreError> {
    let mut scopes: Vec<&str> =
        batch.iter().filter(|effects| !effects.events.is_empty()).map(|effects| effects.checkout.scope.as_str()).collect();
    scopes.sort_unstable();
    scopes.dedup();
    if scopes.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = "SELECT scope, id, url, events FROM webhook_endpoints WHERE enabled = 1 AND scope IN (SELECT id FROM {rows})";
    let mut listeners: HashMap<Scope, Vec<Listener>> = HashMap::new();
    for row in tx.fetch(sql, Some(&Rows::ids(scopes)), &[]).await? {
        let events = serde_json::from_str(&row.text(3)?).map_err(corrupt)?;
        let listener = Listener { endpoint: row.text(1)?, url: row.text(2)?, events };
        listeners.entry(load::scope(&row.text(0)?)?).or_default().push(listener);
    }
    Ok(listeners)
}
