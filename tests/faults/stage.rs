//! A whole installation in a directory of its own: config repo, data dir, proxy port. The agent's loop runs in this process, with any host
//! that it is given.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hop3_agent::compose::Settings;
use hop3_agent::config::AgentConfig;
use hop3_agent::control::Control;
use hop3_agent::host::DataDirLock;
use hop3_agent::registry::Registry;
use hop3_agent::schema::Schemas;
use hop3_agent::uninstall::stop_everything;
use hop3_plugin_api::Host;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::git_repo::GitRepo;
use crate::visitor::Visitor;

/// The longest that the loop may take to come to rest.
const PATIENCE: Duration = Duration::from_mins(3);

/// The example's apps.
pub(crate) const APPS: [&str; 3] = ["echo", "guestbook", "site"];

/// One installation.
pub(crate) struct Stage {
    _directory: TempDir,
    settings: Settings,
    repo: GitRepo,
    pub(crate) proxy: SocketAddr,
}

/// A process of an installation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    /// Its working directory or, if that is elsewhere, its log; from the data dir.
    pub(crate) place: String,
    /// Its number.
    pub(crate) pid: u32,
    /// Its arguments.
    pub(crate) command: String,
}

impl Stage {
    /// An installation with the example's repo, nothing applied yet.
    pub(crate) fn set() -> Self {
        let directory = tempfile::Builder::new().prefix("h3ft-").tempdir().unwrap();
        let repo = GitRepo::empty(directory.path());
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/gitops-repo");
        let files = texts(&example);
        let named: Vec<_> = files
            .iter()
            .map(|(n, t)| (n.as_str(), t.as_str()))
            .collect();
        repo.push(&named, "Three apps");
        let proxy = free_address();
        let settings = settings(directory.path(), &repo.url(), proxy);
        Self {
            _directory: directory,
            settings,
            repo,
            proxy,
        }
    }

    /// The real machine.
    pub(crate) fn host(&self) -> Arc<dyn Host> {
        self.settings.system_host()
    }

    /// Commits another edition of the guestbook.
    pub(crate) fn publish(&self, edition: &str) {
        self.repo
            .push(&[("apps/guestbook/VERSION", edition)], edition);
    }

    /// One life of the agent: starts, looks once, carries out what can be done, ends. An agent that cannot start says why.
    pub(crate) async fn settle(&self, host: Arc<dyn Host>) -> Result<Control, String> {
        let _lock = self.lock(host.as_ref()).await?;
        hop3_agent::host::sweep(&self.settings.config.data_dir, 4);
        let machine = self
            .settings
            .machine(Arc::clone(&host))
            .await
            .map_err(text)?;
        let store = self.settings.store(host).map_err(text)?;
        let parts = self.settings.parts(machine, store).map_err(text)?;
        let (control, _sender) = Control::new(parts);
        tokio::time::timeout(PATIENCE, control.settle())
            .await
            .map_err(|_| "the loop did not come to rest".to_owned())
    }

    /// A process that another case is starting at this very moment holds every lock of this one until it becomes another program.
    async fn lock(&self, host: &dyn Host) -> Result<DataDirLock, String> {
        let mut tries = 0;
        loop {
            match self.settings.lock(host).await.map_err(text) {
                Err(why) if why.contains("another agent") && tries < 100 => tries += 1,
                taken => return taken,
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Forgets what failed, so that nothing rests any more and no time has to pass.
    pub(crate) fn end_rests(&self) {
        let store = self.data().join("agent/state.db");
        // It is not there when the agent could not even start.
        if store.exists() {
            let db = rusqlite::Connection::open(store).unwrap();
            db.execute("DELETE FROM memo WHERE kind = 'attempt'", [])
                .ok();
        }
    }

    /// The data dir.
    pub(crate) fn data(&self) -> &Path {
        &self.settings.config.data_dir
    }

    /// Somebody who asks an app.
    pub(crate) fn visitor(&self, app: &str) -> Visitor {
        Visitor::new(app, self.proxy)
    }

    /// Every process that works or writes in this installation's directories.
    pub(crate) fn processes(&self) -> BTreeSet<Process> {
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        entries
            .filter_map(|entry| self.process(entry.file_name().to_str()?.parse().ok()?))
            .collect()
    }

    fn process(&self, pid: u32) -> Option<Process> {
        let proc = PathBuf::from(format!("/proc/{pid}"));
        let mut marks = ["cwd", "fd/1", "fd/2"].iter().filter_map(|mark| {
            let path = std::fs::read_link(proc.join(mark)).ok()?;
            Some(path.strip_prefix(self.data()).ok()?.display().to_string())
        });
        let place = marks.next()?;
        let command = std::fs::read(proc.join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        (!command.is_empty()).then_some(Process {
            place,
            pid,
            command,
        })
    }

    /// Ends everything; says what could not be ended.
    pub(crate) async fn strike(self) -> Vec<Process> {
        let machine = self.settings.machine(self.host()).await.unwrap();
        let ended = stop_everything(&machine).await;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
        while !self.processes().is_empty() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let left: Vec<_> = self.processes().into_iter().collect();
        ended.unwrap();
        left
    }
}

/// Whatever happens, nothing of it runs on.
impl Drop for Stage {
    fn drop(&mut self) {
        for process in self.processes() {
            let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
            if let Some(pid) = pid {
                // It may have ended by itself.
                kill_process(pid, Signal::KILL).ok();
            }
        }
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

fn settings(directory: &Path, repo: &str, proxy: SocketAddr) -> Settings {
    let directory = directory.display();
    let text = format!(
        "host = \"demo\"\ndata-dir = \"{directory}/data\"\nrun-dir = \"{directory}/run\"\nlisten = \"\"\n\n\
         [repo]\nurl = \"{repo}\"\nbranch = \"main\"\n\n[policy]\nusers = \"none\"\n\n\
         [plugin.builtin-proxy]\nlisten = [\"{proxy}\"]\n"
    );
    let registry = Registry::new(hop3_agent::builtin()).unwrap();
    let names: Vec<&str> = registry.linked().iter().map(|linked| linked.name).collect();
    let schemas = Schemas::compose_for(&names, &registry.sections());
    let config = AgentConfig::parse(&text, "agent.toml", &schemas).unwrap();
    Settings {
        agent_binary: env!("CARGO_BIN_EXE_hop3-agent").into(),
        ..Settings::new(config, schemas, &registry)
    }
}

/// Every file below a directory, by its path.
pub(crate) fn texts(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                found.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}
