//! What validates and is not carried out: told as unbuilt where ignoring it would change the app, as a note where it would not.

use std::ops::Range;

use serde_json::Value;

use super::Draft;
use crate::schedule::Zone;
use crate::spec::cron;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::sections::{HopFile, WITHOUT_EFFECT};
use crate::spec::source::Source;

/// The most jobs of one app: each may be a process at the same time as all others.
const MOST_JOBS: usize = 50;

/// What finds mistakes in a text that stands somewhere within some bytes of a file.
type Problems = fn(&Source, Range<usize>, &str) -> Vec<Diagnostic>;

/// Sections and keys that validate and are not built yet.
const UNBUILT: [&str; 19] = [
    "/jobs",
    "/ports",
    "/volumes",
    "/backup",
    "/admin",
    "/probe",
    "/nix",
    "/metadata/moved-from",
    "/healthcheck/retries",
    "/healthcheck/interval",
    "/limits/cpu",
    "/deploy/approve",
    "/proxy/hsts",
    "/proxy/redirect",
    "/proxy/basic-auth",
    "/proxy/error-pages",
    "/proxy/maintenance",
    "/proxy/path-prefix",
    "/proxy/cache",
];

/// Keys that entries of unbuilt sections need.
const REQUIRED: [(&str, &[&str]); 6] = [
    ("jobs", &["name", "schedule", "command"]),
    ("ports", &["number"]),
    ("volumes", &["name", "target"]),
    ("admin", &["password"]),
    ("probe", &["create"]),
    ("contexts", &["server"]),
];

impl Draft<'_> {
    pub(super) fn later(&mut self, sections: &HopFile) {
        for pointer in UNBUILT {
            if let Some(value) = self.tree.value.pointer(pointer) {
                self.unbuilt(pointer, name(pointer, value));
            }
        }
        match sections.waf.as_ref().map(|waf| waf.enabled == Some(true)) {
            Some(true) => self.unbuilt("/waf", "[waf]"),
            Some(false) => self.note("/waf", "`[waf]` is off and has no effect"),
            None => {}
        }
        for section in WITHOUT_EFFECT {
            if self.tree.value.get(section).is_some() {
                self.note(
                    &format!("/{section}"),
                    format!("`[{section}]` has no effect on a host"),
                );
            }
        }
        self.required();
        self.schedules(sections);
    }

    fn required(&mut self) {
        for (section, keys) in REQUIRED {
            for (pointer, table) in entries(&self.tree.value, section) {
                for key in keys.iter().filter(|key| table.get(**key).is_none()) {
                    let message = format!("`{section}` lacks the key `{key}` here");
                    self.found.push(self.tree.key_error(&pointer, message));
                }
            }
        }
    }

    fn schedules(&mut self, sections: &HopFile) {
        let jobs = sections.jobs.as_deref().unwrap_or_default();
        for (index, job) in jobs.iter().enumerate() {
            let at = |key: &str| format!("/jobs/{index}/{key}");
            if let Some(schedule) = &job.schedule {
                self.schedule(&at("schedule"), &schedule.0, cron::problems);
            }
            if let Some(unknown) = job.timezone.as_deref().and_then(|it| Zone::parse(it).err()) {
                self.error(&at("timezone"), unknown.to_string(), unknown.hint());
            }
        }
        if jobs.len() > MOST_JOBS {
            let message = format!("an app has at most {MOST_JOBS} jobs, and this is one more");
            let hint = "let one job do the work of several, or make a second app";
            self.error(&format!("/jobs/{MOST_JOBS}"), message, hint);
        }
        let backup = sections.backup.as_ref();
        if let Some(schedule) = backup.and_then(|backup| backup.schedule.as_deref()) {
            self.schedule("/backup/schedule", schedule, cron::problems);
        }
        let workers = sections
            .run
            .iter()
            .flat_map(|run| run.workers.iter().flatten());
        for (_, line) in workers.filter(|(name, _)| name.as_str() == "cron") {
            self.schedule("/run/workers/cron", line, cron::line_problems);
        }
    }

    fn schedule(&mut self, pointer: &str, text: &str, problems: Problems) {
        let place = self.tree.place(pointer).value;
        let found = problems(&self.tree.source, place, text);
        self.found
            .extend(found.into_iter().map(|problem| problem.key(pointer)));
    }
}

/// The tables of a section, however it is written: one, several, or by name.
fn entries(root: &Value, section: &str) -> Vec<(String, Value)> {
    match root.get(section) {
        Some(Value::Array(items)) => {
            let numbered = items.iter().enumerate();
            numbered
                .map(|(index, item)| (format!("/{section}/{index}"), item.clone()))
                .collect()
        }
        Some(Value::Object(map)) if section == "contexts" => map
            .iter()
            .map(|(name, item)| {
                (
                    format!("/contexts/{}", crate::spec::tree::escape(name)),
                    item.clone(),
                )
            })
            .collect(),
        Some(table) => vec![(format!("/{section}"), table.clone())],
        None => Vec::new(),
    }
}

/// A section or key as it is written: `[[jobs]]`, `[nix]`, `[proxy] hsts`.
fn name(pointer: &str, value: &Value) -> String {
    match (
        pointer.trim_start_matches('/').split_once('/'),
        value.is_array(),
    ) {
        (Some((section, key)), _) => format!("[{section}] {key}"),
        (None, true) => format!("[[{}]]", pointer.trim_start_matches('/')),
        (None, false) => format!("[{}]", pointer.trim_start_matches('/')),
    }
}
