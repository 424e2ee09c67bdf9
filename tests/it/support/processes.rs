//! Processes of one test, and no others: told by the test's directory, which occurs in what they were started with.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};

use super::wait::until;

pub(crate) use rustix::process::Signal;

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// In clock ticks since boot.
    pub(crate) start_time: u64,
    /// Its arguments.
    pub(crate) command: Vec<String>,
}

impl Process {
    /// The living process of this number. One that has ended and was not waited for yet counts as gone.
    pub(crate) fn find(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The program's name may contain anything, also spaces and parentheses.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?;
        let start_time = fields.nth(18)?.parse().ok()?;
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        (state != "Z" && state != "X").then(|| Self {
            pid,
            start_time,
            command: arguments(&command),
        })
    }

    /// Whether this very process still lives.
    pub(crate) fn lives(&self) -> bool {
        Self::find(self.pid).is_some_and(|now| now.start_time == self.start_time)
    }

    /// Whether it was started as this helper of the agent, for instance `internal-proxy`.
    pub(crate) fn is_helper(&self, name: &str) -> bool {
        self.command.get(1).is_some_and(|argument| argument == name)
    }

    /// Effect: sends a signal to this very process, if it still lives.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        // From here on the number stands for one process only; whether it is ours is asked once more.
        let Ok(handle) = pidfd_open(pid.unwrap(), PidfdFlags::empty()) else {
            return;
        };
        if self.lives() {
            pidfd_send_signal(handle, signal).ok();
        }
    }

    /// Effect: `kill -9`, and waits until it is gone.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
        until(
            "the end of a killed process",
            || self.lives(),
            |lives| !lives,
        );
    }
}

/// All living processes that have this directory in their arguments or environment, as their place, or a file of it open.
pub(crate) fn of_directory(directory: &Path) -> Vec<Process> {
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    numbers
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id() && belongs(*pid, directory))
        .filter_map(Process::find)
        .collect()
}

/// Effect: ends them all, also those that they start meanwhile.
pub(crate) fn end_all(directory: &Path) {
    let kill = || {
        let alive = of_directory(directory);
        for process in &alive {
            process.signal(Signal::KILL);
        }
        alive
    };
    until("the end of all processes of a test", kill, Vec::is_empty);
}

fn belongs(pid: u32, directory: &Path) -> bool {
    let needle = directory.as_os_str().as_encoded_bytes();
    let mentions = |name: &str| {
        let text = fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        text.windows(needle.len()).any(|part| part == needle)
    };
    let place = fs::read_link(format!("/proc/{pid}/cwd"));
    place.is_ok_and(|place| place.starts_with(directory))
        || holds_open(pid, directory)
        || mentions("cmdline")
        || mentions("environ")
}

/// Whether it has a file of the directory open: a supervisor says where it belongs in no other way.
fn holds_open(pid: u32, directory: &Path) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd"));
    let mut links = files.into_iter().flatten().flatten();
    links.any(|file| fs::read_link(file.path()).is_ok_and(|link| link.starts_with(directory)))
}

fn arguments(command: &[u8]) -> Vec<String> {
    let command = command.strip_suffix(b"\0").unwrap_or(command);
    let parts = command.split(|byte| *byte == 0);
    parts
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect()
}
