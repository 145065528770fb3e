//! The calendar of a subscription: when its periods begin and end where the tenant is, and what a part of one costs.
//!
//! Always: a boundary is computed from the anchor, never from the boundary before it. *Because* 31 January, 28 February, 28 March is
//! how the end of a month gets lost; it is 31 January, 28 February, 31 March.

use super::{
    money::{Amount, MoneyError},
    span::Unit,
    time::{LAST, Timestamp},
    time_zone::TimeZone,
};
use jiff::{ToSpan, civil::Date};
use serde::{Deserialize, Serialize};

/// A day of the month on which periods begin: the last one of a month that has no such day.
pub const ANCHOR_DAYS: std::ops::RangeInclusive<u32> = 1..=31;
/// The most periods that are walked over to find that of now: some 270 years of days.
const MAX_WALK: u32 = 100_000;

/// When periods begin. Period `k`, from 1, goes from boundary `k - 1` to boundary `k`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What periods are counted in. Days go by the calendar, too: to the same time of day where the tenant is.
    pub interval: Unit,
    /// How many of them a period has, at least one.
    pub interval_count: u32,
    /// With months: periods begin at midnight on this day. The first one is what is left until then.
    pub anchor_day: Option<u32>,
    /// Where days are counted.
    pub time_zone: TimeZone,
    /// Boundary 0: when the first period begins.
    pub starts_at: Timestamp,
}

/// A span of time that is paid for: from its beginning up to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Period {
    /// Counts from 1; 0 is a trial.
    pub n: u32,
    /// When it begins.
    pub from: Timestamp,
    /// When it is over.
    pub until: Timestamp,
}

impl Schedule {
    /// Where period `k` ends and the next one begins; the end of time where no calendar has it.
    pub fn boundary(&self, k: u32) -> Timestamp {
        let periods = i64::from(k);
        match (k, self.anchor_day) {
            (0, _) => Some(self.starts_at),
            (_, None) => self.counted(periods),
            (_, Some(day)) => self.anchored(day, periods - 1),
        }
        .unwrap_or(LAST)
    }

    /// Period `k`, from 1, under the number `n`.
    pub fn period(&self, k: u32, n: u32) -> Period {
        Period { n, from: self.boundary(k.saturating_sub(1)), until: self.boundary(k) }
    }

    /// The period that is not over at `now`, from `first` on.
    pub fn period_at(&self, now: Timestamp, first: u32) -> u32 {
        let last = first.saturating_add(MAX_WALK);
        (first..last).find(|&k| self.boundary(k) > now).unwrap_or(last)
    }

    /// What period `k` costs when a whole one costs `whole`: the first one up to an anchor day in proportion to its length, in
    /// milliseconds, rounded down.
    pub fn prorated(&self, whole: Amount, k: u32) -> Result<Amount, MoneyError> {
        let Some(day) = self.anchor_day.filter(|_| k == 1) else { return Ok(whole) };
        let (Some(from), Some(until)) = (self.anchored(day, -1), self.anchored(day, 0)) else { return Ok(whole) };
        share(whole, until.since(self.starts_at).as_millis(), until.since(from).as_millis())
    }

    /// So many periods after the start, at the same time of day.
    fn counted(&self, periods: i64) -> Option<Timestamp> {
        let count = periods.checked_mul(i64::from(self.interval_count))?;
        self.interval.later(count, self.starts_at, &self.time_zone)
    }

    /// So many periods after the first anchor day behind the start.
    fn anchored(&self, day: u32, periods: i64) -> Option<Timestamp> {
        let month = self.time_zone.civil(self.starts_at)?.date().first_of_month();
        let this_month = self.midnight(month, day)?;
        let first = if this_month > self.starts_at { 0 } else { 1 };
        let months = periods.checked_mul(i64::from(self.interval_count))?.checked_add(first)?;
        self.midnight(month.checked_add(jiff::Span::new().try_months(months).ok()?).ok()?, day)
    }

    /// The beginning of that day of a month, or of its last one.
    fn midnight(&self, month: Date, day: u32) -> Option<Timestamp> {
        let days = i64::from(day).min(i64::from(month.days_in_month())) - 1;
        self.time_zone.instant(month.checked_add(days.days()).ok()?.at(0, 0, 0, 0))
    }
}

/// `whole * part / all`, rounded down, and never more than the whole.
fn share(whole: Amount, part: u128, all: u128) -> Result<Amount, MoneyError> {
    let price = u128::try_from(whole.minor()).map_err(|_| MoneyError::OutOfRange)?;
    let part = price.saturating_mul(part.min(all)) / all.max(1);
    i64::try_from(part).map(Amount::from_minor).map_err(|_| MoneyError::OutOfRange)
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
