//! Layers: dependencies that are installed once per content of their inputs, at the path where they stay.
//!
//! Guarantees: a layer counts only with its stamp, which is written last; one without it is removed and built anew. Its steps see nothing
//! of the source but its inputs, so that nothing else can change what it holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hop3_plugin_api::serde::{Deserialize, Serialize};
use hop3_plugin_api::serde_json::{self, json};
use hop3_plugin_api::{
    BuildPlan, Context, Digest, FileKind, FileWrite, HostEntry, LayerPlan, PlanContext,
    PluginError, Result, Timestamp,
};

use crate::build::below;
use crate::tools::Tool;
use crate::workshop::{Bench, Workshop};

/// The file that makes a layer count.
pub(crate) const STAMP: &str = ".hop3-layer.json";

/// What the working directory of a layer's steps is called, after the layer.
const INPUTS: &str = ".inputs";

/// The largest input: a lock file of a large app stays far below.
const INPUT_LIMIT: u64 = 64 * 1024 * 1024;

/// A layer of a plan, at its place on this host.
pub(crate) struct Layer<'a> {
    pub(crate) plan: &'a LayerPlan,
    pub(crate) key: Digest,
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(crate = "hop3_plugin_api::serde", rename_all = "kebab-case")]
struct Stamp {
    install: String,
    app: String,
    layer: String,
    key: Digest,
    /// Where it was made: a copy elsewhere does not count, because scripts inside hold their path.
    dir: PathBuf,
    made: Timestamp,
}

/// The layers of a plan with their keys.
pub(crate) fn layers<'a>(
    cx: &Context<'_>,
    plan: &'a BuildPlan,
    tools: &[Tool],
) -> Result<Vec<Layer<'a>>> {
    let layers = plan.layers.iter().map(|layer| {
        let key = key(&cx.plan, (plan, layer), tools)?;
        let dir = cx
            .paths
            .layers
            .join(format!("{}-{}", layer.name, key.short()));
        Ok(Layer {
            plan: layer,
            key,
            dir,
        })
    });
    layers.collect()
}

/// Everything that can change what a layer holds: how it is made, from what, with what, and for which machine.
fn key(
    cx: &PlanContext<'_>,
    (plan, layer): (&BuildPlan, &LayerPlan),
    tools: &[Tool],
) -> Result<Digest> {
    let names = &layer.tools;
    let used = |tool: &&Tool| names.is_empty() || names.contains(&tool.program);
    let tools: Vec<&Tool> = tools.iter().filter(used).collect();
    // Which tools those are says their list already.
    let layer = LayerPlan {
        tools: Vec::new(),
        ..layer.clone()
    };
    Ok(Digest::of(&json!({
        "inputs": input_digests(cx, &layer)?,
        "layer": layer,
        "env": plan.env,
        "tools": tools,
        "architecture": std::env::consts::ARCH,
    })))
}

/// Content by path. A directory counts with all that is in it, a link with where it leads.
fn input_digests(
    cx: &PlanContext<'_>,
    layer: &LayerPlan,
) -> Result<BTreeMap<String, Option<Digest>>> {
    let mut digests = BTreeMap::new();
    let mut open: Vec<String> = layer.inputs.iter().rev().cloned().collect();
    while let Some(path) = open.pop() {
        let content = cx.source.read_up_to(&path, INPUT_LIMIT)?;
        if content.is_none() {
            let inside = cx.source.list(&path)?.into_iter();
            open.extend(inside.map(|entry| format!("{path}/{}", entry.name)));
        }
        let digest = match content {
            Some(bytes) => Some(Digest::of_bytes(&bytes)),
            None => cx
                .source
                .link_target(&path)?
                .map(|target| Digest::of(&target)),
        };
        digests.insert(path, digest);
    }
    Ok(digests)
}

impl Workshop<'_> {
    /// Builds a layer unless it is there already.
    pub(crate) async fn ensure_layer(&self, layer: &Layer<'_>) -> Result<()> {
        if self.is_finished(layer).await? {
            self.say(&format!("layer {}: unchanged", layer.plan.name));
            return Ok(());
        }
        let inputs = layer.dir.with_added_extension(&INPUTS[1..]);
        self.remove_layer(&layer.dir).await?;
        let built = self.build_layer(layer, &inputs).await;
        self.remove_layer(&inputs).await?;
        if built.is_err() {
            self.remove_layer(&layer.dir).await?;
        }
        built
    }

    /// A layer of which parts are cloned is made where its inputs are; any other beside them.
    async fn build_layer(&self, layer: &Layer<'_>, beside: &Path) -> Result<()> {
        let host = self.cx.host;
        let in_place = !layer.plan.clones.is_empty();
        let inputs = if in_place { &layer.dir } else { beside };
        if !in_place {
            host.ensure_dir(&layer.dir, 0o755, self.cx.user).await?;
        }
        host.export_tree(self.cx.plan.source, Some(&layer.plan.inputs), inputs)
            .await?;
        let dir = below(inputs, &layer.plan.directory);
        if dir != inputs {
            host.ensure_dir(&dir, 0o755, None).await?;
        }
        self.hand_over(inputs).await?;
        let bench = Bench {
            dir,
            writable: vec![layer.dir.clone(), inputs.to_owned()],
            layer: Some(&layer.dir),
        };
        for step in &layer.plan.steps {
            self.run(step, &bench).await?;
        }
        self.take_back(&layer.dir).await?;
        self.stamp(layer).await
    }

    async fn stamp(&self, layer: &Layer<'_>) -> Result<()> {
        let stamp = Stamp {
            install: self.cx.install.to_owned(),
            app: self.cx.plan.app.to_string(),
            layer: layer.plan.name.clone(),
            key: layer.key.clone(),
            dir: layer.dir.clone(),
            made: self.cx.host.now(),
        };
        let text = serde_json::to_vec_pretty(&stamp)
            .map_err(|e| PluginError::other("could not write a layer's stamp", e))?;
        let file = FileWrite::private(layer.dir.join(STAMP), text).mode(0o644);
        Ok(self.cx.host.write_atomic(file).await?)
    }

    /// Whether a layer has a part, and nothing on the way to it leads elsewhere: whoever made the layer may have put a link there, and
    /// the clone is made by root.
    pub(crate) async fn has_part(&self, layer: &Layer<'_>, part: &str) -> Result<bool> {
        let mut dir = layer.dir.clone();
        for name in part.split('/') {
            let entries = self.cx.host.list(&dir).await?;
            let is_it = |entry: &HostEntry| entry.name == name && entry.kind == FileKind::Directory;
            if !entries.iter().any(is_it) {
                return Ok(false);
            }
            dir.push(name);
        }
        Ok(true)
    }

    /// A stamp that cannot be read, or speaks of something else, is none.
    async fn is_finished(&self, layer: &Layer<'_>) -> Result<bool> {
        let Some(text) = self.cx.host.read(&layer.dir.join(STAMP)).await? else {
            return Ok(false);
        };
        let stamp = serde_json::from_slice::<Stamp>(&text);
        Ok(stamp.is_ok_and(|stamp| stamp.key == layer.key && stamp.dir == layer.dir))
    }

    /// What interrupted builds left: inputs, and layers that nobody finished.
    pub(crate) async fn remove_unfinished(&self) -> Result<()> {
        let (host, layers) = (self.cx.host, &self.cx.paths.layers);
        for entry in host.list(layers).await? {
            let dir = layers.join(&entry.name);
            let stamped = host.read(&dir.join(STAMP)).await?.is_some();
            if !stamped || entry.name.ends_with(INPUTS) {
                self.remove_layer(&dir).await?;
            }
        }
        Ok(())
    }

    async fn remove_layer(&self, dir: &Path) -> Result<()> {
        let root = &self.cx.paths.layers;
        Ok(self.cx.host.remove_beneath(root, dir).await?)
    }
}
