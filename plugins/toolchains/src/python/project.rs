//! What a Python source wants installed: from requirements.txt, else from a manager's lock, else from pyproject.toml, else nothing. Pure.

use std::collections::BTreeSet;

use hop3_plugin_api::{PlanContext, PluginError, Result};

use super::locks::{self, Manager};
use super::requirements;
use crate::source::{self, config, toml_string, toml_value};
use crate::steps::{UNLOCKED_NOTE, missing_lock};

pub(super) const REQUIREMENTS: &str = "requirements.txt";
pub(super) const PYPROJECT: &str = "pyproject.toml";
const LOCK_COMMAND: &str = "pip-compile --generate-hashes -o requirements.txt";

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
    /// A manager's lock.
    Locked(&'static Manager),
    /// A Pipfile without its lock.
    Unlocked(&'static Manager),
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
    /// Names of what is asked for directly, or of all that is locked, normalised.
    pub(super) names: BTreeSet<String>,
    /// Files that decide what is installed.
    pub(super) inputs: Vec<String>,
    /// Whether installing reads more of the source than its inputs.
    pub(super) needs_source: bool,
    /// The range of Python that the manifest asks for, with a word of its line.
    pub(super) requires_python: Option<(String, &'static str)>,
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

    /// The manager that installs, where it is not pip.
    pub(super) fn manager(&self) -> Option<&'static Manager> {
        match self.install {
            Install::Locked(manager) | Install::Unlocked(manager) => Some(manager),
            _ => None,
        }
    }

    fn install_in_release(&mut self, why: &str) {
        self.needs_source = true;
        self.notes.push(format!(
            "{why}, so dependencies are installed anew in each release"
        ));
    }
}

/// Reads the manifests.
pub(super) fn read(cx: &PlanContext<'_>) -> Result<Project> {
    let pyproject = source::toml(cx, PYPROJECT)?.unwrap_or_default();
    let locked = locks::locked(cx)?;
    let mut project = match locked {
        _ if cx.source.has(REQUIREMENTS) => from_requirements(cx, locked)?,
        Some(manager) => from_lock(cx, manager, &pyproject)?,
        None => without_lock(cx, &pyproject)?,
    };
    project.requires_python = requires_python(&pyproject);
    add_extra(cx, &mut project)?;
    Ok(project)
}

fn requires_python(pyproject: &toml::Table) -> Option<(String, &'static str)> {
    let standard = toml_string(pyproject, &["project", "requires-python"]);
    let poetry = toml_string(pyproject, &["tool", "poetry", "dependencies", "python"]);
    let standard = standard.map(|range| (range.to_owned(), "requires-python"));
    standard.or_else(|| poetry.map(|range| (range.to_owned(), "python = ")))
}

fn from_requirements(cx: &PlanContext<'_>, locked: Option<&Manager>) -> Result<Project> {
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
    let unread = locked.map(|manager| manager.lock);
    let unread = unread.or_else(|| cx.source.has("Pipfile").then_some("Pipfile"));
    project.notes.extend(unread.map(|file| {
        format!("`{file}` is not read, because `{REQUIREMENTS}` says what is installed")
    }));
    if let Some(local) = read.local {
        project.install_in_release(&format!(
            "`{REQUIREMENTS}` installs `{local}` from the source"
        ));
    }
    project.names = read.names;
    project.inputs = read.files;
    Ok(project)
}

fn from_lock(
    cx: &PlanContext<'_>,
    manager: &'static Manager,
    pyproject: &toml::Table,
) -> Result<Project> {
    let mut project = Project::new(Install::Locked(manager));
    project.names = locks::names(cx, manager)?;
    project.inputs = vec![manager.manifest.to_owned(), manager.lock.to_owned()];
    let settings = source::present(cx, &["poetry.toml", "pdm.toml", "uv.toml"]);
    project.inputs.extend(settings);
    if let Some(why) = reads_the_source(cx, manager, pyproject)? {
        project.install_in_release(&why);
    }
    Ok(project)
}

/// Why the manifest and the lock alone do not suffice.
fn reads_the_source(
    cx: &PlanContext<'_>,
    manager: &Manager,
    pyproject: &toml::Table,
) -> Result<Option<String>> {
    let lock = source::lock_text(cx, manager.lock)?.unwrap_or_default();
    let beside = [
        "editable = \"",
        "directory = \"",
        "path = \"./",
        "type = \"directory\"",
        "\"path\":",
    ];
    // uv's lock names the project itself by its directory.
    let beside = lock.lines().find(|line| {
        let own = line.contains("editable = \".\"") || line.contains("virtual = \".\"");
        !own && beside.iter().any(|word| line.contains(word))
    });
    if let Some(line) = beside {
        return Ok(Some(format!(
            "`{}` takes a package from the source (`{}`)",
            manager.lock,
            line.trim()
        )));
    }
    let package = is_package(pyproject) && manager.manifest == PYPROJECT;
    if package && source::has_directory(cx, "src") {
        return Ok(Some(format!("`{PYPROJECT}` builds a package from `src`")));
    }
    let scripts = [
        ["project", "scripts"].as_slice(),
        &["tool", "poetry", "scripts"],
    ];
    let has_scripts = scripts
        .iter()
        .any(|path| toml_value(pyproject, path).is_some());
    Ok((package && has_scripts).then(|| format!("`{PYPROJECT}` installs commands of the project")))
}

/// Whether the project can be installed itself.
fn is_package(pyproject: &toml::Table) -> bool {
    let says = |path: &[&str]| toml_value(pyproject, path).and_then(toml::Value::as_bool);
    let off = [
        says(&["tool", "uv", "package"]),
        says(&["tool", "poetry", "package-mode"]),
        says(&["tool", "pdm", "distribution"]),
    ];
    pyproject.contains_key("build-system") && !off.contains(&Some(false))
}

fn without_lock(cx: &PlanContext<'_>, pyproject: &toml::Table) -> Result<Project> {
    let pipfile = cx.source.has("Pipfile") && !cx.source.has(PYPROJECT);
    if !pipfile {
        return from_pyproject(cx, pyproject);
    }
    let manager = locks::meant(cx, pyproject).expect("a Pipfile is pipenv's");
    if !cx.config.build.allow_unlocked {
        return Err(locks::missing(manager));
    }
    let mut project = Project::new(Install::Unlocked(manager));
    project.inputs = vec![manager.manifest.to_owned()];
    project.notes.push(UNLOCKED_NOTE.to_owned());
    let pipfile = source::toml(cx, manager.manifest)?.unwrap_or_default();
    let packages = toml_value(&pipfile, &["packages"]).and_then(toml::Value::as_table);
    let names = packages.into_iter().flatten();
    project.names = names.map(|(name, _)| requirements::name(name)).collect();
    Ok(project)
}

fn from_pyproject(cx: &PlanContext<'_>, pyproject: &toml::Table) -> Result<Project> {
    let listed = listed_dependencies(pyproject)?;
    let builds_package = pyproject.contains_key("build-system")
        || toml_value(pyproject, &["tool", "poetry"]).is_some()
        || dynamic_dependencies(pyproject)
        || (cx.source.has("setup.py") && !pyproject.contains_key("project"));
    let has_dependencies = !listed.is_empty()
        || has_poetry_dependencies(pyproject)
        || dynamic_dependencies(pyproject)
        || cx.source.has("setup.py");
    if has_dependencies && !cx.config.build.allow_unlocked {
        return Err(refused(cx, pyproject));
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
        project.notes.push(UNLOCKED_NOTE.to_owned());
    }
    Ok(project)
}

/// The command is that of the manager whose project it is.
fn refused(cx: &PlanContext<'_>, pyproject: &toml::Table) -> PluginError {
    if let Some(manager) = locks::meant(cx, pyproject) {
        return locks::missing(manager);
    }
    let manifest = if cx.source.has(PYPROJECT) {
        PYPROJECT
    } else {
        "setup.py"
    };
    missing_lock(manifest, LOCK_COMMAND)
}

fn whole_source() -> Project {
    let mut project = Project::new(Install::Project);
    project.install_in_release("the source is installed as a package");
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

/// `[project] dependencies`; an entry that pip would read as an option is refused.
fn listed_dependencies(pyproject: &toml::Table) -> Result<Vec<String>> {
    let entries =
        toml_value(pyproject, &["project", "dependencies"]).and_then(toml::Value::as_array);
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
    source::toml_strings(pyproject, &["project", "dynamic"]).any(|name| name == "dependencies")
}

fn has_poetry_dependencies(pyproject: &toml::Table) -> bool {
    let table =
        toml_value(pyproject, &["tool", "poetry", "dependencies"]).and_then(toml::Value::as_table);
    table.is_some_and(|table| table.keys().any(|name| name != "python"))
}

fn is_requirement(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
}
