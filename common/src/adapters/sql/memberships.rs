//! Memberships that customers have: a row each, and their credits in `inventory` like any other stock.

use super::{
    SqlStore,
    bulk::{Column, Rows, Type::Int, Type::Text},
    catalogue::resize,
    db::{Tx, transact},
    read::page,
    script::Write,
    stock,
    value::{Row, Value, corrupt},
};
use crate::{
    domain::{
        bought_membership::{BoughtMembership, Credited, Frozen},
        catalogue::Kind,
        claim::StockKey,
        effects::Effects,
        id::{BoughtMembershipId, CatalogueId, CheckoutId, CustomerId, LineId},
        membership::MembershipType,
        scope::Scope,
    },
    ports::store::{BoughtPut, Freezing, Froze, Page, PageRequest, PutBought, StoreError},
};

/// Counted, and limits nobody.
const NO_LIMIT: u32 = u32::MAX;

const COLUMNS: &[Column] = &[
    ("scope", Text),
    ("id", Text),
    ("customer", Text),
    ("membership", Text),
    ("kind", Text),
    ("credits", Int),
    ("valid_from", Int),
    ("valid_until", Int),
    ("period", Int),
    ("period_from", Int),
    ("frozen_from", Int),
    ("frozen_until", Int),
    ("ended_at", Int),
    ("checkout", Text),
    ("line", Text),
    ("metadata", Text),
    ("created_at", Int),
    ("updated_at", Int),
];

/// A membership's columns, in the order that `read` reads them.
pub(super) const BOUGHT: &str = "b.id, b.customer, b.membership, b.kind, b.credits, b.valid_from, b.valid_until, b.period, b.period_from, \
     b.frozen_from, b.frozen_until, b.ended_at, b.checkout, b.line, b.metadata, b.created_at, b.updated_at, b.scope";
/// How many there are; the last one is the scope.
pub(super) const BOUGHT_WIDTH: usize = 18;
/// What its claims say: used, held. Two columns behind `BOUGHT`.
const CREDITS: &str = "CAST((SELECT COALESCE(SUM(c.quantity), 0) FROM claims c WHERE c.scope = b.scope AND c.kind = 'bought_membership' \
     AND c.resource = b.id AND c.state = 'sold') AS BIGINT), CAST((SELECT COALESCE(SUM(c.quantity), 0) FROM claims c \
     WHERE c.scope = b.scope AND c.kind = 'bought_membership' AND c.resource = b.id AND c.state = 'held') AS BIGINT)";

pub(super) fn read(row: &Row) -> Result<BoughtMembership, StoreError> {
    let kind = row.text(3)?;
    let sold_by = match (row.maybe_text(12)?, row.maybe_text(13)?) {
        (Some(checkout), Some(line)) => Some((CheckoutId::parse(checkout).map_err(corrupt)?, LineId::parse(line).map_err(corrupt)?)),
        _ => None,
    };
    let until = row.maybe_time(10)?;
    Ok(BoughtMembership {
        id: BoughtMembershipId::parse(row.text(0)?).map_err(corrupt)?,
        customer: CustomerId::parse(row.text(1)?).map_err(corrupt)?,
        membership: CatalogueId::parse(row.text(2)?).map_err(corrupt)?,
        kind: MembershipType::parse(&kind).ok_or_else(|| corrupt(format!("membership type {kind:?}")))?,
        credits: row.maybe_int(4)?.map(u32::try_from).transpose().map_err(corrupt)?,
        valid_from: row.time(5)?,
        valid_until: row.maybe_time(6)?,
        period: row.count(7)?,
        period_from: row.time(8)?,
        frozen: row.maybe_time(9)?.map(|from| Frozen { from, until }),
        ended_at: row.maybe_time(11)?,
        sold_by,
        metadata: serde_json::from_str(&row.text(14)?).map_err(corrupt)?,
        created_at: row.time(15)?,
        updated_at: row.time(16)?,
    })
}

fn read_credited(row: &Row) -> Result<Credited, StoreError> {
    Ok(Credited { bought: read(row)?, used: row.count(BOUGHT_WIDTH)?, held: row.count(BOUGHT_WIDTH + 1)? })
}

fn push(rows: &mut Rows, scope: &Scope, bought: &BoughtMembership) -> Result<(), StoreError> {
    let sold_by = bought.sold_by.as_ref();
    rows.push([
        scope.as_str().into(),
        bought.id.as_str().into(),
        bought.customer.as_str().into(),
        bought.membership.as_str().into(),
        bought.kind.as_str().into(),
        bought.credits.into(),
        bought.valid_from.into(),
        bought.valid_until.into(),
        bought.period.into(),
        bought.period_from.into(),
        bought.frozen.map(|frozen| frozen.from).into(),
        bought.frozen.and_then(|frozen| frozen.until).into(),
        bought.ended_at.into(),
        sold_by.map(|(checkout, _)| checkout.as_str()).into(),
        sold_by.map(|(_, line)| line.as_str()).into(),
        serde_json::to_string(&bought.metadata).map_err(corrupt)?.into(),
        bought.created_at.into(),
        bought.updated_at.into(),
    ]);
    Ok(())
}

fn stock_key(scope: &Scope, id: &BoughtMembershipId) -> StockKey {
    StockKey { scope: scope.clone(), kind: Kind::BoughtMembership, id: id.in_stock() }
}

/// Writes what a batch of transitions sold, and what it ended. Nothing, when there is none of it. The ids are the lines' own: nobody
/// else has them.
pub(super) fn changes(batch: &[Effects]) -> Result<[Write; 3], StoreError> {
    let mut bought = Rows::new(COLUMNS);
    let mut stock = Rows::new(&[("scope", Text), ("kind", Text), ("id", Text), ("capacity", Int), ("taken", Int), ("version", Int)]);
    let mut ended = Rows::new(&[("scope", Text), ("id", Text), ("ended_at", Int), ("updated_at", Int)]);
    for effects in batch {
        let scope = &effects.checkout.scope;
        for membership in &effects.bought {
            push(&mut bought, scope, membership)?;
            stock.push([
                scope.as_str().into(),
                Kind::BoughtMembership.as_str().into(),
                membership.id.as_str().into(),
                membership.credits.unwrap_or(NO_LIMIT).into(),
                0u32.into(),
                1u32.into(),
            ]);
        }
        for (id, at) in &effects.ended {
            ended.push([scope.as_str().into(), id.as_str().into(), (*at).into(), effects.checkout.updated_at.into()]);
        }
    }
    let end = "UPDATE bought_memberships SET ended_at = r.ended_at, updated_at = r.updated_at FROM {rows} \
               WHERE bought_memberships.scope = r.scope AND bought_memberships.id = r.id";
    Ok([Write::insert("bought_memberships", bought), Write::insert("inventory", stock), Write::new(end, ended)])
}

/// Reads some under the locks of their stock.
pub(super) async fn locked(tx: &mut Tx<'_>, keys: &Rows) -> Result<Vec<(StockKey, BoughtMembership)>, StoreError> {
    let sql = format!("SELECT {BOUGHT} FROM bought_memberships b WHERE (b.scope, b.id) IN (SELECT scope, id FROM {{rows}})");
    let rows = tx.fetch(&sql, Some(keys), &[]).await?;
    rows.iter()
        .map(|row| {
            let bought = read(row)?;
            Ok((stock_key(&super::load::scope(&row.text(17)?)?, &bought.id), bought))
        })
        .collect()
}

/// Reads one and what its claims say.
async fn one(tx: &mut Tx<'_>, scope: &Scope, id: &BoughtMembershipId) -> Result<Option<Credited>, StoreError> {
    let sql = format!("SELECT {BOUGHT}, {CREDITS} FROM bought_memberships b WHERE b.scope = {{1}} AND b.id = {{2}}");
    tx.fetch(&sql, None, &[scope.as_str().into(), id.as_str().into()]).await?.first().map(read_credited).transpose()
}

impl SqlStore {
    pub(super) async fn write_bought(&self, put: &PutBought) -> Result<BoughtPut, StoreError> {
        let PutBought { scope, id, customer, .. } = put;
        let key = stock_key(scope, id);
        transact!(self.db, tx => {
            let now = tx.now().await?;
            let level = stock::lock(tx, &stock::keys([&key])).await?.pop();
            let before = one(tx, scope, id).await?;
            let args: [Value; 2] = [scope.as_str().into(), customer.as_str().into()];
            if tx.fetch("SELECT 1 FROM customers WHERE scope = {1} AND id = {2}", None, &args).await?.is_empty() {
                return Ok(BoughtPut::CustomerMissing);
            }
            match &before {
                Some(before) if before.bought.customer != *customer => return Ok(BoughtPut::IdTaken),
                None if id.is_ours() => return Ok(BoughtPut::IdReserved),
                Some(_) | None => {}
            }
            let taken = level.map_or(0, |locked| locked.level.taken);
            if put.credits.is_some_and(|credits| credits < taken) {
                return Ok(BoughtPut::TooFewCredits { taken });
            }
            if resize(tx, &key, Some(put.credits.unwrap_or(NO_LIMIT)), None).await?.is_some() {
                return Err(StoreError::Unavailable("its credits were used at this moment".to_owned()));
            }
            if before.is_none() && one(tx, scope, id).await?.is_some() {
                // Somebody made it while we waited for its row: run again, it is found then.
                return Err(StoreError::Unavailable("the same membership was put twice at once".to_owned()));
            }
            let bought = replaced(put, before.as_ref().map(|before| &before.bought), now);
            let mut rows = Rows::new(COLUMNS);
            push(&mut rows, scope, &bought)?;
            let sql = "INSERT INTO bought_memberships ({names}) SELECT {names} FROM {rows} WHERE true ON CONFLICT (scope, id) DO UPDATE SET \
                       membership = excluded.membership, kind = excluded.kind, credits = excluded.credits, valid_from = excluded.valid_from, \
                       valid_until = excluded.valid_until, period = excluded.period, period_from = excluded.period_from, \
                       frozen_from = excluded.frozen_from, frozen_until = excluded.frozen_until, metadata = excluded.metadata, \
                       updated_at = excluded.updated_at WHERE bought_memberships.customer = excluded.customer";
            if tx.execute(sql, Some(&rows), &[]).await? == 0 {
                // Another customer got it a moment ago: run again, it is found then.
                return Err(StoreError::Unavailable("two customers got the same membership at once".to_owned()));
            }
            let after = one(tx, scope, id).await?.ok_or_else(|| StoreError::Inconsistent("a put without a row".to_owned()))?;
            Ok(if before.is_some() { BoughtPut::Replaced(Box::new(after)) } else { BoughtPut::Created(Box::new(after)) })
        })
    }

    pub(super) async fn read_bought(
        &self,
        scope: &Scope,
        customer: &CustomerId,
        id: &BoughtMembershipId,
    ) -> Result<Option<Credited>, StoreError> {
        let sql =
            format!("SELECT {BOUGHT}, {CREDITS} FROM bought_memberships b WHERE b.scope = {{1}} AND b.id = {{2}} AND b.customer = {{3}}");
        let args: [Value; 3] = [scope.as_str().into(), id.as_str().into(), customer.as_str().into()];
        self.db.read(&sql, None, &args).await?.first().map(read_credited).transpose()
    }

    pub(super) async fn list_bought(
        &self,
        scope: &Scope,
        customer: &CustomerId,
        request: &PageRequest,
    ) -> Result<Page<Credited>, StoreError> {
        let sql = format!(
            "SELECT {BOUGHT}, {CREDITS} FROM bought_memberships b WHERE b.scope = {{1}} AND b.customer = {{2}} AND b.id > {{3}} \
             ORDER BY b.id LIMIT {{4}}"
        );
        let after = request.after.clone().unwrap_or_default();
        let args: [Value; 4] = [scope.as_str().into(), customer.as_str().into(), after.into(), (request.limit + 1).into()];
        let rows = self.db.read(&sql, None, &args).await?.iter().map(read_credited).collect::<Result<_, _>>()?;
        Ok(page(rows, request.limit, |credited: &Credited| credited.bought.id.to_string()))
    }

    pub(super) async fn freeze_one(
        &self,
        scope: &Scope,
        customer: &CustomerId,
        id: &BoughtMembershipId,
        freezing: Freezing,
    ) -> Result<Froze, StoreError> {
        let key = stock_key(scope, id);
        transact!(self.db, tx => {
            // Whoever pays with it holds the same lock.
            stock::lock(tx, &stock::keys([&key])).await?;
            let found = one(tx, scope, id).await?.filter(|credited| credited.bought.customer == *customer);
            let Some(Credited { bought, used, held }) = found else { return Ok(Froze::Missing) };
            let now = tx.now().await?;
            let changed = match freezing {
                Freezing::Freeze(until) => bought.freeze(until, now),
                Freezing::Thaw => bought.unfreeze(now),
            };
            let bought = match changed {
                Ok(bought) => bought,
                Err(refusal) => return Ok(Froze::Refused(refusal)),
            };
            let mut rows = Rows::new(COLUMNS);
            push(&mut rows, scope, &bought)?;
            let sql = "UPDATE bought_memberships SET valid_until = r.valid_until, frozen_from = r.frozen_from, \
                       frozen_until = r.frozen_until, updated_at = r.updated_at \
                       FROM {rows} WHERE bought_memberships.scope = r.scope AND bought_memberships.id = r.id";
            tx.execute(sql, Some(&rows), &[]).await?;
            Ok(Froze::Done(Box::new(Credited { bought, used, held })))
        })
    }
}

/// What is written of a put. What sold it, and whether it is frozen or has ended, stays.
fn replaced(put: &PutBought, before: Option<&BoughtMembership>, now: crate::domain::time::Timestamp) -> BoughtMembership {
    let valid_from = put.valid_from.unwrap_or(now);
    BoughtMembership {
        id: put.id.clone(),
        customer: put.customer.clone(),
        membership: put.membership.clone(),
        kind: put.kind,
        credits: put.credits,
        valid_from,
        valid_until: put.valid_until,
        period: before.map_or(1, |before| before.period),
        period_from: valid_from,
        frozen: before.and_then(|before| before.frozen),
        ended_at: before.and_then(|before| before.ended_at),
        sold_by: before.and_then(|before| before.sold_by.clone()),
        metadata: put.metadata.clone(),
        created_at: before.map_or(now, |before| before.created_at),
        updated_at: now,
    }
}
