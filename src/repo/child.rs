//! The fetching child: this binary again, with its own memory, its own limits and a deadline, so that a hostile server can only kill it.
//!
//! The request, with the token, goes in over its standard input and the answer comes out as JSON; nothing secret is ever an argument or a
//! variable. The agent keeps the input open: when the agent dies the child reads its end and takes its whole group with it.

use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};

use rustix::process::{Pid, Resource, Rlimit, Signal};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::failure::Asked;
use super::{CommitId, FetchLimits, RepoError, fetch, tls};

/// The name of the helper among the agent's arguments.
const ENTRYPOINT: &str = "internal-fetch";
/// The largest request or answer.
const MESSAGE_LIMIT: u64 = 256 * 1024;
/// How much of the child's last words is kept.
const WORDS_LIMIT: u64 = 4096;
/// What a fetch may take beside its memory: mapped packs and the address space that the allocator reserves without using it.
const ADDRESS_SPACE: u64 = 4 * 1024 * 1024 * 1024;

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

/// What the child is asked to do. Holds the token: never printed.
#[derive(Serialize, Deserialize)]
pub(super) struct FetchRequest {
    /// The mirror, or where a new one is made.
    pub(super) directory: PathBuf,
    /// Where to fetch from.
    pub(super) url: String,
    /// What to fetch.
    pub(super) commit: CommitId,
    /// The commit that it should descend from.
    pub(super) base: Option<CommitId>,
    /// Commits of which a new mirror needs the history.
    pub(super) keep: Vec<CommitId>,
    /// The whole `Authorization` header.
    pub(super) authorization: Option<String>,
    /// The only authorities to trust.
    pub(super) ca: Option<PathBuf>,
    /// What it may take.
    pub(super) limits: FetchLimits,
}

impl FetchRequest {
    /// What is asked, for errors.
    pub(super) fn asked(&self) -> Asked {
        Asked {
            url: self.url.clone(),
            token_sent: self.authorization.is_some(),
            deadline: self.limits.deadline,
        }
    }
}

/// What the child did.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Fetched {
    /// Whether the commit descends from the base, or there is none.
    pub(super) descends: bool,
}

/// Runs a fetch in a child and waits for its answer, at most until the deadline.
pub(super) async fn run(program: &Path, request: &FetchRequest) -> Result<Fetched, RepoError> {
    let mut child =
        spawn(program).map_err(|e| RepoError::internal("start the fetching process", e))?;
    let group = Group(child.id());
    let answer = tokio::time::timeout(request.limits.deadline, converse(&mut child, request)).await;
    match answer {
        Ok(Ok(answer)) => {
            group.disarm();
            answer.outcome(request)
        }
        Ok(Err(error)) => Err(RepoError::internal("talk to the fetching process", error)),
        Err(_) => Err(request.asked().timed_out()),
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
    // The git that serves `file://` is looked up there.
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

async fn converse(child: &mut Child, request: &FetchRequest) -> std::io::Result<Answer> {
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(std::io::Error::other("its pipes are missing"));
    };
    let mut line = serde_json::to_vec(request)?;
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
    fn outcome(self, request: &FetchRequest) -> Result<Fetched, RepoError> {
        match serde_json::from_slice::<Result<Fetched, RepoError>>(&self.message) {
            Ok(outcome) if self.status.success() => outcome,
            _ => Err(self.death(request)),
        }
    }

    /// Why a child ended without an answer. Which limit it hit shows in the signal that ended it.
    fn death(&self, request: &FetchRequest) -> RepoError {
        let signal = self.status.signal();
        let is = |known: Signal| signal == Some(known.as_raw());
        if is(Signal::XFSZ) {
            RepoError::too_large(
                "the pack that the server sends",
                mebibytes(request.limits.max_pack_bytes),
            )
        } else if is(Signal::XCPU) {
            request.asked().timed_out()
        } else if is(Signal::ABORT) || is(Signal::SEGV) || is(Signal::KILL) {
            RepoError::too_large(
                "the memory that the fetch needs",
                mebibytes(request.limits.memory_bytes),
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

/// The helper process `internal-fetch`: reads one request from its standard input, does it and writes the answer.
#[expect(
    clippy::needless_pass_by_value,
    reason = "this is the signature of every entry point"
)]
pub fn internal_fetch(args: Vec<String>) -> ExitCode {
    let answer = if args.is_empty() {
        read_request().and_then(|request| perform(&request))
    } else {
        Err(RepoError::internal(
            "fetch",
            "the helper takes no arguments",
        ))
    };
    let written = serde_json::to_vec(&answer).map(|message| std::io::stdout().write_all(&message));
    if matches!(written, Ok(Ok(()))) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn read_request() -> Result<FetchRequest, RepoError> {
    let refused = |e: std::io::Error| RepoError::internal("read the request", e);
    let mut line = Vec::new();
    let mut byte = [0];
    let mut stdin = std::io::stdin().lock();
    while stdin.read(&mut byte).map_err(refused)? == 1 && byte != *b"\n" {
        line.push(byte[0]);
        if line.len() as u64 > MESSAGE_LIMIT {
            return Err(RepoError::internal("read the request", "it is too long"));
        }
    }
    serde_json::from_slice(&line).map_err(|e| RepoError::internal("read the request", e))
}

fn perform(request: &FetchRequest) -> Result<Fetched, RepoError> {
    end_with_the_agent();
    limit_ourselves(request).map_err(|e| RepoError::internal("limit the fetch", e))?;
    tls::install_tls_provider();
    fetch::perform(request)
}

/// Waits beside the work for the agent's end of the pipe to close.
fn end_with_the_agent() {
    std::thread::spawn(|| {
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).ok();
        if rustix::process::getpgrp() == rustix::process::getpid() {
            rustix::process::kill_process_group(rustix::process::getpid(), Signal::KILL).ok();
        }
    });
}

/// A pack of any size, a bomb of deltas and a loop all end here, not in the agent.
fn limit_ourselves(request: &FetchRequest) -> rustix::io::Result<()> {
    let pack = request.limits.max_pack_bytes;
    for (resource, limit) in [
        (Resource::Core, 0),
        (Resource::Fsize, pack),
        (Resource::Data, request.limits.memory_bytes),
        (
            Resource::As,
            ADDRESS_SPACE.saturating_add(pack.saturating_mul(3)),
        ),
        (
            Resource::Cpu,
            request
                .limits
                .deadline
                .as_secs()
                .saturating_add(1)
                .saturating_mul(2),
        ),
    ] {
        let limit = rustix::process::getrlimit(resource)
            .maximum
            .map_or(limit, |hard| hard.min(limit));
        rustix::process::setrlimit(
            resource,
            Rlimit {
                current: Some(limit),
                maximum: Some(limit),
            },
        )?;
    }
    // Under pressure the machine should take this process before any app. Where that cannot be said, the limits above still hold.
    std::fs::write("/proc/self/oom_score_adj", "800").ok();
    Ok(())
}
