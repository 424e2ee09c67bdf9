//! What a Python source wants installed: from requirements.txt, else from pyproject.toml, else nothing. Pure.

use std::collections::BTreeSet;

use hop3_plugin_api::{Abort, PlanContext, Result};

use super::requirements;
use crate::source::{self, config};

pub(super) const REQUIREMENTS: &str = "requirements.txt";
const PYPROJECT: &str = "pyproject.toml";
const UNLOCKED: &str = "commit a lock, for instance by `pip-compile --generate-hashes -o requirements.txt`, or set `allow-unlocked = true` in `[build]`";

/// Locks of tools that are not built yet, and the command that turns each into a requirements.txt.
const FOREIGN: [(&str, &str); 5] = [
    (
        "uv.lock",
        "uv export --format requirements-txt -o requirements.txt",
    ),
    ("poetry.lock", "poetry export -o requirements.txt"),
    ("pdm.lock", "pdm export -o requirements.txt"),
    (
        "Pipfile.lock",
        "pipenv requirements --hash > requirements.txt",
    ),
    (
        "Pipfile",
        "pipenv lock && pipenv requirements --hash > requirements.txt",
    ),
];

/// What is installed besides `pip-install` packages.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Install {
    /// Nothing: the standard library suffices.
    Nothing,
    /// requirements.txt.
    Requirements {
        /// Whether its entries carry hashes, all of which are then required.
        hashed: bool,
    },
    /// The dependencies of a pyproject.toml that builds no package.
    Listed(Vec<String>),
    /// The source itself, as a package.
    Project,
}

/// What a plan needs to know of a Python source.
#[derive(Debug)]
pub(super) struct Project {
    pub(super) install: Install,
    /// `[build] pip-install`.
    pub(super) extra: Vec<String>,
    /// Names of what is asked for directly, normalised.
    pub(super) names: BTreeSet<String>,
    /// Files that decide what is installed.
    pub(super) inputs: Vec<String>,
    /// Whether installing reads more of the source than its inputs.
    pub(super) needs_source: bool,
    pub(super) requires_python: Option<String>,
    pub(super) notes: Vec<String>,
}

impl Project {
    fn new(install: Install) -> Self {
        Self {
            install,
            extra: Vec::new(),
            names: BTreeSet::new(),
            inputs: Vec::new(),
            needs_source: false,
            requires_python: None,
            notes: Vec::new(),
        }
    }

    pub(super) fn installs_nothing(&self) -> bool {
        self.install == Install::Nothing && self.extra.is_empty()
    }
}

/// Reads the manifests.
pub(super) fn read(cx: &PlanContext<'_>) -> Result<Project> {
    let pyproject = source::toml(cx, PYPROJECT)?.unwrap_or_default();
    let mut project = if cx.source.has(REQUIREMENTS) {
        from_requirements(cx)?
    } else {
        refuse_foreign_locks(cx)?;
        from_pyproject(cx, &pyproject)?
    };
    project.requires_python = string(&pyproject, &["project", "requires-python"]);
    add_extra(cx, &mut project)?;
    Ok(project)
}

fn from_requirements(cx: &PlanContext<'_>) -> Result<Project> {
    let read = requirements::read(cx, REQUIREMENTS)?;
    let install = if read.is_empty() {
        Install::Nothing
    } else {
        Install::Requirements {
            hashed: read.hashed,
        }
    };
    let mut project = Project::new(install);
    project.notes.extend(read.unpinned_note());
    project.notes.extend(foreign_lock(cx).map(|(lock, _)| {
        format!("`{lock}` is not read, because `{REQUIREMENTS}` says what is installed")
    }));
    if let Some(local) = read.local {
        project.needs_source = true;
        project.notes.push(format!(
            "`{REQUIREMENTS}` installs `{local}` from the source, so dependencies are installed anew in each release"
        ));
    }
    project.names = read.names;
    project.inputs = read.files;
    Ok(project)
}

fn from_pyproject(cx: &PlanContext<'_>, pyproject: &toml::Table) -> Result<Project> {
    let listed = listed_dependencies(pyproject)?;
    let builds_package = pyproject.contains_key("build-system")
        || value(pyproject, &["tool", "poetry"]).is_some()
        || dynamic_dependencies(pyproject)
        || (cx.source.has("setup.py") && !pyproject.contains_key("project"));
    let has_dependencies = !listed.is_empty()
        || has_poetry_dependencies(pyproject)
        || dynamic_dependencies(pyproject)
        || cx.source.has("setup.py");
    if has_dependencies && !cx.config.build.allow_unlocked {
        let manifest = if cx.source.has(PYPROJECT) {
            PYPROJECT
        } else {
            "setup.py"
        };
        let message = format!("`{manifest}` has dependencies and there is no lock file for them");
        return Err(Abort::new(message).hint(UNLOCKED).into());
    }
    let names = listed
        .iter()
        .map(|entry| requirements::name(entry))
        .collect();
    let mut project = match (builds_package, listed.is_empty()) {
        (true, _) => whole_source(),
        (false, true) => Project::new(Install::Nothing),
        (false, false) => Project::new(Install::Listed(listed)),
    };
    project
        .inputs
        .extend(cx.source.has(PYPROJECT).then(|| PYPROJECT.to_owned()));
    project.names = names;
    if has_dependencies {
        project.notes.push(
            "dependencies are not locked: two builds may install different versions".to_owned(),
        );
    }
    Ok(project)
}

fn whole_source() -> Project {
    let mut project = Project::new(Install::Project);
    project.needs_source = true;
    project.notes.push(
        "the source is installed as a package, so dependencies are installed anew in each release"
            .to_owned(),
    );
    project
}

fn add_extra(cx: &PlanContext<'_>, project: &mut Project) -> Result<()> {
    let extra = &cx.config.build.pip_install;
    if let Some(option) = extra.iter().find(|package| !is_requirement(package)) {
        return Err(config(
            format!("`pip-install` has `{option}`, which is no package"),
            Some("write package names with an optional version, such as `gunicorn==23.0.0`"),
        ));
    }
    project
        .names
        .extend(extra.iter().map(|package| requirements::name(package)));
    let loose = extra.iter().filter(|package| !package.contains("=="));
    let loose: Vec<&str> = loose.map(String::as_str).collect();
    if !loose.is_empty() {
        project
            .notes
            .push(format!("`pip-install` does not pin {}", loose.join(", ")));
    }
    project.extra.clone_from(extra);
    Ok(())
}

fn foreign_lock(cx: &PlanContext<'_>) -> Option<(&'static str, &'static str)> {
    FOREIGN.into_iter().find(|(lock, _)| cx.source.has(lock))
}

fn refuse_foreign_locks(cx: &PlanContext<'_>) -> Result<()> {
    let Some((lock, export)) = foreign_lock(cx) else {
        return Ok(());
    };
    Err(
        Abort::new(format!("installing from `{lock}` is not built yet"))
            .hint(format!(
                "commit a requirements.txt, made by `{export}`: it is used instead"
            ))
            .into(),
    )
}

/// `[project] dependencies`; an entry that pip would read as an option is refused.
fn listed_dependencies(pyproject: &toml::Table) -> Result<Vec<String>> {
    let entries = value(pyproject, &["project", "dependencies"]).and_then(toml::Value::as_array);
    let mut listed = Vec::new();
    for entry in entries.into_iter().flatten() {
        match entry.as_str() {
            Some(text) if is_requirement(text) => listed.push(text.to_owned()),
            _ => {
                return Err(config(
                    format!("`{PYPROJECT}` lists {entry} in `dependencies`, which is no package"),
                    None,
                ));
            }
        }
    }
    Ok(listed)
}

fn dynamic_dependencies(pyproject: &toml::Table) -> bool {
    let dynamic = value(pyproject, &["project", "dynamic"]).and_then(toml::Value::as_array);
    dynamic.is_some_and(|names| {
        names
            .iter()
            .any(|name| name.as_str() == Some("dependencies"))
    })
}

fn has_poetry_dependencies(pyproject: &toml::Table) -> bool {
    let table =
        value(pyproject, &["tool", "poetry", "dependencies"]).and_then(toml::Value::as_table);
    table.is_some_and(|table| table.keys().any(|name| name != "python"))
}

fn is_requirement(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

fn string(table: &toml::Table, path: &[&str]) -> Option<String> {
    value(table, path)?.as_str().map(str::to_owned)
}

fn value<'a>(table: &'a toml::Table, path: &[&str]) -> Option<&'a toml::Value> {
    let (last, parents) = path.split_last()?;
    let mut table = table;
    for parent in parents {
        table = table.get(*parent)?.as_table()?;
    }
    table.get(*last)
}
