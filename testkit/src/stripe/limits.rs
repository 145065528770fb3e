//! Too many requests: <https://docs.stripe.com/rate-limits>.

use super::{lock, refusal::Refusal};
use std::sync::{
    Mutex,
    atomic::{AtomicU32, Ordering},
};

/// Requests in the running second.
#[derive(Debug, Default)]
pub(super) struct Rate {
    /// How many a second are answered; 0: all.
    pub(super) limit: AtomicU32,
    second: Mutex<(u64, u32)>,
}

impl Rate {
    /// Counts a request; `true`: it is one too many.
    pub(super) fn is_over(&self, now_ms: u64) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        if limit == 0 {
            return false;
        }
        let mut second = lock(&self.second);
        if second.0 != now_ms / 1000 {
            *second = (now_ms / 1000, 0);
        }
        second.1 = second.1.saturating_add(1);
        second.1 > limit
    }
}

/// 429 for one request too many.
pub(super) fn rate_limited() -> Refusal {
    Refusal::too_many("rate_limit", "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.")
        .header("stripe-rate-limited-reason", "global-rate")
        .header("stripe-should-retry", "true")
}

/// 429 for an object that another request holds.
pub(super) fn lock_timeout() -> Refusal {
    Refusal::too_many(
        "lock_timeout",
        "This object cannot be accessed right now because another API request or Stripe process is currently accessing it. If you see this \
         error intermittently, retry the request. If you see this error frequently and are making multiple concurrent requests to a single \
         object, make your requests serially or at a lower rate.",
    )
    .header("stripe-should-retry", "true")
}
