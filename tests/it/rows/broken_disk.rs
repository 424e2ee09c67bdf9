//! A disk that reports errors from some sync on.

use std::fs;
use std::process::{Child, Command, Stdio};

use super::super::support::until;
use super::{TestHost, server_of, text_of};

/// Something that makes every sync of the agent fail from the n-th on.
pub(super) struct BrokenDisk(Child);

impl BrokenDisk {
    /// `None` where there is no `strace`.
    pub(super) fn under(host: &TestHost, from: u32) -> Option<Self> {
        let inject = format!("inject=fsync,fdatasync:error=EIO:when={from}+");
        let mut command = Command::new("strace");
        command
            .args(["-f", "-qq", "-e", "trace=fsync,fdatasync", "-e", &inject])
            .arg("-o")
            .arg(host.path("strace.log"))
            .arg("-p")
            .arg(host.agent_process().pid.to_string())
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().ok()?;
        let traced = || {
            let status = format!("/proc/{}/status", host.agent_process().pid);
            let text = fs::read_to_string(status).unwrap_or_default();
            text.contains(&format!("TracerPid:\t{}", child.id()))
        };
        until("the tracer", traced, |is| *is);
        Some(Self(child))
    }
}

impl Drop for BrokenDisk {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Commits until the agent ends of its disk; gives what was committed last, and the exit code. Syncs are counted for each thread: one edition
/// may go live before any of them has made so many.
pub(super) fn until_the_disk_is_met(host: &mut TestHost, round: usize) -> (String, i32) {
    for count in 0.. {
        let edition = format!("edition-{round}-{count}");
        server_of(host, "shop", ("serve", &edition), "");
        host.commit("A commit on a broken disk");
        if let Some(code) = host.until_ended_or(|host| text_of(host, "shop") == edition) {
            return (edition, code);
        }
    }
    unreachable!("every thread syncs some day")
}
