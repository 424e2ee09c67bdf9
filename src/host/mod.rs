//! The machine itself: [`SystemHost`] is the only implementation of [`Host`] in the product, and these files are the only ones that write,
//! start and signal.
//!
//! Programs never run as children of the agent directly: `task` is the helper process between them, and `run` the agent's end of its leash.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "this is the Host seam: every effect ends here"
)]

mod clone;
mod export;
mod files;
mod listeners;
mod lock;
mod ports;
mod process;
mod remove;
mod run;
mod talk;
mod task;
mod tools;
mod users;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use hop3_plugin_api::{
    Exit, FileWrite, Host, HostEntry, HostError, HttpProbe, ProbeAnswer, ProcessId, SourceTree,
    SpawnedProcess, Task, Timestamp, UserId, async_trait,
};
use rustix::process::Signal;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Mutex;

pub(crate) use files::TEMPORARY;
pub use files::sweep;
pub use lock::DataDirLock;
pub use task::internal_task;
pub(crate) use tools::trusted_path;

/// What the operator decides about the machine.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// Where programs are looked up, in order.
    pub tool_path: Vec<PathBuf>,
    /// This binary, started again for helper processes.
    pub agent_binary: PathBuf,
    /// Ports for apps, outside the range that the kernel hands out by itself.
    pub port_range: RangeInclusive<u16>,
    /// Whether each app gets a user of its own; without root it has none anyway.
    pub per_app_users: bool,
    /// Directories that no sandboxed task sees, but for what it is given by name: the data dir, `/etc/hop3-agent`.
    pub hidden: Vec<PathBuf>,
}

impl Default for HostConfig {
    fn default() -> Self {
        let tool_path = [
            "/usr/local/sbin",
            "/usr/local/bin",
            "/usr/sbin",
            "/usr/bin",
            "/sbin",
            "/bin",
        ];
        Self {
            tool_path: tool_path.iter().map(PathBuf::from).collect(),
            agent_binary: "/proc/self/exe".into(),
            port_range: 20000..=29999,
            per_app_users: true,
            hidden: vec!["/etc/hop3-agent".into()],
        }
    }
}

/// The real machine.
#[derive(Debug)]
pub struct SystemHost {
    tools: tools::Tools,
    ports: ports::Ports,
    per_app_users: bool,
    hidden: Vec<PathBuf>,
    users: Mutex<()>,
    leaving: AtomicBool,
}

impl SystemHost {
    /// The machine under these decisions.
    pub fn new(config: HostConfig) -> Self {
        Self {
            tools: tools::Tools {
                path: config.tool_path,
                agent: config.agent_binary,
            },
            ports: ports::Ports::new(config.port_range),
            per_app_users: config.per_app_users,
            hidden: config.hidden,
            users: Mutex::new(()),
            leaving: AtomicBool::new(false),
        }
    }

    /// Says that the agent is about to end in good order: from now on, dropping a running task is the agent's death and no cancellation, so
    /// release commands and jobs finish.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::SeqCst);
    }
}

/// Runs file work without holding up other tasks, where the runtime has threads for that.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

#[async_trait]
impl Host for SystemHost {
    async fn write_atomic(&self, file: FileWrite) -> Result<(), HostError> {
        blocking(|| files::write_atomic(&file))
    }

    async fn ensure_dir(
        &self,
        path: &Path,
        mode: u32,
        owner: Option<UserId>,
    ) -> Result<(), HostError> {
        blocking(|| files::ensure_dir(path, mode, owner))
    }

    async fn ensure_link(&self, link: &Path, target: &Path) -> Result<(), HostError> {
        blocking(|| files::ensure_link(link, target))
    }

    async fn export_tree(
        &self,
        source: &dyn SourceTree,
        only: Option<&[String]>,
        into: &Path,
    ) -> Result<(), HostError> {
        blocking(|| export::export_tree(source, only, into))
    }

    async fn clone_tree(&self, from: &Path, into: &Path) -> Result<(), HostError> {
        blocking(|| clone::clone_tree(from, into))
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<(), HostError> {
        blocking(|| files::rename(from, to))
    }

    async fn remove_beneath(&self, root: &Path, path: &Path) -> Result<(), HostError> {
        blocking(|| remove::remove_beneath(root, path))
    }

    async fn ensure_user(&self, name: &str, home: &Path) -> Result<Option<UserId>, HostError> {
        if !self.per_app_users || !files::is_root() {
            return Ok(None);
        }
        users::ensure_user(self, name, home).await.map(Some)
    }

    async fn run(&self, task: &Task) -> Result<Exit, HostError> {
        run::run(self, task).await
    }

    async fn spawn_detached(&self, task: &Task) -> Result<SpawnedProcess, HostError> {
        run::spawn_detached(self, task).await
    }

    async fn signal(&self, process: &ProcessId, signal: i32, group: bool) -> Result<(), HostError> {
        let doing = || format!("send signal {signal} to process {}", process.pid);
        let named = Signal::from_named_raw(signal).ok_or_else(|| HostError::Refused {
            doing: doing(),
            reason: "there is no such signal".to_owned(),
        })?;
        process::signal(process, named, group).map_err(|e| HostError::Refused {
            doing: doing(),
            reason: e.to_string(),
        })
    }

    async fn ask(
        &self,
        socket: &Path,
        line: &str,
        timeout: Duration,
    ) -> Result<Option<String>, HostError> {
        talk::ask(socket, line, timeout).await
    }

    async fn probe(&self, probe: &HttpProbe) -> ProbeAnswer {
        talk::probe(probe).await
    }

    fn is_running(&self, process: &ProcessId) -> bool {
        process::is_running(process)
    }

    fn listens(&self, address: SocketAddr, processes: &[ProcessId]) -> Option<bool> {
        ports::listens(address, processes)
    }

    async fn free_port(&self) -> Result<u16, HostError> {
        self.ports.free()
    }

    async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, HostError> {
        blocking(|| files::read(path))
    }

    async fn list(&self, directory: &Path) -> Result<Vec<HostEntry>, HostError> {
        blocking(|| files::list(directory))
    }

    fn find_program(&self, name: &str) -> Option<PathBuf> {
        self.tools.find(name)
    }

    fn tool_path(&self) -> Vec<PathBuf> {
        self.tools.path.clone()
    }

    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Timestamp(since.unwrap_or_default().as_secs())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn random(&self, bytes: &mut [u8]) {
        files::fill_random(bytes);
    }
}
