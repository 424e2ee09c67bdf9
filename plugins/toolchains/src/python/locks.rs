//! Python's package managers with lock files of their own: which one wrote the lock, and how it installs from it. One table row each. Pure.

use std::collections::BTreeSet;

use hop3_plugin_api::serde_json::Value;
use hop3_plugin_api::{PlanContext, PluginError, Result};

use super::requirements;
use crate::source;
use crate::steps::{missing_lock, two_managers};

/// A package manager. `{python}` in its commands stands for the interpreter that is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Manager {
    pub(super) program: &'static str,
    /// The versions whose commands these are.
    pub(super) version: Option<&'static str>,
    pub(super) lock: &'static str,
    /// The file that names what is locked.
    pub(super) manifest: &'static str,
    /// The table of pyproject.toml that says whose project it is.
    table: Option<&'static str>,
    /// How a person makes the lock file.
    pub(super) lock_command: &'static str,
    /// Installs dependencies and not the project.
    pub(super) dependencies: &'static [&'static str],
    /// Installs the project too.
    pub(super) project: &'static [&'static str],
    /// Whether it makes the environment itself.
    pub(super) makes_environment: bool,
    /// Whether it leaves byte-compiling to others.
    pub(super) compiles: bool,
    pub(super) env: &'static [(&'static str, &'static str)],
}

const UV: Manager = Manager {
    program: "uv",
    version: None,
    lock: "uv.lock",
    manifest: "pyproject.toml",
    table: Some("uv"),
    lock_command: "uv lock",
    dependencies: &[
        "sync",
        "--locked",
        "--no-dev",
        "--no-install-project",
        "--python={python}",
    ],
    project: &["sync", "--locked", "--no-dev", "--python={python}"],
    makes_environment: true,
    compiles: true,
    // Copies: a link would be changed where the cache is.
    env: &[
        ("UV_CACHE_DIR", "${cache}/uv"),
        ("UV_COMPILE_BYTECODE", "1"),
        ("UV_LINK_MODE", "copy"),
        ("UV_NO_PROGRESS", "1"),
        ("UV_PYTHON_DOWNLOADS", "never"),
    ],
};

const POETRY: Manager = Manager {
    program: "poetry",
    version: Some(">=2"),
    lock: "poetry.lock",
    manifest: "pyproject.toml",
    table: Some("poetry"),
    lock_command: "poetry lock",
    dependencies: &[
        "sync",
        "--only=main",
        "--no-root",
        "--compile",
        "--no-interaction",
    ],
    project: &["sync", "--only=main", "--compile", "--no-interaction"],
    makes_environment: false,
    compiles: true,
    env: &[
        ("POETRY_CACHE_DIR", "${cache}/poetry"),
        ("POETRY_VIRTUALENVS_CREATE", "false"),
    ],
};

const PDM: Manager = Manager {
    program: "pdm",
    version: None,
    lock: "pdm.lock",
    manifest: "pyproject.toml",
    table: Some("pdm"),
    lock_command: "pdm lock",
    dependencies: &["install", "--check", "--prod", "--no-self"],
    project: &["install", "--check", "--prod"],
    makes_environment: false,
    compiles: false,
    env: &[
        ("PDM_CACHE_DIR", "${cache}/pdm"),
        ("PDM_CHECK_UPDATE", "false"),
    ],
};

const PIPENV: Manager = Manager {
    program: "pipenv",
    version: None,
    lock: "Pipfile.lock",
    manifest: "Pipfile",
    table: None,
    lock_command: "pipenv lock",
    dependencies: &["install", "--deploy"],
    project: &["install", "--deploy"],
    makes_environment: false,
    compiles: true,
    env: &[
        ("PIPENV_CACHE_DIR", "${cache}/pipenv"),
        ("PIPENV_NOSPIN", "1"),
        ("PIPENV_VERBOSITY", "-1"),
        ("PIPENV_YES", "1"),
    ],
};

pub(super) const MANAGERS: [&Manager; 4] = [&UV, &POETRY, &PDM, &PIPENV];

/// The manager whose lock file is there. Two of them cannot both say what is installed.
pub(super) fn locked(cx: &PlanContext<'_>) -> Result<Option<&'static Manager>> {
    let mut found = MANAGERS
        .iter()
        .filter(|manager| cx.source.has(manager.lock));
    match (found.next(), found.next()) {
        (Some(a), Some(b)) => Err(two_managers((a.lock, a.program), (b.lock, b.program))),
        (first, _) => Ok(first.copied()),
    }
}

/// The manager that a project without a lock was made for.
pub(super) fn meant(cx: &PlanContext<'_>, pyproject: &toml::Table) -> Option<&'static Manager> {
    let has_table = |name| source::toml_value(pyproject, &["tool", name]).is_some();
    MANAGERS.into_iter().find(|manager| match manager.table {
        Some(table) => has_table(table),
        None => cx.source.has(manager.manifest),
    })
}

/// The refusal where its lock is missing.
pub(super) fn missing(manager: &Manager) -> PluginError {
    missing_lock(manager.manifest, manager.lock_command)
}

/// Names of all packages that a lock holds.
pub(super) fn names(cx: &PlanContext<'_>, manager: &Manager) -> Result<BTreeSet<String>> {
    if manager.lock == "Pipfile.lock" {
        let lock = source::json(cx, manager.lock)?.unwrap_or_default();
        let default = lock.get("default").and_then(Value::as_object);
        return Ok(default
            .into_iter()
            .flatten()
            .map(|(name, _)| requirements::name(name))
            .collect());
    }
    let lock = source::lock_toml(cx, manager.lock)?.unwrap_or_default();
    let packages = lock.get("package").and_then(toml::Value::as_array);
    let names = packages
        .into_iter()
        .flatten()
        .filter_map(|package| package.get("name")?.as_str());
    Ok(names.map(requirements::name).collect())
}
