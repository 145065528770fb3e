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

/// A place among those who try at the store while the table is down; given back when dropped.
pub(crate) type Direct<'c> = SemaphorePermit<'c>;

/// Asks the table, loading what it does not know. Whatever it says, the store has the last word; what it takes for gone is
/// refused there. When it is down, one of a bounded number goes on.
pub(crate) async fn reserve<'c>(
    context: &'c WorkerContext,
    scope: &Scope,
    id: &CheckoutId,
    wants: &[Want],
) -> Result<Option<Direct<'c>>, StepError> {
    if wants.is_empty() {
        return Ok(None);
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
        Ok(Tried::Reserved | Tried::Missing(_) | Tried::Gone(_)) => Ok(None),
        Err(error) => {
            tracing::debug!(%error, "trying at the store directly");
            metrics::counter!("boxoffice_direct_tries_total").increment(1);
            let place = tokio::time::timeout(DIRECT_PATIENCE, context.direct_tries.acquire()).await;
            let busy = || StepError::Store(StoreError::Unavailable("too many tries without the seat table".to_owned()));
            place.map_err(|_| busy())?.map(Some).map_err(|_| busy())
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
    let spent = spent(wants, &begun.next);
    if !spent.is_empty() {
        context.seats.forget(scope, vec![(id.clone(), spent)]).await;
    }
}

/// The wants whose tokens are of no more use. That of a claimed seat stays until it expires: a level tells how many are taken, not
/// which. A message that comes twice finds its checkout busy, and its seats claimed by whoever has it.
fn spent(wants: &[Want], next: &Next) -> Vec<Want> {
    let claimed = match next {
        Next::Act { .. } | Next::Busy(_) => true,
        Next::Moved(moved) => moved.status == Status::Succeeded,
        Next::Done => false,
    };
    wants.iter().filter(|want| !claimed || want.seats.is_empty()).cloned().collect()
}

fn key(scope: &Scope, want: &Want) -> StockKey {
    StockKey { scope: scope.clone(), kind: want.kind, id: want.id.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxoffice_common::domain::{catalogue::Kind, id::CatalogueId, time::Timestamp};

    fn want(id: &str, seats: &[&str]) -> Want {
        let (id, seats) = (CatalogueId::parse(id).unwrap(), seats.iter().map(|seat| (*seat).to_owned()).collect());
        Want { kind: Kind::Session, id, quantity: 1, seats, line: Some(0) }
    }

    #[test]
    fn the_token_of_a_named_seat_stays_while_somebody_has_the_checkout() {
        let wants = [want("ses_gala", &["A1"]), want("ses_yoga", &[])];
        assert_eq!(spent(&wants, &Next::Busy(Timestamp::from_millis(1))), wants[1..]);
        assert_eq!(spent(&wants, &Next::Done), wants);
    }
}
