//! `[run]`, `[domains]`, `[healthcheck]`, `[[addons]]` and `[limits]`.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use hop3_plugin_api::{AddonName, PluginName};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::common::{
    ByteText, Command, Package, Period, Seconds, StatusRange, WorkerMap, positive, up_to,
};
use super::machine::AddonBackup;
use super::names::UrlPath;
use super::{List, Policy};

/// What runs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[expect(
    clippy::struct_field_names,
    reason = "the fields are named as the keys are"
)]
pub(crate) struct Run {
    /// The command of the worker `web`.
    pub(crate) start: Option<Command>,
    /// Commands that run once per release, before it takes over; a failure keeps the old release.
    pub(crate) before_run: Option<Command>,
    /// Further workers: name to command.
    pub(crate) workers: Option<WorkerMap<String>>,
    /// The longest from the start to health, in seconds. Default 60.
    pub(crate) start_timeout: Option<Seconds>,
    /// Host packages that the app needs while it runs.
    pub(crate) packages: Option<Vec<Package>>,
    /// The older place of `[static]`.
    #[serde(rename = "static")]
    pub(crate) static_paths: Option<BTreeMap<UrlPath, String>>,
    /// The older place of `[healthcheck] path`.
    pub(crate) healthcheck: Option<String>,
    /// The older place of `[healthcheck] timeout`.
    pub(crate) healthcheck_timeout: Option<NonZeroU64>,
}

/// The host names under which the app answers.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Domains {
    /// The host names; `_` alone catches every name that no other app has.
    pub(crate) list: Option<List<String>>,
    /// Another word for `list`.
    pub(crate) hosts: Option<List<String>>,
    /// Accepted; host names always follow the commit.
    #[serde(rename = "_policy")]
    pub(crate) strict_policy: Option<Policy>,
    /// Another word for `_policy`.
    pub(crate) policy: Option<Policy>,
}

/// When a new release counts as healthy.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Health {
    /// The path that is asked; without one a listening port is enough.
    pub(crate) path: Option<String>,
    /// A text that the answer must contain.
    pub(crate) contains: Option<String>,
    /// The longest that one answer may take, in seconds. Default 30.
    pub(crate) timeout: Option<NonZeroU64>,
    /// The status codes that are good. Default `200-399`.
    pub(crate) status: Option<StatusRange>,
    /// Good answers in a row that make a release healthy. Default 2.
    #[schemars(range(min = 1, max = 100))]
    #[serde(deserialize_with = "up_to::<100, _>")]
    pub(crate) successes: Option<u16>,
    /// Bad answers in a row that make a running release unhealthy, from 1 to 100. Not built yet.
    #[schemars(range(min = 1, max = 100))]
    #[serde(rename = "retries", deserialize_with = "up_to::<100, _>")]
    pub(crate) _retries: Option<u16>,
    /// The time between two checks of a running release. Not built yet.
    #[serde(rename = "interval")]
    pub(crate) _interval: Option<Period>,
}

/// A data service of the app. What other keys it takes depends on its type.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct AddonEntry {
    /// The type: `sqlite`, `postgres`, …
    #[serde(rename = "type")]
    pub(crate) kind: Option<PluginName>,
    /// The name within the app; the type's name when absent. Needed when two have the same type.
    pub(crate) name: Option<AddonName>,
    /// What becomes of the data when the addon leaves the spec. `delete` still needs a person's consent, and is not built yet.
    pub(crate) on_remove: Option<OnRemove>,
    /// When backups are made and how long they are kept. Not built yet.
    #[schemars(extend("examples" = [{ "schedule": "30 2 * * *", "retention": 7 }]))]
    pub(crate) backup: Option<AddonBackup>,
    /// The app whose addon of this name is shared, or `host/<name>` for one of the host's. Not built yet.
    pub(crate) share_from: Option<ShareFrom>,
    /// Whether to start empty although a removed addon of this name left data. Not built yet.
    pub(crate) fresh: Option<bool>,
    /// How old credentials may become before they are replaced. Not built yet.
    pub(crate) rotate: Option<Period>,
    /// The type's own settings.
    #[serde(flatten)]
    pub(crate) settings: BTreeMap<String, Value>,
}

text!(
    /// The owner of an addon that is shared.
    ShareFrom,
    "^(host/)?[a-z][a-z0-9_-]{0,39}$",
    "an app's name, or `host/` and the name of an addon of the host",
    |text| {
        let name = text.strip_prefix("host/").unwrap_or(text);
        let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
        name.len() <= 40 && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(rest)
    }
);

/// What becomes of an addon's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnRemove {
    Keep,
    Delete,
}

/// What each instance may use.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct LimitsSection {
    /// Memory, such as `512M`.
    pub(crate) memory: Option<ByteText>,
    /// Processors, such as `1.5`. Not built yet.
    #[schemars(extend("exclusiveMinimum" = 0))]
    #[serde(rename = "cpu", deserialize_with = "positive")]
    pub(crate) _cpu: Option<f64>,
    /// Processes and threads.
    pub(crate) processes: Option<NonZeroU64>,
}
