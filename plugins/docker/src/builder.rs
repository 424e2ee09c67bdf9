//! The builder `docker`: an image from a Dockerfile, or the source of a compose file, or nothing but the name of a pinned image.
//! It starts nothing, and pushes and pulls only what `docker build` itself does.

use std::collections::{BTreeMap, BTreeSet};

use hop3_plugin_api::{
    Abort, ArtifactKind, ArtifactLocation, BuildArtifact, BuildCommand, BuildPlan, BuildStep,
    Builder, Context, Digest, Finding, HostContext, LanguageToolchain, PlanContext, PluginError,
    Result, RuntimeSpec, ToolRequirement, Verdict, async_trait,
};

use crate::examine;
use crate::image;
use crate::settings::DockerTable;
use crate::source_file::Recipe;

/// The metadata key with the compose file's name in the source.
pub(crate) const COMPOSE_FILE: &str = "compose";
/// The metadata key with the id of an image that was built here.
pub(crate) const IMAGE_ID: &str = "image-id";

/// The metadata key with what built it: `buildkit` or `classic`.
pub(crate) const BUILT_BY: &str = "built-by";

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
            tools: vec![ToolRequirement {
                program: "docker".to_owned(),
                version: None,
                pinned_by: None,
            }],
            steps: steps(cx, &recipe)?,
            notes: recipe.notes(cx),
            ..BuildPlan::new(self.name(), ArtifactKind::DockerImage)
        })
    }

    async fn build(&self, cx: &Context<'_>, plan: &BuildPlan) -> Result<BuildArtifact> {
        let artifact = |location, metadata| BuildArtifact {
            kind: ArtifactKind::DockerImage,
            location,
            key: Digest::of(&(cx.plan.source.digest(), &plan.steps, &cx.plan.config.docker)),
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
            Recipe::Dockerfile { from, compose } => {
                export(cx).await?;
                let built = image::build(cx, plan, &from).await?;
                let mut metadata = compose_metadata(compose);
                metadata.insert(IMAGE_ID.to_owned(), built.id.clone());
                metadata.insert(BUILT_BY.to_owned(), built.by.to_owned());
                let location = ArtifactLocation::Image(format!("{}@{}", built.tag, built.id));
                Ok(artifact(location, metadata))
            }
        }
    }

    async fn examine(&self, machine: HostContext<'_>, _tools: &BTreeSet<String>) -> Vec<Finding> {
        examine::examine(machine).await
    }
}

fn recipe(cx: &PlanContext<'_>) -> Result<Recipe> {
    Recipe::of(cx)?.ok_or_else(|| Abort::new(WHAT_IT_TAKES).into())
}

fn steps(cx: &PlanContext<'_>, recipe: &Recipe) -> Result<Vec<BuildStep>> {
    let Recipe::Dockerfile { from, .. } = recipe else {
        return Ok(Vec::new());
    };
    let offline = cx.config.build.offline;
    Ok(vec![BuildStep {
        name: "build the image".to_owned(),
        command: BuildCommand::Argv(image::words(&DockerTable::of(cx.config)?, from, offline)),
        network: !offline,
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
