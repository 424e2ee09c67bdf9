//! Starting a supervisor, changing what it runs, and the release's one-off commands.

use std::path::PathBuf;
use std::time::Duration;

use hop3_plugin_api::{
    Abort, AgentDeath, Context, Counts, Launch, OneOff, PluginError, ProcessId, Program, ReleaseId,
    Result, Sandbox, Secret, Task,
};

use super::{environment, inside, stamps, supervisor, writable};
use crate::document::{FORMAT, INSTANCE_VARIABLE, LaunchDocument, Ports, instance_name};
use crate::place::Place;
use crate::protocol::{Act, Reply};
use crate::settings::NativeConfig;
use crate::supervisor::{SUPERVISE, SWEEP};

/// Pauses between two looks at a new supervisor, growing from the first to the longest, and for how long it is waited for.
const FIRST_PULSE: Duration = Duration::from_millis(2);
const LONGEST_PULSE: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(10);
/// For how long it is asked on when its process has ended: it ends at once when another one came first, which may not listen yet.
const RIVAL_PATIENCE: Duration = Duration::from_secs(1);

/// Refuses counts that the release cannot meet, before anything is touched.
pub(super) fn check_workers(launch: &Launch<'_>, counts: &Counts) -> Result<()> {
    for worker in counts.keys() {
        let spec = launch
            .workers
            .get(worker)
            .ok_or_else(|| Abort::new(format!("{} has no worker `{worker}`", launch.release)))?;
        if spec.command.trim().is_empty() {
            return Err(Abort::new(format!("the worker `{worker}` has no command"))
                .hint("name one under `[run.workers]` or in the Procfile")
                .into());
        }
    }
    Ok(())
}

/// Makes a running supervisor have these counts.
pub(super) async fn adjust(
    cx: &Context<'_>,
    launch: &Launch<'_>,
    counts: &Counts,
    place: &Place,
    found: &Reply,
) -> Result<Reply> {
    let ports = new_ports(cx, launch, counts, Some(found)).await?;
    let counts = counts.clone();
    supervisor::require(cx.host, &place.socket, Act::Scale { counts, ports }).await
}

/// Starts the supervisor of a release that has none. When another agent is starting one just now, that one is taken.
pub(super) async fn start(
    cx: &Context<'_>,
    launch: &Launch<'_>,
    counts: &Counts,
    place: &Place,
) -> Result<Reply> {
    if let Some(reply) = already_starting(cx, launch, place).await? {
        return Ok(reply);
    }
    let document = document(cx, launch, counts, place).await?;
    prepare(cx, launch).await?;
    let what = format!("supervise {}", launch.release);
    let mut task = Task::new(what, Program::Agent, &cx.paths.app).args([SUPERVISE]);
    let text = serde_json::to_string(&document)
        .map_err(|e| PluginError::other("could not describe the release to its supervisor", e))?;
    task.input = Some(Secret::new(text));
    task.output.log = Some(supervisor_log(cx));
    let started = cx.host.spawn_detached(&task).await?;
    until_answering(cx, place, &started.process).await
}

fn supervisor_log(cx: &Context<'_>) -> PathBuf {
    cx.paths.log.join("supervisor.log")
}

/// A supervisor that lives and says nothing may still run instances: a second one beside it would double them.
async fn already_starting(
    cx: &Context<'_>,
    launch: &Launch<'_>,
    place: &Place,
) -> Result<Option<Reply>> {
    let stamp = stamps::read(cx.host, &place.stamp).await?;
    let Some(stamp) = stamp.filter(|stamp| cx.host.is_running(&stamp.supervisor)) else {
        return Ok(None);
    };
    match answer_of(cx, place, &stamp.supervisor).await? {
        Some(reply) => Ok(Some(reply)),
        None => Err(PluginError::other(
            format!("could not deploy {}", launch.release),
            format!(
                "its supervisor {} runs but does not answer",
                stamp.supervisor.pid
            ),
        )),
    }
}

/// Asks until somebody answers, for as long as the process may still begin to.
async fn answer_of(cx: &Context<'_>, place: &Place, process: &ProcessId) -> Result<Option<Reply>> {
    let (mut left, mut pulse) = (PATIENCE, FIRST_PULSE);
    while !left.is_zero() {
        if let Some(reply) = supervisor::ask(cx.host, &place.socket, Act::Status).await? {
            return Ok(Some(reply));
        }
        if !cx.host.is_running(process) {
            left = left.min(RIVAL_PATIENCE);
        }
        cx.host.sleep(pulse).await;
        left = left.saturating_sub(pulse);
        pulse = (pulse * 3 / 2).min(LONGEST_PULSE);
    }
    Ok(None)
}

async fn until_answering(cx: &Context<'_>, place: &Place, process: &ProcessId) -> Result<Reply> {
    if let Some(reply) = answer_of(cx, place, process).await? {
        return Ok(reply);
    }
    let log = supervisor_log(cx);
    let said = cx.host.read(&log).await?.unwrap_or_default();
    let last = String::from_utf8_lossy(&said)
        .lines()
        .next_back()
        .unwrap_or("it said nothing")
        .to_owned();
    Err(PluginError::other("the supervisor did not start", last))
}

async fn document(
    cx: &Context<'_>,
    launch: &Launch<'_>,
    counts: &Counts,
    place: &Place,
) -> Result<LaunchDocument> {
    let settings: NativeConfig = cx.section()?;
    Ok(LaunchDocument {
        format: FORMAT,
        install: cx.install.to_owned(),
        release: launch.release.clone(),
        id: place.id.clone(),
        socket: place.socket.clone(),
        nudge: Some(cx.dirs.nudges()),
        stamp: place.stamp.clone(),
        log_dir: cx.paths.log.clone(),
        dir: work_dir(cx, launch)?,
        data_dir: cx.dirs.data.clone(),
        app_dir: cx.paths.app.clone(),
        user: cx.user,
        limits: launch.limits.clone(),
        stop_grace: launch.stop_grace,
        env: environment::shared(cx, launch, &settings.tool_path)?,
        workers: launch.workers.clone(),
        counts: counts.clone(),
        ports: new_ports(cx, launch, counts, None).await?,
    })
}

/// A port for each routed instance that does not exist yet.
async fn new_ports(
    cx: &Context<'_>,
    launch: &Launch<'_>,
    counts: &Counts,
    found: Option<&Reply>,
) -> Result<Ports> {
    let mut ports = Ports::new();
    for (worker, count) in counts {
        if !launch.workers[worker].routed {
            continue;
        }
        for index in 0..*count {
            let exists = found.is_some_and(|reply| {
                let mut reports = reply.instances.iter();
                reports.any(|report| report.worker == *worker && report.index == index)
            });
            if !exists {
                ports.insert(instance_name(worker, index), cx.host.free_port().await?);
            }
        }
    }
    Ok(ports)
}

fn work_dir(cx: &Context<'_>, launch: &Launch<'_>) -> Result<PathBuf> {
    let artifact = launch.artifact.directory(&cx.paths.app)?;
    let relative = &launch.artifact.runtime.workdir;
    Ok(inside(&artifact, relative, "the working directory")?)
}

/// Makes the directories that instances and commands of a release may write.
pub(super) async fn prepare(cx: &Context<'_>, launch: &Launch<'_>) -> Result<()> {
    let temporary = environment::temporary_dir(&cx.paths.release);
    cx.host.ensure_dir(&temporary, 0o700, cx.user).await?;
    writable::link(cx, launch).await
}

/// One of the app's own commands in the release's environment.
pub(super) fn command_task(
    cx: &Context<'_>,
    launch: &Launch<'_>,
    command: &OneOff,
) -> Result<Task> {
    let settings: NativeConfig = cx.section()?;
    let env = environment::shared(cx, launch, &settings.tool_path)?;
    let what = format!("run a command of {}", launch.release);
    let program = Program::AppShell(command.command.clone());
    let mut task = Task::new(what, program, work_dir(cx, launch)?);
    task.env = env
        .into_iter()
        .map(|(key, value)| (key, Secret::new(value)))
        .collect();
    let place = Place::of(cx, &cx.paths.state, launch.release)?;
    let mark = format!("{}.0", place.commands());
    task.env
        .insert(INSTANCE_VARIABLE.to_owned(), Secret::new(mark));
    task.user = cx.user;
    task.limits = launch.limits.clone();
    task.sandbox = sandbox(cx, launch)?;
    task.deadline = command.deadline;
    if let Some(exit_file) = command.exit_file.clone() {
        task.agent_death = AgentDeath::Finish { exit_file };
    }
    Ok(task)
}

/// Ends every process that a command of the release left behind, by the mark that it was started with.
pub(super) async fn end_commands(
    cx: &Context<'_>,
    release: &ReleaseId,
    place: &Place,
) -> Result<()> {
    let what = format!("end what commands of {release} left");
    let task = Task::new(what, Program::Agent, &cx.paths.app)
        .args([SWEEP, &place.commands()])
        .deadline(Duration::from_secs(30));
    cx.host.run(&task).await?.require_success(&task)?;
    Ok(())
}

fn sandbox(cx: &Context<'_>, launch: &Launch<'_>) -> Result<Sandbox> {
    Ok(Sandbox {
        enabled: true,
        writable: vec![
            cx.paths.data.clone(),
            cx.paths.cache.clone(),
            environment::temporary_dir(&cx.paths.release),
        ],
        readable: vec![
            launch.artifact.directory(&cx.paths.app)?,
            cx.paths.layers.clone(),
        ],
        network: true,
        required: false,
    })
}
