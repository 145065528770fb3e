//! Who buys.

use super::id::CustomerId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A customer of a tenant. Its `Debug` shows the id and nothing personal.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
    fn age_counts_birthdays_and_leap_days() {
        let born = BirthDate::parse("2004-02-29").unwrap();
        assert_eq!(born.age_on(date!(2022 - 02 - 28)), 17);
        assert_eq!(born.age_on(date!(2022 - 03 - 01)), 18);
        assert_eq!(BirthDate::parse("2004-13-01"), None);
    }
}
