//! The virtual environment: where it is made, how it is filled, and what an app needs to find it. Pure.

use std::collections::BTreeMap;

use hop3_plugin_api::{BuildStep, EnvKey, LayerPlan, RuntimeSpec};

use super::locks::Manager;
use super::project::{Install, Project, REQUIREMENTS};
use crate::source::env_key;
use crate::steps::{env, fetch, step};

/// Byte-compiles what a manager has installed and left as it was.
const COMPILE: [&str; 4] = ["-m", "compileall", "-q", "{directory}/lib"];

/// The environment of a project.
pub(super) struct Venv<'a> {
    project: &'a Project,
    /// The interpreter's name.
    python: &'a str,
}

impl<'a> Venv<'a> {
    pub(super) fn of(project: &'a Project, python: &'a str) -> Self {
        Self { project, python }
    }

    /// Its directory as the steps that come after it know it: in a layer, shared by releases, unless its installation reads the source.
    fn directory(&self) -> &'static str {
        if self.project.needs_source {
            "${app}/.venv"
        } else {
            "${layer:venv}"
        }
    }

    pub(super) fn layer(&self) -> Option<LayerPlan> {
        let inputs = self.project.inputs.clone();
        (!self.project.needs_source)
            .then(|| LayerPlan::mounted("venv", inputs, self.installation("${layer}")))
    }

    pub(super) fn release_steps(&self) -> Vec<BuildStep> {
        if self.project.needs_source {
            self.installation(self.directory())
        } else {
            Vec::new()
        }
    }

    pub(super) fn python_step(&self, name: &str, args: &[&str]) -> BuildStep {
        let python = format!("{}/bin/python", self.directory());
        step(
            name,
            std::iter::once(python.as_str()).chain(args.iter().copied()),
        )
    }

    pub(super) fn build_env(&self) -> BTreeMap<EnvKey, String> {
        let mut variables = self.common_env();
        if let Some(manager) = self.project.manager() {
            variables.extend(env(manager.env));
            if manager.makes_environment {
                let key = env_key("UV_PROJECT_ENVIRONMENT");
                variables.insert(key, self.directory().to_owned());
            }
        }
        variables
    }

    fn common_env(&self) -> BTreeMap<EnvKey, String> {
        env(&[("VIRTUAL_ENV", self.directory()), ("PYTHONUNBUFFERED", "1")])
    }

    /// Releases are not writable, so Python must not try to write its cache there.
    pub(super) fn runtime(&self) -> RuntimeSpec {
        let mut env = self.common_env();
        env.insert(env_key("PYTHONDONTWRITEBYTECODE"), "1".to_owned());
        RuntimeSpec {
            env,
            path: vec![format!("{}/bin", self.directory())],
            ..RuntimeSpec::default()
        }
    }

    /// Makes the environment and fills it.
    fn installation(&self, directory: &str) -> Vec<BuildStep> {
        let manager = self.project.manager();
        let mut steps = Vec::new();
        if !manager.is_some_and(|manager| manager.makes_environment) {
            steps.push(self.creation(directory));
        }
        match manager {
            Some(manager) => steps.extend(self.by_manager(manager, directory)),
            None => steps.extend(self.by_pip(directory)),
        }
        steps.extend(self.extra(directory));
        steps
    }

    /// pip is left out where nothing needs it: copying it takes most of the time.
    fn creation(&self, directory: &str) -> BuildStep {
        let by_manager = self.project.manager().is_some() && self.project.extra.is_empty();
        let mut words = vec![self.python, "-m", "venv", "--clear"];
        if self.project.installs_nothing() || by_manager {
            words.push("--without-pip");
        }
        words.push(directory);
        step("create the virtual environment", words)
    }

    fn by_manager(&self, manager: &Manager, directory: &str) -> Vec<BuildStep> {
        let unlocked = matches!(self.project.install, Install::Unlocked(_));
        let args = match (self.project.needs_source, unlocked) {
            (_, true) => ["install", "--skip-lock"].as_slice(),
            (true, false) => manager.project,
            (false, false) => manager.dependencies,
        };
        let args: Vec<String> = args
            .iter()
            .map(|arg| arg.replace("{python}", self.python))
            .collect();
        let words = std::iter::once(manager.program).chain(args.iter().map(String::as_str));
        let mut steps = vec![fetch("install dependencies", words)];
        if !manager.compiles {
            let python = format!("{directory}/bin/python");
            let args = COMPILE.map(|word| word.replace("{directory}", directory));
            let words = std::iter::once(python.as_str()).chain(args.iter().map(String::as_str));
            steps.push(step("byte-compile dependencies", words));
        }
        steps
    }

    fn by_pip(&self, directory: &str) -> Option<BuildStep> {
        let args: Vec<&str> = match &self.project.install {
            Install::Requirements { hashed: true } => vec!["--require-hashes", "-r", REQUIREMENTS],
            Install::Requirements { hashed: false } => vec!["-r", REQUIREMENTS],
            Install::Listed(packages) => packages.iter().map(String::as_str).collect(),
            Install::Project => vec!["."],
            Install::Nothing | Install::Locked(_) | Install::Unlocked(_) => return None,
        };
        Some(pip_install("install dependencies", directory, args))
    }

    fn extra(&self, directory: &str) -> Option<BuildStep> {
        if self.project.extra.is_empty() {
            return None;
        }
        let name = "install `pip-install` packages";
        let packages = self.project.extra.iter().map(String::as_str);
        let manager = self.project.manager();
        if manager.is_some_and(|manager| manager.makes_environment) {
            let python = format!("--python={directory}/bin/python");
            let words = ["uv", "pip", "install", python.as_str()].into_iter();
            return Some(fetch(name, words.chain(packages)));
        }
        Some(pip_install(name, directory, packages.collect()))
    }
}

/// pip is run as a module: its own script's first line has a length limit that a deep data dir would break.
fn pip_install(name: &str, directory: &str, args: Vec<&str>) -> BuildStep {
    let python = format!("{directory}/bin/python");
    let pip = [
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
    ];
    fetch(
        name,
        std::iter::once(python.as_str()).chain(pip).chain(args),
    )
}
