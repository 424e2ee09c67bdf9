//! The sections of `agent.toml` as the operator writes them, from which both the JSON schema and the reading come.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Unbuilt;
use super::later::{DriftMode, GateSection, Notify, SecretsSection};
use crate::spec::sections::{AbsolutePath, ByteSize, Period, PluginTable, positive, up_to};

/// Keys that validate and are not built yet, with what to do instead.
pub(super) const UNBUILT: [Unbuilt; 7] = [
    (
        "/trust/allowed-signers",
        "remove the key; commits are not verified yet",
    ),
    (
        "/trust/paths",
        "remove the key; commits are not verified yet",
    ),
    ("/gate", "remove the section; every change is applied"),
    (
        "/secrets",
        "remove the section; encrypted secrets cannot be read yet",
    ),
    ("/limits/cpu", "remove the key"),
    (
        "/drift/mode",
        "set `[deploy] drift` in the app's `hop3.toml`",
    ),
    ("/notify", "remove the section"),
];

/// The agent of one host.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(title = "agent.toml")]
pub(crate) struct AgentFile {
    /// This host's name in the config repo: `hosts/<host>.toml`. The machine's own name when absent.
    pub(super) host: Option<String>,
    /// Where everything that must stay is kept. Default `/var/lib/hop3-agent`.
    pub(super) data_dir: Option<String>,
    /// Where sockets are kept; short. Default `/run/hop3-agent`.
    pub(super) run_dir: Option<String>,
    /// The address of the read-only state and of webhooks. Default `127.0.0.1:9480`; empty for none.
    pub(super) listen: Option<String>,
    /// Directories in which tools are looked up, instead of the usual ones.
    pub(super) tool_path: Option<Vec<String>>,
    /// The config repo.
    pub(super) repo: Option<RepoSection>,
    /// What apps may do on this host.
    pub(super) policy: Option<PolicySection>,
    /// What builds may use on this host.
    pub(super) limits: Option<LimitsSection>,
    /// How differences between spec and reality are looked for.
    pub(super) drift: Option<DriftSection>,
    /// Settings of plugins, by plugin.
    #[serde(rename = "plugin")]
    _plugin: Option<BTreeMap<String, PluginTable>>,
    /// Which commits are taken.
    pub(super) trust: Option<TrustSection>,
    /// What waits for approval. Not built yet.
    #[serde(rename = "gate")]
    _gate: Option<GateSection>,
    /// How secrets are decrypted. Not built yet.
    #[serde(rename = "secrets")]
    _secrets: Option<SecretsSection>,
    /// Who is told. Not built yet.
    #[serde(rename = "notify")]
    _notify: Option<Notify>,
}

/// The config repo.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct RepoSection {
    /// Its URL, without a password: `https://host/path`, `ssh://git@host/path`, `git@host:path` or `file:///path`.
    pub(super) url: Option<String>,
    /// The branch that is followed, or another ref in full: `refs/…`. Default `main`.
    pub(super) branch: Option<String>,
    /// The tag whose commit is taken, instead of a branch.
    pub(super) tag: Option<String>,
    /// The range of versions whose highest tag is taken, instead of a branch: `^1.4` takes `v1.4.2` and `1.9.0`.
    pub(super) semver: Option<String>,
    /// The commit that is taken, instead of a branch; all of its 40 digits.
    pub(super) commit: Option<String>,
    /// Other URLs, in order, that are asked while `url` does not answer. They may serve only what descends from the accepted commit.
    pub(super) mirrors: Option<Vec<String>>,
    /// The directory in it that is the config repo's root.
    pub(super) path: Option<String>,
    /// The usual time between two looks: a quarter of it for ten minutes after a new commit, up to four times as long without one. Default `60s`.
    pub(super) poll: Option<Period>,
    /// A file that holds the token or password. It is read anew for each request.
    pub(super) token_file: Option<String>,
    /// The user name that goes with the token. Default `git`.
    pub(super) username: Option<String>,
    /// A file with the certificates of the authorities that are trusted instead of the usual ones.
    pub(super) ca_file: Option<String>,
    /// A file with the private key for `ssh` URLs, closed to everybody else.
    pub(super) ssh_key: Option<String>,
    /// A file with the host keys that are accepted for `ssh` URLs, as `ssh-keyscan` prints them.
    pub(super) known_hosts: Option<String>,
    /// The longest that a fetch may take. A connection must stand within 10 seconds and never fall silent for 20. Default `60s`.
    pub(super) deadline: Option<Period>,
    /// Pushes that a forge announces.
    pub(super) webhook: Option<WebhookSection>,
}

/// Which commits are taken.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct TrustSection {
    /// What happens when the config repo's history was rewritten. Default `ff-only`.
    pub(super) history: Option<HistoryPolicy>,
    /// A file of the keys that may sign commits, in the form that `ssh-keygen` has for it. Not built yet.
    #[serde(rename = "allowed-signers")]
    _allowed_signers: Option<AbsolutePath>,
    /// Files of keys for single directories of the config repo: `"apps/shop" = "/etc/hop3-agent/shop.signers"`. Not built yet.
    #[serde(rename = "paths")]
    _paths: Option<BTreeMap<String, AbsolutePath>>,
}

/// What happens when the newest commit does not descend from the accepted one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(super) enum HistoryPolicy {
    /// It is refused until the history is restored.
    #[default]
    FfOnly,
    /// It is taken and told, if the two have a past in common.
    Follow,
}

/// Pushes that a forge announces.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct WebhookSection {
    /// Whose signature is checked.
    pub(super) provider: WebhookProvider,
    /// A file that holds the shared secret, at least 16 bytes.
    pub(super) secret_file: String,
}

/// The forge that calls the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(
    missing_docs,
    reason = "the names are the forges' own, and docs of variants would show as schema branches"
)]
pub enum WebhookProvider {
    Generic,
    Github,
    Gitlab,
    Gitea,
    Forgejo,
    Gogs,
    Bitbucket,
}

/// What apps may do on this host.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct PolicySection {
    /// `per-app`: each app has its own user (needs root). `none`: apps run as the agent's user. Default: `per-app` for root, else `none`.
    pub(super) users: Option<UserPolicy>,
    /// The network that builds reach. Default `dependencies`.
    pub(super) build_network: Option<BuildNetworkPolicy>,
    /// What happens where a sandbox cannot be had. Default `best-effort`.
    pub(super) sandbox: Option<SandboxPolicy>,
    /// What happens to host packages that apps name: `install` what is missing, or `refuse` to build the app that lacks one. Default `refuse`.
    pub(super) packages: Option<PackagePolicy>,
}

/// As whom apps run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum UserPolicy {
    /// Each app as a user of its own.
    PerApp,
    /// All as the agent's user.
    None,
}

/// What happens to host packages that apps name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PackagePolicy {
    /// What is missing is installed.
    Install,
    /// An app that lacks one is not built; people install.
    #[default]
    Refuse,
}

/// The network that builds reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BuildNetworkPolicy {
    /// Only steps that fetch dependencies reach it.
    #[default]
    Dependencies,
    /// Every step reaches it.
    All,
    /// No step reaches it.
    None,
}

/// What happens where a sandbox cannot be had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxPolicy {
    /// As much as the kernel offers.
    #[default]
    BestEffort,
    /// The host refuses to build or run without one.
    Required,
}

/// What builds may use on this host.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct LimitsSection {
    /// Builds at the same time. Default 2.
    #[schemars(range(min = 1, max = 64))]
    #[serde(deserialize_with = "up_to::<64, _>")]
    pub(super) builds: Option<u16>,
    /// The longest that a build may take. Default `30m`.
    pub(super) build_timeout: Option<Period>,
    /// Memory of one build.
    pub(super) memory: Option<ByteSize>,
    /// Processes and threads of one build.
    pub(super) processes: Option<NonZeroU64>,
    /// Processors of one build, such as `1.5`. Not built yet.
    #[schemars(extend("exclusiveMinimum" = 0))]
    #[serde(rename = "cpu", deserialize_with = "positive")]
    _cpu: Option<f64>,
}

/// How differences between spec and reality are looked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(super) struct DriftSection {
    /// The time in which everything is looked at once. Default `60s`.
    pub(super) interval: Option<Period>,
    /// What happens: `heal` or `report`. Not built yet for a whole host.
    #[serde(rename = "mode")]
    _mode: Option<DriftMode>,
}
