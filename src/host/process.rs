//! Processes of the machine by identity: number, start time and boot. A number alone is never trusted, because the kernel uses it again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

use hop3_plugin_api::ProcessId;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};

/// What `/proc/<pid>/stat` says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) pid: u32,
    pub(super) parent: u32,
    pub(super) state: char,
    pub(super) start_time: u64,
}

impl Stat {
    /// A zombie has ended; only its parent has not asked yet.
    pub(super) fn runs(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x')
    }
}

pub(super) fn stat(pid: u32) -> Option<Stat> {
    parse_stat(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Fields follow the last parenthesis: a program may put parentheses and spaces into its own name.
fn parse_stat(pid: u32, text: &str) -> Option<Stat> {
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    // State and parent are fields 3 and 4; the start time is field 22.
    let start_time = fields.nth(17)?.parse().ok()?;
    Some(Stat {
        pid,
        parent,
        state,
        start_time,
    })
}

/// The identity of a process that exists, a zombie included.
pub(super) fn identify(pid: u32) -> io::Result<ProcessId> {
    let stat = stat(pid).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    Ok(ProcessId {
        pid,
        start_time: stat.start_time,
        boot_id: boot_id()?,
    })
}

fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

pub(super) fn is_running(process: &ProcessId) -> bool {
    stat(process.pid).is_some_and(|s| s.runs() && s.start_time == process.start_time)
        && boot_id().is_ok_and(|boot| boot == process.boot_id)
}

/// Sends a signal to exactly this process, or to the group that it leads; one that is gone is fine.
pub(super) fn signal(process: &ProcessId, signal: Signal, group: bool) -> io::Result<()> {
    let same_boot = boot_id()? == process.boot_id;
    if same_boot {
        signal_started_at(process.pid, process.start_time, signal, group)
    } else {
        Ok(())
    }
}

/// The handle is taken before the start time is compared, so that the process cannot be exchanged in between.
pub(super) fn signal_started_at(
    number: u32,
    start_time: u64,
    signal: Signal,
    group: bool,
) -> io::Result<()> {
    let Some(pid) = pid(number) else {
        return Ok(());
    };
    let sent = match pidfd_open(pid, PidfdFlags::empty()) {
        Err(error) => Err(error),
        Ok(_) if stat(number).is_none_or(|s| s.start_time != start_time) => Ok(()),
        Ok(_) if group => kill_process_group(pid, signal),
        Ok(handle) => pidfd_send_signal(handle, signal),
    };
    match sent {
        Err(rustix::io::Errno::SRCH) => Ok(()),
        other => Ok(other?),
    }
}

pub(super) fn pid(number: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(number).ok()?)
}

/// Every process that runs.
fn everything() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(stat)
        .filter(Stat::runs)
        .collect()
}

/// Every running descendant of these processes, without themselves.
pub(super) fn descendants(of: &[u32]) -> Vec<Stat> {
    let mut children: BTreeMap<u32, Vec<Stat>> = BTreeMap::new();
    for stat in everything() {
        children.entry(stat.parent).or_default().push(stat);
    }
    let (mut found, mut seen) = (Vec::new(), of.iter().copied().collect::<BTreeSet<_>>());
    let mut waiting = of.to_vec();
    while let Some(parent) = waiting.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            if seen.insert(child.pid) {
                waiting.push(child.pid);
                found.push(child);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_cannot_forge_its_start_time() {
        let text =
            "42 (a) Z 1 (b)) S 7 42 42 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 1 1 1\n";
        assert_eq!(
            parse_stat(42, text),
            Some(Stat {
                pid: 42,
                parent: 7,
                state: 'S',
                start_time: 98765
            })
        );
        assert_eq!(parse_stat(42, "42 (a"), None);
    }

    #[test]
    fn this_process_runs_and_one_with_another_start_time_does_not() {
        let me = identify(std::process::id()).unwrap();
        assert!(is_running(&me));
        let mut other = me.clone();
        other.start_time += 1;
        assert!(!is_running(&other));
        signal(&other, Signal::KILL, false).unwrap();
        other = me;
        other.boot_id = "another".to_owned();
        assert!(!is_running(&other));
        signal(&other, Signal::KILL, false).unwrap();
    }
}
