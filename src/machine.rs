//! The machine as plugins are shown it: the host seam, what is linked, directories and the operator's settings, in one value that is
//! made once and shared. Holds no state of any app.

use std::collections::BTreeMap;
use std::sync::Arc;

use hop3_plugin_api::serde_json::Value;
use hop3_plugin_api::{
    Abort, AppName, AppPaths, Context, Deployer, Digest, EnvMap, Host, HostContext, HostDirs,
    HostError, Level, Log, Os, PlanContext, SourceEntry, SourceError, SourceTree, UserId,
};

use crate::registry::Registry;
use crate::release::{Release, Target, app_dir};

/// What effects are made with.
pub struct Machine {
    /// The seam.
    pub host: Arc<dyn Host>,
    /// What is linked and enabled.
    pub registry: Registry,
    /// Directories.
    pub dirs: HostDirs,
    /// This installation's id.
    pub install: String,
    /// `[plugin.<name>]` of agent.toml.
    pub settings: BTreeMap<String, Value>,
    /// Whether each app runs as a user of its own.
    pub per_app_users: bool,
    /// What knows this host's operating system, if anything does.
    pub system: Option<Arc<dyn Os>>,
    /// Whether the operator lets the agent install packages that apps name.
    pub installs_packages: bool,
}

impl Machine {
    /// For calls about the host as a whole.
    pub fn host_context(&self) -> HostContext<'_> {
        HostContext {
            install: &self.install,
            host: self.host.as_ref(),
            services: &self.registry.services,
            log: &TracingLog,
            dirs: &self.dirs,
            settings: &self.settings,
        }
    }

    /// For looking at an app: without its source, environment and user.
    pub fn bare_context<'a>(&'a self, target: &'a Target, paths: &'a AppPaths) -> Context<'a> {
        self.context(
            target,
            paths,
            AppSide {
                source: &NoSource,
                env: &NO_ENV,
                user: None,
            },
        )
    }

    /// For effects on an app.
    pub fn context<'a>(
        &'a self,
        target: &'a Target,
        paths: &'a AppPaths,
        side: AppSide<'a>,
    ) -> Context<'a> {
        Context {
            plan: PlanContext {
                app: &target.app,
                source: side.source,
                config: &target.config,
            },
            machine: self.host_context(),
            paths,
            env: side.env,
            user: side.user,
        }
    }

    /// The deployer that runs a release: the one that it was made for, whatever the spec says by now.
    pub fn deployer_of(&self, release: &Release) -> Result<Arc<dyn Deployer>, Abort> {
        self.registry
            .deployers
            .require(release.target.choice.deployer.as_str())
    }

    /// Effect: ensures the user that an app runs as; `None` where apps share the agent's own.
    pub async fn user(&self, app: &AppName) -> Result<Option<UserId>, HostError> {
        if !self.per_app_users {
            return Ok(None);
        }
        let name = format!("h3-{}", Digest::of_bytes(app.as_str().as_bytes()).short());
        self.host
            .ensure_user(&name, &app_dir(&self.dirs.data, app).join("data"))
            .await
    }
}

/// What a [`Context`] has of the app beside its target.
#[derive(Clone, Copy)]
pub struct AppSide<'a> {
    /// Its source.
    pub source: &'a dyn SourceTree,
    /// Its resolved environment.
    pub env: &'a EnvMap,
    /// Its user.
    pub user: Option<UserId>,
}

static NO_ENV: EnvMap = EnvMap::new();

/// A source with nothing in it, for calls after the build.
#[derive(Debug)]
pub struct NoSource;

impl SourceTree for NoSource {
    fn digest(&self) -> Digest {
        Digest::of_bytes(b"")
    }

    fn digest_without(&self, _files: &[&str]) -> Digest {
        self.digest()
    }

    fn read(&self, _path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(None)
    }

    fn read_up_to(&self, _path: &str, _limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(None)
    }

    fn link_target(&self, _path: &str) -> Result<Option<String>, SourceError> {
        Ok(None)
    }

    fn list(&self, _directory: &str) -> Result<Vec<SourceEntry>, SourceError> {
        Ok(Vec::new())
    }
}

/// Plugins' voice, in the agent's log.
pub(crate) struct TracingLog;

impl Log for TracingLog {
    fn say(&self, level: Level, line: &str) {
        match level {
            Level::Debug => tracing::debug!("{line}"),
            Level::Info => tracing::info!("{line}"),
            Level::Warn => tracing::warn!("{line}"),
        }
    }
}
