//! The machine seam. Every effect of the agent and of its plugins is one call of [`Host`]: compound, idempotent, one journal entry and one
//! fault point each. Reading is not an effect.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EndpointAddress, Secret, SourceTree, async_trait};

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

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ProcessId {
    /// Its number.
    pub pid: u32,
    /// Its start time in clock ticks since boot (field 22 of `/proc/<pid>/stat`).
    pub start_time: u64,
    /// The boot that it belongs to (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
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

/// Which program to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// A name, looked up in the host's tool path: directories that only root (or the agent's own user) can write.
    Named(String),
    /// This very binary.
    Agent,
    /// An absolute path, for instance inside a layer or a release.
    At(PathBuf),
    /// The app's own command line, read by `/bin/sh` as the app's user in its sandbox. The only way to a shell.
    AppShell(String),
}

/// What becomes of a running task when the agent dies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentDeath {
    /// It is ended with its whole process group: builds, fetches, dumps.
    EndTask,
    /// It finishes, and its exit is written to this file for the next agent: once steps and jobs.
    Finish {
        /// Where an [`ExitRecord`] goes: first that it runs, then how it ended.
        exit_file: PathBuf,
    },
}

/// Resources a task may use. Absent means the host's ceiling.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Limits {
    /// Address space in bytes.
    pub memory: Option<u64>,
    /// Processes and threads of the task's user.
    pub processes: Option<u64>,
    /// Largest file it may write, in bytes.
    pub file_size: Option<u64>,
    /// Open files.
    pub open_files: Option<u64>,
}

/// What a task may see and write. The host applies as much as the kernel offers and reports the level in the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// Whether anything is confined at all.
    pub enabled: bool,
    /// Directories it may write, beside its own temporary directory.
    pub writable: Vec<PathBuf>,
    /// Directories it may read although they lie in the data dir.
    pub readable: Vec<PathBuf>,
    /// Whether it may use the network.
    pub network: bool,
    /// Whether a host that cannot confine it must refuse to run it.
    pub required: bool,
}

/// How much of a task's output is kept, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputCap {
    /// The file that receives standard output and error, appended.
    pub log: Option<PathBuf>,
    /// The most bytes that the log may grow by; what follows is dropped with a line that says so.
    pub log_bytes: u64,
    /// How many of the last bytes [`Exit::tail`] holds.
    pub tail_bytes: usize,
}

impl Default for OutputCap {
    fn default() -> Self {
        Self {
            log: None,
            log_bytes: 16 * 1024 * 1024,
            tail_bytes: 16 * 1024,
        }
    }
}

/// A program to run to its end. `env` is its whole environment: nothing is inherited.
#[derive(Debug, Clone)]
pub struct Task {
    /// What this is, for the journal and for messages: `install dependencies of shop`.
    pub what: String,
    /// The program.
    pub program: Program,
    /// Its arguments. Never a secret: other users can read them.
    pub args: Vec<String>,
    /// Its environment.
    pub env: BTreeMap<String, Secret>,
    /// Its working directory.
    pub dir: PathBuf,
    /// Its user; the agent's own when absent or when the agent is not root.
    pub user: Option<UserId>,
    /// What it may use.
    pub limits: Limits,
    /// What it may see.
    pub sandbox: Sandbox,
    /// When it is ended with its whole process group.
    pub deadline: Duration,
    /// What it reads from standard input.
    pub input: Option<Secret>,
    /// Where its output goes.
    pub output: OutputCap,
    /// What becomes of it without the agent.
    pub agent_death: AgentDeath,
}

impl Task {
    /// A task with an empty environment, no sandbox and a deadline of ten minutes.
    pub fn new(what: impl Into<String>, program: Program, dir: impl Into<PathBuf>) -> Self {
        Self {
            what: what.into(),
            program,
            args: Vec::new(),
            env: BTreeMap::new(),
            dir: dir.into(),
            user: None,
            limits: Limits::default(),
            sandbox: Sandbox::default(),
            deadline: Duration::from_mins(10),
            input: None,
            output: OutputCap::default(),
            agent_death: AgentDeath::EndTask,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds one variable.
    #[must_use]
    pub fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(key.into(), Secret::new(value));
        self
    }

    /// Sets the deadline.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The program and its arguments for a message, at most 200 characters.
    pub fn command_line(&self) -> String {
        let program = match &self.program {
            Program::Named(name) => name.clone(),
            Program::Agent => "hop3-agent".to_owned(),
            Program::At(path) => path.display().to_string(),
            Program::AppShell(command) => command.clone(),
        };
        std::iter::once(program)
            .chain(self.args.iter().cloned())
            .collect::<Vec<_>>()
            .join(" ")
            .chars()
            .take(200)
            .collect()
    }
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitStatus {
    /// It ended by itself with this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// The agent ended it at its deadline.
    DeadlineExceeded,
    /// The agent ended it because a newer change superseded it.
    Cancelled,
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with status {code}"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
            Self::DeadlineExceeded => f.write_str("did not end before its deadline"),
            Self::Cancelled => f.write_str("was cancelled"),
        }
    }
}

/// How a task ended and what it said last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// How it ended.
    pub status: ExitStatus,
    /// The end of its output, as UTF-8 with replacements.
    pub tail: String,
}

/// What an exit file holds, so that an agent that starts meanwhile knows whether the task still runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitRecord {
    /// It runs, watched by this process.
    Running(ProcessId),
    /// It has ended.
    Ended(Exit),
}

impl Exit {
    /// Whether it ended by itself with code 0.
    pub fn success(&self) -> bool {
        self.status == ExitStatus::Code(0)
    }

    /// The exit as a result: an unsuccessful one becomes [`crate::PluginError::Command`].
    pub fn require_success(self, task: &Task) -> crate::Result<Self> {
        if self.success() {
            return Ok(self);
        }
        Err(crate::PluginError::Command {
            command: task.command_line(),
            status: self.status.to_string(),
            tail: self.tail,
        })
    }
}

/// A process that lives on when the agent ends.
#[derive(Debug, Clone)]
pub struct SpawnedProcess {
    /// Which one.
    pub process: ProcessId,
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
