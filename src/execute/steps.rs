//! What each action of a plan does. One function per action; each may be repeated.

use std::sync::Arc;
use std::time::Duration;

use hop3_plugin_api::{
    Abort, AddonInstance, BuildArtifact, BuildPlan, Counts, Digest, PluginError, PluginName,
    ReleaseId, Result,
};

use tokio::sync::SemaphorePermit;

use super::once::Once;
use super::retain::Copies;
use super::run::Run;
use super::{retain, stamps};
use crate::gate::{install_hint, lacking};
use crate::health;
use crate::machine::AppSide;
use crate::observe::Pin;
use crate::plan::{Action, ReleaseRef, Step};
use crate::release::{Release, STAMP_FORMAT, paths};
use crate::spec::{HealthCheck, OnInterrupt};

/// How long a build may keep others waiting.
const SLOT_TIME: Duration = Duration::from_mins(1);

impl Action {
    /// The action in one word, for messages and events.
    pub fn name(&self) -> &'static str {
        match self {
            Self::EnsurePackages { .. } => "packages",
            Self::Build { .. } => "build",
            Self::ReuseArtifact { .. } => "reuse artifact",
            Self::EnsureAddon { .. } => "addon",
            Self::ReleaseCommand { .. } => "release command",
            Self::Deploy { .. } => "start",
            Self::Gate { .. } => "health gate",
            Self::Switch { .. } => "switch",
            Self::Drain { .. } => "drain",
            Self::Scale { .. } => "scale",
            Self::Stop { .. } => "stop",
            Self::Unroute { .. } => "unroute",
            Self::Tombstone => "tombstone",
            Self::Retain { .. } => "retain",
            Self::MakeRoom => "make room",
        }
    }
}

impl Run<'_> {
    /// Effect: carries out one step.
    pub(super) async fn step(&mut self, step: &Step) -> Result<()> {
        match &step.action {
            Action::EnsurePackages { packages } => self.ensure_packages(packages).await,
            Action::Build { builder, plan, .. } => self.build(builder, plan).await,
            Action::ReuseArtifact { of } => self.reuse(of).await,
            Action::EnsureAddon { addon } => self.ensure_addon(addon).await,
            Action::ReleaseCommand {
                release,
                commands,
                on_interrupt,
            } => self.release_command(release, commands, *on_interrupt).await,
            Action::Deploy {
                release, counts, ..
            } => self.deploy(release, counts).await,
            Action::Gate { release, check } => self.gate(release, check).await,
            Action::Switch {
                release,
                proxy,
                route,
            } => {
                self.switch(release, proxy.as_ref().zip(route.as_ref()))
                    .await
            }
            Action::Drain { release, seconds } => {
                self.drain(release, Duration::from_secs(*seconds)).await
            }
            Action::Scale { release, counts } => self.scale(release, counts).await,
            Action::Stop { release } => {
                let number = self.release(release)?.id.number;
                self.stop(number).await
            }
            Action::Unroute { proxy } => self.unroute(proxy).await,
            Action::Tombstone => self.tombstone().await,
            Action::Retain { keep } => self.retain(*keep, Copies::Stay).await,
            Action::MakeRoom => self.make_room().await,
        }
    }

    /// Effect: installs what is missing, where the operator lets the agent; else what is missing is the operator's to install.
    async fn ensure_packages(&mut self, names: &[String]) -> Result<()> {
        let machine = &self.executor.machine;
        let cx = machine.host_context();
        let Some(system) = &machine.system else {
            let names = names.join(", ");
            tracing::warn!(app = %self.job.change.app, "Whether this host has the packages {names} cannot be told: no plugin knows its operating system.");
            return Ok(());
        };
        let _turn = self.executor.packages.lock().await;
        if machine.installs_packages {
            return system.ensure_packages(&cx, names, true).await;
        }
        let missing = system.missing_packages(&cx, names).await?;
        if missing.is_empty() {
            return Ok(());
        }
        Err(PluginError::Lacking {
            message: lacking(&missing),
            hint: install_hint(system.install_command(), &missing),
        })
    }

    async fn build(&mut self, builder: &PluginName, plan: &BuildPlan) -> Result<()> {
        let id = self.open_release().await?;
        let machine = &self.executor.machine;
        let builder = machine.registry.builders.require(builder.as_str())?;
        let app_paths = paths(&machine.dirs.data, &id);
        let target = self.target()?.clone();
        let side = AppSide {
            source: self.source.as_ref(),
            env: &hop3_plugin_api::EnvMap::new(),
            user: self.user,
        };
        let permit = self
            .executor
            .builds
            .acquire()
            .await
            .map_err(|_| Abort::new("the agent is stopping"))?;
        let cx = machine.context(&target, &app_paths, side);
        let artifact = build_in_slot(builder.build(&cx, plan), permit).await?;
        self.stamp(id, artifact).await
    }

    async fn reuse(&mut self, of: &ReleaseRef) -> Result<()> {
        let artifact = self.release(of)?.artifact.clone();
        let id = self.open_release().await?;
        self.stamp(id, artifact).await
    }

    /// Effect: takes a number and an empty directory for the new release.
    async fn open_release(&mut self) -> Result<ReleaseId> {
        let host = self.executor.machine.host.as_ref();
        let highest = self.releases.keys().last().copied().unwrap_or(0);
        let number = stamps::next_number(host, &self.files, highest).await?;
        self.made = Some(number);
        host.remove_beneath(self.files.app(), &self.files.release(number))
            .await?;
        host.ensure_dir(&self.files.release(number), 0o755, None)
            .await?;
        Ok(self.release_id(number))
    }

    /// Effect: writes the stamp that makes the new release whole.
    async fn stamp(&mut self, id: ReleaseId, artifact: BuildArtifact) -> Result<()> {
        let machine = &self.executor.machine;
        let target = self.target()?.clone();
        let release = Release {
            format: STAMP_FORMAT,
            install: machine.install.clone(),
            key: target.key().clone(),
            build_key: target.build_key().clone(),
            revision: self.job.revision.clone(),
            created: machine.host.now(),
            served: false,
            took_over: None,
            artifact,
            target,
            id,
        };
        stamps::write(
            machine.host.as_ref(),
            self.files.stamp(release.id.number),
            &release,
        )
        .await?;
        self.releases.insert(release.id.number, Arc::new(release));
        Ok(())
    }

    async fn ensure_addon(&mut self, addon: &AddonInstance) -> Result<()> {
        let machine = &self.executor.machine;
        let plugin = machine.registry.addons.require(addon.kind.as_str())?;
        let target = self.target()?.clone();
        let id = self.release_id(self.made.or(self.current).unwrap_or(0));
        let app_paths = paths(&machine.dirs.data, &id);
        let side = AppSide {
            source: self.source.as_ref(),
            env: &hop3_plugin_api::EnvMap::new(),
            user: self.user,
        };
        plugin
            .create(&machine.context(&target, &app_paths, side), addon)
            .await?;
        let host = machine.host.as_ref();
        let mut made: std::collections::BTreeMap<_, _> =
            crate::observe::read_json(host, &self.files.addons())
                .await?
                .unwrap_or_default();
        made.insert(addon.name.clone(), Digest::of(addon));
        stamps::write(host, self.files.addons(), &made).await
    }

    async fn release_command(
        &mut self,
        of: &ReleaseRef,
        commands: &[String],
        on_interrupt: OnInterrupt,
    ) -> Result<()> {
        let stage = self.stage(of).await?;
        self.commanding = Some(stage.release.id.number);
        let (cx, launch) = (self.context(&stage), stage.launch());
        let once = Once {
            cx: &cx,
            deployer: stage.deployer.as_ref(),
            launch: &launch,
            files: &self.files,
        };
        once.run(commands, on_interrupt).await?;
        self.commanding = None;
        Ok(())
    }

    async fn deploy(&mut self, of: &ReleaseRef, counts: &Counts) -> Result<()> {
        let stage = self.stage(of).await?;
        self.started = Some(stage.release.id.number);
        stage
            .deployer
            .deploy(&self.context(&stage), &stage.launch(), counts)
            .await?;
        Ok(())
    }

    async fn gate(&mut self, of: &ReleaseRef, check: &HealthCheck) -> Result<()> {
        let stage = self.stage(of).await?;
        let host_header = stage
            .target
            .route
            .as_ref()
            .and_then(|route| route.hosts.first())
            .map(ToString::to_string);
        let gate = health::Gate {
            check,
            may_have_restarted: Some(stage.release.id.number) == self.current,
            host_header,
            routed: stage.target.counts_of(true),
        };
        gate.wait(
            &self.context(&stage),
            stage.deployer.as_ref(),
            &stage.release.id,
        )
        .await
    }

    async fn scale(&mut self, of: &ReleaseRef, counts: &Counts) -> Result<()> {
        let stage = self.stage(of).await?;
        stage
            .deployer
            .scale(&self.context(&stage), &stage.launch(), counts)
            .await?;
        if Some(stage.release.id.number) == self.current {
            let took_over = stage.release.took_over;
            self.restamp(stage, took_over).await?;
        }
        Ok(())
    }

    /// Effect: the app is gone from here on; releases go, data and stamps of addons stay.
    async fn tombstone(&mut self) -> Result<()> {
        let host = self.executor.machine.host.as_ref();
        let left = serde_json::json!({ "format": 1, "app": self.app(), "removed": host.now(), "revision": self.job.revision });
        let (app, files) = (self.files.app(), &self.files);
        for gone in [files.current(), files.releases(), app.join("layers")] {
            host.remove_beneath(app, &gone).await?;
        }
        // The number of the current release goes last: as long as it is there, an agent that finds no tombstone begins again.
        stamps::write(host, files.tombstone(), &left).await?;
        Ok(host.remove_beneath(app, &files.current_number()).await?)
    }

    /// Effect: removes what can be made again. Data is not among it.
    async fn make_room(&mut self) -> Result<()> {
        self.retain(1, Copies::Go).await?;
        let (host, cache) = (self.executor.machine.host.as_ref(), self.files.cache());
        host.remove_beneath(self.files.app(), &cache).await?;
        Ok(host.ensure_dir(&cache, 0o700, self.user).await?)
    }

    async fn retain(&mut self, keep: u16, copies: Copies) -> Result<()> {
        let releases: Vec<&Release> = self.releases.values().map(Arc::as_ref).collect();
        let pinned: Option<Pin> =
            crate::observe::read_json(self.executor.machine.host.as_ref(), &self.files.pin())
                .await?;
        let needed: Vec<u32> = self
            .current
            .into_iter()
            .chain(pinned.map(|pin| pin.release))
            .collect();
        let kept = retain::kept(&releases, &needed, keep);
        retain::retain(
            self.executor.machine.host.as_ref(),
            &self.files,
            &releases,
            (&kept, copies),
        )
        .await
    }
}

/// Waits for a build. Its slot is given back when it takes long: builds that hang must not keep those of other apps waiting.
async fn build_in_slot(
    mut build: impl Future<Output = Result<BuildArtifact>> + Unpin,
    slot: SemaphorePermit<'_>,
) -> Result<BuildArtifact> {
    if let Ok(built) = tokio::time::timeout(SLOT_TIME, &mut build).await {
        return built;
    }
    drop(slot);
    build.await
}
