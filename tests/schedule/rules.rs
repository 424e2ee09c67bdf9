//! What the rules say of days, years and pauses.

use std::time::{Duration, Instant};

use hop3_plugin_api::Timestamp;

use crate::{at, runs, schedule, told};

#[test]
fn day_of_the_month_and_weekday_together_mean_either() {
    let utc = |cron: &str| {
        runs(
            &schedule(cron, "UTC"),
            "2026-02-01T00:00Z",
            "2026-02-28T23:59Z",
        )
    };
    assert_eq!(
        utc("0 0 13,14 * fri"),
        [
            "2026-02-06T00:00Z",
            "2026-02-13T00:00Z",
            "2026-02-14T00:00Z",
            "2026-02-20T00:00Z",
            "2026-02-27T00:00Z"
        ]
    );
    assert_eq!(utc("0 0 * * fri").len(), 4);
    assert_eq!(utc("0 0 13 * *"), ["2026-02-13T00:00Z"]);
}

#[test]
fn a_day_field_that_begins_with_a_star_is_no_second_choice() {
    let utc = |cron: &str| {
        runs(
            &schedule(cron, "UTC"),
            "2026-02-01T00:00Z",
            "2026-02-28T23:59Z",
        )
    };
    assert_eq!(
        utc("0 0 */2 * fri"),
        ["2026-02-13T00:00Z", "2026-02-27T00:00Z"]
    );
    assert_eq!(utc("0 0 13 * */5"), ["2026-02-13T00:00Z"]);
    assert_eq!(utc("0 0 14 * */5"), [""; 0]);
    assert_eq!(
        utc("0 0 1-31 * fri").len(),
        27,
        "a range is a choice, also one with every day"
    );
}

#[test]
fn seven_is_sunday_like_zero() {
    for cron in ["0 0 * * 7", "0 0 * * 0", "0 0 * * sun", "0 0 * * 7-7"] {
        let next = schedule(cron, "UTC")
            .next_after(at("2026-01-01T00:00Z"))
            .unwrap();
        assert_eq!(told(next), "2026-01-04T00:00Z", "{cron}");
    }
    let weekend = schedule("0 0 * * sat-sun", "UTC");
    assert_eq!(
        runs(&weekend, "2026-01-01T00:00Z", "2026-01-07T00:00Z"),
        ["2026-01-03T00:00Z", "2026-01-04T00:00Z"]
    );
}

#[test]
fn the_rarest_schedule_is_found_at_once() {
    let leap_day = schedule("0 0 29 2 *", "Europe/Berlin");
    let started = Instant::now();
    let next = |after| told(leap_day.next_after(at(after)).unwrap());
    assert_eq!(next("2026-01-01T00:00Z"), "2028-02-28T23:00Z");
    assert_eq!(
        next("2097-01-01T00:00Z"),
        "2104-02-28T23:00Z",
        "2100 has no leap day"
    );
    let sunday = schedule("0 0 29 2 */7", "UTC");
    assert_eq!(
        told(sunday.next_after(at("2093-01-01T00:00Z")).unwrap()),
        "2128-02-29T00:00Z"
    );
    assert!(
        started.elapsed() < Duration::from_millis(500),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_minute_matches_throughout_and_the_next_run_is_strictly_later() {
    let daily = schedule("30 2 * * *", "UTC");
    let run = at("2026-01-01T02:30Z");
    for second in [0, 1, 59] {
        assert!(daily.matches(Timestamp(run.0 + second)));
        let next = daily.next_after(Timestamp(run.0 + second)).unwrap();
        assert_eq!(told(next), "2026-01-02T02:30Z");
    }
    assert!(!daily.matches(Timestamp(run.0 + 60)) && !daily.matches(Timestamp(run.0 - 1)));
    assert_eq!(daily.next_after(Timestamp(run.0 - 1)), Some(run));
}

#[test]
fn the_calendar_ends_quietly() {
    let daily = schedule("0 0 * * *", "Europe/Berlin");
    for end in [253_402_300_799, u64::MAX / 2, u64::MAX] {
        assert_eq!(daily.next_after(Timestamp(end)), None);
        assert!(!daily.matches(Timestamp(end)));
        assert_eq!(
            daily.between(Timestamp(end), Timestamp(u64::MAX)).count(),
            0
        );
    }
    assert_eq!(
        told(daily.next_after(Timestamp(0)).unwrap()),
        "1970-01-01T23:00Z"
    );
    assert_eq!(
        daily
            .between(at("2027-01-01T00:00Z"), at("2026-01-01T00:00Z"))
            .count(),
        0
    );
}

#[test]
fn the_shortest_gap_is_never_below_a_minute() {
    for (cron, minutes) in [
        ("* * * * *", 1),
        ("*/5 * * * *", 5),
        ("*/7 * * * *", 4),
        ("0,58 * * * *", 2),
        ("0 9-17 * * mon-fri", 60),
        ("0 2 * * *", 24 * 60),
        ("0 1,23 * * *", 120),
        ("0 1,23 1 * *", 22 * 60),
        ("0 2 * * sun", 7 * 24 * 60),
        ("0 0 1 * *", 28 * 24 * 60),
        ("0 0 29 2 *", 1461 * 24 * 60),
    ] {
        assert_eq!(
            schedule(cron, "UTC").shortest_gap(),
            Duration::from_mins(minutes),
            "{cron}"
        );
    }
}
