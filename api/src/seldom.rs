//! Warnings that a stranger can cause as often as he likes: one now and then, and how many there were beside it.

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};
use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
};

/// One a minute, of each kind that has its own.
pub struct Seldom<C: Clock = DefaultClock> {
    limiter: RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>,
    held_back: AtomicU64,
}

impl Default for Seldom {
    fn default() -> Self {
        Self::by(DefaultClock::default())
    }
}

impl<C: Clock> Seldom<C> {
    fn by(clock: C) -> Self {
        Self { limiter: RateLimiter::direct_with_clock(Quota::per_minute(NonZeroU32::MIN), clock), held_back: AtomicU64::new(0) }
    }

    /// Whether it is to be said now: how many were held back since the last time. `None`: this one is held back, too.
    pub fn is_due(&self) -> Option<u64> {
        match self.limiter.check() {
            Ok(()) => Some(self.held_back.swap(0, Ordering::Relaxed)),
            Err(_) => {
                self.held_back.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;
    use std::time::Duration;

    #[test]
    fn of_a_flood_one_a_minute_is_said_with_how_many_were_held_back() {
        let clock = FakeRelativeClock::default();
        let seldom = Seldom::by(clock.clone());
        let said: Vec<_> = (0..1_000).filter_map(|_| seldom.is_due()).collect();
        assert_eq!(said, [0]);
        clock.advance(Duration::from_secs(59));
        assert_eq!(seldom.is_due(), None);
        clock.advance(Duration::from_secs(1));
        assert_eq!((seldom.is_due(), seldom.is_due()), (Some(1_000), None));
        clock.advance(Duration::from_secs(3_600));
        assert_eq!((seldom.is_due(), seldom.is_due()), (Some(1), None), "a quiet hour saves nothing up");
    }
}
