//! `[plugin.toolchains]` of a spec: what a toolchain cannot guess in a source that holds several apps.

use hop3_plugin_api::schemars::JsonSchema;
use hop3_plugin_api::serde::{Deserialize, Serialize};
use hop3_plugin_api::{PlanContext, Result, Section, Slot};

use crate::source::{config, normalised};

/// Which part of a source is the app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    crate = "hop3_plugin_api::serde",
    default,
    deny_unknown_fields,
    rename_all = "kebab-case"
)]
#[schemars(
    crate = "hop3_plugin_api::schemars",
    rename = "toolchains.Settings",
    inline
)]
pub struct ToolchainSettings {
    /// The app's directory in a source that holds several: `apps/web`. The whole source is there while it is built, and its commands run in this directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// Which of several is built: a Go package (`./cmd/web`), a Cargo package or binary, a Maven or Gradle module, a .NET project, a release of Mix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
}

impl Section for ToolchainSettings {
    const SLOT: Slot = Slot::App;
    const NAME: &'static str = "toolchains";
}

impl ToolchainSettings {
    /// The app's directory, which exists; empty for the root of the source.
    pub(crate) fn directory(&self, cx: &PlanContext<'_>) -> Result<String> {
        let Some(named) = &self.directory else {
            return Ok(String::new());
        };
        let hint = "name a directory relative to the root of the source, such as `apps/web`";
        let Some(directory) = normalised(named) else {
            let message = format!(
                "`directory` of `[plugin.toolchains]` is `{named}`, which is not inside the source"
            );
            return Err(config(message, Some(hint)));
        };
        if !directory.is_empty() && cx.source.list(&directory)?.is_empty() {
            let message = format!(
                "`directory` of `[plugin.toolchains]` is `{named}`, which the source does not have"
            );
            return Err(config(message, Some(hint)));
        }
        Ok(directory)
    }
}
