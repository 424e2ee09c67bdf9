//! `internal-instance`: turns itself into one of the app's processes.
//!
//! It is started with an empty environment and is told everything through standard input, so that nothing of the app's (`LD_PRELOAD`,
//! say) can act before privileges are gone.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use hop3_plugin_api::{Limits, UserId};
use rustix::fs::Mode;
use rustix::process::{Gid, Pid, Resource, Rlimit, Signal, Uid};

use super::doing;
use crate::document::InstanceDocument;

/// Returns only when it failed.
pub(super) fn become_instance() -> Result<(), String> {
    let document = read_document()?;
    rustix::process::setsid().map_err(doing("start a session"))?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    limit(&document.limits, document.user.is_some())?;
    drop_privileges(document.user)?;
    die_with(document.parent)?;
    if let Some(weakness) = super::confine::hide(&document) {
        super::say(&weakness);
    }
    let error = Command::new("/bin/sh")
        .arg("-c")
        .arg(&document.command)
        .env_clear()
        .envs(&document.env)
        .current_dir(&document.dir)
        .stdin(Stdio::null())
        .exec();
    Err(format!(
        "could not start the command in `{}`: {error}",
        document.dir.display()
    ))
}

fn read_document() -> Result<InstanceDocument, String> {
    let mut text = Vec::new();
    std::io::stdin()
        .read_to_end(&mut text)
        .map_err(doing("read the instance's description"))?;
    serde_json::from_slice(&text).map_err(doing("understand the instance's description"))
}

fn limit(limits: &Limits, own_user: bool) -> Result<(), String> {
    // The kernel counts processes per user: without a user of its own, an app would be charged for everybody's.
    let processes = limits.processes.filter(|_| own_user);
    for (resource, most) in [
        (Resource::As, limits.memory),
        (Resource::Nproc, processes),
        (Resource::Fsize, limits.file_size),
        (Resource::Nofile, limits.open_files),
        (Resource::Core, Some(0)),
    ] {
        let Some(most) = most else { continue };
        let most = rustix::process::getrlimit(resource)
            .maximum
            .map_or(most, |ceiling| most.min(ceiling));
        let both = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        rustix::process::setrlimit(resource, both)
            .map_err(doing(format_args!("limit {resource:?} to {most}")))?;
    }
    Ok(())
}

/// The process has one thread, so what is set for the thread is set for the process.
fn drop_privileges(user: Option<UserId>) -> Result<(), String> {
    if let Some(user) = user.filter(|_| rustix::process::geteuid().is_root()) {
        let gid = Gid::from_raw(user.gid);
        let uid = Uid::from_raw(user.uid);
        rustix::thread::set_thread_groups(&[]).map_err(doing("leave all groups"))?;
        rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(doing("take the app's group"))?;
        rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(doing("take the app's user"))?;
    }
    rustix::thread::set_no_new_privs(true).map_err(doing("give up new privileges"))
}

/// Changing the user clears this setting, so it comes after; the parent may have died before, so it is looked at again.
fn die_with(parent: u32) -> Result<(), String> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(doing("be bound to the supervisor"))?;
    let actual = rustix::process::getppid().map(Pid::as_raw_nonzero);
    if actual.is_some_and(|pid| pid.get().cast_unsigned() == parent) {
        Ok(())
    } else {
        Err("the supervisor is gone".to_owned())
    }
}
