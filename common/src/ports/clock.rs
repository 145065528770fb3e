//! Time. Within a process it comes from here; between processes only the store's time decides.

use crate::domain::time::Timestamp;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where the time comes from.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock, off by a fixed amount when a test asks for that.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock {
    ahead_ms: i64,
}

impl SystemClock {
    /// A clock that runs `ahead_ms` milliseconds ahead (or behind, when negative).
    pub const fn ahead_by_ms(ahead_ms: i64) -> Self {
        Self { ahead_ms }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX).saturating_add(self.ahead_ms))
    }
}
