//! What a plugin is given with each call.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::PathBuf;

use serde_json::Value;

use crate::{
    AppConfig, AppName, EnvMap, FileKind, Host, HostEntry, PluginError, Result, Section, Services,
    Slot, SourceTree, UserId,
};

/// How loud a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For finding a fault.
    Debug,
    /// A fact an operator asked for.
    Info,
    /// Recovered by itself.
    Warn,
}

/// A plugin's only voice.
pub trait Log: Send + Sync {
    /// Says one line.
    fn say(&self, level: Level, line: &str);
}

/// Directories of the host, all inside the data dir but `run`.
#[derive(Debug, Clone)]
pub struct HostDirs {
    /// The data dir.
    pub data: PathBuf,
    /// Short directory for sockets.
    pub run: PathBuf,
    /// Where proxies keep their configuration.
    pub sites: PathBuf,
    /// Where addons keep what is not an app's.
    pub addons: PathBuf,
    /// Logs of helper processes.
    pub log: PathBuf,
}

impl HostDirs {
    /// A datagram socket on which the agent, while it runs, takes names of apps of which something changed. Best effort: whoever has news
    /// sends one name and waits for nothing; the agent goes and looks, and looks by itself now and then anyway.
    pub fn nudges(&self) -> PathBuf {
        self.run.join("nudge.sock")
    }
}

/// For calls about the host as a whole.
#[derive(Clone, Copy)]
pub struct HostContext<'a> {
    /// This installation's id: part of every stamp.
    pub install: &'a str,
    /// The machine.
    pub host: &'a dyn Host,
    /// What other plugins offer.
    pub services: &'a Services,
    /// The plugin's voice.
    pub log: &'a dyn Log,
    /// Directories.
    pub dirs: &'a HostDirs,
    /// `[plugin.<name>]` of agent.toml and the host file, by name.
    pub settings: &'a BTreeMap<String, Value>,
}

impl HostContext<'_> {
    /// The operator's settings for a plugin, or their defaults.
    pub fn section<S: Section>(&self) -> Result<S> {
        debug_assert_eq!(
            S::SLOT,
            Slot::Host,
            "an app's section is asked of a `PlanContext`"
        );
        section::<S>(self.settings)
    }

    /// Files of apps' state directories whose name fits, of all apps or of one: where a deployer keeps its stamps.
    pub async fn stamps(
        &self,
        app: Option<&AppName>,
        fits: fn(&str) -> bool,
    ) -> Result<Vec<PathBuf>> {
        let apps = self.dirs.data.join("apps");
        let names = match app {
            Some(app) => vec![app.to_string()],
            None => directories(self.host.list(&apps).await?),
        };
        let mut stamps = Vec::new();
        for name in names {
            let state = apps.join(name).join("state");
            let entries = self.host.list(&state).await?.into_iter();
            let fitting = entries.filter(|entry| fits(&entry.name));
            stamps.extend(fitting.map(|entry| state.join(entry.name)));
        }
        Ok(stamps)
    }
}

fn directories(entries: Vec<HostEntry>) -> Vec<String> {
    let directories = entries
        .into_iter()
        .filter(|entry| entry.kind == FileKind::Directory);
    directories.map(|entry| entry.name).collect()
}

/// For pure calls about one app: nothing here can have an effect.
#[derive(Clone, Copy)]
pub struct PlanContext<'a> {
    /// The app.
    pub app: &'a AppName,
    /// Its pinned source.
    pub source: &'a dyn SourceTree,
    /// Its settings.
    pub config: &'a AppConfig,
}

impl PlanContext<'_> {
    /// The app's settings for a plugin (`[plugin.<name>]` of the spec), or their defaults.
    pub fn section<S: Section>(&self) -> Result<S> {
        section::<S>(&self.config.plugin)
    }
}

/// Directories of one app.
#[derive(Debug, Clone)]
pub struct AppPaths {
    /// `apps/<app>`: everything else but sockets is beneath it.
    pub app: PathBuf,
    /// `apps/<app>/releases/<n>`: the release that the call is about.
    pub release: PathBuf,
    /// `apps/<app>/releases/<n>/app`: where the source is built and runs.
    pub build: PathBuf,
    /// `apps/<app>/layers`.
    pub layers: PathBuf,
    /// `apps/<app>/data`: the app's own, its HOME; survives every release.
    pub data: PathBuf,
    /// `apps/<app>/cache`: may vanish at any time.
    pub cache: PathBuf,
    /// `apps/<app>/log`.
    pub log: PathBuf,
    /// `apps/<app>/state`: stamps of deployers and addons, readable by the agent alone.
    pub state: PathBuf,
}

/// For effects on one app.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The pure part.
    pub plan: PlanContext<'a>,
    /// The host's part.
    pub machine: HostContext<'a>,
    /// The app's directories.
    pub paths: &'a AppPaths,
    /// The app's resolved run-time environment; empty while building.
    pub env: &'a EnvMap,
    /// The user that the app's commands run as; `None` without root.
    pub user: Option<UserId>,
}

impl<'a> Deref for Context<'a> {
    type Target = HostContext<'a>;

    fn deref(&self) -> &HostContext<'a> {
        &self.machine
    }
}

fn section<S: Section>(settings: &BTreeMap<String, Value>) -> Result<S> {
    let Some(value) = settings.get(S::NAME) else {
        return Ok(S::default());
    };
    let mut value = value.clone();
    if let Some(table) = value.as_object_mut() {
        table.remove("enabled");
    }
    serde_json::from_value(value)
        .map_err(|e| PluginError::other(format!("could not read `[plugin.{}]`", S::NAME), e))
}
