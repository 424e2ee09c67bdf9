//! Processes as `/proc` shows them: who they are, whose they are, and how they are ended.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread::sleep;
use std::time::Duration;

use hop3_plugin_api::ProcessId;
use rustix::process::{Pid, Signal};

use crate::document::INSTANCE_VARIABLE;

/// What is needed of `/proc/<pid>/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    state: u8,
    parent: i32,
    group: i32,
    session: i32,
    start_time: u64,
}

impl Stat {
    /// Reads one line. The name in parentheses may hold anything, also parentheses.
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line
            .get(line.rfind(')')? + 1..)?
            .split_ascii_whitespace()
            .collect();
        Some(Self {
            state: *fields.first()?.as_bytes().first()?,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            start_time: fields.get(19)?.parse().ok()?,
        })
    }

    fn of(pid: i32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn is_alive(self) -> bool {
        !matches!(self.state, b'Z' | b'X')
    }
}

/// A process with its start time, so that it is not mistaken for a later one. `None` when it is gone already.
pub(super) fn identify(pid: i32, boot_id: &str) -> Option<ProcessId> {
    Some(ProcessId {
        pid: pid.cast_unsigned(),
        start_time: Stat::of(pid)?.start_time,
        boot_id: boot_id.to_owned(),
    })
}

/// The kernel's name for the time since it started.
pub(super) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// Every live process of the machine that can be seen.
fn all() -> BTreeMap<i32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return BTreeMap::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, Stat::of(pid)?)))
        .filter(|(_, stat)| stat.is_alive())
        .collect()
}

/// Live descendants of this process.
pub(super) fn descendants() -> BTreeMap<i32, Stat> {
    below(std::process::id().cast_signed(), &all())
}

fn below(root: i32, all: &BTreeMap<i32, Stat>) -> BTreeMap<i32, Stat> {
    let mut found = BTreeSet::from([root]);
    loop {
        let before = found.len();
        found.extend(
            all.iter()
                .filter(|(_, stat)| found.contains(&stat.parent))
                .map(|(pid, _)| *pid)
                .collect::<Vec<_>>(),
        );
        if found.len() == before {
            break;
        }
    }
    found.remove(&root);
    found
        .into_iter()
        .filter_map(|pid| Some((pid, *all.get(&pid)?)))
        .collect()
}

/// The descendants that belong to one instance: in its leader's session or group, or started with its mark.
pub(super) fn members(leader: Option<i32>, mark: &str) -> Vec<i32> {
    descendants()
        .into_iter()
        .filter(|(pid, stat)| {
            leader.is_some_and(|leader| stat.session == leader || stat.group == leader)
                || marked(*pid, |value| value == mark.as_bytes())
        })
        .map(|(pid, _)| pid)
        .collect()
}

/// Whether a process was started with an instance variable that fits.
fn marked(pid: i32, fits: impl Fn(&[u8]) -> bool) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else {
        return false;
    };
    environment
        .split(|byte| *byte == 0)
        .filter_map(|entry| entry.strip_prefix(INSTANCE_VARIABLE.as_bytes()))
        .filter_map(|rest| rest.strip_prefix(b"="))
        .any(fits)
}

/// Signals one process; one that is gone is fine.
fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid).filter(|pid| !pid.is_init()) {
        rustix::process::kill_process(pid, signal).ok();
    }
}

/// Asks the groups of these leaders to end, each once, and every other process by itself.
pub(super) fn terminate(leaders: &[i32], others: impl IntoIterator<Item = i32>) {
    for leader in leaders.iter().filter_map(|leader| Pid::from_raw(*leader)) {
        rustix::process::kill_process_group(leader, Signal::TERM).ok();
    }
    others
        .into_iter()
        .filter(|pid| Stat::of(*pid).is_some_and(|stat| !leaders.contains(&stat.group)))
        .for_each(|pid| signal(pid, Signal::TERM));
}

/// Kills these processes.
pub(super) fn kill(pids: impl IntoIterator<Item = i32>) {
    for pid in pids {
        signal(pid, Signal::KILL);
    }
}

/// Kills what `left` returns until it returns nothing, or the kernel cannot do it within a second.
pub(super) fn kill_all(left: impl Fn() -> Vec<i32>) {
    for _ in 0..200 {
        let pids = left();
        if pids.is_empty() {
            return;
        }
        kill(pids);
        sleep(Duration::from_millis(5));
    }
}

/// Ends every process of the machine that carries the mark of a release's instances, until none is left.
///
/// For what a killed supervisor left behind: the kernel ends its children with it, but not what they had started.
pub(super) fn sweep(id: &str) {
    let prefix = format!("{id}.");
    let own = std::process::id().cast_signed();
    kill_all(|| {
        all()
            .into_keys()
            .filter(|pid| *pid != own && marked(*pid, |value| value.starts_with(prefix.as_bytes())))
            .collect()
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_call_itself_anything() {
        let line = "42 (a) S (b c) R 7 42 40 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 12345 0 0";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.parent, stat.group, stat.session), (7, 42, 40));
        assert_eq!(stat.start_time, 12345);
        assert_eq!(Stat::parse("42 (half"), None);
    }

    #[test]
    fn descendants_are_found_over_any_number_of_generations() {
        let stat = |parent| Stat {
            state: b'S',
            parent,
            group: 0,
            session: 0,
            start_time: 0,
        };
        let all = BTreeMap::from([
            (10, stat(1)),
            (12, stat(10)),
            (11, stat(12)),
            (13, stat(11)),
            (20, stat(1)),
        ]);
        assert_eq!(
            below(10, &all).into_keys().collect::<Vec<_>>(),
            [11, 12, 13]
        );
    }

    #[test]
    fn this_process_is_identified_by_its_start_time() {
        let own = std::process::id().cast_signed();
        let process = identify(own, &boot_id()).unwrap();
        assert!(process.start_time > 0);
        assert_eq!(process.boot_id.len(), 36);
    }
}
