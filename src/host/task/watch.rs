//! Watching one program: its deadline, its output, the agent at the other end of the pipe, and everything it leaves behind.

use std::fs::{DirBuilder, File};
use std::io::{self, PipeWriter, Read as _, Write as _, pipe};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, chown, fchown};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use hop3_plugin_api::{Exit, ExitRecord, ExitStatus, FileWrite};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getpid, pidfd_open, set_child_subreaper, wait,
};

use super::super::files::{self, temporary_name};
use super::super::{process, remove, run};
use super::UNABLE;
use super::output::Output;
use super::protocol::{CANCEL, Notice, Report, Watch, read_frame};

/// Between TERM and KILL.
const GRACE: Duration = Duration::from_secs(2);
/// How long what was killed may take to go.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often orphans that have ended are cleared away.
const TICK: Duration = Duration::from_secs(1);
/// Where tasks get a temporary directory of their own.
const TEMPORARY_ROOT: &str = "/tmp";

/// Reads one order from the agent, runs it, reports.
pub(super) fn watch() -> ExitCode {
    let Ok(mut agent) = io::stdin().as_fd().try_clone_to_owned().map(File::from) else {
        return ExitCode::from(UNABLE);
    };
    // The agent that has died before saying what to do wants nothing done.
    let Ok(watch) = read_frame::<Watch>(&mut agent) else {
        return ExitCode::from(UNABLE);
    };
    let report = carry_out(agent, watch).unwrap_or_else(|e| Report::NotStarted(e.to_string()));
    let told = serde_json::to_vec(&report).map(|report| io::stdout().write_all(&report));
    ExitCode::from(if matches!(told, Ok(Ok(()))) {
        0
    } else {
        UNABLE
    })
}

fn carry_out(agent: File, mut watch: Watch) -> io::Result<Report> {
    // Whatever loses its parent becomes this process's child, so a double fork does not escape.
    set_child_subreaper(Some(getpid()))?;
    let temporary = temporary_directory(&mut watch)?;
    let report = Watched::start(agent, &watch).map(|started| match started {
        Ok(watched) => watched.finish(&watch),
        Err(report) => report,
    });
    if let Some(directory) = temporary {
        // What stays behind lies in a directory that the system cleans by itself.
        drop(remove::remove_beneath(
            Path::new(TEMPORARY_ROOT),
            &directory,
        ));
    }
    if let (Some(path), Ok(Report::Ended { exit, .. })) = (&watch.exit_file, &report) {
        leave_word(path, &ExitRecord::Ended(exit.clone()));
    }
    report
}

/// How the program ended. Tried twice: an agent that is just starting may take the first one's temporary file for a leftover. That it cannot be written at all (a
/// full disk) does not change how the program ended, and an agent that lives is told so anyway.
fn leave_word(path: &Path, word: &ExitRecord) {
    let content = serde_json::to_vec(word).unwrap_or_default();
    let file = FileWrite::private(path, content);
    drop(files::write_atomic(&file).or_else(|_| files::write_atomic(&file)));
}

/// A confined program that is given no `TMPDIR` gets one of its own: it may not write the shared one.
fn temporary_directory(watch: &mut Watch) -> io::Result<Option<PathBuf>> {
    let order = &mut watch.order;
    let Some(confinement) = &mut order.confinement else {
        return Ok(None);
    };
    if order.env.contains_key("TMPDIR") {
        return Ok(None);
    }
    let path = Path::new(TEMPORARY_ROOT).join(temporary_name());
    DirBuilder::new().mode(0o700).create(&path)?;
    if let Some(user) = order.user {
        chown(&path, Some(user.uid), Some(user.gid))?;
    }
    confinement.writable.push(path.clone());
    let text = path.display().to_string();
    order.env.insert("TMPDIR".to_owned(), text);
    Ok(Some(path))
}

/// How a program came to its end.
enum End {
    Itself(ExitStatus),
    Deadline,
    Cancelled,
}

struct Watched {
    /// `None` when the agent has died and the program may finish.
    agent: Option<File>,
    program: Pid,
    handle: OwnedFd,
    output: Output,
    weakness: Option<String>,
    ended: Option<ExitStatus>,
}

impl Watched {
    /// Starts the program. The inner error is what the agent is told when it cannot be started.
    fn start(agent: File, watch: &Watch) -> io::Result<Result<Self, Report>> {
        let (pipe, writer) = pipe()?;
        let output = Output::new(pipe, watch)?;
        let (program, notices) = enter(watch, writer)?;
        let handle = pidfd_open(program, PidfdFlags::empty())?;
        let mut watched = Self {
            agent: Some(agent),
            program,
            handle,
            output,
            weakness: None,
            ended: None,
        };
        match Notice::last(&notices) {
            Some(Notice::Ready { weakness }) => {
                watched.note_weakness(weakness);
                Ok(Ok(watched))
            }
            Some(Notice::NotStarted(reason)) => Ok(Err(Report::NotStarted(reason))),
            Some(Notice::Refused(reason)) => Ok(Err(Report::Refused(reason))),
            None => Ok(Err(Report::NotStarted(
                "the helper process ended early".to_owned(),
            ))),
        }
    }

    fn note_weakness(&mut self, weakness: Option<String>) {
        if let Some(weakness) = &weakness {
            let line = format!("[hop3-agent: the sandbox is weaker than asked for: {weakness}]\n");
            self.output.take(line.as_bytes());
        }
        self.weakness = weakness;
    }

    fn finish(mut self, watch: &Watch) -> Report {
        let end = self.wait_for_the_end(Instant::now() + watch.deadline, watch.exit_file.is_some());
        self.end_what_is_left();
        while self.output.pump() {}
        let status = match end {
            End::Itself(status) => status,
            End::Deadline => ExitStatus::DeadlineExceeded,
            End::Cancelled => ExitStatus::Cancelled,
        };
        Report::Ended {
            exit: Exit {
                status,
                tail: self.output.tail(),
            },
            weakness: self.weakness,
        }
    }

    fn wait_for_the_end(&mut self, deadline: Instant, outlives_agent: bool) -> End {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let agent_spoke = self.sleep(left.min(TICK));
            self.output.pump();
            self.reap();
            if let Some(status) = self.ended {
                return End::Itself(status);
            }
            if agent_spoke && self.agent_wants_the_end(outlives_agent) {
                return End::Cancelled;
            }
            if left.is_zero() {
                return End::Deadline;
            }
        }
    }

    /// Waits for the program's end, its output or the agent; true when the agent said something or died.
    fn sleep(&self, longest: Duration) -> bool {
        let mut watched = vec![PollFd::new(&self.handle, PollFlags::IN)];
        let agent = self
            .agent
            .iter()
            .map(|agent| PollFd::new(agent, PollFlags::IN));
        let agent_at = watched.len()..watched.len() + agent.len();
        watched.extend(agent);
        watched.extend(
            self.output
                .pipe()
                .map(|pipe| PollFd::new(pipe, PollFlags::IN)),
        );
        let woken = poll(&mut watched, Timespec::try_from(longest).ok().as_ref()).is_ok();
        woken
            && watched[agent_at]
                .iter()
                .any(|agent| !agent.revents().is_empty())
    }

    fn agent_wants_the_end(&mut self, outlives_agent: bool) -> bool {
        let mut said = [0];
        let read = self.agent.as_mut().map(|agent| agent.read(&mut said));
        let cancelled = matches!(read, Some(Ok(1))) && said[0] == CANCEL;
        self.agent = None;
        cancelled || !outlives_agent
    }

    /// Takes the exits of the program and of orphans. False when there is no child any more, and so nothing else that descends from here.
    fn reap(&mut self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.program => {
                    self.ended = Some(exit_status(status));
                }
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(error) => return error != Errno::CHILD,
            }
        }
    }

    /// TERM to everything that descends from here, KILL after a grace, until nothing is left.
    fn end_what_is_left(&mut self) {
        let start = Instant::now();
        let mut told = false;
        while self.reap() {
            let left = process::descendants(&[std::process::id()]);
            let waited = start.elapsed();
            if left.is_empty() || waited > PATIENCE {
                return;
            }
            let kill = waited >= GRACE;
            if kill || !told {
                let signal = if kill { Signal::KILL } else { Signal::TERM };
                for stat in left {
                    let sent = process::signal_started_at(stat.pid, stat.start_time, signal, false);
                    // One that has changed its user by itself is out of an unprivileged agent's reach.
                    drop(sent);
                }
                told = true;
            }
            std::thread::sleep(Duration::from_millis(10));
            self.output.pump();
        }
    }
}

fn exit_status(status: WaitStatus) -> ExitStatus {
    match status.terminating_signal() {
        Some(signal) => ExitStatus::Signal(signal),
        None => ExitStatus::Code(status.exit_status().unwrap_or_default()),
    }
}

/// Starts the program's own process and reads its notices, until it has become the program or has given up.
fn enter(watch: &Watch, output: PipeWriter) -> io::Result<(Pid, Vec<u8>)> {
    if let Some(user) = watch.order.user {
        // So that `/dev/stderr` can be opened by the program's user.
        fchown(&output, Some(user.uid), Some(user.gid))?;
    }
    let what = std::env::args().nth(3).unwrap_or_default();
    let mut child = Command::new("/proc/self/exe")
        .args(["internal-task", "enter", &what])
        .env_clear()
        .stdin(run::stored(&watch.order, &watch.input)?)
        .stdout(Stdio::piped())
        .stderr(output)
        .spawn()?;
    let mut notices = Vec::new();
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_end(&mut notices)?;
    }
    let program = process::pid(child.id()).ok_or(io::ErrorKind::NotFound)?;
    Ok((program, notices))
}
