//! The builder `docker`: an image from a Dockerfile, or the source of a compose file, or nothing but the name of a pinned image.
//! It starts nothing, and pushes and pulls only what `docker build` itself does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hop3_plugin_api::{
    Abort, ArtifactKind, ArtifactLocation, BuildArtifact, BuildCommand, BuildPlan, BuildStep,
    Builder, Context, Digest, LanguageToolchain, OutputCap, PlanContext, PluginError, Result,
    RuntimeSpec, Task, ToolRequirement, Verdict, async_trait,
};

use crate::engine::Engine;
use crate::settings::DockerTable;
use crate::source_file::Recipe;
use crate::{failure, names};

/// The metadata key with the compose file's name in the source.
pub(crate) const COMPOSE_FILE: &str = "compose";
/// The metadata key with the id of an image that was built here.
pub(crate) const IMAGE_ID: &str = "image-id";

const DEFAULT_TIMEOUT: Duration = Duration::from_mins(30);
const WHAT_IT_TAKES: &str = "there is no `Dockerfile` and no compose file in the source";

/// Builds with a Docker engine.
#[derive(Debug, Clone, Copy, Default)]
pub struct DockerBuilder;

#[async_trait]
impl Builder for DockerBuilder {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn accept(&self, cx: &PlanContext<'_>) -> Verdict {
        match Recipe::of(cx) {
            Ok(recipe) => Verdict::when(recipe.is_some(), WHAT_IT_TAKES),
            Err(error) => Verdict::Reject(error.to_string()),
        }
    }

    fn uses_toolchain(&self) -> bool {
        false
    }

    fn plan(
        &self,
        cx: &PlanContext<'_>,
        _toolchain: Option<&dyn LanguageToolchain>,
    ) -> Result<BuildPlan> {
        let recipe = recipe(cx)?;
        Ok(BuildPlan {
            toolchain: self.name().to_owned(),
            kind: ArtifactKind::DockerImage,
            tools: vec![ToolRequirement {
                program: "docker".to_owned(),
                version: None,
                pinned_by: None,
            }],
            layers: Vec::new(),
            steps: steps(cx, &recipe)?,
            env: BTreeMap::new(),
            runtime: RuntimeSpec::default(),
            notes: recipe.notes(cx),
            finish: Vec::new(),
        })
    }

    async fn build(&self, cx: &Context<'_>, plan: &BuildPlan) -> Result<BuildArtifact> {
        let artifact = |location, metadata| BuildArtifact {
            kind: ArtifactKind::DockerImage,
            location,
            key: Digest::of(&(cx.plan.source.digest(), &plan.steps)),
            metadata,
            cloned: BTreeSet::new(),
            runtime: RuntimeSpec::default(),
        };
        match recipe(&cx.plan)? {
            Recipe::Image(image) => Ok(artifact(ArtifactLocation::Image(image), BTreeMap::new())),
            Recipe::Compose(file) => {
                export(cx).await?;
                Ok(artifact(source_location(cx)?, compose_metadata(Some(file))))
            }
            Recipe::Dockerfile { compose } => {
                export(cx).await?;
                let (image, id) = build_image(cx, plan).await?;
                let mut metadata = compose_metadata(compose);
                metadata.insert(IMAGE_ID.to_owned(), id.clone());
                let location = ArtifactLocation::Image(format!("{image}@{id}"));
                Ok(artifact(location, metadata))
            }
        }
    }
}

fn recipe(cx: &PlanContext<'_>) -> Result<Recipe> {
    Recipe::of(cx)?.ok_or_else(|| Abort::new(WHAT_IT_TAKES).into())
}

fn steps(cx: &PlanContext<'_>, recipe: &Recipe) -> Result<Vec<BuildStep>> {
    if !matches!(recipe, Recipe::Dockerfile { .. }) {
        return Ok(Vec::new());
    }
    let mut words = vec!["docker".to_owned(), "build".to_owned()];
    for (key, value) in DockerTable::of(cx.config)?.build_args {
        words.extend(["--build-arg".to_owned(), format!("{key}={value}")]);
    }
    if cx.config.build.offline {
        words.push("--network=none".to_owned());
    }
    words.push("${app}".to_owned());
    Ok(vec![BuildStep {
        name: "build the image".to_owned(),
        command: BuildCommand::Argv(words),
        network: !cx.config.build.offline,
    }])
}

async fn export(cx: &Context<'_>) -> Result<()> {
    let into = &cx.paths.build;
    Ok(cx.host.export_tree(cx.plan.source, None, into).await?)
}

fn source_location(cx: &Context<'_>) -> Result<ArtifactLocation> {
    let relative = cx.paths.build.strip_prefix(&cx.paths.app);
    let relative = relative
        .map_err(|e| PluginError::other("could not name the directory of the release", e))?;
    Ok(ArtifactLocation::Directory(relative.display().to_string()))
}

fn compose_metadata(file: Option<String>) -> BTreeMap<String, String> {
    let entry = file.map(|file| (COMPOSE_FILE.to_owned(), file));
    entry.into_iter().collect()
}

/// Runs the plan's one step and tells the image's tag and id.
async fn build_image(cx: &Context<'_>, plan: &BuildPlan) -> Result<(String, String)> {
    let number = names::release_number(cx).ok_or_else(|| {
        Abort::new(format!(
            "`{}` is not the directory of a release",
            cx.paths.release.display()
        ))
    })?;
    let image = names::image(cx.plan.app, number);
    let id_file = cx.paths.cache.join(format!("image-{number}.id"));
    let engine = Engine::new(cx.machine)?;
    let what = format!("build the image of {}", cx.plan.app);
    let mut task = engine.task(what, words_of(cx, plan));
    task.args.splice(
        1..1,
        [
            "--tag".to_owned(),
            image.clone(),
            "--label".to_owned(),
            format!("{}={}", names::INSTALL, cx.install),
            "--label".to_owned(),
            format!("{}={}", names::APP, cx.plan.app),
            "--iidfile".to_owned(),
            id_file.display().to_string(),
        ],
    );
    run_build(cx, &engine, task).await?;
    let id = cx.host.read(&id_file).await?.unwrap_or_default();
    let id = String::from_utf8_lossy(&id).trim().to_owned();
    if !id.starts_with("sha256:") {
        return Err(PluginError::other(
            format!("could not read the id of the image `{image}`"),
            format!("`docker build` left `{id}` in `{}`", id_file.display()),
        ));
    }
    Ok((image, id))
}

/// The plan's words after the program itself, with this release's directory.
fn words_of(cx: &Context<'_>, plan: &BuildPlan) -> Vec<String> {
    let directory = cx.paths.build.display().to_string();
    let steps = plan.steps.iter().filter_map(|step| match &step.command {
        BuildCommand::Argv(words) => Some(words),
        _ => None,
    });
    let words = steps.flatten().skip(1);
    words
        .map(|word| {
            if word == "${app}" {
                directory.clone()
            } else {
                word.clone()
            }
        })
        .collect()
}

async fn run_build(cx: &Context<'_>, engine: &Engine<'_>, task: Task) -> Result<()> {
    let mut task = task
        .deadline(cx.plan.config.build.timeout.unwrap_or(DEFAULT_TIMEOUT))
        .env("BUILDKIT_PROGRESS", "plain");
    task.dir.clone_from(&cx.paths.build);
    task.output = OutputCap {
        log: Some(cx.paths.log.join("build.log")),
        ..OutputCap::default()
    };
    let exit = engine.run(&task).await?;
    if exit.success() {
        return Ok(());
    }
    Err(PluginError::Command {
        command: task.command_line(),
        status: exit.status.to_string(),
        tail: failure::failing_step(&exit.tail),
    })
}
