//! One event that a provider told us: read, held against the attempt that it is about, and settled like an answer.

use crate::{
    WorkerContext, follow,
    lane::{Done, StepError, caught},
};
use boxoffice_common::{
    domain::{
        attempt::Outcome,
        id::{CheckoutId, ProviderEventId},
        provider_event::{EventStatus, MAX_TRIES, ProviderEvent, Told, Verdict, judge},
        settle::Settlement,
    },
    failpoint,
    ports::{
        queue::Work,
        store::{Moved, Settled, StoreError},
    },
    retry,
};

/// Not a lease that anybody has: a provider's word needs none.
const NO_LEASE: &str = "provider event";

/// Works on the event, if nobody has.
pub(crate) async fn run(context: &WorkerContext, work: &Work) -> Result<Done, StepError> {
    let id = ProviderEventId::parse(work.id.as_str()).map_err(|error| StepError::Malformed(error.to_string()))?;
    let Some(event) = context.store.provider_event(&id).await?.filter(|event| event.status == EventStatus::Pending) else {
        return Ok(Done::Finished);
    };
    let (status, note) = match decided(context, &event, work.trace.as_deref()).await? {
        End::Now(status, note) => (status, note),
        End::Later(note) if event.tries >= MAX_TRIES => (EventStatus::NeedsReview, note),
        End::Later(note) => {
            let wait = retry::EVENTS.wait(event.tries.saturating_add(1), None);
            return Ok(if context.store.put_event_off(&id, wait, note).await? { Done::Again(wait) } else { Done::Finished });
        }
    };
    failpoint::cross("event.before_close").await?;
    if !context.store.close_event(&id, status, note).await? {
        return Ok(Done::Finished);
    }
    let (provider, account) = (event.provider, event.account);
    if status == EventStatus::NeedsReview {
        tracing::warn!(event = %id, provider, account, note, "what the provider told changed nothing; somebody has to look");
    } else {
        tracing::info!(event = %id, provider, account, status = status.as_str(), note, "told by the provider");
    }
    metrics::counter!("boxoffice_provider_events_total", "provider" => provider, "status" => status.as_str()).increment(1);
    Ok(Done::Finished)
}

enum End {
    Now(EventStatus, &'static str),
    Later(&'static str),
}

const MOVED: End = End::Now(EventStatus::Done, "it moved its checkout");

/// Decides, and says later of what no other try can be hoped to mend: a row that cannot be read, or our bug. An event has no lease of which
/// take-overs would count, so each try of it counts here, until a person has to look.
async fn decided(context: &WorkerContext, event: &ProviderEvent, trace: Option<&str>) -> Result<End, StepError> {
    let error = match caught(decide(context, event, trace)).await {
        Ok(end) => return Ok(end),
        Err(error) => error,
    };
    let note = match &error {
        StepError::Store(StoreError::Corrupt(_)) => "our own row about it cannot be read",
        StepError::Store(StoreError::Inconsistent(_)) => "it cannot be settled",
        StepError::Panicked => "the work on it panics",
        StepError::Store(StoreError::Unavailable(_)) | StepError::Queue(_) | StepError::Told(_) | StepError::Malformed(_) => {
            return Err(error);
        }
    };
    tracing::error!(event = %event.id, tries = event.tries, %error, "an event cannot be worked on");
    Ok(End::Later(note))
}

async fn decide(context: &WorkerContext, event: &ProviderEvent, trace: Option<&str>) -> Result<End, StepError> {
    let Some(source) = context.events.get(&event.provider, &event.account) else { return Ok(End::Later("this account is not set up")) };
    let told = match source.read(&event.body) {
        Ok(Told::Money(told)) => told,
        Ok(Told::Other) => return Ok(End::Now(EventStatus::Ignored, "of a kind that we do nothing about")),
        // The library's words may quote the body.
        Err(_) => return Ok(End::Now(EventStatus::NeedsReview, "it cannot be read")),
    };
    let Some(checkout) = context.store.checkout(&told.reference).await? else {
        return Ok(End::Now(EventStatus::Ignored, "there is no such checkout"));
    };
    let result = match judge(&checkout, source.account(), &told) {
        Verdict::Settle { n, outcome } => settle(context, checkout.id, n, outcome).await,
        Verdict::CameBack { n, decline } => context.store.refund_came_back(&checkout.id, n, &decline).await,
        Verdict::Known => return Ok(End::Now(EventStatus::Done, "known already")),
        Verdict::Review(why) => return Ok(End::Now(EventStatus::NeedsReview, why)),
        Verdict::Later => return Ok(End::Later("another try is under way")),
    };
    // It may have moved since it was read: judged again, it is known, or waits.
    let Some(moved) = result? else { return Ok(End::Later("it was known, or something else was under way")) };
    follow::follow(context, moved, trace).await?;
    Ok(MOVED)
}

/// Records what became of an attempt, whoever else is at work on it: it is definite.
async fn settle(context: &WorkerContext, checkout: CheckoutId, n: u32, outcome: Outcome) -> Result<Option<Moved>, StoreError> {
    let settlement = Settlement { checkout, n, lease_token: NO_LEASE.to_owned(), outcome, retry_in: retry::RECONCILE.base, known: None };
    Ok(match context.store.settle(settlement).await? {
        Settled::Moved(moved) => Some(moved),
        Settled::Already(_) => None,
    })
}
