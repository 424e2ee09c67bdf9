//! From source to artifact: builders and the language toolchains they use.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ArtifactKind, BuildArtifact, Context, EnvKey, Evidence, Finding, HostContext, PlanContext,
    Result, RuntimeSpec, ToolchainDescription, Verdict, async_trait,
};

/// A tool that a build needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ToolRequirement {
    /// The program: `python3`.
    pub program: String,
    /// The version asked for: `3.12` means any 3.12; `>=3.11,<4`, `^20.1`, `~>3.2`, `18.x` and the like are conditions. All that stand
    /// beside each other, with a comma or a space between them, must hold; `||` separates alternatives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Who asked for the version, with the line: `hop3.toml:4`, `.python-version:1`; without a version, the file that makes the tool needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned_by: Option<String>,
}

/// One command of a build. Words may use `${app}` (the directory being built), `${layer}` or `${layer:NAME}` (a layer's final directory), `${cache}`
/// and `${tmp}` (a directory of this build alone).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BuildCommand {
    /// A tool's own command line, run as it is.
    Argv(Vec<String>),
    /// The app's own command, read by a shell in the sandbox.
    Shell(String),
    /// A file that the builder writes, as the app's user.
    Write {
        /// Where, with the same placeholders.
        path: String,
        /// What.
        content: String,
    },
    /// A link that the builder makes to the one file that a build tool has left, as the app's user.
    Link(Pick),
}

/// How the one file that counts is told from what else a build tool leaves beside it, by names alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Pick {
    /// Directories that are looked at, relative to the working directory; the first one with a file that fits counts.
    pub directories: Vec<String>,
    /// How its name ends: `.jar`.
    pub extension: String,
    /// Words that its name neither begins nor ends with, a hyphen between: `sources`.
    pub without: Vec<String>,
    /// Words of which the first that a name begins or ends with wins over names without: `standalone`.
    pub prefer: Vec<String>,
    /// The link, relative to the working directory.
    pub link: String,
}

impl fmt::Display for BuildCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argv(words) => f.write_str(&words.join(" ")),
            Self::Shell(command) => f.write_str(command),
            Self::Write { path, .. } => write!(f, "write {path}"),
            Self::Link(pick) => write!(
                f,
                "link {} to the *{} of {}",
                pick.link,
                pick.extension,
                pick.directories.join(" or ")
            ),
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
    /// Cloned into the release, at `target` or as `clones`: `node_modules`, `vendor`.
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
    /// Where a cloned layer goes as a whole, relative to the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The parts of a cloned layer that go into the release, each to the same place there; a part that its steps did not make is left
    /// out. Such a layer is made in its own directory: its steps find the inputs in `${layer}` and leave the parts there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clones: Vec<String>,
    /// The only source files that its steps see; one that is a directory means all in it. They and the tools are its key.
    pub inputs: Vec<String>,
    /// Programs of the plan that it is made with; all of them when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// The working directory of its steps, beneath the one that holds the inputs; empty for that one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub directory: String,
    /// How it is made; `${layer}` is the layer's final directory.
    pub steps: Vec<BuildStep>,
}

impl LayerPlan {
    /// A layer that is used where it is.
    pub fn mounted(name: &str, inputs: Vec<String>, steps: Vec<BuildStep>) -> Self {
        Self {
            name: name.to_owned(),
            mode: LayerMode::Mount,
            target: None,
            clones: Vec::new(),
            inputs,
            tools: Vec::new(),
            directory: String::new(),
            steps,
        }
    }

    /// A layer of which these parts are cloned into each release.
    pub fn cloned(
        name: &str,
        clones: Vec<String>,
        (inputs, steps): (Vec<String>, Vec<BuildStep>),
    ) -> Self {
        Self {
            mode: LayerMode::Clone,
            clones,
            ..Self::mounted(name, inputs, steps)
        }
    }
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
    /// Packages of the operating system that the host must have, for the build or for what comes of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// Dependency layers, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerPlan>,
    /// Steps in the release, in order, in its working directory ([`RuntimeSpec::workdir`]); the spec's own hooks are among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<BuildStep>,
    /// What a toolchain does after the spec's last hook: it takes away what only the build needed. The builder puts it at the end of `steps`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub finish: Vec<BuildStep>,
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

impl BuildPlan {
    /// A plan that does nothing yet.
    pub fn new(toolchain: &str, kind: ArtifactKind) -> Self {
        Self {
            toolchain: toolchain.to_owned(),
            kind,
            tools: Vec::new(),
            packages: Vec::new(),
            layers: Vec::new(),
            steps: Vec::new(),
            finish: Vec::new(),
            env: BTreeMap::new(),
            runtime: RuntimeSpec::default(),
            notes: Vec::new(),
        }
    }
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

    /// Effect: looks for what it needs on the host, and for these tools of plans where it runs them itself. Changes nothing, and needs no app.
    async fn examine(&self, _machine: HostContext<'_>, _tools: &BTreeSet<String>) -> Vec<Finding> {
        Vec::new()
    }
}

/// Knows one language. Detection reads files and never runs anything.
pub trait LanguageToolchain: Send + Sync {
    /// Its name in `[build] toolchain`.
    fn name(&self) -> &'static str;

    /// What it looks for, for `plugins show`.
    fn detects(&self) -> &'static [&'static str];

    /// What it does, for `plugins show` and for documentation.
    fn describe(&self) -> ToolchainDescription {
        ToolchainDescription {
            detects: self.detects(),
            ..ToolchainDescription::default()
        }
    }

    /// Whether this source is of its language. Pure.
    fn accept(&self, cx: &PlanContext<'_>) -> Verdict;

    /// What speaks for its language in a source that it accepts. It decides between toolchains that accept the same source: see
    /// [`crate::detect`]. `None` counts as a manifest without a name. Pure.
    fn evidence(&self, _cx: &PlanContext<'_>) -> Option<Evidence> {
        None
    }

    /// How to build and start it. Pure. Does not add the spec's hooks: the builder does.
    fn plan(&self, cx: &PlanContext<'_>) -> Result<BuildPlan>;
}
