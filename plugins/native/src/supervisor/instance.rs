//! One instance: started, watched, started again, ended.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hop3_plugin_api::{ExitStatus, ProcessId, WorkerName};
use rustix::fs::MemfdFlags;
use rustix::process::{Pid, WaitStatus};

use super::backoff::Backoff;
use super::output::Output;
use super::process;
use crate::document::{InstanceDocument, LaunchDocument, instance_name};
use crate::protocol::{InstanceReport, InstanceState};
use crate::stamp::StampedInstance;

/// How often an instance that is ending is looked at: not every exit of a descendant is told.
const ENDING_PULSE: Duration = Duration::from_millis(50);

/// One instance of a worker.
pub(super) struct Instance {
    worker: WorkerName,
    index: u16,
    name: String,
    port: Option<u16>,
    output: Output,
    phase: Phase,
    wanted: bool,
    backoff: Backoff,
    restarts: u32,
    last_exit: Option<String>,
}

enum Phase {
    /// It is started at this moment.
    Waiting { until: Instant },
    /// Its leader runs.
    Running { leader: ProcessId, since: Instant },
    /// It was asked to end, and is made to at this moment.
    Ending { leader: ProcessId, kill_at: Instant },
    /// Nothing of it is left.
    Ended,
}

impl Instance {
    /// An instance that is due to start now.
    pub(super) fn new(
        document: &LaunchDocument,
        worker: &WorkerName,
        index: u16,
        port: Option<u16>,
    ) -> io::Result<Self> {
        let name = instance_name(worker, index);
        let fifo = document
            .socket
            .with_file_name(format!("{}.{name}.out", document.id));
        let log = document.log_dir.join(format!("{name}.log"));
        Ok(Self {
            output: Output::open(&fifo, document.user, log)?,
            worker: worker.clone(),
            index,
            name,
            port,
            phase: Phase::Waiting {
                until: Instant::now(),
            },
            wanted: true,
            backoff: Backoff::default(),
            restarts: 0,
            last_exit: None,
        })
    }

    /// Its output, to be copied whenever there is some.
    pub(super) fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    /// The same, to be waited for.
    pub(super) fn readable(&self) -> &Output {
        &self.output
    }

    /// Whether it should be there; an instance that is ending comes back if it is wanted again.
    pub(super) fn want(&mut self, wanted: bool) {
        self.wanted = wanted;
    }

    /// Whether it is neither wanted nor there.
    pub(super) fn is_over(&self) -> bool {
        !self.wanted && matches!(self.phase, Phase::Ended)
    }

    /// Its leader while it has one.
    pub(super) fn leader(&self) -> Option<&ProcessId> {
        match &self.phase {
            Phase::Running { leader, .. } | Phase::Ending { leader, .. } => Some(leader),
            Phase::Waiting { .. } | Phase::Ended => None,
        }
    }

    /// When it next needs to be looked at without any event.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Waiting { until } => Some(*until),
            Phase::Ending { .. } => Some(Instant::now() + ENDING_PULSE),
            Phase::Running { .. } | Phase::Ended => None,
        }
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, document: &LaunchDocument) {
        let now = Instant::now();
        match &self.phase {
            Phase::Running { .. } if !self.wanted => self.begin_end(document),
            Phase::Waiting { .. } | Phase::Ended if !self.wanted => self.phase = Phase::Ended,
            Phase::Waiting { until } if now >= *until => self.start(document),
            Phase::Ended => self.start(document),
            Phase::Ending { leader, kill_at } => {
                let members =
                    process::members(Some(leader.pid.cast_signed()), &self.mark(document));
                if members.is_empty() {
                    self.phase = Phase::Ended;
                } else if now >= *kill_at {
                    process::kill(members);
                }
            }
            Phase::Waiting { .. } | Phase::Running { .. } => {}
        }
    }

    fn mark(&self, document: &LaunchDocument) -> String {
        format!("{}.{}", document.id, self.name)
    }

    fn start(&mut self, document: &LaunchDocument) {
        match self.spawn(document) {
            Ok(leader) => {
                self.phase = Phase::Running {
                    leader,
                    since: Instant::now(),
                };
            }
            Err(error) => self.crashed(format!("could not be started: {error}"), Duration::ZERO),
        }
    }

    /// Starts its leader, which the release reaps: it waits for all its children, also for those that it did not start.
    fn spawn(&self, document: &LaunchDocument) -> io::Result<ProcessId> {
        let child = Command::new("/proc/self/exe")
            .arg0("hop3-agent")
            .arg(super::INSTANCE)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(self.describe(document)?))
            .stdout(Stdio::from(self.output.writer()?))
            .stderr(Stdio::from(self.output.writer()?))
            .spawn()?;
        process::identify(child.id().cast_signed(), &process::boot_id())
            .ok_or_else(|| io::Error::other("its process is gone"))
    }

    /// A file in memory with everything that the instance must know. A pipe could block on a large environment.
    fn describe(&self, document: &LaunchDocument) -> io::Result<File> {
        let description = InstanceDocument {
            parent: std::process::id(),
            user: document.user,
            limits: document.limits.clone(),
            dir: document.dir.clone(),
            data_dir: document.data_dir.clone(),
            app_dir: document.app_dir.clone(),
            run_dir: document
                .socket
                .parent()
                .unwrap_or(Path::new("/"))
                .to_owned(),
            command: document.workers[&self.worker].command.clone(),
            env: document.instance_env(&self.name, self.port),
        };
        let mut file = File::from(rustix::fs::memfd_create("instance", MemfdFlags::CLOEXEC)?);
        file.write_all(&serde_json::to_vec(&description)?)?;
        file.rewind()?;
        Ok(file)
    }

    /// Takes note that a child has ended; false when it was not this instance's leader.
    pub(super) fn reaped(&mut self, pid: i32, status: WaitStatus, id: &str) -> bool {
        match &self.phase {
            Phase::Running { leader, since } if leader.pid.cast_signed() == pid => {
                let ran = since.elapsed();
                let mark = format!("{id}.{}", self.name);
                process::kill_all(|| process::members(Some(pid), &mark));
                self.crashed(describe_exit(status), ran);
                true
            }
            Phase::Ending { leader, .. } if leader.pid.cast_signed() == pid => {
                self.last_exit = Some(describe_exit(status));
                self.output.copy();
                true
            }
            _ => false,
        }
    }

    fn crashed(&mut self, reason: String, ran: Duration) {
        let pause = self.backoff.pause(ran);
        self.output.note(&format!(
            "{} {reason}; starting it again in {} s",
            self.name,
            pause.as_secs()
        ));
        self.last_exit = Some(reason);
        self.restarts += 1;
        self.phase = Phase::Waiting {
            until: Instant::now() + pause,
        };
    }

    fn begin_end(&mut self, document: &LaunchDocument) {
        let Phase::Running { leader, .. } = &self.phase else {
            return;
        };
        let leader = leader.clone();
        let pid = leader.pid.cast_signed();
        let others = process::members(Some(pid), &self.mark(document));
        process::terminate(&[pid], others);
        self.phase = Phase::Ending {
            leader,
            kill_at: Instant::now() + document.stop_grace,
        };
    }

    /// How often it was started again after a crash.
    pub(super) fn restarts(&self) -> u32 {
        self.restarts
    }

    /// For the protocol.
    pub(super) fn report(&self) -> InstanceReport {
        InstanceReport {
            worker: self.worker.clone(),
            index: self.index,
            port: self.port,
            process: self.leader().cloned(),
            state: match self.phase {
                Phase::Running { .. } => InstanceState::Running,
                Phase::Waiting { .. } => InstanceState::Waiting,
                Phase::Ending { .. } | Phase::Ended => InstanceState::Ending,
            },
            restarts: self.restarts,
            last_exit: self.last_exit.clone(),
        }
    }

    /// For the stamp.
    pub(super) fn stamped(&self) -> StampedInstance {
        StampedInstance {
            worker: self.worker.clone(),
            index: self.index,
            process: self.leader().cloned(),
            port: self.port,
        }
    }
}

/// How a process ended, in the words that the whole agent uses.
fn describe_exit(status: WaitStatus) -> String {
    let status = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => ExitStatus::Code(code),
        (None, Some(signal)) => ExitStatus::Signal(signal),
        (None, None) => return "ended".to_owned(),
    };
    status.to_string()
}

/// What `wait` returned, as plain numbers.
pub(super) fn raw(pid: Pid) -> i32 {
    pid.as_raw_nonzero().get()
}
