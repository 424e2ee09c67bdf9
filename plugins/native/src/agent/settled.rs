//! Waiting for what was asked of a supervisor, and ending one that does not do it.

use std::time::Duration;

use hop3_plugin_api::{
    Context, Host, Level, PluginError, ProcessId, Program, ReleaseId, Result, Task,
};

use super::{environment, stamps, supervisor};
use crate::place::Place;
use crate::protocol::{Act, InstanceState, Reply};
use crate::supervisor::SWEEP;

const TERM: i32 = 15;
const KILL: i32 = 9;
/// How often is looked.
const PULSE: Duration = Duration::from_millis(25);
/// What a supervisor may take beyond its instances' own grace.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until instances that are surplus have ended.
pub(super) async fn until_scaled(
    host: &dyn Host,
    place: &Place,
    mut reply: Reply,
) -> Result<Reply> {
    let mut waited = Duration::ZERO;
    while is_scaling(&reply) && waited < grace(&reply) + PATIENCE {
        host.sleep(PULSE).await;
        waited += PULSE;
        reply = supervisor::require(host, &place.socket, Act::Status).await?;
    }
    Ok(reply)
}

fn is_scaling(reply: &Reply) -> bool {
    let mut instances = reply.instances.iter();
    instances.any(|instance| instance.state == InstanceState::Ending)
}

fn grace(reply: &Reply) -> Duration {
    Duration::from_millis(reply.stop_grace_ms)
}

/// Waits for a supervisor that is ending already.
pub(super) async fn until_gone(host: &dyn Host, reply: &Reply) -> Result<()> {
    let Some(process) = &reply.supervisor else {
        return Ok(());
    };
    if is_gone(host, process, grace(reply) + PATIENCE).await {
        return Ok(());
    }
    Err(still_there(process))
}

async fn is_gone(host: &dyn Host, process: &ProcessId, most: Duration) -> bool {
    let mut waited = Duration::ZERO;
    while host.is_running(process) && waited < most {
        host.sleep(PULSE).await;
        waited += PULSE;
    }
    !host.is_running(process)
}

fn still_there(process: &ProcessId) -> PluginError {
    PluginError::other(
        "could not stop a release",
        format!("its supervisor {} does not end", process.pid),
    )
}

/// Ends a release: by asking its supervisor, else by its stamp.
pub(super) async fn stop(cx: &Context<'_>, release: &ReleaseId, place: &Place) -> Result<()> {
    let stamp = stamps::read(cx.host, &place.stamp).await?;
    // An answer that cannot be understood is no answer: the release must end all the same.
    let reply = supervisor::ask(cx.host, &place.socket, Act::Stop)
        .await
        .unwrap_or_default();
    let asked = reply.is_some();
    let known = reply
        .and_then(|reply| Some((reply.supervisor?, reply.stop_grace_ms)))
        .or_else(|| stamp.map(|stamp| (stamp.supervisor, stamp.stop_grace_ms)));
    let Some((process, grace_ms)) = known else {
        return Ok(());
    };
    let patience = Duration::from_millis(grace_ms) + PATIENCE;
    if !ended_well(cx.host, &process, asked, patience).await? {
        cx.log.say(
            Level::Warn,
            &format!("The supervisor of {release} did not end it; ending what is left."),
        );
        end_by_force(cx, release, place, &process).await?;
    }
    clean(cx, place).await
}

/// Whether the supervisor itself ended its instances. One that is gone before it was asked did not.
async fn ended_well(
    host: &dyn Host,
    process: &ProcessId,
    asked: bool,
    patience: Duration,
) -> Result<bool> {
    if !asked {
        if !host.is_running(process) {
            return Ok(false);
        }
        host.signal(process, TERM, false).await?;
    }
    Ok(is_gone(host, process, patience).await)
}

/// The kernel ends the instances with their supervisor; the sweep finds what those had started.
async fn end_by_force(
    cx: &Context<'_>,
    release: &ReleaseId,
    place: &Place,
    process: &ProcessId,
) -> Result<()> {
    if cx.host.is_running(process) {
        cx.host.signal(process, KILL, false).await?;
    }
    if !is_gone(cx.host, process, PATIENCE).await {
        return Err(still_there(process));
    }
    let what = format!("end what is left of {release}");
    let task = Task::new(what, Program::Agent, &cx.paths.app)
        .args([SWEEP, &place.id])
        .deadline(Duration::from_secs(30));
    cx.host.run(&task).await?.require_success(&task)?;
    Ok(())
}

async fn clean(cx: &Context<'_>, place: &Place) -> Result<()> {
    let temporary = environment::temporary_dir(&cx.paths.release);
    let leftovers = [
        (&cx.dirs.run, place.socket.clone()),
        (&cx.dirs.run, place.socket.with_extension("lock")),
        (&cx.paths.state, place.stamp.clone()),
        (&cx.paths.release, temporary),
    ];
    for (root, path) in leftovers {
        cx.host.remove_beneath(root, &path).await?;
    }
    Ok(())
}
