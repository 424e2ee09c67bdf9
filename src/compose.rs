//! From settings to the things that the loop is made from. Reads the operator's files; starts nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hop3_plugin_api::{Abort, Digest, FileWrite, Host, HostDirs, Os, Secret, os_release};
use serde_json::{Value, json};
use tokio::sync::{Mutex, Semaphore};

use crate::config::{AgentConfig, PackagePolicy, RepoConfig, UserPolicy};
use crate::control::Parts;
use crate::execute::{Executor, Sites, chain, hex};
use crate::host::{DataDirLock, HostConfig, SystemHost};
use crate::machine::Machine;
use crate::registry::{Registry, disabled};
use crate::repo::{self, FetchLimits, Mirror, Token};
use crate::schema::Schemas;
use crate::state::{Origin, StateError, Store};
use crate::webhook::HookSecret;

/// An agent's settings with what is linked.
pub struct Settings {
    /// agent.toml.
    pub config: AgentConfig,
    /// This host's name.
    pub host: String,
    /// Composed schemas.
    pub schemas: Arc<Schemas>,
    /// Linked and enabled plugins.
    pub registry: Registry,
    /// This binary, started again for helper processes. A program that only links this library names the real one.
    pub agent_binary: PathBuf,
}

impl Settings {
    /// Settings with plugins that they switch off left out.
    pub fn new(config: AgentConfig, schemas: Schemas, registry: &Registry) -> Self {
        let host = config.host.clone().unwrap_or_else(machine_name);
        let registry = registry.without(&disabled(&config.plugin));
        Self {
            config,
            host,
            schemas: Arc::new(schemas),
            registry,
            agent_binary: HostConfig::default().agent_binary,
        }
    }

    /// Takes the data dir for this process alone, and makes its directories.
    pub async fn lock(&self, host: &dyn Host) -> Result<DataDirLock, Abort> {
        let dirs = self.dirs();
        for (path, mode) in [
            (dirs.data.clone(), 0o711),
            (dirs.data.join("agent"), 0o700),
            (dirs.data.join("apps"), 0o711),
            (dirs.sites.clone(), 0o711),
            (dirs.addons.clone(), 0o711),
            (dirs.log.clone(), 0o700),
            (dirs.run.clone(), 0o711),
        ] {
            host.ensure_dir(&path, mode, None)
                .await
                .map_err(|e| Abort::new(chain(&e)))?;
        }
        DataDirLock::take(&dirs.data).map_err(|error| Abort::new(chain(&error)))
    }

    /// The directories below the data dir.
    pub fn dirs(&self) -> HostDirs {
        let data = self.config.data_dir.clone();
        HostDirs {
            run: self.config.run_dir.clone(),
            sites: data.join("sites"),
            addons: data.join("addons"),
            log: data.join("agent").join("log"),
            data,
        }
    }

    /// The real machine.
    pub fn system_host(&self) -> Arc<SystemHost> {
        let defaults = HostConfig::default();
        let given = &self.config.tool_path;
        let config = HostConfig {
            tool_path: if given.is_empty() {
                defaults.tool_path.clone()
            } else {
                given.clone()
            },
            agent_binary: self.agent_binary.clone(),
            per_app_users: self.per_app_users(),
            hidden: [defaults.hidden.clone(), vec![self.config.data_dir.clone()]].concat(),
            ..defaults
        };
        Arc::new(SystemHost::new(config))
    }

    fn per_app_users(&self) -> bool {
        let root = rustix::process::geteuid().is_root();
        root && self.config.policy.users.unwrap_or(UserPolicy::PerApp) == UserPolicy::PerApp
    }

    /// The machine as plugins see it. Effect: makes the installation's id when there is none.
    pub async fn machine(&self, host: Arc<dyn Host>) -> Result<Machine, Abort> {
        let dirs = self.dirs();
        let install = install_id(host.as_ref(), &dirs.data).await?;
        let system = operating_system(host.as_ref(), &self.registry).await?;
        Ok(Machine {
            host,
            registry: self.registry.clone(),
            install,
            settings: self.plugin_settings(),
            per_app_users: self.per_app_users(),
            system,
            installs_packages: self.config.policy.packages == PackagePolicy::Install,
            dirs,
        })
    }

    /// `[plugin.*]`, with the operator's policy and limits for builds given to the builder that carries them out.
    pub fn plugin_settings(&self) -> BTreeMap<String, Value> {
        let mut settings = self.config.plugin.clone();
        let (policy, limits) = (&self.config.policy, &self.config.limits);
        let mut from_policy = json!({
            "network": policy.build_network,
            "sandbox": policy.sandbox,
            "timeout": limits.build_timeout.as_secs(),
        });
        if let Some(processes) = limits.processes {
            from_policy["processes"] = json!(processes);
        }
        let local = settings
            .entry("local".to_owned())
            .or_insert_with(|| json!({}));
        if let (Some(local), Some(from_policy)) = (local.as_object_mut(), from_policy.as_object()) {
            for (key, value) in from_policy {
                local.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        settings
    }

    /// What the loop is made from.
    pub fn parts(&self, machine: Machine, store: Store) -> Result<Parts, Abort> {
        let section = self.repo()?;
        let mirror =
            open_mirror(section, &self.config.data_dir)?.with_fetch_program(&self.agent_binary);
        let executor = Executor {
            machine: Arc::new(machine),
            sites: Arc::new(Sites::default()),
            store: Arc::new(store),
            builds: Arc::new(Semaphore::new(usize::from(self.config.limits.builds))),
            packages: Arc::new(Mutex::new(())),
        };
        Ok(Parts {
            host: self.host.clone(),
            executor,
            schemas: Arc::clone(&self.schemas),
            repo: Arc::new(mirror),
            repo_path: section.path.as_str().to_owned(),
            repo_url: section.url.to_string(),
            drift: self.config.drift_interval.max(Duration::from_secs(1)),
        })
    }

    /// The store beside the lock.
    pub fn store(&self, host: Arc<dyn Host>) -> Result<Store, Abort> {
        let data = &self.config.data_dir;
        let install = std::fs::read_to_string(install_file(data)).map_err(|error| {
            Abort::new(format!("could not read the installation's id: {error}"))
        })?;
        let path = data.join("agent").join("state.db");
        let origin = Origin::of(data, &install, &self.essence());
        Store::open(&path, host, &origin).map_err(|error| refused(&error))
    }

    /// What of the settings decides how an app fares on this host.
    fn essence(&self) -> Digest {
        let config = &self.config;
        let tools: Vec<_> = config
            .tool_path
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let policy = format!("{:?}", config.policy);
        Digest::of(&json!([
            self.plugin_settings(),
            tools,
            policy,
            config.limits.memory,
            config.limits.processes
        ]))
    }

    /// The webhook's secret, when there is a webhook.
    pub fn hook_secret(&self) -> Result<Option<HookSecret>, Abort> {
        let webhook = self
            .config
            .repo
            .as_ref()
            .and_then(|repo| repo.webhook.as_ref());
        let Some(webhook) = webhook else {
            return Ok(None);
        };
        let text = read_secret(&webhook.secret_file)?;
        let secret = HookSecret::new(text.expose()).map_err(|e| {
            Abort::new(format!("`{}`: {e}", webhook.secret_file.display()))
                .hint("write at least 16 random bytes into it")
        })?;
        Ok(Some(secret))
    }

    fn repo(&self) -> Result<&RepoConfig, Abort> {
        self.config.repo.as_ref().ok_or_else(|| {
            Abort::new("agent.toml names no config repo").hint(
                "add `[repo]` with `url = \"https://…\"`; `hop3-agent init` writes an example",
            )
        })
    }
}

/// What knows this machine's operating system, by its `os-release`.
pub(crate) async fn operating_system(
    host: &dyn Host,
    registry: &Registry,
) -> Result<Option<Arc<dyn Os>>, Abort> {
    let text = host.read(Path::new("/etc/os-release")).await;
    let text = text.map_err(|e| Abort::new(chain(&e)))?.unwrap_or_default();
    let release = os_release(&String::from_utf8_lossy(&text));
    let mut known = registry.systems.iter();
    Ok(known.find(|system| system.detect(&release)).cloned())
}

fn open_mirror(section: &RepoConfig, data_dir: &Path) -> Result<Mirror, Abort> {
    let mut config = repo::RepoConfig::new(section.url.clone(), section.reference.clone());
    config.mirrors.clone_from(&section.mirrors);
    config.path = section.path.clone();
    config.ca.clone_from(&section.ca_file);
    config.ssh.clone_from(&section.ssh);
    config.history = section.history;
    config.limits = FetchLimits::within(section.deadline);
    config.poll = section.poll;
    let token = section.token_file.as_ref();
    config.token = token.map(|file| Token::in_file(&section.username, file));
    Mirror::open_or_init(data_dir.join("agent").join("repo"), config).map_err(|error| {
        let abort = Abort::new(chain(&error));
        match error.hint() {
            Some(hint) => abort.hint(hint),
            None => abort,
        }
    })
}

/// A secret file of the operator, without the line end that editors leave.
fn read_secret(path: &Path) -> Result<Secret, Abort> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        Abort::new(format!("could not read `{}`: {e}", path.display()))
            .hint("the agent's user must be able to read it")
    })?;
    Ok(Secret::new(text.trim_end_matches(['\n', '\r'])))
}

fn refused(error: &StateError) -> Abort {
    let abort = Abort::new(chain(error));
    match error.hint() {
        Some(hint) => abort.hint(hint),
        None => abort,
    }
}

fn install_file(data_dir: &Path) -> PathBuf {
    data_dir.join("agent").join("install-id")
}

/// The id that everything made here is stamped with. Made once; where it was lost, the stamps have it.
async fn install_id(host: &dyn Host, data_dir: &Path) -> Result<String, Abort> {
    let path = install_file(data_dir);
    if let Some(bytes) = host.read(&path).await.map_err(|e| Abort::new(chain(&e)))? {
        return String::from_utf8(bytes)
            .map_err(|_| Abort::new(format!("`{}` is damaged", path.display())));
    }
    let id = match stamped_install(data_dir)? {
        Some(id) => id,
        None => new_install(host),
    };
    host.write_atomic(FileWrite::private(path, id.clone()))
        .await
        .map_err(|e| Abort::new(chain(&e)))?;
    Ok(id)
}

fn new_install(host: &dyn Host) -> String {
    let mut bytes = [0; 16];
    host.random(&mut bytes);
    hex(&bytes)
}

/// The id in the stamps of releases, if there are any. Where they disagree, nobody can say what is ours.
fn stamped_install(data_dir: &Path) -> Result<Option<String>, Abort> {
    #[derive(serde::Deserialize)]
    struct Stamp {
        install: String,
    }
    let entries = |directory: PathBuf| std::fs::read_dir(directory).into_iter().flatten().flatten();
    let releases =
        entries(data_dir.join("apps")).flat_map(|app| entries(app.path().join("releases")));
    let stamps =
        releases.filter_map(|release| std::fs::read(release.path().join("release.json")).ok());
    let mut ids = BTreeSet::new();
    ids.extend(
        stamps.filter_map(|bytes| Some(serde_json::from_slice::<Stamp>(&bytes).ok()?.install)),
    );
    let id = ids.pop_first();
    if ids.is_empty() {
        return Ok(id);
    }
    let refusal = Abort::new(format!(
        "the installation's id in `{}` was lost, and releases carry several",
        data_dir.display()
    ));
    Err(refusal.hint("write the right one into `agent/install-id` there; the stamps `apps/*/releases/*/release.json` have them"))
}

/// The machine's own name, up to its first dot.
fn machine_name() -> String {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    name.split('.').next().unwrap_or(&name).to_owned()
}
