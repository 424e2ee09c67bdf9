//! The build itself: tools, layers, the exported source, the steps, the artifact.
//!
//! Guarantees: a build that fails leaves its log and finished layers, and frees everything else. It may be started again at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use hop3_plugin_api::serde_json::json;
use hop3_plugin_api::{
    Abort, ArtifactLocation, BuildArtifact, BuildPlan, Context, Digest, LayerMode, PluginError,
    Result, RuntimeSpec,
};

use crate::layer::{self, Layer};
use crate::settings::{LocalSettings, SandboxPolicy};
use crate::tools;
use crate::workshop::{Bench, Workshop};

/// Builds what a plan says into `cx.paths.build`.
pub(crate) async fn build(cx: &Context<'_>, plan: &BuildPlan) -> Result<BuildArtifact> {
    let settings = cx.section::<LocalSettings>()?;
    refuse_missing_sandbox(cx, &settings)?;
    let tools = tools::resolve(cx, plan, &settings.variables()).await?;
    let layers = layer::layers(cx, plan, &tools)?;
    let directories = layers.iter();
    let directories = directories.map(|layer| (layer.plan.name.clone(), layer.dir.clone()));
    let workshop = Workshop {
        cx,
        plan,
        settings,
        tools,
        layers: directories.collect(),
        started: Instant::now(),
    };
    workshop.prepare().await?;
    let built = workshop.build_all(&layers).await;
    workshop.remove(&workshop.temporary()).await?;
    if built.is_err() {
        workshop.remove(&cx.paths.build).await?;
    }
    built?;
    workshop.artifact(&layers)
}

/// An app that asks for a sandbox is not built without one, whatever the operator trusts.
fn refuse_missing_sandbox(cx: &Context<'_>, settings: &LocalSettings) -> Result<()> {
    if cx.plan.config.build.sandbox_required && settings.sandbox == SandboxPolicy::Off {
        return Err(Abort::new(
            "`[build] sandbox = \"required\"`, and this host builds without a sandbox",
        )
        .hint("set `sandbox` of `[plugin.local]` in agent.toml to `best-effort` or `required`")
        .into());
    }
    Ok(())
}

/// A directory in another one; joining nothing would leave a slash.
pub(crate) fn below(directory: &Path, inner: &str) -> PathBuf {
    if inner.is_empty() {
        directory.to_owned()
    } else {
        directory.join(inner)
    }
}

impl Workshop<'_> {
    /// Makes the directories, and removes what an interrupted build left.
    async fn prepare(&self) -> Result<()> {
        let (host, paths) = (self.cx.host, self.cx.paths);
        self.remove(&paths.build).await?;
        self.remove(&self.temporary()).await?;
        self.remove_unfinished().await?;
        host.ensure_dir(&paths.release, 0o755, None).await?;
        host.ensure_dir(&paths.layers, 0o755, None).await?;
        host.ensure_dir(&paths.log, 0o750, None).await?;
        host.ensure_dir(&paths.cache, 0o700, self.cx.user).await?;
        host.ensure_dir(&self.temporary(), 0o700, self.cx.user)
            .await?;
        Ok(())
    }

    async fn build_all(&self, layers: &[Layer<'_>]) -> Result<()> {
        for layer in layers {
            self.ensure_layer(layer).await?;
        }
        let build = &self.cx.paths.build;
        self.cx
            .host
            .export_tree(self.cx.plan.source, None, build)
            .await?;
        for layer in layers {
            self.clone_layer(layer).await?;
        }
        self.hand_over(build).await?;
        let bench = Bench {
            dir: below(build, &self.plan.runtime.workdir),
            writable: vec![build.clone()],
            layer: None,
        };
        for step in self.plan.steps.iter().chain(&self.plan.finish) {
            self.run(step, &bench).await?;
        }
        self.require_published().await?;
        self.take_back(build).await
    }

    /// Puts a cloned layer where the release wants it. Its stamp stays behind: it speaks of the layer.
    async fn clone_layer(&self, layer: &Layer<'_>) -> Result<()> {
        if let Some(target) = &layer.plan.target {
            let into = self.clone(&layer.dir, target).await?;
            self.remove(&into.join(layer::STAMP)).await?;
        }
        for part in &layer.plan.clones {
            if self.has_part(layer, part).await? {
                self.clone(&layer.dir.join(part), part).await?;
            }
        }
        Ok(())
    }

    async fn clone(&self, from: &Path, target: &str) -> Result<PathBuf> {
        let (host, build) = (self.cx.host, &self.cx.paths.build);
        let into = build.join(target);
        if let Some(parent) = into.parent().filter(|parent| parent != build) {
            host.ensure_dir(parent, 0o755, None).await?;
        }
        self.remove(&into).await?;
        host.clone_tree(from, &into).await?;
        Ok(into)
    }

    /// A site without a file is a mistake of the build, better found now than by its visitors.
    async fn require_published(&self) -> Result<()> {
        let Some(publish) = &self.plan.runtime.publish else {
            return Ok(());
        };
        let directory = self.cx.paths.build.join(publish);
        if !self.cx.host.list(&directory).await?.is_empty() {
            return Ok(());
        }
        Err(Abort::new(format!(
            "the build left nothing in `{publish}`, which is to be published"
        ))
        .hint("set `static-dir` in `[build]` to the directory that the build makes")
        .into())
    }

    fn artifact(&self, layers: &[Layer<'_>]) -> Result<BuildArtifact> {
        Ok(BuildArtifact {
            kind: self.plan.kind.clone(),
            location: ArtifactLocation::Directory(self.relative(&self.cx.paths.build)?),
            key: self.key(layers),
            metadata: self.metadata(),
            cloned: self.cloned(layers)?,
            runtime: RuntimeSpec {
                layers: self.mounted(layers)?,
                ..self.plan.runtime.clone()
            },
        })
    }

    /// The plan holds the environment and the commands, the layers' keys their inputs.
    fn key(&self, layers: &[Layer<'_>]) -> Digest {
        let layers: Vec<&Digest> = layers.iter().map(|layer| &layer.key).collect();
        Digest::of(&json!({
            "source": self.cx.plan.source.digest(),
            "plan": self.plan,
            "tools": self.tools,
            "layers": layers,
            "architecture": std::env::consts::ARCH,
        }))
    }

    fn metadata(&self) -> BTreeMap<String, String> {
        let tools = self.tools.iter();
        let tools = tools.map(|tool| (format!("tool.{}", tool.program), tool.version.clone()));
        let pins = self.plan.tools.iter().filter_map(|tool| {
            let (version, by) = (tool.version.as_ref()?, tool.pinned_by.as_ref()?);
            Some((
                format!("pin.{}", tool.program),
                format!("{version} by {by}"),
            ))
        });
        let policies = [
            ("toolchain", self.plan.toolchain.clone()),
            ("network", self.settings.network.to_string()),
            ("sandbox", self.settings.sandbox.to_string()),
        ];
        let policies = policies.map(|(key, value)| (key.to_owned(), value));
        tools.chain(pins).chain(policies).collect()
    }

    fn mounted(&self, layers: &[Layer<'_>]) -> Result<BTreeMap<String, String>> {
        let mounted = layers.iter().filter(|l| l.plan.mode == LayerMode::Mount);
        mounted
            .map(|layer| Ok((layer.plan.name.clone(), self.relative(&layer.dir)?)))
            .collect()
    }

    fn cloned(&self, layers: &[Layer<'_>]) -> Result<BTreeSet<String>> {
        let cloned = layers.iter().filter(|l| l.plan.mode != LayerMode::Mount);
        cloned.map(|layer| self.relative(&layer.dir)).collect()
    }

    /// A path as the release records it: relative to the app's directory.
    fn relative(&self, path: &Path) -> Result<String> {
        let relative = path.strip_prefix(&self.cx.paths.app);
        let relative = relative.map_err(|e| {
            let doing = format!("could not record `{}`", path.display());
            PluginError::other(doing, e)
        })?;
        Ok(relative.display().to_string())
    }

    async fn remove(&self, path: &Path) -> Result<()> {
        let root = &self.cx.paths.app;
        Ok(self.cx.host.remove_beneath(root, path).await?)
    }
}
