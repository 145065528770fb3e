//! The timeline: an append-only list of what happened to a checkout, for people and for support.

use super::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TimelineEntry {
    /// When, by the store's time.
    pub at: Timestamp,
    /// What, in a word: `accepted`, `begun`, `charge.approved`, `lease.taken_over`, `checkout.succeeded`, …
    pub what: String,
    /// For people; no secrets and nothing personal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl TimelineEntry {
    /// Something happened at `at`.
    pub fn new(at: Timestamp, what: impl Into<String>) -> Self {
        Self { at, what: what.into(), detail: None }
    }

    /// The same, with words.
    pub fn saying(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}
