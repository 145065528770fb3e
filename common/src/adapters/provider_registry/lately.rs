//! What was read of the store lately, by key: trusted for a few seconds, then read again by one while the others go on with what they have.

use crate::{newest::Newest, ports::store::StoreError};
use std::{
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Semaphore, time::Instant};

/// How old what is trusted may be: a change in another process is noticed after this long.
const TRUST: Duration = Duration::from_secs(5);
/// How old what is used may be while the store does not answer.
const MAX_AGE: Duration = Duration::from_secs(60);
/// How many look at the store at once for what nobody knows, so that strangers with invented ids cannot take its connections.
const MAX_LOADS: usize = 8;
/// How long they wait for their turn.
const PATIENCE: Duration = Duration::from_secs(5);

struct Entry<V> {
    value: V,
    loaded: Instant,
    /// Since when somebody reads it again.
    refreshing: Option<Instant>,
}

/// What was read lately: at most `MOST` values, and as many keys of which there was none. *Because* anybody can invent keys, those that there are
/// not have a place of their own, and push out nothing that there is.
pub(super) struct Lately<K, V, const MOST: usize> {
    entries: Mutex<Newest<K, Entry<V>, MOST>>,
    /// When it was found that there is none.
    absent: Mutex<Newest<K, Instant, MOST>>,
    loads: Semaphore,
}

enum Recalled<V> {
    /// To be used.
    Use(V),
    /// To be read again by whoever is told this; the old one is good while that fails.
    Refresh(V),
    /// There was none a moment ago.
    Absent,
    Unknown,
}

impl<K: Clone + Eq + Hash, V: Clone, const MOST: usize> Default for Lately<K, V, MOST> {
    fn default() -> Self {
        Self { entries: Mutex::default(), absent: Mutex::default(), loads: Semaphore::new(MAX_LOADS) }
    }
}

impl<K: Clone + Eq + Hash, V: Clone, const MOST: usize> Lately<K, V, MOST> {
    fn entries(&self) -> MutexGuard<'_, Newest<K, Entry<V>, MOST>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn absent(&self) -> MutexGuard<'_, Newest<K, Instant, MOST>> {
        self.absent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of `key`, or what `load` reads: there always is something.
    pub(super) async fn get(&self, key: &K, load: impl Future<Output = Result<V, StoreError>>) -> Result<V, StoreError> {
        let none = || StoreError::Inconsistent("there is nothing where there always is something".to_owned());
        self.find(key, async { load.await.map(Some) }).await?.ok_or_else(none)
    }

    /// What is known of `key`, or what `load` reads; `None`: there is none.
    pub(super) async fn find(&self, key: &K, load: impl Future<Output = Result<Option<V>, StoreError>>) -> Result<Option<V>, StoreError> {
        match self.recall(key) {
            Recalled::Use(value) => Ok(Some(value)),
            Recalled::Refresh(old) => match load.await {
                Ok(value) => Ok(self.keep(key, value)),
                Err(error) => {
                    tracing::warn!(%error, "what is known of payment accounts could not be read again");
                    Ok(Some(old))
                }
            },
            Recalled::Absent => Ok(None),
            Recalled::Unknown => {
                let late = || StoreError::Unavailable("too many look for accounts at once".to_owned());
                let _place = tokio::time::timeout(PATIENCE, self.loads.acquire()).await.map_err(|_| late())?.map_err(|_| late())?;
                // Somebody else may have read it meanwhile.
                match self.recall(key) {
                    Recalled::Use(value) => Ok(Some(value)),
                    Recalled::Absent => Ok(None),
                    Recalled::Refresh(_) | Recalled::Unknown => load.await.map(|value| self.keep(key, value)),
                }
            }
        }
    }

    fn recall(&self, key: &K) -> Recalled<V> {
        let now = Instant::now();
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(key) else {
            let is_absent = self.absent().get(key).is_some_and(|found| now.saturating_duration_since(*found) < TRUST);
            return if is_absent { Recalled::Absent } else { Recalled::Unknown };
        };
        let age = now.saturating_duration_since(entry.loaded);
        if age > MAX_AGE {
            return Recalled::Unknown;
        }
        let is_refreshed = entry.refreshing.is_some_and(|since| now.saturating_duration_since(since) < TRUST);
        if age < TRUST || is_refreshed {
            return Recalled::Use(entry.value.clone());
        }
        entry.refreshing = Some(now);
        Recalled::Refresh(entry.value.clone())
    }

    fn keep(&self, key: &K, value: Option<V>) -> Option<V> {
        let now = Instant::now();
        match &value {
            Some(value) => self.entries().insert(key.clone(), Entry { value: value.clone(), loaded: now, refreshing: None }),
            None => {
                self.entries().remove(key);
                self.absent().insert(key.clone(), now);
            }
        }
        value
    }

    /// Reads it anew the next time.
    pub(super) fn forget(&self, key: &K) {
        self.entries().remove(key);
        self.absent().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[derive(Default)]
    struct Reader {
        lately: Lately<u32, u32, 2>,
        reads: AtomicU32,
    }

    impl Reader {
        /// Each read gives the next number.
        async fn get(&self, key: u32) -> u32 {
            let load = async { Ok(self.reads.fetch_add(1, Ordering::Relaxed) + 1) };
            self.lately.get(&key, load).await.unwrap()
        }

        async fn get_while_down(&self, key: u32) -> Result<u32, StoreError> {
            self.lately.get(&key, async { Err(StoreError::Unavailable("as the test wants it".to_owned())) }).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_is_trusted_for_a_while_and_then_read_again() {
        let reader = Reader::default();
        assert_eq!((reader.get(7).await, reader.get(7).await), (1, 1));
        tokio::time::advance(TRUST).await;
        assert_eq!((reader.get(7).await, reader.get(7).await), (2, 2));
        reader.lately.forget(&7);
        assert_eq!(reader.get(7).await, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn one_reads_again_while_the_others_go_on_with_what_they_have() {
        let reader = Reader::default();
        assert_eq!(reader.get(7).await, 1);
        tokio::time::advance(TRUST).await;
        let slow = reader.lately.get(&7, async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(9)
        });
        let others = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            reader.get(7).await
        };
        let (slow, other) = tokio::join!(slow, others);
        assert_eq!((slow.unwrap(), other, reader.reads.load(Ordering::Relaxed)), (9, 1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_store_is_down_what_is_known_is_good_for_a_minute() {
        let reader = Reader::default();
        assert!(reader.get_while_down(7).await.is_err());
        assert_eq!(reader.get(7).await, 1);
        tokio::time::advance(TRUST * 2).await;
        assert_eq!(reader.get_while_down(7).await.unwrap(), 1);
        tokio::time::advance(MAX_AGE).await;
        assert!(reader.get_while_down(7).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn invented_keys_push_out_nothing_and_are_not_asked_for_again_at_once() {
        let reader = Reader::default();
        assert_eq!((reader.get(1).await, reader.get(2).await), (1, 2));
        let asked = AtomicU32::new(0);
        let find = async |key: u32| {
            let load = async {
                asked.fetch_add(1, Ordering::Relaxed);
                Ok(None)
            };
            reader.lately.find(&key, load).await.unwrap()
        };
        for key in 100..200 {
            assert_eq!((find(key).await, find(key).await), (None, None));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 100);
        assert_eq!((reader.get(1).await, reader.get(2).await), (1, 2), "both are remembered");
        assert_eq!((reader.lately.entries().room_taken(), reader.lately.absent().room_taken()), (2, 2));
        // One that comes to be is found after a moment, and at once by whoever made it.
        reader.lately.forget(&199);
        assert_eq!(reader.get(199).await, 3);
        tokio::time::advance(TRUST).await;
        assert_eq!(reader.get(198).await, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_are_remembered() {
        let reader = Reader::default();
        assert_eq!((reader.get(1).await, reader.get(2).await, reader.get(3).await), (1, 2, 3));
        assert_eq!((reader.get(3).await, reader.get(1).await), (3, 4));
    }
}
