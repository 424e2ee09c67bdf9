//! The machine seam. Every effect of the agent and of its plugins is one call of [`Host`]: compound, idempotent, one journal entry and one
//! fault point each. Reading is not an effect.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EndpointAddress, Exit, ProcessId, SourceTree, SpawnedProcess, Task, async_trait};

/// Seconds since 1970-01-01 UTC: for people and for stamps, never for measuring intervals.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

/// A user and group of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserId {
    /// The user's number.
    pub uid: u32,
    /// The primary group's number.
    pub gid: u32,
}

/// A file to put in place as a whole.
#[derive(Clone)]
pub struct FileWrite {
    /// Where; missing parent directories are an error.
    pub path: PathBuf,
    /// What.
    pub content: Vec<u8>,
    /// Its permission bits.
    pub mode: u32,
    /// Its owner, unchanged (the agent's) when absent or when the agent is not root.
    pub owner: Option<UserId>,
}

impl FileWrite {
    /// A file that only the agent reads: mode 0600.
    pub fn private(path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            content: content.into(),
            mode: 0o600,
            owner: None,
        }
    }

    /// The same with other permission bits.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }
}

impl fmt::Debug for FileWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "FileWrite({} {:o}, {} bytes)",
            self.path.display(),
            self.mode,
            self.content.len()
        )
    }
}

/// An HTTP request to one endpoint of an app. Never follows a redirect.
#[derive(Debug, Clone)]
pub struct HttpProbe {
    /// The endpoint; only addresses that the deployer reported are asked.
    pub address: EndpointAddress,
    /// The path with its query, starting with `/`.
    pub path: String,
    /// The `Host` header.
    pub host: String,
    /// For the whole exchange.
    pub timeout: Duration,
}

/// What a probe was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeAnswer {
    /// An HTTP answer.
    Answered {
        /// Its status code.
        status: u16,
        /// The first 64 KiB of its body.
        body: Vec<u8>,
    },
    /// Nothing listens there, or it broke off.
    Unreachable(String),
    /// It did not answer in time.
    TimedOut,
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A socket, FIFO or device.
    Other,
}

/// One entry of a directory of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostEntry {
    /// Its name; names that are not UTF-8 are left out.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
}

/// Why the machine did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// A file operation failed.
    #[error("could not {doing} `{}`", path.display())]
    File {
        /// The verb: `write`, `remove`, …
        doing: &'static str,
        /// The path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A program is not on the host's tool path.
    #[error("the program `{program}` is not installed on this host")]
    MissingProgram {
        /// Its name.
        program: String,
        /// Where it was looked for.
        searched: String,
    },
    /// A program could not be started.
    #[error("could not start `{program}`")]
    Start {
        /// What was started.
        program: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The host refuses: a path outside its root, a sandbox that is required and cannot be had, …
    #[error("refused to {doing}: {reason}")]
    Refused {
        /// What was asked.
        doing: String,
        /// Why not.
        reason: String,
    },
    /// An injected fault, in tests.
    #[error("injected fault at effect {0}")]
    Injected(u64),
}

impl HostError {
    /// A failed file operation.
    pub fn file(doing: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::File {
            doing,
            path: path.into(),
            source,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::MissingProgram { program, searched } => Some(format!(
                "install the package that brings `{program}`, or add its directory to `tool-path` in agent.toml (searched {searched})"
            )),
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some("free space on this file system".to_owned())
            }
            _ => None,
        }
    }
}

/// The machine.
///
/// Guarantees: each effect either happens as a whole or not at all, as far as the kernel can promise it; calling it again after a crash
/// gives the same result. Files are written beside their target, synced and renamed. Nothing follows a symbolic link out of a root.
///
/// Assumptions: one agent per data dir (a lock sees to it); paths lie in the data dir or the run dir.
///
/// Caveats: [`Host::run`] is idempotent only if the task is; once tasks are guarded by the journal.
#[async_trait]
pub trait Host: Send + Sync + fmt::Debug {
    /// Effect: puts a file in place; readers see the old or the new content, never a part.
    async fn write_atomic(&self, file: FileWrite) -> Result<(), HostError>;

    /// Effect: makes a directory and its missing parents; sets mode and owner of the last one.
    async fn ensure_dir(
        &self,
        path: &Path,
        mode: u32,
        owner: Option<UserId>,
    ) -> Result<(), HostError>;

    /// Effect: makes or atomically replaces a symbolic link.
    async fn ensure_link(&self, link: &Path, target: &Path) -> Result<(), HostError>;

    /// Effect: writes a source (or the listed paths of it) into a directory that must not exist yet. Refuses names that leave it,
    /// `.git` in any spelling, and submodules; symbolic links are written only when they stay inside.
    async fn export_tree(
        &self,
        source: &dyn SourceTree,
        only: Option<&[String]>,
        into: &Path,
    ) -> Result<(), HostError>;

    /// Effect: clones a directory tree into one that must not exist yet (reflinks where the file system can, else copies).
    async fn clone_tree(&self, from: &Path, into: &Path) -> Result<(), HostError>;

    /// Effect: renames within one file system.
    async fn rename(&self, from: &Path, to: &Path) -> Result<(), HostError>;

    /// Effect: removes what is at `path`, which lies beneath `root`; follows no link; missing is fine.
    async fn remove_beneath(&self, root: &Path, path: &Path) -> Result<(), HostError>;

    /// Effect: makes sure that a system user exists; without root it returns `None` and does nothing.
    async fn ensure_user(&self, name: &str, home: &Path) -> Result<Option<UserId>, HostError>;

    /// Effect: runs a program to its end under `internal-task`.
    async fn run(&self, task: &Task) -> Result<Exit, HostError>;

    /// Effect: starts a process that outlives the agent. Its input is `task.input` and then closed; its output goes to `task.output.log`.
    /// Deadline, sandbox and `agent_death` do not apply.
    async fn spawn_detached(&self, task: &Task) -> Result<SpawnedProcess, HostError>;

    /// Effect: sends a signal (by number) to exactly this process, or to its group; a process that is gone is fine.
    async fn signal(&self, process: &ProcessId, signal: i32, group: bool) -> Result<(), HostError>;

    /// Effect: sends one line to a unix socket and returns the line that it answers; `None` when nothing listens there.
    /// With `timeout` for the whole exchange.
    async fn ask(
        &self,
        socket: &Path,
        line: &str,
        timeout: Duration,
    ) -> Result<Option<String>, HostError>;

    /// Asks an app's endpoint.
    async fn probe(&self, probe: &HttpProbe) -> ProbeAnswer;

    /// Whether a process runs (a zombie does not).
    fn is_running(&self, process: &ProcessId) -> bool;

    /// Whether the listener at a TCP address belongs to one of these processes or to a descendant of them; `None` when that cannot be told.
    fn listens(&self, address: SocketAddr, processes: &[ProcessId]) -> Option<bool>;

    /// A free TCP port of the loopback address from the host's private range, different on each call as long as possible.
    async fn free_port(&self) -> Result<u16, HostError>;

    /// A file's content, `None` when it is missing.
    async fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, HostError>;

    /// A directory's entries by name, empty when it is missing.
    async fn list(&self, directory: &Path) -> Result<Vec<HostEntry>, HostError>;

    /// Where a program name leads on the host's tool path.
    fn find_program(&self, name: &str) -> Option<PathBuf>;

    /// The directories in which [`Host::find_program`] looks, in order, for the `PATH` of children. Where a host does not say, it is the
    /// one with the shell.
    fn tool_path(&self) -> Vec<PathBuf> {
        let shell = self.find_program("sh");
        let directory = shell.and_then(|path| path.parent().map(Path::to_owned));
        directory.into_iter().collect()
    }

    /// The wall clock, for stamps.
    fn now(&self) -> Timestamp;

    /// Waits.
    async fn sleep(&self, duration: Duration);

    /// Random bytes from the kernel.
    fn random(&self, bytes: &mut [u8]);
}
