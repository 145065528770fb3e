//! The part of the audit that looks at the seat table: what it believes, held against the store.

use boxoffice_common::{
    domain::{
        claim::StockKey,
        seat_check::{Belief, Truth, contradictions},
    },
    ports::{
        seats::{BeliefPage, SeatsOffice, SeatsUnavailable, Told},
        store::{Breach, CheckoutStore, StoreError},
    },
    retry,
};
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

/// How often a page is asked for. The table answers within half a second or not at all, which is short for a busy server.
const TRIES: u32 = 6;
/// The most contradictions that are told, as with the rules of the store.
const MOST: usize = 100;

/// Why the table could not be held against the store.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error(transparent)]
    Seats(#[from] SeatsUnavailable),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was found, and about which things.
#[derive(Debug, Default)]
pub struct Found {
    pub breaches: Vec<Breach>,
    pub things: BTreeSet<StockKey>,
}

/// Looks at the whole table. It may be in use: what is told meanwhile is not taken for a contradiction.
pub async fn look(store: &dyn CheckoutStore, office: &dyn SeatsOffice) -> Result<Found, LookError> {
    let mut found = Found::default();
    let mut from = 0;
    loop {
        let page = page(office, from).await?;
        judge(store, &page.beliefs, &mut found).await?;
        match page.next {
            Some(next) if found.breaches.len() < MOST => from = next,
            _ => return Ok(found),
        }
    }
}

/// Drops everything that contradicts the store and says how much it was: what is asked for is loaded again.
pub async fn mend(store: &dyn CheckoutStore, office: &dyn SeatsOffice) -> Result<usize, LookError> {
    let mut dropped = 0;
    loop {
        let found = look(store, office).await?;
        let things: Vec<StockKey> = found.things.into_iter().collect();
        office.drop_beliefs(&things).await?;
        dropped += things.len();
        // A look ends early when it has found enough.
        if found.breaches.len() < MOST {
            return Ok(dropped);
        }
    }
}

async fn page(office: &dyn SeatsOffice, from: u64) -> Result<BeliefPage, SeatsUnavailable> {
    let mut tries = 0;
    loop {
        tries += 1;
        match office.beliefs(from).await {
            Err(_) if tries < TRIES => tokio::time::sleep(retry::RECONNECT.wait(tries, Some(Duration::from_millis(200)))).await,
            answer => return answer,
        }
    }
}

/// Holds a page against the store, which is read after it.
async fn judge(store: &dyn CheckoutStore, beliefs: &[Belief], found: &mut Found) -> Result<(), StoreError> {
    let keys: Vec<StockKey> = beliefs.iter().map(|belief| belief.key.clone()).collect();
    let told = by_key(store.stock(&keys).await?);
    // The store reads levels before seats. Seats that stand between two readings of one version are that version's.
    let named: Vec<StockKey> = beliefs
        .iter()
        .filter(|belief| belief.known.as_ref().is_some_and(|known| known.seats.is_some()))
        .map(|belief| belief.key.clone())
        .collect();
    let again = by_key(store.stock(&named).await?);
    for belief in beliefs {
        let truth = told.get(&belief.key).map(|told| {
            let is_sure = again.get(&belief.key).is_some_and(|again| again.level.version == told.level.version);
            Truth { level: &told.level, taken: told.taken_seats.as_deref().filter(|_| is_sure) }
        });
        for contradiction in contradictions(belief, truth) {
            found.things.insert(belief.key.clone());
            let subject = format!("{}/{}", belief.key.scope, belief.key.id);
            found.breaches.push(Breach { rule: contradiction.rule.to_owned(), subject, finding: contradiction.finding });
        }
    }
    Ok(())
}

fn by_key(told: Vec<Told>) -> HashMap<StockKey, Told> {
    told.into_iter().map(|told| (told.level.key.clone(), told)).collect()
}
