//! The one retry policy: how long to wait before a try. The crate `backoff` is used for its interval arithmetic and
//! nowhere else, so that it can be replaced in an hour (see deny.toml).

use backoff::{ExponentialBackoff, backoff::Backoff};
use std::time::Duration;

/// A policy: from `base`, doubled each time up to `cap`, spread by `jitter`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// The wait before the first retry.
    pub base: Duration,
    /// The longest wait.
    pub cap: Duration,
    /// 0.2 spreads a wait of 10 s over 8 to 12 s.
    pub jitter: f64,
}

/// Sends that were refused before execution: soon, then less often.
pub const REFUSED: Policy = Policy { base: Duration::from_millis(100), cap: Duration::from_secs(10), jitter: 0.2 };
/// Outcomes that are not known: the provider may need time.
pub const RECONCILE: Policy = Policy { base: Duration::from_secs(1), cap: Duration::from_secs(300), jitter: 0.2 };
/// Waiting for a customer to act.
pub const POLL: Policy = Policy { base: Duration::from_secs(2), cap: Duration::from_secs(30), jitter: 0.1 };
/// What a provider told us and what cannot be done yet: soon, in case it only raced somebody, then seldom.
pub const EVENTS: Policy = Policy { base: Duration::from_secs(1), cap: Duration::from_secs(3 * 3600), jitter: 0.2 };
/// Connections to our own servers.
pub const RECONNECT: Policy = Policy { base: Duration::from_millis(50), cap: Duration::from_secs(5), jitter: 0.3 };

impl Policy {
    /// The wait before retry number `retry` (from 1), never shorter than what the other side asked for.
    pub fn wait(&self, retry: u32, asked: Option<Duration>) -> Duration {
        let mut backoff = ExponentialBackoff {
            current_interval: self.base,
            initial_interval: self.base,
            max_interval: self.cap,
            multiplier: 2.0,
            randomization_factor: self.jitter,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        let mut wait = self.base;
        for _ in 0..retry.clamp(1, 32) {
            wait = backoff.next_backoff().unwrap_or(self.cap);
        }
        wait.max(asked.unwrap_or(Duration::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_honour_what_was_asked() {
        for retry in 1..=10 {
            let wait = RECONCILE.wait(retry, None).as_secs_f64();
            let middle = f64::from(1u32 << (retry - 1)).min(300.0);
            assert!((middle * 0.79..=middle * 1.21).contains(&wait), "retry {retry}: {wait}");
        }
        assert_eq!(REFUSED.wait(1, Some(Duration::from_secs(60))), Duration::from_secs(60));
        assert!(RECONCILE.wait(u32::MAX, None) <= Duration::from_secs(360));
    }
}
