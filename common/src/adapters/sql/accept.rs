//! `accept`: makes checkouts durable, a batch in one transaction.

use super::{
    answers::{self, Bound, First, Key},
    bulk::{Rows, Type::Int, Type::Text},
    db::{Db, Tx, transact},
    remembered::Remembered,
    script::Write,
    value::corrupt,
};
use crate::{
    batch::{BatchRun, Closed, Panicked},
    domain::{
        checkout::Checkout,
        customer::Customer,
        id::{CustomerId, Entropy},
        scope::Scope,
        time::Timestamp,
        view::CheckoutView,
    },
    failpoint,
    ports::store::{Accepted, NewCheckout, StoreError, StoredAnswer},
};
use async_trait::async_trait;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// HTTP 202: what every accepted checkout is answered with.
const ACCEPTED: u16 = 202;

/// Runs accepts.
pub(super) struct Accepts {
    db: Db,
    entropy: Arc<Entropy>,
    remembered: Arc<Remembered>,
}

impl Accepts {
    pub(super) fn new(db: Db, entropy: Arc<Entropy>, remembered: Arc<Remembered>) -> Self {
        Self { db, entropy, remembered }
    }
}

#[async_trait]
impl BatchRun for Accepts {
    type Item = Arc<NewCheckout>;
    type Answer = Accepted;
    type Error = StoreError;

    async fn run(&self, items: &[Arc<NewCheckout>]) -> Result<Vec<Accepted>, StoreError> {
        let (answers, fresh) = transact!(self.db, tx => { accept(tx, items, &self.entropy).await })?;
        self.remembered.keep(fresh);
        let _ = failpoint::cross("accept.after_commit").await;
        Ok(answers)
    }

    fn name(&self) -> Option<&'static str> {
        Some("accept")
    }

    fn worth_retrying(&self, error: &StoreError) -> bool {
        !matches!(error, StoreError::Unavailable(_))
    }
}

impl From<Closed> for StoreError {
    fn from(_: Closed) -> Self {
        Self::Unavailable("too much is waiting for the store".to_owned())
    }
}

impl From<Panicked> for StoreError {
    /// Not [`Self::Unavailable`]: whoever asks again for ever is never seen.
    fn from(_: Panicked) -> Self {
        Self::Inconsistent("it panicked".to_owned())
    }
}

/// The first of a batch with its key: what it becomes, and what it is answered.
type Entrant<'a> = (&'a NewCheckout, Checkout, StoredAnswer);

fn key(new: &NewCheckout) -> Key<'_> {
    answers::key(&new.scope, &new.idempotency)
}

/// The answers, and what was written.
pub(super) async fn accept(
    tx: &mut Tx<'_>,
    items: &[Arc<NewCheckout>],
    entropy: &Entropy,
) -> Result<(Vec<Accepted>, Vec<Checkout>), StoreError> {
    let now = tx.now().await?;
    let customers = Customers::find(tx, items, entropy, now).await?;
    // The first of twins in a batch goes in; the others find its row. Sorted, so that two batches with the same keys do
    // not wait for each other.
    let mut firsts: HashMap<Key<'_>, Entrant<'_>> = HashMap::new();
    for new in items {
        if firsts.contains_key(&key(new)) || customers.is_missing(new) {
            continue;
        }
        let checkout = queued(new, customers.of(new), now);
        let body = serde_json::to_string(&CheckoutView::new(&checkout, Some(new.queue))).map_err(corrupt)?;
        let answer = StoredAnswer { status: ACCEPTED, object: checkout.id.to_string(), body };
        firsts.insert(key(new), (new, checkout, answer));
    }
    let mut sorted: Vec<&Entrant<'_>> = firsts.values().collect();
    sorted.sort_unstable_by_key(|(new, ..)| key(new));
    let known = insert(tx, &sorted, now).await?;
    let winners = sorted.iter().filter(|(new, ..)| !known.contains_key(&key(new)));
    customers.insert(tx, winners.map(|(new, ..)| *new), now).await?;
    failpoint::cross("accept.before_commit").await?;
    let answers = items.iter().map(|new| answered(new, &known, &firsts, now)).collect();
    let written = firsts.into_iter().filter(|(key, _)| !known.contains_key(key)).map(|(_, (_, checkout, _))| checkout);
    Ok((answers, written.collect()))
}

/// What a caller is told. Its own id in an answer means that its own run, this or an earlier one, has written it.
fn answered(new: &NewCheckout, known: &HashMap<Key<'_>, First>, firsts: &HashMap<Key<'_>, Entrant<'_>>, now: Timestamp) -> Accepted {
    let of_batch = |(first, _, answer): &Entrant<'_>| First { answer: answer.clone(), body_hash: first.idempotency.body_hash.clone() };
    let first = known.get(&key(new)).cloned().or_else(|| firsts.get(&key(new)).map(of_batch));
    match first.map(|first| Bound::of(first, &new.idempotency, new.id.as_str())) {
        Some(Bound::Ours(answer)) => Accepted::Created { answer, at: now },
        Some(Bound::Same(answer)) => Accepted::Replayed(answer),
        Some(Bound::Other) => Accepted::KeyReused,
        None => Accepted::CustomerMissing,
    }
}

fn queued(new: &NewCheckout, customer: Option<CustomerId>, now: Timestamp) -> Checkout {
    let mut order = new.order.clone();
    order.customer = customer.or(order.customer);
    if let Some(external_id) = new.customer.as_ref().and_then(|customer| customer.external_id.as_deref()) {
        order.recognize_buyer(external_id);
    }
    Checkout::queued(new.id.clone(), new.scope.clone(), order, now, now.after(new.expires_in))
}

/// Binds keys that are new and writes their checkouts, and answers what the other keys are bound to.
async fn insert<'a>(tx: &mut Tx<'_>, firsts: &[&Entrant<'a>], now: Timestamp) -> Result<HashMap<Key<'a>, First>, StoreError> {
    if firsts.is_empty() {
        return Ok(HashMap::new());
    }
    let bindings = firsts.iter().map(|(new, _, answer)| (&new.scope, &new.idempotency, answer));
    let written = {
        let queued = || firsts.iter().map(|(_, checkout, _)| checkout);
        tx.run(vec![answers::bind_unbound(bindings, now), checkouts(queued())?, spaces(queued())]).await?
    };
    let fresh: HashSet<String> = written.returned().map(|(row, from)| row.text(from)).collect::<Result<_, StoreError>>()?;
    if fresh.len() == firsts.len() {
        return Ok(HashMap::new());
    }
    // The others were bound before: by an earlier run of our own, or by another checkout.
    let bound_before: Vec<&&Entrant<'a>> = firsts.iter().filter(|(_, checkout, _)| !fresh.contains(checkout.id.as_str())).collect();
    let known = answers::firsts(tx, bound_before.iter().map(|(new, ..)| key(new))).await?;
    if known.len() != bound_before.len() {
        // An answer was forgotten between the two statements: run again, its key is free now.
        return Err(StoreError::Unavailable("an old answer was forgotten at this moment".to_owned()));
    }
    let lost = |(new, _, ours): &&&&Entrant<'_>| known.get(&key(new)).is_some_and(|first| first.answer.object != ours.object);
    let losers = Rows::ids(bound_before.iter().filter(lost).map(|(.., ours)| ours.object.as_str()));
    if !losers.is_empty() {
        // Written a moment ago, in this transaction: nobody has seen them.
        tx.execute("DELETE FROM checkouts WHERE id IN (SELECT id FROM {rows})", Some(&losers), &[]).await?;
        if bound_before.iter().any(|(_, checkout, _)| checkout.order.space.is_some()) {
            tx.execute("DELETE FROM checkout_spaces WHERE checkout IN (SELECT id FROM {rows})", Some(&losers), &[]).await?;
        }
    }
    Ok(known)
}

/// Writes the checkouts that are not there: an earlier run of our own may have written them.
pub(super) fn checkouts<'c>(queued: impl Iterator<Item = &'c Checkout>) -> Result<Write, StoreError> {
    let mut rows = Rows::new(&[
        ("id", Text),
        ("scope", Text),
        ("status", Text),
        ("version", Int),
        ("customer", Text),
        ("reference", Text),
        ("doc", Text),
        ("amount_paid", Int),
        ("amount_refunded", Int),
        ("due_at", Int),
        ("rescues", Int),
        ("expires_at", Int),
        ("created_at", Int),
        ("updated_at", Int),
    ]);
    for checkout in queued {
        rows.push([
            checkout.id.as_str().into(),
            checkout.scope.as_str().into(),
            checkout.status.as_str().into(),
            checkout.version.into(),
            checkout.order.customer.as_ref().map(CustomerId::as_str).into(),
            checkout.order.reference.clone().into(),
            serde_json::to_string(&checkout.order).map_err(corrupt)?.into(),
            checkout.amount_paid.into(),
            checkout.amount_refunded.into(),
            checkout.due_at.into(),
            checkout.rescues.into(),
            checkout.expires_at.into(),
            checkout.created_at.into(),
            checkout.updated_at.into(),
        ]);
    }
    Ok(Write::new("INSERT INTO checkouts ({names}) SELECT {names} FROM {rows} WHERE true ON CONFLICT DO NOTHING", rows))
}

/// Where those stand that stand apart: nothing is written of the others.
fn spaces<'c>(queued: impl Iterator<Item = &'c Checkout>) -> Write {
    let mut rows = Rows::new(&[("scope", Text), ("space", Text), ("checkout", Text)]);
    for checkout in queued {
        if let Some(space) = &checkout.order.space {
            rows.push([checkout.scope.as_str().into(), space.as_str().into(), checkout.id.as_str().into()]);
        }
    }
    Write::new("INSERT INTO checkout_spaces ({names}) SELECT {names} FROM {rows} WHERE true ON CONFLICT DO NOTHING", rows)
}

/// The customers of a batch: those that are named by id, and those to be found by `external_id` or made.
struct Customers<'a> {
    present: HashSet<(Scope, CustomerId)>,
    by_external: HashMap<(Scope, &'a str), (CustomerId, bool)>,
    fresh: HashMap<&'a str, CustomerId>,
}

impl<'a> Customers<'a> {
    async fn find(tx: &mut Tx<'_>, items: &'a [Arc<NewCheckout>], entropy: &Entropy, now: Timestamp) -> Result<Self, StoreError> {
        let mut this = Self { present: HashSet::new(), by_external: HashMap::new(), fresh: HashMap::new() };
        let mut by_id = Rows::new(&[("scope", Text), ("id", Text)]);
        let mut by_external = Rows::new(&[("scope", Text), ("id", Text)]);
        for new in items {
            match (&new.customer, &new.order.customer) {
                (Some(Customer { external_id: Some(external), .. }), _) => {
                    by_external.push([new.scope.as_str().into(), external.as_str().into()]);
                    let id = CustomerId::generate(entropy, now);
                    this.by_external.entry((new.scope.clone(), external)).or_insert((id, true));
                }
                (Some(_), _) => {
                    this.fresh.insert(new.id.as_str(), CustomerId::generate(entropy, now));
                }
                (None, Some(id)) => by_id.push([new.scope.as_str().into(), id.as_str().into()]),
                (None, None) => {}
            }
        }
        if !by_id.is_empty() {
            let sql = "SELECT c.scope, c.id FROM customers c WHERE (c.scope, c.id) IN (SELECT scope, id FROM {rows})";
            for row in tx.fetch(sql, Some(&by_id), &[]).await? {
                this.present.insert((super::load::scope(&row.text(0)?)?, CustomerId::parse(row.text(1)?).map_err(corrupt)?));
            }
        }
        if !by_external.is_empty() {
            let sql =
                "SELECT c.scope, c.external_id, c.id FROM customers c WHERE (c.scope, c.external_id) IN (SELECT scope, id FROM {rows})";
            for row in tx.fetch(sql, Some(&by_external), &[]).await? {
                let (scope, external) = (super::load::scope(&row.text(0)?)?, row.text(1)?);
                let id = CustomerId::parse(row.text(2)?).map_err(corrupt)?;
                for (_, slot) in this.by_external.iter_mut().filter(|((whose, name), _)| *whose == scope && *name == external) {
                    *slot = (id.clone(), false);
                }
            }
        }
        Ok(this)
    }

    fn of(&self, new: &'a NewCheckout) -> Option<CustomerId> {
        match new.customer.as_ref()?.external_id.as_deref() {
            Some(external) => self.by_external.get(&(new.scope.clone(), external)).map(|(id, _)| id.clone()),
            None => self.fresh.get(new.id.as_str()).cloned(),
        }
    }

    fn is_missing(&self, new: &NewCheckout) -> bool {
        match (&new.customer, &new.order.customer) {
            (None, Some(id)) => !self.present.contains(&(new.scope.clone(), id.clone())),
            _ => false,
        }
    }

    /// Makes those that are new, of checkouts that go in.
    async fn insert(&self, tx: &mut Tx<'_>, winners: impl Iterator<Item = &'a NewCheckout>, now: Timestamp) -> Result<(), StoreError> {
        let mut rows =
            Rows::new(&[("scope", Text), ("id", Text), ("external_id", Text), ("doc", Text), ("created_at", Int), ("updated_at", Int)]);
        let mut made: HashSet<CustomerId> = HashSet::new();
        for new in winners {
            let (Some(customer), Some(id)) = (&new.customer, self.of(new)) else { continue };
            let found = customer.external_id.as_deref().and_then(|external| self.by_external.get(&(new.scope.clone(), external)));
            if found.is_some_and(|(_, is_new)| !is_new) || !made.insert(id.clone()) {
                continue;
            }
            let doc = super::customers::document(customer)?;
            rows.push([
                new.scope.as_str().into(),
                id.as_str().into(),
                customer.external_id.clone().into(),
                doc.into(),
                now.into(),
                now.into(),
            ]);
        }
        if rows.is_empty() {
            return Ok(());
        }
        // In one order, as the keys are: two batches with the same customers do not wait for each other.
        rows.data.sort_by(|a, b| (a.first(), a.get(2)).cmp(&(b.first(), b.get(2))));
        let sql = "INSERT INTO customers ({names}) SELECT {names} FROM {rows} WHERE true ON CONFLICT DO NOTHING";
        if tx.execute(sql, Some(&rows), &[]).await? == rows.data.len() as u64 {
            return Ok(());
        }
        // Somebody made the same customer a moment ago: run again, it is found then.
        Err(StoreError::Unavailable("a customer was made twice at once".to_owned()))
    }
}
