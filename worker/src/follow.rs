//! What a transition is followed by. All of it may be lost: the rows say the same, and are looked at again.

use crate::{
    WorkerContext,
    lane::{LONGEST_RIDE, StepError},
};
use boxoffice_common::{
    domain::scope::Scope,
    failpoint,
    ports::{
        announcer::Announcement,
        queue::{Lane, Work},
        seats::Told,
        store::{ListMoved, Moved, Renewed},
    },
};

/// Wakes who waits, tells the seat table, and publishes the work that follows. `trace` travels on with it.
pub(crate) async fn follow(context: &WorkerContext, moved: Moved, trace: Option<&str>) -> Result<(), StepError> {
    tracing::info!(checkout = %moved.checkout, status = %moved.status, version = moved.version, "moved");
    if moved.ended {
        metrics::counter!("boxoffice_checkouts_total", "status" => moved.status.as_str()).increment(1);
    }
    failpoint::cross("announce.before").await?;
    context.announcer.announce(Announcement { checkout: moved.checkout.clone(), version: moved.version, status: moved.status });
    if !moved.stock.is_empty() {
        context.seats.tell(moved.stock.into_iter().map(|level| Told { level, taken_seats: None }).collect()).await;
    }
    let now = context.clock.now();
    let work = |lane, id: String, enqueued_at| Work {
        lane,
        id,
        scope: moved.scope.to_string(),
        enqueued_at,
        wants: Vec::new(),
        trace: trace.map(str::to_owned),
    };
    let deliveries: Vec<Work> = moved.deliveries.into_iter().map(|id| work(Lane::Deliveries, id.into(), now)).collect();
    failpoint::cross("publish.before").await?;
    if !deliveries.is_empty() {
        for published in context.queue.publish(deliveries).await {
            published?;
        }
    }
    if let Some(wait) = moved.due_in.filter(|&wait| wait <= LONGEST_RIDE) {
        let lane = if moved.status.is_terminal() { Lane::Money } else { Lane::Checkouts };
        context.queue.publish_after(work(lane, moved.checkout.to_string(), now.after(wait)), wait).await?;
    }
    failpoint::cross("publish.after").await?;
    Ok(())
}

/// Tells the seat table of what waiting lists gave and took, and publishes what tells their customers.
pub(crate) async fn follow_list(context: &WorkerContext, moved: ListMoved) -> Result<(), StepError> {
    if !moved.stock.is_empty() {
        context.seats.tell(moved.stock.into_iter().map(|level| Told { level, taken_seats: None }).collect()).await;
    }
    publish(context, Lane::Deliveries, moved.deliveries.into_iter().map(|(scope, id)| (scope, id.into()))).await
}

/// Publishes renewals of subscriptions, and what tells their customers.
pub(crate) async fn follow_renewals(context: &WorkerContext, renewed: Renewed) -> Result<(), StepError> {
    publish(context, Lane::Checkouts, renewed.checkouts.into_iter().map(|(scope, id)| (scope, id.into()))).await?;
    publish(context, Lane::Deliveries, renewed.deliveries.into_iter().map(|(scope, id)| (scope, id.into()))).await
}

/// Hands on work of which the rows are due already.
async fn publish(context: &WorkerContext, lane: Lane, rows: impl Iterator<Item = (Scope, String)>) -> Result<(), StepError> {
    let enqueued_at = context.clock.now();
    let work = |(scope, id): (Scope, String)| Work { lane, id, scope: scope.to_string(), enqueued_at, wants: Vec::new(), trace: None };
    for published in context.queue.publish(rows.map(work).collect()).await {
        published?;
    }
    Ok(())
}
