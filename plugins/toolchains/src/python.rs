//! Python: the virtual environment that an app runs in, and how the app starts. This slice installs with pip; the lock files of other
//! tools are named and refused, never half read.
//!
//! Guarantees: what can be installed from the declared files alone goes into a layer; what needs the source itself (`pip install .`,
//! `-e .`) goes into the release, and a note says so. pip byte-compiles what it installs. The modules of an app that is not small
//! are byte-compiled too, and one that does not compile is reported, not fatal: it may be a template or another version's.

mod bytecode;
mod project;
mod requirements;
mod start;

use std::collections::BTreeMap;
use std::path::Path;

use hop3_plugin_api::{
    ArtifactKind, BuildCommand, BuildPlan, BuildStep, EnvKey, LanguageToolchain, LayerMode,
    LayerPlan, PlanContext, PluginError, Result, RuntimeSpec, ToolRequirement, Verdict,
};

use crate::source::{self, config, env_key};
use crate::version::{self, Pin, Places};
use project::{Install, Project};

const NAME: &str = "python";
const PLACES: Places = Places {
    language: NAME,
    names: &[NAME],
    own_files: &[".python-version"],
};

/// Files of which each makes a source one of Python.
const MANIFESTS: [&str; 8] = [
    "requirements.txt",
    "pyproject.toml",
    "Pipfile",
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "setup.py",
    "manage.py",
];

/// Modules that make a source without a manifest one of Python: it uses the standard library alone.
const ENTRY_MODULES: [&str; 4] = ["app.py", "main.py", "wsgi.py", "asgi.py"];

/// Python.
#[derive(Debug, Clone, Copy, Default)]
pub struct Python;

impl LanguageToolchain for Python {
    fn name(&self) -> &'static str {
        NAME
    }

    fn detects(&self) -> &'static [&'static str] {
        &[
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
        ]
    }

    fn accept(&self, cx: &PlanContext<'_>) -> Verdict {
        if source::is_named(cx, NAME) {
            return Verdict::Accept;
        }
        match source::files(cx, "") {
            Ok(files) => Verdict::when(
                is_python(&files),
                "there is no requirements.txt, pyproject.toml or other manifest of Python, and no app.py or main.py",
            ),
            Err(error) => Verdict::Reject(error.to_string()),
        }
    }

    fn plan(&self, cx: &PlanContext<'_>) -> Result<BuildPlan> {
        let project = project::read(cx)?;
        let tool = tool(cx, &project)?;
        let venv = Venv::of(&project);
        let start = start::guess(cx, &project.names)?;
        let mut steps = venv.release_steps(&project, &tool.program);
        if bytecode::pays(cx)? {
            let args = ["-c", bytecode::COMPILE, "${app}"];
            steps.push(venv.python_step("byte-compile the app", &args));
        }
        steps.extend(start.collects_static.then(|| {
            venv.python_step(
                "collect static files",
                &["manage.py", "collectstatic", "--noinput"],
            )
        }));
        Ok(BuildPlan {
            toolchain: NAME.to_owned(),
            kind: ArtifactKind::Virtualenv,
            layers: venv.layer(&project, &tool.program).into_iter().collect(),
            tools: vec![tool],
            steps,
            env: venv.build_env(),
            runtime: RuntimeSpec {
                workers: start.workers,
                ..venv.runtime()
            },
            notes: project.notes.into_iter().chain(start.notes).collect(),
        })
    }
}

fn is_python(files: &[String]) -> bool {
    let has = |name: &&str| files.iter().any(|file| file == name);
    let has_module = files
        .iter()
        .any(|file| Path::new(file).extension() == Some("py".as_ref()));
    MANIFESTS.iter().chain(&ENTRY_MODULES).any(has) || (has_module && has(&".python-version"))
}

/// Where the virtual environment is made.
enum Venv {
    /// In a layer, shared by releases.
    Layer,
    /// In the release, because its installation reads the source.
    Release,
}

impl Venv {
    fn of(project: &Project) -> Self {
        if project.needs_source {
            Self::Release
        } else {
            Self::Layer
        }
    }

    /// Its directory as the steps that come after it know it.
    fn directory(&self) -> &'static str {
        match self {
            Self::Layer => "${layer:venv}",
            Self::Release => "${app}/.venv",
        }
    }

    fn layer(&self, project: &Project, program: &str) -> Option<LayerPlan> {
        matches!(self, Self::Layer).then(|| LayerPlan {
            name: "venv".to_owned(),
            mode: LayerMode::Mount,
            target: None,
            inputs: project.inputs.clone(),
            steps: installation(project, program, "${layer}"),
        })
    }

    fn release_steps(&self, project: &Project, program: &str) -> Vec<BuildStep> {
        match self {
            Self::Layer => Vec::new(),
            Self::Release => installation(project, program, self.directory()),
        }
    }

    fn python_step(&self, name: &str, args: &[&str]) -> BuildStep {
        let python = format!("{}/bin/python", self.directory());
        step(
            name,
            false,
            std::iter::once(python.as_str()).chain(args.iter().copied()),
        )
    }

    fn build_env(&self) -> BTreeMap<EnvKey, String> {
        [
            (env_key("VIRTUAL_ENV"), self.directory().to_owned()),
            (env_key("PYTHONUNBUFFERED"), "1".to_owned()),
        ]
        .into()
    }

    /// Releases are not writable, so Python must not try to write its cache there.
    fn runtime(&self) -> RuntimeSpec {
        let mut env = self.build_env();
        env.insert(env_key("PYTHONDONTWRITEBYTECODE"), "1".to_owned());
        RuntimeSpec {
            env,
            path: vec![format!("{}/bin", self.directory())],
            ..RuntimeSpec::default()
        }
    }
}

/// Makes the environment and fills it. Without anything to install it needs no pip, which takes most of the time.
fn installation(project: &Project, program: &str, directory: &str) -> Vec<BuildStep> {
    let mut create = vec![program, "-m", "venv", "--clear"];
    if project.installs_nothing() {
        create.push("--without-pip");
    }
    create.push(directory);
    let name = "create the virtual environment";
    std::iter::once(step(name, false, create))
        .chain(installs(project, directory))
        .collect()
}

fn installs(project: &Project, directory: &str) -> Vec<BuildStep> {
    let main: Vec<&str> = match &project.install {
        Install::Nothing => Vec::new(),
        Install::Requirements { hashed: true } => {
            vec!["--require-hashes", "-r", project::REQUIREMENTS]
        }
        Install::Requirements { hashed: false } => vec!["-r", project::REQUIREMENTS],
        Install::Listed(packages) => packages.iter().map(String::as_str).collect(),
        Install::Project => vec!["."],
    };
    let extra: Vec<&str> = project.extra.iter().map(String::as_str).collect();
    [
        ("install dependencies", main),
        ("install `pip-install` packages", extra),
    ]
    .into_iter()
    .filter(|(_, args)| !args.is_empty())
    .map(|(name, args)| pip_install(name, directory, args))
    .collect()
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
    step(
        name,
        true,
        std::iter::once(python.as_str()).chain(pip).chain(args),
    )
}

fn step<'a>(name: &str, network: bool, words: impl IntoIterator<Item = &'a str>) -> BuildStep {
    BuildStep {
        name: name.to_owned(),
        command: BuildCommand::Argv(words.into_iter().map(str::to_owned).collect()),
        network,
    }
}

/// The interpreter: `python3.12` where a version of it is pinned, `python3` and a condition where a range is given.
fn tool(cx: &PlanContext<'_>, project: &Project) -> Result<ToolRequirement> {
    let manifest = project.requires_python.as_deref();
    let manifest = manifest.map(|range| Pin::new(range, "pyproject.toml"));
    let Some(pin) = version::pinned(cx, &PLACES, manifest)? else {
        return Ok(tool_of("python3".to_owned(), None));
    };
    let version = bare_version(&pin.version);
    if matches!(version, "system" | "latest") {
        return Ok(tool_of("python3".to_owned(), None));
    }
    let exact = version
        .split('.')
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    let program = match version.split('.').collect::<Vec<_>>()[..] {
        [major, minor, ..] if exact => format!("python{major}.{minor}"),
        _ if exact || is_range(version) => "python3".to_owned(),
        _ => return Err(not_cpython(&pin)),
    };
    let pin = Pin::new(version, pin.by);
    Ok(tool_of(program, Some(pin)))
}

fn tool_of(program: String, pin: Option<Pin>) -> ToolRequirement {
    let (version, pinned_by) = pin.map(|pin| (pin.version, pin.by)).unzip();
    ToolRequirement {
        program,
        version,
        pinned_by,
    }
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
    text.starts_with(['<', '>', '=', '!', '~'])
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
