//! Ports: a free one for an app, and whose listener stands at an address.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use hop3_plugin_api::{HostError, ProcessId};

use super::{files, listeners, process};

/// Hands out ports of a private range, the least recently used first.
#[derive(Debug)]
pub(super) struct Ports {
    range: RangeInclusive<u16>,
    recent: Mutex<VecDeque<u16>>,
}

impl Ports {
    pub(super) fn new(range: RangeInclusive<u16>) -> Self {
        Self {
            range,
            recent: Mutex::default(),
        }
    }

    /// A port that nothing listens on now; it is remembered, so that two apps being started do not get the same.
    pub(super) fn free(&self) -> Result<u16, HostError> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let size = self.range.len().max(1);
        let start = random_below(size);
        let round = self.range.clone().cycle().skip(start).take(size);
        let fresh = round.filter(|port| !recent.contains(port));
        let port = fresh
            .chain(recent.iter().copied())
            .find(|port| is_free(*port))
            .ok_or_else(|| HostError::Refused {
                doing: "find a free port".to_owned(),
                reason: format!(
                    "all of {} to {} are in use",
                    self.range.start(),
                    self.range.end()
                ),
            })?;
        recent.retain(|used| *used != port);
        recent.push_back(port);
        if recent.len() > size / 2 {
            recent.pop_front();
        }
        Ok(port)
    }
}

fn random_below(size: usize) -> usize {
    let mut random = [0; 2];
    files::fill_random(&mut random);
    usize::from(u16::from_le_bytes(random)) % size
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Whether the listener at an address belongs to one of the processes or to a descendant; `None` when that cannot be told.
pub(super) fn listens(address: SocketAddr, processes: &[ProcessId]) -> Option<bool> {
    let inodes = listeners::listeners(address).ok()?;
    if inodes.is_empty() {
        return Some(false);
    }
    let mut pids: Vec<u32> = processes
        .iter()
        .filter(|process| process::is_running(process))
        .map(|process| process.pid)
        .collect();
    pids.extend(process::descendants(&pids).iter().map(|stat| stat.pid));
    let answers: Vec<Option<bool>> = pids.iter().map(|pid| holds_socket(*pid, &inodes)).collect();
    if answers.contains(&Some(true)) {
        Some(true)
    } else if answers.contains(&None) {
        None
    } else {
        Some(false)
    }
}

fn holds_socket(pid: u32, inodes: &BTreeSet<u64>) -> Option<bool> {
    let descriptors = match fs::read_dir(Path::new("/proc").join(pid.to_string()).join("fd")) {
        Ok(descriptors) => descriptors,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(false),
        Err(_) => return None,
    };
    let mut links = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    Some(links.any(|link| socket_inode(&link).is_some_and(|inode| inodes.contains(&inode))))
}

fn socket_inode(link: &Path) -> Option<u64> {
    link.to_str()?
        .strip_prefix("socket:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_in_the_range_differ_and_leave_out_a_taken_one() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(Ports::new(port..=port).free().is_err());
        let ports = Ports::new(21000..=21999);
        let drawn: BTreeSet<u16> = (0..100).map(|_| ports.free().unwrap()).collect();
        assert_eq!(drawn.len(), 100);
        assert!(drawn.iter().all(|port| (21000..=21999).contains(port)));
    }

    #[test]
    fn a_listener_belongs_to_the_process_that_opened_it() {
        let me = process::identify(std::process::id()).unwrap();
        let parent = process::identify(std::os::unix::process::parent_id()).unwrap();
        let stranger = ProcessId {
            start_time: 0,
            ..me.clone()
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(listens(address, std::slice::from_ref(&me)), Some(true));
        assert_eq!(listens(address, &[parent]), Some(true), "a descendant's");
        assert_eq!(listens(address, &[stranger]), Some(false));
        drop(listener);
        assert_eq!(listens(address, &[me]), Some(false));
    }
}
