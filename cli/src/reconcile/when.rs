//! Times as they are typed.

use boxoffice_common::domain::time::Timestamp;
use std::time::Duration;

/// What [`moment`] reads, for people.
pub(super) const WORDS: &str = "a time (2030-01-31T09:00:00Z), a date (2030-01-31, in UTC), or how long ago (90m, 24h, 7d)";

/// A time, a date, or so long before `now`.
pub(super) fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    let date = || Timestamp::parse(&format!("{text}T00:00:00Z"));
    Timestamp::parse(text).or_else(date).or_else(|| Some(now.before(span(text)?)))
}

/// A number with its unit: s, m, h or d.
pub(super) fn span(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let is_number = (1..=9).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|_| is_number)?;
    number.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_dates_and_spans_are_read_and_nothing_else() {
        let now = Timestamp::parse("2030-01-31T09:00:00Z").unwrap();
        for (text, expected) in [
            ("2030-01-30T08:00:00Z", "2030-01-30T08:00:00.000Z"),
            ("2030-01-30T08:00:00+02:00", "2030-01-30T06:00:00.000Z"),
            ("2030-01-30", "2030-01-30T00:00:00.000Z"),
            ("24h", "2030-01-30T09:00:00.000Z"),
            ("90m", "2030-01-31T07:30:00.000Z"),
            ("7d", "2030-01-24T09:00:00.000Z"),
        ] {
            assert_eq!(moment(text, now).map(|at| at.to_string()).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "h", "24", "24w", "-1h", "+1h", "1.5h", "yesterday", "2030-13-01", "9999999999d", "2ö"] {
            assert_eq!(moment(text, now), None, "{text}");
        }
        assert_eq!(span("0s"), Some(Duration::ZERO));
    }
}
