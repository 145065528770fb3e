//! Card testing: somebody has a list of stolen cards and wants to know which of them work. What gives him away is that most are refused.
//!
//! What is counted are tries that a provider has definitely refused, by tenant and by the address that they came from, in a window that slides.
//! Stripe's advice is the source: <https://docs.stripe.com/disputes/prevention/card-testing>.

use super::{attempt::AttemptStatus, checkout::Checkout, hosted::TAKEN_BACK};
use std::time::Duration;

/// How many refusals of one address are remembered: more than any bound.
pub const MOST_KEPT: usize = 100;
/// How long a try of which nothing was heard counts as under way.
pub const OPEN_FOR: Duration = Duration::from_secs(60);
/// The longest wait between two tries of an address that is slowed, as a part of the window: four more can be made before the first is forgotten.
const LONGEST_WAIT: u32 = 4;
/// How long an address waits of which too many tries are under way.
const CROWDED: Duration = Duration::from_secs(2);

/// From when on tries are slowed, and stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long a refusal counts.
    pub window: Duration,
    /// So many refusals of an address nobody minds: customers mistype.
    pub free: u32,
    /// With so many an address is stopped, until the oldest is forgotten. At most [`MOST_KEPT`].
    pub stop: u32,
    /// The wait behind the first refusal that somebody minds. Each further one doubles it.
    pub wait: Duration,
    /// With so many refusals of all addresses of a tenant, and more than it has sales, its tries are let through one after the other.
    pub tenant: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { window: Duration::from_secs(15 * 60), free: 4, stop: 20, wait: Duration::from_secs(5), tenant: 100 }
    }
}

/// What is known when a try begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// How long ago each refusal of its address in the window was, the newest first.
    pub declined: Vec<Duration>,
    /// How many others of its address are under way.
    pub open: u32,
    /// About how many of its tenant were refused in the window, whatever the address.
    pub tenant_declined: u32,
    /// About how many of its tenant were paid in the window.
    pub tenant_paid: u32,
}

/// What came of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The provider said no.
    Declined,
    /// It was paid.
    Paid,
    /// Neither: it was not sent, the customer is asked elsewhere, or thought better of it.
    Neither,
}

/// What becomes of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Free,
    /// It goes on when it is its turn among all of its tenant, one in so long.
    InTurn(Duration),
    /// Not now: so many others of this address are under way. Again after so long.
    Crowded(Duration),
    /// Not now: cards from this address were refused. Again after so long.
    Slow(Duration),
    /// Too many cards from this address were refused. Not before so long.
    Stop(Duration),
}

impl Limits {
    /// What becomes of a try of which this is known.
    pub fn judge(&self, facts: &Facts) -> Verdict {
        let declined = u32::try_from(facts.declined.len()).unwrap_or(u32::MAX);
        let bound = usize::try_from(self.stop.max(1)).unwrap_or(MOST_KEPT);
        if let Some(age) = facts.declined.get(bound - 1) {
            return Verdict::Stop(self.window.saturating_sub(*age));
        }
        let is_slowed = declined >= self.free.max(1);
        if let Some(since) = facts.declined.first().filter(|_| is_slowed) {
            let wait = self.wait_behind(declined);
            if *since < wait {
                return Verdict::Slow(wait.saturating_sub(*since));
            }
        }
        // Whoever is slowed makes one try at a time: otherwise the next ones would be sent before the no to the first.
        let is_crowded = if is_slowed { facts.open > 0 } else { facts.open.saturating_add(declined) >= self.stop };
        if is_crowded {
            return Verdict::Crowded(CROWDED);
        }
        // A rush has noes, too, and more sales than noes.
        if facts.tenant_declined >= self.tenant.max(1) && facts.tenant_declined > facts.tenant_paid {
            return Verdict::InTurn(self.window / self.tenant.max(1));
        }
        Verdict::Free
    }

    fn wait_behind(&self, declined: u32) -> Duration {
        let doublings = declined.saturating_sub(self.free.max(1)).min(16);
        self.wait.saturating_mul(1 << doublings).min(self.window / LONGEST_WAIT)
    }
}

/// What came of attempt `n`; `None` while its provider has not said.
pub fn came_of(checkout: &Checkout, n: u32) -> Option<End> {
    let attempt = checkout.attempts.iter().find(|attempt| attempt.n == n)?;
    match attempt.status {
        AttemptStatus::Approved | AttemptStatus::Authorized => Some(End::Paid),
        // What the customer himself had taken back says nothing of a card.
        AttemptStatus::Declined if attempt.decline_code.as_deref() == Some(TAKEN_BACK) => Some(End::Neither),
        AttemptStatus::Declined => Some(End::Declined),
        AttemptStatus::NotSent | AttemptStatus::NeedsReview => Some(End::Neither),
        AttemptStatus::Started | AttemptStatus::Unknown | AttemptStatus::RequiresAction | AttemptStatus::Pending => None,
    }
}

/// Whether attempt `n` waits for its customer, who may take long and is seen to elsewhere.
pub fn is_asked(checkout: &Checkout, n: u32) -> bool {
    checkout.attempts.iter().any(|attempt| attempt.n == n && attempt.status.is_the_customers())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { window: Duration::from_secs(600), free: 3, stop: 8, wait: Duration::from_secs(5), tenant: 60 };

    fn declined(ages: &[u64]) -> Facts {
        Facts { declined: ages.iter().copied().map(Duration::from_secs).collect(), ..Facts::default() }
    }

    #[test]
    fn whoever_mistypes_once_or_twice_notices_nothing() {
        for ages in [&[][..], &[0], &[0, 1]] {
            assert_eq!(LIMITS.judge(&declined(ages)), Verdict::Free, "{ages:?}");
        }
    }

    #[test]
    fn waits_grow_until_a_part_of_the_window_and_are_counted_from_the_last_no() {
        let wait = |count: usize| LIMITS.judge(&declined(&vec![0; count]));
        let waits: Vec<_> = (3..8).map(wait).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80].map(|seconds| Verdict::Slow(Duration::from_secs(seconds))));
        assert_eq!(LIMITS.judge(&declined(&[4, 5, 6])), Verdict::Slow(Duration::from_secs(1)));
        assert_eq!(LIMITS.judge(&declined(&[5, 5, 6])), Verdict::Free);
        let patient = Limits { stop: 100, ..LIMITS };
        assert_eq!(patient.judge(&declined(&[0; 50])), Verdict::Slow(Duration::from_secs(150)));
    }

    #[test]
    fn at_the_bound_it_is_stopped_until_enough_are_forgotten() {
        let ages = [100, 200, 300, 400, 450, 500, 550, 590];
        assert_eq!(LIMITS.judge(&declined(&ages)), Verdict::Stop(Duration::from_secs(10)));
        // Two above the bound: the two oldest, and one more, have to be forgotten first.
        let more = [10, 20, 100, 200, 300, 400, 450, 500, 550, 590];
        assert_eq!(LIMITS.judge(&declined(&more)), Verdict::Stop(Duration::from_secs(100)));
        assert_eq!(LIMITS.judge(&declined(&ages[..7])), Verdict::Free);
    }

    #[test]
    fn many_at_once_wait_and_whoever_is_slowed_makes_one_try_at_a_time() {
        let open = |ages: &[u64], open| LIMITS.judge(&Facts { open, ..declined(ages) });
        assert_eq!((open(&[], 7), open(&[], 8)), (Verdict::Free, Verdict::Crowded(CROWDED)));
        assert_eq!((open(&[60, 60], 5), open(&[60, 60], 6)), (Verdict::Free, Verdict::Crowded(CROWDED)));
        assert_eq!(open(&[60, 60, 60], 1), Verdict::Crowded(CROWDED));
    }

    #[test]
    fn a_tenant_with_more_noes_than_sales_is_gone_through_one_after_the_other_and_a_rush_is_not() {
        let tenant = |tenant_declined, tenant_paid| LIMITS.judge(&Facts { tenant_declined, tenant_paid, ..Facts::default() });
        assert_eq!(tenant(59, 0), Verdict::Free);
        assert_eq!(tenant(60, 0), Verdict::InTurn(Duration::from_secs(10)));
        assert_eq!(tenant(300, 2_700), Verdict::Free);
    }

    #[test]
    fn limits_of_nothing_divide_by_nothing() {
        let zero = Limits { window: Duration::ZERO, free: 0, stop: 0, wait: Duration::ZERO, tenant: 0 };
        assert_eq!(zero.judge(&declined(&[0])), Verdict::Stop(Duration::ZERO));
    }
}
