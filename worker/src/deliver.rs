//! One try of a callback.

use crate::{
    WorkerContext,
    lane::{Done, StepError},
};
use boxoffice_common::{
    domain::{
        delivery::{DeliveryTaken, DeliveryVerdict},
        id::DeliveryId,
    },
    failpoint,
    ports::queue::Work,
};
use std::time::Duration;

/// A delivery that is not due for no longer than this is looked at again; else its `due_at` brings it back.
const WORTH_WAITING: Duration = Duration::from_secs(2);

/// Takes the delivery, sends it, and records what the receiver said.
pub(crate) async fn run(context: &WorkerContext, work: &Work) -> Result<Done, StepError> {
    let id = DeliveryId::parse(work.id.as_str()).map_err(|error| StepError::Malformed(error.to_string()))?;
    failpoint::cross("delivery.before_take").await?;
    let job = match context.store.take_delivery(&id, &context.lease_token(), context.settings.delivery_lease).await? {
        DeliveryTaken::Done => return Ok(Done::Finished),
        DeliveryTaken::Busy(until) => {
            let wait = until.since(context.clock.now());
            return Ok(if wait <= WORTH_WAITING { Done::Again(wait) } else { Done::Finished });
        }
        DeliveryTaken::Send(job) => job,
    };
    failpoint::cross("delivery.before_send").await?;
    let result = context.sender.send(&job, context.clock.now()).await;
    failpoint::cross("delivery.after_send").await?;
    let verdict = result.verdict;
    tracing::info!(delivery = %id, event = %job.record.event_type, subject = %job.record.subject, verdict = ?verdict, status = result.status_code, "delivered");
    let name = match verdict {
        DeliveryVerdict::Delivered => "delivered",
        DeliveryVerdict::RetryIn(_) => "retry",
        DeliveryVerdict::GiveUp => "given_up",
        DeliveryVerdict::Disable => "disabled",
    };
    metrics::counter!("boxoffice_deliveries_total", "verdict" => name).increment(1);
    let recorded = context.store.record_delivery(result).await?;
    match verdict {
        DeliveryVerdict::RetryIn(wait) if recorded => Ok(Done::Again(wait)),
        _ => Ok(Done::Finished),
    }
}
