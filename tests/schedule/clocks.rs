//! What the rules say of clocks that are changed, in zones that do it in unusual ways too.

use crate::{at, runs, schedule, told};

#[test]
fn where_clocks_go_back_certain_hours_come_once_and_every_hour_twice() {
    let night = ("2026-10-24T23:00Z", "2026-10-25T03:00Z");
    let in_berlin = |cron: &str| runs(&schedule(cron, "Europe/Berlin"), night.0, night.1);
    assert_eq!(in_berlin("30 2 * * *"), ["2026-10-25T00:30Z"]);
    assert_eq!(
        in_berlin("*/30 2 * * *"),
        ["2026-10-25T00:00Z", "2026-10-25T00:30Z"]
    );
    let twice = [
        "2026-10-24T23:30Z",
        "2026-10-25T00:30Z",
        "2026-10-25T01:30Z",
        "2026-10-25T02:30Z",
    ];
    assert_eq!(in_berlin("30 * * * *"), twice);
    assert_eq!(
        in_berlin("30 0-23 * * *"),
        twice,
        "all hours by their numbers are every hour"
    );
    assert_eq!(
        in_berlin("30 */2 * * *"),
        ["2026-10-25T00:30Z", "2026-10-25T01:30Z"]
    );
}

#[test]
fn what_falls_into_a_gap_runs_once_in_the_first_minute_after() {
    let night = ("2026-03-28T23:00Z", "2026-03-29T03:00Z");
    let in_berlin = |cron: &str| runs(&schedule(cron, "Europe/Berlin"), night.0, night.1);
    assert_eq!(in_berlin("30 2 * * *"), ["2026-03-29T01:00Z"]);
    assert_eq!(in_berlin("*/5 2 * * *"), ["2026-03-29T01:00Z"]);
    assert_eq!(
        in_berlin("30 2,3 * * *"),
        ["2026-03-29T01:00Z", "2026-03-29T01:30Z"]
    );
    assert_eq!(
        in_berlin("0 2,3 * * *"),
        ["2026-03-29T01:00Z"],
        "a run of its own is none more"
    );
    assert_eq!(
        in_berlin("30 2 30 * *"),
        [""; 0],
        "only what that day would have had"
    );
    assert_eq!(
        in_berlin("30 * * * *"),
        [
            "2026-03-28T23:30Z",
            "2026-03-29T00:30Z",
            "2026-03-29T01:30Z",
            "2026-03-29T02:30Z"
        ],
        "every hour has missed nothing"
    );
}

#[test]
fn half_an_hour_is_a_change_too() {
    let in_lord_howe =
        |cron: &str, after, until| runs(&schedule(cron, "Australia/Lord_Howe"), after, until);
    // 02:00 +11 is followed by 01:30 +10:30.
    let back = ("2026-04-04T14:29Z", "2026-04-04T15:31Z");
    assert_eq!(
        in_lord_howe("45 1 * * *", back.0, back.1),
        ["2026-04-04T14:45Z"]
    );
    assert_eq!(
        in_lord_howe("45 * * * *", back.0, back.1),
        ["2026-04-04T14:45Z", "2026-04-04T15:15Z"]
    );
    // 02:00 +10:30 is followed by 02:30 +11.
    let forward = ("2026-10-03T15:00Z", "2026-10-03T16:00Z");
    assert_eq!(
        in_lord_howe("10 2 * * *", forward.0, forward.1),
        ["2026-10-03T15:30Z"]
    );
    assert_eq!(
        in_lord_howe("40 2 * * *", forward.0, forward.1),
        ["2026-10-03T15:40Z"]
    );
}

#[test]
fn changes_at_midnight_move_no_run_to_another_day() {
    // Havana: 00:00 is followed by 01:00 in spring, 01:00 by 00:00 in autumn.
    let havana = |cron: &str| schedule(cron, "America/Havana");
    assert_eq!(
        runs(
            &havana("0 0 * * sun"),
            "2026-03-07T12:00Z",
            "2026-03-09T12:00Z"
        ),
        ["2026-03-08T05:00Z"]
    );
    assert_eq!(
        runs(
            &havana("0 0 * * *"),
            "2026-10-31T12:00Z",
            "2026-11-01T12:00Z"
        ),
        ["2026-11-01T04:00Z"]
    );
    // Nuuk: 00:00 is followed by 23:00 of the day before.
    let nuuk = |cron: &str| schedule(cron, "America/Nuuk");
    assert_eq!(
        runs(
            &nuuk("30 23 * * sat"),
            "2026-10-24T12:00Z",
            "2026-10-25T12:00Z"
        ),
        ["2026-10-25T00:30Z"]
    );
    assert_eq!(
        runs(
            &nuuk("0 0 * * sun"),
            "2026-10-24T12:00Z",
            "2026-10-25T12:00Z"
        ),
        ["2026-10-25T02:00Z"]
    );
}

#[test]
fn a_day_that_a_zone_leaves_out_is_made_up_for_on_the_next() {
    // Apia had no 30th of December 2011.
    let apia = schedule("0 2,14 30 12 *", "Pacific/Apia");
    assert_eq!(
        runs(&apia, "2011-12-29T00:00Z", "2012-01-02T00:00Z"),
        ["2011-12-30T10:00Z"]
    );
    let daily = schedule("0 2 * * *", "Pacific/Apia");
    assert_eq!(
        runs(&daily, "2011-12-29T00:00Z", "2012-01-01T00:00Z"),
        [
            "2011-12-29T12:00Z",
            "2011-12-30T10:00Z",
            "2011-12-30T12:00Z",
            "2011-12-31T12:00Z"
        ]
    );
}

#[test]
fn two_hours_that_come_twice_come_in_the_order_of_time() {
    // Troll: 03:00 +2 is followed by 01:00 +0.
    let back = ("2026-10-24T22:59Z", "2026-10-25T03:00Z");
    let troll = |cron: &str| runs(&schedule(cron, "Antarctica/Troll"), back.0, back.1);
    let every_hour = ["23:00", "00:00", "01:00", "02:00", "03:00"].map(|time| {
        let day = if time == "23:00" { 24 } else { 25 };
        format!("2026-10-{day}T{time}Z")
    });
    assert_eq!(troll("0 * * * *"), every_hour);
    assert_eq!(
        troll("0 1,2 * * *"),
        ["2026-10-24T23:00Z", "2026-10-25T00:00Z"]
    );
}

#[test]
fn a_question_from_within_the_second_half_gets_no_run_of_the_first() {
    let berlin = schedule("30 2 * * *", "Europe/Berlin");
    let next = berlin.next_after(at("2026-10-25T01:10Z")).unwrap();
    assert_eq!(told(next), "2026-10-26T01:30Z");
    assert!(berlin.matches(at("2026-10-25T00:30Z")));
    assert!(!berlin.matches(at("2026-10-25T01:30Z")));
}

#[test]
fn where_a_zone_was_off_by_seconds_runs_still_begin_with_a_minute_of_its_clocks() {
    // Monrovia was 44 minutes and 30 seconds behind UTC until the 7th of January 1972, when clocks went from 00:00 to 00:44:30.
    let monrovia = schedule("30,45 0 * * *", "Africa/Monrovia");
    let day = (at("1972-01-06T12:00Z"), at("1972-01-07T12:00Z"));
    let runs: Vec<String> = monrovia.between(day.0, day.1).map(told).collect();
    assert_eq!(runs, ["1972-01-07T00:45Z"]);
    let before = schedule("15 23 * * *", "Africa/Monrovia");
    let run = before.next_after(at("1972-01-06T12:00Z")).unwrap();
    assert_eq!(run.0, at("1972-01-06T23:59Z").0 + 30);
    assert!(before.matches(run));
}
