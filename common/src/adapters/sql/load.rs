//! Rows into checkouts and attempts.

use super::{
    bulk::Rows,
    db::Tx,
    value::{Row, corrupt},
};
use crate::{
    domain::{
        attempt::{Attempt, AttemptStatus, CustomerAction},
        checkout::{Checkout, Closing},
        id::{AttemptId, CheckoutId},
        money::Amount,
        scope::Scope,
        state::Status,
    },
    ports::store::StoreError,
};
use std::collections::HashMap;

/// A checkout's columns, in the order that `checkout` reads them.
pub(super) const CHECKOUT: &str = "c.id, c.scope, c.status, c.version, c.doc, c.amount_paid, c.amount_refunded, c.error, c.payment_url, \
     c.closing, c.due_at, c.rescues, c.expires_at, c.created_at, c.updated_at, c.completed_at, c.disputes";
/// How many there are.
pub(super) const CHECKOUT_WIDTH: usize = 17;
/// An attempt's columns, in the order that `attempt` reads them; `checkout` last.
pub(super) const ATTEMPT: &str = "a.id, a.n, a.provider, a.request, a.status, a.provider_reference, a.decline_code, a.action_url, \
     a.lease_token, a.lease_until, a.takeovers, a.tries, a.created_at, a.request_id, a.fee, a.checkout";

/// Reads a checkout without its attempts from the columns `CHECKOUT`.
pub(super) fn checkout(row: &Row) -> Result<Checkout, StoreError> {
    let status = row.text(2)?;
    Ok(Checkout {
        id: CheckoutId::parse(row.text(0)?).map_err(corrupt)?,
        scope: scope(&row.text(1)?)?,
        status: Status::parse(&status).ok_or_else(|| corrupt(format!("status {status:?}")))?,
        version: row.int(3)?,
        order: serde_json::from_str(&row.text(4)?).map_err(corrupt)?,
        amount_paid: Amount::from_minor(row.int(5)?),
        amount_refunded: Amount::from_minor(row.int(6)?),
        error: row.maybe_text(7)?.map(|text| serde_json::from_str(&text)).transpose().map_err(corrupt)?,
        payment_url: row.maybe_text(8)?,
        closing: row.maybe_text(9)?.as_deref().and_then(Closing::parse),
        due_at: row.maybe_time(10)?,
        rescues: row.count(11)?,
        expires_at: row.time(12)?,
        created_at: row.time(13)?,
        updated_at: row.time(14)?,
        completed_at: row.maybe_time(15)?,
        disputes: row.maybe_text(16)?.map(|text| serde_json::from_str(&text)).transpose().map_err(corrupt)?.unwrap_or_default(),
        attempts: Vec::new(),
        refunds: Vec::new(),
    })
}

/// Reads an attempt from the columns `ATTEMPT`, which begin at `from`.
pub(super) fn attempt(row: &Row, from: usize) -> Result<Attempt, StoreError> {
    let status = row.text(from + 4)?;
    Ok(Attempt {
        id: AttemptId::parse(row.text(from)?).map_err(corrupt)?,
        n: row.count(from + 1)?,
        provider: row.text(from + 2)?,
        request: serde_json::from_str(&row.text(from + 3)?).map_err(corrupt)?,
        status: AttemptStatus::parse(&status).ok_or_else(|| corrupt(format!("attempt status {status:?}")))?,
        provider_reference: row.maybe_text(from + 5)?,
        decline_code: row.maybe_text(from + 6)?,
        action: row.maybe_text(from + 7)?.map(action).transpose()?,
        lease_token: row.maybe_text(from + 8)?,
        lease_until: row.maybe_time(from + 9)?,
        takeovers: row.count(from + 10)?,
        tries: row.count(from + 11)?,
        request_id: row.maybe_text(from + 13)?,
        fee: row.maybe_text(from + 14)?.map(|text| serde_json::from_str(&text)).transpose().map_err(corrupt)?,
        reusable: None,
        created_at: row.time(from + 12)?,
    })
}

/// What the customer has to do: an address, or the JSON of a form.
fn action(text: String) -> Result<CustomerAction, StoreError> {
    if text.starts_with('{') {
        serde_json::from_str(&text).map(CustomerAction::Form).map_err(corrupt)
    } else {
        Ok(CustomerAction::Visit(text))
    }
}

pub(super) fn scope(text: &str) -> Result<Scope, StoreError> {
    Scope::parse(text).ok_or_else(|| corrupt(format!("scope {text:?}")))
}

/// Gathers rows of `CHECKOUT` and then `ATTEMPT` (nothing where there is none) into checkouts, in the rows' order.
pub(super) fn joined(rows: &[Row]) -> Result<Vec<Checkout>, StoreError> {
    let mut checkouts: Vec<Checkout> = Vec::new();
    for row in rows {
        let id = row.text(0)?;
        if checkouts.last().is_none_or(|last| last.id.as_str() != id) {
            checkouts.push(checkout(row)?);
        }
        if let (Some(last), Some(_)) = (checkouts.last_mut(), row.maybe_text(CHECKOUT_WIDTH)?) {
            last.attempts.push(attempt(row, CHECKOUT_WIDTH)?);
        }
    }
    Ok(checkouts)
}

/// Locks checkouts in id order and reads them with their attempts. Attempts are read by a statement of their own: after
/// a wait for a lock, a joined row could be from before it.
pub(super) async fn lock(tx: &mut Tx<'_>, ids: impl IntoIterator<Item = &CheckoutId>) -> Result<HashMap<CheckoutId, Checkout>, StoreError> {
    let sql = format!("SELECT {CHECKOUT} FROM checkouts c WHERE c.id IN (SELECT id FROM {{rows}}) ORDER BY c.id {{lock}}");
    let rows = tx.fetch(&sql, Some(&sorted(ids)), &[]).await?;
    let mut checkouts = HashMap::with_capacity(rows.len());
    for row in &rows {
        let checkout = checkout(row)?;
        checkouts.insert(checkout.id.clone(), checkout);
    }
    // A queued checkout has no attempts yet.
    let begun: Vec<&str> =
        checkouts.values().filter(|checkout| checkout.status != Status::Queued).map(|checkout| checkout.id.as_str()).collect();
    if begun.is_empty() {
        return Ok(checkouts);
    }
    let sql = format!("SELECT {ATTEMPT} FROM attempts a WHERE a.checkout IN (SELECT id FROM {{rows}}) ORDER BY a.checkout, a.n");
    for row in tx.fetch(&sql, Some(&Rows::ids(begun)), &[]).await? {
        let owner = CheckoutId::parse(row.text(15)?).map_err(corrupt)?;
        if let Some(checkout) = checkouts.get_mut(&owner) {
            checkout.attempts.push(attempt(&row, 0)?);
        }
    }
    super::refund::load(tx, &mut checkouts).await?;
    Ok(checkouts)
}

/// Locks checkouts in id order, and reads those of which the known version is not the newest any more.
pub(super) async fn lock_known<'k>(
    tx: &mut Tx<'_>,
    wanted: impl IntoIterator<Item = (&'k CheckoutId, Option<&'k Checkout>)>,
) -> Result<HashMap<CheckoutId, Checkout>, StoreError> {
    let mut known: HashMap<&CheckoutId, &Checkout> = HashMap::new();
    let mut unknown: Vec<&CheckoutId> = Vec::new();
    for (id, checkout) in wanted {
        match checkout {
            Some(checkout) => drop(known.insert(id, checkout)),
            None => unknown.push(id),
        }
    }
    let mut checkouts = HashMap::with_capacity(known.len());
    if !known.is_empty() {
        let sql = "SELECT c.id, c.version, c.due_at, c.rescues FROM checkouts c WHERE c.id IN (SELECT id FROM {rows}) ORDER BY c.id {lock}";
        let ids = known.keys().copied().chain(unknown.iter().copied());
        for row in tx.fetch(sql, Some(&sorted(ids)), &[]).await? {
            let id = CheckoutId::parse(row.text(0)?).map_err(corrupt)?;
            match known.get_key_value(&id) {
                Some((_, &checkout)) if checkout.version == row.int(1)? => {
                    // A rescue moves these two, and not the version.
                    let (due_at, rescues) = (row.maybe_time(2)?, row.count(3)?);
                    checkouts.insert(id, Checkout { due_at, rescues, ..checkout.clone() });
                }
                Some((&stale, _)) => unknown.push(stale),
                None => {}
            }
        }
    }
    if cfg!(debug_assertions) {
        verify(tx, &checkouts).await?;
    }
    if !unknown.is_empty() {
        checkouts.extend(lock(tx, unknown).await?);
    }
    Ok(checkouts)
}

/// Whether what was known is what is stored. *Because* nothing may be decided on anything else; wherever tests run it is compared.
async fn verify(tx: &mut Tx<'_>, known: &HashMap<CheckoutId, Checkout>) -> Result<(), StoreError> {
    if known.is_empty() {
        return Ok(());
    }
    let stored = lock(tx, known.keys()).await?;
    match known.iter().find(|(id, checkout)| stored.get(*id) != Some(*checkout)) {
        None => Ok(()),
        Some((id, _)) => Err(StoreError::Inconsistent(format!("{id} is remembered otherwise than it is stored"))),
    }
}

fn sorted<'i>(ids: impl IntoIterator<Item = &'i CheckoutId>) -> Rows {
    let mut ids: Vec<&str> = ids.into_iter().map(CheckoutId::as_str).collect();
    ids.sort_unstable();
    ids.dedup();
    Rows::ids(ids)
}
