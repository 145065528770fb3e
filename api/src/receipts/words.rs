//! Dates as people read them.

use boxoffice_common::domain::{time::Timestamp, time_zone::TimeZone};

/// `Friday, 1 January 2100`, where the tenant is.
pub(super) fn date(zone: &TimeZone, at: Timestamp) -> String {
    let local = zone.local(at);
    format!("{}, {} {} {}", local.weekday(), local.day(), local.month(), local.year())
}

/// The same with the time and the name of the zone, which is what a traveller needs.
pub(super) fn moment(zone: &TimeZone, at: Timestamp) -> String {
    let local = zone.local(at);
    format!("{}, {:02}:{:02} ({})", date(zone, at), local.hour(), local.minute(), zone.name().replace('_', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_where_the_tenant_is() {
        let at = Timestamp::parse("2099-12-31T23:30:00Z").unwrap();
        let told = |zone: &str| moment(&TimeZone::parse(zone).unwrap(), at);
        assert_eq!(told("UTC"), "Thursday, 31 December 2099, 23:30 (UTC)");
        assert_eq!(told("Europe/Paris"), "Friday, 1 January 2100, 00:30 (Europe/Paris)");
        assert_eq!(told("America/New_York"), "Thursday, 31 December 2099, 18:30 (America/New York)");
    }
}
