//! `validate`: every mistake of every file in one run, without a network or an agent.

use std::path::{Path, PathBuf};

use hop3_plugin_api::{DirectoryTree, SourceEntry, SourceKind};

use super::output::{Exit, json, say, show, shows_color};
use super::{Color, Global, settings};
use crate::desired::DirectoryRepo;
use crate::registry::Registry;
use crate::spec::render;
use crate::validate::{Findings, Report, Validator};

/// What a config repo may hold.
const REPO: [&str; 3] = ["apps", "hosts", "secrets"];

/// Options of `validate`.
#[derive(Debug, clap::Args)]
pub(super) struct ValidateArgs {
    /// Config repos, app directories, or single files, `agent.toml` among them; this directory by default.
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Checks files; exit 1 when one has an error.
pub(super) fn validate(args: &ValidateArgs, global: &Global, registry: &Registry) -> Exit {
    let schemas = settings::schemas(registry);
    let validator = Validator { schemas: &schemas };
    let mut findings = Findings::default();
    for path in &args.paths {
        check(path, &validator, &mut findings);
    }
    let findings = findings.settled();
    if args.json {
        json(&Report::new(&findings));
    } else {
        show(&text(&findings, global.color), global.color);
    }
    say(&summary(&findings));
    let (errors, _) = findings.counts();
    // The process ends now; giving the memory of many specs back piece by piece would take longer than some of the checks.
    std::mem::forget(findings);
    if errors == 0 {
        Exit::Success
    } else {
        Exit::Error
    }
}

/// Checks what a path names. What is wrong with the path itself is a finding too, so that the others are still checked.
fn check(path: &Path, validator: &Validator<'_>, findings: &mut Findings) {
    let shown = shown(path);
    match path.metadata() {
        Err(error) => findings.unusable(&shown, format!("the path cannot be read: {error}"), None),
        Ok(metadata) if metadata.is_dir() => directory(path, &shown, validator, findings),
        Ok(_) => file(path, validator, findings),
    }
}

fn directory(path: &Path, shown: &str, validator: &Validator<'_>, findings: &mut Findings) {
    let name = name_of(path);
    if let Some(found) = validator.app(&name, &DirectoryTree::new(path)) {
        findings.add(found, &name, shown);
    } else if REPO.iter().any(|it| path.join(it).is_dir()) {
        let found = validator.config_repo(&DirectoryRepo::new(path));
        findings.add(found, "", shown);
    } else {
        findings.unusable(
            if shown.is_empty() { "." } else { shown },
            "the directory holds no app and no config repo",
            Some("an app has a `hop3.toml` or a `Procfile`; a config repo has a directory `apps`"),
        );
    }
}

fn file(path: &Path, validator: &Validator<'_>, findings: &mut Findings) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name == "agent.toml" {
        return operator(path, validator, findings);
    }
    let beside = path.parent().filter(|it| !it.as_os_str().is_empty());
    let directory = beside.unwrap_or(Path::new("."));
    let entry = SourceEntry {
        name: name.into_owned(),
        kind: if path.is_symlink() {
            SourceKind::Symlink
        } else {
            SourceKind::File { executable: false }
        },
    };
    let name = name_of(directory);
    let found = validator.file(&name, &DirectoryTree::new(directory), &entry);
    findings.add(found, &name, &shown(directory));
}

/// `agent.toml` is the operator's, who may link it from wherever it is kept.
fn operator(path: &Path, validator: &Validator<'_>, findings: &mut Findings) {
    let shown = shown(path);
    match std::fs::read(path) {
        Ok(bytes) => validator.agent(&shown, &bytes, findings),
        Err(error) => findings.unusable(&shown, format!("the file cannot be read: {error}"), None),
    }
}

/// A path as messages show it; empty for this directory.
fn shown(path: &Path) -> String {
    let shown = path.display().to_string();
    let shown = shown.strip_prefix("./").unwrap_or(&shown);
    let shown = shown.trim_end_matches('/');
    match shown {
        "." => String::new(),
        "" => "/".to_owned(),
        shown => shown.to_owned(),
    }
}

/// The name of a directory, however it is written: an app without a name of its own has that of its directory.
fn name_of(directory: &Path) -> String {
    let whole = directory.canonicalize();
    let whole = whole.as_deref().unwrap_or(directory);
    whole
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Everything for people. Errors come before notes.
fn text(findings: &Findings, color: Color) -> String {
    render(&findings.diagnostics, &findings.sources, shows_color(color))
}

/// `12 files: 3 errors, 2 notes`.
fn summary(findings: &Findings) -> String {
    let counted = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    let (errors, notes) = findings.counts();
    format!(
        "{}: {}, {}",
        counted(findings.files, "file"),
        counted(errors, "error"),
        counted(notes, "note")
    )
}
