//! A schedule: what is refused says where, what is taken reads as it is written, and its runs are what it names.
#![no_main]

use hop3_agent::schedule::{Schedule, ScheduleError};
use hop3_plugin_api::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u32, &str)| {
    let (instant, text) = input;
    match text.parse::<Schedule>() {
        Ok(schedule) => runs(&schedule, Timestamp(instant.into())),
        Err(error) => says_where(text, &error),
    }
});

fn runs(schedule: &Schedule, now: Timestamp) {
    let again: Schedule = schedule
        .to_string()
        .parse()
        .expect("what is written can be read");
    assert_eq!(&again, schedule);
    assert!(schedule.shortest_gap().as_secs() >= 60);
    let next = schedule.next_after(now).expect("it runs at all");
    assert!(next > now && schedule.matches(next));
    let later: Vec<Timestamp> = schedule
        .between(now, Timestamp(next.0 + 86_400))
        .take(5)
        .collect();
    assert_eq!(later[0], next);
    assert!(
        later.is_sorted_by(|earlier, later| earlier.0 + 60 <= later.0),
        "{schedule}: {later:?}"
    );
    let due = schedule.due(now, Timestamp(next.0 + 86_400));
    assert!(
        due.run
            .is_some_and(|run| run >= next && schedule.matches(run)),
        "{schedule}: {due:?}"
    );
}

fn says_where(text: &str, error: &ScheduleError) {
    assert!(!error.mistakes().is_empty());
    for mistake in error.mistakes() {
        assert!(text.get(mistake.span.clone()).is_some(), "{mistake:?}");
        assert!(
            !mistake.message.is_empty() && mistake.message.len() < 1000,
            "{mistake:?}"
        );
    }
}
