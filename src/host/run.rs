//! The agent's end of a task: it starts the helper process, holds its leash, and waits for its report.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use hop3_plugin_api::{
    AgentDeath, Exit, ExitRecord, FileWrite, HostError, Program, SpawnedProcess, Task,
};
use rustix::fs::{MemfdFlags, OFlags, memfd_create};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};

use super::task::protocol::{CANCEL, Confinement, Notice, Order, Report, Watch, frame};
use super::{SystemHost, process};

/// The longest report that is read.
const REPORT: u64 = 16 * 1024 * 1024;

pub(super) async fn run(host: &SystemHost, task: &Task) -> Result<Exit, HostError> {
    let watch = watch_order(host, task)?;
    let failed = |e| start_failed(task, e);
    let mut helper = helper(host, "watch", &task.what)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    announce(task, &helper)?;
    let leash = Leash::attach(host, task, helper.stdin.take(), &watch)
        .await
        .map_err(failed)?;
    let report = read_all(&mut helper).await.map_err(failed)?;
    leash.release();
    let status = helper.wait().await.map_err(failed)?;
    let report = serde_json::from_slice(&report).map_err(|_| {
        let message = format!("the helper process ended without a report: {status}");
        failed(io::Error::other(message))
    })?;
    conclude(task, report)
}

/// Says who watches a task that may outlive the agent, before that one is told what to do: so an agent that starts meanwhile either finds its
/// watcher, or knows that nothing was begun.
fn announce(task: &Task, helper: &Child) -> Result<(), HostError> {
    let AgentDeath::Finish { exit_file } = &task.agent_death else {
        return Ok(());
    };
    let failed = |e| start_failed(task, e);
    let pid = helper.id().ok_or(io::ErrorKind::NotFound);
    let watcher = pid.map_err(Into::into).and_then(process::identify);
    let word = ExitRecord::Running(watcher.map_err(failed)?);
    let content = serde_json::to_vec(&word).map_err(|e| failed(e.into()))?;
    super::files::write_atomic(&FileWrite::private(exit_file, content))
}

fn conclude(task: &Task, report: Report) -> Result<Exit, HostError> {
    match report {
        Report::Ended { exit, weakness } => {
            if let Some(weakness) = weakness {
                tracing::warn!(task = %task.what, %weakness, "The sandbox is weaker than asked for.");
            }
            Ok(exit)
        }
        Report::NotStarted(reason) => Err(start_failed(task, io::Error::other(reason))),
        Report::Refused(reason) => Err(HostError::Refused {
            doing: format!("run `{}`", task.what),
            reason,
        }),
    }
}

fn start_failed(task: &Task, source: io::Error) -> HostError {
    HostError::Start {
        program: task.command_line(),
        source,
    }
}

fn watch_order(host: &SystemHost, task: &Task) -> Result<Watch, HostError> {
    let mut order = order(host, task)?;
    order.confinement = task.sandbox.enabled.then(|| Confinement {
        visible: super::task::visible(&host.tools.path, &host.hidden),
        readable: readable(task),
        writable: task.sandbox.writable.clone(),
        network: task.sandbox.network,
        required: task.sandbox.required,
    });
    Ok(Watch {
        order,
        input: input(task),
        deadline: task.deadline,
        log: task.output.log.clone(),
        log_bytes: task.output.log_bytes,
        tail_bytes: task.output.tail_bytes,
        exit_file: match &task.agent_death {
            AgentDeath::EndTask => None,
            AgentDeath::Finish { exit_file } => Some(exit_file.clone()),
        },
    })
}

fn readable(task: &Task) -> Vec<std::path::PathBuf> {
    let mut readable = task.sandbox.readable.clone();
    readable.push(task.dir.clone());
    if task.program == Program::Agent {
        // Whatever the binary's path is by now, the helper that executes it is the same file.
        readable.push("/proc/self/exe".into());
    }
    readable
}

fn order(host: &SystemHost, task: &Task) -> Result<Order, HostError> {
    let (program, args) = host.tools.command(&task.program, &task.args)?;
    let exposed = |(key, value): (&String, &hop3_plugin_api::Secret)| {
        (key.clone(), value.expose().to_owned())
    };
    Ok(Order {
        program,
        args,
        env: task.env.iter().map(exposed).collect(),
        dir: task.dir.clone(),
        user: task.user.filter(|_| super::files::is_root()),
        limits: task.limits.clone(),
        confinement: None,
        detached: false,
    })
}

fn input(task: &Task) -> String {
    task.input
        .as_ref()
        .map_or_else(String::new, |input| input.expose().to_owned())
}

/// This binary again. Its own environment is empty: what an app sets never reaches code that may run as root.
fn helper(host: &SystemHost, role: &str, what: &str) -> Command {
    let mut command = Command::new(&host.tools.agent);
    command
        .args(["internal-task", role, what])
        .env_clear()
        .current_dir("/")
        .stderr(Stdio::null());
    command
}

async fn read_all(helper: &mut Child) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(output) = helper.stdout.take() {
        output.take(REPORT).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// The pipe that the helper watches. Closed without a word, the agent has died; with [`CANCEL`] before, it wants the task to end.
struct Leash<'a> {
    pipe: Option<OwnedFd>,
    leaving: &'a AtomicBool,
}

impl<'a> Leash<'a> {
    async fn attach(
        host: &'a SystemHost,
        task: &Task,
        pipe: Option<ChildStdin>,
        watch: &Watch,
    ) -> io::Result<Self> {
        let mut pipe = pipe.ok_or(io::ErrorKind::BrokenPipe)?;
        let order = frame(watch).map_err(|e| {
            io::Error::new(e.kind(), format!("could not describe `{}`: {e}", task.what))
        })?;
        pipe.write_all(&order).await?;
        Ok(Self {
            pipe: Some(pipe.into_owned_fd()?),
            leaving: &host.leaving,
        })
    }

    fn release(mut self) {
        self.pipe = None;
    }
}

impl Drop for Leash<'_> {
    fn drop(&mut self) {
        if let Some(pipe) = self
            .pipe
            .take()
            .filter(|_| !self.leaving.load(Ordering::SeqCst))
        {
            // A helper that has ended meanwhile needs no word.
            rustix::io::write(pipe, &[CANCEL]).ok();
        }
    }
}

pub(super) async fn spawn_detached(
    host: &SystemHost,
    task: &Task,
) -> Result<SpawnedProcess, HostError> {
    let failed = |e| start_failed(task, e);
    let mut order = order(host, task)?;
    order.detached = true;
    let input = stored(&order, &input(task)).map_err(failed)?;
    let output = log_file(task.output.log.as_deref())?;
    let mut child = helper(host, "enter", &task.what)
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(output)
        .spawn()
        .map_err(failed)?;
    let pid = child
        .id()
        .ok_or(io::ErrorKind::NotFound)
        .map_err(|e| failed(e.into()))?;
    let notices = read_all(&mut child).await.map_err(failed)?;
    // Before it is waited for: as long as nobody has asked, its number is its own.
    let process = process::identify(pid).map_err(failed);
    tokio::spawn(async move { child.wait().await });
    match Notice::last(&notices) {
        Some(Notice::Ready { .. }) => Ok(SpawnedProcess { process: process? }),
        Some(Notice::NotStarted(reason) | Notice::Refused(reason)) => {
            Err(failed(io::Error::other(reason)))
        }
        None => Err(failed(io::ErrorKind::UnexpectedEof.into())),
    }
}

/// An order and what the program then reads, as a file in memory: it needs nobody to write it while the program reads.
pub(super) fn stored(order: &Order, input: &str) -> io::Result<Stdio> {
    let mut file = File::from(memfd_create("hop3-task", MemfdFlags::CLOEXEC)?);
    file.write_all(&frame(order)?)?;
    file.write_all(input.as_bytes())?;
    file.rewind()?;
    Ok(file.into())
}

fn log_file(path: Option<&Path>) -> Result<Stdio, HostError> {
    match path {
        None => Ok(Stdio::null()),
        Some(path) => Ok(open_log(path)
            .map_err(|e| HostError::file("open the log", path, e))?
            .into()),
    }
}

pub(super) fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
}
