//! When something is due: five-field cron schedules in a time zone. It reads no clock: whoever asks says what time it is.
//!
//! Guarantees:
//! * A run begins with a minute of the zone's clocks, so two runs are never less than a minute apart.
//! * Day of the month and day of the week together mean *either*. A field that begins with `*` is no restriction and does not count for that:
//!   `0 0 13 * fri` runs on every Friday and every 13th, `0 0 */2 * fri` on Fridays with an odd number, as in Vixie cron.
//! * Where clocks are put back, a schedule for every hour (its hour begins with `*`, or names all 24) runs through both halves of the hour that
//!   comes twice. One for certain hours runs in the first half alone, so nothing that is daily runs twice.
//! * Where clocks are put forward, what a schedule for certain hours misses runs once, in the first minute after. One for every hour has missed
//!   nothing: it goes on with the next minute that there is.
//! * Every mistake of a schedule is found at once, with its field and its bytes. A schedule that never runs is one.
//!
//! Caveats: the rules of time zones are those that this program was built with.

mod cron;
mod due;
mod error;
mod fields;
mod grammar;
mod limits;
mod meant;
mod runs;
mod zone;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use hop3_plugin_api::Timestamp;
use serde::{Deserialize, Serialize};

pub use cron::Cron;
pub use due::Due;
pub use error::{Field, Mistake, ScheduleError};
pub(crate) use meant::FORM;
pub use zone::{Zone, ZoneError};

use runs::Runs;

/// The longest pause between two runs of a schedule is 40 years: a Sunday that is the 29th of February, across 2100.
const HORIZON: u64 = 50 * 366 * 24 * 60 * 60;

/// When something runs: five fields, and the zone whose clocks they mean.
///
/// As text the zone follows the fields: `0 2 * * mon-fri Europe/Berlin`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Schedule {
    cron: Cron,
    zone: Zone,
}

impl Schedule {
    /// The five fields by the clocks of a zone.
    pub fn new(cron: Cron, zone: Zone) -> Self {
        Self { cron, zone }
    }

    /// Whether a run begins within the minute of an instant.
    pub fn matches(&self, instant: Timestamp) -> bool {
        let minute = instant.0 - instant.0 % 60;
        let mut runs = Runs::within(self, minute, minute.saturating_add(59));
        runs.next().is_some()
    }

    /// The first run after an instant; none only where the calendar ends.
    pub fn next_after(&self, instant: Timestamp) -> Option<Timestamp> {
        let horizon = Timestamp(instant.0.saturating_add(HORIZON));
        self.between(instant, horizon).next()
    }

    /// All runs after one instant, up to and including another, in their order.
    pub fn between(
        &self,
        after: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = Timestamp> + '_ {
        Runs::within(self, after.0.saturating_add(1), until.0)
    }

    /// The shortest time from one run to the next, where no clock is changed in between.
    pub fn shortest_gap(&self) -> Duration {
        self.cron.fields().shortest_gap()
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.cron, self.zone)
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    /// Reads five fields and perhaps a zone; without one it is UTC.
    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let Some(zone) = grammar::words(text).get(Field::ALL.len()).cloned() else {
            return Ok(Self::new(Cron::parse(text)?, Zone::default()));
        };
        let name = text[zone.start..].trim_end_matches(grammar::BLANKS);
        match (Cron::parse(&text[..zone.start]), Zone::parse(name)) {
            (Ok(cron), Ok(zone)) => Ok(Self::new(cron, zone)),
            (cron, unknown) => {
                let span = zone.start..zone.start + name.len();
                let unknown = unknown.err().map(|error| error.mistake(span));
                Err(ScheduleError::of(
                    cron.err().into_iter().flatten().chain(unknown),
                ))
            }
        }
    }
}

impl TryFrom<String> for Schedule {
    type Error = ScheduleError;

    fn try_from(text: String) -> Result<Self, ScheduleError> {
        text.parse()
    }
}

impl From<Schedule> for String {
    fn from(schedule: Schedule) -> Self {
        schedule.to_string()
    }
}
