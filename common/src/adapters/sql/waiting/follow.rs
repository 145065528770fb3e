//! What follows for waiting lists from what checkouts claim and give back, in the same transaction.

use super::{
    super::{db::Tx, stock::Locked},
    Turn,
    rows::{self, stock_key},
    turn,
};
use crate::{
    domain::{
        checkout::Checkout,
        claim::{ClaimState, StockKey},
        effects::{ClaimChange, Effects},
        eligibility::check_sale,
        event::EventType,
        id::WaitingId,
        time::Timestamp,
        waiting::WaitingEntry,
    },
    ports::store::StoreError,
};
use std::collections::{HashMap, HashSet};

/// The open offers that these checkouts name, read under the locks of what they want.
pub(in super::super) async fn open_offers<'c>(
    tx: &mut Tx<'_>,
    checkouts: impl Iterator<Item = &'c Checkout>,
) -> Result<HashMap<WaitingId, WaitingEntry>, StoreError> {
    let entries = rows::by_id(tx, checkouts.flat_map(|checkout| checkout.order.offers())).await?;
    Ok(entries.into_iter().filter(WaitingEntry::is_open).map(|entry| (entry.id.clone(), entry)).collect())
}

/// The offers that checkouts of this batch take: what they hold becomes those checkouts' own.
pub(in super::super) fn taken_offers(batch: &[Effects]) -> impl Iterator<Item = &WaitingId> {
    batch.iter().filter(|effects| matches!(effects.claims, ClaimChange::Insert(_))).flat_map(|effects| effects.checkout.order.offers())
}

/// What becomes of the offers that checkouts of the batch have, and who is offered what came free. `turn` knows by how much the
/// counters move already; `locked` are the levels of before, of all that was given back.
pub(in super::super) async fn follow(
    tx: &mut Tx<'_>,
    batch: &[Effects],
    turn: &mut Turn,
    locked: &[Locked],
    now: Timestamp,
) -> Result<(), StoreError> {
    let ends_something = |effects: &&Effects| matches!(effects.claims, ClaimChange::Insert(_) | ClaimChange::Sell | ClaimChange::Release);
    let named: Vec<&WaitingId> = batch.iter().filter(ends_something).flat_map(|effects| effects.checkout.order.offers()).collect();
    if named.is_empty() && locked.iter().all(|locked| locked.waiting == 0) {
        return Ok(());
    }
    let mut entries: HashMap<WaitingId, WaitingEntry> =
        rows::by_id(tx, named).await?.into_iter().map(|entry| (entry.id.clone(), entry)).collect();
    for Effects { checkout, claims, .. } in batch {
        for offer in checkout.order.offers() {
            let is_its = |entry: &WaitingEntry| entry.is_live() && entry.checkout.as_ref() == Some(&checkout.id);
            match claims {
                ClaimChange::Insert(claims) => {
                    let Some(entry) = entries.remove(offer) else { continue };
                    if claims.iter().any(|claim| claim.state == ClaimState::Sold) {
                        let entry = WaitingEntry { checkout: Some(checkout.id.clone()), ..entry };
                        turn.change(entry.sold(now), Some(EventType::WaitingListTaken));
                    } else {
                        turn.change(entry.take(checkout.id.clone(), now), None);
                    }
                }
                ClaimChange::Sell => {
                    if let Some(entry) = entries.remove(offer).filter(is_its) {
                        turn.change(entry.sold(now), Some(EventType::WaitingListTaken));
                    }
                }
                ClaimChange::Release => {
                    if let Some(entry) = entries.remove(offer).filter(is_its) {
                        come_to_nothing(tx, turn, entry, now).await?;
                    }
                }
                ClaimChange::Keep | ClaimChange::GiveBack(_) | ClaimChange::FreePlaces(_) => {}
            }
        }
    }
    turn.share(tx, locked, &claimed(batch), now).await
}

/// The checkout ended without a sale: the offer is open again as long as its time lasts.
async fn come_to_nothing(tx: &mut Tx<'_>, turn: &mut Turn, entry: WaitingEntry, now: Timestamp) -> Result<(), StoreError> {
    let in_time = entry.expires_at.is_some_and(|end| now < end);
    let on_sale = turn::session(tx, &stock_key(&entry)).await?.is_some_and(|session| check_sale(&session, now).is_ok());
    if in_time && on_sale {
        turn.open(entry.reopen(now));
    } else {
        turn.change(entry.expire(now), Some(EventType::WaitingListExpired));
    }
    Ok(())
}

/// The named seats that checkouts of the batch are about to claim.
fn claimed(batch: &[Effects]) -> HashSet<(StockKey, String)> {
    let inserts = batch.iter().filter_map(|effects| if let ClaimChange::Insert(claims) = &effects.claims { Some(claims) } else { None });
    inserts.flatten().filter_map(|claim| Some((claim.stock.clone(), claim.seat.clone()?))).collect()
}
