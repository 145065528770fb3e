//! What can go wrong with the store.

use crate::failpoint;

/// What can go wrong with the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Not reachable, or too slow. Nothing is known to be written; asking again is safe.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The rules refused to make or write this transition: our bug. Logged, never retried blindly.
    #[error("the store refused an inconsistent change: {0}")]
    Inconsistent(String),
    /// A row cannot be read: written by a newer version, or damaged.
    #[error("a stored row cannot be read: {0}")]
    Corrupt(String),
}

/// A failpoint that is told to fail stands for a store that does not answer.
impl From<failpoint::Told> for StoreError {
    fn from(told: failpoint::Told) -> Self {
        Self::Unavailable(told.to_string())
    }
}
