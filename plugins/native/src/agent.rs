//! The agent's half: every effect goes through the Host seam, and what runs is found out by asking the supervisor or reading its stamp.

mod environment;
mod launch;
mod logs;
mod settled;
mod stamps;
mod status;
mod supervisor;
mod writable;

use std::path::{Path, PathBuf};

use hop3_plugin_api::{
    Abort, AppName, ArtifactKind, Context, Counts, Deployer, DeploymentInfo, Exit, HostContext,
    InstanceStatus, Launch, LogLine, LogQuery, OneOff, Owned, PlanContext, ReleaseId, Result,
    Verdict, async_trait, beneath,
};

use crate::place::Place;
use crate::protocol::Act;

/// Runs `virtualenv` and `native` artifacts as processes of this host.
#[derive(Debug, Clone, Copy, Default)]
pub struct NativeDeployer;

#[async_trait]
impl Deployer for NativeDeployer {
    fn name(&self) -> &'static str {
        "native"
    }

    fn accept(&self, _cx: &PlanContext<'_>, kind: &ArtifactKind) -> Verdict {
        Verdict::when(
            matches!(kind, ArtifactKind::Virtualenv | ArtifactKind::Native),
            format!("it runs virtualenv and native artifacts, not {kind}"),
        )
    }

    async fn deploy(
        &self,
        cx: &Context<'_>,
        launch: &Launch<'_>,
        counts: &Counts,
    ) -> Result<DeploymentInfo> {
        let place = Place::of(cx, &cx.paths.state, launch.release)?;
        launch::check_workers(launch, counts)?;
        let found = supervisor::ask(cx.host, &place.socket, Act::Status).await?;
        let reply = match found {
            Some(reply) if reply.stopping => {
                settled::until_gone(cx.host, &reply).await?;
                launch::start(cx, launch, counts, &place).await?
            }
            Some(reply) => launch::adjust(cx, launch, counts, &place, &reply).await?,
            None => launch::start(cx, launch, counts, &place).await?,
        };
        let reply = settled::until_scaled(cx.host, &place, reply).await?;
        Ok(status::deployment(launch, counts, &reply))
    }

    async fn stop(&self, cx: &Context<'_>, release: &ReleaseId) -> Result<()> {
        let place = Place::of(cx, &cx.paths.state, release)?;
        settled::stop(cx, release, &place).await
    }

    async fn check_status(
        &self,
        cx: &Context<'_>,
        release: &ReleaseId,
    ) -> Result<Vec<InstanceStatus>> {
        let place = Place::of(cx, &cx.paths.state, release)?;
        status::look(cx.host, release, &place).await
    }

    async fn run(&self, cx: &Context<'_>, launch: &Launch<'_>, command: &OneOff) -> Result<Exit> {
        launch::prepare(cx, launch).await?;
        let task = launch::command_task(cx, launch, command)?;
        Ok(cx.host.run(&task).await?)
    }

    async fn end_commands(&self, cx: &Context<'_>, release: &ReleaseId) -> Result<()> {
        let place = Place::of(cx, &cx.paths.state, release)?;
        launch::end_commands(cx, release, &place).await
    }

    async fn logs(&self, cx: &Context<'_>, query: &LogQuery) -> Result<Vec<LogLine>> {
        logs::read(cx.host, &cx.paths.log, query).await
    }

    async fn observe(&self, cx: &HostContext<'_>) -> Result<Vec<Owned>> {
        stamps::owned(cx, None).await
    }

    async fn observe_app(&self, cx: &HostContext<'_>, app: &AppName) -> Result<Vec<Owned>> {
        stamps::owned(cx, Some(app)).await
    }
}

/// A relative path beneath a root; refuses one that leaves it.
fn inside(root: &Path, relative: &str, what: &str) -> Result<PathBuf, Abort> {
    beneath(root, relative).ok_or_else(|| {
        Abort::new(format!("{what} `{relative}` is not a plain relative path"))
            .hint("name a directory below the app's own, without `..` and without a leading `/`")
    })
}

#[cfg(test)]
mod tests;
