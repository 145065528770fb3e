//! Announcements: a result wakes whoever waits for it, in whichever process. A lost one costs only latency.

use crate::domain::{id::CheckoutId, state::Status};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

/// A checkout changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Which.
    pub checkout: CheckoutId,
    /// To this version.
    pub version: i64,
    /// Where it stands now.
    pub status: Status,
}

/// Spreads announcements.
#[async_trait]
pub trait Announcer: Send + Sync {
    /// Tells everybody. Batched behind the scenes, never waits for long, never fails loudly.
    fn announce(&self, announcement: Announcement);

    /// Whether nobody but this very process can announce: then what is heard is what was committed here, and can be believed as it stands.
    fn is_our_own(&self) -> bool;

    /// Hears everything from now on. A slow listener misses some (`Lagged`) and must look at the store.
    fn listen(&self) -> broadcast::Receiver<Announcement>;
}
