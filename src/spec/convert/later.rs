//! What validates and is not carried out: told as unbuilt where ignoring it would change the app, as a note where it would not.

use serde_json::Value;

use super::Draft;
use crate::spec::cron;
use crate::spec::sections::{HopFile, WITHOUT_EFFECT};

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
        for (index, job) in sections.jobs.iter().flatten().enumerate() {
            let problem = job
                .schedule
                .as_ref()
                .and_then(|schedule| cron::problem(&schedule.0));
            if let Some(problem) = problem {
                let hint = "write `minute hour day month weekday`";
                self.error(&format!("/jobs/{index}/schedule"), problem, hint);
            }
        }
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
