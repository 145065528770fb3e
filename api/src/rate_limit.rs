//! How often a key may ask, and how it is told: 429 with `Retry-After`, and `RateLimit` headers on every answer
//! (draft-ietf-httpapi-ratelimit-headers: `q` requests in a window of `w` seconds; `r` remain, whole again in `t` seconds).

use crate::problem::{Problem, retry_seconds};
use boxoffice_common::domain::id::KeyId;
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DashMapStateStore,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::{num::NonZeroU32, time::Duration};

/// A quiet key may spend this many seconds' worth at once.
const BURST_SECONDS: u32 = 2;
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");

type Limiter = RateLimiter<KeyId, DashMapStateStore<KeyId>, DefaultClock, StateInformationMiddleware>;

/// The limits of all keys. Keys that were quiet for long enough to be full again are forgotten by [`Self::tidy`].
pub struct RateLimits(Option<Limits>);

struct Limits {
    limiter: Limiter,
    per_second: NonZeroU32,
    burst: NonZeroU32,
    policy: HeaderValue,
}

/// What the limit says to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There is no limit.
    Unlimited,
    /// So many more may follow at once.
    Allowed(u32),
    /// Not before this long.
    Refused(Duration),
}

impl Verdict {
    /// The problem of a refused request.
    pub fn refusal(self) -> Option<Problem> {
        match self {
            Self::Unlimited | Self::Allowed(_) => None,
            Self::Refused(retry_after) => Some(Problem::RateLimited { retry_after }),
        }
    }
}

impl RateLimits {
    /// `per_second` requests a key; 0 for no limit.
    pub fn new(per_second: u32) -> Self {
        Self(NonZeroU32::new(per_second).map(|per_second| {
            let burst = per_second.saturating_mul(NonZeroU32::MIN.saturating_add(BURST_SECONDS - 1));
            let quota = Quota::per_second(per_second).allow_burst(burst);
            let policy = HeaderValue::try_from(format!("\"default\";q={burst};w={BURST_SECONDS}"));
            Limits {
                limiter: RateLimiter::dashmap(quota).with_middleware(),
                per_second,
                burst,
                policy: policy.unwrap_or_else(|_| HeaderValue::from_static("\"default\"")),
            }
        }))
    }

    /// Counts one request.
    pub fn check(&self, key: &KeyId) -> Verdict {
        let Some(limits) = &self.0 else { return Verdict::Unlimited };
        match limits.limiter.check_key(key) {
            Ok(state) => Verdict::Allowed(state.remaining_burst_capacity()),
            Err(until) => {
                metrics::counter!("boxoffice_api_rate_limited_total").increment(1);
                Verdict::Refused(until.wait_time_from(DefaultClock::default().now()))
            }
        }
    }

    /// Writes the headers.
    pub fn describe(&self, verdict: Verdict, headers: &mut HeaderMap) {
        let Some(limits) = &self.0 else { return };
        let (remaining, seconds) = match verdict {
            Verdict::Unlimited => return,
            Verdict::Allowed(remaining) => {
                (remaining, limits.burst.get().saturating_sub(remaining).div_ceil(limits.per_second.get()).into())
            }
            Verdict::Refused(wait) => (0, retry_seconds(wait)),
        };
        headers.insert(POLICY, limits.policy.clone());
        if let Ok(state) = HeaderValue::try_from(format!("\"default\";r={remaining};t={seconds}")) {
            headers.insert(STATE, state);
        }
    }

    /// Forgets keys that are as good as new. To be called now and then.
    pub fn tidy(&self) {
        if let Some(limits) = &self.0 {
            limits.limiter.retain_recent();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_stopped_after_its_burst_and_others_are_not() {
        let limits = RateLimits::new(5);
        let (one, other) = (KeyId::parse("key_1").unwrap(), KeyId::parse("key_2").unwrap());
        let allowed = (0..50).filter(|_| matches!(limits.check(&one), Verdict::Allowed(_))).count();
        assert!((10..=11).contains(&allowed), "{allowed}");
        let refused = limits.check(&one);
        assert!(matches!(refused, Verdict::Refused(wait) if wait <= Duration::from_millis(200)), "{refused:?}");
        assert!(matches!(limits.check(&other), Verdict::Allowed(9)));
        let mut headers = HeaderMap::new();
        limits.describe(refused, &mut headers);
        assert_eq!((headers[POLICY].to_str().unwrap(), headers[STATE].to_str().unwrap()), ("\"default\";q=10;w=2", "\"default\";r=0;t=1"));
        limits.describe(Verdict::Allowed(4), &mut headers);
        assert_eq!(headers[STATE], "\"default\";r=4;t=2");
    }

    #[test]
    fn without_a_limit_nothing_is_said() {
        let limits = RateLimits::new(0);
        let verdict = limits.check(&KeyId::parse("key_1").unwrap());
        let mut headers = HeaderMap::new();
        limits.describe(verdict, &mut headers);
        assert!(verdict == Verdict::Unlimited && headers.is_empty());
    }
}
