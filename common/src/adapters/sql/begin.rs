//! `begin`: claims everything scarce and records attempts, a batch in one transaction.

use super::{
    apply::apply,
    balance,
    bulk::{Rows, Type::Text},
    db::{Db, Tx, transact},
    load,
    remembered::Remembered,
    replace,
    sessions::Sessions,
    stock,
    value::corrupt,
    waiting,
};
use crate::{
    batch::BatchRun,
    domain::{
        balance as domain_balance,
        begin::{self, Begin, Begun},
        catalogue::Kind,
        checkout::Checkout,
        claim::StockKey,
        effects::Effects,
        eligibility::World,
        id::{CheckoutId, CustomerId, Entropy},
        settings::Settings,
        state::Status,
    },
    failpoint,
    ports::store::{BeginAnswer, Next, StoreError},
};
use async_trait::async_trait;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// Runs begins.
pub(super) struct Begins {
    db: Db,
    entropy: Arc<Entropy>,
    sessions: Sessions,
    remembered: Arc<Remembered>,
}

impl Begins {
    pub(super) fn new(db: Db, entropy: Arc<Entropy>, remembered: Arc<Remembered>) -> Self {
        Self { db, entropy, sessions: Sessions::default(), remembered }
    }
}

#[async_trait]
impl BatchRun for Begins {
    type Item = Arc<Begin>;
    type Answer = BeginAnswer;
    type Error = StoreError;

    async fn run(&self, items: &[Arc<Begin>]) -> Result<Vec<BeginAnswer>, StoreError> {
        let known = self.remembered.of(items.iter().map(|item| &item.checkout));
        let answers = transact!(self.db, tx => { run(tx, items, &known, &self.entropy, &self.sessions).await })?;
        let _ = failpoint::cross("begin.after_commit").await;
        Ok(answers)
    }

    fn name(&self) -> Option<&'static str> {
        Some("begin")
    }

    fn worth_retrying(&self, error: &StoreError) -> bool {
        !matches!(error, StoreError::Unavailable(_))
    }

    fn runs_for_nobody(&self) -> bool {
        false
    }
}

async fn run(
    tx: &mut Tx<'_>,
    items: &[Arc<Begin>],
    known: &HashMap<CheckoutId, Arc<Checkout>>,
    entropy: &Entropy,
    sessions: &Sessions,
) -> Result<Vec<BeginAnswer>, StoreError> {
    let wanted = items.iter().map(|item| (&item.checkout, known.get(&item.checkout).map(|checkout| &**checkout)));
    let mut checkouts = load::lock_known(tx, wanted).await?;
    let mut world = world(tx, checkouts.values(), sessions).await?;
    let queued = checkouts.values().filter(|checkout| checkout.status == Status::Queued);
    world.balances = balance::lock(tx, queued.clone()).await?;
    world.earlier = replace::earlier(tx, queued).await?;
    let now = tx.now().await?;
    world.now = now;
    let mut nexts: Vec<Next> = Vec::with_capacity(items.len());
    let mut decided: Vec<Effects> = Vec::new();
    // Which entry of `decided` an item's answer comes from.
    let mut sources: Vec<Option<usize>> = Vec::with_capacity(items.len());
    for item in items {
        // A twin in the same batch finds nothing: the first has it.
        let Some(checkout) = checkouts.remove(&item.checkout) else {
            nexts.push(Next::Done);
            sources.push(None);
            continue;
        };
        let begun = begin::begin(checkout, item, &mut world, now, entropy).map_err(|error| StoreError::Inconsistent(error.to_string()))?;
        let (next, effects) = match begun {
            Begun::Done => (Next::Done, None),
            Begun::Busy(until) => (Next::Busy(until), None),
            Begun::Moved(effects) => (Next::Done, Some(effects)),
            Begun::Act { effects, n, action } => (Next::Act { checkout: Box::new(effects.checkout.clone()), n, action }, Some(effects)),
        };
        sources.push(effects.as_ref().map(|_| decided.len()));
        nexts.push(next);
        decided.extend(effects.map(|effects| *effects));
    }
    let moved = apply(tx, &decided, now, entropy).await?;
    failpoint::cross("begin.before_commit").await?;
    let answer = |(next, source): (Next, Option<usize>)| match (next, source.and_then(|at| moved.get(at))) {
        (Next::Done, Some(moved)) => BeginAnswer { stock: moved.stock.clone(), next: Next::Moved(moved.clone()) },
        (next, moved) => BeginAnswer { stock: moved.map(|moved| moved.stock.clone()).unwrap_or_default(), next },
    };
    Ok(nexts.into_iter().zip(sources).map(answer).collect())
}

/// Reads, under locks, all that the queued checkouts of a batch are decided on.
async fn world<'c>(tx: &mut Tx<'_>, batch: impl Iterator<Item = &'c Checkout>, sessions: &Sessions) -> Result<World, StoreError> {
    let (queued, begun): (Vec<&Checkout>, Vec<&Checkout>) = batch.partition(|checkout| checkout.status == Status::Queued);
    let mut world = World::default();
    let mut wanted: Vec<StockKey> = Vec::new();
    let mut seats = Rows::new(&[("scope", Text), ("kind", Text), ("id", Text), ("seat", Text)]);
    for checkout in &queued {
        for want in checkout.order.wants() {
            for seat in &want.seats {
                seats.push([checkout.scope.as_str().into(), want.kind.as_str().into(), want.id.as_str().into(), seat.as_str().into()]);
            }
            wanted.push(StockKey { scope: checkout.scope.clone(), kind: want.kind, id: want.id });
        }
    }
    if !queued.is_empty() {
        // What this batch may give back is locked with what it claims, all of it in one order; and customers behind all of the inventory.
        let spends = queued.iter().any(|checkout| domain_balance::key(&checkout.scope, &checkout.order).is_some());
        for checkout in begun.into_iter().filter(|checkout| spends || begin::may_give_back(checkout)) {
            wanted.extend(checkout.order.wants().into_iter().map(|want| StockKey {
                scope: checkout.scope.clone(),
                kind: want.kind,
                id: want.id,
            }));
        }
    }
    if wanted.is_empty() {
        return Ok(world);
    }
    wanted.sort_unstable();
    wanted.dedup();
    let keys = stock::keys(&wanted);
    let locked = stock::lock(tx, &keys).await?;
    // Documents are read after the locks: who changed one held the same lock. Of goods only the count matters.
    world.sessions = sessions.known(&locked);
    world.stock = locked.iter().map(|locked| (locked.level.key.clone(), locked.level.clone())).collect();
    let keys = stock::keys(wanted.iter().filter(|key| key.kind.is_contested() && !world.sessions.contains_key(key)));
    let sql = "SELECT c.scope, c.kind, c.id, c.doc FROM catalogue c WHERE (c.scope, c.kind, c.id) IN (SELECT scope, kind, id FROM {rows})";
    let documents = if keys.is_empty() { Vec::new() } else { tx.fetch(sql, Some(&keys), &[]).await? };
    for row in documents {
        let (key, doc) = (stock::key(&row, 0)?, row.text(3)?);
        match key.kind {
            Kind::Session => {
                let session = sessions.learn(&locked, &key, &doc)?;
                world.sessions.insert(key, session);
            }
            Kind::PromoCode => drop(world.promo_codes.insert(key, serde_json::from_str(&doc).map_err(corrupt)?)),
            Kind::Product | Kind::Membership | Kind::Plan | Kind::BoughtMembership => {}
        }
    }
    let credits = stock::keys(wanted.iter().filter(|key| key.kind == Kind::BoughtMembership));
    if !credits.is_empty() {
        world.bought = super::memberships::locked(tx, &credits).await?.into_iter().collect();
    }
    if !seats.is_empty() {
        let sql = "SELECT c.scope, c.kind, c.resource, c.seat FROM claims c WHERE c.seat IS NOT NULL AND c.state <> 'released' \
                   AND (c.scope, c.kind, c.resource, c.seat) IN (SELECT scope, kind, id, seat FROM {rows})";
        for row in tx.fetch(sql, Some(&seats), &[]).await? {
            world.taken_seats.insert((stock::key(&row, 0)?, row.text(3)?));
        }
    }
    world.offers = waiting::open_offers(tx, queued.iter().copied()).await?;
    buyers(tx, &queued, &mut world).await?;
    Ok(world)
}

/// Customers and what they have already, for sessions that ask about either: those who buy, and those who are to come.
async fn buyers(tx: &mut Tx<'_>, queued: &[&Checkout], world: &mut World) -> Result<(), StoreError> {
    let mut customers = Rows::new(&[("scope", Text), ("id", Text)]);
    let mut owned = Rows::new(&[("scope", Text), ("kind", Text), ("resource", Text), ("customer", Text)]);
    // Of those whom we do not know the age is asked all the same.
    let mut strangers = Rows::new(&[("id", Text)]);
    for checkout in queued {
        let scope = || checkout.scope.as_str().into();
        for want in checkout.order.wants() {
            let key = StockKey { scope: checkout.scope.clone(), kind: want.kind, id: want.id };
            let Some(session) = world.sessions.get(&key) else { continue };
            let participants = want.line.and_then(|at| checkout.order.lines.get(at)).map_or(&[][..], |line| line.item.participants());
            let named: BTreeSet<&CustomerId> = participants.iter().filter_map(|participant| participant.customer.as_ref()).collect();
            let is_restricted = session.required_tag.is_some() || session.min_age.is_some() || session.max_age.is_some();
            let buyer = checkout.order.customer.iter().filter(|buyer| !named.contains(buyer));
            for customer in buyer.chain(named.iter().copied()) {
                if is_restricted || !named.is_empty() {
                    customers.push([scope(), customer.as_str().into()]);
                }
                if session.purchase_limit.is_some() {
                    owned.push([scope(), key.kind.as_str().into(), key.id.as_str().into(), customer.as_str().into()]);
                }
            }
            if is_restricted && participants.iter().any(|participant| participant.customer.is_none()) {
                strangers.push([scope()]);
            }
        }
    }
    if !strangers.is_empty() {
        let sql = "SELECT s.scope, s.doc FROM settings s WHERE s.scope IN (SELECT id FROM {rows})";
        for row in tx.fetch(sql, Some(&strangers), &[]).await? {
            let settings: Settings = serde_json::from_str(&row.text(1)?).map_err(corrupt)?;
            world.time_zones.insert(load::scope(&row.text(0)?)?, settings.time_zone);
        }
    }
    if !customers.is_empty() {
        let sql = "SELECT c.scope, c.id, c.doc, s.doc FROM customers c LEFT JOIN settings s ON s.scope = c.scope \
                   WHERE (c.scope, c.id) IN (SELECT scope, id FROM {rows})";
        for row in tx.fetch(sql, Some(&customers), &[]).await? {
            let scope = load::scope(&row.text(0)?)?;
            if let (Some(settings), false) = (row.maybe_text(3)?, world.time_zones.contains_key(&scope)) {
                let settings: Settings = serde_json::from_str(&settings).map_err(corrupt)?;
                world.time_zones.insert(scope.clone(), settings.time_zone);
            }
            let customer = super::customers::read(&row, 1)?;
            let id = CustomerId::parse(row.text(1)?).map_err(corrupt)?;
            world.customers.insert((scope, id), customer);
        }
    }
    if !owned.is_empty() {
        let sql = "SELECT c.scope, c.kind, c.resource, c.customer, CAST(SUM(c.quantity) AS BIGINT) FROM claims c \
                   WHERE c.state <> 'released' AND (c.scope, c.kind, c.resource, c.customer) IN (SELECT scope, kind, resource, customer FROM {rows}) \
                   GROUP BY c.scope, c.kind, c.resource, c.customer";
        for row in tx.fetch(sql, Some(&owned), &[]).await? {
            let customer = CustomerId::parse(row.text(3)?).map_err(corrupt)?;
            world.owned.insert((stock::key(&row, 0)?, customer), row.count(4)?);
        }
    }
    Ok(())
}
