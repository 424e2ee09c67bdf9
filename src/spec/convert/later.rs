//! What validates and is not carried out: told as unbuilt where ignoring it would change the app, as a note where it would not.

use serde_json::Value;

use super::Draft;
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

impl Draft<'_> {
    pub(super) fn later(&mut self, sections: &HopFile) {
        for pointer in UNBUILT {
            if let Some(value) = self.tree.value.pointer(pointer) {
                self.unbuilt(pointer, name(pointer, value));
            }
        }
        let deploy = sections.deploy.as_ref();
        if deploy.and_then(|deploy| deploy.return_after_release_command) == Some(true) {
            self.unbuilt(
                "/deploy/return-after-release-command",
                "[deploy] return-after-release-command",
            );
        }
        for section in WITHOUT_EFFECT {
            if self.tree.value.get(section).is_some() {
                self.note(
                    &format!("/{section}"),
                    format!("`[{section}]` has no effect on a host"),
                );
            }
        }
        self.jobs(sections.jobs.as_deref());
        self.volumes(sections.volumes.as_deref());
        self.backup(sections.backup.as_ref());
        self.admin(sections.admin.as_ref());
        self.contexts(sections.contexts.as_ref());
        self.waf(sections.waf.as_ref());
        self.same_keys();
    }

    /// Sections that take two spellings of a key take one at a time.
    fn same_keys(&mut self) {
        let mut twins = Vec::new();
        for section in ["/test", "/waf"] {
            if let Some(value) = self.tree.value.pointer(section) {
                collect_twins(value, section, &mut twins);
            }
        }
        for (table, older, kebab) in twins {
            let words = (
                format!("`{older}` and `{kebab}` are the same key"),
                format!("keep `{kebab}`"),
            );
            let other = format!("{table}/{kebab}");
            self.conflict(
                &format!("{table}/{older}"),
                (&other, "it stands here too"),
                words,
            );
        }
    }
}

/// Keys with `_` beside the same with `-`: table, one, the other.
fn collect_twins(value: &Value, at: &str, twins: &mut Vec<(String, String, String)>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let kebab = key.replace('_', "-");
                if *key != kebab && map.contains_key(&kebab) {
                    twins.push((at.to_owned(), key.clone(), kebab));
                }
                collect_twins(
                    inner,
                    &format!("{at}/{}", crate::spec::tree::escape(key)),
                    twins,
                );
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect_twins(item, &format!("{at}/{index}"), twins);
            }
        }
        _ => {}
    }
}

/// A section or key as it is written: `[[jobs]]`, `[nix]`, `[proxy] hsts`.
fn name(pointer: &str, value: &Value) -> String {
    let path = pointer.trim_start_matches('/');
    match (path.split_once('/'), value.is_array()) {
        (Some((section, key)), _) => format!("[{section}] {key}"),
        (None, true) => format!("[[{path}]]"),
        (None, false) => format!("[{path}]"),
    }
}
