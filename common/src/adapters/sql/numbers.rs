//! Numbers for things whose ids are none.

use super::{
    SqlStore,
    bulk::{Rows, Type::Int, Type::Text},
    db::transact,
    value::{Row, Value},
};
use crate::{
    domain::{id::Entropy, scope::Scope},
    ports::store::{NUMBERS, Numbered, StoreError},
};
use std::collections::{BTreeSet, HashMap};

/// How often a number may have been somebody's already.
const TRIES: u32 = 16;

const FOUND: &str = "SELECT id, n FROM numbers WHERE scope = {1} AND kind = {2} AND id IN (SELECT id FROM {rows})";

fn found(rows: &[Row]) -> Result<HashMap<String, u32>, StoreError> {
    rows.iter().map(|row| Ok((row.text(0)?, row.count(1)?))).collect()
}

fn in_order(ids: &[String], numbers: &HashMap<String, u32>) -> Option<Vec<u32>> {
    ids.iter().map(|id| numbers.get(id).copied()).collect()
}

fn any(entropy: &Entropy) -> u32 {
    let span = u64::from(NUMBERS.end() - NUMBERS.start()) + 1;
    NUMBERS.start() + u32::try_from(entropy.next_u64() % span).unwrap_or(0)
}

impl SqlStore {
    pub(super) async fn number(&self, scope: &Scope, kind: Numbered, ids: &[String]) -> Result<Vec<u32>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let place: [Value; 2] = [scope.as_str().into(), kind.as_str().into()];
        let wanted = Rows::ids(ids.iter().map(String::as_str));
        if let Some(numbers) = in_order(ids, &found(&self.db.read(FOUND, Some(&wanted), &place).await?)?) {
            return Ok(numbers);
        }
        for _ in 0..TRIES {
            let numbers = transact!(self.db, tx => {
                let mut rows = Rows::new(&[("scope", Text), ("kind", Text), ("id", Text), ("n", Int)]);
                // In one order, whoever asks: two who ask for the same ones never wait for each other.
                for id in BTreeSet::from_iter(ids) {
                    rows.push([scope.as_str().into(), kind.as_str().into(), id.as_str().into(), any(&self.entropy).into()]);
                }
                // What is numbered keeps its number, and a number its owner: whoever comes second tries another one.
                let sql = "INSERT INTO numbers ({names}) SELECT {names} FROM {rows} WHERE true ON CONFLICT DO NOTHING";
                tx.execute(sql, Some(&rows), &[]).await?;
                found(&tx.fetch(FOUND, Some(&wanted), &place).await?)
            })?;
            if let Some(numbers) = in_order(ids, &numbers) {
                return Ok(numbers);
            }
        }
        Err(StoreError::Inconsistent("no number is free".to_owned()))
    }

    pub(super) async fn by_number(&self, scope: &Scope, kind: Numbered, number: u32) -> Result<Option<String>, StoreError> {
        let sql = "SELECT id FROM numbers WHERE scope = {1} AND kind = {2} AND n = {3}";
        let args: [Value; 3] = [scope.as_str().into(), kind.as_str().into(), number.into()];
        self.db.read(sql, None, &args).await?.first().map(|row| row.text(0)).transpose()
    }
}
