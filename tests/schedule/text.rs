//! Schedules as text: what is written is what is read again, and what is wrong is told with its place.

use hop3_agent::schedule::{Cron, Field, Schedule};

use crate::schedule;

#[test]
fn a_schedule_is_written_as_it_is_read() {
    for (text, written) in [
        ("0 2 * * *", "0 2 * * * UTC"),
        (
            "  */5\t0-23   1,15 jan-MAR mon-fri  Europe/Berlin ",
            "*/5 0-23 1,15 jan-MAR mon-fri Europe/Berlin",
        ),
    ] {
        let schedule: Schedule = text.parse().unwrap();
        assert_eq!(schedule.to_string(), written);
        assert_eq!(written.parse::<Schedule>().unwrap(), schedule);
        let json = serde_json::to_string(&schedule).unwrap();
        assert_eq!(json, format!("\"{written}\""));
        assert_eq!(serde_json::from_str::<Schedule>(&json).unwrap(), schedule);
    }
    assert_eq!(schedule("0  2 * * *", "UTC"), "0 2 * * *".parse().unwrap());
}

#[test]
fn what_is_wrong_is_told_with_field_and_place_and_all_at_once() {
    let text = "0 24 * * mon-fry Europe/Berln";
    let error = text.parse::<Schedule>().unwrap_err();
    let found: Vec<_> = error
        .mistakes()
        .iter()
        .map(|m| (m.field, &text[m.span.clone()], m.hint.as_deref()))
        .collect();
    assert_eq!(
        found,
        [
            (Some(Field::Hour), "24", None),
            (Some(Field::DayOfWeek), "fry", None),
            (None, "Europe/Berln", Some("did you mean `Europe/Berlin`?")),
        ]
    );
    assert_eq!(
        error.to_string(),
        "`24` is no hour: it goes from 0 to 23; `fry` is no day of the week: it goes from 0 to 7, or a name; `Europe/Berln` is not a time zone"
    );
    let error = serde_json::from_str::<Cron>("\"0 0 * *\"").unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("a schedule has five fields, not 4"),
        "{error}"
    );
}

#[test]
fn a_schedule_that_never_runs_is_refused_where_it_says_so() {
    for never in [
        "0 0 30 2 *",
        "0 0 31 2,4,6,sep,11 *",
        "0 0 30,31 feb *",
        "0 0 30-31/1 2 *",
    ] {
        let error = Cron::parse(never).unwrap_err();
        let [mistake] = error.mistakes() else {
            panic!("{error}")
        };
        assert_eq!(mistake.field, Some(Field::DayOfMonth));
        let days: Vec<&str> = never.split(' ').collect();
        assert_eq!(
            never[mistake.span.clone()],
            format!("{} {}", days[2], days[3])
        );
        assert_eq!(
            error.to_string(),
            "this schedule never runs: no month that it names has such a day"
        );
    }
    for rare in [
        "0 0 29 2 *",
        "0 0 30 2 mon",
        "0 0 30 2,3 *",
        "0 0 29 2 */7",
        "0 0 31 * *",
    ] {
        assert!(Cron::parse(rare).is_ok(), "{rare}");
    }
}

#[test]
fn t41_nothing_but_five_fields_is_a_schedule() {
    let bomb = format!("{}0 * * * *", "0,".repeat(10_000));
    for bad in [
        "* * * * * *",
        "0 0 * * * *",
        "* * * *",
        "",
        "@reboot",
        "@daily",
        "0 0 * * *\n* * * * *",
        "0 0 * * * %",
        "0 0 * * %",
        "*/5 * * * *;reboot",
        "$(id) * * * *",
        "0 0 * * ＭＯＮ",
        "0 0 L * *",
        "0 0 * * 5#2",
        "0 0 ? * *",
        "H * * * *",
        "0 24 * * *",
        "60 * * * *",
        "* * 32 * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * 0 *",
        "* * * * 8",
        "*/0 * * * *",
        "*/61 * * * *",
        "99999999999999999999 * * * *",
        &bomb,
    ] {
        let error = Cron::parse(bad).unwrap_err();
        assert!(error.to_string().len() < 1000, "{error}");
    }
}
