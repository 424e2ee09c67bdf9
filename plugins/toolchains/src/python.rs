//! Python: the virtual environment that an app runs in, and how the app starts. pip installs from requirements.txt; uv, Poetry, PDM and
//! pipenv install from their own locks.
//!
//! Guarantees: what can be installed from the declared files alone goes into a layer; what needs the source itself (`pip install .`,
//! `-e .`, a project with a `src` directory) goes into the release, and a note says so. What is installed is byte-compiled. The modules
//! of an app that is not small are byte-compiled too, and one that does not compile is reported, not fatal: it may be a template or
//! another version's.

mod bytecode;
mod locks;
mod project;
mod requirements;
mod start;
mod venv;

use std::path::Path;

use hop3_plugin_api::{
    ArtifactKind, BuildPlan, Evidence, PlanContext, PluginError, Rank, Result, RuntimeSpec,
    ToolRequirement, ToolchainDescription,
};

use crate::language::{Language, first_of};
use crate::place::Place;
use crate::source::{self, config};
use crate::steps::tool;
use crate::version::{self, Pin, PinFile, Places, is_open, is_plain};
use project::{PYPROJECT, Project};
use venv::Venv;

const NAME: &str = "python";
const PLACES: Places = Places {
    language: NAME,
    names: &[NAME],
    own_files: &[(".python-version", PinFile::Word)],
};

/// Files of which each makes a source one of Python.
const MANIFESTS: [&str; 6] = [
    "requirements.txt",
    "Pipfile",
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "setup.py",
];

/// Modules that make a source without a manifest one of Python: it uses the standard library alone.
const ENTRY_MODULES: [&str; 5] = ["manage.py", "app.py", "main.py", "wsgi.py", "asgi.py"];

/// Python.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Python;

impl Language for Python {
    fn name(&self) -> &'static str {
        NAME
    }

    fn describe(&self) -> ToolchainDescription {
        ToolchainDescription {
            tools: &["python3", "uv", "poetry", "pdm", "pipenv"],
            detects: &[
                "requirements.txt",
                "pyproject.toml",
                "Pipfile",
                "uv.lock",
                "poetry.lock",
                "pdm.lock",
                "setup.py",
                "manage.py",
                ".python-version beside a module",
                "app.py, main.py, wsgi.py or asgi.py",
            ],
            locks: &[
                (
                    "requirements.txt",
                    "pip install -r, with --require-hashes where it has hashes; it goes before the others",
                ),
                ("uv.lock", "uv sync --locked --no-dev"),
                ("poetry.lock", "poetry sync --only=main, of Poetry 2"),
                ("pdm.lock", "pdm install --check --prod"),
                ("Pipfile.lock", "pipenv install --deploy"),
            ],
            pins: &[
                "`python-version` in `[build]`",
                ".python-version",
                ".tool-versions",
                "mise.toml",
                "`requires-python` in pyproject.toml",
            ],
            builds: &["Django's collectstatic, where the settings have STATIC_ROOT"],
            starts: &[
                "gunicorn or uvicorn, where it is installed and an app object is found",
                "main.py, app.py or server.py",
            ],
            remarks: &[
                "dependencies are installed in a layer that releases use where it is; what is installed from the source itself, in each release",
                "`DISABLE_COLLECTSTATIC` in `[build.env]` turns collecting off",
            ],
            ..ToolchainDescription::default()
        }
    }

    fn evidence(&self, cx: &PlanContext<'_>) -> Result<Option<Evidence>> {
        if let Some(found) = first_of(cx, Rank::Manifest, &MANIFESTS) {
            return Ok(Some(found));
        }
        if names_a_project(cx) {
            return Ok(first_of(cx, Rank::Manifest, &[PYPROJECT]));
        }
        let sign = first_of(cx, Rank::Sign, &ENTRY_MODULES);
        let sign = sign.or_else(|| first_of(cx, Rank::Sign, &[PYPROJECT]));
        if sign.is_some() {
            return Ok(sign);
        }
        let is_module = |file: &String| Path::new(file).extension() == Some("py".as_ref());
        let pinned = source::files(cx, "")?.iter().any(is_module);
        Ok(first_of(cx, Rank::Sign, &[".python-version"]).filter(|_| pinned))
    }

    fn lacks(&self) -> &'static str {
        "there is no requirements.txt, pyproject.toml or other manifest of Python, and no app.py or main.py"
    }

    fn plan(&self, place: &Place<'_>) -> Result<BuildPlan> {
        let cx = &place.cx;
        let project = project::read(cx)?;
        let python = interpreter(place, &project)?;
        let venv = Venv::of(&project, &python.program);
        let start = start::guess(cx, &project.names)?;
        let mut plan = BuildPlan::new(NAME, ArtifactKind::Virtualenv);
        plan.layers.extend(venv.layer());
        plan.steps = venv.release_steps();
        if bytecode::pays(cx)? {
            let args = ["-c", bytecode::COMPILE, "${app}"];
            plan.steps
                .push(venv.python_step("byte-compile the app", &args));
        }
        plan.steps.extend(start.collects_static.then(|| {
            let args = ["manage.py", "collectstatic", "--noinput"];
            venv.python_step("collect static files", &args)
        }));
        plan.env = venv.build_env();
        plan.runtime = RuntimeSpec {
            workers: start.workers,
            ..venv.runtime()
        };
        plan.tools = std::iter::once(python)
            .chain(manager_tool(&project))
            .collect();
        plan.notes = project.notes.iter().cloned().chain(start.notes).collect();
        Ok(plan)
    }
}

/// Whether pyproject.toml speaks of an app, and not only of tools that read it.
fn names_a_project(cx: &PlanContext<'_>) -> bool {
    // One that cannot be read is looked at when it is planned for, which says why.
    let Ok(pyproject) = source::toml(cx, PYPROJECT) else {
        return true;
    };
    let pyproject = pyproject.unwrap_or_default();
    let tools = ["poetry", "pdm", "uv"];
    let tool = tools
        .iter()
        .any(|name| source::toml_value(&pyproject, &["tool", name]).is_some());
    tool || pyproject.contains_key("project") || pyproject.contains_key("build-system")
}

fn manager_tool(project: &Project) -> Option<ToolRequirement> {
    let manager = project.manager()?;
    let pin = manager
        .version
        .map(|version| Pin::new(version, manager.lock));
    Some(tool(manager.program, pin))
}

/// The interpreter: `python3.12` where a version of it is pinned, `python3` and a condition where a range is given.
fn interpreter(place: &Place<'_>, project: &Project) -> Result<ToolRequirement> {
    let text = source::text(&place.cx, PYPROJECT)?.unwrap_or_default();
    let manifest = project.requires_python.as_ref();
    let manifest =
        manifest.map(|(range, word)| Pin::of_manifest(place, (PYPROJECT, &text), (word, range)));
    let Some(pin) = version::pinned(place, &PLACES, manifest)? else {
        return Ok(tool("python3", None));
    };
    let version = bare_version(&pin.version).to_owned();
    if is_open(&version) {
        return Ok(tool("python3", None));
    }
    let exact = is_plain(&version);
    let program = match version.split('.').collect::<Vec<_>>()[..] {
        [major, minor, ..] if exact => format!("python{major}.{minor}"),
        _ if exact || is_range(&version) => "python3".to_owned(),
        _ => return Err(not_cpython(&pin)),
    };
    Ok(tool(&program, Some(pin.reworded(version))))
}

/// `cpython-3.12`, `python-3.12.4`, `3.12.x` and `3.12.*` all mean 3.12.
fn bare_version(text: &str) -> &str {
    let text = text.strip_prefix("cpython-").unwrap_or(text);
    let text = text.strip_prefix("python-").unwrap_or(text);
    let text = text.strip_suffix(".x").unwrap_or(text);
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        text.strip_suffix(".*").unwrap_or(text)
    } else {
        text
    }
}

fn is_range(text: &str) -> bool {
    text.starts_with(['<', '>', '=', '!', '~', '^'])
}

fn not_cpython(pin: &Pin) -> PluginError {
    config(
        format!(
            "`{}` asks for Python `{}`, which is no version of CPython",
            pin.by, pin.version
        ),
        Some(
            "write a version such as `3.12`, or set `python-version` in `[build]`, which goes first",
        ),
    )
}
