//! Joining, leaving, reading.

use super::{
    super::{
        SqlStore,
        answers::{self, Bound},
        bulk::Rows,
        customers,
        db::{Tx, transact},
        read::page,
        stock::{self, Locked},
        value::{Row, Value, corrupt},
    },
    Turn,
    rows::{self, ENTRY, stock_key},
    turn,
};
use crate::{
    domain::{
        catalogue::{Kind, Session, SessionStatus},
        claim::StockKey,
        eligibility::check_waiter,
        id::{CatalogueId, CustomerId, WaitingId},
        scope::Scope,
        settings::Settings,
        time::Timestamp,
        waiting::{MAX_WAITING, WaitingEntry, WaitingEntryView, WaitingStatus, waits_until},
    },
    failpoint,
    ports::store::{JoinResult, LeaveResult, ListMoved, NewWaiting, Page, PageRequest, StoreError, StoredAnswer},
};
use std::collections::{BTreeMap, HashSet};

/// HTTP 201: what everybody who joins is answered with.
const CREATED: u16 = 201;

impl SqlStore {
    pub(in super::super) async fn join_list(&self, new: &NewWaiting) -> Result<JoinResult, StoreError> {
        let key = StockKey { scope: new.scope.clone(), kind: Kind::Session, id: new.session.clone() };
        let result = transact!(self.db, tx => {
            // Whoever has the same key, or joins the same list, waits for the same lock.
            let Some(locked) = stock::lock(tx, &stock::keys([&key])).await?.pop() else { return Ok(JoinResult::Missing) };
            if let Some(before) = joined_before(tx, new).await? {
                return Ok(before);
            }
            let Some(session) = turn::session(tx, &key).await? else { return Ok(JoinResult::Missing) };
            let now = tx.now().await?;
            if let Some(refused) = refused(tx, new, &session, &locked, now).await? {
                return Ok(refused);
            }
            let entry = entry(tx, new, &session, now).await?;
            let answer = answer(&entry)?;
            tx.run(vec![rows::insert(&entry)?, turn::waiting(&BTreeMap::from([(key.clone(), 1)]))]).await?;
            if let Some(idempotency) = &new.idempotency {
                answers::bind(tx, &new.scope, idempotency, &answer, now).await?;
            }
            failpoint::cross("accept.before_commit").await?;
            Ok(JoinResult::Created(answer))
        })?;
        let _ = failpoint::cross("accept.after_commit").await;
        Ok(result)
    }

    pub(in super::super) async fn leave_list(&self, scope: &Scope, id: &WaitingId) -> Result<LeaveResult, StoreError> {
        transact!(self.db, tx => {
            let Some(known) = find(tx, scope, id).await? else { return Ok(LeaveResult::Missing) };
            let locked = stock::lock(tx, &stock::keys([&stock_key(&known)])).await?;
            // Read again: the wait for the lock took time.
            let Some(entry) = find(tx, scope, id).await? else { return Ok(LeaveResult::Missing) };
            let now = tx.now().await?;
            let (after, mut turn) = (entry.clone().leave(now), Turn::default());
            match entry.status {
                WaitingStatus::Left => return Ok(LeaveResult::Left { entry: Box::new(entry), moved: None }),
                WaitingStatus::Taken | WaitingStatus::Expired => return Ok(LeaveResult::Ended(entry.status)),
                WaitingStatus::Offered if entry.checkout.is_some() => return Ok(LeaveResult::InUse),
                WaitingStatus::Offered => turn.close(after.clone(), None),
                WaitingStatus::Waiting => turn.end_wait(after.clone(), None),
            }
            let moved = self.finish(tx, &mut turn, &locked, now).await?;
            Ok(LeaveResult::Left { entry: Box::new(after), moved: Some(moved) })
        })
    }

    /// Offers what came free, and writes all that a turn came to.
    pub(super) async fn finish(
        &self,
        tx: &mut Tx<'_>,
        turn: &mut Turn,
        locked: &[Locked],
        now: Timestamp,
    ) -> Result<ListMoved, StoreError> {
        turn.share(tx, locked, &HashSet::new(), now).await?;
        let deliveries = turn.write(tx, now, &self.entropy).await?;
        Ok(ListMoved { deliveries, stock: turn.count(tx).await? })
    }

    /// After a put of a session, of which the row is locked: who waits is offered what it has more of, and waits no longer than it is sold.
    pub(in super::super) async fn session_changed(&self, tx: &mut Tx<'_>, key: &StockKey, now: Timestamp) -> Result<(), StoreError> {
        let locked = stock::lock(tx, &stock::keys([key])).await?;
        let here: [Value; 2] = [key.scope.as_str().into(), key.id.as_str().into()];
        let live = "SELECT 1 FROM waiting_list WHERE scope = {1} AND session = {2} AND status IN ('waiting', 'offered') LIMIT 1";
        if tx.fetch(live, None, &here).await?.is_empty() {
            return Ok(());
        }
        let Some(session) = turn::session(tx, key).await? else { return Ok(()) };
        let is_canceled = session.status == SessionStatus::Canceled;
        let whose: [Value; 3] =
            [key.scope.as_str().into(), key.id.as_str().into(), if is_canceled { now } else { waits_until(&session) }.into()];
        // The expirer ends them, a bounded number at a time. It counts versions; this is nothing that anybody sees.
        let which = if is_canceled { "(status = 'waiting' OR (status = 'offered' AND checkout IS NULL))" } else { "status = 'waiting'" };
        let sql =
            format!("UPDATE waiting_list SET due_at = {{3}}, version = version + 1 WHERE scope = {{1}} AND session = {{2}} AND {which}");
        tx.execute(&sql, None, &whose).await?;
        // What is to be delivered is due; the rescuer publishes it.
        self.finish(tx, &mut Turn::default(), &locked, now).await.map(drop)
    }

    pub(in super::super) async fn read_waiting(&self, scope: &Scope, id: &WaitingId) -> Result<Option<WaitingEntry>, StoreError> {
        self.db.read(&one(), None, &[id.as_str().into(), scope.as_str().into()]).await?.first().map(rows::read).transpose()
    }

    pub(in super::super) async fn read_open_offers(
        &self,
        scope: &Scope,
        customer: &CustomerId,
        sessions: &[CatalogueId],
    ) -> Result<Vec<WaitingEntry>, StoreError> {
        let sessions = Rows::ids(sessions.iter().map(CatalogueId::as_str));
        if sessions.is_empty() {
            return Ok(Vec::new());
        }
        // Both words: the index of those that live is by session and customer.
        let sql = format!(
            "SELECT {ENTRY} FROM waiting_list w WHERE w.scope = {{1}} AND w.session IN (SELECT id FROM {{rows}}) AND w.customer = {{2}} \
             AND w.status IN ('waiting', 'offered') ORDER BY w.session"
        );
        let found = self.db.read(&sql, Some(&sessions), &[scope.as_str().into(), customer.as_str().into()]).await?;
        let mut live = found.iter().map(rows::read).collect::<Result<Vec<_>, _>>()?;
        live.retain(WaitingEntry::is_open);
        Ok(live)
    }

    pub(in super::super) async fn list_waiting(
        &self,
        scope: &Scope,
        session: &CatalogueId,
        status: Option<WaitingStatus>,
        request: &PageRequest,
    ) -> Result<Page<WaitingEntry>, StoreError> {
        // A cursor that is none of ours begins nowhere.
        let after = request.after.as_ref().map_or(Ok(0), |after| after.parse::<i64>()).unwrap_or(i64::MAX);
        let mut args: Vec<Value> = vec![scope.as_str().into(), session.as_str().into(), after.into()];
        let mut narrowed = "";
        if let Some(status) = status {
            args.push(status.as_str().into());
            narrowed = "AND w.status = {4}";
        }
        let sql = format!(
            "SELECT {ENTRY} FROM waiting_list w WHERE w.scope = {{1}} AND w.session = {{2}} AND w.place > {{3}} {narrowed} \
             ORDER BY w.place LIMIT {}",
            request.limit + 1
        );
        let found = self.db.read(&sql, None, &args).await?.iter().map(rows::read).collect::<Result<_, _>>()?;
        Ok(page(found, request.limit, |entry: &WaitingEntry| entry.place.to_string()))
    }
}

fn one() -> String {
    format!("SELECT {ENTRY} FROM waiting_list w WHERE w.id = {{1}} AND w.scope = {{2}}")
}

async fn find(tx: &mut Tx<'_>, scope: &Scope, id: &WaitingId) -> Result<Option<WaitingEntry>, StoreError> {
    tx.fetch(&one(), None, &[id.as_str().into(), scope.as_str().into()]).await?.first().map(rows::read).transpose()
}

/// What this very call, or one with the same key, was answered before.
async fn joined_before(tx: &mut Tx<'_>, new: &NewWaiting) -> Result<Option<JoinResult>, StoreError> {
    if let Some(ours) = find(tx, &new.scope, &new.id).await? {
        return Ok(Some(JoinResult::Created(answer(&ours)?)));
    }
    let Some(idempotency) = &new.idempotency else { return Ok(None) };
    let bound = answers::bound(tx, &new.scope, idempotency, new.id.as_str()).await?;
    Ok(bound.map(|bound| match bound {
        Bound::Ours(answer) => JoinResult::Created(answer),
        Bound::Same(answer) => JoinResult::Replayed(answer),
        Bound::Other => JoinResult::KeyReused,
    }))
}

/// Why somebody does not get on the list.
async fn refused(
    tx: &mut Tx<'_>,
    new: &NewWaiting,
    session: &Session,
    locked: &Locked,
    now: Timestamp,
) -> Result<Option<JoinResult>, StoreError> {
    let whose: [Value; 2] = [new.scope.as_str().into(), new.customer.as_str().into()];
    let sql = "SELECT c.id, c.doc, s.doc FROM customers c LEFT JOIN settings s ON s.scope = c.scope WHERE c.scope = {1} AND c.id = {2}";
    let found = tx.fetch(sql, None, &whose).await?;
    let Some(row) = found.first() else { return Ok(Some(JoinResult::CustomerMissing)) };
    let customer = customers::read(row, 0)?;
    let settings: Option<Settings> = row.maybe_text(2)?.map(|doc| serde_json::from_str(&doc)).transpose().map_err(corrupt)?;
    let here: [Value; 3] = [new.scope.as_str().into(), new.session.as_str().into(), new.customer.as_str().into()];
    let sql = "SELECT id FROM waiting_list WHERE scope = {1} AND session = {2} AND customer = {3} AND status IN ('waiting', 'offered')";
    if let Some(row) = tx.fetch(sql, None, &here).await?.first() {
        return Ok(Some(JoinResult::AlreadyThere(WaitingId::parse(row.text(0)?).map_err(corrupt)?)));
    }
    let sql = "SELECT CAST(COALESCE(SUM(quantity), 0) AS BIGINT) FROM claims WHERE scope = {1} AND kind = 'session' AND resource = {2} \
               AND customer = {3} AND state <> 'released'";
    let owned = tx.fetch(sql, None, &here).await?.first().map_or(Ok(0), |row: &Row| row.count(0))?;
    let zone = settings.as_ref().map(|settings| &settings.time_zone);
    Ok(match check_waiter(session, &customer, owned, new.quantity, now, zone) {
        Err(error) => Some(JoinResult::Refused(error)),
        Ok(()) if locked.level.free() >= new.quantity => Some(JoinResult::NotFull),
        Ok(()) if locked.waiting >= MAX_WAITING => Some(JoinResult::ListFull),
        Ok(()) => None,
    })
}

/// The entry, behind all that came before.
async fn entry(tx: &mut Tx<'_>, new: &NewWaiting, session: &Session, now: Timestamp) -> Result<WaitingEntry, StoreError> {
    let sql = "SELECT COALESCE(MAX(place), 0) + 1 FROM waiting_list WHERE scope = {1} AND session = {2}";
    let rows = tx.fetch(sql, None, &[new.scope.as_str().into(), new.session.as_str().into()]).await?;
    Ok(WaitingEntry {
        id: new.id.clone(),
        scope: new.scope.clone(),
        session: new.session.clone(),
        place: rows.first().map_or(Ok(1), |row| row.int(0))?,
        customer: new.customer.clone(),
        quantity: new.quantity,
        callback_url: new.callback_url.clone(),
        offer_for: new.offer_for,
        status: WaitingStatus::Waiting,
        version: 1,
        seats: Vec::new(),
        expires_at: None,
        checkout: None,
        due_at: Some(waits_until(session)),
        created_at: now,
        updated_at: now,
    })
}

fn answer(entry: &WaitingEntry) -> Result<StoredAnswer, StoreError> {
    let body = serde_json::to_string(&WaitingEntryView::from(entry)).map_err(corrupt)?;
    Ok(StoredAnswer { status: CREATED, object: entry.id.to_string(), body })
}
