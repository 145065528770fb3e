//! Objects by id, in the order in which they were made, the oldest dropped past a bound.

use std::collections::BTreeMap;

/// Ids sort by creation, so one tree is both the index and the list.
#[derive(Debug)]
pub(super) struct Table<T> {
    rows: BTreeMap<String, T>,
    most: usize,
}

impl<T> Table<T> {
    pub(super) fn new(most: usize) -> Self {
        Self { rows: BTreeMap::new(), most: most.max(1) }
    }

    pub(super) fn get(&self, id: &str) -> Option<&T> {
        self.rows.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.rows.get_mut(id)
    }

    pub(super) fn insert(&mut self, id: String, row: T) {
        if self.rows.len() >= self.most && !self.rows.contains_key(&id) {
            self.rows.pop_first();
        }
        self.rows.insert(id, row);
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<T> {
        self.rows.remove(id)
    }

    /// Oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &T)> {
        self.rows.iter().map(|(id, row)| (id.as_str(), row))
    }

    pub(super) fn values(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.rows.values()
    }
}
