//! The contract between hop3-agent and its plugins: traits and plain values, in the order in which data flows through them.
//!
//! A third party needs this crate and nothing else. It never touches the machine: every effect of a plugin goes through [`Host`],
//! every word it says through [`Log`], and everything it decides before that is a value that can be printed and compared.
//!
//! Start reading at [`Plugin`]; a [`Builder`] turns a [`SourceTree`] into a [`BuildArtifact`], a [`Deployer`] runs it, a [`Proxy`]
//! routes a [`Site`] to it, an [`Addon`] gives it data.
#![deny(missing_docs)]

mod addon;
mod artifact;
mod build;
mod config;
mod context;
mod deployer;
mod detect;
mod digest;
mod env;
mod error;
mod examine;
mod host;
mod name;
mod os;
mod plugin;
mod proxy;
mod secret;
mod section;
mod source;
mod task;

pub use addon::{Addon, AddonInfo, AddonInstance, BackupId};
pub use artifact::{ArtifactKind, ArtifactLocation, BuildArtifact, RuntimeSpec, beneath};
pub use build::{
    BuildCommand, BuildPlan, BuildStep, Builder, LanguageToolchain, LayerMode, LayerPlan, Pick,
    ToolRequirement,
};
pub use config::{AppConfig, BuildConfig};
pub use context::{AppPaths, Context, HostContext, HostDirs, Level, Log, PlanContext};
pub use deployer::{
    Counts, Deployer, DeploymentInfo, Endpoint, EndpointAddress, InstanceId, InstanceStatus,
    Launch, Liveness, LogLine, LogQuery, OneOff, Owned, Protocol, ReleaseId, WorkerSpec,
};
pub use detect::{Detection, Evidence, Rank, ToolchainDescription, detect};
pub use digest::Digest;
pub use env::{EnvMap, EnvTemplate, EnvValue, Generator, SecretRef};
pub use error::{Abort, Fault, PluginError, Retry, Verdict};
pub use examine::{Finding, FindingState};
pub use host::{
    FileKind, FileWrite, Host, HostEntry, HostError, HttpProbe, ProbeAnswer, Timestamp, UserId,
};
pub use name::{AddonName, AppName, EnvKey, HostName, NameError, PluginName, WorkerName};
pub use os::{Os, OsRelease, SystemUser, os_release};
pub use plugin::{CliCommand, Entrypoint, Plugin, Provider, Services};
pub use proxy::{Backend, ConfigFile, Proxy, ProxyStatus, Site, StaticPath};
pub use secret::Secret;
pub use section::{Section, SectionDescriptor, Slot};
pub use source::{DirectoryTree, READ_LIMIT, SourceEntry, SourceError, SourceKind, SourceTree};
pub use task::{
    AgentDeath, Exit, ExitRecord, ExitStatus, Limits, OutputCap, ProcessId, Program, Sandbox,
    SpawnedProcess, Task,
};

pub use async_trait::async_trait;
pub use schemars;
pub use serde;
pub use serde_json;

/// The result of everything a plugin does.
pub type Result<T, E = PluginError> = std::result::Result<T, E>;
