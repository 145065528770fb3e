//! The stand-in's clock: the system's, set forward when a test asks for it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, UNIX_EPOCH},
};

/// Time as the stand-in tells it. Only objects, keys and signatures follow it; waits on the wire are real.
#[derive(Debug, Default)]
pub struct StripeClock {
    ahead_ms: AtomicU64,
}

impl StripeClock {
    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        let real = UNIX_EPOCH.elapsed().map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        real.saturating_add(self.ahead_ms.load(Ordering::SeqCst))
    }

    /// Seconds since 1970, as `created` says.
    pub fn now(&self) -> i64 {
        i64::try_from(self.now_ms() / 1000).unwrap_or(i64::MAX)
    }

    /// Sets the clock forward.
    pub fn advance(&self, by: Duration) {
        self.ahead_ms.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }
}
