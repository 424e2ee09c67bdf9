//! `[deploy]` and `[proxy]`.

use std::collections::BTreeMap;

use hop3_plugin_api::AppName;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::common::{ByteSize, Period, up_to_100};

/// How a release replaces another.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Deploy {
    /// `auto` (default: chosen by the artifact's kind), or a deployer's name.
    pub(crate) deployer: Option<String>,
    /// Whether plain HTTP is served too instead of redirected to HTTPS. Default false.
    pub(crate) allow_http: Option<bool>,
    /// Apps that must be healthy first.
    pub(crate) after: Option<Vec<AppName>>,
    /// `blue-green` (default): the new release starts beside the old one. `recreate`: the old one stops first.
    pub(crate) strategy: Option<RolloutStrategy>,
    /// Whether workers without requests may run in both releases at once. Default false.
    pub(crate) overlap: Option<bool>,
    /// How long requests in flight may take after the switch. Default `30s`.
    pub(crate) drain_timeout: Option<Period>,
    /// Releases that are kept, the current one included. Default 5.
    #[schemars(range(min = 1, max = 100))]
    #[serde(deserialize_with = "up_to_100")]
    pub(crate) keep_releases: Option<u16>,
    /// Directories of the release that the app may write.
    pub(crate) writable: Option<Vec<String>>,
    /// What happens when a running app differs from the spec. Default `heal`.
    pub(crate) drift: Option<Drift>,
    /// Changes that wait for a person's approval. Not built yet.
    pub(crate) approve: Option<Value>,
    /// What happens to a release command that was interrupted. Default `retry`.
    pub(crate) on_interrupt: Option<InterruptPolicy>,
    /// Whether an automatic return may go back across a release command. Default false.
    pub(crate) return_after_release_command: Option<bool>,
}

/// How a release takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RolloutStrategy {
    BlueGreen,
    Recreate,
}

/// What happens on drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Drift {
    Heal,
    Report,
}

/// What happens to an interrupted command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum InterruptPolicy {
    Retry,
    Hold,
}

/// How the proxy treats the app's requests.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Proxy {
    /// The largest request body, such as `64M`.
    pub(crate) body_size: Option<ByteSize>,
    /// How long an answer may take to begin.
    pub(crate) timeout: Option<Period>,
    /// Whether unknown paths below a static root get `index.html`.
    pub(crate) spa: Option<bool>,
    /// Headers that are added to every answer.
    pub(crate) headers: Option<BTreeMap<String, String>>,
    /// Strict transport security. Not built yet.
    pub(crate) hsts: Option<Value>,
    /// Redirects. Not built yet.
    pub(crate) redirect: Option<Value>,
    /// User and password for every request. Not built yet.
    pub(crate) basic_auth: Option<Value>,
    /// Pages for errors. Not built yet.
    pub(crate) error_pages: Option<Value>,
    /// Whether a maintenance page answers. Not built yet.
    pub(crate) maintenance: Option<Value>,
    /// The path below which the app answers. Not built yet.
    pub(crate) path_prefix: Option<String>,
    /// What the proxy caches. Not built yet.
    pub(crate) cache: Option<Value>,
}
