//! Spans of the calendar, such as a month: as long as they are where they begin.

use super::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most units of a span.
pub const MAX_COUNT: u32 = 1_000;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What a span is counted in. Days and weeks have always the same length; months and years go by the calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// 24 hours.
    Day,
    /// Seven of them.
    Week,
    /// To the same day of a later month, or to its last one.
    Month,
    /// Twelve months.
    Year,
}

/// So many days, weeks, months or years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// 1 to [`MAX_COUNT`].
    pub count: u32,
    /// Of what.
    pub unit: Unit,
}

impl Span {
    /// When a span that begins at `from` is over.
    pub fn after(self, from: Timestamp) -> Timestamp {
        match self.unit {
            Unit::Day => from.after(DAY.saturating_mul(self.count)),
            Unit::Week => from.after(DAY.saturating_mul(self.count.saturating_mul(7))),
            Unit::Month => from.months_later(self.count),
            Unit::Year => from.months_later(self.count.saturating_mul(12)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_ends_on_the_same_day_or_on_the_last_one() {
        for (from, count, unit, until) in [
            ("2026-01-15T10:00:00.123Z", 1, Unit::Month, "2026-02-15T10:00:00.123Z"),
            ("2026-01-31T23:59:59.999Z", 1, Unit::Month, "2026-02-28T23:59:59.999Z"),
            ("2027-11-30T00:00:00.000Z", 3, Unit::Month, "2028-02-29T00:00:00.000Z"),
            ("2028-02-29T00:00:00.000Z", 1, Unit::Year, "2029-02-28T00:00:00.000Z"),
            ("2026-12-31T12:00:00.000Z", 1, Unit::Day, "2027-01-01T12:00:00.000Z"),
            ("2026-12-31T12:00:00.000Z", 2, Unit::Week, "2027-01-14T12:00:00.000Z"),
        ] {
            let end = Span { count, unit }.after(Timestamp::parse(from).unwrap());
            assert_eq!(end.to_rfc3339(), until, "{count} {unit:?} from {from}");
        }
    }

    #[test]
    fn the_longest_span_still_ends_at_a_time_that_can_be_told() {
        let end = Span { count: MAX_COUNT, unit: Unit::Year }.after(Timestamp::parse("2026-11-21T00:00:00Z").unwrap());
        assert_eq!(end.to_rfc3339(), "3026-11-21T00:00:00.000Z");
        let late = Span { count: MAX_COUNT, unit: Unit::Year }.after(Timestamp::parse("9999-06-01T00:00:00Z").unwrap());
        assert_eq!(Timestamp::parse(&late.to_rfc3339()), Some(late), "it saturates");
    }
}
