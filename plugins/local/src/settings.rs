//! `[plugin.local]` of agent.toml: how far the operator trusts builds.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hop3_plugin_api::schemars::JsonSchema;
use hop3_plugin_api::serde::{Deserialize, Serialize};
use hop3_plugin_api::{BuildConfig, BuildStep, EnvKey, Limits, Secret, Section, Slot};

/// How builds on this host are confined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    crate = "hop3_plugin_api::serde",
    default,
    deny_unknown_fields,
    rename_all = "kebab-case"
)]
#[schemars(crate = "hop3_plugin_api::schemars", rename = "local.Settings", inline)]
pub struct LocalSettings {
    /// Which steps of a build may reach the network: `dependencies` (those that install what the source declares), `all` or `none`.
    pub network: NetworkPolicy,
    /// Whether builds are confined as far as the kernel can (`best-effort`), refused where it cannot (`required`), or trusted (`off`).
    pub sandbox: SandboxPolicy,
    /// How many seconds a build may take, unless `[build] timeout` of the spec says otherwise.
    #[schemars(range(min = 1))]
    pub timeout: u64,
    /// How many processes and threads the user of an app may have while it builds; `[limits] processes` of agent.toml where that is
    /// set. Counted where apps have users of their own.
    #[schemars(range(min = 1))]
    pub processes: u64,
    /// The largest file that a build may write, in bytes.
    #[schemars(range(min = 1_048_576))]
    pub file_size: u64,
    /// Variables of every build on this host, such as a proxy or a package index. They are no part of any key: changing one rebuilds nothing.
    pub env: BTreeMap<EnvKey, String>,
}

/// Which steps may reach the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "hop3_plugin_api::serde", rename_all = "kebab-case")]
#[schemars(crate = "hop3_plugin_api::schemars", rename = "local.NetworkPolicy")]
pub enum NetworkPolicy {
    /// Steps that install dependencies.
    Dependencies,
    /// Every step.
    All,
    /// No step.
    None,
}

/// How builds are confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "hop3_plugin_api::serde", rename_all = "kebab-case")]
#[schemars(crate = "hop3_plugin_api::schemars", rename = "local.SandboxPolicy")]
pub enum SandboxPolicy {
    /// As far as the kernel can.
    BestEffort,
    /// Or not at all.
    Required,
    /// Not confined.
    Off,
}

impl Default for LocalSettings {
    fn default() -> Self {
        Self {
            network: NetworkPolicy::Dependencies,
            sandbox: SandboxPolicy::BestEffort,
            timeout: 15 * 60,
            processes: 4096,
            file_size: 4 * 1024 * 1024 * 1024,
            env: BTreeMap::new(),
        }
    }
}

impl Section for LocalSettings {
    const SLOT: Slot = Slot::Host;
    const NAME: &'static str = "local";
}

impl LocalSettings {
    /// Whether a step may reach the network: an app may ask for less than the host allows, never for more.
    pub(crate) fn allows_network(&self, step: &BuildStep, build: &BuildConfig) -> bool {
        let allowed = match self.network {
            NetworkPolicy::Dependencies => step.network,
            NetworkPolicy::All => true,
            NetworkPolicy::None => false,
        };
        allowed && !build.offline
    }

    /// What a step may use: a bomb of processes ends at the first number, a file that fills the disk at the second. Without a user of
    /// its own a build is not counted, for its user's other processes would be.
    pub(crate) fn limits(&self, has_user: bool) -> Limits {
        Limits {
            processes: has_user.then_some(self.processes),
            file_size: Some(self.file_size),
            ..Limits::default()
        }
    }

    /// Variables of every build.
    pub(crate) fn variables(&self) -> BTreeMap<String, Secret> {
        let env = self.env.iter();
        env.map(|(key, value)| (key.to_string(), Secret::new(value.clone())))
            .collect()
    }

    pub(crate) fn sandbox_required(&self, build: &BuildConfig) -> bool {
        self.sandbox == SandboxPolicy::Required || build.sandbox_required
    }

    pub(crate) fn time_limit(&self, build: &BuildConfig) -> Duration {
        build.timeout.unwrap_or(Duration::from_secs(self.timeout))
    }
}

impl fmt::Display for NetworkPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dependencies => "dependencies",
            Self::All => "all",
            Self::None => "none",
        })
    }
}

impl fmt::Display for SandboxPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BestEffort => "best-effort",
            Self::Required => "required",
            Self::Off => "off",
        })
    }
}
