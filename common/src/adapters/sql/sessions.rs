//! Sessions that were read before, by the version that a locked inventory row tells.

use super::{stock::Locked, value::corrupt};
use crate::{
    domain::{catalogue::Session, claim::StockKey},
    ports::store::StoreError,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How much of documents is remembered, in bytes of their text. When there is more, all of it is forgotten.
const MAX_BYTES: usize = 8 << 20;

/// What is remembered. Whoever changes a session locks the same inventory row and writes its new version there, so that under
/// the lock a remembered document of that version is the stored one.
#[derive(Default)]
pub(super) struct Sessions(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    by_key: HashMap<StockKey, (i64, Arc<Session>)>,
    bytes: usize,
}

impl Sessions {
    /// Those of which the version that is stored is remembered.
    pub(super) fn known(&self, locked: &[Locked]) -> HashMap<StockKey, Arc<Session>> {
        let remembered = self.remembered();
        let find = |locked: &Locked| {
            let (version, session) = remembered.by_key.get(&locked.level.key)?;
            (*version == locked.document).then(|| (locked.level.key.clone(), Arc::clone(session)))
        };
        locked.iter().filter_map(find).collect()
    }

    /// Reads a document, and remembers it when its row is locked and tells a version.
    pub(super) fn learn(&self, locked: &[Locked], key: &StockKey, doc: &str) -> Result<Arc<Session>, StoreError> {
        let session: Arc<Session> = Arc::new(serde_json::from_str(doc).map_err(corrupt)?);
        let Some(version) = locked.iter().find(|locked| locked.level.key == *key).map(|locked| locked.document).filter(|&at| at > 0) else {
            return Ok(session);
        };
        let mut remembered = self.remembered();
        if remembered.bytes + doc.len() > MAX_BYTES {
            *remembered = Remembered::default();
        }
        remembered.bytes += doc.len();
        remembered.by_key.insert(key.clone(), (version, Arc::clone(&session)));
        Ok(session)
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{catalogue::Kind, claim::StockLevel, id::CatalogueId, scope::Scope};

    fn locked(document: i64) -> Vec<Locked> {
        let key = StockKey { scope: Scope::parse("demo/test").unwrap(), kind: Kind::Session, id: CatalogueId::parse("yoga").unwrap() };
        vec![Locked { level: StockLevel { key, capacity: 5, taken: 0, version: 9 }, document, waiting: 0 }]
    }

    fn learn(sessions: &Sessions, document: i64, name: &str, padding: usize) {
        let doc = format!(
            r#"{{"name": "{name}", "starts_at": "2026-11-21T00:00:00Z", "capacity": 5, "unit_amount": 1, "currency": "usd"}}{}"#,
            " ".repeat(padding)
        );
        let locked = locked(document);
        sessions.learn(&locked, &locked[0].level.key, &doc).unwrap();
    }

    fn name(sessions: &Sessions, document: i64) -> Option<String> {
        sessions.known(&locked(document)).into_values().next().map(|session| session.name.clone())
    }

    #[test]
    fn only_the_version_that_the_row_tells_is_taken_from_memory() {
        let sessions = Sessions::default();
        learn(&sessions, 3, "Yoga", 0);
        assert_eq!((name(&sessions, 3), name(&sessions, 4)), (Some("Yoga".to_owned()), None));
        learn(&sessions, 4, "Power yoga", 0);
        assert_eq!((name(&sessions, 3), name(&sessions, 4)), (None, Some("Power yoga".to_owned())));
    }

    #[test]
    fn a_row_that_tells_no_version_is_never_believed() {
        let sessions = Sessions::default();
        learn(&sessions, 0, "Yoga", 0);
        assert_eq!(name(&sessions, 0), None);
    }

    #[test]
    fn its_memory_has_a_bound() {
        let sessions = Sessions::default();
        for version in 1..=20 {
            learn(&sessions, version, "Yoga", MAX_BYTES / 4);
            assert!(sessions.remembered().bytes <= MAX_BYTES);
        }
        assert_eq!(name(&sessions, 20), Some("Yoga".to_owned()));
    }
}
