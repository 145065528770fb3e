//! Amounts and times as Mollie writes them.

use super::call::Refusal;
use serde_json::{Value, json};

/// The currencies of card payments and their decimal places (docs.mollie.com/payments/multicurrency).
const CURRENCIES: [(&str, u32); 27] = [
    ("AED", 2),
    ("AUD", 2),
    ("BGN", 2),
    ("BRL", 2),
    ("CAD", 2),
    ("CHF", 2),
    ("CZK", 2),
    ("DKK", 2),
    ("EUR", 2),
    ("GBP", 2),
    ("HKD", 2),
    ("HUF", 2),
    ("ILS", 2),
    ("ISK", 0),
    ("JPY", 0),
    ("MXN", 2),
    ("NOK", 2),
    ("NZD", 2),
    ("PHP", 2),
    ("PLN", 2),
    ("RON", 2),
    ("SEK", 2),
    ("SGD", 2),
    ("THB", 2),
    ("TWD", 2),
    ("USD", 2),
    ("ZAR", 2),
];

/// An amount in the minor units of its currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    /// ISO 4217, upper case.
    pub currency: &'static str,
    /// Minor units.
    pub minor: i64,
    digits: u32,
}

impl Money {
    /// So much of the same currency.
    pub(super) fn of(self, minor: i64) -> Self {
        Self { minor, ..self }
    }

    /// Reads the object at `field` of a body. The value has to have exactly its currency's decimals.
    pub(super) fn read(body: &Value, field: &str) -> Result<Self, Refusal> {
        let object = body.get(field).filter(|value| value.is_object());
        let object = object.ok_or_else(|| Refusal::field(field, &format!("The '{field}' field is missing")))?;
        let currency = object.get("currency").and_then(Value::as_str).unwrap_or_default();
        let found = CURRENCIES.iter().find(|(code, _)| *code == currency);
        let (currency, digits) =
            *found.ok_or_else(|| Refusal::field(&format!("{field}.currency"), "The amount contains an invalid currency"))?;
        let wrong = || Refusal::field(&format!("{field}.value"), "The amount contains an invalid value");
        let value = object.get("value").and_then(Value::as_str).ok_or_else(wrong)?;
        let (whole, part) = value.split_once('.').unwrap_or((value, ""));
        let digits_only = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits_only(whole) || !digits_only(part) || part.len() != digits as usize {
            return Err(wrong());
        }
        let minor = format!("{whole}{part}").parse().map_err(|_| wrong())?;
        Ok(Self { currency, minor, digits })
    }

    /// `{"currency": "EUR", "value": "10.00"}`.
    pub(super) fn json(self) -> Value {
        let unit = 10_i64.pow(self.digits);
        let value = match self.digits {
            0 => self.minor.to_string(),
            width => format!("{}.{:0width$}", self.minor / unit, self.minor % unit, width = width as usize),
        };
        json!({"currency": self.currency, "value": value})
    }

    /// Whether it is more than so many of the currency's major units.
    pub(super) fn is_above(self, major: i64) -> bool {
        self.minor > major.saturating_mul(10_i64.pow(self.digits))
    }

    /// Its major units, where it has no others.
    pub(super) fn whole(self) -> Option<i64> {
        let unit = 10_i64.pow(self.digits);
        (self.minor % unit == 0).then_some(self.minor / unit)
    }
}

/// ISO 8601 with the offset written out, as in `2024-03-20T09:13:37+00:00`. `ms` is Unix time in milliseconds.
pub(super) fn iso(ms: i64) -> String {
    let seconds = ms.div_euclid(1_000);
    let (days, within) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Howard Hinnant's `civil_from_days`.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}+00:00", within / 3_600, within / 60 % 60, within % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_has_exactly_the_decimals_of_its_currency() {
        let read = |currency: &str, value: &str| Money::read(&json!({"amount": {"currency": currency, "value": value}}), "amount");
        assert_eq!(read("EUR", "10.05").unwrap().minor, 1005);
        assert_eq!(read("JPY", "1005").unwrap().json(), json!({"currency": "JPY", "value": "1005"}));
        assert_eq!(read("EUR", "0.07").unwrap().json(), json!({"currency": "EUR", "value": "0.07"}));
        for (currency, value) in [("EUR", "10"), ("EUR", "10.5"), ("JPY", "10.00"), ("EUR", "-1.00"), ("EUR", ".50"), ("KWD", "1.000")] {
            assert!(read(currency, value).is_err(), "{value} {currency}");
        }
        assert!(Money::read(&json!({"amount": {"currency": "EUR", "value": 10.05}}), "amount").is_err(), "a number");
    }

    #[test]
    fn times_are_written_as_people_count_days() {
        assert_eq!(iso(0), "1970-01-01T00:00:00+00:00");
        assert_eq!(iso(1_709_164_800_000), "2024-02-29T00:00:00+00:00");
        assert_eq!(iso(1_710_926_017_999), "2024-03-20T09:13:37+00:00");
    }
}
