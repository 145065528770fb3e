//! Refunds as rows: read with their checkouts and on their own, written with everything that moves.

use super::{
    SqlStore,
    bulk::{Rows, Type::Int, Type::Text},
    db::{Db, Tx},
    load,
    look::Look,
    script::Write,
    value::{Row, Value, corrupt},
};
use crate::{
    domain::{
        checkout::Checkout,
        effects::Effects,
        id::{CheckoutId, RefundId},
        money::{Amount, Currency},
        refund::{Refund, RefundStatus},
        refund_part::RefundPart,
        scope::Scope,
    },
    ports::store::StoreError,
};
use async_trait::async_trait;
use std::collections::HashMap;

/// Refunds, whose they are, and their parts: a row for each part, which `gather` reads in the order of refunds and their parts.
const REFUNDS: &str = "SELECT r.id, r.checkout, r.amount, r.currency, r.lines, r.reason, r.release_seats, r.status, r.error, \
     r.created_at, r.updated_at, r.late_payment, r.scope, r.keep_credits, p.leg, p.method, p.amount, p.attempt, p.status \
     FROM refunds r LEFT JOIN refund_parts p ON p.refund = r.id";
/// Where a part's columns begin.
const PART: usize = 14;

fn read(row: &Row) -> Result<Refund, StoreError> {
    let status = row.text(7)?;
    Ok(Refund {
        id: RefundId::parse(row.text(0)?).map_err(corrupt)?,
        checkout: CheckoutId::parse(row.text(1)?).map_err(corrupt)?,
        parts: Vec::new(),
        amount: Amount::from_minor(row.int(2)?),
        currency: Currency::parse(&row.text(3)?).map_err(corrupt)?,
        lines: serde_json::from_str(&row.text(4)?).map_err(corrupt)?,
        reason: row.maybe_text(5)?,
        release_seats: row.int(6)? != 0,
        status: RefundStatus::parse(&status).ok_or_else(|| corrupt(format!("refund status {status:?}")))?,
        error: row.maybe_text(8)?.map(|text| serde_json::from_str(&text)).transpose().map_err(corrupt)?,
        created_at: row.time(9)?,
        updated_at: row.time(10)?,
        late_payment: row.int(11)? != 0,
        keep_credits: row.int(13)? != 0,
    })
}

/// Gives locked checkouts their refunds. Only what has ended has any.
pub(super) async fn load(tx: &mut Tx<'_>, checkouts: &mut HashMap<CheckoutId, Checkout>) -> Result<(), StoreError> {
    let ended = checkouts.values().filter(|checkout| checkout.status.is_terminal());
    let ended = Rows::ids(ended.map(|checkout| checkout.id.as_str()));
    if ended.is_empty() {
        return Ok(());
    }
    let sql = format!("{REFUNDS} WHERE r.checkout IN (SELECT id FROM {{rows}}) ORDER BY r.checkout, r.id, p.n");
    for (_, refund) in gather(&tx.fetch(&sql, Some(&ended), &[]).await?)? {
        if let Some(checkout) = checkouts.get_mut(&refund.checkout) {
            checkout.refunds.push(refund);
        }
    }
    Ok(())
}

/// Gathers rows of `REFUNDS`, in the rows' order.
fn gather(rows: &[Row]) -> Result<Vec<(Scope, Refund)>, StoreError> {
    let mut refunds: Vec<(Scope, Refund)> = Vec::new();
    for row in rows {
        let id = row.text(0)?;
        if refunds.last().is_none_or(|(_, last)| last.id.as_str() != id) {
            refunds.push((load::scope(&row.text(12)?)?, read(row)?));
        }
        if let (Some((_, last)), false) = (refunds.last_mut(), row.is_null(PART)?) {
            last.parts.push(part(row)?);
        }
    }
    Ok(refunds)
}

fn part(row: &Row) -> Result<RefundPart, StoreError> {
    let status = row.text(PART + 4)?;
    Ok(RefundPart {
        leg: usize::try_from(row.int(PART)?).map_err(corrupt)?,
        method: row.text(PART + 1)?,
        amount: Amount::from_minor(row.int(PART + 2)?),
        attempt: row.maybe_int(PART + 3)?.map(u32::try_from).transpose().map_err(corrupt)?,
        status: RefundStatus::parse(&status).ok_or_else(|| corrupt(format!("refund status {status:?}")))?,
    })
}

/// Writes new refunds, and what became of old ones.
pub(super) fn refunds(batch: &[Effects]) -> Result<Write, StoreError> {
    let mut rows = Rows::new(&[
        ("id", Text),
        ("scope", Text),
        ("checkout", Text),
        ("amount", Int),
        ("currency", Text),
        ("lines", Text),
        ("reason", Text),
        ("release_seats", Int),
        ("status", Text),
        ("error", Text),
        ("created_at", Int),
        ("updated_at", Int),
        ("late_payment", Int),
        ("keep_credits", Int),
    ]);
    for Effects { checkout, refunds, .. } in batch {
        for refund in checkout.refunds.iter().filter(|refund| refunds.contains(&refund.id)) {
            let error = refund.error.as_ref().map(serde_json::to_string).transpose().map_err(corrupt)?;
            rows.push([
                refund.id.as_str().into(),
                checkout.scope.as_str().into(),
                checkout.id.as_str().into(),
                refund.amount.into(),
                refund.currency.as_str().into(),
                serde_json::to_string(&refund.lines).map_err(corrupt)?.into(),
                refund.reason.clone().into(),
                i64::from(refund.release_seats).into(),
                refund.status.as_str().into(),
                error.into(),
                refund.created_at.into(),
                refund.updated_at.into(),
                i64::from(refund.late_payment).into(),
                i64::from(refund.keep_credits).into(),
            ]);
        }
    }
    let sql = "INSERT INTO refunds ({names}) SELECT {names} FROM {rows} WHERE true ON CONFLICT (id) DO UPDATE SET \
               status = excluded.status, error = excluded.error, updated_at = excluded.updated_at";
    Ok(Write::new(sql, rows))
}

/// Writes the parts of the same refunds.
pub(super) fn parts(batch: &[Effects]) -> Write {
    let mut rows = Rows::new(&[
        ("refund", Text),
        ("n", Int),
        ("checkout", Text),
        ("leg", Int),
        ("method", Text),
        ("amount", Int),
        ("attempt", Int),
        ("status", Text),
    ]);
    for Effects { checkout, refunds, .. } in batch {
        for refund in checkout.refunds.iter().filter(|refund| refunds.contains(&refund.id)) {
            for (n, part) in refund.parts.iter().enumerate() {
                rows.push([
                    refund.id.as_str().into(),
                    n.into(),
                    checkout.id.as_str().into(),
                    part.leg.into(),
                    part.method.as_str().into(),
                    part.amount.into(),
                    part.attempt.map_or(Value::Null, Value::from),
                    part.status.as_str().into(),
                ]);
            }
        }
    }
    let sql = "INSERT INTO refund_parts ({names}) SELECT {names} FROM {rows} WHERE true ON CONFLICT (refund, n) DO UPDATE SET status = excluded.status";
    Write::new(sql, rows)
}

/// Refunds by id.
pub(super) struct RefundsById;

#[async_trait]
impl Look for RefundsById {
    type Item = RefundId;
    type Answer = Option<(Scope, Refund)>;
    const NAME: &'static str = "refund_look";

    async fn look(db: &Db, items: &[RefundId]) -> Result<Vec<Self::Answer>, StoreError> {
        let sql = format!("{REFUNDS} WHERE r.id IN (SELECT id FROM {{rows}}) ORDER BY r.id, p.n");
        let rows = db.read(&sql, Some(&Rows::ids(items.iter().map(RefundId::as_str))), &[]).await?;
        let found: HashMap<RefundId, (Scope, Refund)> = gather(&rows)?.into_iter().map(|found| (found.1.id.clone(), found)).collect();
        Ok(items.iter().map(|id| found.get(id).cloned()).collect())
    }
}

impl SqlStore {
    pub(super) async fn read_refund(&self, scope: &Scope, id: &RefundId) -> Result<Option<Refund>, StoreError> {
        Ok(self.refund_looks.call(id.clone()).await?.filter(|(owner, _)| owner == scope).map(|(_, refund)| refund))
    }

    pub(super) async fn list_refunds(&self, scope: &Scope, id: &CheckoutId) -> Result<Vec<Refund>, StoreError> {
        let sql = format!("{REFUNDS} WHERE r.checkout = {{1}} AND r.scope = {{2}} ORDER BY r.id, p.n");
        let rows = self.db.read(&sql, None, &[id.as_str().into(), scope.as_str().into()]).await?;
        Ok(gather(&rows)?.into_iter().map(|(_, refund)| refund).collect())
    }
}
