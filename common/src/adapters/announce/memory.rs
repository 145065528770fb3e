//! Announcements within one process.

use super::LISTENER_BUFFER;
use crate::ports::announcer::{Announcement, Announcer};
use tokio::sync::broadcast;

/// Tells everybody in this process.
#[derive(Debug, Clone)]
pub struct MemoryAnnouncer {
    listeners: broadcast::Sender<Announcement>,
}

impl Default for MemoryAnnouncer {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryAnnouncer {
    /// Without listeners yet.
    pub fn new() -> Self {
        Self { listeners: broadcast::Sender::new(LISTENER_BUFFER) }
    }
}

impl Announcer for MemoryAnnouncer {
    fn announce(&self, announcement: Announcement) {
        // An error says that nobody listens, which is fine.
        let _ = self.listeners.send(announcement);
    }

    fn is_our_own(&self) -> bool {
        true
    }

    fn listen(&self) -> broadcast::Receiver<Announcement> {
        self.listeners.subscribe()
    }
}
