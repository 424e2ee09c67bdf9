//! A stream of HTTP requests at a steady rate, as another process, and its report.
//!
//! Tests and benches put it in front of a deploy to learn whether anybody would have noticed. This file is the part that they use: what is asked
//! for ([`Load`]), the process that does it ([`RunningLoad`]) and what came of it ([`Report`]). The program itself is `load/main.rs`.
//!
//! Guarantees: requests start at their scheduled times whether or not earlier ones were answered, and latency counts from the scheduled time, so
//! that a server which stalls cannot hide it. Which request is slow, which is a POST and which reuses a connection depends on its number alone.

use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{self, Child, Stdio};

use serde::{Deserialize, Serialize};

/// What to ask, how often and how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Load {
    /// The address of the proxy or of the app itself.
    pub target: SocketAddr,
    /// The `Host` header.
    pub host: String,
    /// Requests per second.
    pub rate: u32,
    /// The address of ordinary requests.
    pub path: String,
    /// A text that each ordinary answer contains; empty for none.
    pub contains: String,
    /// Whether each answer carries `X-Release` and `X-Version`. One without counts as failed.
    pub releases: bool,
    /// Whether each switch leads to a lower release number, as rollbacks do, instead of a higher one.
    pub descending: bool,
    /// Of a thousand requests, how many use a kept connection.
    pub kept_per_mille: u32,
    /// Of a thousand requests, how many ask for `slow_path`.
    pub slow_per_mille: u32,
    /// An address that takes its time.
    pub slow_path: String,
    /// Of a thousand requests, how many are POSTs with a body.
    pub post_per_mille: u32,
    /// Where POSTs go.
    pub post_path: String,
    /// The form that POSTs send.
    pub post_body: String,
    /// When to give up on one request.
    pub timeout_seconds: f64,
    /// When to end. Without it, only [`RunningLoad::finish`] ends it.
    pub seconds: Option<f64>,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            target: SocketAddr::from(([127, 0, 0, 1], 8080)),
            host: "guestbook.localhost".to_owned(),
            rate: 200,
            path: "/".to_owned(),
            contains: String::new(),
            releases: true,
            descending: false,
            kept_per_mille: 500,
            slow_per_mille: 10,
            slow_path: "/slow?seconds=2".to_owned(),
            post_per_mille: 50,
            post_path: "/entries".to_owned(),
            post_body: "author=load&message=a+line".to_owned(),
            timeout_seconds: 15.0,
            seconds: None,
        }
    }
}

impl Load {
    /// The usual mix, sent to the guestbook of the example config repo.
    pub(crate) fn of_guestbook(target: SocketAddr) -> Self {
        Self {
            target,
            ..Self::default()
        }
    }

    /// Plain requests for one page of a static site.
    pub(crate) fn of_site(target: SocketAddr, host: &str) -> Self {
        Self {
            target,
            host: host.to_owned(),
            releases: false,
            slow_per_mille: 0,
            post_per_mille: 0,
            ..Self::default()
        }
    }

    /// Starts the load in a process of its own.
    #[expect(
        clippy::disallowed_types,
        reason = "tests start their own helper process"
    )]
    pub(crate) fn start(&self) -> io::Result<RunningLoad> {
        let process = process::Command::new(program()?)
            .arg(serde_json::to_string(self)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(RunningLoad { process })
    }
}

/// The built `load` example, in the target directory that the running test is from. `cargo test` builds it unless told to build one target only.
fn program() -> io::Result<PathBuf> {
    let test = std::env::current_exe()?;
    let program = test
        .ancestors()
        .nth(2)
        .map(|profile| profile.join("examples/load"));
    program.filter(|path| path.exists()).ok_or_else(|| {
        io::Error::other("the load program is not built; `cargo build --example load` with the same profile builds it")
    })
}

/// A load that is being sent. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct RunningLoad {
    process: Child,
}

impl RunningLoad {
    /// Sends no further request, waits for those that are under way and returns the report.
    pub(crate) fn finish(mut self) -> io::Result<Report> {
        drop(self.process.stdin.take());
        self.report()
    }

    /// Waits until the load ends by itself, after [`Load::seconds`].
    pub(crate) fn wait(mut self) -> io::Result<Report> {
        self.report()
    }

    fn report(&mut self) -> io::Result<Report> {
        let mut text = String::new();
        if let Some(mut stdout) = self.process.stdout.take() {
            stdout.read_to_string(&mut text)?;
        }
        let status = self.process.wait()?;
        if !status.success() {
            return Err(io::Error::other(format!("the load ended with {status}")));
        }
        Ok(serde_json::from_str(&text)?)
    }
}

impl Drop for RunningLoad {
    fn drop(&mut self) {
        // After `report` it is gone already; otherwise a failing test must not leave it behind.
        if self.process.kill().is_ok() {
            self.process.wait().ok();
        }
    }
}

/// What came of a load. Times are seconds since its start, latencies are milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// When it started, in seconds since 1970.
    pub started_at: f64,
    /// From its first request to its last answer.
    pub seconds: f64,
    /// Requests sent.
    pub total: u64,
    /// Requests answered as expected, if need be after one retry.
    pub ok: u64,
    /// Requests with another status or body, or with a connection error that outlasted one retry on a fresh connection.
    pub failed: u64,
    /// Connection errors that one retry on a fresh connection made good. They are no failures: a proxy may close an idle connection at any time.
    pub retried: u64,
    /// Requests answered by a release although the one that replaced it had answered before they started.
    pub stale: u64,
    /// Latencies of quick requests that were answered as expected.
    pub latency: Latency,
    /// The longest time without any expected answer to a quick request.
    pub longest_stall: f64,
    /// The releases that answered, in the order in which they first did.
    pub seen: Vec<Seen>,
    /// The first failures and stale answers, in words.
    pub problems: Vec<String>,
}

impl Report {
    /// No request failed and none was answered by a release after the one that replaced it had answered.
    pub(crate) fn is_flawless(&self) -> bool {
        self.total > 0 && self.failed == 0 && self.stale == 0
    }

    /// When a version first answered, in seconds since the start of the load.
    pub(crate) fn first_answer_of(&self, version: &str) -> Option<f64> {
        let of_version = |seen: &&Seen| seen.version == version;
        self.seen.iter().find(of_version).map(|seen| seen.first)
    }

    /// One line of figures and then the problems, for the message of a failing test.
    pub(crate) fn summary(&self) -> String {
        let mut text = format!(
            "{} requests in {:.1} s: {} ok, {} failed, {} retried, {} stale; p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, longest {:.1} ms, longest stall {:.2} s",
            self.total,
            self.seconds,
            self.ok,
            self.failed,
            self.retried,
            self.stale,
            self.latency.p50,
            self.latency.p99,
            self.latency.p999,
            self.latency.max,
            self.longest_stall,
        );
        for problem in &self.problems {
            write!(text, "\n  {problem}").expect("a string takes what is written");
        }
        text
    }
}

/// Latencies in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency {
    /// Half of the requests were quicker.
    pub p50: f64,
    /// All but one in a hundred were quicker.
    pub p99: f64,
    /// All but one in a thousand were quicker.
    pub p999: f64,
    /// The slowest.
    pub max: f64,
}

/// One release as its answers named it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// `X-Release`.
    pub release: u64,
    /// `X-Version`.
    pub version: String,
    /// When its first answer was complete.
    pub first: f64,
    /// When its last answer was complete.
    pub last: f64,
    /// How many answers it gave.
    pub answers: u64,
}
