//! Time zones: what the date is where something takes place. The rules (IANA) are compiled in, so that every process answers alike,
//! whatever its machine has installed.

use super::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;

/// A time zone of the IANA database, such as `Europe/Berlin`. Written as its name.
#[derive(Clone, PartialEq, Eq, utoipa::ToSchema)]
#[schema(value_type = String, examples("Europe/Berlin"))]
pub struct TimeZone(jiff::tz::TimeZone);

impl TimeZone {
    /// By its name, upper and lower case alike; kept as the database writes it.
    pub fn parse(name: &str) -> Option<Self> {
        jiff::tz::TimeZone::get(name).ok().filter(|zone| zone.iana_name().is_some()).map(Self)
    }

    /// Its name in the database.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The calendar date there.
    pub fn date_of(&self, at: Timestamp) -> time::Date {
        self.local(at).date()
    }

    /// The date and time there, with the offset that is in force then.
    pub fn local(&self, at: Timestamp) -> time::OffsetDateTime {
        let utc = time::OffsetDateTime::from_unix_timestamp(at.seconds()).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
        // What no calendar has is shown in UTC.
        let offset = jiff::Timestamp::from_millisecond(at.millis()).ok().map(|at| self.0.to_offset(at).seconds());
        let offset = offset.and_then(|seconds| time::UtcOffset::from_whole_seconds(seconds).ok()).unwrap_or(time::UtcOffset::UTC);
        utc.checked_to_offset(offset).unwrap_or(utc)
    }

    /// When it is that date and time of day there: the first time of two, and as much later as the clocks are put forward where they skip
    /// it. Nothing for what no calendar has.
    pub fn at(&self, date: time::Date, time: time::Time) -> Option<Timestamp> {
        let [year, month, day] = [date.year(), i32::from(u8::from(date.month())), i32::from(date.day())];
        let small = |number: i32| i8::try_from(number).ok();
        let date = jiff::civil::Date::new(i16::try_from(year).ok()?, small(month)?, small(day)?).ok()?;
        let [hour, minute, second] = [time.hour(), time.minute(), time.second()].map(|part| small(i32::from(part)));
        self.instant(date.to_datetime(jiff::civil::Time::new(hour?, minute?, second?, 0).ok()?))
    }

    /// The date and the time of day there, for calculations; nothing for what no calendar has.
    pub(super) fn civil(&self, at: Timestamp) -> Option<jiff::civil::DateTime> {
        jiff::Timestamp::from_millisecond(at.millis()).ok().map(|at| self.0.to_datetime(at))
    }

    /// When it is that date and time there: the first time of two, and as much later as the clocks are put forward where they skip it.
    pub(super) fn instant(&self, local: jiff::civil::DateTime) -> Option<Timestamp> {
        let at = self.0.to_ambiguous_timestamp(local).compatible().ok()?;
        Some(Timestamp::from_millis(at.as_millisecond()))
    }
}

impl Default for TimeZone {
    /// UTC.
    fn default() -> Self {
        Self(jiff::tz::TimeZone::UTC)
    }
}

impl fmt::Debug for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for TimeZone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for TimeZone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?)
            .ok_or_else(|| D::Error::custom("is the name of an IANA time zone, such as Europe/Berlin"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(zone: &str, at: &str) -> String {
        let zone = TimeZone::parse(zone).unwrap();
        let local = zone.local(Timestamp::parse(at).unwrap());
        format!("{} {:02}:{:02} {}", local.date(), local.hour(), local.minute(), local.offset())
    }

    #[test]
    fn a_day_begins_where_it_is_counted() {
        assert_eq!(local("Pacific/Kiritimati", "2027-01-14T10:00:00Z"), "2027-01-15 00:00 +14:00:00");
        assert_eq!(local("America/Los_Angeles", "2027-01-15T07:59:00Z"), "2027-01-14 23:59 -08:00:00");
        assert_eq!(local("Asia/Kathmandu", "2027-01-14T18:15:00Z"), "2027-01-15 00:00 +05:45:00");
    }

    #[test]
    fn summer_time_is_known_far_ahead() {
        assert_eq!(local("Europe/Berlin", "2026-03-29T00:59:00Z"), "2026-03-29 01:59 +01:00:00");
        assert_eq!(local("Europe/Berlin", "2026-03-29T01:00:00Z"), "2026-03-29 03:00 +02:00:00");
        assert_eq!(local("Europe/Berlin", "2090-07-01T12:00:00Z"), "2090-07-01 14:00 +02:00:00");
    }

    #[test]
    fn a_time_of_day_is_the_first_of_two_and_later_where_the_clocks_skip_it() {
        let at = |zone: &str, (year, month, day): (i32, u8, u8), (hour, minute): (u8, u8)| {
            let date = time::Date::from_calendar_date(year, month.try_into().unwrap(), day).unwrap();
            TimeZone::parse(zone).unwrap().at(date, time::Time::from_hms(hour, minute, 0).unwrap()).map(|at| at.to_string())
        };
        let told = |text: &str| Some(format!("{text}:00.000Z"));
        assert_eq!(at("Europe/Berlin", (2026, 8, 20), (9, 0)), told("2026-08-20T07:00"));
        // The night in which there are two of it, and the one in which there is none.
        assert_eq!(at("Europe/Berlin", (2026, 10, 25), (2, 30)), told("2026-10-25T00:30"));
        assert_eq!(at("Europe/Berlin", (2026, 3, 29), (2, 30)), told("2026-03-29T01:30"));
        assert_eq!(at("UTC", (9999, 12, 31), (23, 59)), None, "beyond what can be calculated with");
    }

    #[test]
    fn a_name_is_one_of_the_database_and_utc_where_none_is_said() {
        assert_eq!(TimeZone::parse("europe/berlin").map(|zone| zone.name().to_owned()).as_deref(), Some("Europe/Berlin"));
        assert_eq!(TimeZone::parse("UTC").unwrap().name(), TimeZone::default().name());
        for bad in ["", "Mars/Olympus", "+02:00", "Europe/Berlin ", "../../etc/passwd", "CEST-2"] {
            assert_eq!(TimeZone::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_ends_of_time_have_a_date_everywhere() {
        for zone in ["Pacific/Kiritimati", "Pacific/Niue", "UTC"] {
            for ms in [i64::MIN, 0, 253_402_300_799_999, i64::MAX] {
                TimeZone::parse(zone).unwrap().date_of(Timestamp::from_millis(ms));
            }
        }
    }
}
