//! `[[jobs]]`.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::common::{CronText, Filled, Period};
use super::names::JobName;

/// The most jobs of one app.
pub(crate) const MOST_JOBS: usize = 50;

/// A command at fixed times. Not built yet.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Job {
    /// Its name, unlike those of the app's other jobs.
    #[schemars(extend("examples" = ["nightly"]))]
    pub(crate) name: JobName,
    /// When it runs: minute, hour, day of the month, month and day of the week, as in `30 2 * * mon-fri`.
    #[serde(rename = "schedule")]
    #[schemars(extend("examples" = ["30 2 * * *"]))]
    _schedule: CronText,
    /// The command.
    #[serde(rename = "command")]
    #[schemars(extend("examples" = ["./nightly.sh"]))]
    _command: Filled,
    /// The time zone of the schedule, such as `Europe/Paris`. Default `UTC`.
    #[serde(rename = "timezone")]
    _timezone: Option<String>,
    /// What happens when it is due while it runs. Default `forbid`: it does not start a second time.
    #[serde(rename = "concurrency")]
    _concurrency: Option<Concurrency>,
    /// The longest that it may run.
    #[serde(rename = "timeout")]
    _timeout: Option<Period>,
    /// Whether it rests. Default false.
    #[serde(rename = "suspend")]
    _suspend: Option<bool>,
    /// Whether one that was missed runs once when the agent starts. Default false.
    #[serde(rename = "catch-up")]
    _catch_up: Option<bool>,
}

/// What happens when a job is due while it runs.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Concurrency {
    Allow,
    Forbid,
    Replace,
}

/// Reads a list of at most [`MOST_JOBS`].
pub(crate) fn bounded<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<Option<Job>>>, D::Error> {
    let jobs = Vec::deserialize(deserializer)?;
    if jobs.len() <= MOST_JOBS {
        Ok(Some(jobs))
    } else {
        Err(serde::de::Error::custom("too many jobs"))
    }
}
