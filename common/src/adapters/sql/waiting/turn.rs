//! What one transaction does to waiting lists: offers and what they hold, entries that end, and who is told.

use super::{
    super::{
        bulk::{Rows, Type::Int, Type::Text},
        db::Tx,
        events::{self, Outgoing},
        script::Write,
        stock::{self, Locked},
        value::corrupt,
    },
    rows::{self, ENTRY, stock_key},
};
use crate::{
    domain::{
        catalogue::{Kind, Session},
        claim::{ClaimState, StockKey},
        eligibility::check_sale,
        event::{EventFormat, EventType},
        id::{DeliveryId, Entropy, EventId, WaitingId},
        scope::Scope,
        time::Timestamp,
        waiting::{Free, LOOK_AHEAD, WaitingEntry, WaitingEntryView, WaitingEventView, share_out},
    },
    ports::store::StoreError,
};
use std::collections::{BTreeMap, HashSet};

/// Changes are gathered here and written at once. The caller holds the locks of the sessions, and moves their counters by `deltas`.
#[derive(Default)]
pub(in super::super) struct Turn {
    changed: Vec<(WaitingEntry, Option<EventType>)>,
    /// Offers that hold places from now on; by their place in `changed`.
    opened: Vec<usize>,
    /// Offers that hold nothing any more.
    closed: Vec<WaitingId>,
    /// How many entries more, or fewer, wait.
    waiting: BTreeMap<StockKey, i64>,
    /// What this transaction moves the counters of claims by.
    pub(in super::super) deltas: BTreeMap<StockKey, i64>,
}

impl Turn {
    /// With what the counters move by already.
    pub(in super::super) fn with(deltas: BTreeMap<StockKey, i64>) -> Self {
        Self { deltas, ..Self::default() }
    }

    /// An entry as it is from now on, and what its customer is told.
    pub(super) fn change(&mut self, entry: WaitingEntry, event: Option<EventType>) {
        self.changed.push((entry, event));
    }

    /// An entry whose offer holds its places from now on.
    pub(super) fn open(&mut self, entry: WaitingEntry) {
        *self.deltas.entry(stock_key(&entry)).or_default() += i64::from(entry.quantity);
        self.opened.push(self.changed.len());
        self.change(entry, Some(EventType::WaitingListOffered));
    }

    /// An entry whose open offer is over: what it holds comes free.
    pub(super) fn close(&mut self, entry: WaitingEntry, event: Option<EventType>) {
        *self.deltas.entry(stock_key(&entry)).or_default() -= i64::from(entry.quantity);
        self.closed.push(entry.id.clone());
        self.change(entry, event);
    }

    /// An entry that does not wait any more, without an offer.
    pub(super) fn end_wait(&mut self, entry: WaitingEntry, event: Option<EventType>) {
        *self.waiting.entry(stock_key(&entry)).or_default() -= 1;
        self.change(entry, event);
    }

    /// Offers what is free of these sessions to who waits for it, in their order. `claimed`: seats that somebody else of this
    /// transaction is about to claim.
    pub(in super::super) async fn share(
        &mut self,
        tx: &mut Tx<'_>,
        locked: &[Locked],
        claimed: &HashSet<(StockKey, String)>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for Locked { level, waiting, .. } in locked {
            let key = &level.key;
            let waiting = i64::from(*waiting) + self.waiting.get(key).copied().unwrap_or(0);
            let taken = i64::from(level.taken) + self.deltas.get(key).copied().unwrap_or(0);
            let places = u32::try_from(i64::from(level.capacity) - taken).unwrap_or(0);
            if waiting <= 0 || places == 0 || key.kind != Kind::Session {
                continue;
            }
            let Some(session) = session(tx, key).await?.filter(|session| check_sale(session, now).is_ok()) else { continue };
            let seats = match session.seats {
                None => None,
                Some(names) => Some(self.free_seats(tx, key, names, claimed).await?),
            };
            let next = self.next(tx, key, places).await?;
            for (at, seats) in share_out(&next, Free { places, seats }) {
                let Some(entry) = next.get(at) else { continue };
                *self.waiting.entry(key.clone()).or_default() -= 1;
                self.open(entry.clone().offer(seats, now));
            }
        }
        Ok(())
    }

    /// Who waits, the next first: as many as there could be offers for, and some more for whom less may do.
    async fn next(&self, tx: &mut Tx<'_>, key: &StockKey, places: u32) -> Result<Vec<WaitingEntry>, StoreError> {
        let sql = format!(
            "SELECT {ENTRY} FROM waiting_list w WHERE w.scope = {{1}} AND w.session = {{2}} AND w.status = 'waiting' ORDER BY w.place LIMIT {{3}}"
        );
        let most = places.saturating_add(LOOK_AHEAD).saturating_add(u32::try_from(self.changed.len()).unwrap_or(u32::MAX));
        let found = tx.fetch(&sql, None, &[key.scope.as_str().into(), key.id.as_str().into(), most.into()]).await?;
        let mut next = found.iter().map(rows::read).collect::<Result<Vec<_>, _>>()?;
        // What this very transaction has decided is not written yet.
        next.retain(|entry| self.changed.iter().all(|(changed, _)| changed.id != entry.id));
        Ok(next)
    }

    /// The named seats that nobody has, in the session's order.
    async fn free_seats(
        &self,
        tx: &mut Tx<'_>,
        key: &StockKey,
        names: Vec<String>,
        claimed: &HashSet<(StockKey, String)>,
    ) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT seat, checkout FROM claims WHERE scope = {1} AND kind = {2} AND resource = {3} AND seat IS NOT NULL AND state <> 'released'";
        let mut gone: HashSet<String> = HashSet::new();
        for row in tx.fetch(sql, None, &[key.scope.as_str().into(), key.kind.as_str().into(), key.id.as_str().into()]).await? {
            let owner = row.text(1)?;
            if !self.closed.iter().any(|closed| closed.as_str() == owner) {
                gone.insert(row.text(0)?);
            }
        }
        for &at in &self.opened {
            gone.extend(
                self.changed.get(at).into_iter().filter(|(entry, _)| stock_key(entry) == *key).flat_map(|(entry, _)| entry.seats.clone()),
            );
        }
        Ok(names.into_iter().filter(|seat| !gone.contains(seat) && !claimed.contains(&(key.clone(), seat.clone()))).collect())
    }

    /// Writes all of it but the counters of claims. Answers the deliveries that it opens, and whose they are.
    pub(in super::super) async fn write(
        &self,
        tx: &mut Tx<'_>,
        now: Timestamp,
        entropy: &Entropy,
    ) -> Result<Vec<(Scope, DeliveryId)>, StoreError> {
        if self.changed.is_empty() {
            return Ok(Vec::new());
        }
        give_up(tx, &self.closed).await?;
        let told = || self.changed.iter().filter_map(|(entry, event)| event.map(|event| (entry, event)));
        let listeners = events::listeners(tx, told().map(|(entry, _)| &entry.scope)).await?;
        let (mut out, mut deliveries) = (Outgoing::default(), Vec::new());
        for (entry, kind) in told() {
            let id = EventId::generate(entropy, now);
            let view = WaitingEventView { id: &id, kind, created_at: now, data: WaitingEntryView::from(entry) };
            let event = events::Frozen {
                id: &id,
                scope: &entry.scope,
                subject: entry.id.as_str(),
                space: None,
                kind,
                format: EventFormat::Standard,
                version: entry.version,
                body: serde_json::to_string(&view).map_err(corrupt)?,
            };
            let opened = out.tell(event, entry.callback_url.as_deref(), &listeners, now, entropy);
            deliveries.extend(opened.into_iter().map(|delivery| (entry.scope.clone(), delivery)));
        }
        let [events, sent] = out.into_writes();
        tx.run(vec![rows::update(self.changed.iter().map(|(entry, _)| entry))?, self.holds(), waiting(&self.waiting), events, sent])
            .await?;
        Ok(deliveries)
    }

    /// The claims of offers: one for each named seat, else one.
    fn holds(&self) -> Write {
        let mut claims = Rows::new(&[
            ("checkout", Text),
            ("n", Int),
            ("scope", Text),
            ("kind", Text),
            ("resource", Text),
            ("seat", Text),
            ("quantity", Int),
            ("customer", Text),
            ("state", Text),
        ]);
        for (entry, _) in self.opened.iter().filter_map(|&at| self.changed.get(at)) {
            let seats = entry.seats.iter().map(|seat| (Some(seat.as_str()), 1)).collect::<Vec<_>>();
            let places = if seats.is_empty() { vec![(None, entry.quantity)] } else { seats };
            for (n, (seat, quantity)) in places.into_iter().enumerate() {
                claims.push([
                    entry.id.as_str().into(),
                    n.into(),
                    entry.scope.as_str().into(),
                    Kind::Session.as_str().into(),
                    entry.session.as_str().into(),
                    seat.into(),
                    quantity.into(),
                    entry.customer.as_str().into(),
                    ClaimState::Held.as_str().into(),
                ]);
            }
        }
        Write::insert("claims", claims)
    }

    /// Moves the counters of claims, where nobody else does it, and tells the new levels.
    pub(in super::super) async fn count(&self, tx: &mut Tx<'_>) -> Result<Vec<crate::domain::claim::StockLevel>, StoreError> {
        let written = tx.run(vec![stock::add(&self.deltas)]).await?;
        written.returned().map(|(row, from)| stock::level(row, from)).collect()
    }
}

/// What offers held is held for them no more; answers what that was. Their claims are not kept: they are there as long as the offer is
/// open.
pub(in super::super) async fn give_up<'o>(
    tx: &mut Tx<'_>,
    offers: impl IntoIterator<Item = &'o WaitingId>,
) -> Result<Vec<(StockKey, i64)>, StoreError> {
    let ids = Rows::ids(offers.into_iter().map(WaitingId::as_str));
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "DELETE FROM claims WHERE checkout IN (SELECT id FROM {rows}) AND state = 'held' RETURNING scope, kind, resource, quantity";
    tx.fetch(sql, Some(&ids), &[]).await?.iter().map(|row| Ok((stock::key(row, 0)?, row.int(3)?))).collect()
}

/// Moves the counters of who waits.
pub(super) fn waiting(deltas: &BTreeMap<StockKey, i64>) -> Write {
    let mut rows = Rows::new(&[("scope", Text), ("kind", Text), ("id", Text), ("delta", Int)]);
    for (key, delta) in deltas {
        rows.push([key.scope.as_str().into(), key.kind.as_str().into(), key.id.as_str().into(), (*delta).into()]);
    }
    let sql = "UPDATE inventory SET waiting = inventory.waiting + r.delta FROM {rows} \
               WHERE inventory.scope = r.scope AND inventory.kind = r.kind AND inventory.id = r.id";
    Write::new(sql, rows)
}

/// The session as it is now, read under its lock.
pub(super) async fn session(tx: &mut Tx<'_>, key: &StockKey) -> Result<Option<Session>, StoreError> {
    let sql = "SELECT doc FROM catalogue WHERE scope = {1} AND kind = {2} AND id = {3}";
    let rows = tx.fetch(sql, None, &[key.scope.as_str().into(), key.kind.as_str().into(), key.id.as_str().into()]).await?;
    rows.first().map(|row| serde_json::from_str(&row.text(0)?).map_err(corrupt)).transpose()
}
