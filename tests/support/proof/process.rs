//! The processes of one installation, and of no other: told by where they work, where they write, and what they were started with.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    /// Its working directory or, if that is elsewhere, its log; from the installation's directory.
    pub(crate) place: String,
    /// Its number.
    pub(crate) pid: u32,
    /// In clock ticks since boot.
    pub(crate) start_time: u64,
    /// Who started it, or took it over.
    pub(crate) parent: u32,
    /// Its arguments.
    pub(crate) command: String,
}

/// Who cares for it may change, and what it executes; it is the same all the while.
impl PartialEq for Process {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Process {}

impl Ord for Process {
    fn cmp(&self, other: &Self) -> Ordering {
        let identity = |it: &Self| (it.pid, it.start_time);
        identity(self).cmp(&identity(other))
    }
}

impl PartialOrd for Process {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Process {
    /// Whether it was started as this helper of the agent, for instance `internal-proxy`.
    pub(crate) fn is_helper(&self, name: &str) -> bool {
        self.command.split(' ').nth(1) == Some(name)
    }

    /// Whether it is an agent itself.
    pub(crate) fn is_agent(&self) -> bool {
        self.command.contains("/agent.toml ") && self.command.trim_end().ends_with(" run")
    }

    /// Effect: `kill -9`. It may have ended by itself.
    pub(crate) fn kill(&self) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| start_time(self.pid) == Some(self.start_time)) {
            kill_process(pid, Signal::KILL).ok();
        }
    }

    /// Whether this very process still runs.
    pub(crate) fn lives(&self) -> bool {
        start_time(self.pid) == Some(self.start_time)
    }
}

/// Every process of an installation, and the watchers of its programs.
pub(crate) fn of(directory: &Path) -> BTreeSet<Process> {
    let mut own = BTreeSet::new();
    let mut watchers = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        match place(pid, directory) {
            Some(place) => own.extend(process(pid, place)),
            // What a watcher watches says whose it is.
            None => watchers.extend(process(pid, String::new()).map(|process| (pid, process))),
        }
    }
    let parents: Vec<u32> = own.iter().map(|process| process.parent).collect();
    let watching = parents.iter().filter_map(|parent| watchers.remove(parent));
    own.extend(watching.filter(|process| process.is_helper("internal-task")));
    own
}

/// Where a process belongs, from the installation's directory.
fn place(pid: u32, directory: &Path) -> Option<String> {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let beneath = |link: &str| {
        let path = fs::read_link(proc.join(link)).ok()?;
        Some(path.strip_prefix(directory).ok()?.display().to_string())
    };
    let marks = ["cwd", "fd/1", "fd/2"];
    marks.iter().find_map(|mark| beneath(mark)).or_else(|| {
        let text = fs::read(proc.join("cmdline")).ok()?;
        let needle = directory.as_os_str().as_encoded_bytes();
        let mentions = text.windows(needle.len()).any(|part| part == needle);
        mentions.then(String::new)
    })
}

/// One that has ended and was not waited for yet counts as gone.
fn process(pid: u32, place: String) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name may contain anything, also spaces and parentheses.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    let runs = !matches!(*fields.first()?, "Z" | "X") && !command.is_empty();
    runs.then_some(Process {
        place,
        pid,
        start_time: fields.get(19)?.parse().ok()?,
        parent: fields.get(1)?.parse().ok()?,
        command,
    })
}

fn start_time(pid: u32) -> Option<u64> {
    Some(process(pid, String::new())?.start_time)
}

/// Resident memory in KiB, and open files.
pub(crate) fn use_of(pid: u32) -> (u64, usize) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let words = line.and_then(|line| line.split_whitespace().next());
    let memory = words.and_then(|number| number.parse().ok()).unwrap_or(0);
    let files = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    (memory, files)
}
