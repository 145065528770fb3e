//! When a callback is tried again.

use crate::domain::id::Entropy;
use std::time::Duration;

/// The waits before each try, the first one included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Vec<Duration>);

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
/// Ten tries over a bit more than three days: a receiver that is down over a weekend still hears.
const STANDARD: [u64; 10] = [0, 5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
/// Each wait is spread by this much either way, so that a receiver that comes back is not overrun.
const JITTER: f64 = 0.2;

impl Default for Schedule {
    fn default() -> Self {
        Self(STANDARD.into_iter().map(Duration::from_secs).collect())
    }
}

impl Schedule {
    /// Other waits, one before each try; the standard ones when there are none.
    pub fn new(waits: Vec<Duration>) -> Self {
        if waits.is_empty() { Self::default() } else { Self(waits) }
    }

    /// How many tries there are.
    pub fn tries(&self) -> usize {
        self.0.len()
    }

    /// The wait after try number `n` (from 1) failed. `None` after the last one.
    pub fn wait_after(&self, n: u32, entropy: &Entropy) -> Option<Duration> {
        let wait = usize::try_from(n).ok().and_then(|next| self.0.get(next))?;
        Some(wait.mul_f64(1.0 - JITTER + 2.0 * JITTER * entropy.fraction()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_tries_wait_longer_and_longer_each_within_a_fifth() {
        let (schedule, entropy) = (Schedule::default(), Entropy::from_seed(3));
        assert_eq!(schedule.tries(), 10);
        for (n, seconds) in (1u32..).zip([5u64, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]) {
            let waits: Vec<f64> = (0..200).map(|_| schedule.wait_after(n, &entropy).unwrap().as_secs_f64() / seconds as f64).collect();
            assert!(waits.iter().all(|factor| (0.8..=1.2).contains(factor)), "after try {n}");
            assert!(waits.iter().any(|factor| *factor < 0.85) && waits.iter().any(|factor| *factor > 1.15), "after try {n}");
        }
        assert_eq!(schedule.wait_after(10, &entropy), None);
        assert_eq!(schedule.wait_after(u32::MAX, &entropy), None);
    }

    #[test]
    fn other_waits_can_be_given() {
        let schedule = Schedule::new(vec![Duration::ZERO, Duration::from_millis(100)]);
        assert!(schedule.wait_after(1, &Entropy::from_seed(1)).is_some_and(|wait| wait <= Duration::from_millis(120)));
        assert_eq!(schedule.wait_after(2, &Entropy::from_seed(1)), None);
        assert_eq!(Schedule::new(Vec::new()), Schedule::default());
    }
}
