//! The steps of a checkout, in their order.

use crate::{
    WorkerContext, charge, follow,
    lane::{Done, StepError},
    reserve,
};
use boxoffice_common::{
    domain::{begin::Begin, id::CheckoutId, scope::Scope},
    failpoint,
    ports::{queue::Work, store::Next},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// A checkout that somebody else holds for no longer than this is looked at again; else its `due_at` brings it back.
const WORTH_WAITING: Duration = Duration::from_secs(2);

/// Brings a checkout as far as it gets now.
pub(crate) async fn run(context: &WorkerContext, work: &Work) -> Result<Done, StepError> {
    let id = CheckoutId::parse(work.id.as_str()).map_err(|error| StepError::Malformed(error.to_string()))?;
    let scope = Scope::parse(&work.scope).ok_or_else(|| StepError::Malformed("its scope".to_owned()))?;
    let _direct = reserve::reserve(context, &scope, &id, &work.wants).await?;
    let routing = context.routes.routing(&scope).await?;
    let lease_token = context.lease_token();
    // Before the store is asked: its lease ends later than what we count from here.
    let leased = Instant::now();
    let begun = context
        .store
        .begin(Begin {
            checkout: id.clone(),
            lease_token: lease_token.clone(),
            lease_for: context.settings.lease,
            routing: Arc::clone(&routing),
            key_window: context.settings.key_window,
        })
        .await?;
    reserve::told(context, &scope, &id, &work.wants, &begun).await;
    match begun.next {
        Next::Done => Ok(Done::Finished),
        Next::Busy(until) => {
            let wait = until.since(context.clock.now());
            Ok(if wait <= WORTH_WAITING { Done::Again(wait) } else { Done::Finished })
        }
        Next::Moved(moved) => {
            follow::follow(context, moved, work.trace.as_deref()).await?;
            Ok(Done::Finished)
        }
        Next::Act { checkout, n, action } => {
            failpoint::cross("lease.before_check").await?;
            let lease = charge::Lease { token: lease_token, ends: leased + context.settings.lease };
            let settlement = charge::act(context, checkout, n, action, &lease, routing).await?;
            let settled = context.store.settle(settlement).await?;
            if let boxoffice_common::ports::store::Settled::Moved(moved) = settled {
                follow::follow(context, moved, work.trace.as_deref()).await?;
            }
            Ok(Done::Finished)
        }
    }
}
