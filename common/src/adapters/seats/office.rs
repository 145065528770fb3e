//! The auditor's door to the seat table in Redis: what stands in it, and how to drop it.

use super::redis::{RedisSeats, evalsha, keys_of, letter};
use crate::{
    adapters::redis_link::Ask,
    domain::{
        catalogue::Kind,
        claim::StockKey,
        id::CatalogueId,
        scope::Scope,
        seat_check::{Belief, Known, KnownSeats},
    },
    ports::seats::{BeliefPage, SeatsOffice, SeatsUnavailable},
};
use async_trait::async_trait;
use redis::{FromRedisValue, Pipeline, Value};
use std::collections::BTreeSet;

/// How many keys Redis looks at for one page.
const PAGE: usize = 100;
/// The name that is in every set of taken seats, so that it exists when no seat is taken.
const NO_SEAT: &str = "";

fn unavailable(error: impl std::fmt::Display) -> SeatsUnavailable {
    SeatsUnavailable(error.to_string())
}

#[async_trait]
impl SeatsOffice for RedisSeats {
    async fn beliefs(&self, from: u64) -> Result<BeliefPage, SeatsUnavailable> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(from).arg("MATCH").arg("bo:{*").arg("COUNT").arg(PAGE);
        let answer = self.link.ask(Ask::One(&scan)).await.map_err(unavailable)?;
        let (next, names): (u64, Vec<String>) = FromRedisValue::from_redis_value(answer).map_err(unavailable)?;
        // A key may come twice; what is not a thing's table (its set of seats, somebody else's) is no key.
        let keys: Vec<StockKey> = names.iter().filter_map(|name| key_of(name)).collect::<BTreeSet<_>>().into_iter().collect();
        let mut page = BeliefPage { beliefs: Vec::with_capacity(keys.len()), next: Some(next).filter(|&next| next != 0) };
        if keys.is_empty() {
            return Ok(page);
        }
        let mut looks = Pipeline::with_capacity(keys.len());
        for key in &keys {
            let (table, seats) = keys_of(&key.scope, key.kind, &key.id);
            let mut look = evalsha(&self.look, 2);
            look.arg(table).arg(seats);
            looks.add_command(look);
        }
        let answers = self.link.ask(Ask::Many(&looks)).await.map_err(unavailable)?;
        let answers: Vec<Vec<String>> = FromRedisValue::from_redis_value(answers).map_err(unavailable)?;
        for (key, answer) in keys.into_iter().zip(answers) {
            // Forgotten since the scan.
            if !answer.is_empty() {
                page.beliefs.push(Belief { key, known: known(&answer) });
            }
        }
        Ok(page)
    }

    async fn drop_beliefs(&self, things: &[StockKey]) -> Result<(), SeatsUnavailable> {
        // One command for each thing: in a cluster only the keys of one thing are sure to lie together.
        let mut drops = Pipeline::with_capacity(things.len());
        for key in things {
            let (table, seats) = keys_of(&key.scope, key.kind, &key.id);
            drops.cmd("DEL").arg(table).arg(seats);
        }
        if things.is_empty() {
            return Ok(());
        }
        self.link.ask(Ask::Many(&drops)).await.map(|_: Value| ()).map_err(unavailable)
    }
}

/// Reads a table's key back; `None` for any other key.
fn key_of(name: &str) -> Option<StockKey> {
    let (scope, rest) = name.strip_prefix("bo:{")?.split_once("}:")?;
    let (kind, id) = rest.split_once(':')?;
    let kind = Kind::ALL.into_iter().find(|&known| letter(known) == kind)?;
    Some(StockKey { scope: Scope::parse(scope)?, kind, id: CatalogueId::parse(id).ok()? })
}

/// Reads the answer of `look.lua`.
fn known(answer: &[String]) -> Option<Known> {
    let [readable, version, free, held, tokens, ends, of, seats @ ..] = answer else { return None };
    if readable != "0" {
        return None;
    }
    let seats = match of.as_str() {
        "" => None,
        version => {
            let taken = seats.iter().filter(|seat| *seat != NO_SEAT).cloned().collect();
            Some(KnownSeats { version: version.parse().ok()?, taken })
        }
    };
    Some(Known {
        version: version.parse().ok()?,
        free: free.parse().ok()?,
        seats,
        held: held.parse().ok()?,
        tokens: tokens.parse().ok()?,
        ends: ends == "1",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tables_key_is_read_back_and_nothing_else_is_taken_for_one() {
        let key =
            StockKey { scope: Scope::parse("acme/live").unwrap(), kind: Kind::PromoCode, id: CatalogueId::parse("SPRING_10").unwrap() };
        let (table, seats) = keys_of(&key.scope, key.kind, &key.id);
        assert_eq!(key_of(&table), Some(key));
        for other in [&seats, "bo:{acme/live}:x:gala", "bo:{acme/dev}:s:gala", "bo:{acme/live}", "bo:events", ""] {
            assert_eq!(key_of(other), None, "{other}");
        }
    }
}
