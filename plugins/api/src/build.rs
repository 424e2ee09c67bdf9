//! From source to artifact: builders and the language toolchains they use.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ArtifactKind, BuildArtifact, Context, EnvKey, PlanContext, Result, RuntimeSpec, Verdict,
    async_trait,
};

/// A tool that a build needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ToolRequirement {
    /// The program: `python3`.
    pub program: String,
    /// The version asked for, in the words of whoever asked: `3.12`, `>=3.11`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The file that asked, `hop3.toml` or `.python-version`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned_by: Option<String>,
}

/// One command of a build. Arguments may use `${app}` (the directory being built), `${layer}` or `${layer:NAME}` (a layer's final directory) and `${cache}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BuildCommand {
    /// A tool's own command line, run as it is.
    Argv(Vec<String>),
    /// The app's own command, read by a shell in the sandbox.
    Shell(String),
}

impl fmt::Display for BuildCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argv(words) => f.write_str(&words.join(" ")),
            Self::Shell(command) => f.write_str(command),
        }
    }
}

/// One step of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct BuildStep {
    /// What it does, for people: `install dependencies`.
    pub name: String,
    /// What is run.
    pub command: BuildCommand,
    /// Whether it fetches dependencies and so may reach the network under the default policy.
    pub network: bool,
}

/// How a layer gets into a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LayerMode {
    /// Used where it is: a virtual environment, a bundle.
    Mount,
    /// Cloned into the release at `target`: `node_modules`, `vendor`.
    Clone,
}

/// Dependencies that are installed once per content of their inputs and then shared by the releases of one app, never between apps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct LayerPlan {
    /// Its name within the app: `venv`.
    pub name: String,
    /// How releases use it.
    pub mode: LayerMode,
    /// Where a cloned layer goes, relative to the release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The only source files that its steps see. They and the tools are its key.
    pub inputs: Vec<String>,
    /// How it is made; the working directory holds the inputs, `${layer}` is the layer's final directory.
    pub steps: Vec<BuildStep>,
}

/// Everything a build will do, known before it starts.
///
/// Guarantees: computed from the source and the spec alone; the same on every host; printable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct BuildPlan {
    /// Who made it: the toolchain's name, or the builder's where none is used.
    pub toolchain: String,
    /// What it will produce.
    pub kind: ArtifactKind,
    /// Tools needed on the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolRequirement>,
    /// Dependency layers, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerPlan>,
    /// Steps in the release, in order; the spec's own hooks are among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<BuildStep>,
    /// Variables of the build, below `[build.env]`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<EnvKey, String>,
    /// How the result will run. Layer directories are filled in by the builder.
    #[serde(default)]
    pub runtime: RuntimeSpec,
    /// Remarks for people: an unpinned requirement, an ignored file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Makes artifacts. Stateless.
#[async_trait]
pub trait Builder: Send + Sync {
    /// Its name in `[build] builder`.
    fn name(&self) -> &'static str;

    /// Whether it can build this source. Pure: reads the tree, asks no engine.
    fn accept(&self, cx: &PlanContext<'_>) -> Verdict;

    /// What it will produce, so that a deployer can be chosen before the build. Pure.
    fn produces(
        &self,
        cx: &PlanContext<'_>,
        toolchain: Option<&dyn LanguageToolchain>,
    ) -> Result<ArtifactKind> {
        Ok(self.plan(cx, toolchain)?.kind)
    }

    /// Whether it works through a language toolchain.
    fn uses_toolchain(&self) -> bool;

    /// What it will do. Pure.
    fn plan(
        &self,
        cx: &PlanContext<'_>,
        toolchain: Option<&dyn LanguageToolchain>,
    ) -> Result<BuildPlan>;

    /// Effect: does what the plan says, in `cx.paths.build`, which holds nothing before.
    ///
    /// Guarantees: on failure nothing outside `cx.paths.build`, the app's layers and its cache has changed. An unfinished layer is never used.
    async fn build(&self, cx: &Context<'_>, plan: &BuildPlan) -> Result<BuildArtifact>;
}

/// Knows one language. Detection reads files and never runs anything.
pub trait LanguageToolchain: Send + Sync {
    /// Its name in `[build] toolchain`.
    fn name(&self) -> &'static str;

    /// What it looks for, for `plugins show`.
    fn detects(&self) -> &'static [&'static str];

    /// Whether this source is of its language. Pure.
    fn accept(&self, cx: &PlanContext<'_>) -> Verdict;

    /// How to build and start it. Pure. Does not add the spec's hooks: the builder does.
    fn plan(&self, cx: &PlanContext<'_>) -> Result<BuildPlan>;
}
