//! Numbers for things whose ids are none.

use super::{
    SqlStore,
    bulk::{Rows, Type::Int, Type::Text},
    db::{Db, Tx, transact},
    value::{Row, Value},
};
use crate::{
    batch::BatchRun,
    domain::{id::Entropy, scope::Scope},
    ports::store::{NUMBERS, Numbered, StoreError},
};
use async_trait::async_trait;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// How often a number may have been somebody's already.
const TRIES: u32 = 16;

const FOUND: &str = "SELECT scope, kind, id, n FROM numbers WHERE (scope, kind, id) IN (SELECT scope, kind, id FROM {rows})";

/// Things that are told of by number, all of one scope and kind.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    scope: Scope,
    kind: Numbered,
    ids: Vec<String>,
}

/// Which number each has, by scope, kind and id.
type Numbers = HashMap<(String, String, String), u32>;

fn found(rows: &[Row]) -> Result<Numbers, StoreError> {
    rows.iter().map(|row| Ok(((row.text(0)?, row.text(1)?, row.text(2)?), row.count(3)?))).collect()
}

fn any(entropy: &Entropy) -> u32 {
    let span = u64::from(NUMBERS.end() - NUMBERS.start()) + 1;
    NUMBERS.start() + u32::try_from(entropy.next_u64() % span).unwrap_or(0)
}

impl Counted {
    fn keys(&self) -> impl Iterator<Item = (String, String, String)> {
        self.ids.iter().map(|id| (self.scope.as_str().to_owned(), self.kind.as_str().to_owned(), id.clone()))
    }

    fn in_order(&self, numbers: &Numbers) -> Option<Vec<u32>> {
        self.keys().map(|key| numbers.get(&key).copied()).collect()
    }
}

/// A row for each thing, with a number of its own. In one order, or two transactions wait for each other.
fn rows(items: &[Counted], mut number: impl FnMut() -> u32) -> Rows {
    let mut rows = Rows::new(&[("scope", Text), ("kind", Text), ("id", Text), ("n", Int)]);
    let things: BTreeSet<_> = items.iter().flat_map(Counted::keys).collect();
    for (scope, kind, id) in things {
        rows.push([scope.into(), kind.into(), id.into(), number().into()]);
    }
    rows
}

/// Gives numbers, many in one transaction.
pub(super) struct Counts {
    db: Db,
    entropy: Arc<Entropy>,
}

impl Counts {
    pub(super) fn new(db: Db, entropy: Arc<Entropy>) -> Self {
        Self { db, entropy }
    }
}

#[async_trait]
impl BatchRun for Counts {
    type Item = Counted;
    type Answer = Vec<u32>;
    type Error = StoreError;

    async fn run(&self, items: &[Counted]) -> Result<Vec<Vec<u32>>, StoreError> {
        transact!(self.db, tx => { give(tx, items, &self.entropy).await })
    }

    fn worth_retrying(&self, error: &StoreError) -> bool {
        !matches!(error, StoreError::Unavailable(_))
    }
}

async fn give(tx: &mut Tx<'_>, items: &[Counted], entropy: &Entropy) -> Result<Vec<Vec<u32>>, StoreError> {
    // What is numbered keeps its number, and a number its owner: whoever comes second tries another one.
    let sql = "INSERT INTO numbers ({names}) SELECT {names} FROM {rows} WHERE true ON CONFLICT DO NOTHING";
    for _ in 0..TRIES {
        let wanted = rows(items, || any(entropy));
        tx.execute(sql, Some(&wanted), &[]).await?;
        let numbers = found(&tx.fetch(FOUND, Some(&wanted), &[]).await?)?;
        if let Some(answers) = items.iter().map(|item| item.in_order(&numbers)).collect() {
            return Ok(answers);
        }
    }
    Err(StoreError::Inconsistent("no number is free".to_owned()))
}

impl SqlStore {
    pub(super) async fn number(&self, scope: &Scope, kind: Numbered, ids: &[String]) -> Result<Vec<u32>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = Counted { scope: scope.clone(), kind, ids: ids.to_vec() };
        let known = self.db.read(FOUND, Some(&rows(std::slice::from_ref(&wanted), || 0)), &[]).await?;
        match wanted.in_order(&found(&known)?) {
            Some(numbers) => Ok(numbers),
            None => self.counts.call(wanted).await,
        }
    }

    pub(super) async fn by_number(&self, scope: &Scope, kind: Numbered, number: u32) -> Result<Option<String>, StoreError> {
        let sql = "SELECT id FROM numbers WHERE scope = {1} AND kind = {2} AND n = {3}";
        let args: [Value; 3] = [scope.as_str().into(), kind.as_str().into(), number.into()];
        self.db.read(sql, None, &args).await?.first().map(|row| row.text(0)).transpose()
    }
}
