//! Points in time as the engine keeps them: whole milliseconds since 1970 in UTC.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;
use std::time::Duration;
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// Milliseconds since 1970-01-01T00:00:00Z. Written as RFC 3339 in JSON, as an integer in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, utoipa::ToSchema)]
#[schema(value_type = String, format = DateTime, examples("2030-01-31T09:00:00.000Z"))]
pub struct Timestamp(i64);

/// The first time that RFC 3339 can tell.
const FIRST: Timestamp = Timestamp(-62_167_219_200_000);
/// The last one.
pub(super) const LAST: Timestamp = Timestamp(253_402_300_799_999);

impl Timestamp {
    /// From milliseconds since 1970.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Seconds since 1970, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This much later, at the end of time at the most.
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This much earlier, at the beginning of time at the least.
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long from `earlier` to here; zero when it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339 in UTC with milliseconds.
    pub fn to_rfc3339(self) -> String {
        self.to_string()
    }

    /// Reads RFC 3339. Finer parts than a millisecond are cut.
    pub fn parse(text: &str) -> Option<Self> {
        // An offset can lead out of the years that RFC 3339 has, to a time that we could keep and not read again.
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)?;
        if at.year() < 0 {
            return None;
        }
        i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok().map(Self)
    }

    /// The calendar date in UTC.
    pub fn date(self) -> time::Date {
        OffsetDateTime::from_unix_timestamp(self.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH).date()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A time beyond what RFC 3339 can tell is told as the last one that it can, or the first: never as a time that has passed.
        let told = (*self).clamp(FIRST, LAST);
        let at = OffsetDateTime::from_unix_timestamp(told.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
            told.0.rem_euclid(1000)
        )
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not an RFC 3339 time, such as 2030-01-31T09:00:00Z"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_survives_text() {
        let at = Timestamp::from_millis(1_900_000_000_123);
        assert_eq!(at.to_rfc3339(), "2030-03-17T17:46:40.123Z");
        assert_eq!(Timestamp::parse(&at.to_rfc3339()), Some(at));
        assert_eq!(Timestamp::parse("2030-03-17T19:46:40.123+02:00"), Some(at));
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn a_time_beyond_the_calendar_is_told_as_its_end_and_can_be_read_again() {
        let year = Duration::from_secs(366 * 24 * 3600);
        let late = Timestamp::parse("9999-06-01T00:00:00Z").unwrap().after(year);
        for (at, told) in [
            (late, "9999-12-31T23:59:59.999Z"),
            (Timestamp::from_millis(i64::MAX), "9999-12-31T23:59:59.999Z"),
            (Timestamp::from_millis(i64::MIN), "0000-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(at.to_rfc3339(), told);
            assert_eq!(Timestamp::parse(told).map(Timestamp::to_rfc3339).as_deref(), Some(told));
        }
    }

    #[test]
    fn a_time_that_could_not_be_read_again_is_not_read_at_all() {
        for edge in ["0000-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"] {
            assert_eq!(Timestamp::parse(edge).map(Timestamp::to_rfc3339).as_deref(), Some(edge));
        }
        assert_eq!((Timestamp::parse("0000-01-01T00:00:00+12:00"), Timestamp::parse("9999-12-31T23:59:59-12:00")), (None, None));
    }
}
