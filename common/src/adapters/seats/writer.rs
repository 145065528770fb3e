//! Writes what is told and forgotten to Redis, in batches: one script call for each thing, all of them in one round trip.

use super::{
    Lifetimes,
    redis::{evalsha, keys_of, millis},
};
use crate::{
    adapters::redis_link::{Ask, RedisLink},
    domain::{
        claim::{StockKey, Want},
        id::CheckoutId,
        scope::Scope,
    },
    ports::seats::Told,
};
use redis::{Cmd, Pipeline, Script};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::{mpsc, oneshot};

/// The most writes in one round trip.
const MAX_BATCH: usize = 256;
/// The most tokens in one script call.
const MAX_TOKENS: usize = 1000;

/// Something to write.
pub(super) enum Write {
    /// What the store told; the teller waits until it is written.
    Tell(Vec<Told>, oneshot::Sender<()>),
    /// Tokens to be taken back.
    Forget(Scope, Vec<(CheckoutId, Vec<Want>)>),
}

/// All that is to be written about one thing.
#[derive(Debug, Default, PartialEq)]
struct Change {
    /// Version and free places.
    level: Option<(i64, u32)>,
    /// Version and taken seats.
    named: Option<(i64, Vec<String>)>,
    tokens: Vec<(CheckoutId, Vec<String>)>,
}

/// Runs until the seat table is dropped. Whoever comes while a batch is under way shares the next one.
pub(super) async fn run(link: Arc<RedisLink>, script: Script, lifetimes: Lifetimes, mut waiting: mpsc::Receiver<Write>) {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while waiting.recv_many(&mut batch, MAX_BATCH).await > 0 {
        let size = batch.len();
        let (changes, tellers) = merge(batch.drain(..));
        if !changes.is_empty()
            && let Err(error) = link.ask(Ask::Many(&pipeline(&script, lifetimes, changes))).await
        {
            tracing::debug!(%error, writes = size, "the seat table was not written; it is loaded later");
            metrics::counter!("boxoffice_seats_untold_total", "why" => "unavailable").increment(u64::try_from(size).unwrap_or(0));
        }
        for teller in tellers {
            // A teller that went away does not mind.
            let _ = teller.send(());
        }
    }
}

/// Brings a batch together by thing. All writes commute: the newest version wins, and a token is forgotten once.
fn merge(batch: impl Iterator<Item = Write>) -> (HashMap<StockKey, Change>, Vec<oneshot::Sender<()>>) {
    let mut changes: HashMap<StockKey, Change> = HashMap::new();
    let mut tellers = Vec::new();
    for write in batch {
        match write {
            Write::Tell(told, teller) => {
                tellers.push(teller);
                for Told { level, taken_seats } in told {
                    let (version, free) = (level.version, level.free());
                    let change = changes.entry(level.key).or_default();
                    if change.level.is_none_or(|(known, _)| version >= known) {
                        change.level = Some((version, free));
                    }
                    if let Some(seats) = taken_seats.filter(|_| change.named.as_ref().is_none_or(|(known, _)| version >= *known)) {
                        change.named = Some((version, seats));
                    }
                }
            }
            Write::Forget(scope, checkouts) => {
                for (checkout, wants) in checkouts {
                    for Want { kind, id, seats, .. } in wants {
                        let change = changes.entry(StockKey { scope: scope.clone(), kind, id }).or_default();
                        change.tokens.push((checkout.clone(), seats));
                    }
                }
            }
        }
    }
    (changes, tellers)
}

fn pipeline(script: &Script, lifetimes: Lifetimes, changes: HashMap<StockKey, Change>) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(changes.len());
    for (key, change) in changes {
        let Change { level, named, tokens } = change;
        let mut chunks = tokens.chunks(MAX_TOKENS);
        pipeline.add_command(command(script, lifetimes, &key, (level, named), chunks.next().unwrap_or_default()));
        for tokens in chunks {
            pipeline.add_command(command(script, lifetimes, &key, (None, None), tokens));
        }
    }
    pipeline
}

type Levels = (Option<(i64, u32)>, Option<(i64, Vec<String>)>);

fn command(script: &Script, lifetimes: Lifetimes, key: &StockKey, told: Levels, tokens: &[(CheckoutId, Vec<String>)]) -> Cmd {
    let (table, set) = keys_of(&key.scope, key.kind, &key.id);
    let mut cmd = evalsha(script, 2);
    cmd.arg(table).arg(set).arg(millis(lifetimes.told)).arg(millis(lifetimes.stale_seats));
    match told.0 {
        Some((version, free)) => cmd.arg(version).arg(free),
        None => cmd.arg("").arg(""),
    };
    match told.1 {
        Some((version, seats)) => cmd.arg(version).arg(seats.len()).arg(seats),
        None => cmd.arg("").arg(0),
    };
    for (checkout, seats) in tokens {
        cmd.arg(checkout.as_str()).arg(seats.len()).arg(seats);
    }
    cmd
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{catalogue::Kind, claim::StockLevel, id::CatalogueId, scope::Mode};

    #[test]
    fn a_batch_says_the_newest_of_each_thing_once() {
        let scope = Scope::new("acme", Mode::Live).unwrap();
        let key = StockKey { scope: scope.clone(), kind: Kind::Session, id: CatalogueId::parse("a").unwrap() };
        let tell = |version, taken, seats: Option<&str>| {
            let level = StockLevel { key: key.clone(), capacity: 10, taken, version };
            let taken_seats = seats.map(|seat| vec![seat.to_owned()]);
            Write::Tell(vec![Told { level, taken_seats }], oneshot::channel().0)
        };
        let checkout = CheckoutId::parse("chk_1").unwrap();
        let want = Want { kind: key.kind, id: key.id.clone(), quantity: 1, seats: vec!["A1".to_owned()], line: None };
        let forget = Write::Forget(scope, vec![(checkout.clone(), vec![want])]);
        let (changes, tellers) = merge([tell(2, 4, Some("A1")), tell(3, 5, None), forget, tell(1, 9, Some("B9"))].into_iter());
        assert_eq!(tellers.len(), 3);
        let tokens = vec![(checkout, vec!["A1".to_owned()])];
        let expected = Change { level: Some((3, 5)), named: Some((2, vec!["A1".to_owned()])), tokens };
        assert_eq!(changes, HashMap::from([(key, expected)]));
    }
}
