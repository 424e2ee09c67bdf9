//! Becoming a program: its session, user, limits and confinement, in an order in which each step still has the rights that it needs.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use hop3_plugin_api::{Limits, UserId};
use rustix::fs::{Gid, Mode, Uid};
use rustix::process::{
    Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit, setsid, umask,
};
use rustix::thread::{set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::protocol::{Notice, Order, read_frame};
use super::{UNABLE, network, sandbox};

/// Standard input holds the order and then the program's own input; standard output takes notices until the program starts; standard error
/// is the program's output.
pub(super) fn enter() -> ExitCode {
    // A copy that the program does not inherit: that it closes is the sign that the program runs.
    let Ok(notices) = io::stdout().as_fd().try_clone_to_owned() else {
        return ExitCode::from(UNABLE);
    };
    let notice = become_program(&notices);
    let told = rustix::io::write(&notices, &notice.line());
    ExitCode::from(if told.is_ok() { UNABLE } else { UNABLE - 1 })
}

/// Returns only what went wrong.
fn become_program(notices: &OwnedFd) -> Notice {
    let (order, weakness) = match read_order().and_then(|order| {
        let weakness = confine(&order)?;
        Ok((order, weakness))
    }) {
        Ok(done) => done,
        Err(Failure::Io(doing, error)) => {
            return Notice::NotStarted(format!("could not {doing}: {error}"));
        }
        Err(Failure::Refused(reason)) => return Notice::Refused(reason),
    };
    let output = io::stderr().as_fd().try_clone_to_owned();
    let told = rustix::io::write(notices, &Notice::Ready { weakness }.line());
    let (Ok(output), Ok(_)) = (output, told) else {
        return Notice::NotStarted("could not set up its output".to_owned());
    };
    let error = Command::new(&order.program)
        .args(&order.args)
        .env_clear()
        .envs(&order.env)
        .current_dir(&order.dir)
        .stdout(output)
        .exec();
    Notice::NotStarted(format!(
        "{error} (`{}` in `{}`)",
        order.program.display(),
        order.dir.display()
    ))
}

pub(super) enum Failure {
    Io(&'static str, io::Error),
    Refused(String),
}

fn doing<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Failure {
    move |error| Failure::Io(what, error.into())
}

fn read_order() -> Result<Order, Failure> {
    let input = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(doing("read the order"))?;
    read_frame(&mut File::from(input)).map_err(doing("read the order"))
}

fn confine(order: &Order) -> Result<Option<String>, Failure> {
    // A session of its own is a process group of its own, away from any terminal.
    setsid().map_err(doing("start a session"))?;
    umask(Mode::from_raw_mode(0o022));
    if !order.detached {
        die_first();
    }
    let cut = order.confinement.as_ref().is_some_and(|c| !c.network);
    let alone = cut && network::leave();
    if let Some(user) = order.user {
        become_user(user).map_err(doing("change to the app's user"))?;
    }
    if !order.detached {
        // After the change of user, which takes it back.
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(doing("follow the watcher"))?;
    }
    let weakness = match &order.confinement {
        Some(confinement) => sandbox::confine(confinement, cut && !alone)?,
        None => None,
    };
    // Last: they may be too tight for anything but the program.
    apply_limits(&order.limits).map_err(doing("set its limits"))?;
    Ok(weakness)
}

/// When memory runs out, a task goes before the agent and before apps.
fn die_first() {
    if let Ok(mut score) = fs::OpenOptions::new()
        .write(true)
        .open("/proc/self/oom_score_adj")
    {
        drop(score.write_all(b"500"));
    }
}

fn become_user(user: UserId) -> rustix::io::Result<()> {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    set_no_new_privs(true)
}

fn apply_limits(limits: &Limits) -> rustix::io::Result<()> {
    limit(Resource::Core, Some(0))?;
    limit(Resource::Nofile, limits.open_files)?;
    limit(Resource::Fsize, limits.file_size)?;
    limit(Resource::Nproc, limits.processes)?;
    limit(Resource::As, limits.memory)
}

/// Never above what the host allows already.
fn limit(resource: Resource, wanted: Option<u64>) -> rustix::io::Result<()> {
    let Some(wanted) = wanted else {
        return Ok(());
    };
    let ceiling = getrlimit(resource).maximum;
    let value = Some(ceiling.map_or(wanted, |ceiling| ceiling.min(wanted)));
    let limit = Rlimit {
        current: value,
        maximum: value,
    };
    setrlimit(resource, limit)
}
