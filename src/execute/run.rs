//! One change being carried out: what is known so far, and the order of things when a step fails.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use hop3_plugin_api::{
    Abort, AppName, AppPaths, Context, Deployer, EnvMap, Launch, ReleaseId, Result, SourceTree,
    UserId,
};

use super::cancel::{Cancel, Patience};
use super::{Executor, Failure, Job, Outcome, env, once, stamps};
use crate::machine::{AppSide, NoSource};
use crate::observe::{Scanner, StateFiles};
use crate::plan::{ReleaseRef, Step};
use crate::release::{FixedTarget, Release, paths};
use crate::state::StepEnd;

/// The longest between TERM and KILL.
const STOP_GRACE: std::time::Duration = std::time::Duration::from_secs(10);

/// A change under way.
pub(super) struct Run<'a> {
    pub(super) executor: &'a Executor,
    pub(super) job: Job,
    pub(super) source: Arc<dyn SourceTree>,
    pub(super) files: StateFiles,
    pub(super) user: Option<UserId>,
    /// Releases that are there, those made by this run included.
    pub(super) releases: BTreeMap<u32, Arc<Release>>,
    pub(super) current: Option<u32>,
    /// The release that this run makes.
    pub(super) made: Option<u32>,
    /// Whether requests may already go to the new release.
    pub(super) switched: bool,
    /// The release that was started before the switch, to be ended when the run fails.
    pub(super) started: Option<u32>,
    /// The release whose release commands are under way.
    pub(super) commanding: Option<u32>,
}

/// A release with everything needed to act on it.
pub(super) struct Stage {
    pub(super) release: Release,
    pub(super) target: FixedTarget,
    pub(super) paths: AppPaths,
    pub(super) env: EnvMap,
    pub(super) deployer: Arc<dyn Deployer>,
}

impl<'a> Run<'a> {
    pub(super) fn new(executor: &'a Executor, job: Job) -> Self {
        let files = StateFiles::new(&executor.machine.dirs.data, &job.change.app);
        Self {
            executor,
            source: Arc::new(NoSource),
            job,
            files,
            user: None,
            releases: BTreeMap::new(),
            current: None,
            made: None,
            switched: false,
            started: None,
            commanding: None,
        }
    }

    pub(super) async fn carry_out(mut self, mut cancel: Cancel) -> Outcome {
        let outcome = match self.prepare().await {
            Ok(()) => Box::pin(self.steps(&mut cancel)).await,
            Err(error) => Outcome::Failed(Failure::new(self.app(), "prepare", &error)),
        };
        if outcome != Outcome::Done && !self.switched {
            self.undo(cancel.is_leaving()).await;
        }
        outcome
    }

    pub(super) fn app(&self) -> &AppName {
        &self.job.change.app
    }

    async fn prepare(&mut self) -> Result<()> {
        let machine = &self.executor.machine;
        self.source = self.job.source.clone().map_err(Abort::new)?;
        if self.job.target.is_some() {
            self.user = machine.user(self.app()).await?;
            stamps::directories(machine, &self.files, self.user).await?;
        }
        let observed = Scanner { machine }.stamps(self.app()).await?;
        (self.releases, self.current) = (observed.releases, observed.current);
        Ok(())
    }

    async fn steps(&mut self, cancel: &mut Cancel) -> Outcome {
        let store = &self.executor.store;
        for step in self.job.change.steps.clone() {
            store.step_started(self.app(), &step, &self.job.trial());
            let started = Instant::now();
            let patience = self.patience(&step);
            let result = tokio::select! {
                biased;
                () = cancel.ends(patience) => {
                    store.step_ended(self.app(), &step, StepEnd::CutShort);
                    return Outcome::Cancelled;
                }
                result = self.step(&step) => result,
            };
            if let Err(error) = result {
                store.distrust(&error);
                let failure = Failure::new(self.app(), step.action.name(), &error);
                store.step_ended(self.app(), &step, StepEnd::Failed(&failure.message));
                return Outcome::Failed(failure);
            }
            store.step_ended(self.app(), &step, StepEnd::Done);
            let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::debug!(app = %self.app(), step = step.action.name(), milliseconds, "The step is done.");
        }
        Outcome::Done
    }

    /// After the switch there is no way back: what is left is done.
    fn patience(&self, step: &Step) -> Patience {
        if self.switched {
            Patience::Endless
        } else {
            Patience::with(&step.action)
        }
    }

    /// Effect: ends what this run started beside the old release, and removes what it half built. Failures here are left to the next
    /// cycle, which finds the leftovers by looking. A release command outlives an agent that ends.
    async fn undo(&mut self, leaving: bool) {
        if let Some(number) = self.commanding.filter(|_| !leaving)
            && let Err(error) = self.end_commands(number).await
        {
            tracing::warn!(app = %self.app(), release = number, %error, "The release command could not be ended yet.");
        }
        let started = self.started.filter(|number| Some(*number) != self.current);
        if let Some(number) = started
            && let Err(error) = self.stop(number).await
        {
            tracing::warn!(app = %self.app(), release = number, %error, "The release that failed could not be ended yet.");
        }
        let unfinished = self
            .made
            .filter(|number| !self.releases.contains_key(number));
        if let Some(number) = unfinished {
            let host = self.executor.machine.host.as_ref();
            if let Err(error) = host
                .remove_beneath(self.files.app(), &self.files.release(number))
                .await
            {
                tracing::warn!(app = %self.app(), release = number, %error, "The unfinished release could not be removed yet.");
            }
        }
    }

    async fn end_commands(&self, number: u32) -> Result<()> {
        let Some(release) = self.releases.get(&number) else {
            return Ok(());
        };
        let machine = &self.executor.machine;
        let deployer = machine.deployer_of(release)?;
        let app_paths = paths(&machine.dirs.data, &release.id);
        let cx = machine.bare_context(&release.target, &app_paths);
        once::end(&cx, deployer.as_ref(), &self.files, &release.id).await
    }

    pub(super) async fn stop(&self, number: u32) -> Result<()> {
        let Some(release) = self.releases.get(&number) else {
            return Ok(());
        };
        let machine = &self.executor.machine;
        let deployer = machine.deployer_of(release)?;
        let app_paths = paths(&machine.dirs.data, &release.id);
        let cx = machine.bare_context(&release.target, &app_paths);
        deployer.stop(&cx, &release.id).await
    }

    /// The release that a reference stands for.
    pub(super) fn release(&self, reference: &ReleaseRef) -> Result<&Release> {
        let number = match reference {
            ReleaseRef::New => self.made,
            ReleaseRef::Existing { number, .. } => Some(*number),
        };
        let found = number.and_then(|number| self.releases.get(&number));
        let found = found.map(Arc::as_ref);
        found.ok_or_else(|| {
            Abort::new("the release that the plan speaks of is no longer there").into()
        })
    }

    /// What the app should be; the release's own target where it is being removed.
    pub(super) fn target(&self) -> Result<&FixedTarget> {
        self.job
            .target
            .as_ref()
            .ok_or_else(|| Abort::new("an app that is removed cannot be deployed").into())
    }

    /// A release with its environment filled. The paths' build directory is where the artifact really is.
    pub(super) async fn stage(&self, reference: &ReleaseRef) -> Result<Stage> {
        let release = self.release(reference)?.clone();
        let target = self.target()?.clone();
        let machine = &self.executor.machine;
        let deployer = machine.deployer_of(&release)?;
        let app_paths = paths(&machine.dirs.data, &release.id);
        let bare = machine.bare_context(&target, &app_paths);
        let bare = Context {
            user: self.user,
            ..bare
        };
        let env = env::resolve(&bare, &machine.registry, &target).await?;
        Ok(Stage {
            release,
            target,
            paths: app_paths,
            env,
            deployer,
        })
    }

    pub(super) fn context<'s>(&'s self, stage: &'s Stage) -> Context<'s> {
        let side = AppSide {
            source: self.source.as_ref(),
            env: &stage.env,
            user: self.user,
        };
        self.executor
            .machine
            .context(&stage.target, &stage.paths, side)
    }

    /// The id that the next release will have.
    pub(super) fn release_id(&self, number: u32) -> ReleaseId {
        ReleaseId {
            app: self.app().clone(),
            number,
        }
    }
}

impl Stage {
    pub(super) fn launch(&self) -> Launch<'_> {
        Launch {
            release: &self.release.id,
            artifact: &self.release.artifact,
            workers: &self.target.workers,
            limits: &self.target.limits,
            stop_grace: STOP_GRACE,
        }
    }
}
