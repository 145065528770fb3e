//! Who buys.

use super::{id::CustomerId, time::Timestamp};
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// How far ahead of UTC a day can begin.
const EARLIEST_DAY: Duration = Duration::from_secs(14 * 3600);

/// A customer of a tenant. Its `Debug` shows the id and nothing personal.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Customer {
    /// Ours or the client's own; taken from the path when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<CustomerId>,
    /// The client's name for it, unique in the scope.
    #[serde(default)]
    pub external_id: Option<String>,
    /// Where receipts go.
    #[serde(default)]
    pub email: Option<String>,
    /// Shown on receipts.
    #[serde(default)]
    pub name: Option<String>,
    /// `YYYY-MM-DD`.
    #[serde(default)]
    pub date_of_birth: Option<BirthDate>,
    /// What opens restricted sessions.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The family that it belongs to.
    #[serde(default)]
    pub family: Option<String>,
    /// The client's own.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

impl fmt::Debug for Customer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Customer").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A date of birth, `YYYY-MM-DD`.
#[derive(Clone, Copy, PartialEq, Eq, utoipa::ToSchema)]
#[schema(value_type = String, format = Date, examples("1990-12-10"))]
pub struct BirthDate(time::Date);

impl BirthDate {
    /// Reads `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Option<Self> {
        let format = time::macros::format_description!("[year]-[month]-[day]");
        time::Date::parse(text, &format).ok().map(Self)
    }

    /// Whether nobody anywhere can have been born on that day yet: days begin on the eastern islands, 14 hours before UTC's.
    pub fn is_to_come(self, now: Timestamp) -> bool {
        self.0 > now.after(EARLIEST_DAY).date()
    }

    /// Age in whole years on `day`; someone born on 29 February ages on 1 March.
    pub fn age_on(self, day: time::Date) -> i32 {
        let born = self.0;
        let had_birthday = (u8::from(day.month()), day.day()) >= (u8::from(born.month()), born.day());
        day.year() - born.year() - i32::from(!had_birthday)
    }
}

impl fmt::Display for BirthDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0.year(), u8::from(self.0.month()), self.0.day())
    }
}

impl fmt::Debug for BirthDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Serialize for BirthDate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BirthDate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("a date is written YYYY-MM-DD"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    #[test]
    fn a_birth_is_to_come_when_its_day_has_begun_nowhere() {
        let at = |hours: i64| Timestamp::from_millis(hours * 3_600_000);
        let (today, tomorrow) = (BirthDate::parse("1970-01-01").unwrap(), BirthDate::parse("1970-01-02").unwrap());
        assert!(!today.is_to_come(at(0)) && tomorrow.is_to_come(at(9)) && !tomorrow.is_to_come(at(10)));
        assert!(BirthDate::parse("9999-12-31").unwrap().is_to_come(at(24)));
    }

    #[test]
    fn age_counts_birthdays_and_leap_days() {
        let born = BirthDate::parse("2004-02-29").unwrap();
        assert_eq!(born.age_on(date!(2022 - 02 - 28)), 17);
        assert_eq!(born.age_on(date!(2022 - 03 - 01)), 18);
        assert_eq!(BirthDate::parse("2004-13-01"), None);
    }
}
