//! Opens refunds that clients ask for: decided under their checkouts' locks, a batch in one transaction.

use super::{
    answers::{self, Bound},
    apply::apply,
    db::{Db, Tx, transact},
    load, stock,
    value::corrupt,
};
use crate::{
    batch::BatchRun,
    domain::{
        catalogue::Kind,
        checkout::Checkout,
        claim::StockKey,
        effects::{ClaimChange, Effects},
        id::{CatalogueId, Entropy, RefundId},
        refund, refund_membership,
        refund_view::RefundView,
        time::Timestamp,
    },
    failpoint,
    ports::store::{NewRefund, RefundResult, StoreError, StoredAnswer},
};
use async_trait::async_trait;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// HTTP 202: what every refund that was taken in is answered with.
const ACCEPTED: u16 = 202;

/// Opens refunds.
pub(super) struct Refunds {
    db: Db,
    entropy: Arc<Entropy>,
}

impl Refunds {
    pub(super) fn new(db: Db, entropy: Arc<Entropy>) -> Self {
        Self { db, entropy }
    }
}

#[async_trait]
impl BatchRun for Refunds {
    type Item = Arc<NewRefund>;
    type Answer = RefundResult;
    type Error = StoreError;

    async fn run(&self, items: &[Arc<NewRefund>]) -> Result<Vec<RefundResult>, StoreError> {
        let mut results: Vec<Option<RefundResult>> = vec![None; items.len()];
        let mut left: Vec<usize> = (0..items.len()).collect();
        while !left.is_empty() {
            // One of a checkout at a time: the next one is decided on what the one before has left.
            let mut seen = HashSet::new();
            let (now, later): (Vec<usize>, Vec<usize>) =
                left.iter().partition(|&&at| items.get(at).is_some_and(|item| seen.insert(&item.checkout)));
            let round: Vec<&NewRefund> = now.iter().filter_map(|&at| items.get(at).map(|item| &**item)).collect();
            let opened = transact!(self.db, tx => { open(tx, &round, &self.entropy).await })?;
            let _ = failpoint::cross("accept.after_commit").await;
            for (at, result) in now.into_iter().zip(opened) {
                if let Some(slot) = results.get_mut(at) {
                    *slot = Some(result);
                }
            }
            left = later;
        }
        Ok(results.into_iter().flatten().collect())
    }

    fn name(&self) -> Option<&'static str> {
        Some("refund")
    }

    fn worth_retrying(&self, error: &StoreError) -> bool {
        !matches!(error, StoreError::Unavailable(_))
    }
}

/// `round` has each checkout once.
async fn open(tx: &mut Tx<'_>, round: &[&NewRefund], entropy: &Entropy) -> Result<Vec<RefundResult>, StoreError> {
    // The key holds the checkout's path: whoever has the same one waits for the same lock.
    let mut checkouts = load::lock(tx, round.iter().map(|new| &new.checkout)).await?;
    let bound = answers::bound_many(tx, round.iter().map(|new| (&new.scope, &new.idempotency, new.id.as_str()))).await?;
    let now = tx.now().await?;
    let (mut decided, mut effects, mut asks) = (Vec::with_capacity(round.len()), Vec::new(), Vec::new());
    for (new, bound) in round.iter().zip(bound) {
        let checkout = checkouts.remove(&new.checkout).filter(|checkout| checkout.scope == new.scope);
        match decide(new, checkout, bound, now, entropy)? {
            Ok(change) => {
                decided.push(None);
                asks.push(*new);
                effects.push(change);
            }
            Err(result) => decided.push(Some(result)),
        }
    }
    let taken = credits_taken(tx, &effects).await?;
    let mut written = Vec::with_capacity(effects.len());
    let mut refused = HashMap::new();
    for (change, new) in effects.into_iter().zip(&asks) {
        match refund_membership::check_unused(&change, &new.ask, &taken) {
            Ok(()) => written.push((change, *new)),
            Err(used) => drop(refused.insert(&new.id, RefundResult::Refused(used.into()))),
        }
    }
    let (changes, asks): (Vec<Effects>, Vec<&NewRefund>) = written.into_iter().unzip();
    let answers = changes.iter().zip(&asks).map(|(change, new)| answer(change, &new.id)).collect::<Result<Vec<_>, _>>()?;
    answers::bind_many(tx, asks.iter().zip(&answers).map(|(new, answer)| (&new.scope, &new.idempotency, answer)), now).await?;
    let moved = apply(tx, &changes, now, entropy).await?;
    failpoint::cross("accept.before_commit").await?;
    let mut created: HashMap<&RefundId, RefundResult> = refused;
    for ((new, answer), moved) in asks.into_iter().zip(answers).zip(moved) {
        created.insert(&new.id, RefundResult::Created { answer, moved: Some(moved) });
    }
    let result = |(decided, new): (Option<RefundResult>, &&NewRefund)| {
        let result = decided.or_else(|| created.remove(&new.id));
        result.ok_or_else(|| StoreError::Inconsistent("a refund without an answer".to_owned()))
    };
    decided.into_iter().zip(round).map(result).collect()
}

/// What is to be written, or what is to be answered without it.
fn decide(
    new: &NewRefund,
    checkout: Option<Checkout>,
    bound: Option<Bound>,
    now: Timestamp,
    entropy: &Entropy,
) -> Result<Result<Effects, RefundResult>, StoreError> {
    let Some(checkout) = checkout else { return Ok(Err(RefundResult::Missing)) };
    match bound {
        None => {}
        Some(Bound::Ours(answer)) => return Ok(Err(RefundResult::Created { answer, moved: None })),
        Some(Bound::Same(answer)) => return Ok(Err(RefundResult::Replayed(answer))),
        Some(Bound::Other) => return Ok(Err(RefundResult::KeyReused)),
    }
    let opened = refund::open(checkout, &new.id, &new.ask, now, entropy).map_err(|error| StoreError::Inconsistent(error.to_string()))?;
    Ok(opened.map_err(RefundResult::Refused))
}

/// How many credits are used or held of the memberships that refunds end, under their locks: nobody uses one until it has ended.
async fn credits_taken(tx: &mut Tx<'_>, effects: &[Effects]) -> Result<HashMap<CatalogueId, u32>, StoreError> {
    let key = |effects: &Effects, kind, id| StockKey { scope: effects.checkout.scope.clone(), kind, id };
    let ended = |one: &Effects| one.ended.iter().map(|(id, _)| key(one, Kind::BoughtMembership, id.in_stock())).collect::<Vec<_>>();
    let mut keys: Vec<StockKey> = effects.iter().flat_map(ended).collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    // What comes free at once is locked with them: all of it in one order, or two of them wait for each other.
    for one in effects.iter().filter(|one| matches!(one.claims, ClaimChange::GiveBack(_) | ClaimChange::FreePlaces(_))) {
        keys.extend(one.checkout.order.wants().into_iter().map(|want| key(one, want.kind, want.id)));
    }
    let locked = stock::lock(tx, &stock::keys(&keys)).await?;
    Ok(locked.into_iter().map(|locked| (locked.level.key.id, locked.level.taken)).collect())
}

fn answer(effects: &Effects, id: &RefundId) -> Result<StoredAnswer, StoreError> {
    let opened = effects.checkout.refunds.iter().find(|refund| refund.id == *id);
    let refund = opened.ok_or_else(|| StoreError::Inconsistent("a refund that was not opened".to_owned()))?;
    let body = serde_json::to_string(&RefundView::from(refund)).map_err(corrupt)?;
    Ok(StoredAnswer { status: ACCEPTED, object: id.to_string(), body })
}
