//! Sessions that are called off, and the jobs that give everybody back what was paid for them.
//!
//! Always: the session's row in `inventory` is locked before its document changes and its buyers are listed. Whoever begins a checkout
//! reads the document under the same lock, so that nobody buys a place who is not on the list.

use super::{
    SqlStore,
    answers::{self, Bound},
    bulk::Rows,
    db::{Tx, transact},
    jobs_again as again, load,
    read::page,
    stock,
    value::{Row, Value, corrupt},
};
use crate::{
    domain::{
        catalogue::{Kind, Session, SessionStatus},
        claim::StockKey,
        id::{CatalogueId, CheckoutId, JobId},
        job::{ItemState, Job, JobStatus},
        scope::Scope,
        time::Timestamp,
    },
    failpoint,
    ports::store::{CancelSession, JobBatch, JobChange, NewCancellation, Page, PageRequest, StoreError, StoredAnswer},
};
use std::time::Duration;

/// HTTP 202: what every job that was taken in is answered with.
const ACCEPTED: u16 = 202;
/// HTTP 200: what a session that was called off before is answered with.
const FOUND: u16 = 200;
/// A job's columns, in the order that `read` reads them.
const JOB: &str = "j.id, j.session, j.status, j.total, j.done, j.failed, j.reason, j.created_at, j.updated_at, j.completed_at, j.scope";

/// How items of a job stand now. By their ids, a statement for each state: of rows that are joined with a job's, SQLite goes through all of
/// the job's.
const STANDS: &str = "UPDATE job_items SET since = CASE WHEN state = {2} THEN since ELSE {3} END, looked_at = {3}, state = {2} \
     WHERE job = {1} AND checkout IN (SELECT id FROM {rows})";

fn read(row: &Row) -> Result<Job, StoreError> {
    let status = row.text(2)?;
    Ok(Job {
        id: JobId::parse(row.text(0)?).map_err(corrupt)?,
        object: Job::OBJECT,
        kind: Job::SESSION_CANCELLATION,
        session: CatalogueId::parse(row.text(1)?).map_err(corrupt)?,
        status: JobStatus::parse(&status).ok_or_else(|| corrupt(format!("job status {status:?}")))?,
        total: row.count(3)?,
        done: row.count(4)?,
        failed: row.count(5)?,
        reason: row.maybe_text(6)?,
        created_at: row.time(7)?,
        updated_at: row.time(8)?,
        completed_at: row.maybe_time(9)?,
    })
}

/// One job under its lock.
pub(super) async fn lock(tx: &mut Tx<'_>, scope: &Scope, id: &JobId) -> Result<Option<Job>, StoreError> {
    let sql = format!("SELECT {JOB} FROM jobs j WHERE j.id = {{1}} AND j.scope = {{2}} {{lock}}");
    tx.fetch(&sql, None, &[id.as_str().into(), scope.as_str().into()]).await?.first().map(read).transpose()
}

/// The job about a session that may run, under its lock: the one that has not ended, or the newest. It may be about to end. Whoever makes
/// one has the session's lock.
pub(super) async fn current(tx: &mut Tx<'_>, key: &StockKey) -> Result<Option<Job>, StoreError> {
    let sql = format!(
        "SELECT {JOB} FROM jobs j WHERE j.scope = {{1}} AND j.session = {{2}} \
         ORDER BY CASE WHEN j.status IN ('running', 'paused') THEN 0 ELSE 1 END, j.id DESC LIMIT 1 {{lock}}"
    );
    tx.fetch(&sql, None, &[key.scope.as_str().into(), key.id.as_str().into()]).await?.first().map(read).transpose()
}

/// Where a session stands in the catalogue, and in the inventory.
fn place(key: &StockKey) -> [Value; 3] {
    [key.scope.as_str().into(), key.kind.as_str().into(), key.id.as_str().into()]
}

/// A session's document as it is now.
pub(super) async fn session(tx: &mut Tx<'_>, key: &StockKey) -> Result<Option<Session>, StoreError> {
    let found = tx.fetch("SELECT doc FROM catalogue WHERE scope = {1} AND kind = {2} AND id = {3}", None, &place(key)).await?;
    found.first().map(|row| serde_json::from_str(&row.text(0)?).map_err(corrupt)).transpose()
}

/// Puts everybody on the job's list who has places; answers how many are on it.
async fn list_buyers(tx: &mut Tx<'_>, key: &StockKey, job: &JobId) -> Result<i64, StoreError> {
    // What an open offer of a waiting list holds is no checkout's; the expirer ends it.
    let sql = "INSERT INTO job_items (job, checkout, state) SELECT DISTINCT {1}, k.checkout, 'open' FROM claims k \
               JOIN checkouts c ON c.id = k.checkout WHERE k.scope = {2} AND k.kind = 'session' AND k.resource = {3} AND k.state <> 'released' \
               ON CONFLICT (job, checkout) DO NOTHING";
    tx.execute(sql, None, &[job.as_str().into(), key.scope.as_str().into(), key.id.as_str().into()]).await?;
    let counted = tx.fetch("SELECT COUNT(*) FROM job_items WHERE job = {1}", None, &[job.as_str().into()]).await?;
    counted.first().map_or(Ok(0), |row| row.int(0))
}

impl SqlStore {
    pub(super) async fn call_off(&self, new: &NewCancellation) -> Result<CancelSession, StoreError> {
        let key = StockKey { scope: new.scope.clone(), kind: Kind::Session, id: new.session.clone() };
        let called_off = transact!(self.db, tx => {
            // Whoever has the same key, or calls the same session off, waits for the same lock.
            if stock::lock(tx, &stock::keys([&key])).await?.is_empty() {
                return Ok(CancelSession::Missing);
            }
            let before = current(tx, &key).await?;
            if let Some(ours) = before.as_ref().filter(|job| job.id == new.id) {
                return Ok(CancelSession::Created(answer(ours, ACCEPTED)?));
            }
            if let Some(idempotency) = &new.idempotency {
                match answers::bound(tx, &new.scope, idempotency, new.id.as_str()).await? {
                    None => {}
                    Some(Bound::Ours(answer) | Bound::Same(answer)) => return Ok(CancelSession::Replayed(answer)),
                    Some(Bound::Other) => return Ok(CancelSession::KeyReused),
                }
            }
            let now = tx.now().await?;
            let Some(was_on) = self.take_off_sale(tx, &key, now).await? else { return Ok(CancelSession::Missing) };
            match before {
                Some(job) if !was_on => existing(tx, new, job, now).await,
                Some(job) if !job.status.has_ended() => {
                    // It was put on sale again meanwhile: who bought then is on the list, too.
                    let total = list_buyers(tx, &key, &job.id).await?;
                    let sql = "UPDATE jobs SET total = {2}, updated_at = {3} WHERE id = {1}";
                    tx.execute(sql, None, &[job.id.as_str().into(), total.into(), now.into()]).await?;
                    let job = lock(tx, &new.scope, &job.id).await?.unwrap_or(job);
                    existing(tx, new, job, now).await
                }
                Some(_) | None => {
                    let answer = make(tx, new, &key, now).await?;
                    failpoint::cross("change.before_commit").await?;
                    Ok(CancelSession::Created(answer))
                }
            }
        });
        let _ = failpoint::cross("change.after_commit").await;
        called_off
    }

    /// Changes the session's document, of which the row is locked. Answers whether it was on sale, or might have been; `None` when it is not there.
    async fn take_off_sale(&self, tx: &mut Tx<'_>, key: &StockKey, now: Timestamp) -> Result<Option<bool>, StoreError> {
        let Some(session) = session(tx, key).await? else { return Ok(None) };
        if session.status == SessionStatus::Canceled {
            return Ok(Some(false));
        }
        let doc = serde_json::to_string(&Session { status: SessionStatus::Canceled, ..session }).map_err(corrupt)?;
        let [scope, kind, id] = place(key);
        let sql = "UPDATE catalogue SET doc = {4}, version = version + 1, updated_at = {5} WHERE scope = {1} AND kind = {2} AND id = {3} RETURNING version";
        let written = tx.fetch(sql, None, &[scope.clone(), kind.clone(), id.clone(), doc.into(), now.into()]).await?;
        let version = written.first().map_or(Ok(0), |row| row.int(0))?;
        // Who remembers the document by its version has to read it again.
        let sql = "UPDATE inventory SET document = {4}, version = version + 1 WHERE scope = {1} AND kind = {2} AND id = {3}";
        tx.execute(sql, None, &[scope, kind, id, version.into()]).await?;
        self.session_changed(tx, key, now).await?;
        Ok(Some(true))
    }

    pub(super) async fn read_job(&self, scope: &Scope, id: &JobId) -> Result<Option<Job>, StoreError> {
        let sql = format!("SELECT {JOB} FROM jobs j WHERE j.id = {{1}} AND j.scope = {{2}}");
        self.db.read(&sql, None, &[id.as_str().into(), scope.as_str().into()]).await?.first().map(read).transpose()
    }

    pub(super) async fn list_jobs(&self, scope: &Scope, request: &PageRequest) -> Result<Page<Job>, StoreError> {
        let mut args: Vec<Value> = vec![scope.as_str().into(), (request.limit + 1).into()];
        let narrowed = request.after.as_ref().map_or("", |after| {
            args.push(after.as_str().into());
            "AND j.id < {3}"
        });
        let sql = format!("SELECT {JOB} FROM jobs j WHERE j.scope = {{1}} {narrowed} ORDER BY j.id DESC LIMIT {{2}}");
        let found = self.db.read(&sql, None, &args).await?.iter().map(read).collect::<Result<_, _>>()?;
        Ok(page(found, request.limit, |job: &Job| job.id.to_string()))
    }

    pub(super) async fn pause(&self, scope: &Scope, id: &JobId, paused: bool) -> Result<JobChange, StoreError> {
        let wanted = if paused { JobStatus::Paused } else { JobStatus::Running };
        transact!(self.db, tx => {
            let Some(job) = lock(tx, scope, id).await? else { return Ok(JobChange::Missing) };
            if job.status.has_ended() {
                return Ok(JobChange::Ended(Box::new(job)));
            }
            if job.status == wanted {
                return Ok(JobChange::Changed(Box::new(job)));
            }
            // Whoever has the lease writes down what it has done, and takes no more. The time to wait begins anew, for the audit too.
            let now = tx.now().await?;
            let sql = "UPDATE jobs SET status = {2}, updated_at = {3}, lease_until = CASE WHEN lease_until > {3} THEN lease_until ELSE {3} END WHERE id = {1}";
            tx.execute(sql, None, &[id.as_str().into(), wanted.as_str().into(), now.into()]).await?;
            Ok(JobChange::Changed(Box::new(Job { status: wanted, updated_at: now, ..job })))
        })
    }

    pub(super) async fn take_running(&self, lease_token: &str, lease_for: Duration) -> Result<Option<JobBatch>, StoreError> {
        // Most of the time there is none: that is found out without a transaction.
        if self.db.read("SELECT 1 FROM jobs WHERE status = 'running' LIMIT 1", None, &[]).await?.is_empty() {
            return Ok(None);
        }
        transact!(self.db, tx => {
            let now = tx.now().await?;
            let sql = format!(
                "SELECT {JOB} FROM jobs j WHERE j.status = 'running' AND (j.lease_until <= {{1}} OR j.lease_token = {{2}}) \
                 ORDER BY j.lease_until LIMIT 1 {{skip_locked}}"
            );
            let found = tx.fetch(&sql, None, &[now.into(), lease_token.into()]).await?;
            let Some(row) = found.first() else { return Ok(None) };
            let (job, scope) = (read(row)?, load::scope(&row.text(10)?)?);
            let sql = "UPDATE jobs SET lease_token = {2}, lease_until = {3} WHERE id = {1}";
            tx.execute(sql, None, &[job.id.as_str().into(), lease_token.into(), now.after(lease_for).into()]).await?;
            Ok(Some(again::batch(tx, job, scope, now).await?))
        })
    }

    pub(super) async fn save_batch(
        &self,
        id: &JobId,
        lease_token: &str,
        items: &[(CheckoutId, ItemState)],
        pause: Duration,
    ) -> Result<Option<Job>, StoreError> {
        transact!(self.db, tx => {
            let sql = format!("SELECT {JOB} FROM jobs j WHERE j.id = {{1}} AND j.lease_token = {{2}} {{lock}}");
            let found = tx.fetch(&sql, None, &[id.as_str().into(), lease_token.into()]).await?;
            let Some(mut job) = found.first().map(read).transpose()? else { return Ok(None) };
            let now = tx.now().await?;
            for state in ItemState::ALL {
                let those = Rows::ids(items.iter().filter(|(_, now)| *now == state).map(|(checkout, _)| checkout.as_str()));
                if those.is_empty() {
                    continue;
                }
                tx.execute(STANDS, Some(&those), &[id.as_str().into(), state.as_str().into(), now.into()]).await?;
            }
            let sql = "SELECT state, COUNT(*) FROM job_items WHERE job = {1} GROUP BY state";
            let mut left = 0;
            (job.done, job.failed) = (0, 0);
            for row in tx.fetch(sql, None, &[id.as_str().into()]).await? {
                match row.text(0)?.as_str() {
                    "done" => job.done = row.count(1)?,
                    "failed" => job.failed = row.count(1)?,
                    _ => left += row.count(1)?,
                }
            }
            job.updated_at = now;
            if left == 0 {
                job.status = if job.failed > 0 { JobStatus::Failed } else { JobStatus::Succeeded };
                job.completed_at = Some(now);
            }
            // The token stays, so that this very block finds its own earlier run.
            let sql = "UPDATE jobs SET status = {2}, done = {3}, failed = {4}, updated_at = {5}, completed_at = NULLIF({6}, 0), lease_until = {7} WHERE id = {1}";
            let args: [Value; 7] = [
                id.as_str().into(),
                job.status.as_str().into(),
                job.done.into(),
                job.failed.into(),
                now.into(),
                job.completed_at.map_or(0, Timestamp::millis).into(),
                now.after(pause).into(),
            ];
            tx.execute(sql, None, &args).await?;
            Ok(Some(job))
        })
    }
}

/// Makes the job, with everybody on its list, and binds the key to its answer.
async fn make(tx: &mut Tx<'_>, new: &NewCancellation, key: &StockKey, now: Timestamp) -> Result<StoredAnswer, StoreError> {
    let total = list_buyers(tx, key, &new.id).await?;
    let sql = "INSERT INTO jobs (id, scope, session, status, total, done, failed, reason, lease_until, created_at, updated_at) \
               VALUES ({1}, {2}, {3}, 'running', {4}, 0, 0, {5}, {6}, {6}, {6})";
    let args: [Value; 6] = [
        new.id.as_str().into(),
        new.scope.as_str().into(),
        new.session.as_str().into(),
        total.into(),
        new.reason.clone().into(),
        now.into(),
    ];
    tx.execute(sql, None, &args).await?;
    let made = lock(tx, &new.scope, &new.id).await?;
    let answer = answer(&made.ok_or_else(|| StoreError::Inconsistent("a job that was not made".to_owned()))?, ACCEPTED)?;
    if let Some(idempotency) = &new.idempotency {
        answers::bind(tx, &new.scope, idempotency, &answer, now).await?;
    }
    Ok(answer)
}

/// Answers with a job that is there, and binds the key to that: sent once more when the session is on sale again, the same request must
/// not call it off a second time.
async fn existing(tx: &mut Tx<'_>, new: &NewCancellation, job: Job, now: Timestamp) -> Result<CancelSession, StoreError> {
    if let Some(idempotency) = &new.idempotency {
        answers::bind(tx, &new.scope, idempotency, &answer(&job, FOUND)?, now).await?;
    }
    Ok(CancelSession::Existing(Box::new(job)))
}

fn answer(job: &Job, status: u16) -> Result<StoredAnswer, StoreError> {
    let body = serde_json::to_string(job).map_err(corrupt)?;
    Ok(StoredAnswer { status, object: job.id.to_string(), body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{id::Entropy, secret::Secret},
        ports::clock::SystemClock,
    };
    use std::sync::Arc;

    #[tokio::test]
    async fn what_became_of_a_batch_is_written_without_going_through_the_whole_list() {
        let folder = tempfile::tempdir().unwrap();
        let url = Secret::new(format!("sqlite://{}", folder.path().join("store.db").display()));
        let store = SqlStore::open(&url, Arc::new(SystemClock::default()), Arc::new(Entropy::from_seed(1))).await.unwrap();
        store.apply_migrations().await.unwrap();
        let args: [Value; 3] = ["job_1".into(), "done".into(), Timestamp::from_millis(1).into()];
        let plan = store.db.read(&format!("EXPLAIN QUERY PLAN {STANDS}"), Some(&Rows::ids(["chk_1", "chk_2"])), &args).await.unwrap();
        let steps: Vec<String> = plan.iter().map(|row| row.text(3).unwrap()).collect();
        assert!(steps[0].starts_with("SEARCH job_items") && steps[0].contains("checkout=?"), "{steps:?}");
    }
}
