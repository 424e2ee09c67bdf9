//! `[healthcheck]` and its older twins in `[run]`.

use std::time::Duration;

use super::Draft;
use crate::spec::app::HealthCheck;
use crate::spec::sections::{Health, Run};
use crate::spec::suggest::shortened;

impl Draft<'_> {
    pub(super) fn health(&mut self, section: Option<&Health>, run: Option<&Run>) -> HealthCheck {
        let none = Health::default();
        let section = section.unwrap_or(&none);
        let defaults = HealthCheck::default();
        let older = run
            .and_then(|run| run.healthcheck.clone())
            .filter(|path| !path.is_empty());
        let older_timeout = run.and_then(|run| run.healthcheck_timeout);
        if section.timeout.is_some() && older_timeout.is_some() {
            self.outdone("/run/healthcheck-timeout", "[healthcheck] timeout");
        }
        let timeout = section
            .timeout
            .or(older_timeout)
            .map(std::num::NonZeroU64::get);
        HealthCheck {
            path: self.health_path(section.path.as_ref(), older),
            status: self.status(section).unwrap_or(defaults.status),
            contains: section.contains.clone(),
            timeout: timeout.map_or(defaults.timeout, Duration::from_secs),
            successes: section.successes.unwrap_or(defaults.successes),
            start_timeout: run
                .and_then(|run| run.start_timeout)
                .map_or(defaults.start_timeout, |seconds| seconds.0),
        }
    }

    /// A key that has no effect, for another one stands too.
    pub(super) fn outdone(&mut self, pointer: &str, winner: &str) {
        self.note(
            pointer,
            format!("without effect here: `{winner}` stands too and wins"),
        );
    }

    fn health_path(&mut self, own: Option<&String>, older: Option<String>) -> Option<String> {
        let (pointer, path) = match own.filter(|path| !path.is_empty()) {
            Some(path) => {
                if older.is_some() {
                    self.outdone("/run/healthcheck", "[healthcheck] path");
                }
                ("/healthcheck/path", path.clone())
            }
            None => ("/run/healthcheck", older?),
        };
        if !path.starts_with('/')
            || path.starts_with("//")
            || path.contains(|c: char| c.is_control() || c == ' ')
        {
            let message = format!("`{}` is not a path of the app", shortened(&path));
            self.error(pointer, message, health_hint(&path));
        }
        Some(path)
    }

    fn status(&mut self, section: &Health) -> Option<(u16, u16)> {
        let (from, to) = section.status?.0;
        if from > to {
            self.error(
                "/healthcheck/status",
                format!("the range {from}-{to} runs backwards"),
                format!("write `{to}-{from}`"),
            );
        }
        Some((from, to))
    }
}

/// The path alone, where a whole address is written.
fn health_hint(path: &str) -> String {
    let bare = path
        .split_once("://")
        .and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
    let word = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let near = bare.map(str::to_owned).or_else(|| {
        let plain = !path.is_empty() && path.chars().all(word) && !path.starts_with('/');
        plain.then(|| format!("/{path}"))
    });
    match near {
        Some(near) => format!("write `\"{}\"`: health is asked of the app itself", shortened(&near)),
        None => "write it from the app's root, as in `\"/healthz\"`; health is only asked of the app itself".to_owned(),
    }
}
