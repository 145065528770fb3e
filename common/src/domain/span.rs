//! Spans of the calendar, such as a month: as long as they are where they begin.

use super::{
    time::{LAST, Timestamp},
    time_zone::TimeZone,
};
use serde::{Deserialize, Serialize};

/// The most units of a span.
pub const MAX_COUNT: u32 = 1_000;

/// What a span is counted in. All of them go by the calendar, to the same time of day where the tenant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// To the same time of day, also where the clocks are changed in between.
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
    /// When a span that begins at `from` is over, counted in that time zone; the end of time where no calendar has it.
    pub fn after(self, from: Timestamp, time_zone: &TimeZone) -> Timestamp {
        self.unit.later(i64::from(self.count), from, time_zone).unwrap_or(LAST)
    }
}

impl Unit {
    /// So many of them after `from`, at the same time of day in that time zone. Nothing where no calendar has it.
    pub(super) fn later(self, count: i64, from: Timestamp, time_zone: &TimeZone) -> Option<Timestamp> {
        let span = match self {
            Self::Day => jiff::Span::new().try_days(count),
            Self::Week => jiff::Span::new().try_weeks(count),
            Self::Month => jiff::Span::new().try_months(count),
            Self::Year => jiff::Span::new().try_years(count),
        };
        time_zone.instant(time_zone.civil(from)?.checked_add(span.ok()?).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn end(zone: &str, count: u32, unit: Unit, from: &str) -> String {
        Span { count, unit }.after(Timestamp::parse(from).unwrap(), &TimeZone::parse(zone).unwrap()).to_rfc3339()
    }

    #[test]
    fn a_month_ends_on_the_same_day_or_on_the_last_one() {
        for (from, count, unit, until) in [
            ("2026-01-15T10:00:00.123Z", 1, Unit::Month, "2026-02-15T10:00:00.123Z"),
            ("2026-01-31T23:59:59.999Z", 1, Unit::Month, "2026-02-28T23:59:59.999Z"),
            ("2027-11-30T00:00:00.000Z", 3, Unit::Month, "2028-02-29T00:00:00.000Z"),
            ("2028-02-29T00:00:00.000Z", 1, Unit::Year, "2029-02-28T00:00:00.000Z"),
            ("2028-02-29T00:00:00.000Z", 4, Unit::Year, "2032-02-29T00:00:00.000Z"),
            ("2026-12-31T12:00:00.000Z", 1, Unit::Day, "2027-01-01T12:00:00.000Z"),
            ("2026-12-31T12:00:00.000Z", 2, Unit::Week, "2027-01-14T12:00:00.000Z"),
        ] {
            assert_eq!(end("UTC", count, unit, from), until, "{count} {unit:?} from {from}");
        }
    }

    #[test]
    fn days_and_months_are_those_of_the_calendar_on_the_wall() {
        for (zone, from, count, unit, until) in [
            // 23:30 on 31 January in Los Angeles, which is February in UTC already.
            ("America/Los_Angeles", "2027-02-01T07:30:00.000Z", 1, Unit::Month, "2027-03-01T07:30:00.000Z"),
            // 00:30 on 1 March in Auckland, still February in UTC.
            ("Pacific/Auckland", "2027-02-28T11:30:00.000Z", 1, Unit::Month, "2027-03-31T11:30:00.000Z"),
            // Over both changes of the clocks in Berlin, by months and by days; and to 02:30 on a day that has none.
            ("Europe/Berlin", "2027-03-15T22:30:00.000Z", 1, Unit::Month, "2027-04-15T21:30:00.000Z"),
            ("Europe/Berlin", "2027-03-27T22:30:00.000Z", 1, Unit::Day, "2027-03-28T21:30:00.000Z"),
            ("Europe/Berlin", "2027-10-30T21:30:00.000Z", 1, Unit::Week, "2027-11-06T22:30:00.000Z"),
            ("Europe/Berlin", "2027-03-27T01:30:00.000Z", 1, Unit::Day, "2027-03-28T01:30:00.000Z"),
            // 01:30 on 29 February in Berlin.
            ("Europe/Berlin", "2028-02-29T00:30:00.000Z", 1, Unit::Year, "2029-02-28T00:30:00.000Z"),
        ] {
            assert_eq!(end(zone, count, unit, from), until, "{count} {unit:?} from {from} in {zone}");
        }
    }

    #[test]
    fn the_longest_span_still_ends_at_a_time_that_can_be_told() {
        assert_eq!(end("UTC", MAX_COUNT, Unit::Year, "2026-11-21T00:00:00Z"), "3026-11-21T00:00:00.000Z");
        for zone in ["UTC", "Pacific/Kiritimati", "Pacific/Niue"] {
            for unit in [Unit::Day, Unit::Month, Unit::Year] {
                let late = end(zone, MAX_COUNT, unit, "9999-11-01T00:00:00Z");
                assert_eq!(late, LAST.to_rfc3339(), "it saturates");
            }
        }
    }

    proptest! {
        #[test]
        fn a_span_ends_on_its_day_of_the_calendar_at_the_same_time_of_day_wherever_it_is(
            // From 2026 to 2040, to the millisecond.
            from in 1_767_225_600_000i64..2_208_988_800_000, count in 1u32..=60,
            unit in prop::sample::select(vec![Unit::Day, Unit::Week, Unit::Month, Unit::Year]),
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/Los_Angeles", "Pacific/Auckland", "Australia/Lord_Howe",
                "Asia/Kathmandu", "Pacific/Kiritimati", "America/St_Johns", "Africa/Cairo", "Pacific/Niue"]),
        ) {
            let (zone, from) = (TimeZone::parse(zone).unwrap(), Timestamp::from_millis(from));
            let until = Span { count, unit }.after(from, &zone);
            prop_assert!(until > from);
            let (begins, ends) = (zone.local(from), zone.local(until));
            let month_of = |date: time::Date| date.year() * 12 + i32::from(u8::from(date.month())) - 1;
            let days = |days: u32| begins.date() + time::Duration::days(i64::from(days));
            let months = |months: u32| {
                let index = month_of(begins.date()) + i32::try_from(months).unwrap();
                let (year, month) = (index.div_euclid(12), time::Month::try_from(u8::try_from(index.rem_euclid(12) + 1).unwrap()).unwrap());
                time::Date::from_calendar_date(year, month, begins.day().min(month.length(year))).unwrap()
            };
            let day = match unit {
                Unit::Day => days(count),
                Unit::Week => days(count * 7),
                Unit::Month => months(count),
                Unit::Year => months(count * 12),
            };
            prop_assert_eq!(ends.date(), day);
            // Later only where the clocks skip that time, and by no more than they do.
            let skipped = ends.time().duration_since(begins.time());
            prop_assert!(skipped.is_zero() || skipped <= time::Duration::HOUR && unit.later(i64::from(count), from, &zone).is_some(), "{}", skipped);
        }
    }
}
