//! The newest of many, by key: a memory that is bounded, and of which nothing needs to be there.

use std::{
    borrow::Borrow,
    collections::{HashMap, VecDeque},
    hash::Hash,
};

/// At most `MOST` values; the oldest are forgotten first.
#[derive(Debug)]
pub struct Newest<K, V, const MOST: usize> {
    by_key: HashMap<K, V>,
    /// The same keys, oldest first, and those that were removed and whose turn has not come yet.
    order: VecDeque<K>,
}

impl<K, V, const MOST: usize> Default for Newest<K, V, MOST> {
    fn default() -> Self {
        Self { by_key: HashMap::new(), order: VecDeque::new() }
    }
}

impl<K: Clone + Eq + Hash, V, const MOST: usize> Newest<K, V, MOST> {
    /// Remembers `value`. In the place of another of this key it is as old as that.
    pub fn insert(&mut self, key: K, value: V) {
        if self.by_key.insert(key.clone(), value).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_key.remove(&oldest);
        }
    }

    /// What is remembered of `key`.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.by_key.get(key)
    }

    /// The same, to be changed.
    pub fn get_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.by_key.get_mut(key)
    }

    /// All values, in no order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.by_key.values()
    }

    /// Forgets `key`.
    pub fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        self.by_key.remove(key);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.by_key.clear();
        self.order.clear();
    }

    /// How much room is taken: no less than there are values.
    pub fn room_taken(&self) -> usize {
        self.order.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_first_and_what_was_removed_takes_room_until_its_turn() {
        let mut newest: Newest<u32, &str, 3> = Newest::default();
        for (key, value) in [(1, "a"), (2, "b"), (3, "c"), (1, "newer")] {
            newest.insert(key, value);
        }
        assert_eq!((newest.get(&1), newest.room_taken()), (Some(&"newer"), 3));
        newest.insert(4, "d");
        assert_eq!((newest.get(&1), newest.get(&2), newest.room_taken()), (None, Some(&"b"), 3));
        newest.remove(&3);
        assert_eq!((newest.get(&3), newest.room_taken()), (None, 3));
        for key in 5..100 {
            newest.insert(key, "e");
        }
        assert_eq!((newest.by_key.len(), newest.room_taken()), (3, 3));
        newest.clear();
        assert_eq!((newest.get(&99), newest.room_taken()), (None, 0));
    }
}
