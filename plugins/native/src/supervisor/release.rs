//! All instances of one release, and the end of them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use hop3_plugin_api::{Counts, ProcessId, WorkerName};
use rustix::process::WaitOptions;

use super::instance::{Instance, raw};
use super::nudge::Nudge;
use super::{process, say};
use crate::document::{LaunchDocument, Ports, instance_name};
use crate::protocol::{Act, Reply, VERSION};
use crate::stamp::{STAMP_FORMAT, Stamp};

/// How often killing is repeated while something still lives.
const KILL_PULSE: Duration = Duration::from_millis(50);

/// What this supervisor runs.
pub(super) struct Release {
    document: LaunchDocument,
    own: ProcessId,
    instances: BTreeMap<(WorkerName, u16), Instance>,
    kill_at: Option<Instant>,
    stamped: Option<Stamp>,
    stamp_failed: bool,
    restarts: u32,
    nudge: Nudge,
}

impl Release {
    /// A release whose instances start at the first [`Release::tick`].
    pub(super) fn new(document: LaunchDocument) -> Result<Self, String> {
        let own = process::identify(std::process::id().cast_signed(), &process::boot_id())
            .ok_or("could not find this process in /proc")?;
        let nudge = Nudge::new(document.nudge.as_deref(), &document.release.app);
        let mut release = Self {
            document,
            own,
            instances: BTreeMap::new(),
            kill_at: None,
            stamped: None,
            stamp_failed: false,
            restarts: 0,
            nudge,
        };
        let counts = std::mem::take(&mut release.document.counts);
        let ports = std::mem::take(&mut release.document.ports);
        release.scale(&counts, &ports)?;
        Ok(release)
    }

    /// Its instances, for copying their output.
    pub(super) fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.instances.values()
    }

    /// Copies all output that is there.
    pub(super) fn copy_output(&mut self) {
        self.instances
            .values_mut()
            .for_each(|instance| instance.output().copy());
    }

    /// Does what it is asked and says how it is.
    pub(super) fn answer(&mut self, act: &Act) -> Reply {
        let error = match act {
            Act::Ping | Act::Status => None,
            Act::Stop => {
                self.stop();
                None
            }
            Act::Scale { .. } if self.kill_at.is_some() => Some("it is stopping".to_owned()),
            Act::Scale { counts, ports } => self.scale(counts, ports).err(),
        };
        self.tick();
        Reply {
            v: VERSION,
            error,
            supervisor: Some(self.own.clone()),
            stop_grace_ms: self.grace_ms(),
            stopping: self.kill_at.is_some(),
            instances: self.instances().map(Instance::report).collect(),
        }
    }

    fn grace_ms(&self) -> u64 {
        u64::try_from(self.document.stop_grace.as_millis()).unwrap_or(u64::MAX)
    }

    fn scale(&mut self, counts: &Counts, ports: &Ports) -> Result<(), String> {
        if let Some(unknown) = counts
            .keys()
            .find(|worker| !self.document.workers.contains_key(*worker))
        {
            return Err(format!("the release has no worker `{unknown}`"));
        }
        for ((worker, index), instance) in &mut self.instances {
            instance.want(counts.get(worker).is_some_and(|count| index < count));
        }
        for (worker, count) in counts {
            (0..*count).try_for_each(|index| self.ensure(worker, index, ports))?;
        }
        Ok(())
    }

    fn ensure(&mut self, worker: &WorkerName, index: u16, ports: &Ports) -> Result<(), String> {
        let key = (worker.clone(), index);
        if self.instances.contains_key(&key) {
            return Ok(());
        }
        let name = instance_name(worker, index);
        let port = ports.get(&name).copied();
        if self.document.workers[worker].routed && port.is_none() {
            return Err(format!("`{name}` is routed and was given no port"));
        }
        let instance = Instance::new(&self.document, worker, index, port)
            .map_err(super::doing(format_args!("set up the output of `{name}`")))?;
        self.instances.insert(key, instance);
        Ok(())
    }

    /// Asks everything to end. Calling it again changes nothing.
    pub(super) fn stop(&mut self) {
        if self.kill_at.is_some() {
            return;
        }
        let leaders: Vec<i32> = self
            .instances()
            .filter_map(|instance| Some(instance.leader()?.pid.cast_signed()))
            .collect();
        process::terminate(&leaders, process::descendants().into_keys());
        self.kill_at = Some(Instant::now() + self.document.stop_grace);
    }

    /// Whether it was asked to end.
    pub(super) fn is_stopping(&self) -> bool {
        self.kill_at.is_some()
    }

    /// Takes note of every child that has ended; false when no child is left at all.
    pub(super) fn reap(&mut self) -> bool {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if self.kill_at.is_none() => {
                    let id = &self.document.id;
                    self.instances
                        .values_mut()
                        .any(|instance| instance.reaped(raw(pid), status, id));
                }
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    /// Does what is due now and keeps the stamp true.
    pub(super) fn tick(&mut self) {
        match self.kill_at {
            Some(kill_at) if Instant::now() >= kill_at => {
                process::kill(process::descendants().into_keys());
            }
            Some(_) => {}
            None => self.tick_instances(),
        }
    }

    fn tick_instances(&mut self) {
        for instance in self.instances.values_mut() {
            instance.tick(&self.document);
        }
        self.instances.retain(|_, instance| !instance.is_over());
        let restarts = self.instances().map(Instance::restarts).sum();
        if std::mem::replace(&mut self.restarts, restarts) != restarts {
            self.nudge.note();
        }
        self.write_stamp();
        self.nudge.tell();
    }

    /// How long nothing is due.
    pub(super) fn idle(&self) -> Option<Duration> {
        let now = Instant::now();
        let again = self.nudge.again().map(|pause| now + pause);
        let instances = self.instances().filter_map(Instance::next_wake);
        let wake = match self.kill_at {
            Some(kill_at) => Some(kill_at.max(now + KILL_PULSE)),
            None => instances.chain(again).min(),
        };
        wake.map(|wake| wake.saturating_duration_since(now))
    }

    fn write_stamp(&mut self) {
        let stamp = Stamp {
            format: STAMP_FORMAT,
            install: self.document.install.clone(),
            release: self.document.release.clone(),
            supervisor: self.own.clone(),
            socket: self.document.socket.clone(),
            stop_grace_ms: self.grace_ms(),
            instances: self.instances().map(Instance::stamped).collect(),
        };
        if self.stamped.as_ref() == Some(&stamp) {
            return;
        }
        if self.stamped.is_some() {
            self.nudge.note();
        }
        match write_atomic(&self.document.stamp, &stamp) {
            Ok(()) => {
                self.stamped = Some(stamp);
                self.stamp_failed = false;
            }
            Err(error) if !self.stamp_failed => {
                self.stamp_failed = true;
                say(&format!("could not write the stamp: {error}"));
            }
            // It is tried again at every turn; saying so each time would fill the disk further.
            Err(_) => {}
        }
    }

    /// Removes what a later supervisor could take for a running release.
    pub(super) fn remove_stamp(&self) {
        drop(fs::remove_file(&self.document.stamp));
    }
}

fn write_atomic(path: &Path, stamp: &Stamp) -> io::Result<()> {
    let beside = path.with_extension("json.new");
    let mut file = File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(&serde_json::to_vec(stamp)?)?;
    file.sync_data()?;
    fs::rename(&beside, path)
}
