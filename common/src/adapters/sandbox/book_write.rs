//! The book's one writer: a batch of operations in one transaction, in a handful of statements whatever its size.

use super::{
    book::{BookError, OperationRow, select_operations},
    operation::{Operation, OperationId, OperationRequest, OperationStatus},
    push, push_book,
    rules::{self, Verdict},
};
use crate::{
    batch::BatchRun,
    domain::{attempt::AttemptKind, money::Amount, time::Timestamp},
};
use async_trait::async_trait;
use sqlx::{SqliteConnection, SqlitePool};
use std::collections::{HashMap, HashSet};

/// A request on its way into the book.
#[derive(Debug, Clone)]
pub(super) struct NewOperation {
    pub(super) request: OperationRequest,
    /// Of the request.
    pub(super) hash: String,
    /// Random; becomes half of the id, and tells this request's row from a twin's.
    pub(super) nonce: i64,
    pub(super) created_at: Timestamp,
}

/// One caller's write.
#[derive(Debug, Clone)]
pub(super) enum Write {
    /// A charge; what it comes to depends on nothing in the book.
    Charge(Box<NewOperation>, Verdict),
    /// A capture, void or refund: decided against its charge.
    Change(Box<NewOperation>),
    /// The customer's word on a pending charge.
    Act { charge: OperationId, approve: bool },
}

/// What came of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    /// Executed now.
    Fresh(Operation),
    /// Executed before (or decided before, for an act): as it stands now.
    Replayed(Operation),
    /// The key was used for another request.
    KeyReused,
    /// No such charge.
    Missing,
}

/// Runs the batches.
pub(super) struct Writer(SqlitePool);

impl Writer {
    pub(super) const fn new(pool: SqlitePool) -> Self {
        Self(pool)
    }
}

#[async_trait]
impl BatchRun for Writer {
    type Item = Write;
    type Answer = Written;
    type Error = BookError;

    async fn run(&self, items: &[Write]) -> Result<Vec<Written>, BookError> {
        if items.iter().all(|item| matches!(item, Write::Charge(..))) {
            // The hot path: one statement inserts them all, and is its own transaction.
            let mut connection = self.0.acquire().await?;
            let book = Charged::write(&mut connection, items).await?;
            return items.iter().map(|item| book.answer(item)).collect();
        }
        let mut transaction = self.0.begin_with("BEGIN IMMEDIATE").await?;
        let book = Charged::write(&mut transaction, items).await?;
        let mut changes = Changes::read(&mut transaction, items, book).await?;
        let drafts: Vec<Draft> = items.iter().map(|item| changes.decide(item)).collect();
        changes.write(&mut transaction).await?;
        transaction.commit().await?;
        drafts.into_iter().zip(items).map(|(draft, item)| changes.answer(draft, item)).collect()
    }

    fn name(&self) -> Option<&'static str> {
        Some("sandbox")
    }

    fn worth_retrying(&self, error: &BookError) -> bool {
        // Whatever one bad item did to the others; a book that cannot be reached is not helped by more tries.
        matches!(error, BookError::Database(source) if matches!(**source, sqlx::Error::Database(_)))
    }
}

/// What the book knows of a key.
struct Known {
    hash: String,
    operation: Operation,
}

impl Known {
    fn answer(&self, hash: &str) -> Written {
        if self.hash == hash { Written::Replayed(self.operation.clone()) } else { Written::KeyReused }
    }
}

/// The charges of a batch after they were inserted.
struct Charged {
    /// Place in the book by nonce, for those that are new.
    fresh: HashMap<i64, i64>,
    /// By key, for those that are not.
    known: HashMap<String, Known>,
}

impl Charged {
    async fn write(connection: &mut SqliteConnection, items: &[Write]) -> Result<Self, BookError> {
        let charges = || {
            items.iter().filter_map(|item| match item {
                Write::Charge(new, verdict) => Some((&**new, *verdict)),
                Write::Change(_) | Write::Act { .. } => None,
            })
        };
        let fresh = insert(connection, charges()).await?;
        let replayed = charges().filter(|(new, _)| !fresh.contains_key(&new.nonce)).map(|(new, _)| new.request.idempotency_key.as_str());
        let known = by_keys(connection, replayed.collect()).await?;
        Ok(Self { fresh, known })
    }

    fn answer(&self, item: &Write) -> Result<Written, BookError> {
        let Write::Charge(new, verdict) = item else { return Err(BookError::Corrupt("not a charge")) };
        if let Some(&seq) = self.fresh.get(&new.nonce) {
            return Ok(Written::Fresh(new.executed(seq, *verdict)));
        }
        let known = self.known.get(&new.request.idempotency_key).ok_or(BookError::Corrupt("a key came and went"))?;
        Ok(known.answer(&new.hash))
    }
}

impl NewOperation {
    pub(super) fn executed(&self, seq: i64, verdict: Verdict) -> Operation {
        let request = &self.request;
        Operation {
            id: OperationId { kind: request.kind, seq, nonce: self.nonce },
            idempotency_key: request.idempotency_key.clone(),
            reference: request.reference.clone(),
            amount: request.amount,
            currency: request.currency,
            status: verdict.status,
            amount_refunded: Amount::ZERO,
            target: request.target.clone(),
            decline_code: verdict.decline_code.map(str::to_owned),
            created_at: self.created_at,
            method: None,
            script: None,
        }
    }
}

/// An answer before the places in the book are known.
enum Draft {
    Ready(Written),
    /// The change at this index of those made in this batch.
    Made {
        index: usize,
        replayed: bool,
    },
    Charge,
}

/// The changes of a batch: read, decided one after the other in memory, written together.
struct Changes {
    charged: Charged,
    /// Changes made before this batch.
    known: HashMap<String, Known>,
    /// The charges that they are about, as they stand after each decision.
    charges: HashMap<i64, Operation>,
    touched: HashSet<i64>,
    made: Vec<(NewOperation, Verdict)>,
    /// Where a key stands in `made`.
    made_by_key: HashMap<String, usize>,
    /// Places in the book, by nonce.
    places: HashMap<i64, i64>,
}

impl Changes {
    async fn read(connection: &mut SqliteConnection, items: &[Write], charged: Charged) -> Result<Self, BookError> {
        let keys = items.iter().filter_map(|item| match item {
            Write::Change(new) => Some(new.request.idempotency_key.as_str()),
            Write::Charge(..) | Write::Act { .. } => None,
        });
        let known = by_keys(connection, keys.collect()).await?;
        let targets: Vec<i64> = items.iter().filter_map(target).map(|id| id.seq).collect();
        let charges = by_places(connection, &targets).await?;
        let (touched, made, made_by_key, places) = Default::default();
        Ok(Self { charged, known, charges, touched, made, made_by_key, places })
    }

    fn decide(&mut self, item: &Write) -> Draft {
        let charge = target(item).and_then(|id| self.charges.get_mut(&id.seq).filter(|charge| charge.id == id));
        match item {
            Write::Charge(..) => Draft::Charge,
            Write::Act { approve, .. } => {
                let Some(charge) = charge else { return Draft::Ready(Written::Missing) };
                if !rules::act(charge, *approve) {
                    return Draft::Ready(Written::Replayed(charge.clone()));
                }
                self.touched.insert(charge.id.seq);
                Draft::Ready(Written::Fresh(charge.clone()))
            }
            Write::Change(new) => {
                let key = &new.request.idempotency_key;
                if let Some(known) = self.known.get(key) {
                    return Draft::Ready(known.answer(&new.hash));
                }
                let twin = self.made_by_key.get(key).and_then(|&index| Some((index, self.made.get(index)?)));
                if let Some((index, (twin, _))) = twin {
                    return if twin.hash == new.hash { Draft::Made { index, replayed: true } } else { Draft::Ready(Written::KeyReused) };
                }
                self.touched.extend(charge.as_ref().map(|charge| charge.id.seq));
                let verdict = rules::change(&new.request, charge);
                let index = self.made.len();
                self.made_by_key.insert(key.clone(), index);
                self.made.push(((**new).clone(), verdict));
                Draft::Made { index, replayed: false }
            }
        }
    }

    async fn write(&mut self, connection: &mut SqliteConnection) -> Result<(), BookError> {
        self.places = insert(connection, self.made.iter().map(|(new, verdict)| (new, *verdict))).await?;
        let changed: Vec<_> = self
            .touched
            .iter()
            .filter_map(|seq| self.charges.get(seq))
            .map(|charge| {
                (charge.id.seq, charge.status, charge.amount_refunded.minor(), charge.decline_code.as_deref(), charge.script.as_deref())
            })
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        push_book::let_come_back(connection, &self.bouncing()).await?;
        let sql = "UPDATE operations SET status = v.value ->> 1, amount_refunded = v.value ->> 2, decline_code = v.value ->> 3, \
                   script = v.value ->> 4, untold = CASE WHEN script IS NOT NULL THEN 1 END \
                   FROM json_each($1) AS v WHERE operations.seq = v.value ->> 0";
        let done = sqlx::query(sql).bind(json(&changed)?).execute(connection).await?;
        if done.rows_affected() == changed.len() as u64 { Ok(()) } else { Err(BookError::Corrupt("a charge went away")) }
    }

    /// The places of the refunds that were done and will come back.
    fn bouncing(&self) -> Vec<i64> {
        let comes_back = |new: &NewOperation| {
            let charge = new.request.target.as_deref().and_then(OperationId::parse).and_then(|id| self.charges.get(&id.seq));
            charge.is_some_and(push::comes_back)
        };
        let done = self.made.iter().filter(|(_, verdict)| verdict.status == OperationStatus::Refunded);
        done.filter(|(new, _)| comes_back(new)).filter_map(|(new, _)| self.places.get(&new.nonce).copied()).collect()
    }

    fn answer(&self, draft: Draft, item: &Write) -> Result<Written, BookError> {
        match draft {
            Draft::Ready(written) => Ok(written),
            Draft::Charge => self.charged.answer(item),
            Draft::Made { index, replayed } => {
                let (new, verdict) = self.made.get(index).ok_or(BookError::Corrupt("a change was not made"))?;
                let &seq = self.places.get(&new.nonce).ok_or(BookError::Corrupt("a change was not written"))?;
                let operation = new.executed(seq, *verdict);
                Ok(if replayed { Written::Replayed(operation) } else { Written::Fresh(operation) })
            }
        }
    }
}

/// The charge that a write is about, when its id can be one.
fn target(item: &Write) -> Option<OperationId> {
    match item {
        Write::Charge(..) => None,
        Write::Change(new) => new.request.target.as_deref().and_then(OperationId::parse),
        Write::Act { charge, .. } => Some(*charge),
    }
    .filter(|id| id.kind == AttemptKind::Charge)
}

/// Inserts what is new; says which nonce got which place. A key that is taken is left alone.
async fn insert<'a>(
    connection: &mut SqliteConnection,
    new: impl Iterator<Item = (&'a NewOperation, Verdict)>,
) -> Result<HashMap<i64, i64>, BookError> {
    let rows: Vec<_> = new
        .map(|(new, verdict)| {
            let request = &new.request;
            (
                new.nonce,
                &request.idempotency_key,
                &new.hash,
                request.kind,
                &request.reference,
                request.amount,
                request.currency,
                verdict.status,
                &request.target,
                verdict.decline_code,
                new.created_at.millis(),
            )
        })
        .collect();
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    // `WHERE true` keeps the parser from reading ON CONFLICT as a join's.
    let sql = "INSERT INTO operations (nonce, idempotency_key, request_hash, kind, reference, amount, currency, status, target, \
               decline_code, created_at) SELECT v.value ->> 0, v.value ->> 1, v.value ->> 2, v.value ->> 3, v.value ->> 4, v.value ->> 5, \
               v.value ->> 6, v.value ->> 7, v.value ->> 8, v.value ->> 9, v.value ->> 10 FROM json_each($1) AS v WHERE true \
               ON CONFLICT (idempotency_key) DO NOTHING RETURNING nonce, seq";
    let placed: Vec<(i64, i64)> = sqlx::query_as(sql).bind(json(&rows)?).fetch_all(connection).await?;
    Ok(placed.into_iter().collect())
}

async fn by_keys(connection: &mut SqliteConnection, keys: Vec<&str>) -> Result<HashMap<String, Known>, BookError> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = select_operations!("json_each($1) AS v CROSS JOIN operations o ON o.idempotency_key = v.value");
    let rows: Vec<OperationRow> = sqlx::query_as(sql).bind(json(&keys)?).fetch_all(connection).await?;
    let known = rows.into_iter().map(|mut row| {
        let hash = std::mem::take(&mut row.request_hash);
        let operation = Operation::try_from(row)?;
        Ok((operation.idempotency_key.clone(), Known { hash, operation }))
    });
    known.collect()
}

async fn by_places(connection: &mut SqliteConnection, places: &[i64]) -> Result<HashMap<i64, Operation>, BookError> {
    if places.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = select_operations!("json_each($1) AS v CROSS JOIN operations o ON o.seq = v.value");
    let rows: Vec<OperationRow> = sqlx::query_as(sql).bind(json(&places)?).fetch_all(connection).await?;
    let found = rows.into_iter().map(|row| Operation::try_from(row).map(|operation| (operation.id.seq, operation)));
    found.collect()
}

fn json(rows: &impl serde::Serialize) -> Result<String, BookError> {
    serde_json::to_string(rows).map_err(|_| BookError::Corrupt("a row that is no JSON"))
}
