//! Which rows of the provider's book were seen.

use crate::exit::Failure;
use boxoffice_common::domain::{attempt::Attempt, provider_book::BookRow};
use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
};

/// The most rows of one account in one run.
const MAX_ROWS: usize = 1_000_000;

/// Rows by our key, where they have one, and by the provider's id: 64 bits of each, so that a million fit into some megabytes. Two that are the
/// same in these bits by chance (for a million rows, one run in some tens of thousands of millions) would hide one that is missing.
#[derive(Debug, Default)]
pub(super) struct Seen {
    hasher: RandomState,
    rows: usize,
    names: HashSet<u64>,
}

impl Seen {
    /// Remembers a row.
    pub(super) fn add(&mut self, row: &BookRow) -> Result<(), Failure> {
        self.rows += 1;
        if self.rows > MAX_ROWS {
            return Err(Failure::Setup(format!("there are more than {MAX_ROWS} rows: go through them in parts, with --since and --until")));
        }
        for name in row.key.iter().chain([&row.id]) {
            self.names.insert(self.hasher.hash_one(name));
        }
        Ok(())
    }

    /// Whether the provider's book has this attempt.
    pub(super) fn has(&self, attempt: &Attempt) -> bool {
        let is_there = |name: &String| self.names.contains(&self.hasher.hash_one(name));
        is_there(&attempt.request.key) || attempt.provider_reference.as_ref().is_some_and(is_there)
    }

    /// How many there were.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }
}
