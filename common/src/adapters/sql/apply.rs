//! Writes what the domain decided: one script of multi-row statements for a whole batch of transitions, whatever they are.

use super::{
    bulk::{Rows, Type::Int, Type::Text},
    db::Tx,
    script::Write,
    stock::{self, Locked},
    value::{Value, corrupt},
    waiting::{self, Turn},
};
use crate::{
    domain::{
        attempt::CustomerAction,
        claim::{ClaimState, StockKey, StockLevel},
        effects::{ClaimChange, Effects},
        id::{DeliveryId, Entropy, LedgerId, WaitingId},
        ledger::Entry,
        money::Currency,
        scope::Scope,
        time::Timestamp,
    },
    ports::store::{Moved, StoreError},
};
use std::collections::BTreeMap;

/// Writes all of it, and says for each what others need to know. The caller holds the locks on the checkouts, and on the
/// stock of what is inserted.
pub(super) async fn apply(tx: &mut Tx<'_>, batch: &[Effects], now: Timestamp, entropy: &Entropy) -> Result<Vec<Moved>, StoreError> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(broken) = batch.iter().flat_map(|effects| &effects.ledger).find(|transaction| !transaction.is_balanced()) {
        return Err(StoreError::Inconsistent(format!("an unbalanced ledger transaction for {}", broken.checkout)));
    }
    let (mut deltas, locked) = release(tx, batch).await?;
    let claims = claims(batch, &mut deltas);
    let mut turn = Turn::with(deltas);
    waiting::follow(tx, batch, &mut turn, &locked, now).await?;
    let offered = turn.write(tx, now, entropy).await?;
    let events = super::events::events(tx, batch, now, entropy).await?;
    let mut writes = vec![checkouts(batch)?, attempts(batch)?, super::refund::refunds(batch)?, super::refund::parts(batch)];
    writes.extend(claims);
    writes.extend(super::memberships::changes(batch)?);
    writes.extend(super::balance::writes(batch));
    writes.push(stock::add(&turn.deltas));
    writes.extend(ledger(batch));
    writes.extend(events.writes);
    writes.push(timeline(batch)?);
    let written = tx.run(writes).await?;
    let levels = written
        .returned()
        .map(|(row, from)| stock::level(row, from).map(|level| (level.key.clone(), level)))
        .collect::<Result<BTreeMap<_, _>, _>>()?;
    let mut moved: Vec<Moved> =
        batch.iter().zip(events.deliveries).map(|(effects, deliveries)| moved(effects, deliveries, &levels, now)).collect();
    for (scope, delivery) in offered {
        // Whoever freed the place hands on what tells of it.
        moved.iter_mut().find(|moved| moved.scope == scope).into_iter().for_each(|moved| moved.deliveries.push(delivery.clone()));
    }
    // Last, because their locks are.
    for (at, delivery) in super::subscriptions::follow(tx, batch, now, entropy).await? {
        moved.get_mut(at).into_iter().for_each(|moved| moved.deliveries.push(delivery.clone()));
    }
    Ok(moved)
}

fn moved(effects: &Effects, deliveries: Vec<DeliveryId>, levels: &BTreeMap<StockKey, StockLevel>, now: Timestamp) -> Moved {
    let checkout = &effects.checkout;
    let moves_stock = !matches!(effects.claims, ClaimChange::Keep | ClaimChange::Sell);
    let wants = if moves_stock { checkout.order.contested() } else { Vec::new() };
    let key = |want: crate::domain::claim::Want| StockKey { scope: checkout.scope.clone(), kind: want.kind, id: want.id };
    Moved {
        checkout: checkout.id.clone(),
        scope: checkout.scope.clone(),
        status: checkout.status,
        version: checkout.version,
        ended: effects.ends(),
        due_in: checkout.due_at.map(|due| due.since(now)),
        deliveries,
        stock: wants.into_iter().filter_map(|want| levels.get(&key(want)).cloned()).collect(),
    }
}

fn checkouts(batch: &[Effects]) -> Result<Write, StoreError> {
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
        ("disputes", Text),
    ]);
    for Effects { checkout, from_version, .. } in batch {
        let error = checkout.error.as_ref().map(serde_json::to_string).transpose().map_err(corrupt)?;
        let disputes = (!checkout.disputes.is_empty()).then(|| serde_json::to_string(&checkout.disputes)).transpose().map_err(corrupt)?;
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
            disputes.into(),
        ]);
    }
    let sql = "UPDATE checkouts SET version = r.version, status = r.status, amount_paid = r.amount_paid, amount_refunded = r.amount_refunded, \
               error = r.error, payment_url = r.payment_url, closing = r.closing, due_at = r.due_at, rescues = 0, \
               updated_at = r.updated_at, completed_at = r.completed_at, disputes = r.disputes \
               FROM {rows} WHERE checkouts.id = r.id AND checkouts.version = r.from_version";
    // The rows are locked: another version is our own bug.
    Ok(Write::new(sql, rows).must_change("checkouts", batch.len() as u64))
}

/// An address as it is; what a form is shown with, as JSON, which no address is.
fn action_text(action: &CustomerAction) -> Result<String, StoreError> {
    match action {
        CustomerAction::Visit(url) => Ok(url.clone()),
        CustomerAction::Form(form) => serde_json::to_string(form).map_err(corrupt),
    }
}

fn attempts(batch: &[Effects]) -> Result<Write, StoreError> {
    let mut rows = Rows::new(&[
        ("checkout", Text),
        ("n", Int),
        ("id", Text),
        ("kind", Text),
        ("provider", Text),
        ("leg", Int),
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
        ("request_id", Text),
        ("fee", Text),
    ]);
    for Effects { checkout, attempts, .. } in batch {
        for attempt in checkout.attempts.iter().filter(|attempt| attempts.contains(&attempt.n)) {
            rows.push([
                checkout.id.as_str().into(),
                attempt.n.into(),
                attempt.id.as_str().into(),
                attempt.request.kind.as_str().into(),
                attempt.provider.clone().into(),
                attempt.request.leg.into(),
                attempt.request.amount.into(),
                serde_json::to_string(&attempt.request).map_err(corrupt)?.into(),
                attempt.status.as_str().into(),
                attempt.provider_reference.clone().into(),
                attempt.decline_code.clone().into(),
                attempt.kept_action().map(action_text).transpose()?.into(),
                attempt.lease_token.clone().into(),
                attempt.lease_until.into(),
                attempt.takeovers.into(),
                attempt.tries.into(),
                attempt.created_at.into(),
                attempt.request_id.clone().into(),
                attempt.fee.as_ref().map(serde_json::to_string).transpose().map_err(corrupt)?.into(),
            ]);
        }
    }
    // The request is frozen: only what is learnt about an attempt is ever written over.
    let sql = "INSERT INTO attempts ({names}) SELECT {names} FROM {rows} WHERE true ON CONFLICT (checkout, n) DO UPDATE SET \
               status = excluded.status, provider_reference = excluded.provider_reference, decline_code = excluded.decline_code, \
               action_url = excluded.action_url, lease_token = excluded.lease_token, lease_until = excluded.lease_until, \
               takeovers = excluded.takeovers, tries = excluded.tries, request_id = excluded.request_id, fee = excluded.fee";
    Ok(Write::new(sql, rows))
}

/// Inserts and sells claims; `deltas` learns what the counters have to move by.
fn claims(batch: &[Effects], deltas: &mut BTreeMap<StockKey, i64>) -> [Write; 2] {
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
        ("line", Text),
    ]);
    let mut sells = Vec::new();
    for Effects { checkout, claims, .. } in batch {
        match claims {
            ClaimChange::Keep | ClaimChange::Release | ClaimChange::GiveBack(_) | ClaimChange::FreePlaces(_) => {}
            ClaimChange::Sell => sells.push(checkout.id.as_str()),
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
                        claim.line.as_ref().map(|line| line.as_str()).into(),
                    ]);
                }
            }
        }
    }
    let sql = "UPDATE claims SET state = {1} WHERE checkout IN (SELECT id FROM {rows}) AND state = {2}";
    let sold = Write::new(sql, Rows::ids(sells)).with([ClaimState::Sold.as_str().into(), ClaimState::Held.as_str().into()]);
    [Write::insert("claims", inserts), sold]
}

/// Releases claims and locks what they are given back to, as it was before. Counters move with what really changed, and with nothing else.
async fn release(tx: &mut Tx<'_>, batch: &[Effects]) -> Result<(BTreeMap<StockKey, i64>, Vec<Locked>), StoreError> {
    let mut deltas: BTreeMap<StockKey, i64> = BTreeMap::new();
    let releasing = batch.iter().filter(|effects| matches!(effects.claims, ClaimChange::Release));
    let ids = Rows::ids(releasing.map(|effects| effects.checkout.id.as_str()));
    let of_lines = || Rows::new(&[("checkout", Text), ("line", Text)]);
    let (mut sold, mut places) = (of_lines(), of_lines());
    for effects in batch {
        let (lines, rows) = match &effects.claims {
            ClaimChange::GiveBack(lines) => (lines, &mut sold),
            ClaimChange::FreePlaces(lines) => (lines, &mut places),
            ClaimChange::Keep | ClaimChange::Insert(_) | ClaimChange::Sell | ClaimChange::Release => continue,
        };
        lines.iter().for_each(|line| rows.push([effects.checkout.id.as_str().into(), line.as_str().into()]));
    }
    let held = "UPDATE claims SET state = {1} WHERE checkout IN (SELECT id FROM {rows}) AND state = {2} \
                RETURNING scope, kind, resource, quantity";
    let given_back = "UPDATE claims SET state = {1} WHERE (checkout, line) IN (SELECT checkout, line FROM {rows}) AND state = {2} \
                RETURNING scope, kind, resource, quantity";
    let freed = "UPDATE claims SET state = {1} WHERE (checkout, line) IN (SELECT checkout, line FROM {rows}) AND state = {2} \
                AND kind <> 'bought_membership' RETURNING scope, kind, resource, quantity";
    for (sql, rows, from) in [(held, ids, ClaimState::Held), (given_back, sold, ClaimState::Sold), (freed, places, ClaimState::Sold)] {
        if rows.is_empty() {
            continue;
        }
        let args: [Value; 2] = [ClaimState::Released.as_str().into(), from.as_str().into()];
        for row in tx.fetch(sql, Some(&rows), &args).await? {
            *deltas.entry(stock::key(&row, 0)?).or_default() -= row.int(3)?;
        }
    }
    let offers: Vec<&WaitingId> = waiting::taken_offers(batch).collect();
    if !offers.is_empty() {
        for (key, quantity) in waiting::give_up(tx, offers).await? {
            *deltas.entry(key).or_default() -= quantity;
        }
    }
    if deltas.is_empty() {
        return Ok((deltas, Vec::new()));
    }
    let locked = stock::lock(tx, &stock::keys(deltas.keys())).await?;
    Ok((deltas, locked))
}

fn ledger(batch: &[Effects]) -> [Write; 2] {
    let mut transactions =
        Rows::new(&[("id", Text), ("scope", Text), ("kind", Text), ("checkout", Text), ("currency", Text), ("created_at", Int)]);
    for transaction in batch.iter().flat_map(|effects| &effects.ledger) {
        transactions.push([
            transaction.id.as_str().into(),
            transaction.scope.as_str().into(),
            transaction.kind.as_str().into(),
            transaction.checkout.as_str().into(),
            transaction.currency.as_str().into(),
            transaction.at.into(),
        ]);
    }
    let all = batch.iter().flat_map(|effects| &effects.ledger);
    let entries = ledger_entries(all.map(|one| (&one.id, &one.scope, one.currency, one.entries.as_slice())));
    [Write::insert("ledger_transactions", transactions), entries]
}

/// The sides of transactions.
pub(super) fn ledger_entries<'e>(transactions: impl IntoIterator<Item = (&'e LedgerId, &'e Scope, Currency, &'e [Entry])>) -> Write {
    let mut rows = Rows::new(&[
        ("transaction_id", Text),
        ("n", Int),
        ("scope", Text),
        ("account", Text),
        ("currency", Text),
        ("amount", Int),
        ("detail", Text),
        ("entity", Text),
    ]);
    for (id, scope, currency, entries) in transactions {
        for (n, entry) in entries.iter().enumerate() {
            rows.push([
                id.as_str().into(),
                n.into(),
                scope.as_str().into(),
                entry.account.clone().into(),
                currency.as_str().into(),
                entry.amount.into(),
                entry.detail.clone().into(),
                entry.entity.clone().into(),
            ]);
        }
    }
    Write::insert("ledger_entries", rows)
}

fn timeline(batch: &[Effects]) -> Result<Write, StoreError> {
    let mut rows = Rows::new(&[("checkout", Text), ("version", Int), ("entries", Text)]);
    for Effects { checkout, timeline, .. } in batch.iter().filter(|effects| !effects.timeline.is_empty()) {
        let entries = serde_json::to_string(timeline).map_err(corrupt)?;
        rows.push([checkout.id.as_str().into(), checkout.version.into(), entries.into()]);
    }
    Ok(Write::insert("timeline", rows))
}
