//! What a build leaves behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, EnvKey, WorkerName};

/// What kind of thing a builder makes; a deployer accepts by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ArtifactKind {
    /// A directory with a Python virtual environment.
    Virtualenv,
    /// A directory with something that runs on the host.
    Native,
    /// An image of a container engine.
    DockerImage,
    /// A directory of files to serve.
    Static,
    /// A plugin's own, `<plugin>.<kind>`.
    Other(String),
}

impl fmt::Display for ArtifactKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Virtualenv => "virtualenv",
            Self::Native => "native",
            Self::DockerImage => "docker-image",
            Self::Static => "static",
            Self::Other(name) => name,
        })
    }
}

/// Where an artifact is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ArtifactLocation {
    /// A directory, relative to the app's directory: `releases/7/app`.
    Directory(String),
    /// An image reference with its digest.
    Image(String),
}

/// How to run an artifact. Complete: the run phase detects nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct RuntimeSpec {
    /// Variables that the toolchain needs at run time, below those of the spec. May use `${app}` (the artifact's directory), `${layer:NAME}` and `${data}`.
    pub env: BTreeMap<EnvKey, String>,
    /// Directories put before the host's own tool path, with the same placeholders.
    pub path: Vec<String>,
    /// The working directory relative to the artifact's directory, empty for itself.
    pub workdir: String,
    /// Workers that the toolchain guessed; the spec's and the Procfile's go first.
    pub workers: BTreeMap<WorkerName, String>,
    /// For a static artifact: the directory to serve, relative to the artifact's directory.
    pub publish: Option<String>,
    /// Directories relative to the artifact's that the app writes; they are data, linked into each release.
    pub writable: Vec<String>,
    /// Layers in use: name to directory relative to the app's directory.
    pub layers: BTreeMap<String, String>,
}

/// The result of a build, recorded in the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct BuildArtifact {
    /// What it is.
    pub kind: ArtifactKind,
    /// Where it is.
    pub location: ArtifactLocation,
    /// Digest of everything that went in.
    pub key: Digest,
    /// Facts for people: tool versions used, sandbox level, image digest.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Layers of which it holds a copy, relative to the app's directory. It does not need them; the next build does, so those of the newest release stay.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub cloned: BTreeSet<String>,
    /// How to run it.
    #[serde(default)]
    pub runtime: RuntimeSpec,
}
