//! Whether a checkout may try for its seats: the seat table's answer, which the store may overrule.

use crate::{WorkerContext, lane::StepError};
use boxoffice_common::{
    domain::{
        claim::{StockKey, Want},
        id::CheckoutId,
        scope::Scope,
        state::Status,
    },
    failpoint,
    ports::{
        seats::{Told, Tried},
        store::{BeginAnswer, Next, StoreError},
    },
};
use std::time::Duration;
use tokio::sync::SemaphorePermit;

/// How long a try waits for a place past a seat table that is down.
const DIRECT_PATIENCE: Duration = Duration::from_secs(5);

/// The answer to a try.
pub(crate) enum May<'c> {
    /// The table let it through, or had nothing to say.
    Try,
    /// The table is down; one of a bounded number goes to the store directly.
    Directly(#[allow(dead_code, reason = "held, not read")] SemaphorePermit<'c>),
    /// As far as the table knows nothing is left. The store looks before anybody is refused.
    Doubtful,
}

/// Asks the table, loading what it does not know.
pub(crate) async fn reserve<'c>(context: &'c WorkerContext, scope: &Scope, id: &CheckoutId, wants: &[Want]) -> Result<May<'c>, StepError> {
    if wants.is_empty() {
        return Ok(May::Try);
    }
    failpoint::cross("seats.before_try").await?;
    let mut tried = context.seats.try_reserve(scope, id, wants).await;
    if let Ok(Tried::Missing(missing)) = &tried {
        let keys: Vec<StockKey> = missing.iter().filter_map(|&at| wants.get(at)).map(|want| key(scope, want)).collect();
        context.seats.tell(context.store.stock(&keys).await?).await;
        tried = context.seats.try_reserve(scope, id, wants).await;
    }
    failpoint::cross("seats.after_try").await?;
    match tried {
        // Still missing: no such stock. The store says so, with the right error.
        Ok(Tried::Reserved | Tried::Missing(_)) => Ok(May::Try),
        Ok(Tried::Gone(_)) => Ok(May::Doubtful),
        Err(error) => {
            tracing::debug!(%error, "trying at the store directly");
            metrics::counter!("boxoffice_direct_tries_total").increment(1);
            let place = tokio::time::timeout(DIRECT_PATIENCE, context.direct_tries.acquire()).await;
            let busy = || StepError::Store(StoreError::Unavailable("too many tries without the seat table".to_owned()));
            place.map_err(|_| busy())?.map(May::Directly).map_err(|_| busy())
        }
    }
}

/// Tells the table what `begin` changed, and takes back the tokens that are in the store now, or of no more use.
pub(crate) async fn told(context: &WorkerContext, scope: &Scope, id: &CheckoutId, wants: &[Want], begun: &BeginAnswer) {
    if !begun.stock.is_empty() {
        context.seats.tell(begun.stock.iter().cloned().map(|level| Told { level, taken_seats: None }).collect()).await;
    }
    if wants.is_empty() {
        return;
    }
    let claimed = match &begun.next {
        Next::Act { .. } => true,
        Next::Moved(moved) => moved.status == Status::Succeeded,
        Next::Done | Next::Busy(_) => false,
    };
    // The token of a claimed seat stays until it expires: a level tells how many are taken, not which.
    let spent = |want: &&Want| !claimed || want.seats.is_empty();
    let spent: Vec<Want> = wants.iter().filter(spent).cloned().collect();
    if !spent.is_empty() {
        context.seats.forget(scope, vec![(id.clone(), spent)]).await;
    }
}

fn key(scope: &Scope, want: &Want) -> StockKey {
    StockKey { scope: scope.clone(), kind: want.kind, id: want.id.clone() }
}
