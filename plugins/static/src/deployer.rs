//! The deployer.

use std::path::{Path, PathBuf};

use hop3_plugin_api::{
    Abort, AgentDeath, AppName, ArtifactKind, ArtifactLocation, BuildArtifact, Context, Counts,
    Deployer, DeploymentInfo, Endpoint, EndpointAddress, Exit, FileKind, Host, HostContext,
    InstanceId, InstanceStatus, Launch, Liveness, LogLine, LogQuery, OneOff, Owned, PlanContext,
    Program, Protocol, ReleaseId, Result, Sandbox, Secret, Task, Verdict, WorkerName, async_trait,
};

use crate::stamp::{self, Stamp};

/// The worker that stands for the directory.
const WORKER: &str = "web";
/// Where one-off commands find programs.
const TOOL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Deploys `static` artifacts.
#[derive(Debug, Clone, Copy, Default)]
pub struct StaticDeployer;

#[async_trait]
impl Deployer for StaticDeployer {
    fn name(&self) -> &'static str {
        "static"
    }

    fn accept(&self, _cx: &PlanContext<'_>, kind: &ArtifactKind) -> Verdict {
        Verdict::when(
            *kind == ArtifactKind::Static,
            format!("it serves static artifacts, not {kind}"),
        )
    }

    async fn deploy(
        &self,
        cx: &Context<'_>,
        launch: &Launch<'_>,
        counts: &Counts,
    ) -> Result<DeploymentInfo> {
        let directory = published(cx, launch.artifact)?;
        if !is_directory(cx.host, &cx.paths.app, &directory).await? {
            return Err(missing(launch, &directory).into());
        }
        let instances = counts.get(WORKER).copied().unwrap_or(1).max(1);
        Stamp::new(cx.install, launch.release, directory.clone(), instances)
            .write(cx.host, &cx.paths.state)
            .await?;
        Ok(DeploymentInfo {
            protocol: Protocol::Files,
            endpoints: vec![Endpoint {
                instance: instance(launch.release, 0),
                address: EndpointAddress::Directory(directory),
            }],
        })
    }

    async fn stop(&self, cx: &Context<'_>, release: &ReleaseId) -> Result<()> {
        let state = &cx.paths.state;
        let stamp = stamp::path(state, release);
        Ok(cx.host.remove_beneath(state, &stamp).await?)
    }

    async fn check_status(
        &self,
        cx: &Context<'_>,
        release: &ReleaseId,
    ) -> Result<Vec<InstanceStatus>> {
        let path = stamp::path(&cx.paths.state, release);
        let Some(stamp) = stamp::read(cx.host, &path).await? else {
            return Ok(Vec::new());
        };
        let there = is_directory(cx.host, &cx.paths.app, &stamp.directory).await?;
        Ok((0..stamp.instances)
            .map(|index| status(&stamp, index, there))
            .collect())
    }

    async fn run(&self, cx: &Context<'_>, launch: &Launch<'_>, command: &OneOff) -> Result<Exit> {
        let task = command_task(cx, launch, command)?;
        Ok(cx.host.run(&task).await?)
    }

    async fn logs(&self, _cx: &Context<'_>, _query: &LogQuery) -> Result<Vec<LogLine>> {
        Ok(Vec::new())
    }

    async fn observe(&self, cx: &HostContext<'_>) -> Result<Vec<Owned>> {
        stamp::owned(cx).await
    }

    async fn observe_app(&self, cx: &HostContext<'_>, app: &AppName) -> Result<Vec<Owned>> {
        stamp::owned_of(cx, app).await
    }
}

/// The directory of the artifact.
fn artifact_dir(cx: &Context<'_>, artifact: &BuildArtifact) -> Result<PathBuf> {
    match &artifact.location {
        ArtifactLocation::Directory(directory) => Ok(inside(&cx.paths.app, directory)?),
        ArtifactLocation::Image(image) => Err(Abort::new(format!(
            "the static deployer cannot serve the image `{image}`"
        ))
        .into()),
    }
}

/// The directory to serve.
fn published(cx: &Context<'_>, artifact: &BuildArtifact) -> Result<PathBuf> {
    let directory = artifact_dir(cx, artifact)?;
    let publish = artifact.runtime.publish.as_deref().unwrap_or_default();
    Ok(inside(&directory, publish.trim_end_matches('/'))?)
}

fn inside(root: &Path, relative: &str) -> Result<PathBuf, Abort> {
    if matches!(relative, "" | ".") {
        return Ok(root.to_owned());
    }
    let plain = Path::new(relative)
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_)));
    if plain {
        return Ok(root.join(relative));
    }
    Err(Abort::new(format!(
        "the directory to serve `{relative}` is not a plain relative path"
    ))
    .hint("set `static-dir` to a directory of the app, without `..` and without a leading `/`"))
}

fn missing(launch: &Launch<'_>, directory: &Path) -> Abort {
    let publish = launch.artifact.runtime.publish.as_deref();
    Abort::new(format!(
        "{} has no directory `{}` to serve",
        launch.release,
        publish.map_or_else(|| directory.display().to_string(), str::to_owned)
    ))
    .hint("set `static-dir` in `[build]` to the directory that the build writes, not to a symbolic link")
}

/// Whether every part of the path below the app's directory is a real directory: a link could lead out of the release.
async fn is_directory(host: &dyn Host, app: &Path, directory: &Path) -> Result<bool> {
    let Ok(relative) = directory.strip_prefix(app) else {
        return Ok(false);
    };
    let mut at = app.to_owned();
    for part in relative.components() {
        let name = part.as_os_str();
        let mut entries = host.list(&at).await?.into_iter();
        if !entries.any(|entry| name == entry.name.as_str() && entry.kind == FileKind::Directory) {
            return Ok(false);
        }
        at.push(name);
    }
    Ok(true)
}

fn instance(release: &ReleaseId, index: u16) -> InstanceId {
    InstanceId {
        release: release.clone(),
        worker: WorkerName::parse(WORKER).expect("`web` is a worker name"),
        index,
    }
}

fn status(stamp: &Stamp, index: u16, there: bool) -> InstanceStatus {
    let gone = || Liveness::Stopped {
        reason: Some(format!("`{}` is gone", stamp.directory.display())),
    };
    InstanceStatus {
        instance: instance(&stamp.release, index),
        liveness: if there { Liveness::Running } else { gone() },
        endpoint: Some(EndpointAddress::Directory(stamp.directory.clone())),
        process: None,
        restarts: 0,
    }
}

fn command_task(cx: &Context<'_>, launch: &Launch<'_>, command: &OneOff) -> Result<Task> {
    let directory = artifact_dir(cx, launch.artifact)?;
    let what = format!("run a command of {}", launch.release);
    let mut task = Task::new(what, Program::AppShell(command.command.clone()), &directory)
        .env("PATH", TOOL_PATH)
        .env("HOME", cx.paths.data.display().to_string());
    for (key, value) in cx.env {
        task.env.insert(key.to_string(), value.clone());
    }
    for (key, value) in [
        ("HOP3_APP", launch.release.app.to_string()),
        ("HOP3_RELEASE", launch.release.number.to_string()),
    ] {
        task.env.insert(key.to_owned(), Secret::new(value));
    }
    task.user = cx.user;
    task.limits = launch.limits.clone();
    task.sandbox = Sandbox {
        enabled: true,
        writable: vec![cx.paths.data.clone(), cx.paths.cache.clone()],
        readable: vec![directory],
        network: true,
        required: false,
    };
    task.deadline = command.deadline;
    if let Some(exit_file) = command.exit_file.clone() {
        task.agent_death = AgentDeath::Finish { exit_file };
    }
    Ok(task)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use std::collections::{BTreeMap, BTreeSet};

    use hop3_plugin_api::{AppName, Digest, Limits, RuntimeSpec};
    use hop3_plugin_testing::{TestApp, conformance};

    use super::*;

    struct Sample {
        release: ReleaseId,
        artifact: BuildArtifact,
        workers: BTreeMap<WorkerName, hop3_plugin_api::WorkerSpec>,
        limits: Limits,
    }

    impl Sample {
        fn publishing(publish: Option<&str>) -> Self {
            Self {
                release: ReleaseId {
                    app: AppName::parse("site").unwrap(),
                    number: 1,
                },
                artifact: BuildArtifact {
                    kind: ArtifactKind::Static,
                    location: ArtifactLocation::Directory("releases/1/app".to_owned()),
                    key: Digest::of_bytes(b"source"),
                    metadata: BTreeMap::new(),
                    cloned: BTreeSet::new(),
                    runtime: RuntimeSpec {
                        publish: publish.map(str::to_owned),
                        ..RuntimeSpec::default()
                    },
                },
                workers: BTreeMap::new(),
                limits: Limits::default(),
            }
        }

        fn launch(&self) -> Launch<'_> {
            Launch {
                release: &self.release,
                artifact: &self.artifact,
                workers: &self.workers,
                limits: &self.limits,
                stop_grace: Duration::ZERO,
            }
        }
    }

    fn counts() -> Counts {
        Counts::from([(WorkerName::parse("web").unwrap(), 1)])
    }

    async fn app_with(directory: &str) -> TestApp {
        let app = TestApp::new("site");
        let path = app.paths.build.join(directory);
        app.host.ensure_dir(&path, 0o755, None).await.unwrap();
        app.fake().take_transcript();
        app
    }

    #[tokio::test]
    async fn a_directory_is_deployed_like_anything_else() {
        let app = app_with("dist").await;
        let sample = Sample::publishing(Some("dist/"));
        let cx = app.context();
        conformance::deployer::conforms(&StaticDeployer, &cx, &sample.launch(), &counts()).await;
    }

    #[tokio::test]
    async fn the_endpoint_is_the_published_directory_and_deploying_starts_nothing() {
        let app = app_with("dist/web").await;
        for (publish, below) in [(Some("dist/web"), "dist/web"), (Some("."), ""), (None, "")] {
            let sample = Sample::publishing(publish);
            let info = StaticDeployer
                .deploy(&app.context(), &sample.launch(), &Counts::new())
                .await
                .unwrap();
            let expected = app.paths.app.join("releases/1/app").join(below);
            assert_eq!(info.protocol, Protocol::Files);
            let address = EndpointAddress::Directory(expected.components().collect());
            assert_eq!(info.endpoints[0].address, address);
        }
        let effects = app.fake().take_transcript();
        assert!(
            effects.iter().all(|line| line.starts_with("write ")),
            "{effects:?}"
        );
    }

    #[tokio::test]
    async fn t29_what_leaves_the_release_is_not_served() {
        let app = app_with("dist").await;
        let link = app.paths.build.join("link");
        app.host
            .ensure_link(&link, Path::new("/etc"))
            .await
            .unwrap();
        for bad in ["../..", "/etc", "a/../..", "link", "link/ssl", "missing"] {
            let sample = Sample::publishing(Some(bad));
            let deployed = StaticDeployer
                .deploy(&app.context(), &sample.launch(), &counts())
                .await;
            assert!(deployed.is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_directory_that_vanishes_is_told() {
        let app = app_with("dist").await;
        let sample = Sample::publishing(Some("dist"));
        let cx = app.context();
        StaticDeployer
            .deploy(&cx, &sample.launch(), &counts())
            .await
            .unwrap();
        let dist = app.paths.build.join("dist");
        app.host
            .remove_beneath(&app.paths.app, &dist)
            .await
            .unwrap();
        let status = StaticDeployer
            .check_status(&cx, &sample.release)
            .await
            .unwrap();
        assert!(matches!(status[0].liveness, Liveness::Stopped { .. }));
    }

    #[tokio::test]
    async fn a_command_runs_in_the_release_directory() {
        let app = app_with("dist").await;
        let sample = Sample::publishing(Some("dist"));
        StaticDeployer
            .run(
                &app.context(),
                &sample.launch(),
                &OneOff::new("./notify", Duration::from_mins(1)),
            )
            .await
            .unwrap();
        assert_eq!(
            app.transcript(),
            [
                "run run a command of site/1: ./notify (in <root>/data/apps/site/releases/1/app; env HOME HOP3_APP HOP3_RELEASE PATH; sandboxed)"
            ]
        );
    }
}
