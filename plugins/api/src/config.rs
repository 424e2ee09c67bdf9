//! What a plugin is told of an app's spec, after merging `hop3.toml`, the Procfile and defaults.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{EnvKey, PluginName, WorkerName};

/// An app's settings as plugins see them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AppConfig {
    /// `[build]`.
    pub build: BuildConfig,
    /// `[run]` and the Procfile: worker to command, without hooks.
    pub workers: BTreeMap<WorkerName, String>,
    /// `[static]`: URL path to directory.
    pub static_paths: BTreeMap<String, String>,
    /// `[docker] port` and the like, as written.
    pub docker: Option<Value>,
    /// `[plugin.<name>]`.
    pub plugin: BTreeMap<String, Value>,
    /// `[deploy] writable`.
    pub writable: Vec<String>,
}

/// `[build]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BuildConfig {
    /// The builder asked for; `auto` is `None`.
    pub builder: Option<PluginName>,
    /// The toolchain asked for.
    pub toolchain: Option<PluginName>,
    /// The directory that a static site publishes.
    pub static_dir: Option<String>,
    /// Commands before the toolchain's.
    pub before_build: Vec<String>,
    /// Commands after dependencies are installed.
    pub build: Vec<String>,
    /// Commands after everything else.
    pub after_build: Vec<String>,
    /// Smoke tests, last.
    pub test: Vec<String>,
    /// Further pip packages.
    pub pip_install: Vec<String>,
    /// Host packages that the build needs.
    pub packages: Vec<String>,
    /// Tool versions asked for: `node` from `node-version`, `python` from `python-version`, ….
    pub versions: BTreeMap<String, String>,
    /// Whether a missing lock file is accepted.
    pub allow_unlocked: bool,
    /// The longest that the whole build may take.
    pub timeout: Option<Duration>,
    /// `[build.env]`, and the run-time literals named in `[build] env`.
    pub env: BTreeMap<EnvKey, String>,
    /// Whether the app asks for a build without any network.
    pub offline: bool,
    /// Whether a host that cannot sandbox must refuse.
    pub sandbox_required: bool,
}
