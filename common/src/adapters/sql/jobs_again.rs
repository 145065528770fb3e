//! What of a job is looked at next; and what is looked at again: at a person's wish, or because an operator or the provider has
//! decided about it.
//!
//! Always: a job's row is locked before its items change, and behind every lock of a checkout.

use super::{
    SqlStore,
    bulk::Rows,
    db::{Tx, transact},
    jobs, load,
    value::{Value, corrupt},
};
use crate::{
    domain::{
        catalogue::{Kind, SessionStatus},
        claim::StockKey,
        id::{CatalogueId, CheckoutId, JobId},
        job::{ItemState, Job, JobStatus, MAX_UNDER_WAY, SLOW},
        scope::Scope,
        time::Timestamp,
    },
    ports::store::{JobBatch, JobChange, StoreError},
};
use std::collections::{BTreeSet, HashMap};

const ITEM: &str = "SELECT checkout, retries FROM job_items WHERE";

/// Every one that is under way is looked at, and as many new ones come to them as there may be. Those that are slow take nobody's place,
/// and their turns.
pub(super) async fn batch(tx: &mut Tx<'_>, job: Job, scope: Scope, now: Timestamp) -> Result<JobBatch, StoreError> {
    let (slow_since, most) = (now.before(SLOW), Value::from(MAX_UNDER_WAY));
    let under_way = |which: &str| format!("job = {{1}} AND state = '{}' AND {which}", ItemState::UnderWay.as_str());
    let args = |more: [Value; 2]| {
        let [second, third] = more;
        [job.id.as_str().into(), second, third]
    };
    let fresh = format!("{} ORDER BY checkout LIMIT {{3}}", under_way("since > {2}"));
    let mut found = tx.fetch(&format!("{ITEM} {fresh}"), None, &args([slow_since.into(), most.clone()])).await?;
    let room = MAX_UNDER_WAY.saturating_sub(found.len());
    // Not as an argument: an index of only what is left is used where the statement itself says so.
    let open = format!("{ITEM} job = {{1}} AND state = '{}' ORDER BY checkout LIMIT {{2}}", ItemState::Open.as_str());
    found.extend(tx.fetch(&open, None, &[job.id.as_str().into(), room.into()]).await?);
    let slow = format!("{} ORDER BY looked_at, checkout LIMIT {{3}}", under_way("since <= {2}"));
    found.extend(tx.fetch(&format!("{ITEM} {slow}"), None, &args([slow_since.into(), most])).await?);
    let (mut checkouts, mut retries) = (Vec::with_capacity(found.len()), HashMap::new());
    for row in found {
        let checkout = CheckoutId::parse(row.text(0)?).map_err(corrupt)?;
        if let times @ 1.. = row.count(1)? {
            retries.insert(checkout.clone(), times);
        }
        checkouts.push(checkout);
    }
    Ok(JobBatch { job, scope, checkouts, retries })
}

/// Something was decided about these checkouts, or about one of their refunds, by an operator or by the provider's own word: a job that has
/// given up on one, or was done with it, looks at it again. Of several about a session it is the one that may run, and it takes over what
/// only an earlier one knew of. One that has ended stays so where the session is called off no longer: the places are their buyers'. The
/// checkouts are locked.
pub(super) async fn look_again<'c>(
    tx: &mut Tx<'_>,
    checkouts: impl IntoIterator<Item = &'c CheckoutId>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let checkouts = Rows::ids(checkouts.into_iter().map(CheckoutId::as_str));
    if checkouts.is_empty() {
        return Ok(());
    }
    // All of a session's, so that nobody makes another one meanwhile.
    let sql = "SELECT j.scope, j.session FROM jobs j WHERE (j.scope, j.session) IN (SELECT l.scope, l.session FROM jobs l \
               WHERE l.id IN (SELECT job FROM job_items WHERE checkout IN (SELECT id FROM {rows}))) ORDER BY j.id {lock}";
    let mut keys = BTreeSet::new();
    for row in tx.fetch(sql, Some(&checkouts), &[]).await? {
        let id = CatalogueId::parse(row.text(1)?).map_err(corrupt)?;
        keys.insert(StockKey { scope: load::scope(&row.text(0)?)?, kind: Kind::Session, id });
    }
    for key in keys {
        // A statement of its own: whom the locks had to wait for may have made one.
        let Some(job) = jobs::current(tx, &key).await? else { continue };
        if job.status.has_ended() && !is_called_off(tx, &key).await? {
            continue;
        }
        let sql = "INSERT INTO job_items (job, checkout, state) SELECT {1}, r.id, 'open' FROM {rows} WHERE EXISTS \
                   (SELECT 1 FROM job_items i JOIN jobs j ON j.id = i.job WHERE i.checkout = r.id AND j.scope = {2} AND j.session = {3}) \
                   ON CONFLICT (job, checkout) DO UPDATE SET state = 'open' WHERE job_items.state IN ('done', 'failed')";
        tx.execute(sql, Some(&checkouts), &[job.id.as_str().into(), key.scope.as_str().into(), key.id.as_str().into()]).await?;
        // Whoever works on it has perhaps read what was true before, and must not write that down.
        let sql = "UPDATE jobs SET status = CASE WHEN status = 'paused' THEN status ELSE 'running' END, completed_at = NULL, \
                   total = (SELECT COUNT(*) FROM job_items WHERE job = {1}), lease_token = NULL, lease_until = {2}, updated_at = {2} \
                   WHERE id = {1}";
        tx.execute(sql, None, &[job.id.as_str().into(), now.into()]).await?;
    }
    Ok(())
}

/// Whether it is still so: it may have been put on sale again.
async fn is_called_off(tx: &mut Tx<'_>, key: &StockKey) -> Result<bool, StoreError> {
    Ok(jobs::session(tx, key).await?.is_none_or(|session| session.status == SessionStatus::Canceled))
}

impl SqlStore {
    pub(super) async fn retry_failed(&self, scope: &Scope, id: &JobId) -> Result<JobChange, StoreError> {
        transact!(self.db, tx => {
            let Some(job) = jobs::lock(tx, scope, id).await? else { return Ok(JobChange::Missing) };
            if job.status.has_ended() && job.failed > 0 {
                let key = StockKey { scope: scope.clone(), kind: Kind::Session, id: job.session.clone() };
                if let Some(other) = jobs::current(tx, &key).await?.filter(|other| other.id != job.id) {
                    return Ok(JobChange::Superseded(other.id));
                }
            }
            let sql = "UPDATE job_items SET state = 'open', retries = retries + 1 WHERE job = {1} AND state = 'failed'";
            if tx.execute(sql, None, &[id.as_str().into()]).await? == 0 {
                return Ok(JobChange::Changed(Box::new(job)));
            }
            let now = tx.now().await?;
            let status = if job.status == JobStatus::Paused { JobStatus::Paused } else { JobStatus::Running };
            let sql = "UPDATE jobs SET status = {2}, failed = 0, completed_at = NULL, updated_at = {3}, \
                       lease_until = CASE WHEN lease_until > {3} THEN lease_until ELSE {3} END WHERE id = {1}";
            tx.execute(sql, None, &[id.as_str().into(), status.as_str().into(), now.into()]).await?;
            Ok(JobChange::Changed(Box::new(Job { status, failed: 0, completed_at: None, updated_at: now, ..job })))
        })
    }
}
