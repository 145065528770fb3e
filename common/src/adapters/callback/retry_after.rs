//! What a receiver asks for with `Retry-After` (RFC 9110, section 10.2.3).

use crate::domain::time::Timestamp;
use http::{
    HeaderMap,
    header::{DATE, HeaderName, RETRY_AFTER},
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest wait that a receiver can ask for.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// How long the receiver wants to be left alone, at most [`MAX_RETRY_AFTER`]. A point in time counts from the answer's own
/// `Date`, so that clocks that disagree do no harm; from `now` when it has none.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = text(headers, RETRY_AFTER)?;
    let wait = match text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit: as long as can be.
        true if !text.is_empty() => text.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs),
        _ => {
            let then = httpdate::parse_http_date(text).ok()?;
            let from = self::text(headers, DATE).and_then(|date| httpdate::parse_http_date(date).ok());
            let from = from.or_else(|| system_time(now))?;
            then.duration_since(from).unwrap_or(Duration::ZERO)
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn system_time(at: Timestamp) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(at.millis()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2030-03-17T17:46:40Z.
    const NOW: Timestamp = Timestamp::from_millis(1_900_000_000_000);

    fn asked(pairs: &[(HeaderName, &str)]) -> Option<u64> {
        let headers = pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        retry_after(&headers, NOW).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_and_dates_are_understood_and_capped() {
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&[(RETRY_AFTER, "120")]), Some(120));
        assert_eq!(asked(&[(RETRY_AFTER, "0")]), Some(0));
        assert_eq!(asked(&[(RETRY_AFTER, "86401")]), Some(86_400));
        assert_eq!(asked(&[(RETRY_AFTER, "99999999999999999999999")]), Some(86_400));
        assert_eq!(asked(&[(RETRY_AFTER, "Sun, 17 Mar 2030 17:47:40 GMT")]), Some(60));
        assert_eq!(asked(&[(RETRY_AFTER, "Sun, 17 Mar 2030 17:40:00 GMT")]), Some(0));
        assert_eq!(asked(&[(RETRY_AFTER, "Sun, 17 Mar 2999 17:40:00 GMT")]), Some(86_400));
        for nonsense in ["", "-1", "1.5", "soon", "Sun, 99 Mar 2030 17:40:00 GMT"] {
            assert_eq!(asked(&[(RETRY_AFTER, nonsense)]), None, "{nonsense}");
        }
    }

    #[test]
    fn a_date_counts_from_the_receivers_own_clock() {
        let pairs = [(RETRY_AFTER, "Sun, 17 Mar 2030 18:01:00 GMT"), (DATE, "Sun, 17 Mar 2030 18:00:00 GMT")];
        assert_eq!(asked(&pairs), Some(60));
    }
}
