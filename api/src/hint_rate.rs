//! How many notices that prove nothing are looked at: so many a second of each account, whoever sends them.

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use std::{num::NonZeroU32, time::Duration};

/// A second, of one account, in one process. A rush of sales that are paid on the provider's page stays below it.
const PER_SECOND: u32 = 50;
/// At once, when it was quiet before.
const BURST: u32 = 500;

/// The limit of each account that somebody has sent notices for. Only accounts that exist have one.
pub struct HintRate(DefaultKeyedRateLimiter<String>);

impl Default for HintRate {
    fn default() -> Self {
        let of = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        Self(RateLimiter::keyed(Quota::per_second(of(PER_SECOND)).allow_burst(of(BURST))))
    }
}

impl HintRate {
    /// Counts one. `Err`: too many came; how long to wait.
    pub fn check(&self, account: &str) -> Result<(), Duration> {
        self.0.check_key(&account.to_owned()).map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_flooded_leaves_the_others_alone() {
        let rate = HintRate::default();
        let let_in = (0..10 * BURST).filter(|_| rate.check("pra_1").is_ok()).count();
        assert!((BURST as usize..2 * BURST as usize).contains(&let_in), "{let_in}");
        assert_eq!(rate.check("pra_2"), Ok(()));
        assert!(rate.check("pra_1").is_err_and(|wait| wait <= Duration::from_secs(1)));
    }
}
