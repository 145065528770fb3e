//! Jobs: work that takes long, with progress that can be stopped and resumed.

use super::{
    checkouts::{IdempotencyRow, StoredAnswer},
    error::StoreError,
    paging::{Page, PageRequest},
};
use crate::domain::{
    id::{CatalogueId, CheckoutId, JobId},
    job::{ItemState, Job},
    scope::Scope,
};
use async_trait::async_trait;
use std::{collections::HashMap, time::Duration};

/// A session to be called off.
#[derive(Debug, Clone)]
pub struct NewCancellation {
    /// The job's id, made by the caller: a repeated call after a lost answer is told by it.
    pub id: JobId,
    /// Whose.
    pub scope: Scope,
    /// Which session.
    pub session: CatalogueId,
    /// The client's own words.
    pub reason: Option<String>,
    /// The client's key.
    pub idempotency: Option<IdempotencyRow>,
}

/// What calling a session off came to.
#[derive(Debug, Clone)]
pub enum CancelSession {
    /// Durable now: nobody buys a place any more, and the job runs.
    Created(StoredAnswer),
    /// The same key and body came before.
    Replayed(StoredAnswer),
    /// The same key came before with another body: 422.
    KeyReused,
    /// It is called off already, by this job.
    Existing(Box<Job>),
    /// No such session in this scope: 404.
    Missing,
}

/// What pausing, resuming or trying again came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobChange {
    /// It is as it was asked for, now or before.
    Changed(Box<Job>),
    /// It has come to its end: 409.
    Ended(Box<Job>),
    /// Its session was called off once more, and what is left to do is this job's: 409.
    Superseded(JobId),
    /// No such job in this scope: 404.
    Missing,
}

/// A part of a job to be worked on, under a lease.
#[derive(Debug, Clone)]
pub struct JobBatch {
    /// The job.
    pub job: Job,
    /// Whose.
    pub scope: Scope,
    /// What is to be looked at: first what is under way, then what nobody has looked at, `job::MAX_UNDER_WAY` together; then as many at the
    /// most of those that have been under way for longer than `job::SLOW`.
    pub checkouts: Vec<CheckoutId>,
    /// Of those that somebody asked to be tried again: how often.
    pub retries: HashMap<CheckoutId, u32>,
}

/// Jobs.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Calls a session off under its lock, and makes the job that gives everybody back what was paid for it.
    async fn cancel_session(&self, new: &NewCancellation) -> Result<CancelSession, StoreError>;

    /// One job of this scope.
    async fn job(&self, scope: &Scope, id: &JobId) -> Result<Option<Job>, StoreError>;

    /// A page of jobs, newest first.
    async fn jobs(&self, scope: &Scope, page: &PageRequest) -> Result<Page<Job>, StoreError>;

    /// Stops a job, or lets it go on.
    async fn pause_job(&self, scope: &Scope, id: &JobId, paused: bool) -> Result<JobChange, StoreError>;

    /// What has failed of a job is tried anew, each with a refund of its own; a job that has ended runs again, unless there
    /// is a later one about its session. Nothing failed: nothing changes.
    async fn retry_job(&self, scope: &Scope, id: &JobId) -> Result<JobChange, StoreError>;

    /// Takes the running job that has waited longest and that nobody holds. It is the caller's for `lease_for`.
    async fn take_job(&self, lease_token: &str, lease_for: Duration) -> Result<Option<JobBatch>, StoreError>;

    /// Writes down what was done, ends the job when nothing is left, and gives the lease back: it is taken again after `pause`.
    /// `None` when somebody else has the lease by now; then nothing is written.
    async fn save_job(
        &self,
        id: &JobId,
        lease_token: &str,
        items: &[(CheckoutId, ItemState)],
        pause: Duration,
    ) -> Result<Option<Job>, StoreError>;
}
