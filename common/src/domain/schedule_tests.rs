use super::*;
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn schedule(interval: Unit, interval_count: u32, anchor_day: Option<u32>, zone: &str, starts_at: &str) -> Schedule {
    Schedule { interval, interval_count, anchor_day, time_zone: TimeZone::parse(zone).unwrap(), starts_at: at(starts_at) }
}

/// The first boundaries, where the tenant is.
fn local(schedule: &Schedule, count: u32) -> Vec<String> {
    let show = |k| {
        let local = schedule.time_zone.local(schedule.boundary(k));
        format!("{} {:02}:{:02}", local.date(), local.hour(), local.minute())
    };
    (0..count).map(show).collect()
}

#[test]
fn the_end_of_a_month_is_not_lost_in_a_shorter_one() {
    let monthly = schedule(Unit::Month, 1, None, "UTC", "2027-01-31T10:00:00Z");
    let days = ["2027-01-31 10:00", "2027-02-28 10:00", "2027-03-31 10:00", "2027-04-30 10:00", "2027-05-31 10:00"];
    assert_eq!(local(&monthly, 5), days);
    let leap = schedule(Unit::Month, 1, None, "UTC", "2028-01-30T10:00:00Z");
    assert_eq!(local(&leap, 3), ["2028-01-30 10:00", "2028-02-29 10:00", "2028-03-30 10:00"]);
    let yearly = schedule(Unit::Year, 1, None, "UTC", "2028-02-29T10:00:00Z");
    let years = ["2028-02-29 10:00", "2029-02-28 10:00", "2030-02-28 10:00", "2031-02-28 10:00", "2032-02-29 10:00"];
    assert_eq!(local(&yearly, 5), years);
    let quarterly = schedule(Unit::Month, 3, None, "UTC", "2026-11-30T10:00:00Z");
    assert_eq!(local(&quarterly, 3), ["2026-11-30 10:00", "2027-02-28 10:00", "2027-05-30 10:00"]);
}

#[test]
fn the_time_of_day_is_kept_where_the_tenant_is_over_summer_time_and_back() {
    let berlin = schedule(Unit::Month, 1, None, "Europe/Berlin", "2027-02-28T09:30:00Z");
    assert_eq!(local(&berlin, 3), ["2027-02-28 10:30", "2027-03-28 10:30", "2027-04-28 10:30"]);
    assert_eq!(berlin.boundary(2), at("2027-04-28T08:30:00Z"));
    // Half past two does not come on the day on which the clocks are put forward, and comes twice when they are put back.
    let daily = schedule(Unit::Day, 1, None, "Europe/Berlin", "2027-03-27T01:30:00Z");
    assert_eq!(local(&daily, 3), ["2027-03-27 02:30", "2027-03-28 03:30", "2027-03-29 02:30"]);
    let back = schedule(Unit::Day, 1, None, "Europe/Berlin", "2027-10-30T00:30:00Z");
    assert_eq!((local(&back, 2).pop().unwrap(), back.boundary(1)), ("2027-10-31 02:30".to_owned(), at("2027-10-31T00:30:00Z")));
}

#[test]
fn a_day_of_the_month_is_one_where_the_tenant_is() {
    // In Tokyo it is the 31st already.
    let tokyo = schedule(Unit::Month, 1, None, "Asia/Tokyo", "2027-01-30T20:00:00Z");
    assert_eq!(local(&tokyo, 3), ["2027-01-31 05:00", "2027-02-28 05:00", "2027-03-31 05:00"]);
}

#[test]
fn with_an_anchor_day_the_first_period_is_what_is_left_until_then() {
    let first = schedule(Unit::Month, 1, Some(1), "Europe/Berlin", "2027-01-15T12:00:00Z");
    assert_eq!(local(&first, 3), ["2027-01-15 13:00", "2027-02-01 00:00", "2027-03-01 00:00"]);
    let last = schedule(Unit::Month, 1, Some(31), "UTC", "2027-02-10T12:00:00Z");
    assert_eq!(local(&last, 4), ["2027-02-10 12:00", "2027-02-28 00:00", "2027-03-31 00:00", "2027-04-30 00:00"]);
    let quarterly = schedule(Unit::Month, 3, Some(1), "UTC", "2027-01-15T12:00:00Z");
    assert_eq!(local(&quarterly, 3), ["2027-01-15 12:00", "2027-02-01 00:00", "2027-05-01 00:00"]);
    // Who starts on the anchor day itself gets the period that has just begun.
    let on_the_day = schedule(Unit::Month, 1, Some(15), "UTC", "2027-01-15T00:00:00Z");
    assert_eq!(local(&on_the_day, 2), ["2027-01-15 00:00", "2027-02-15 00:00"]);
}

#[test]
fn a_part_of_a_period_costs_a_part_of_its_price_and_a_whole_one_all_of_it() {
    let cost = |start: &str, k| schedule(Unit::Month, 1, Some(1), "UTC", start).prorated(Amount::from_minor(3100), k).unwrap().minor();
    // January has 31 days.
    assert_eq!(cost("2027-01-01T00:00:00Z", 1), 3100);
    assert_eq!(cost("2027-01-02T00:00:00Z", 1), 3000);
    assert_eq!(cost("2027-01-31T23:59:59.999Z", 1), 0);
    assert_eq!(cost("2027-01-02T00:00:00Z", 2), 3100);
    // An hour less, because the clocks are put forward in March.
    let spring = schedule(Unit::Month, 1, Some(1), "Europe/Berlin", "2027-03-31T22:00:00Z");
    assert_eq!(spring.prorated(Amount::from_minor(74_300), 1), Ok(Amount::from_minor(74_300)), "it is April there");
    let unanchored = schedule(Unit::Month, 1, None, "UTC", "2027-01-20T00:00:00Z");
    assert_eq!(unanchored.prorated(Amount::from_minor(3100), 1), Ok(Amount::from_minor(3100)));
}

#[test]
fn the_ends_of_time_have_no_periods_and_do_no_harm() {
    for ms in [i64::MIN, -1, 253_402_300_799_999, i64::MAX] {
        for (interval, anchor_day) in [(Unit::Month, Some(31)), (Unit::Day, None), (Unit::Year, None)] {
            let starts_at = Timestamp::from_millis(ms);
            let end = Schedule { interval, interval_count: u32::MAX, anchor_day, time_zone: TimeZone::default(), starts_at };
            assert_eq!((end.boundary(u32::MAX), end.period_at(at("2027-01-01T00:00:00Z"), 5)), (LAST, 5));
        }
    }
}

fn zones() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Pacific/Kiritimati",
        "America/Santiago",
        "Africa/Casablanca",
    ])
}

fn any_schedule() -> impl Strategy<Value = Schedule> {
    let intervals = prop::sample::select(vec![Unit::Day, Unit::Week, Unit::Month, Unit::Year]);
    // From 2026 to 2040, to the millisecond.
    let start = 1_767_225_600_000i64..2_208_988_800_000;
    (intervals, 1u32..=14, prop::option::of(1u32..=31), zones(), start).prop_map(|(interval, interval_count, day, zone, start)| Schedule {
        interval,
        interval_count,
        anchor_day: day.filter(|_| interval == Unit::Month),
        time_zone: TimeZone::parse(zone).unwrap(),
        starts_at: Timestamp::from_millis(start),
    })
}

proptest! {
    #[test]
    fn periods_follow_each_other_without_gap_and_none_is_empty(schedule in any_schedule(), n in 1u32..200) {
        let (period, next) = (schedule.period(n, n), schedule.period(n + 1, n + 1));
        prop_assert!(period.from < period.until);
        prop_assert_eq!(period.until, next.from);
        prop_assert_eq!(schedule.period_at(period.from, 1), n);
        prop_assert_eq!(schedule.period_at(Timestamp::from_millis(period.until.millis() - 1), 1), n);
        prop_assert_eq!(schedule.period_at(period.from, n + 3), n + 3, "nothing before the first that is asked for");
    }

    #[test]
    fn a_month_later_is_the_same_day_or_the_last_one_of_the_month(schedule in any_schedule(), k in 1u32..200) {
        prop_assume!(schedule.interval == Unit::Month);
        let (start, end) = (schedule.time_zone.local(schedule.starts_at), schedule.time_zone.local(schedule.boundary(k)));
        let wanted = schedule.anchor_day.map_or(start.day(), |day| u8::try_from(day).unwrap());
        prop_assert_eq!(end.day(), wanted.min(end.month().length(end.year())));
        let months = |date: time::OffsetDateTime| date.year() * 12 + i32::from(u8::from(date.month()));
        let apart = months(end) - months(start);
        match schedule.anchor_day {
            None => prop_assert_eq!(apart, i32::try_from(k * schedule.interval_count).unwrap()),
            Some(_) => prop_assert!((0..=1).contains(&(apart - i32::try_from((k - 1) * schedule.interval_count).unwrap()))),
        }
    }

    #[test]
    fn the_price_of_a_part_is_never_negative_never_more_than_the_whole_and_falls_with_time(
        schedule in any_schedule(), price in 0i64..1_000_000_000, later in 0i64..40 * 86_400_000,
    ) {
        let cost = |schedule: &Schedule| schedule.prorated(Amount::from_minor(price), 1).unwrap().minor();
        prop_assert!((0..=price).contains(&cost(&schedule)));
        let after = Schedule { starts_at: Timestamp::from_millis(schedule.starts_at.millis() + later), ..schedule.clone() };
        if schedule.anchor_day.is_some() && after.boundary(1) == schedule.boundary(1) {
            prop_assert!(cost(&after) <= cost(&schedule));
        }
        prop_assert_eq!(schedule.prorated(Amount::from_minor(price), 2).unwrap().minor(), price);
    }

    #[test]
    fn the_parts_of_a_period_cost_no_more_than_all_of_it(price in 0i64..1_000_000_000, all in 1u64..10_000_000_000, cuts in prop::collection::vec(0u64..10_000_000_000, 0..6)) {
        let mut ends: Vec<u64> = cuts.into_iter().map(|cut| cut % (all + 1)).collect();
        ends.extend([0, all]);
        ends.sort_unstable();
        let costs = ends.windows(2).map(|pair| share(Amount::from_minor(price), u128::from(pair[1] - pair[0]), u128::from(all)).unwrap().minor());
        prop_assert!(costs.sum::<i64>() <= price);
        prop_assert_eq!(share(Amount::from_minor(price), u128::from(all), u128::from(all)), Ok(Amount::from_minor(price)));
    }
}
