//! Apps that the config repo has and that cannot be planned: which, and in which words. They stay as they are. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use hop3_plugin_api::{AppName, PluginError};

use super::walk::AppDir;
use super::{Desired, Past};
use crate::plan::{Held, HoldKind};
use crate::spec::{AppSpec, Diagnostic, Position, Surroundings, repo_checks};

/// Apps that stand in each other's way, by directory. The holder of a host name keeps it.
pub(super) fn conflicts(
    dirs: &[AppDir],
    elsewhere: BTreeSet<AppName>,
    past: &dyn Past,
    desired: &mut Desired,
) -> BTreeSet<String> {
    let specs: Vec<&AppSpec> = dirs
        .iter()
        .filter_map(|dir| dir.loaded.app.spec.as_ref())
        .collect();
    let broken = dirs
        .iter()
        .filter(|dir| dir.loaded.app.spec.is_none())
        .filter_map(|dir| dir.loaded.name.clone())
        .collect();
    let found = repo_checks(
        &specs,
        &Surroundings {
            holders: past.holders(),
            broken,
            known: Arc::new(elsewhere),
            ..Surroundings::default()
        },
    );
    for (directory, diagnostics) in &found {
        let spec = specs.iter().find(|spec| spec.directory == *directory);
        if let (Some(spec), Some(first)) = (spec, diagnostics.first()) {
            desired
                .held
                .push(hold(spec.name.clone(), HoldKind::Conflict, first));
        }
        desired.diagnostics.extend(diagnostics.iter().cloned());
    }
    found.into_keys().collect()
}

fn hold(app: AppName, kind: HoldKind, error: &Diagnostic) -> Held {
    Held {
        app,
        hold: kind,
        message: format!("{}: {}", place(&error.position), error.message),
        hints: error.hint.iter().cloned().collect(),
        at: Some(error.position.clone()),
    }
}

/// Tells what is wrong with a directory, and holds its app where that is invalid.
pub(super) fn tell(dir: &AppDir, desired: &mut Desired) {
    let app = &dir.loaded.app;
    desired.diagnostics.extend(app.diagnostics.iter().cloned());
    if app.spec.is_none() {
        match invalid(dir) {
            Ok(held) => desired.held.push(held),
            Err(message) => desired.nameless.push(message),
        }
    }
}

/// The hold of an app whose files are not valid; only the message when not even its name is.
fn invalid(dir: &AppDir) -> Result<Held, String> {
    let mut errors = dir.loaded.app.diagnostics.iter().filter(|d| d.is_error());
    let Some(first) = errors.next() else {
        return Err(format!("{}: it cannot be read", dir.path));
    };
    let mut message = format!("{}: {}", place(&first.position), first.message);
    let more = errors.count();
    if more > 0 {
        write!(message, " (and {more} more)").expect("writing to a string cannot fail");
    }
    let Some(app) = dir.loaded.name.clone() else {
        return Err(message);
    };
    Ok(Held {
        message,
        ..hold(app, HoldKind::Spec, first)
    })
}

pub(super) fn refused(spec: &AppSpec, error: &PluginError) -> Held {
    let at = spec
        .unbuilt
        .first()
        .map_or_else(|| spec.position("/build"), |unbuilt| unbuilt.at.clone());
    Held {
        app: spec.name.clone(),
        hold: HoldKind::Spec,
        message: format!("{}: {error}", place(&at)),
        hints: error.hints(),
        at: Some(at),
    }
}

pub(super) fn place(at: &Position) -> String {
    format!("{}:{}:{}", at.file, at.line, at.column)
}
