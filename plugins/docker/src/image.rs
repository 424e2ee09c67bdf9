//! Building the image of a release: the words of `docker build`, which of the engine's builders runs them, and the id that comes out.
//!
//! Guarantees: values of build arguments are in no plan, log or message. An engine that does not answer is found before the build, and told
//! from a step of the Dockerfile that does not end. Only what a registry, the network or the engine did is tried again.
//!
//! Caveats: the client takes these values as words, or from its own environment. There an argument called `LD_PRELOAD` would reach the
//! client itself, so they are words, which the host's other users can see while the client runs.

use std::path::PathBuf;
use std::time::Duration;

use hop3_plugin_api::{
    Abort, BuildCommand, BuildPlan, Context, Exit, ExitStatus, OutputCap, PluginError, Result, Task,
};

use crate::dockerfile;
use crate::engine::Engine;
use crate::settings::DockerTable;
use crate::source_file::Dockerfile;
use crate::{failure, names};

const DEFAULT_TIMEOUT: Duration = Duration::from_mins(30);

const ARGUMENT: &str = "--build-arg";

/// An image that was built.
pub(crate) struct Image {
    /// Its name, one for each release.
    pub(crate) tag: String,
    /// Its content's digest.
    pub(crate) id: String,
    /// `buildkit` or `classic`.
    pub(crate) by: &'static str,
}

/// The command of a plan, without the values of its arguments; `${app}` is the directory of the release.
pub(crate) fn words(table: &DockerTable, from: &Dockerfile, offline: bool) -> Vec<String> {
    let mut words = vec!["docker".to_owned(), "build".to_owned()];
    if !from.is_usual() {
        words.extend(["--file".to_owned(), format!("${{app}}/{}", from.path)]);
    }
    if let Some(target) = &table.target {
        words.extend(["--target".to_owned(), target.clone()]);
    }
    for key in table.build_args.keys() {
        words.extend([ARGUMENT.to_owned(), key.clone()]);
    }
    if offline {
        words.push("--network=none".to_owned());
    }
    words.push(if from.context.is_empty() {
        "${app}".to_owned()
    } else {
        format!("${{app}}/{}", from.context)
    });
    words
}

/// Which of the engine's two builders there is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum BuiltBy {
    BuildKit,
    Classic,
}

impl BuiltBy {
    /// The client reaches `BuildKit` through its plugin buildx alone.
    async fn find(engine: &Engine<'_>) -> Result<Self> {
        let version = engine.task("ask for buildx's version", ["buildx", "version"]);
        let there = engine.run(&version).await?.success();
        Ok(if there { Self::BuildKit } else { Self::Classic })
    }

    fn name(self) -> &'static str {
        match self {
            Self::BuildKit => "buildkit",
            Self::Classic => "classic",
        }
    }

    /// What the builder is told beyond the plan: the classic one keeps the container of a failing step otherwise.
    fn apply(self, mut task: Task) -> Task {
        match self {
            Self::BuildKit => task.env("DOCKER_BUILDKIT", "1"),
            Self::Classic => {
                task.args.insert(1, "--force-rm".to_owned());
                task.env("DOCKER_BUILDKIT", "0")
            }
        }
    }
}

/// Effect: builds the image of this release, after making sure that the engine answers at all.
pub(crate) async fn build(cx: &Context<'_>, plan: &BuildPlan, from: &Dockerfile) -> Result<Image> {
    let engine = Engine::new(cx.machine)?;
    answers(&engine).await?;
    let builder = BuiltBy::find(&engine).await?;
    let number = release_number(cx)?;
    let tag = names::image(cx.plan.app, number);
    let id_file = cx.paths.cache.join(format!("image-{number}.id"));
    let task = task(cx, &engine, plan)?;
    let mut task = builder.apply(labelled(cx, task, &tag));
    task.args.splice(
        1..1,
        ["--iidfile".to_owned(), id_file.display().to_string()],
    );
    let exit = cx.host.run(&task).await?;
    judge(cx, &engine, (&task, exit), from).await?;
    let id = id_of(cx, &tag, id_file).await?;
    let by = builder.name();
    Ok(Image { tag, id, by })
}

async fn answers(engine: &Engine<'_>) -> Result<()> {
    let words = ["version", "--format", "{{.Server.Version}}"];
    engine.ask("ask the engine for its version", words).await?;
    Ok(())
}

fn release_number(cx: &Context<'_>) -> Result<u32> {
    let directory = cx.paths.release.display();
    let message = format!("`{directory}` is not the directory of a release");
    names::release_number(cx).ok_or_else(|| Abort::new(message).into())
}

fn labelled(cx: &Context<'_>, mut task: Task, tag: &str) -> Task {
    let label = |key: &str, value: &str| ["--label".to_owned(), format!("{key}={value}")];
    let mut words = vec!["--tag".to_owned(), tag.to_owned()];
    words.extend(label(names::INSTALL, cx.install));
    words.extend(label(names::APP, cx.plan.app.as_str()));
    task.args.splice(1..1, words);
    task
}

/// The plan's one step as a program with its surroundings.
fn task(cx: &Context<'_>, engine: &Engine<'_>, plan: &BuildPlan) -> Result<Task> {
    let what = format!("build the image of {}", cx.plan.app);
    let mut task = engine
        .task(what, words_of(cx, plan)?)
        .deadline(cx.plan.config.build.timeout.unwrap_or(DEFAULT_TIMEOUT))
        .env("BUILDKIT_PROGRESS", "plain");
    task.dir.clone_from(&cx.paths.build);
    task.output = OutputCap {
        log: Some(log_file(cx)),
        ..OutputCap::default()
    };
    Ok(task)
}

/// One log per release, kept when the build fails.
fn log_file(cx: &Context<'_>) -> PathBuf {
    let release = cx.paths.release.file_name();
    let release = release.map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    cx.paths.log.join(format!("build-{release}.log"))
}

/// The plan's words after the program itself, with this release's directory and the values of arguments.
fn words_of(cx: &Context<'_>, plan: &BuildPlan) -> Result<Vec<String>> {
    let directory = cx.paths.build.display().to_string();
    let values = DockerTable::of(cx.plan.config)?.build_args;
    let steps = plan.steps.iter().filter_map(|step| match &step.command {
        BuildCommand::Argv(words) => Some(words),
        _ => None,
    });
    let mut words: Vec<String> = Vec::new();
    for word in steps.flatten().skip(1) {
        let value = values
            .get(word)
            .filter(|_| words.last().is_some_and(|last| last == ARGUMENT));
        words.push(match (value, word.strip_prefix("${app}")) {
            (Some(value), _) => format!("{word}={value}"),
            (None, Some(rest)) => format!("{directory}{rest}"),
            (None, None) => word.clone(),
        });
    }
    Ok(words)
}

/// Whether it succeeded; if not, whose fault it is, and which step of the Dockerfile failed.
async fn judge(
    cx: &Context<'_>,
    engine: &Engine<'_>,
    (task, exit): (&Task, Exit),
    from: &Dockerfile,
) -> Result<()> {
    let late = match exit.status {
        ExitStatus::Code(0) => return Ok(()),
        ExitStatus::DeadlineExceeded => {
            answers(engine).await?;
            Some(format!(
                "did not end within the {} s of the build's timeout",
                task.deadline.as_secs()
            ))
        }
        _ if failure::is_infrastructure_of_build(&exit.tail) => {
            return Err(PluginError::other(
                format!("could not {}", task.what),
                failure::verdict(&exit.tail),
            ));
        }
        _ => None,
    };
    let text = cx.plan.source.read(&from.path)?.unwrap_or_default();
    let failed = failure::FailedBuild::read(&exit.tail);
    Err(failed.told(&dockerfile::Named {
        path: &from.path,
        text: &String::from_utf8_lossy(&text),
        late,
    }))
}

async fn id_of(cx: &Context<'_>, tag: &str, file: PathBuf) -> Result<String> {
    let id = cx.host.read(&file).await?.unwrap_or_default();
    let id = String::from_utf8_lossy(&id).trim().to_owned();
    if id.starts_with("sha256:") {
        return Ok(id);
    }
    Err(PluginError::other(
        format!("could not read the id of the image `{tag}`"),
        format!("`docker build` left `{id}` in `{}`", file.display()),
    ))
}
