//! Programs that the [`crate::Host`] runs: what one is given, what it may use and see, and how it ended. Plain values; nothing is started here.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Secret, UserId};

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
