//! Writes what the domain decided: one set of multi-row statements for a whole batch of transitions, whatever they are.

use super::{
    bulk::{Rows, Type::Int, Type::Text},
    db::Tx,
    stock,
    value::{Value, corrupt},
};
use crate::{
    domain::{
        claim::{ClaimState, StockKey, StockLevel},
        effects::{ClaimChange, Effects},
        event::EventType,
        id::{DeliveryId, Entropy, EventId},
        scope::Scope,
        time::Timestamp,
        view::{CheckoutView, EventView},
    },
    ports::store::{Moved, StoreError},
};
use std::collections::{BTreeMap, HashMap};

/// Writes all of it, and says for each what others need to know. The caller holds the locks on the checkouts, and on the
/// stock of what is inserted.
pub(super) async fn apply(tx: &mut Tx, batch: &[Effects], now: Timestamp, entropy: &Entropy) -> Result<Vec<Moved>, StoreError> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(broken) = batch.iter().flat_map(|effects| &effects.ledger).find(|transaction| !transaction.is_balanced()) {
        return Err(StoreError::Inconsistent(format!("an unbalanced ledger transaction for {}", broken.checkout)));
    }
    write_checkouts(tx, batch).await?;
    write_attempts(tx, batch).await?;
    let levels = write_claims(tx, batch).await?;
    write_ledger(tx, batch).await?;
    let deliveries = write_events(tx, batch, now, entropy).await?;
    write_timeline(tx, batch).await?;
    Ok(batch.iter().zip(deliveries).map(|(effects, deliveries)| moved(effects, deliveries, &levels, now)).collect())
}

fn moved(effects: &Effects, deliveries: Vec<DeliveryId>, levels: &BTreeMap<StockKey, StockLevel>, now: Timestamp) -> Moved {
    let checkout = &effects.checkout;
    let moves_stock = matches!(effects.claims, ClaimChange::Insert(_) | ClaimChange::Release);
    let wants = if moves_stock { checkout.order.contested() } else { Vec::new() };
    let key = |want: crate::domain::claim::Want| StockKey { scope: checkout.scope.clone(), kind: want.kind, id: want.id };
    Moved {
        checkout: checkout.id.clone(),
        scope: checkout.scope.clone(),
        status: checkout.status,
        version: checkout.version,
        due_in: checkout.due_at.map(|due| due.since(now)),
        deliveries,
        stock: wants.into_iter().filter_map(|want| levels.get(&key(want)).cloned()).collect(),
    }
}

async fn write_checkouts(tx: &mut Tx, batch: &[Effects]) -> Result<(), StoreError> {
    let mut rows = Rows::new(&[
        ("id", Text),
        ("from_version", Int),
        ("version", Int),
        ("status", Text),
        ("amount_paid", Int),
        ("amount_refunded", Int),
        ("error", Text),
        ("payment_url", Text),
        ("closing", Text),
        ("due_at", Int),
        ("updated_at", Int),
        ("completed_at", Int),
    ]);
    for Effects { checkout, from_version, .. } in batch {
        let error = checkout.error.as_ref().map(serde_json::to_string).transpose().map_err(corrupt)?;
        rows.push([
            checkout.id.as_str().into(),
            (*from_version).into(),
            checkout.version.into(),
            checkout.status.as_str().into(),
            checkout.amount_paid.into(),
            checkout.amount_refunded.into(),
            error.into(),
            checkout.payment_url.clone().into(),
            checkout.closing.map(|closing| closing.as_str()).into(),
            checkout.due_at.into(),
            checkout.updated_at.into(),
            checkout.completed_at.into(),
        ]);
    }
    let sql = "UPDATE checkouts SET version = r.version, status = r.status, amount_paid = r.amount_paid, amount_refunded = r.amount_refunded, \
               error = r.error, payment_url = r.payment_url, closing = r.closing, due_at = r.due_at, rescues = 0, \
               updated_at = r.updated_at, completed_at = r.completed_at \
               FROM {rows} WHERE checkouts.id = r.id AND checkouts.version = r.from_version";
    let written = tx.execute(sql, Some(&rows), &[]).await?;
    if written == batch.len() as u64 {
        Ok(())
    } else {
        // The rows are locked: only our own bug gets here.
        Err(StoreError::Inconsistent(format!("{written} of {} checkouts were at the version decided on", batch.len())))
    }
}

async fn write_attempts(tx: &mut Tx, batch: &[Effects]) -> Result<(), StoreError> {
    let mut rows = Rows::new(&[
        ("checkout", Text),
        ("n", Int),
        ("id", Text),
        ("kind", Text),
        ("provider", Text),
        ("amount", Int),
        ("request", Text),
        ("status", Text),
        ("provider_reference", Text),
        ("decline_code", Text),
        ("action_url", Text),
        ("lease_token", Text),
        ("lease_until", Int),
        ("takeovers", Int),
        ("tries", Int),
        ("created_at", Int),
    ]);
    for Effects { checkout, attempts, .. } in batch {
        for attempt in checkout.attempts.iter().filter(|attempt| attempts.contains(&attempt.n)) {
            rows.push([
                checkout.id.as_str().into(),
                attempt.n.into(),
                attempt.id.as_str().into(),
                attempt.request.kind.as_str().into(),
                attempt.provider.clone().into(),
                attempt.request.amount.into(),
                serde_json::to_string(&attempt.request).map_err(corrupt)?.into(),
                attempt.status.as_str().into(),
                attempt.provider_reference.clone().into(),
                attempt.decline_code.clone().into(),
                attempt.action_url.clone().into(),
                attempt.lease_token.clone().into(),
                attempt.lease_until.into(),
                attempt.takeovers.into(),
                attempt.tries.into(),
                attempt.created_at.into(),
            ]);
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    // The request is frozen: only what is learnt about an attempt is ever written over.
    let sql = "INSERT INTO attempts ({names}) SELECT {names} FROM {rows} WHERE true ON CONFLICT (checkout, n) DO UPDATE SET \
               status = excluded.status, provider_reference = excluded.provider_reference, decline_code = excluded.decline_code, \
               action_url = excluded.action_url, lease_token = excluded.lease_token, lease_until = excluded.lease_until, \
               takeovers = excluded.takeovers, tries = excluded.tries";
    tx.execute(sql, Some(&rows), &[]).await.map(|_| ())
}

/// Inserts, sells and releases claims; counters move with what really changed, and with nothing else.
async fn write_claims(tx: &mut Tx, batch: &[Effects]) -> Result<BTreeMap<StockKey, StockLevel>, StoreError> {
    let mut inserts = Rows::new(&[
        ("checkout", Text),
        ("n", Int),
        ("scope", Text),
        ("kind", Text),
        ("resource", Text),
        ("seat", Text),
        ("quantity", Int),
        ("customer", Text),
        ("state", Text),
    ]);
    let mut deltas: BTreeMap<StockKey, i64> = BTreeMap::new();
    let (mut sells, mut releases) = (Vec::new(), Vec::new());
    for Effects { checkout, claims, .. } in batch {
        match claims {
            ClaimChange::Keep => {}
            ClaimChange::Sell => sells.push(checkout.id.as_str()),
            ClaimChange::Release => releases.push(checkout.id.as_str()),
            ClaimChange::Insert(claims) => {
                for (n, claim) in claims.iter().enumerate() {
                    *deltas.entry(claim.stock.clone()).or_default() += i64::from(claim.quantity);
                    inserts.push([
                        checkout.id.as_str().into(),
                        n.into(),
                        claim.stock.scope.as_str().into(),
                        claim.stock.kind.as_str().into(),
                        claim.stock.id.as_str().into(),
                        claim.seat.clone().into(),
                        claim.quantity.into(),
                        claim.customer.as_ref().map(|customer| customer.as_str()).into(),
                        claim.state.as_str().into(),
                    ]);
                }
            }
        }
    }
    tx.insert("claims", &inserts).await?;
    if !sells.is_empty() {
        let sql = "UPDATE claims SET state = {1} WHERE checkout IN (SELECT id FROM {rows}) AND state = {2}";
        tx.execute(sql, Some(&Rows::ids(sells)), &[ClaimState::Sold.as_str().into(), ClaimState::Held.as_str().into()]).await?;
    }
    if !releases.is_empty() {
        release(tx, releases, &mut deltas).await?;
    }
    stock::add(tx, &deltas).await
}

async fn release(tx: &mut Tx, checkouts: Vec<&str>, deltas: &mut BTreeMap<StockKey, i64>) -> Result<(), StoreError> {
    let ids = Rows::ids(checkouts);
    let sql =
        "UPDATE claims SET state = {1} WHERE checkout IN (SELECT id FROM {rows}) AND state = {2} RETURNING scope, kind, resource, quantity";
    let args: [Value; 2] = [ClaimState::Released.as_str().into(), ClaimState::Held.as_str().into()];
    for row in tx.fetch(sql, Some(&ids), &args).await? {
        *deltas.entry(stock::key(&row)?).or_default() -= row.int(3)?;
    }
    Ok(())
}

async fn write_ledger(tx: &mut Tx, batch: &[Effects]) -> Result<(), StoreError> {
    let mut transactions =
        Rows::new(&[("id", Text), ("scope", Text), ("kind", Text), ("checkout", Text), ("currency", Text), ("created_at", Int)]);
    let mut entries = Rows::new(&[
        ("transaction_id", Text),
        ("n", Int),
        ("scope", Text),
        ("account", Text),
        ("currency", Text),
        ("amount", Int),
        ("detail", Text),
        ("entity", Text),
    ]);
    for transaction in batch.iter().flat_map(|effects| &effects.ledger) {
        transactions.push([
            transaction.id.as_str().into(),
            transaction.scope.as_str().into(),
            transaction.kind.as_str().into(),
            transaction.checkout.as_str().into(),
            transaction.currency.as_str().into(),
            transaction.at.into(),
        ]);
        for (n, entry) in transaction.entries.iter().enumerate() {
            entries.push([
                transaction.id.as_str().into(),
                n.into(),
                transaction.scope.as_str().into(),
                entry.account.clone().into(),
                transaction.currency.as_str().into(),
                entry.amount.into(),
                entry.detail.clone().into(),
                entry.entity.clone().into(),
            ]);
        }
    }
    tx.insert("ledger_transactions", &transactions).await?;
    tx.insert("ledger_entries", &entries).await
}

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

/// Freezes each event's body and opens its deliveries.
async fn write_events(tx: &mut Tx, batch: &[Effects], now: Timestamp, entropy: &Entropy) -> Result<Vec<Vec<DeliveryId>>, StoreError> {
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
    for Effects { checkout, events: kinds, .. } in batch {
        let mut ids = Vec::new();
        for &kind in kinds {
            let id = EventId::generate(entropy, now);
            let view = EventView { id: &id, kind: kind.as_str(), created_at: now, data: CheckoutView::new(checkout, None) };
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
                    crate::domain::delivery::DeliveryStatus::Pending.as_str().into(),
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
    tx.insert("events", &events).await?;
    tx.insert("deliveries", &deliveries).await?;
    Ok(opened)
}

async fn listeners(tx: &mut Tx, batch: &[Effects]) -> Result<HashMap<Scope, Vec<Listener>>, StoreError> {
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
        listeners.entry(super::load::scope(&row.text(0)?)?).or_default().push(listener);
    }
    Ok(listeners)
}

async fn write_timeline(tx: &mut Tx, batch: &[Effects]) -> Result<(), StoreError> {
    let mut rows = Rows::new(&[("checkout", Text), ("version", Int), ("entries", Text)]);
    for Effects { checkout, timeline, .. } in batch.iter().filter(|effects| !effects.timeline.is_empty()) {
        let entries = serde_json::to_string(timeline).map_err(corrupt)?;
        rows.push([checkout.id.as_str().into(), checkout.version.into(), entries.into()]);
    }
    tx.insert("timeline", &rows).await
}
