//! What many do with providers' events at once: keeping, reading and ending them, a batch in one transaction.

use super::{
    bulk::{Rows, Type::Int, Type::Text},
    db::{Db, Tx, transact},
    look::Look,
    provider_events::{COLUMNS, read},
    value::Value,
};
use crate::{
    batch::BatchRun,
    domain::{
        id::ProviderEventId,
        provider_event::{EventStatus, ProviderEvent},
        time::Timestamp,
    },
    failpoint,
    ports::store::{NewProviderEvent, StoreError},
};
use async_trait::async_trait;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// The most bodies that one statement carries, bytes, but for the last of them: they are in memory several times while it runs.
const MOST_BYTES: usize = 1024 * 1024;

/// Keeps events.
pub(super) struct Keeps {
    db: Db,
}

impl Keeps {
    pub(super) fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl BatchRun for Keeps {
    type Item = Arc<NewProviderEvent>;
    type Answer = bool;
    type Error = StoreError;

    async fn run(&self, items: &[Arc<NewProviderEvent>]) -> Result<Vec<bool>, StoreError> {
        let answers = transact!(self.db, tx => {
            let answers = keep(tx, items).await?;
            failpoint::cross("event.before_commit").await?;
            Ok(answers)
        })?;
        let _ = failpoint::cross("event.after_commit").await;
        Ok(answers)
    }

    fn name(&self) -> Option<&'static str> {
        Some("keep_event")
    }

    fn worth_retrying(&self, error: &StoreError) -> bool {
        !matches!(error, StoreError::Unavailable(_))
    }
}

/// Whether each of them is new.
async fn keep(tx: &mut Tx<'_>, items: &[Arc<NewProviderEvent>]) -> Result<Vec<bool>, StoreError> {
    let now = tx.now().await?;
    let mut sorted: Vec<&NewProviderEvent> = items.iter().map(|new| &**new).collect();
    // In one order: two batches with the same events do not wait for each other.
    sorted.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
    let mut fresh: HashSet<String> = HashSet::with_capacity(items.len());
    for part in parts(&sorted, MOST_BYTES) {
        fresh.extend(insert(tx, part, now).await?);
    }
    if fresh.len() < items.len() {
        // This may have run before, and its COMMIT's answer been lost: our own row is no twin.
        let rest = Rows::ids(sorted.iter().map(|new| new.id.as_str()).filter(|id| !fresh.contains(*id)));
        for row in tx.fetch("SELECT e.id FROM provider_events e WHERE e.id IN (SELECT id FROM {rows})", Some(&rest), &[]).await? {
            fresh.insert(row.text(0)?);
        }
    }
    Ok(items.iter().map(|new| fresh.contains(new.id.as_str())).collect())
}

/// What makes two events the same.
fn key(new: &NewProviderEvent) -> (&str, &str, &str) {
    (&new.provider, new.scope.tenant(), &new.event)
}

/// Cut behind each `most` bytes of bodies.
fn parts<'e>(sorted: &'e [&'e NewProviderEvent], most: usize) -> impl Iterator<Item = &'e [&'e NewProviderEvent]> {
    let mut bytes = 0usize;
    sorted.chunk_by(move |last, _| {
        bytes = bytes.saturating_add(last.body.len());
        let has_room = bytes < most;
        if !has_room {
            bytes = 0;
        }
        has_room
    })
}

/// Writes those that are new; their ids. Of twins among them one is.
pub(super) async fn insert(tx: &mut Tx<'_>, events: &[&NewProviderEvent], now: Timestamp) -> Result<Vec<String>, StoreError> {
    let mut rows = Rows::new(&[
        ("id", Text),
        ("scope", Text),
        ("provider", Text),
        ("account", Text),
        ("event", Text),
        ("body", Text),
        ("status", Text),
        ("note", Text),
        ("tries", Int),
        ("rescues", Int),
        ("due_at", Int),
        ("received_at", Int),
    ]);
    for new in events {
        let (status, due_at) = match new.ignored {
            Some(_) => (EventStatus::Ignored, Value::Null),
            None => (EventStatus::Pending, now.into()),
        };
        rows.push([
            new.id.as_str().into(),
            new.scope.as_str().into(),
            new.provider.as_str().into(),
            new.scope.tenant().into(),
            new.event.as_str().into(),
            new.body.as_str().into(),
            status.as_str().into(),
            new.ignored.into(),
            0u32.into(),
            0u32.into(),
            due_at,
            now.into(),
        ]);
    }
    let sql = "INSERT INTO provider_events ({names}) SELECT {names} FROM {rows} WHERE true \
               ON CONFLICT (provider, account, event) DO NOTHING RETURNING id";
    tx.fetch(sql, Some(&rows), &[]).await?.iter().map(|row| row.text(0)).collect()
}

/// Events by id.
pub(super) struct EventsById;

#[async_trait]
impl Look for EventsById {
    type Item = ProviderEventId;
    type Answer = Option<ProviderEvent>;
    const NAME: &'static str = "load_event";

    async fn look(db: &Db, items: &[ProviderEventId]) -> Result<Vec<Option<ProviderEvent>>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM provider_events e WHERE e.id IN (SELECT id FROM {{rows}})");
        let rows = db.read(&sql, Some(&Rows::ids(items.iter().map(ProviderEventId::as_str))), &[]).await?;
        let found = rows.iter().map(|row| read(row).map(|event| (event.id.clone(), event)));
        let found: HashMap<ProviderEventId, ProviderEvent> = found.collect::<Result<_, _>>()?;
        Ok(items.iter().map(|id| found.get(id).cloned()).collect())
    }
}

/// What an event comes to.
#[derive(Clone)]
pub(super) struct EndOfEvent {
    pub(super) id: ProviderEventId,
    pub(super) status: EventStatus,
    pub(super) note: String,
}

/// Ends events.
pub(super) struct Ends {
    db: Db,
}

impl Ends {
    pub(super) fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl BatchRun for Ends {
    type Item = EndOfEvent;
    type Answer = bool;
    type Error = StoreError;

    async fn run(&self, items: &[EndOfEvent]) -> Result<Vec<bool>, StoreError> {
        transact!(self.db, tx => { end(tx, items).await })
    }

    fn name(&self) -> Option<&'static str> {
        Some("close_event")
    }

    fn worth_retrying(&self, error: &StoreError) -> bool {
        !matches!(error, StoreError::Unavailable(_))
    }
}

/// Whether each of them was pending; of twins the first.
async fn end(tx: &mut Tx<'_>, items: &[EndOfEvent]) -> Result<Vec<bool>, StoreError> {
    let mut firsts: HashMap<&str, &EndOfEvent> = HashMap::with_capacity(items.len());
    for item in items {
        firsts.entry(item.id.as_str()).or_insert(item);
    }
    let mut sorted: Vec<&EndOfEvent> = firsts.into_values().collect();
    sorted.sort_unstable_by(|a, b| a.id.as_str().cmp(b.id.as_str()));
    let mut rows = Rows::new(&[("ended", Text), ("status", Text), ("note", Text)]);
    for item in sorted {
        rows.push([item.id.as_str().into(), item.status.as_str().into(), item.note.as_str().into()]);
    }
    let sql = "UPDATE provider_events SET status = r.status, note = r.note, due_at = NULL FROM {rows} \
               WHERE provider_events.id = r.ended AND provider_events.status = 'pending' RETURNING id";
    let rows = tx.fetch(sql, Some(&rows), &[]).await?;
    let mut ended: HashSet<String> = rows.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?;
    Ok(items.iter().map(|item| ended.remove(item.id.as_str())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        id::Entropy,
        scope::{Mode, Scope},
    };

    fn of_size(bytes: usize) -> NewProviderEvent {
        NewProviderEvent {
            id: ProviderEventId::generate(&Entropy::from_seed(1), Timestamp::from_millis(1)),
            provider: "stripe".to_owned(),
            scope: Scope::new("pac_1", Mode::Test).unwrap(),
            event: "evt_1".to_owned(),
            body: "x".repeat(bytes),
            ignored: None,
        }
    }

    #[test]
    fn a_statement_carries_no_more_than_it_may_and_one_body() {
        let events = [400, 700, 2_000, 10, 10, 980, 5].map(of_size);
        let sorted: Vec<&NewProviderEvent> = events.iter().collect();
        let sizes: Vec<Vec<usize>> = parts(&sorted, 1_000).map(|part| part.iter().map(|new| new.body.len()).collect()).collect();
        assert_eq!(sizes, [vec![400, 700], vec![2_000], vec![10, 10, 980], vec![5]]);
    }
}
