//! Events and who hears of them: bodies frozen at the transition, and a delivery for each listener.

use super::{
    bulk::{Rows, Type::Int, Type::Text},
    db::Tx,
    endpoints, load,
    script::Write,
    value::corrupt,
};
use crate::{
    domain::{
        checkout::Checkout,
        delivery::DeliveryStatus,
        effects::Effects,
        event::{EventFormat, EventType},
        id::{DeliveryId, Entropy, EventId, SpaceId},
        monime::SessionEvent,
        refund_view::RefundView,
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
    format: EventFormat,
    /// Only of what stands in it.
    space: Option<SpaceId>,
}

impl Listener {
    fn hears(&self, event: &Frozen<'_>) -> bool {
        let is_there = self.space.is_none() || self.space.as_ref() == event.space;
        self.format == event.format && is_there && self.events.iter().any(|name| name == "*" || name == event.kind.as_str())
    }
}

/// Whether anybody in this scope hears in a format that is not ours.
fn are_foreign(listeners: &Listeners, scope: &Scope, format: EventFormat) -> bool {
    listeners.get(scope).is_some_and(|all| all.iter().any(|listener| listener.format == format))
}

/// Who hears of what, by scope.
pub(super) type Listeners = HashMap<Scope, Vec<Listener>>;

/// An event with its body as it will be sent.
pub(super) struct Frozen<'e> {
    pub(super) id: &'e EventId,
    pub(super) scope: &'e Scope,
    /// The id of the checkout, or of whatever else it is about.
    pub(super) subject: &'e str,
    /// Where it stands, if apart.
    pub(super) space: Option<&'e SpaceId>,
    pub(super) kind: EventType,
    /// How it is written.
    pub(super) format: EventFormat,
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
        let registered = listeners.get(event.scope).map(Vec::as_slice).unwrap_or_default();
        let registered: Vec<&Listener> = registered.iter().filter(|listener| listener.hears(&event)).collect();
        let Frozen { id, scope, subject, kind, format, version, body, .. } = event;
        let Some(name) = format.name_of(kind) else { return Vec::new() };
        self.events.push([id.as_str().into(), scope.as_str().into(), subject.into(), name.into(), version.into(), body.into(), now.into()]);
        let registered = registered.into_iter().map(|listener| (listener.endpoint.as_str(), listener.url.as_str()));
        let mut opened = Vec::new();
        for (endpoint, url) in own.map(|url| ("", url)).into_iter().chain(registered) {
            let delivery = DeliveryId::generate(entropy, now);
            self.deliveries.push([
                delivery.as_str().into(),
                scope.as_str().into(),
                id.as_str().into(),
                name.into(),
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

    /// The same, unless nobody hears of it.
    fn tell_if_heard(&mut self, event: Frozen<'_>, listeners: &Listeners, now: Timestamp, entropy: &Entropy) -> Vec<DeliveryId> {
        let is_heard = listeners.get(event.scope).is_some_and(|all| all.iter().any(|listener| listener.hears(&event)));
        if is_heard { self.tell(event, None, listeners, now, entropy) } else { Vec::new() }
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
            let event = frozen(&id, checkout, kind, EventFormat::Standard, body);
            opened.extend(out.tell(event, checkout.order.callback_url.as_deref(), &listeners, now, entropy));
            // In the words of somebody else's API only where somebody hears of it, and of what that API knows.
            let is_theirs = are_foreign(&listeners, &checkout.scope, EventFormat::Monime) && checkout.order.hosted().is_some();
            if let Some(name) = EventFormat::Monime.name_of(kind).filter(|_| is_theirs) {
                let id = EventId::generate(entropy, now);
                let body = serde_json::to_string(&SessionEvent::new(&id, name, now, checkout)).map_err(corrupt)?;
                opened.extend(out.tell_if_heard(frozen(&id, checkout, kind, EventFormat::Monime, body), &listeners, now, entropy));
            }
        }
        deliveries.push(opened);
    }
    Ok(Events { writes: out.into_writes(), deliveries })
}

fn frozen<'e>(id: &'e EventId, checkout: &'e Checkout, kind: EventType, format: EventFormat, body: String) -> Frozen<'e> {
    let (subject, space) = (checkout.id.as_str(), checkout.order.space.as_ref());
    Frozen { id, scope: &checkout.scope, subject, space, kind, format, version: checkout.version, body }
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
    let sql = "SELECT scope, id, url, events, format, space FROM webhook_endpoints WHERE enabled = 1 AND scope IN (SELECT id FROM {rows})";
    let mut listeners = Listeners::new();
    for row in tx.fetch(sql, Some(&Rows::ids(scopes)), &[]).await? {
        let events = serde_json::from_str(&row.text(3)?).map_err(corrupt)?;
        let space = row.maybe_text(5)?.map(SpaceId::parse).transpose().map_err(corrupt)?;
        let listener = Listener { endpoint: row.text(1)?, url: row.text(2)?, events, format: endpoints::format(&row.text(4)?)?, space };
        listeners.entry(load::scope(&row.text(0)?)?).or_default().push(listener);
    }
    Ok(listeners)
}
