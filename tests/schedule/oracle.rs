//! Every minute of 2026 and 2027, in zones that change their clocks in different ways, equals what `croner` says, apart from three differences,
//! each recognised by code here and counted:
//!
//! * *days*: `croner` takes `*/2` in a day field as a choice beside the other one, we as no restriction. Such an expression is compared with
//!   `croner` in the mode in which both days must hold.
//! * *twice*: an expression for certain hours but with several times runs twice for `croner` where clocks go back, for us in the first half alone.
//! * *gap*: such an expression misses what falls into a gap for `croner`; for us it runs in the first minute after.

use std::fmt;
use std::time::Instant;

use chrono::{DateTime, LocalResult, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::CronParser;
use hop3_agent::schedule::Schedule;
use hop3_plugin_api::Timestamp;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::{at, schedule, utc};

const ZONES: [&str; 5] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "UTC",
];
const START: &str = "2026-01-01T00:00Z";
const END: &str = "2028-01-01T00:00Z";
const SEED: u64 = 20_260_101;

/// What was compared, and what differed.
#[derive(Default)]
struct Count {
    expressions: usize,
    minutes: u64,
    runs: u64,
    /// Expressions in which a step makes a day field no choice.
    days: usize,
    twice: u64,
    gap: u64,
    /// Minutes that were also asked for one by one.
    asked: u64,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            expressions,
            minutes,
            runs,
            days,
            twice,
            gap,
            asked,
        } = self;
        write!(
            f,
            "{expressions} expressions in {} zones, {minutes} minutes, {runs} runs, {asked} minutes asked one by one; documented differences: \
             {days} expressions (days), {twice} runs (twice), {gap} runs (gap)",
            ZONES.len()
        )
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test's form is chosen in its environment"
)]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn every_minute_of_two_years_equals_another_implementation() {
    let started = Instant::now();
    let seed = setting("HOP3_TEST_SEED").unwrap_or(SEED);
    let wanted = if setting("HOP3_TEST_LONG").is_some() {
        500
    } else {
        24
    };
    let mut count = Count::default();
    for expression in expressions(seed, wanted) {
        let theirs = Theirs::parse(&expression);
        count.expressions += 1;
        count.days += usize::from(theirs.both_days);
        for zone in ZONES {
            compare(
                &schedule(&expression, zone),
                &theirs,
                zone.parse().unwrap(),
                &mut count,
            );
        }
    }
    println!("schedules: {count}; seed {seed}, {:?}", started.elapsed());
    assert!(
        count.days > 0 && count.twice > 0 && count.gap > 0,
        "a difference that never occurs is none: {count}"
    );
}

/// The other implementation's reading of an expression.
struct Theirs {
    cron: Cron,
    /// Whether both days must hold.
    both_days: bool,
    /// Whether its hours are not all there are.
    certain_hours: bool,
}

impl Theirs {
    fn parse(expression: &str) -> Self {
        let fields: Vec<&str> = expression.split(' ').collect();
        let days = [fields[2], fields[4]];
        let both_days = !days.contains(&"*") && days.iter().any(|day| day.starts_with('*'));
        let parser = CronParser::builder().dom_and_dow(both_days).build();
        let cron = parser
            .parse(expression)
            .unwrap_or_else(|error| panic!("{expression}: {error}"));
        let certain_hours = !fields[1].starts_with('*') && cron.pattern.hours.values().len() < 24;
        Self {
            cron,
            both_days,
            certain_hours,
        }
    }

    fn names(&self, shown: NaiveDateTime) -> bool {
        self.cron.is_time_matching(&shown).unwrap()
    }
}

fn compare(ours: &Schedule, theirs: &Theirs, zone: Tz, count: &mut Count) {
    let (start, end) = (utc(at(START)), utc(at(END)));
    let first = (start - TimeDelta::seconds(1)).with_timezone(&zone);
    let mut our_runs = ours
        .between(Timestamp(at(START).0 - 1), Timestamp(at(END).0 - 1))
        .map(utc)
        .peekable();
    let mut their_runs = theirs
        .cron
        .iter_after(first)
        .map(|run| run.to_utc())
        .take_while(|run| *run < end)
        .peekable();
    loop {
        match (our_runs.peek().copied(), their_runs.peek().copied()) {
            (None, None) => break,
            (Some(our), Some(their)) if our == their => {
                assert!(
                    !(theirs.certain_hours && shown_before(our, zone)),
                    "{ours} runs twice at {our}"
                );
                count.runs += 1;
                our_runs.next();
                their_runs.next();
            }
            (Some(our), their) if their.is_none_or(|their| our < their) => {
                assert!(
                    is_belated(our, theirs, zone),
                    "{ours} runs at {our}, and not for croner"
                );
                count.gap += 1;
                our_runs.next();
            }
            (our, Some(their)) => {
                let explained = theirs.certain_hours && shown_before(their, zone);
                assert!(explained, "{ours} does not run at {their} but at {our:?}");
                count.twice += 1;
                their_runs.next();
            }
            (Some(_), None) => unreachable!("what has no rival is earlier"),
        }
    }
    count.minutes += (end - start).num_minutes().unsigned_abs();
    around_changes(ours, theirs, zone, count);
}

/// Asks for each minute around each change, and holds the answers against the list and the rules.
fn around_changes(ours: &Schedule, theirs: &Theirs, zone: Tz, count: &mut Count) {
    for change in changes(zone) {
        let belated = theirs.certain_hours && names_in_gap(change, theirs, zone);
        let around = change - TimeDelta::minutes(130);
        for minute in (0..260).map(|minutes| around + TimeDelta::minutes(minutes)) {
            let instant = Timestamp(minute.timestamp().unsigned_abs());
            let shown = minute.with_timezone(&zone).naive_local();
            let named =
                theirs.names(shown) && !(theirs.certain_hours && shown_before(minute, zone));
            let expected = named || (belated && minute == change);
            assert_eq!(ours.matches(instant), expected, "{ours} at {minute}");
            let previous = Timestamp(instant.0 - 1);
            assert_eq!(
                ours.next_after(previous) == Some(instant),
                expected,
                "{ours} before {minute}"
            );
            count.asked += 1;
        }
    }
}

/// Whether the clocks have shown this time before.
fn shown_before(instant: DateTime<Utc>, zone: Tz) -> bool {
    let shown = instant.with_timezone(&zone).naive_local();
    matches!(zone.from_local_datetime(&shown), LocalResult::Ambiguous(_, second) if second == instant)
}

/// Whether a run stands for what was missed in the gap just before.
fn is_belated(run: DateTime<Utc>, theirs: &Theirs, zone: Tz) -> bool {
    theirs.certain_hours && names_in_gap(run, theirs, zone)
}

/// Whether the clocks jump to an instant, over a minute that is named.
fn names_in_gap(instant: DateTime<Utc>, theirs: &Theirs, zone: Tz) -> bool {
    let shown = instant.with_timezone(&zone).naive_local();
    let before = (1..).map(|minutes| shown - TimeDelta::minutes(minutes));
    before
        .take_while(|shown| matches!(zone.from_local_datetime(shown), LocalResult::None))
        .any(|shown| theirs.names(shown))
}

/// The instants at which the clocks of a zone are changed.
fn changes(zone: Tz) -> Vec<DateTime<Utc>> {
    let (start, end) = (utc(at(START)), utc(at(END)));
    let offset =
        |instant: &DateTime<Utc>| instant.with_timezone(&zone).naive_local() - instant.naive_utc();
    let minutes = (0..(end - start).num_minutes())
        .step_by(30)
        .map(|minutes| start + TimeDelta::minutes(minutes));
    minutes
        .filter(|instant| offset(instant) != offset(&(*instant - TimeDelta::minutes(30))))
        .collect()
}

/// Random expressions that run at all.
fn expressions(seed: u64, wanted: usize) -> Vec<String> {
    let bytes: Vec<u8> = seed
        .to_le_bytes()
        .iter()
        .copied()
        .cycle()
        .take(32)
        .collect();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut found = Vec::new();
    while found.len() < wanted {
        let expression = expression().new_tree(&mut runner).unwrap().current();
        match hop3_agent::schedule::Cron::parse(&expression) {
            Ok(_) => found.push(expression),
            Err(error) => assert!(
                error.to_string().starts_with("this schedule never runs"),
                "{expression}: {error}"
            ),
        }
    }
    found
}

fn expression() -> impl Strategy<Value = String> {
    const MONTHS: [&str; 3] = ["jan", "MAR", "oct"];
    const DAYS: [&str; 3] = ["sun", "Mon", "FRI"];
    let hour = prop_oneof![2 => field(0, 23, &[]), 1 => field(0, 4, &[])];
    let day = prop_oneof![2 => Just("*".to_owned()), 3 => field(1, 31, &[])];
    let month = prop_oneof![3 => Just("*".to_owned()), 2 => field(1, 12, &MONTHS)];
    let weekday = prop_oneof![2 => Just("*".to_owned()), 3 => field(0, 7, &DAYS)];
    (field(0, 59, &[]), hour, day, month, weekday).prop_map(
        |(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"),
    )
}

fn field(least: u32, most: u32, names: &'static [&'static str]) -> BoxedStrategy<String> {
    let item = item(least, most, names);
    prop_oneof![
        2 => Just("*".to_owned()),
        2 => (1..=most.min(30)).prop_map(|step| format!("*/{step}")),
        5 => item.clone(),
        2 => proptest::collection::vec(item, 2..5).prop_map(|items| items.join(",")),
    ]
    .boxed()
}

fn item(least: u32, most: u32, names: &'static [&'static str]) -> BoxedStrategy<String> {
    let value = least..=most;
    let range = (value.clone(), value.clone()).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let name = (0..names.len().max(1), value.clone()).prop_map(|(index, value)| {
        names
            .get(index)
            .map_or(value.to_string(), |name| (*name).to_owned())
    });
    prop_oneof![
        4 => value.prop_map(|value| value.to_string()),
        2 => range.clone().prop_map(|(a, b)| format!("{a}-{b}")),
        1 => (range, 1..=most.min(7)).prop_map(|((a, b), step)| format!("{a}-{b}/{step}")),
        1 => name,
    ]
    .boxed()
}
