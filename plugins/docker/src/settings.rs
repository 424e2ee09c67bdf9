//! What the operator and the spec may say: `[plugin.docker]` of either, and the spec's own `[docker]`.

use std::collections::BTreeMap;

use hop3_plugin_api::schemars::JsonSchema;
use hop3_plugin_api::{AppConfig, PluginError, Result, Section, Slot};
use serde::{Deserialize, Serialize};

/// `[plugin.docker]` of agent.toml.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(crate = "hop3_plugin_api::schemars", rename = "docker.HostSettings")]
pub struct HostSettings {
    /// Address of the engine, as `DOCKER_HOST` takes it: `unix:///run/docker.sock`. The client's own default when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Directory with the client's configuration (registry credentials, plugins), as `DOCKER_CONFIG` takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_dir: Option<String>,
    /// Seconds after which an engine that was asked something counts as not answering.
    #[schemars(range(min = 1, max = 300))]
    pub timeout: u64,
}

impl Default for HostSettings {
    fn default() -> Self {
        Self {
            host: None,
            config_dir: None,
            timeout: 10,
        }
    }
}

impl Section for HostSettings {
    const SLOT: Slot = Slot::Host;
    const NAME: &'static str = "docker";
}

/// `[plugin.docker]` of a spec.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(crate = "hop3_plugin_api::schemars", rename = "docker.AppSettings")]
pub struct AppSettings {
    /// The service of the app's compose file that gets requests. Needed only where it is neither the only one nor named `web` or `app`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

impl Section for AppSettings {
    const SLOT: Slot = Slot::App;
    const NAME: &'static str = "docker";
}

/// The container port where neither `[docker] port` nor the compose file names one.
const DEFAULT_PORT: u16 = 8000;

/// `[docker]` of a spec, and the image that the core pinned for `[source] image`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct DockerTable {
    port: Option<u16>,
    runtime: Option<String>,
    pub(crate) build_args: BTreeMap<String, String>,
    pub(crate) dockerfile: Option<String>,
    pub(crate) context: Option<String>,
    pub(crate) target: Option<String>,
    pub(crate) image: Option<String>,
}

impl DockerTable {
    pub(crate) fn of(config: &AppConfig) -> Result<Self> {
        let Some(value) = &config.docker else {
            return Ok(Self::default());
        };
        serde_json::from_value(value.clone())
            .map_err(|e| PluginError::other("could not read `[docker]`", e))
    }

    /// Whether the compose file counts although there is a Dockerfile.
    pub(crate) fn wants_compose(&self) -> bool {
        self.runtime.as_deref() == Some("docker-compose")
    }

    /// The port that the app listens on inside its container.
    pub(crate) fn port_or(&self, found: Option<u16>) -> u16 {
        self.port.or(found).unwrap_or(DEFAULT_PORT)
    }
}
