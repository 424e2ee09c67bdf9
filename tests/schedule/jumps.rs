//! F07: clocks that jump forward and back, and machines that sleep. No run comes twice, no storm comes after, and nothing stalls.

use hop3_agent::schedule::Schedule;
use hop3_plugin_api::Timestamp;

use crate::{at, schedule, told};

/// A loop that asks what is due, and what it was told to run.
struct Loop {
    schedule: Schedule,
    since: Timestamp,
    runs: Vec<Timestamp>,
}

impl Loop {
    fn new(schedule: Schedule, now: Timestamp) -> Self {
        Self {
            schedule,
            since: now,
            runs: Vec::new(),
        }
    }

    fn ask(&mut self, now: Timestamp) {
        let due = self.schedule.due(self.since, now);
        self.since = due.since;
        self.runs.extend(due.run);
    }

    /// Asks every 20 seconds.
    fn pass(&mut self, from: Timestamp, until: Timestamp) {
        for now in (from.0..=until.0).step_by(20) {
            self.ask(Timestamp(now));
        }
    }
}

#[test]
fn on_a_steady_clock_each_run_is_told_once() {
    let (start, end) = (at("2026-03-28T00:00Z"), at("2026-03-31T00:00Z"));
    for cron in ["*/5 * * * *", "30 2 * * *", "0 * * * *"] {
        let schedule = schedule(cron, "Europe/Berlin");
        let mut looped = Loop::new(schedule.clone(), start);
        looped.pass(start, end);
        let all: Vec<Timestamp> = schedule.between(start, end).collect();
        assert_eq!(looped.runs, all, "{cron}");
    }
}

#[test]
fn f07_after_a_long_sleep_the_newest_run_alone_is_due() {
    let start = at("2026-01-01T00:00Z");
    for (cron, newest) in [
        ("* * * * *", "2026-06-01T12:34Z"),
        ("0 2 * * *", "2026-06-01T02:00Z"),
        ("0 0 1 1 *", "2026-01-01T00:00Z"),
        ("* * * 1 *", "2026-01-31T23:59Z"),
        ("30 2 * * sun", "2026-05-31T02:30Z"),
    ] {
        let due = schedule(cron, "UTC").due(
            Timestamp(start.0 - 1),
            Timestamp(at("2026-06-01T12:34Z").0 + 7),
        );
        assert_eq!(due.run.map(told).as_deref(), Some(newest), "{cron}");
        assert_eq!(due.since.0, at("2026-06-01T12:34Z").0 + 7);
    }
}

#[test]
fn f07_a_clock_set_back_an_hour_runs_nothing_daily_twice() {
    let mut daily = Loop::new(schedule("30 2 * * *", "UTC"), at("2026-01-10T02:00Z"));
    daily.pass(at("2026-01-10T02:00Z"), at("2026-01-10T03:00Z"));
    daily.pass(at("2026-01-10T02:00Z"), at("2026-01-11T12:00Z"));
    let told: Vec<String> = daily.runs.into_iter().map(told).collect();
    assert_eq!(told, ["2026-01-10T02:30Z", "2026-01-11T02:30Z"]);
}

#[test]
fn f07_a_clock_set_back_stalls_no_schedule_by_more_than_one_interval() {
    for (cron, interval) in [
        ("*/5 * * * *", 300),
        ("0 * * * *", 3600),
        ("0 3 * * *", 86_400),
    ] {
        for back in [60, 3600, 2 * 3600, 26 * 3600, 10 * 366 * 86_400] {
            let reached = at("2036-01-10T05:10Z");
            let mut looped = Loop::new(schedule(cron, "UTC"), reached);
            looped.pass(reached, Timestamp(reached.0 + 60));
            looped.runs.clear();
            let now = Timestamp(reached.0 + 60 - back);
            looped.pass(now, Timestamp(now.0 + 3 * interval));
            let first = looped.runs.first().unwrap().0 - now.0;
            assert!(
                first <= 2 * interval,
                "{cron} set back by {back} s waits {first} s"
            );
        }
    }
}

#[test]
fn f07_ten_years_forth_and_back_are_one_run_each_at_most() {
    for cron in ["* * * * *", "0 * * * *", "30 2 * * *", "0 0 1 * *"] {
        let start = at("2026-01-10T02:00Z");
        let mut looped = Loop::new(schedule(cron, "UTC"), start);
        looped.ask(at("2036-01-10T02:00Z"));
        assert_eq!(looped.runs.len(), 1, "{cron}");
        looped.ask(start);
        assert_eq!(looped.runs.len(), 1, "{cron}");
        looped.pass(start, at("2026-01-10T02:01Z"));
        assert!(looped.runs.len() <= 2, "{cron}");
        assert!(
            looped.since <= at("2026-01-10T02:01Z"),
            "{cron} waits for 2036"
        );
    }
}
