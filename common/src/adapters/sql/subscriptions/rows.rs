//! Rows into subscriptions and back.

use super::super::{
    SqlStore,
    bulk::{Column, Rows, Type::Int, Type::Text},
    db::Tx,
    load,
    read::page,
    script::Write,
    value::{Row, Value, corrupt},
};
use crate::{
    domain::{
        id::{CatalogueId, CheckoutId, CustomerId, LineId, PaymentMethodId, SubscriptionId},
        schedule::Period,
        scope::Scope,
        subscription::{Pause, Subscription, SubscriptionStatus, UnderWay},
    },
    ports::store::{Page, PageRequest, StoreError, SubscriptionFilter},
};

/// A subscription's columns, in the order that `read` reads them.
pub(super) const SUBSCRIPTION: &str = "s.id, s.scope, s.customer, s.plan, s.doc, s.status, s.version, s.method, s.period, s.period_from, \
     s.period_until, s.asked, s.starts_at, s.base, s.tries, s.renewal, s.called_off, s.error, s.cancel_at_period_end, s.paused_at, \
     s.ended_at, s.due_at, s.checkout, s.line, s.created_at, s.updated_at, s.pause_reason";

/// What never changes first, then what does.
const COLUMNS: &[Column; 27] = &[
    ("id", Text),
    ("scope", Text),
    ("customer", Text),
    ("plan", Text),
    ("doc", Text),
    ("checkout", Text),
    ("line", Text),
    ("created_at", Int),
    ("status", Text),
    ("version", Int),
    ("method", Text),
    ("period", Int),
    ("period_from", Int),
    ("period_until", Int),
    ("asked", Int),
    ("starts_at", Int),
    ("base", Int),
    ("tries", Int),
    ("renewal", Text),
    ("called_off", Int),
    ("error", Text),
    ("cancel_at_period_end", Int),
    ("paused_at", Int),
    ("pause_reason", Text),
    ("ended_at", Int),
    ("due_at", Int),
    ("updated_at", Int),
];
/// How many of them never change.
const FROZEN: usize = 8;

pub(super) fn read(row: &Row) -> Result<Subscription, StoreError> {
    let status = row.text(5)?;
    let checkout = row.maybe_text(15)?.map(CheckoutId::parse).transpose().map_err(corrupt)?;
    let is_called_off = row.int(16)? != 0;
    let reason = row.maybe_text(26)?;
    let pause = row.maybe_time(19)?.map(|since| Pause { since, reason });
    Ok(Subscription {
        id: SubscriptionId::parse(row.text(0)?).map_err(corrupt)?,
        scope: load::scope(&row.text(1)?)?,
        customer: CustomerId::parse(row.text(2)?).map_err(corrupt)?,
        plan: CatalogueId::parse(row.text(3)?).map_err(corrupt)?,
        agreement: serde_json::from_str(&row.text(4)?).map_err(corrupt)?,
        status: SubscriptionStatus::parse(&status).ok_or_else(|| corrupt(format!("subscription status {status:?}")))?,
        version: row.int(6)?,
        method: PaymentMethodId::parse(row.text(7)?).map_err(corrupt)?,
        period: Period { n: row.count(8)?, from: row.time(9)?, until: row.time(10)? },
        asked: row.count(11)?,
        starts_at: row.time(12)?,
        base: row.count(13)?,
        tries: row.count(14)?,
        renewal: checkout.map(|checkout| UnderWay { checkout, is_called_off }),
        error: row.maybe_text(17)?.map(|text| serde_json::from_str(&text)).transpose().map_err(corrupt)?,
        cancel_at_period_end: row.int(18)? != 0,
        pause,
        ended_at: row.maybe_time(20)?,
        due_at: row.maybe_time(21)?,
        sold_by: (CheckoutId::parse(row.text(22)?).map_err(corrupt)?, LineId::parse(row.text(23)?).map_err(corrupt)?),
        created_at: row.time(24)?,
        updated_at: row.time(25)?,
    })
}

fn values(subscription: &Subscription) -> Result<[Value; 27], StoreError> {
    let (checkout, line) = &subscription.sold_by;
    let (renewal, error, pause) = (subscription.renewal.as_ref(), subscription.error.as_ref(), subscription.pause.as_ref());
    Ok([
        subscription.id.as_str().into(),
        subscription.scope.as_str().into(),
        subscription.customer.as_str().into(),
        subscription.plan.as_str().into(),
        serde_json::to_string(&subscription.agreement).map_err(corrupt)?.into(),
        checkout.as_str().into(),
        line.as_str().into(),
        subscription.created_at.into(),
        subscription.status.as_str().into(),
        subscription.version.into(),
        subscription.method.as_str().into(),
        subscription.period.n.into(),
        subscription.period.from.into(),
        subscription.period.until.into(),
        subscription.asked.into(),
        subscription.starts_at.into(),
        subscription.base.into(),
        subscription.tries.into(),
        renewal.map(|renewal| renewal.checkout.as_str()).into(),
        i64::from(renewal.is_some_and(|renewal| renewal.is_called_off)).into(),
        error.map(serde_json::to_string).transpose().map_err(corrupt)?.into(),
        i64::from(subscription.cancel_at_period_end).into(),
        pause.map(|pause| pause.since).into(),
        pause.and_then(|pause| pause.reason.as_deref()).into(),
        subscription.ended_at.into(),
        subscription.due_at.into(),
        subscription.updated_at.into(),
    ])
}

/// Writes new ones.
pub(super) fn insert<'s>(subscriptions: impl Iterator<Item = &'s Subscription>) -> Result<Write, StoreError> {
    Ok(Write::insert("subscriptions", rows(subscriptions)?))
}

/// Writes what changed of some, each one version on: a compare-and-set. Their rows are locked: another version is our own bug.
pub(super) fn update<'s>(subscriptions: impl Iterator<Item = &'s Subscription>) -> Result<Write, StoreError> {
    let rows = rows(subscriptions)?;
    let set: Vec<String> = COLUMNS.iter().skip(FROZEN).map(|(name, _)| format!("{name} = r.{name}")).collect();
    let sql = format!(
        "UPDATE subscriptions SET {} FROM {{rows}} WHERE subscriptions.id = r.id AND subscriptions.version = r.version - 1",
        set.join(", ")
    );
    let count = rows.data.len() as u64;
    Ok(Write::new(sql, rows).must_change("subscriptions", count))
}

fn rows<'s>(subscriptions: impl Iterator<Item = &'s Subscription>) -> Result<Rows, StoreError> {
    let mut rows = Rows::new(COLUMNS);
    for subscription in subscriptions {
        rows.push(values(subscription)?);
    }
    Ok(rows)
}

/// Locks some, in id order.
pub(super) async fn lock<'i>(tx: &mut Tx<'_>, ids: impl Iterator<Item = &'i SubscriptionId>) -> Result<Vec<Subscription>, StoreError> {
    let ids = Rows::ids(ids.map(SubscriptionId::as_str));
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT {SUBSCRIPTION} FROM subscriptions s WHERE s.id IN (SELECT id FROM {{rows}}) ORDER BY s.id {{lock}}");
    tx.fetch(&sql, Some(&ids), &[]).await?.iter().map(read).collect()
}

impl SqlStore {
    pub(in super::super) async fn read_subscription(&self, scope: &Scope, id: &SubscriptionId) -> Result<Option<Subscription>, StoreError> {
        let sql = format!("SELECT {SUBSCRIPTION} FROM subscriptions s WHERE s.id = {{1}} AND s.scope = {{2}}");
        self.db.read(&sql, None, &[id.as_str().into(), scope.as_str().into()]).await?.first().map(read).transpose()
    }

    pub(in super::super) async fn list_subscriptions(
        &self,
        scope: &Scope,
        filter: &SubscriptionFilter,
        request: &PageRequest,
    ) -> Result<Page<Subscription>, StoreError> {
        let mut args: Vec<Value> = vec![scope.as_str().into()];
        let mut conditions = String::from("s.scope = {1}");
        let mut narrow = |condition: &str, value: Value| {
            args.push(value);
            conditions.push_str(&format!(" AND {condition} {{{}}}", args.len()));
        };
        if let Some(after) = &request.after {
            narrow("s.id <", after.as_str().into());
        }
        if let Some(customer) = &filter.customer {
            narrow("s.customer =", customer.as_str().into());
        }
        if let Some(status) = filter.status {
            narrow("s.status =", status.as_str().into());
        }
        let sql = format!("SELECT {SUBSCRIPTION} FROM subscriptions s WHERE {conditions} ORDER BY s.id DESC LIMIT {}", request.limit + 1);
        let found = self.db.read(&sql, None, &args).await?.iter().map(read).collect::<Result<_, _>>()?;
        Ok(page(found, request.limit, |subscription: &Subscription| subscription.id.to_string()))
    }
}
