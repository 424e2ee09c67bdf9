//! `[[jobs]]`: names of their own, schedules that come, time zones that exist.

use std::collections::BTreeMap;

use chrono_tz::{TZ_VARIANTS, Tz};
use serde_json::Value;

use super::Draft;
use crate::spec::moments;
use crate::spec::sections::Job;
use crate::spec::suggest::{did_you_mean, shortened};

impl Draft<'_> {
    pub(super) fn jobs(&mut self, jobs: Option<&[Option<Job>]>) {
        let mut first: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, job) in jobs.into_iter().flatten().enumerate() {
            let at = format!("/jobs/{index}");
            self.moments(&at);
            let Some(job) = job else { continue };
            match first.get(job.name.as_str()) {
                Some(other) => {
                    self.same_name(&at, &format!("/jobs/{other}"), ("job", job.name.as_str()))
                }
                None => drop(first.insert(job.name.as_str(), index)),
            }
        }
    }

    /// When a job runs, also of one in which something else is wrong.
    fn moments(&mut self, at: &str) {
        let text = |key: &str| {
            let value = self.tree.value.pointer(&format!("{at}/{key}"));
            value.and_then(Value::as_str).map(str::to_owned)
        };
        let (schedule, timezone) = (text("schedule"), text("timezone"));
        if let Some(schedule) = schedule {
            self.schedule(&format!("{at}/schedule"), &schedule);
        }
        self.timezone(&format!("{at}/timezone"), timezone.as_deref());
    }

    /// Two entries of a list that have one name.
    pub(super) fn same_name(&mut self, at: &str, other: &str, (what, name): (&str, &str)) {
        let words = (
            format!("another {what} has the name `{name}`"),
            "give each a name of its own".to_owned(),
        );
        let other = format!("{other}/name");
        self.conflict(
            &format!("{at}/name"),
            (&other, "it stands here first"),
            words,
        );
    }

    /// Five cron fields, of which some moment fits.
    pub(super) fn schedule(&mut self, pointer: &str, schedule: &str) {
        if let Some((problem, hint)) = moments::problem(schedule) {
            self.error(pointer, problem, hint);
        }
    }

    fn timezone(&mut self, pointer: &str, name: Option<&str>) {
        let Some(name) = name.filter(|name| name.parse::<Tz>().is_err()) else {
            return;
        };
        let message = format!("there is no time zone `{}`", shortened(name));
        self.error(pointer, message, near_zone(name));
    }
}

/// A zone that is near in spelling, or whose place has this name.
fn near_zone(name: &str) -> String {
    let names = || TZ_VARIANTS.iter().map(|zone| zone.name());
    let place = name.trim().replace(' ', "_").to_lowercase();
    let by_place =
        || names().find(|zone| zone.to_lowercase().rsplit('/').next() == Some(place.as_str()));
    let same = names().find(|zone| zone.to_lowercase() == place);
    match same.or_else(by_place) {
        Some(zone) => format!("write `{zone}`"),
        None => did_you_mean(name, names()).unwrap_or_else(|| {
            "write a place of the IANA database, such as `Europe/Paris`, or `UTC`".to_owned()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_found_by_its_place_and_by_its_spelling() {
        assert_eq!(near_zone("paris"), "write `Europe/Paris`");
        assert_eq!(near_zone("europe/paris"), "write `Europe/Paris`");
        assert_eq!(near_zone("Europe/Parsi"), "did you mean `Europe/Paris`?");
        assert!(near_zone("UTC+2").starts_with("write a place"));
    }
}
