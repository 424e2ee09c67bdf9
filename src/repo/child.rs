//! The agent's side of the fetching child: this binary again, with its own memory, its own limits and a deadline, so that a hostile server
//! can only kill it. The other side is [`super::helper`].
//!
//! The order, with the token, goes in over its standard input and the answer comes out as JSON; nothing secret is ever an argument or a
//! variable. The agent keeps the input open: when the agent dies the child reads its end and takes its whole group with it.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::failure::Asked;
use super::reference::{Reference, Tip};
use super::{CommitId, Credential, FetchLimits, RepoError, RepoUrl, SshIdentity};

/// The name of the helper among the agent's arguments.
const ENTRYPOINT: &str = "internal-fetch";
/// The largest order or answer.
pub(super) const MESSAGE_LIMIT: u64 = 256 * 1024;
/// How much of the child's last words is kept.
const WORDS_LIMIT: u64 = 4096;

/// Variables that the child sees beside `PATH`: how this machine reaches and trusts others.
const VARIABLES: [&str; 10] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// What the child is asked to do, and where. Holds the token: never printed.
#[derive(Serialize, Deserialize)]
pub(super) struct Order {
    /// The server.
    pub(super) url: RepoUrl,
    /// The whole `Authorization` header.
    pub(super) authorization: Option<String>,
    /// The only authorities to trust.
    pub(super) ca: Option<PathBuf>,
    /// The key and the host keys of ssh.
    pub(super) ssh: Option<SshIdentity>,
    /// What it may take.
    pub(super) limits: FetchLimits,
    /// What is asked.
    pub(super) task: Task,
}

/// What is asked.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Task {
    /// What the remote has there. For servers that only a program reaches.
    Tip(Reference),
    /// To bring a commit into a mirror.
    Fetch(Fetch),
}

/// A commit on its way into a mirror.
#[derive(Serialize, Deserialize)]
pub(super) struct Fetch {
    /// The mirror, or where a new one is made.
    pub(super) directory: PathBuf,
    /// What to fetch.
    pub(super) tip: Tip,
    /// The commit that it should descend from.
    pub(super) base: Option<CommitId>,
    /// Commits of which a new mirror needs the history.
    pub(super) keep: Vec<CommitId>,
    /// Whether to find out about a common past if it does not descend, at the cost of all history.
    pub(super) relate: bool,
}

impl Order {
    /// What is asked, for errors.
    pub(super) fn asked(&self) -> Asked {
        let with = match (&self.authorization, self.url.is_ssh()) {
            (_, true) => Credential::Key,
            (Some(_), false) => Credential::Token,
            (None, false) => Credential::None,
        };
        Asked {
            url: self.url.to_string(),
            with,
            deadline: self.limits.deadline,
            stall: self.limits.stall,
        }
    }
}

/// What the child did.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Done {
    Tip(Tip),
    Fetched(Fetched),
}

/// How a fetched commit stands to the one that it should descend from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Fetched {
    /// It descends from it, or there is none.
    Descends,
    /// They have a past in common, or the same content.
    Related,
    /// Nothing in common is known.
    Strange,
}

/// Asks what a server has, through a child.
pub(super) async fn tip(program: &Path, order: &Order) -> Result<Tip, RepoError> {
    match run(program, order).await? {
        Done::Tip(tip) => Ok(tip),
        Done::Fetched(_) => Err(RepoError::internal("ask for refs", "another answer came")),
    }
}

/// Brings a commit into a mirror, through a child.
pub(super) async fn fetch(program: &Path, order: &Order) -> Result<Fetched, RepoError> {
    match run(program, order).await? {
        Done::Fetched(fetched) => Ok(fetched),
        Done::Tip(_) => Err(RepoError::internal("fetch", "another answer came")),
    }
}

/// Has a child carry out an order and waits for its answer, at most until the deadline.
async fn run(program: &Path, order: &Order) -> Result<Done, RepoError> {
    let mut child =
        spawn(program).map_err(|e| RepoError::internal("start the fetching process", e))?;
    let group = Group(child.id());
    let answer = tokio::time::timeout(order.limits.deadline, converse(&mut child, order)).await;
    match answer {
        Ok(Ok(answer)) => {
            // One that died may have left the program that it talked through.
            if answer.status.success() {
                group.disarm();
            }
            answer.outcome(order)
        }
        Ok(Err(error)) => Err(RepoError::internal("talk to the fetching process", error)),
        Err(_) => Err(order.asked().timed_out()),
    }
}

/// The child's process group, ended unless it is known to be done.
struct Group(Option<u32>);

impl Group {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let leader = self
            .0
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(leader) = leader {
            // It may have ended by itself just now.
            rustix::process::kill_process_group(leader, Signal::KILL).ok();
        }
    }
}

fn spawn(program: &Path) -> std::io::Result<Child> {
    let inherited = VARIABLES
        .iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)));
    // The programs that serve `file://` and `ssh://` are looked up there.
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    Command::new(program)
        .arg(ENTRYPOINT)
        .env_clear()
        .envs(inherited)
        .env("PATH", crate::host::trusted_path(&path))
        .envs([
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_NO_LAZY_FETCH", "1"),
        ])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Everything a child left behind.
struct Answer {
    status: ExitStatus,
    message: Vec<u8>,
    last_words: String,
}

async fn converse(child: &mut Child, order: &Order) -> std::io::Result<Answer> {
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(std::io::Error::other("its pipes are missing"));
    };
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    // A child that dies at once breaks the pipe; its exit says more than that.
    stdin.write_all(&line).await.ok();
    let (message, last_words, status) = tokio::join!(
        read_capped(stdout, MESSAGE_LIMIT),
        read_capped(stderr, WORDS_LIMIT),
        child.wait()
    );
    drop(stdin);
    let last_words = String::from_utf8_lossy(&last_words?).trim().to_owned();
    Ok(Answer {
        status: status?,
        message: message?,
        last_words,
    })
}

/// Reads to the end, keeping only the beginning: a full pipe would stop the child.
async fn read_capped(mut pipe: impl AsyncRead + Unpin, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    (&mut pipe).take(limit).read_to_end(&mut kept).await?;
    tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    Ok(kept)
}

impl Answer {
    fn outcome(self, order: &Order) -> Result<Done, RepoError> {
        match serde_json::from_slice::<Result<Done, RepoError>>(&self.message) {
            Ok(outcome) if self.status.success() => outcome,
            _ => Err(self.death(order)),
        }
    }

    /// Why a child ended without an answer. Which limit it hit shows in the signal that ended it.
    fn death(&self, order: &Order) -> RepoError {
        let signal = self.status.signal();
        let is = |known: Signal| signal == Some(known.as_raw());
        if is(Signal::XFSZ) {
            RepoError::too_large(
                "the pack that the server sends",
                mebibytes(order.limits.max_pack_bytes),
            )
        } else if is(Signal::XCPU) {
            order.asked().timed_out()
        } else if is(Signal::ABORT) || is(Signal::SEGV) || is(Signal::KILL) {
            RepoError::too_large(
                "the memory that the fetch needs",
                mebibytes(order.limits.memory_bytes),
            )
        } else {
            RepoError::internal(
                "fetch",
                format!(
                    "the process ended with {}: {}",
                    self.status, self.last_words
                ),
            )
        }
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes / 1024 / 1024)
}
