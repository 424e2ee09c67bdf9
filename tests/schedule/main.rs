//! Schedules: against another implementation minute by minute, and rule by rule where clocks are changed or jump.
//!
//! `HOP3_TEST_LONG=1` compares 500 expressions instead of a few; `HOP3_TEST_SEED` chooses which.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clocks;
mod jumps;
mod oracle;
mod rules;
mod text;

use chrono::{DateTime, Utc};
use hop3_agent::schedule::{Cron, Schedule, Zone};
use hop3_plugin_api::Timestamp;

/// `0 2 * * *` in a zone.
fn schedule(cron: &str, zone: &str) -> Schedule {
    Schedule::new(Cron::parse(cron).unwrap(), Zone::parse(zone).unwrap())
}

/// `2026-03-29T01:00Z`, or with another offset.
fn at(text: &str) -> Timestamp {
    let text = text
        .strip_suffix('Z')
        .map_or(text.to_owned(), |text| format!("{text}+00:00"));
    let instant = DateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M%:z").unwrap();
    Timestamp(instant.timestamp().try_into().unwrap())
}

/// `2026-03-29T01:00Z`.
fn told(instant: Timestamp) -> String {
    utc(instant).format("%Y-%m-%dT%H:%MZ").to_string()
}

fn utc(instant: Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp(instant.0.try_into().unwrap(), 0).unwrap()
}

/// The runs after one instant up to another, as text.
fn runs(schedule: &Schedule, after: &str, until: &str) -> Vec<String> {
    schedule.between(at(after), at(until)).map(told).collect()
}
