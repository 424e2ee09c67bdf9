//! The sections of `hop3.toml` as their author writes them: one type per section, from which both the JSON schema and the reading come.
//! Nothing here is merged, defaulted or judged; `file` does that.
//!
//! Doc comments are the descriptions that editors and the reference show.

#[macro_use]
mod common;
mod build;
mod deploy;
mod elsewhere;
mod env;
mod jobs;
mod machine;
mod names;
mod people;
mod run;
mod waf;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

pub(crate) use build::{Build, BuildEnv, Docker, Metadata, SourceSection};
pub(crate) use common::{
    AbsolutePath, ByteSize, Command, Filled, Instances, Package, Period, WorkerMap, positive, up_to,
};
pub(crate) use deploy::{Approval, Deploy, Drift, InterruptPolicy, Proxy, RolloutStrategy};
pub(crate) use elsewhere::{Context, TestSection};
pub(crate) use env::{Env, EnvEntry, GeneratedForm, Reference};
pub(crate) use jobs::{Job, MOST_JOBS};
pub use machine::Transport;
pub(crate) use machine::{Backup, LegacyPort, Port, Volume, VolumeKind};
pub use names::SecretName;
pub(crate) use names::{
    ContextName, ErrorStatus, HeaderName, JobName, RedirectFrom, UrlPath, VolumeName,
};
pub(crate) use people::{Admin, Login, Probe};
pub(crate) use run::{AddonEntry, Domains, Health, LimitsSection, OnRemove, Run};
pub(crate) use waf::Waf;

/// Entries that keep their numbers when a bad one among them is left out.
pub(crate) type List<T> = Vec<Option<T>>;

/// An app of a config repo. Every section is optional; an empty file is a valid spec.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(title = "hop3.toml")]
pub(crate) struct HopFile {
    /// Who the app is.
    pub(crate) metadata: Option<Metadata>,
    /// Where the app's code comes from; the spec's own directory when absent.
    pub(crate) source: Option<SourceSection>,
    /// How the code becomes something that runs.
    pub(crate) build: Option<Build>,
    /// What runs.
    pub(crate) run: Option<Run>,
    /// The variables that the app's processes see.
    pub(crate) env: Option<Env>,
    /// The host names under which the app answers.
    pub(crate) domains: Option<Domains>,
    /// When a new release counts as healthy.
    pub(crate) healthcheck: Option<Health>,
    /// Directories that the proxy serves itself: URL path to directory.
    #[serde(rename = "static")]
    pub(crate) static_paths: Option<BTreeMap<UrlPath, String>>,
    /// Data services of the app.
    pub(crate) addons: Option<List<AddonEntry>>,
    /// The former name of `[[addons]]`.
    #[schemars(extend("deprecated" = true))]
    pub(crate) provider: Option<List<AddonEntry>>,
    /// How many instances of each worker run.
    pub(crate) scale: Option<WorkerMap<Instances>>,
    /// How a release replaces another.
    pub(crate) deploy: Option<Deploy>,
    /// How the proxy treats the app's requests.
    pub(crate) proxy: Option<Proxy>,
    /// Containers.
    pub(crate) docker: Option<Docker>,
    /// What each instance may use.
    pub(crate) limits: Option<LimitsSection>,
    /// Settings for plugins, by plugin.
    pub(crate) plugin: Option<BTreeMap<String, PluginTable>>,
    /// Commands at fixed times.
    #[schemars(length(max = MOST_JOBS))]
    #[serde(deserialize_with = "jobs::bounded")]
    pub(crate) jobs: Option<List<Job>>,
    /// Ports of the host that the app claims for itself.
    pub(crate) ports: Option<List<Port>>,
    /// Directories that outlive releases.
    pub(crate) volumes: Option<List<Volume>>,
    /// Files that a backup takes along.
    pub(crate) backup: Option<Backup>,
    /// The app's first administrator.
    pub(crate) admin: Option<Admin>,
    /// The user as whom the app is probed.
    pub(crate) probe: Option<Probe>,
    /// The web application firewall.
    pub(crate) waf: Option<Waf>,
    /// Settings of the nix builder.
    pub(crate) nix: Option<BTreeMap<String, Value>>,
    /// Ports as other tools show them; without effect here.
    pub(crate) port: Option<BTreeMap<String, LegacyPort>>,
    /// What a test harness checks; without effect here.
    pub(crate) test: Option<TestSection>,
    /// Settings of a client's contexts; without effect here.
    pub(crate) contexts: Option<BTreeMap<ContextName, Context>>,
}

/// Settings of one plugin; the plugin's own section says what else there is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct PluginTable {
    /// Whether the plugin may be chosen. Default true.
    #[serde(rename = "enabled")]
    _enabled: Option<bool>,
    #[serde(flatten)]
    _settings: BTreeMap<String, Value>,
}

/// Sections that validate and have no effect on a host.
pub(crate) const WITHOUT_EFFECT: [&str; 3] = ["port", "test", "contexts"];

/// A flag that a whole section may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Policy {
    /// What is there stays.
    KeepExisting,
    /// The spec wins.
    Override,
}
