//! From the plan to the lanes, and from a lane's end back to what is known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hop3_plugin_api::{AppName, Digest, PlanContext, SourceTree};

use super::{Control, Message, Reply};
use crate::desired::ConfigTree as _;
use crate::execute::{Job, Outcome};
use crate::gate::{Facts, gate};
use crate::lanes::Finished;
use crate::machine::NoSource;
use crate::observe::ObservedApp;
use crate::plan::{Change, Plan, PlanInput, Resting, destination, plan};
use crate::release::Target;
use crate::state::{Attempt, EventKind, Moment};

impl Control {
    /// Plans what can be done now and starts it. Cancels changes that lead elsewhere than what is wanted.
    pub(super) fn reconcile(&mut self) {
        if !self.look.done_once {
            return;
        }
        for app in self.lanes.busy() {
            if let Some(wanted) = self.planned(|input| destination(input, &app)) {
                self.lanes.supersede(&app, &wanted);
            }
        }
        let plan = self.plan();
        for app in &plan.unchanged {
            // Whatever failed on the way, the app has arrived.
            self.forget_attempts(app, |_| true);
        }
        for change in plan.changes {
            self.dispatch(change);
        }
        self.retry_at = self.next_retry();
    }

    /// What would be done now.
    pub fn plan(&self) -> Plan {
        gate(self.planned(plan), &self.facts())
    }

    /// Something computed from all that a plan is computed from.
    fn planned<T>(&self, compute: impl FnOnce(&PlanInput<'_>) -> T) -> T {
        let machine = &self.parts.executor.machine;
        let overlaps = |target: &Target| self.overlaps(target);
        let resting = self.resting();
        compute(&PlanInput {
            host: &self.parts.host,
            data_dir: &machine.dirs.data,
            desired: &self.desired,
            observed: &self.observed,
            busy: &self.lanes.busy(),
            resting: &resting,
            overlaps: &overlaps,
        })
    }

    fn overlaps(&self, target: &Target) -> bool {
        let deployer = self
            .parts
            .executor
            .machine
            .registry
            .deployers
            .find(target.choice.deployer.as_str());
        let cx = PlanContext {
            app: &target.app,
            source: &NoSource,
            config: &target.config,
        };
        deployer.is_none_or(|deployer| deployer.overlaps(&cx))
    }

    /// Targets that failed and whose next try is still to come.
    fn resting(&self) -> BTreeMap<(AppName, Digest), Resting> {
        let now = self.now();
        let resting = self
            .attempts
            .iter()
            .filter(|(_, attempt)| attempt.rests(now));
        resting
            .map(|(target, attempt)| (target.clone(), rest(attempt)))
            .collect()
    }

    fn facts(&self) -> Facts {
        let deployed: BTreeSet<&AppName> = self
            .observed
            .iter()
            .filter(|(_, observed)| observed.current.is_some())
            .map(|(app, _)| app)
            .collect();
        let healthy = deployed
            .iter()
            .filter(|app| self.is_healthy(app))
            .map(|app| (*app).clone())
            .collect();
        Facts {
            removed: deployed
                .iter()
                .filter(|app| !self.desired.mentions(app))
                .count(),
            deployed: deployed.len(),
            healthy,
        }
    }

    /// Whether an app runs what the config repo asks for.
    pub(super) fn is_healthy(&self, app: &AppName) -> bool {
        let Some(observed) = self.observed.get(app) else {
            return false;
        };
        let Some(current) = observed.current() else {
            return false;
        };
        let wanted = self.desired.apps.get(app).map(|desired| &desired.target);
        let pinned = |key: &Digest| {
            let pin = observed.pin.as_ref();
            pin.is_some_and(|pin| pin.against == *key && pin.release == current.id.number)
        };
        let target = wanted
            .filter(|target| !pinned(&target.key()))
            .unwrap_or(&current.target);
        target.key() == current.key
            && observed
                .missing(current.id.number, &target.counts)
                .is_empty()
    }

    fn dispatch(&mut self, change: Change) {
        let app = change.app.clone();
        let job = self.job(change);
        tracing::info!(%app, change = job.change.id.short(), class = %job.change.class, "The change begins.");
        self.parts.executor.store.record(
            Some(&app),
            &EventKind::ChangeStarted {
                change: job.change.id.clone(),
                class: job.change.class,
                revision: job.revision.clone(),
            },
        );
        let sender = self.sender.clone();
        self.lanes
            .start(&self.parts.executor, job, move |finished| {
                tokio::spawn(async move {
                    if sender
                        .send(Message::Finished(Box::new(finished)))
                        .await
                        .is_err()
                    {
                        tracing::debug!("The loop ended before the change did.");
                    }
                });
            });
    }

    fn job(&self, change: Change) -> Job {
        let target = self.target_of(&change);
        let desired = self.desired.apps.get(&change.app);
        let source = match self.tree.as_ref().zip(desired) {
            Some((tree, desired)) => tree
                .tree(&desired.directory)
                .map(|tree| tree.unwrap_or_else(|| Arc::new(NoSource))),
            None => Ok(Arc::new(NoSource) as Arc<dyn SourceTree>),
        };
        Job {
            change,
            target,
            source,
            revision: self.desired.revision.clone(),
        }
    }

    /// What a change leads to: the spec's target, or that of a release that is kept or returned to.
    fn target_of(&self, change: &Change) -> Option<Target> {
        let wanted = self
            .desired
            .apps
            .get(&change.app)
            .map(|desired| &desired.target);
        let recorded = self
            .observed
            .get(&change.app)
            .and_then(|observed| observed.with_key(&change.key))
            .map(|release| &release.target);
        wanted
            .filter(|target| target.key() == change.key)
            .or(recorded)
            .cloned()
    }

    /// Takes in what became of a change, and plans on.
    pub(super) fn finished(&mut self, mut finished: Finished) {
        let app = finished.app.clone();
        self.lanes.end(&app);
        *self.epochs.entry(app.clone()).or_default() += 1;
        self.learn(&finished);
        match std::mem::replace(&mut finished.observed, Ok(None)) {
            Ok(Some(observed)) => drop(self.observed.insert(app, observed)),
            Ok(None) => drop(self.observed.remove(&app)),
            Err(error) => {
                tracing::error!(%app, %error, "The app could not be observed.");
                self.observed.insert(app, ObservedApp::unreadable(&error));
            }
        }
        self.forget_superseded_attempts();
        if matches!(finished.outcome, Outcome::Done) {
            self.record_applied();
        }
        self.reconcile();
    }

    fn learn(&mut self, finished: &Finished) {
        let Finished {
            app,
            change,
            key,
            outcome,
            took,
            ..
        } = finished;
        let (change, milliseconds) = (
            change.clone(),
            u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        );
        let kind = match outcome {
            Outcome::Done => {
                tracing::info!(%app, milliseconds, "The change is done.");
                self.forget_attempts(app, |attempt| attempt == key);
                EventKind::ChangeDone {
                    change,
                    milliseconds,
                }
            }
            Outcome::Cancelled => EventKind::ChangeCancelled { change },
            Outcome::Failed(failure) => {
                tracing::error!(%app, step = failure.step, "The change failed: {}", failure.message);
                let moment = Moment {
                    now: self.now(),
                    jitter: self.random(),
                    costs_service: finished.downtime,
                };
                let target = (app.clone(), key.clone());
                let attempt = Attempt::after(
                    self.attempts.get(&target),
                    key.clone(),
                    failure.clone(),
                    moment,
                );
                self.parts.executor.store.set_attempt(app, &attempt);
                self.attempts.insert(target, attempt);
                EventKind::ChangeFailed {
                    change,
                    failure: failure.clone(),
                }
            }
        };
        self.parts.executor.store.record(Some(app), &kind);
    }

    /// A commit that asks for something else ends the rest of what failed before; that of the current release goes on.
    pub(super) fn forget_superseded_attempts(&mut self) {
        let apps: BTreeSet<AppName> = self.attempts.keys().map(|(app, _)| app.clone()).collect();
        for app in apps {
            let wanted = self
                .desired
                .apps
                .get(&app)
                .map(|desired| desired.target.key());
            let current = self
                .observed
                .get(&app)
                .and_then(|observed| observed.current())
                .map(|release| release.key.clone());
            let gone = !self.desired.mentions(&app) && !self.observed.contains_key(&app);
            if wanted.is_some() || gone {
                self.forget_attempts(&app, |key| {
                    Some(key) != wanted.as_ref() && Some(key) != current.as_ref()
                });
            }
        }
    }

    /// Forgets failed attempts at some targets of an app.
    pub(super) fn forget_attempts(&mut self, app: &AppName, which: impl Fn(&Digest) -> bool) {
        let targets: Vec<_> = self
            .attempts
            .keys()
            .filter(|(of, key)| of == app && which(key))
            .cloned()
            .collect();
        for (app, key) in targets {
            self.parts.executor.store.forget_attempt(&app, &key);
            self.attempts.remove(&(app, key));
        }
    }

    /// The failure that stands between an app and what the config repo asks for, else any other of it.
    pub(super) fn attempt_of(&self, app: &AppName) -> Option<&Attempt> {
        let wanted = self
            .desired
            .apps
            .get(app)
            .map(|desired| (app.clone(), desired.target.key()));
        let of_app = || {
            self.attempts
                .iter()
                .find(|((of, _), _)| of == app)
                .map(|(_, attempt)| attempt)
        };
        wanted
            .and_then(|target| self.attempts.get(&target))
            .or_else(of_app)
    }

    /// Remembers in the mirror which commit is fully applied; later tips must descend from it.
    fn record_applied(&self) {
        let done = self.lanes.is_idle() && self.attempts.is_empty() && self.desired.held.is_empty();
        let commit = self
            .tree
            .as_ref()
            .and_then(|tree| tree.commit())
            .filter(|_| done);
        if let Some(Err(error)) = commit.map(|commit| self.parts.repo.record_applied(&commit)) {
            tracing::warn!(%error, "The applied commit could not be recorded.");
        }
    }

    /// Answers those who wait until nothing is under way.
    pub(super) fn notify_waiters(&mut self) {
        if self.is_under_way() || self.waiters.is_empty() {
            return;
        }
        let status = Reply::of(&self.status());
        for waiter in self.waiters.drain(..) {
            // Who no longer waits needs no answer.
            drop(waiter.send(status.clone()));
        }
    }
}

fn rest(attempt: &Attempt) -> Resting {
    Resting {
        message: attempt.message(),
        hints: attempt.failure.hints.clone(),
    }
}
