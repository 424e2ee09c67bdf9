//! The deployer `docker-compose`: each release is a compose project of its own, so that it starts beside the old one and ends alone.
//!
//! Guarantees: `deploy` twice is once; `stop` ends exactly its project and never a volume; an engine that does not answer is `Unknown`.

use std::path::Path;

use hop3_plugin_api::{
    Abort, AgentDeath, AppName, ArtifactKind, Context, Counts, Deployer, DeploymentInfo, Endpoint,
    Exit, ExitStatus, HostContext, InstanceId, InstanceStatus, Launch, Liveness, LogLine, LogQuery,
    OneOff, Owned, PlanContext, PluginError, Protocol, ReleaseId, Result, Task, Verdict,
    async_trait,
};
use serde_json::Value;

use crate::compose::{self, Ports};
use crate::engine::{Compose, Engine};
use crate::session::Session;
use crate::{containers, logs, names};

/// Runs images with docker compose.
#[derive(Debug, Clone, Copy, Default)]
pub struct ComposeDeployer;

#[async_trait]
impl Deployer for ComposeDeployer {
    fn name(&self) -> &'static str {
        "docker-compose"
    }

    fn accept(&self, _cx: &PlanContext<'_>, kind: &ArtifactKind) -> Verdict {
        Verdict::when(
            *kind == ArtifactKind::DockerImage,
            format!("it runs images, not a {kind} artifact"),
        )
    }

    async fn deploy(
        &self,
        cx: &Context<'_>,
        launch: &Launch<'_>,
        counts: &Counts,
    ) -> Result<DeploymentInfo> {
        let session = Session::open(cx).await?;
        let plan = session.blueprint(launch, counts).await?;
        let project = names::release_project(launch.release);
        session.require_own(&project).await?;
        let ports = session.ports(launch, &plan).await?;
        session.start_shared(launch, &plan).await?;
        let document = compose::render_release(&plan, &session.stamp(launch), &ports);
        session.start_release(launch.release, &document).await?;
        Ok(info(ports))
    }

    async fn stop(&self, cx: &Context<'_>, release: &ReleaseId) -> Result<()> {
        let session = Session::open(cx).await?;
        let project = names::release_project(release);
        let file = names::release_file(cx, release);
        end(&session, &project, &file).await?;
        let command_file = names::command_file(cx, release);
        cx.host
            .remove_beneath(&cx.paths.state, &command_file)
            .await?;
        end_shared_without_releases(&session, &release.app).await
    }

    async fn check_status(
        &self,
        cx: &Context<'_>,
        release: &ReleaseId,
    ) -> Result<Vec<InstanceStatus>> {
        let engine = Engine::new(cx.machine)?;
        let wanted = wanted(cx, release).await?;
        match containers::of_release(&engine, cx.install, release).await {
            Ok(seen) => Ok(with_missing(seen, wanted)),
            Err(error) if wanted.is_empty() => Err(error),
            Err(error) => Ok(unknown(wanted, &error)),
        }
    }

    async fn run(&self, cx: &Context<'_>, launch: &Launch<'_>, command: &OneOff) -> Result<Exit> {
        let session = Session::open(cx).await?;
        let plan = session.blueprint(launch, &Counts::new()).await?;
        session.start_shared(launch, &plan).await?;
        let document = compose::render_command(&plan, &session.stamp(launch), &command.command);
        let document =
            document.ok_or_else(|| Abort::new("the app has no worker to run the command in"))?;
        let file = names::command_file(cx, launch.release);
        session.write(&file, &document).await?;
        let container = command_container(cx, launch.release);
        let mut task =
            command_task(&session, launch.release, &container).deadline(command.deadline);
        if let Some(exit_file) = command.exit_file.clone() {
            task.agent_death = AgentDeath::Finish { exit_file };
        }
        let exit = cx.host.run(&task).await?;
        if !matches!(exit.status, ExitStatus::Code(_)) {
            remove_container(&session, &container).await?;
        }
        Ok(exit)
    }

    async fn end_commands(&self, cx: &Context<'_>, release: &ReleaseId) -> Result<()> {
        let session = Session::open(cx).await?;
        let filter = format!("name={}_run_", names::release_project(release));
        let args = ["ps", "--all", "--quiet", "--filter", &filter];
        let left = session.engine.ask("look for commands", args).await?;
        for container in left.lines() {
            remove_container(&session, container).await?;
        }
        Ok(())
    }

    async fn logs(&self, cx: &Context<'_>, query: &LogQuery) -> Result<Vec<LogLine>> {
        logs::lines(cx, query).await
    }

    async fn observe(&self, cx: &HostContext<'_>) -> Result<Vec<Owned>> {
        let engine = Engine::new(*cx)?;
        if !engine.is_installed() {
            return Ok(Vec::new());
        }
        let mut owned = Vec::new();
        for (what, words) in [
            ("container", &["ps", "--all"][..]),
            ("network", &["network", "ls"]),
            ("volume", &["volume", "ls"]),
        ] {
            owned.extend(stamped(&engine, cx.install, what, words).await?);
        }
        Ok(owned)
    }
}

fn info(ports: Ports) -> DeploymentInfo {
    let endpoints = ports.into_iter().map(|(instance, port)| Endpoint {
        instance,
        address: containers::endpoint(port),
    });
    DeploymentInfo {
        protocol: Protocol::Http,
        endpoints: endpoints.collect(),
    }
}

/// Ends a project and forgets its file. Version 1 of compose cannot end a project without its file.
async fn end(session: &Session<'_>, project: &str, file: &Path) -> Result<()> {
    session.require_own(project).await?;
    let host = session.cx.host;
    let known = host.read(file).await?.is_some();
    if known || session.compose == Compose::V2 {
        let task = session.down(project, known.then_some(file));
        session.engine.succeed(&task).await?;
    }
    Ok(host.remove_beneath(&session.cx.paths.state, file).await?)
}

/// What the app has once ends with its last release; its volumes stay.
async fn end_shared_without_releases(session: &Session<'_>, app: &AppName) -> Result<()> {
    let cx = session.cx;
    let file = names::app_file(cx);
    if cx.host.read(&file).await?.is_none() {
        return Ok(());
    }
    let mut filters = containers::filters(cx.install, app, None);
    filters.extend(["--filter".to_owned(), format!("label={}", names::RELEASE)]);
    let words = ["ps", "--all", "--quiet"].map(str::to_owned);
    let others = session
        .engine
        .ask("look for other releases", words.into_iter().chain(filters))
        .await?;
    if others.trim().is_empty() {
        end(session, &names::app_project(app), &file).await?;
    }
    Ok(())
}

/// The instances that were deployed, from the file that `deploy` wrote.
async fn wanted(cx: &Context<'_>, release: &ReleaseId) -> Result<Vec<InstanceId>> {
    let file = names::release_file(cx, release);
    let Some(content) = cx.host.read(&file).await? else {
        return Ok(Vec::new());
    };
    let document: Value = serde_json::from_slice(&content)
        .map_err(|e| PluginError::other(format!("could not read `{}`", file.display()), e))?;
    Ok(compose::instances_in(&document, release))
}

fn with_missing(mut seen: Vec<InstanceStatus>, wanted: Vec<InstanceId>) -> Vec<InstanceStatus> {
    for instance in wanted {
        if seen.iter().all(|status| status.instance != instance) {
            let reason = Some("it has no container".to_owned());
            seen.push(bare(instance, Liveness::Stopped { reason }));
        }
    }
    seen
}

fn unknown(wanted: Vec<InstanceId>, error: &PluginError) -> Vec<InstanceStatus> {
    let cause = std::error::Error::source(error);
    let reason = match cause {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    let status = wanted.into_iter().map(|instance| {
        let reason = reason.clone();
        bare(instance, Liveness::Unknown { reason })
    });
    status.collect()
}

fn bare(instance: InstanceId, liveness: Liveness) -> InstanceStatus {
    InstanceStatus {
        instance,
        liveness,
        endpoint: None,
        process: None,
        restarts: 0,
    }
}

/// A name by which a command's container is found again when its client was ended.
fn command_container(cx: &Context<'_>, release: &ReleaseId) -> String {
    let mut bytes = [0; 4];
    cx.host.random(&mut bytes);
    let random = u32::from_be_bytes(bytes);
    format!("{}_run_{random:08x}", names::release_project(release))
}

fn command_task(session: &Session<'_>, release: &ReleaseId, container: &str) -> Task {
    let file = names::command_file(session.cx, release);
    let project = names::release_project(release);
    let what = format!("run a command of {release}");
    let task = session
        .compose
        .task(&session.engine, what, &project, Some(&file))
        .env("COMPOSE_IGNORE_ORPHANS", "true");
    task.args(["run", "--rm", "--no-deps", "-T", "--name", container, "run"])
}

async fn remove_container(session: &Session<'_>, container: &str) -> Result<()> {
    let args = ["rm", "--force", container];
    let task = session.engine.task("end a command", args);
    session.engine.run(&task).await.map(drop)
}

/// Things of one kind that carry our stamp.
async fn stamped(
    engine: &Engine<'_>,
    install: &str,
    what: &str,
    words: &[&str],
) -> Result<Vec<Owned>> {
    let name = if what == "container" {
        ".Names"
    } else {
        ".Name"
    };
    let label = |key: &str| format!("{{{{.Label \"{key}\"}}}}");
    let format = format!(
        "owned={}/{}/{{{{{name}}}}}",
        label(names::APP),
        label(names::RELEASE)
    );
    let filter = format!("label={}={install}", names::INSTALL);
    let args = words
        .iter()
        .copied()
        .chain(["--filter", &filter, "--format", &format]);
    let answer = engine.ask("look for what is ours", args).await?;
    Ok(answer
        .lines()
        .filter_map(|line| owned(line, what))
        .collect())
}

fn owned(line: &str, what: &str) -> Option<Owned> {
    let mut words = line.strip_prefix("owned=")?.splitn(3, '/');
    let app = AppName::parse(words.next()?).ok()?;
    let number = words.next()?.parse().ok();
    let release = number.map(|number| ReleaseId {
        app: app.clone(),
        number,
    });
    let name = words.next()?;
    Some(Owned {
        app,
        release,
        what: format!("{what} {name}"),
    })
}
