//! `[plugin.native]` of agent.toml.

use hop3_plugin_api::schemars::{self, JsonSchema};
use hop3_plugin_api::{Section, Slot};
use serde::{Deserialize, Serialize};

/// Settings of the native deployer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(crate = "schemars", rename = "native.NativeConfig")]
pub struct NativeConfig {
    /// The end of every app's `PATH`, after the directories that its toolchain needs.
    pub tool_path: String,
}

impl Default for NativeConfig {
    fn default() -> Self {
        Self {
            tool_path: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        }
    }
}

impl Section for NativeConfig {
    const SLOT: Slot = Slot::Host;
    const NAME: &'static str = "native";
}
