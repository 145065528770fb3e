//! Deliveries: leased, tried, recorded; a batch in one transaction.

use super::{
    SqlStore,
    bulk::{Rows, Type::Int, Type::Text},
    db::{Db, Tx, transact},
    endpoints::first_secret,
    load,
    read::page,
    value::{Row, Value, corrupt},
};
use crate::{
    adapters::callback::signature::generate_secret,
    batch::BatchRun,
    domain::{
        delivery::{DeliveryJob, DeliveryRecord, DeliveryResult, DeliveryStatus, DeliveryTaken, DeliveryVerdict},
        id::{CheckoutId, DeliveryId, EndpointId, Entropy, EventId, WaitingId},
        scope::Scope,
        secret::Secret,
        time::Timestamp,
    },
    failpoint,
    ports::store::{Page, PageRequest, StoreError},
};
use async_trait::async_trait;
use std::{collections::HashMap, sync::Arc, time::Duration};

const COLUMNS: &str = "d.id, d.event, d.event_kind, d.checkout, d.endpoint, d.url, d.status, d.tries, d.last_status_code, d.last_error, \
     d.due_at, d.created_at, d.updated_at, d.scope, d.lease_token, d.lease_until";

fn read(row: &Row) -> Result<DeliveryRecord, StoreError> {
    let (subject, endpoint, status) = (row.text(3)?, row.text(4)?, row.text(6)?);
    // Other subjects have ids with other beginnings, all of our own making.
    let is_checkout = !subject.starts_with(WaitingId::PREFIX);
    Ok(DeliveryRecord {
        id: DeliveryId::parse(row.text(0)?).map_err(corrupt)?,
        event: EventId::parse(row.text(1)?).map_err(corrupt)?,
        event_type: row.text(2)?,
        checkout: is_checkout.then(|| CheckoutId::parse(subject.as_str())).transpose().map_err(corrupt)?,
        subject,
        endpoint: EndpointId::parse(endpoint).ok(),
        url: row.text(5)?,
        status: DeliveryStatus::parse(&status).ok_or_else(|| corrupt(format!("delivery status {status:?}")))?,
        tries: row.count(7)?,
        last_status_code: row.maybe_int(8)?.and_then(|code| u16::try_from(code).ok()),
        last_error: row.maybe_text(9)?,
        next_try_at: row.maybe_time(10)?,
        created_at: row.time(11)?,
        updated_at: row.time(12)?,
    })
}

/// A wish to send a delivery.
#[derive(Clone)]
pub(super) struct Take {
    pub(super) id: DeliveryId,
    pub(super) lease_token: String,
    pub(super) lease_for: Duration,
}

/// Runs takes.
pub(super) struct Takes {
    db: Db,
    entropy: Arc<Entropy>,
}

impl Takes {
    pub(super) fn new(db: Db, entropy: Arc<Entropy>) -> Self {
        Self { db, entropy }
    }
}

#[async_trait]
impl BatchRun for Takes {
    type Item = Take;
    type Answer = DeliveryTaken;
    type Error = StoreError;

    async fn run(&self, items: &[Take]) -> Result<Vec<DeliveryTaken>, StoreError> {
        transact!(self.db, tx => { take(tx, items, &self.entropy).await })
    }

    fn name(&self) -> Option<&'static str> {
        Some("take")
    }

    fn worth_retrying(&self, error: &StoreError) -> bool {
        !matches!(error, StoreError::Unavailable(_))
    }

    fn runs_for_nobody(&self) -> bool {
        false
    }
}

/// A delivery's row under its lock.
struct Held {
    scope: Scope,
    record: DeliveryRecord,
    lease_token: Option<String>,
    lease_until: Option<Timestamp>,
}

async fn lock<'i>(tx: &mut Tx<'_>, ids: impl Iterator<Item = &'i DeliveryId>) -> Result<HashMap<DeliveryId, Held>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM deliveries d WHERE d.id IN (SELECT id FROM {{rows}}) ORDER BY d.id {{lock}}");
    let rows = tx.fetch(&sql, Some(&Rows::ids(ids.map(DeliveryId::as_str))), &[]).await?;
    rows.iter()
        .map(|row| {
            let record = read(row)?;
            let held =
                Held { scope: load::scope(&row.text(13)?)?, lease_token: row.maybe_text(14)?, lease_until: row.maybe_time(15)?, record };
            Ok((held.record.id.clone(), held))
        })
        .collect()
}

async fn take(tx: &mut Tx<'_>, items: &[Take], entropy: &Entropy) -> Result<Vec<DeliveryTaken>, StoreError> {
    let mut held = lock(tx, items.iter().map(|item| &item.id)).await?;
    let now = tx.now().await?;
    let mut answers = Vec::with_capacity(items.len());
    let mut leases = Rows::new(&[("id", Text), ("lease_token", Text), ("lease_until", Int)]);
    for item in items {
        let Some(delivery) = held.remove(&item.id).filter(|delivery| delivery.record.status == DeliveryStatus::Pending) else {
            answers.push(DeliveryTaken::Done);
            continue;
        };
        let ours = delivery.lease_token.as_deref() == Some(item.lease_token.as_str());
        let leased = delivery.lease_until.filter(|&until| until > now && !ours);
        // A lease moves `due_at` to its own end, so only one of the two is looked at.
        let early = delivery.record.next_try_at.filter(|&due| due > now && !ours);
        if let Some(until) = leased.or(early) {
            answers.push(DeliveryTaken::Busy(until));
            continue;
        }
        leases.push([item.id.as_str().into(), item.lease_token.as_str().into(), now.after(item.lease_for).into()]);
        answers.push(DeliveryTaken::Send(Box::new(DeliveryJob {
            scope: delivery.scope,
            record: delivery.record,
            body: String::new(),
            secrets: Vec::new(),
            lease_token: item.lease_token.clone(),
        })));
    }
    if !leases.is_empty() {
        let sql = "UPDATE deliveries SET lease_token = r.lease_token, lease_until = r.lease_until, due_at = r.lease_until FROM {rows} WHERE deliveries.id = r.id";
        tx.execute(sql, Some(&leases), &[]).await?;
    }
    fill(tx, &mut answers, entropy, now).await?;
    Ok(answers)
}

/// Adds the frozen bodies and the live secrets.
async fn fill(tx: &mut Tx<'_>, answers: &mut [DeliveryTaken], entropy: &Entropy, now: Timestamp) -> Result<(), StoreError> {
    let mut jobs: Vec<&mut DeliveryJob> =
        answers.iter_mut().filter_map(|answer| if let DeliveryTaken::Send(job) = answer { Some(&mut **job) } else { None }).collect();
    if jobs.is_empty() {
        return Ok(());
    }
    let events = Rows::ids(jobs.iter().map(|job| job.record.event.as_str()));
    let rows = tx.fetch("SELECT id, body FROM events WHERE id IN (SELECT id FROM {rows})", Some(&events), &[]).await?;
    let bodies: HashMap<String, String> = rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect::<Result<_, StoreError>>()?;
    for job in &mut jobs {
        job.body = bodies.get(job.record.event.as_str()).cloned().ok_or_else(|| corrupt(format!("no event {}", job.record.event)))?;
        job.secrets = secrets(tx, job, now).await?;
        if job.secrets.is_empty() {
            // A scope's first callback may come before anybody asked for its secret.
            let candidate = generate_secret(entropy);
            job.secrets = vec![first_secret(tx, &job.scope, owner(job), &candidate).await?];
        }
    }
    Ok(())
}

fn owner(job: &DeliveryJob) -> &str {
    job.record.endpoint.as_ref().map_or("", EndpointId::as_str)
}

async fn secrets(tx: &mut Tx<'_>, job: &DeliveryJob, now: Timestamp) -> Result<Vec<Secret<String>>, StoreError> {
    let sql = "SELECT secret FROM webhook_secrets WHERE scope = {1} AND endpoint = {2} AND secret <> '' AND (expires_at IS NULL OR expires_at > {3}) \
               ORDER BY expires_at IS NULL DESC, created_at DESC LIMIT 2";
    let rows = tx.fetch(sql, None, &[job.scope.as_str().into(), owner(job).into(), now.into()]).await?;
    rows.iter().map(|row| row.text(0).map(Secret::new)).collect()
}

/// Runs records.
pub(super) struct Records {
    db: Db,
}

impl Records {
    pub(super) fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl BatchRun for Records {
    type Item = DeliveryResult;
    type Answer = bool;
    type Error = StoreError;

    async fn run(&self, items: &[DeliveryResult]) -> Result<Vec<bool>, StoreError> {
        let answers = transact!(self.db, tx => { record(tx, items).await })?;
        let _ = failpoint::cross("delivery.after_record").await;
        Ok(answers)
    }

    fn name(&self) -> Option<&'static str> {
        Some("record")
    }

    fn worth_retrying(&self, error: &StoreError) -> bool {
        !matches!(error, StoreError::Unavailable(_))
    }
}

async fn record(tx: &mut Tx<'_>, items: &[DeliveryResult]) -> Result<Vec<bool>, StoreError> {
    let mut held = lock(tx, items.iter().map(|item| &item.id)).await?;
    let now = tx.now().await?;
    let mut rows = Rows::new(&[
        ("id", Text),
        ("status", Text),
        ("tries", Int),
        ("last_status_code", Int),
        ("last_error", Text),
        ("due_at", Int),
        ("updated_at", Int),
    ]);
    let mut answers = Vec::with_capacity(items.len());
    for item in items {
        let ours = |delivery: &Held| delivery.lease_token.as_deref() == Some(item.lease_token.as_str());
        let Some(delivery) = held.remove(&item.id).filter(ours).filter(|held| held.record.status == DeliveryStatus::Pending) else {
            answers.push(false);
            continue;
        };
        let (status, due) = match item.verdict {
            DeliveryVerdict::Delivered => (DeliveryStatus::Succeeded, None),
            DeliveryVerdict::RetryIn(wait) => (DeliveryStatus::Pending, Some(now.after(wait))),
            DeliveryVerdict::GiveUp | DeliveryVerdict::Disable => (DeliveryStatus::Failed, None),
        };
        if let (DeliveryVerdict::Disable, Some(endpoint)) = (item.verdict, &delivery.record.endpoint) {
            let sql = "UPDATE webhook_endpoints SET enabled = 0, updated_at = {3} WHERE scope = {1} AND id = {2}";
            tx.execute(sql, None, &[delivery.scope.as_str().into(), endpoint.as_str().into(), now.into()]).await?;
        }
        rows.push([
            item.id.as_str().into(),
            status.as_str().into(),
            delivery.record.tries.saturating_add(1).into(),
            item.status_code.map(i64::from).into(),
            item.error.clone().into(),
            due.into(),
            now.into(),
        ]);
        answers.push(true);
    }
    if !rows.is_empty() {
        let sql = "UPDATE deliveries SET status = r.status, tries = r.tries, last_status_code = r.last_status_code, last_error = r.last_error, \
                   due_at = r.due_at, updated_at = r.updated_at, rescues = 0, lease_token = NULL, lease_until = NULL FROM {rows} WHERE deliveries.id = r.id";
        tx.execute(sql, Some(&rows), &[]).await?;
    }
    Ok(answers)
}

impl SqlStore {
    pub(super) async fn read_delivery(&self, scope: &Scope, id: &DeliveryId) -> Result<Option<DeliveryRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM deliveries d WHERE d.scope = {{1}} AND d.id = {{2}}");
        self.db.read(&sql, None, &[scope.as_str().into(), id.as_str().into()]).await?.first().map(read).transpose()
    }

    pub(super) async fn list_deliveries(
        &self,
        scope: &Scope,
        checkout: Option<&CheckoutId>,
        status: Option<DeliveryStatus>,
        request: &PageRequest,
    ) -> Result<Page<DeliveryRecord>, StoreError> {
        let mut args: Vec<Value> = vec![scope.as_str().into()];
        let mut conditions = String::from("d.scope = {1}");
        let mut narrow = |column: &str, value: Option<&str>| {
            if let Some(value) = value {
                args.push(value.into());
                conditions.push_str(&format!(" AND {column} {{{}}}", args.len()));
            }
        };
        narrow("d.id <", request.after.as_deref());
        narrow("d.checkout =", checkout.map(CheckoutId::as_str));
        narrow("d.status =", status.map(DeliveryStatus::as_str));
        let sql = format!("SELECT {COLUMNS} FROM deliveries d WHERE {conditions} ORDER BY d.id DESC LIMIT {}", request.limit + 1);
        let rows = self.db.read(&sql, None, &args).await?.iter().map(read).collect::<Result<_, _>>()?;
        Ok(page(rows, request.limit, |delivery: &DeliveryRecord| delivery.id.to_string()))
    }

    pub(super) async fn replay(&self, scope: &Scope, id: &DeliveryId) -> Result<bool, StoreError> {
        transact!(self.db, tx => {
            let now = tx.now().await?;
            let sql = "UPDATE deliveries SET status = 'pending', tries = 0, due_at = {3}, rescues = 0, lease_token = NULL, lease_until = NULL, \
                       updated_at = {3} WHERE scope = {1} AND id = {2}";
            Ok(tx.execute(sql, None, &[scope.as_str().into(), id.as_str().into(), now.into()]).await? > 0)
        })
    }
}
