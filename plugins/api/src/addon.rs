//! Data services of an app.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    AddonName, Context, EnvKey, HostContext, Owned, PluginName, Result, Secret, Verdict,
    async_trait,
};

/// One addon of one app, as the spec asks for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AddonInstance {
    /// Its type: `sqlite`, `postgres`, ….
    #[serde(rename = "type")]
    pub kind: PluginName,
    /// Its name within the app.
    pub name: AddonName,
    /// The type's own settings, as written.
    #[serde(default)]
    pub settings: Value,
}

/// A backup's id: never a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BackupId(pub String);

/// What can be shown of an addon; never a credential.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct AddonInfo {
    /// `ready`, `missing`, or why it cannot be told.
    pub status: String,
    /// The engine's version.
    pub version: Option<String>,
    /// Where it listens, or its file.
    pub address: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// Bytes of data.
    pub size: Option<u64>,
    /// Open connections.
    pub connections: Option<u32>,
}

/// Gives data services to apps. Stateless.
///
/// Guarantees: `create` may be repeated and never replaces data; what carries no stamp of ours is refused, not adopted; credentials stay
/// the same across deploys; nothing but `destroy` deletes data, and `destroy` is only called with a person's consent.
#[async_trait]
pub trait Addon: Send + Sync {
    /// Its type in `[[addons]]`.
    fn name(&self) -> &'static str;

    /// Whether these settings can be met. Pure.
    fn accept(&self, addon: &AddonInstance) -> Verdict;

    /// The variables that it injects, before any prefix. Pure.
    fn variables(&self) -> &'static [&'static str];

    /// Effect: ensures that it exists.
    async fn create(&self, cx: &Context<'_>, addon: &AddonInstance) -> Result<()>;

    /// Effect: deletes it with its data.
    async fn destroy(&self, cx: &Context<'_>, addon: &AddonInstance) -> Result<()>;

    /// What an app needs to reach it.
    async fn connection_details(
        &self,
        cx: &Context<'_>,
        addon: &AddonInstance,
    ) -> Result<BTreeMap<EnvKey, Secret>>;

    /// Effect: makes a consistent, checksummed backup.
    async fn backup(&self, cx: &Context<'_>, addon: &AddonInstance) -> Result<BackupId>;

    /// Effect: brings a backup back into this addon, which must hold nothing.
    async fn restore(
        &self,
        cx: &Context<'_>,
        addon: &AddonInstance,
        backup: &BackupId,
    ) -> Result<()>;

    /// Its state, for people.
    async fn info(&self, cx: &Context<'_>, addon: &AddonInstance) -> Result<AddonInfo>;

    /// Effect: replaces its credentials.
    async fn rotate(&self, cx: &Context<'_>, addon: &AddonInstance) -> Result<()>;

    /// Effect: takes the app's access away and keeps the data.
    async fn detach(&self, cx: &Context<'_>, addon: &AddonInstance) -> Result<()>;

    /// Everything on the machine that carries our stamp.
    async fn observe(&self, cx: &HostContext<'_>) -> Result<Vec<Owned>>;
}
