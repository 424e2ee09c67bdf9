//! `[[jobs]]`: names of their own, schedules that come, time zones that exist.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;

use super::Draft;
use crate::schedule::Zone;
use crate::spec::cron;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::sections::Job;
use crate::spec::source::Source;

/// What finds mistakes in a text that stands somewhere within some bytes of a file.
type Problems = fn(&Source, Range<usize>, &str) -> Vec<Diagnostic>;

impl Draft<'_> {
    pub(super) fn jobs(&mut self, jobs: Option<&[Option<Job>]>) {
        let mut first: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, job) in jobs.into_iter().flatten().enumerate() {
            let at = format!("/jobs/{index}");
            self.moments(&at);
            let Some(job) = job else { continue };
            match first.get(job.name.as_str()) {
                Some(other) => {
                    self.same_name(&at, &format!("/jobs/{other}"), ("job", job.name.as_str()));
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
        // A blank one is refused as a text that says nothing.
        if let Some(schedule) = schedule.filter(|schedule| !schedule.trim().is_empty()) {
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
        self.moment(pointer, schedule, cron::problems);
    }

    /// The same with a command behind it.
    pub(super) fn cron_line(&mut self, pointer: &str, line: &str) {
        self.moment(pointer, line, cron::line_problems);
    }

    fn moment(&mut self, pointer: &str, text: &str, problems: Problems) {
        let place = self.tree.place(pointer).value;
        for problem in problems(&self.tree.source, place, text) {
            self.tell(|_| problem.key(pointer));
        }
    }

    fn timezone(&mut self, pointer: &str, name: Option<&str>) {
        if let Some(unknown) = name.and_then(|name| Zone::parse(name).err()) {
            self.error(pointer, unknown.to_string(), unknown.hint());
        }
    }
}
