//! Work that takes long and that a client starts with one request: calling a session off, and giving back what was paid for it.
//!
//! Always: what a job does with a checkout is decided from the checkout and its refunds as they are now, never from what the job remembers,
//! so that a job which was killed anywhere goes on without doing anything twice.

use super::{
    checkout::Checkout,
    id::{BadId, CatalogueId, CheckoutId, JobId, LineId, RefundId},
    line::{Item, Line},
    money::{Amount, MoneyError},
    refund::{Refund, RefundAsk, RefundStatus, refundable},
    refund_part::left_by_line,
    state::Status,
    time::Timestamp,
};
use serde::Serialize;
use std::time::Duration;

/// The most checkouts of a job that are under way at once: so few that refunds do not hold up new sales.
pub const MAX_UNDER_WAY: usize = 50;
/// What has been under way for longer than that holds up nobody else: its provider does not answer, and may not for hours.
pub const SLOW: Duration = Duration::from_secs(60);

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// Somebody works on it, or will in a moment.
    Running,
    /// Stopped until it is resumed. What is under way comes to its end.
    Paused,
    /// Everything is done.
    Succeeded,
    /// It has come to its end, and some of it could not be done.
    Failed,
}

impl JobStatus {
    /// Every status, for documentation and tests.
    pub const ALL: [Self; 4] = [Self::Running, Self::Paused, Self::Succeeded, Self::Failed];

    /// As it stands in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether nothing is left to do.
    pub const fn has_ended(self) -> bool {
        match self {
            Self::Running | Self::Paused => false,
            Self::Succeeded | Self::Failed => true,
        }
    }
}

/// What is done about one checkout of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemState {
    /// Nothing yet.
    Open,
    /// Its refund or its cancel is under way.
    UnderWay,
    /// Everything.
    Done,
    /// It could not be: a person has to look.
    Failed,
}

impl ItemState {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Open, Self::UnderWay, Self::Done, Self::Failed];

    /// As it stands in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::UnderWay => "under_way",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// A job: a session that is called off. Shown as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Job {
    /// Public id.
    pub id: JobId,
    /// `job`.
    pub object: &'static str,
    /// `session_cancellation`.
    pub kind: &'static str,
    /// Which session.
    pub session: CatalogueId,
    /// Where it stands.
    pub status: JobStatus,
    /// How many checkouts had places when it was asked for.
    pub total: u32,
    /// Of how many the places are free and the money is back.
    pub done: u32,
    /// Of how many it could not be done: their refund failed, or they need review.
    pub failed: u32,
    /// The client's own words.
    pub reason: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it came to its end.
    pub completed_at: Option<Timestamp>,
}

impl Job {
    /// What its object is.
    pub const OBJECT: &'static str = "job";
    /// The one kind there is.
    pub const SESSION_CANCELLATION: &'static str = "session_cancellation";

    /// The id of its refund of a checkout: always the same, so that there is one. `retries`: how often somebody asked for another one
    /// after it had failed.
    pub fn refund_of(&self, checkout: &CheckoutId, retries: u32) -> Result<RefundId, BadId> {
        let (job, checkout) = (bare(self.id.as_str(), JobId::PREFIX), bare(checkout.as_str(), CheckoutId::PREFIX));
        let again = if retries == 0 { String::new() } else { format!("_{retries}") };
        RefundId::parse(format!("{}_{job}_{checkout}{again}", RefundId::PREFIX))
    }
}

fn bare<'t>(id: &'t str, prefix: &str) -> &'t str {
    id.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).unwrap_or(id)
}

/// Whether some job has asked for this refund: it has an id as of [`Job::refund_of`], and no client's has.
fn is_of_a_job(refund: &Refund, checkout: &CheckoutId) -> bool {
    let of_checkout = bare(refund.id.as_str(), RefundId::PREFIX).split_once('_').map(|(_, of_checkout)| of_checkout);
    let again = of_checkout.and_then(|of_checkout| of_checkout.strip_prefix(bare(checkout.as_str(), CheckoutId::PREFIX)));
    again.is_some_and(|again| again.is_empty() || again.starts_with('_'))
}

/// What is to be done about a checkout that has places of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// Ask for it to be canceled.
    Cancel,
    /// Ask for this to go back.
    Refund(RefundAsk),
    /// Look at it again later.
    Wait,
    /// Nothing more.
    Nothing,
    /// Nothing that could be done without a person.
    Stuck,
}

/// Decides what is to be done about a checkout, of which `refunds` are all that there are; `ours` is the id of the job's own, of which
/// earlier ones may have failed. What failed since the job was asked for is asked for anew when somebody says so, also where it was the
/// refund of an earlier job about the session; what had failed before is asked for anew by calling the session off once more. Nobody is
/// asked while it is not known what became of an earlier one.
/// Errors: amounts that do not add up.
pub fn undo(mut checkout: Checkout, refunds: Vec<Refund>, ours: &RefundId, job: &Job) -> Result<Undo, MoneyError> {
    match checkout.status {
        Status::Queued | Status::Processing | Status::AwaitingPayment => return Ok(Undo::Cancel),
        Status::Reconciling => return Ok(if checkout.closing.is_none() { Undo::Cancel } else { Undo::Wait }),
        Status::NeedsReview => return Ok(Undo::Stuck),
        Status::Failed | Status::Canceled | Status::Expired => return Ok(Undo::Nothing),
        Status::Succeeded => {}
    }
    checkout.refunds = refunds;
    let own = checkout.refunds.iter().find(|refund| refund.id == *ours);
    if own.is_some_and(|refund| !refund.counts()) {
        return Ok(Undo::Stuck);
    }
    let is_ours = |line: &&Line| matches!(&line.item, Item::Session { session, .. } if *session == job.session);
    let of_ours = |id: &LineId| checkout.order.lines.iter().any(|line| line.id == *id && is_ours(&line));
    // While somebody else's may take money of these lines away, or leave it, nobody knows what is to be given back.
    let is_about = |refund: &Refund| !refund.late_payment && (refund.lines.is_empty() || refund.lines.iter().any(of_ours));
    let others = checkout.refunds.iter().filter(|refund| refund.id != *ours && is_about(refund));
    let others: Vec<RefundStatus> = others.map(|refund| refund.status).collect();
    if others.contains(&RefundStatus::NeedsReview) {
        return Ok(Undo::Stuck);
    }
    if others.contains(&RefundStatus::Pending) {
        return Ok(Undo::Wait);
    }
    let (mut lines, mut given): (Vec<LineId>, Vec<RefundStatus>) = Default::default();
    let (left, left_of_lines, mut worth) = (refundable(&checkout)?, left_by_line(&checkout)?, Amount::ZERO);
    for line in checkout.order.lines.iter().filter(is_ours) {
        let of_line = left_of_lines.get(&line.id).copied().unwrap_or_default();
        let gives = |refund: &&Refund| {
            refund.counts()
                && (refund.lines.contains(&line.id) || frees(refund, line))
                && refund.gave_back(&checkout, &line.id, of_line.min(left))
        };
        if let Some(refund) = checkout.refunds.iter().find(gives) {
            given.push(refund.status);
            continue;
        }
        worth = worth.plus(of_line)?;
        lines.push(line.id.clone());
    }
    if lines.is_empty() {
        // What was given back before counts as done, also when its places were kept then: that was somebody's wish.
        return Ok(match given {
            given if given.contains(&RefundStatus::NeedsReview) => Undo::Stuck,
            given if given.contains(&RefundStatus::Pending) => Undo::Wait,
            _ => Undo::Nothing,
        });
    }
    let is_first = job.refund_of(&checkout.id, 0).is_ok_and(|first| first == *ours);
    let failed_since = |refund: &Refund| !refund.counts() && refund.updated_at > job.created_at && is_of_a_job(refund, &checkout.id);
    let is_about_them = |refund: &&Refund| refund.lines.iter().any(|line| lines.contains(line));
    // Where ours is one, somebody else's refund failed meanwhile.
    if own.is_some() || (is_first && checkout.refunds.iter().filter(is_about_them).any(failed_since)) {
        return Ok(Undo::Stuck);
    }
    // What went back before without a word about lines may have been of these.
    let amount = (worth > left).then_some(left);
    Ok(Undo::Refund(RefundAsk { amount, lines, reason: job.reason.clone(), release_seats: Some(true), ..RefundAsk::default() }))
}

fn frees(refund: &Refund, line: &Line) -> bool {
    refund.release_seats && (refund.lines.is_empty() || refund.lines.contains(&line.id))
}
