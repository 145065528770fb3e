//! Balances: their moves, written with the transitions of checkouts and by hand, and summed up under their customers' locks.

use super::{
    SqlStore,
    answers::{self, Bound},
    apply::ledger_entries,
    bulk::{Rows, Type::Int, Type::Text},
    db::{Tx, transact},
    load,
    read::page,
    script::Write,
    value::{Row, Value, corrupt},
};
use crate::{
    domain::{
        balance::{self, ADJUSTMENT, Adjustment, BalanceKey, CustomerBalance, MoveState, Reason},
        checkout::Checkout,
        effects::{ClaimChange, Effects},
        id::{AdjustmentId, CustomerId, Entropy, LedgerId},
        ledger::LedgerKind,
        money::{Amount, Currency},
        scope::Scope,
        time::Timestamp,
    },
    failpoint,
    ports::store::{AdjustResult, NewAdjustment, Page, PageRequest, StoreError, StoredAnswer},
};
use std::collections::{BTreeSet, HashMap};

/// HTTP 201: what an adjustment is answered with.
const CREATED: u16 = 201;

/// Locks the customers whose balances are paid with, and reads what is neither spent nor held of them. After the inventory, in the
/// order of their ids. Without any, nothing is asked.
pub(super) async fn lock<'c>(
    tx: &mut Tx<'_>,
    checkouts: impl Iterator<Item = &'c Checkout>,
) -> Result<HashMap<BalanceKey, Amount>, StoreError> {
    let keys: BTreeSet<BalanceKey> = checkouts.filter_map(|checkout| balance::key(&checkout.scope, &checkout.order)).collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    lock_customers(tx, keys.iter().map(|key| (&key.scope, &key.customer))).await?;
    available(tx, &keys).await
}

/// Locks customers, and says how many there are.
async fn lock_customers<'k>(tx: &mut Tx<'_>, whose: impl Iterator<Item = (&'k Scope, &'k CustomerId)>) -> Result<usize, StoreError> {
    let mut rows = Rows::new(&[("scope", Text), ("id", Text)]);
    let whose: BTreeSet<(&str, &str)> = whose.map(|(scope, customer)| (scope.as_str(), customer.as_str())).collect();
    for (scope, customer) in &whose {
        rows.push([(*scope).into(), (*customer).into()]);
    }
    let sql = "SELECT c.id FROM customers c WHERE (c.scope, c.id) IN (SELECT scope, id FROM {rows}) ORDER BY c.scope, c.id";
    let locked = tx.fetch(&format!("{sql} {{lock}}"), Some(&rows), &[]).await?.len();
    // Whose `external_id` was changed while we waited has a new row, which has no lock of ours yet.
    if locked < whose.len() && tx.fetch(sql, Some(&rows), &[]).await?.len() > locked {
        return Err(StoreError::Unavailable("a customer was replaced at this moment".to_owned()));
    }
    Ok(locked)
}

/// What is neither spent nor held, under the locks of the customers.
async fn available(tx: &mut Tx<'_>, keys: &BTreeSet<BalanceKey>) -> Result<HashMap<BalanceKey, Amount>, StoreError> {
    let mut rows = Rows::new(&[("scope", Text), ("customer", Text), ("currency", Text)]);
    for key in keys {
        rows.push([key.scope.as_str().into(), key.customer.as_str().into(), key.currency.as_str().into()]);
    }
    let sql = "SELECT m.scope, m.customer, m.currency, CAST(SUM(m.amount) AS BIGINT) FROM balance_moves m WHERE m.state <> {1} \
               AND (m.scope, m.customer, m.currency) IN (SELECT scope, customer, currency FROM {rows}) GROUP BY m.scope, m.customer, m.currency";
    let rows = tx.fetch(sql, Some(&rows), &[MoveState::Released.as_str().into()]).await?;
    rows.iter()
        .map(|row| {
            let customer = CustomerId::parse(row.text(1)?).map_err(corrupt)?;
            let key = BalanceKey { scope: load::scope(&row.text(0)?)?, customer, currency: currency(row, 2)? };
            Ok((key, Amount::from_minor(row.int(3)?)))
        })
        .collect()
}

fn currency(row: &Row, at: usize) -> Result<Currency, StoreError> {
    Currency::parse(&row.text(at)?).map_err(corrupt)
}

fn move_rows() -> Rows {
    Rows::new(&[
        ("source", Text),
        ("n", Int),
        ("scope", Text),
        ("customer", Text),
        ("currency", Text),
        ("amount", Int),
        ("state", Text),
        ("created_at", Int),
    ])
}

/// Writes the moves of a batch, and what becomes of those that are held. Nothing, when no balance pays.
pub(super) fn writes(batch: &[Effects]) -> [Write; 3] {
    let mut fresh = move_rows();
    let (mut booked, mut released, mut bookings) = (Vec::new(), Vec::new(), 0u64);
    for Effects { checkout, claims, balance, .. } in batch {
        for one in balance {
            fresh.push([
                one.source.as_str().into(),
                one.n.into(),
                checkout.scope.as_str().into(),
                one.customer.as_str().into(),
                checkout.order.currency.as_str().into(),
                one.amount.into(),
                one.state.as_str().into(),
                checkout.updated_at.into(),
            ]);
        }
        let legs = balance::spent(&checkout.order).count() as u64;
        match claims {
            ClaimChange::Sell if legs > 0 => {
                booked.push(checkout.id.as_str());
                bookings += legs;
            }
            ClaimChange::Release if legs > 0 => released.push(checkout.id.as_str()),
            ClaimChange::Keep | ClaimChange::Insert(_) | ClaimChange::Sell | ClaimChange::Release => {}
            ClaimChange::GiveBack(_) | ClaimChange::FreePlaces(_) => {}
        }
    }
    let becomes = |ids: Vec<&str>, state: MoveState| {
        let sql = "UPDATE balance_moves SET state = {1} WHERE source IN (SELECT id FROM {rows}) AND state = {2}";
        Write::new(sql, Rows::ids(ids)).with([state.as_str().into(), MoveState::Held.as_str().into()])
    };
    let book = becomes(booked, MoveState::Booked).must_change("balance_moves", bookings);
    [Write::insert("balance_moves", fresh), book, becomes(released, MoveState::Released)]
}

fn read(row: &Row) -> Result<Adjustment, StoreError> {
    let reason = row.text(4)?;
    Ok(Adjustment {
        id: AdjustmentId::parse(row.text(0)?).map_err(corrupt)?,
        object: ADJUSTMENT,
        customer: CustomerId::parse(row.text(1)?).map_err(corrupt)?,
        amount: Amount::from_minor(row.int(2)?),
        currency: currency(row, 3)?,
        reason: Reason::parse(&reason).ok_or_else(|| corrupt(format!("reason {reason:?}")))?,
        note: row.maybe_text(5)?,
        created_at: row.time(6)?,
    })
}

/// The adjustment, its move and its ledger transaction.
fn adjustment_writes(scope: &Scope, adjustment: &Adjustment, ledger: &LedgerId) -> Vec<Write> {
    let mut moves = move_rows();
    let Adjustment { id, customer, amount, currency, reason, note, created_at, .. } = adjustment;
    moves.push([
        id.as_str().into(),
        0u32.into(),
        scope.as_str().into(),
        customer.as_str().into(),
        currency.as_str().into(),
        (*amount).into(),
        MoveState::Booked.as_str().into(),
        (*created_at).into(),
    ]);
    let mut adjustments = Rows::new(&[
        ("id", Text),
        ("scope", Text),
        ("customer", Text),
        ("amount", Int),
        ("currency", Text),
        ("reason", Text),
        ("note", Text),
        ("created_at", Int),
    ]);
    adjustments.push([
        id.as_str().into(),
        scope.as_str().into(),
        customer.as_str().into(),
        (*amount).into(),
        currency.as_str().into(),
        reason.as_str().into(),
        note.clone().into(),
        (*created_at).into(),
    ]);
    let mut transaction =
        Rows::new(&[("id", Text), ("scope", Text), ("kind", Text), ("customer", Text), ("currency", Text), ("created_at", Int)]);
    transaction.push([
        ledger.as_str().into(),
        scope.as_str().into(),
        LedgerKind::Adjustment.as_str().into(),
        customer.as_str().into(),
        currency.as_str().into(),
        (*created_at).into(),
    ]);
    let entries = ledger_entries([(ledger, scope, *currency, adjustment.entries().as_slice())]);
    vec![
        Write::insert("balance_moves", moves),
        Write::insert("balance_adjustments", adjustments),
        Write::insert("ledger_transactions", transaction),
        entries,
    ]
}

/// The adjustment, if the balance allows it. The caller holds the customer's lock.
async fn adjust(tx: &mut Tx<'_>, new: &NewAdjustment, now: Timestamp, entropy: &Entropy) -> Result<AdjustResult, StoreError> {
    let NewAdjustment { id, scope, customer, amount, currency, reason, note, idempotency } = new;
    let key = BalanceKey { scope: scope.clone(), customer: customer.clone(), currency: *currency };
    let left = available(tx, &BTreeSet::from([key])).await?.into_values().next().unwrap_or(Amount::ZERO);
    let adjustment = Adjustment {
        id: id.clone(),
        object: ADJUSTMENT,
        customer: customer.clone(),
        amount: *amount,
        currency: *currency,
        reason: *reason,
        note: note.clone(),
        created_at: now,
    };
    if let Err(refused) = adjustment.check(left) {
        return Ok(AdjustResult::Refused(refused));
    }
    let body = serde_json::to_string(&adjustment).map_err(corrupt)?;
    let answer = StoredAnswer { status: CREATED, object: id.to_string(), body };
    tx.run(adjustment_writes(scope, &adjustment, &LedgerId::generate(entropy, now))).await?;
    answers::bind(tx, scope, idempotency, &answer, now).await?;
    failpoint::cross("accept.before_commit").await?;
    Ok(AdjustResult::Created(answer))
}

impl SqlStore {
    pub(super) async fn adjust_one_balance(&self, new: &NewAdjustment) -> Result<AdjustResult, StoreError> {
        let result = transact!(self.db, tx => {
            // The key holds the customer's path: whoever has the same one waits for the same lock.
            if lock_customers(tx, [(&new.scope, &new.customer)].into_iter()).await? == 0 {
                return Ok(AdjustResult::CustomerMissing);
            }
            match answers::bound(tx, &new.scope, &new.idempotency, new.id.as_str()).await? {
                None => {}
                Some(Bound::Ours(answer)) => return Ok(AdjustResult::Created(answer)),
                Some(Bound::Same(answer)) => return Ok(AdjustResult::Replayed(answer)),
                Some(Bound::Other) => return Ok(AdjustResult::KeyReused),
            }
            let now = tx.now().await?;
            adjust(tx, new, now, &self.entropy).await
        })?;
        let _ = failpoint::cross("accept.after_commit").await;
        Ok(result)
    }

    pub(super) async fn list_adjustments(
        &self,
        scope: &Scope,
        customer: &CustomerId,
        request: &PageRequest,
    ) -> Result<Page<Adjustment>, StoreError> {
        let mut args: Vec<Value> = vec![scope.as_str().into(), customer.as_str().into(), (request.limit + 1).into()];
        let before = request.after.as_ref().map_or("", |_| "AND b.id < {4}");
        args.extend(request.after.as_deref().map(Value::from));
        let sql = format!(
            "SELECT b.id, b.customer, b.amount, b.currency, b.reason, b.note, b.created_at FROM balance_adjustments b \
             WHERE b.scope = {{1}} AND b.customer = {{2}} {before} ORDER BY b.id DESC LIMIT {{3}}"
        );
        let found = self.db.read(&sql, None, &args).await?.iter().map(read).collect::<Result<_, _>>()?;
        Ok(page(found, request.limit, |adjustment: &Adjustment| adjustment.id.to_string()))
    }

    pub(super) async fn sum_balances(&self, scope: &Scope, customer: &CustomerId) -> Result<Option<Vec<CustomerBalance>>, StoreError> {
        // A customer without moves is one row without a currency.
        let sql = "SELECT m.currency, CAST(COALESCE(SUM(CASE WHEN m.state = {3} THEN m.amount END), 0) AS BIGINT), \
                   CAST(COALESCE(SUM(CASE WHEN m.state = {4} THEN -m.amount END), 0) AS BIGINT) \
                   FROM customers c LEFT JOIN balance_moves m ON m.scope = c.scope AND m.customer = c.id \
                   WHERE c.scope = {1} AND c.id = {2} GROUP BY m.currency ORDER BY m.currency";
        let states = [MoveState::Booked, MoveState::Held].map(MoveState::as_str);
        let args: [Value; 4] = [scope.as_str().into(), customer.as_str().into(), states[0].into(), states[1].into()];
        let rows = self.db.read(sql, None, &args).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut balances = Vec::with_capacity(rows.len());
        for row in rows {
            if row.is_null(0)? {
                continue;
            }
            let (amount, held) = (row.int(1)?, row.int(2)?);
            let [amount, held, available] = [amount, held, amount - held].map(Amount::from_minor);
            balances.push(CustomerBalance { currency: currency(&row, 0)?, amount, held, available });
        }
        Ok(Some(balances))
    }
}
