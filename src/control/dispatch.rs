//! From the plan to the lanes, and from a lane's end back to what is known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hop3_plugin_api::{AppName, Digest, PlanContext, SourceTree};
use tokio::time::Instant;

use super::attempts::Now;
use super::{Control, Message, Reply, fallback};
use crate::desired::ConfigTree as _;
use crate::execute::{Job, Outcome};
use crate::gate::{Facts, gate, spared};
use crate::lanes::Finished;
use crate::machine::NoSource;
use crate::observe::ObservedApp;
use crate::plan::{Change, Held, HoldKind, Holds, Plan, PlanInput, destination, plan};
use crate::release::{FixedTarget, Target};
use crate::state::{Attempt, EventKind, Moment};

/// The most changes whose ends are taken in before the loop plans again: somebody may be asking something.
const CROWD: usize = 256;

impl Control {
    /// Plans what can be done now and starts it. Cancels changes that lead elsewhere than what is wanted.
    pub(super) fn reconcile(&mut self) {
        if !self.look.done_once {
            return;
        }
        let began = Instant::now();
        self.look_for_room();
        let busy = self.lanes.busy();
        let wanted: Vec<_> = self.planned(|input| {
            let destinations = busy.iter().map(|app| (app, destination(input, app)));
            destinations.collect()
        });
        for (app, wanted) in wanted {
            if let Some(wanted) = wanted {
                self.lanes.supersede(app, &wanted);
            }
        }
        let plan = self.plan();
        let microseconds = began.elapsed().as_micros();
        tracing::debug!(microseconds, changes = plan.changes.len(), "Planned.");
        self.settled
            .remember(&plan.unchanged, (&self.desired, &self.observed));
        for app in &plan.unchanged {
            // Whatever failed on the way, the app has arrived.
            self.forget_failures(app, |_| true);
        }
        for change in plan.changes {
            if self.may_repair(&change) {
                self.dispatch(change);
            }
        }
        self.set_wake();
    }

    /// Whether a change is no repair that was made too often of late.
    fn may_repair(&mut self, change: &Change) -> bool {
        let (Some(what), Some(target)) = (change.repairs(), self.target_of(change)) else {
            return true;
        };
        let app = &change.app;
        let store = Arc::clone(&self.parts.executor.store);
        let repair = (app.clone(), change.id.clone());
        let now = Instant::now();
        let flapping = self
            .repairs
            .is_too_many(repair, (target.trial(), now), &store);
        if flapping {
            tracing::error!(%app, "Its repair is undone each time and no longer made: {what}.");
            store.record(Some(app), &EventKind::Flapping { what });
        }
        !flapping
    }

    /// What would be done now.
    pub fn plan(&self) -> Plan {
        gate(self.planned(plan), &self.facts())
    }

    /// Something computed from all that a plan is computed from.
    fn planned<T>(&self, compute: impl FnOnce(&PlanInput<'_>) -> T) -> T {
        let machine = &self.parts.executor.machine;
        let overlaps = |target: &Target| self.overlaps(target);
        let holds = self.holds();
        compute(&PlanInput {
            host: &self.parts.host,
            data_dir: &machine.dirs.data,
            desired: &self.desired,
            observed: &self.observed,
            busy: &self.lanes.busy(),
            holds: &holds,
            settled: &self.settled,
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

    /// What people, policy and the past hold.
    fn holds(&self) -> Holds {
        let doubt = self.doubt.as_deref();
        Holds {
            resting: self.attempts.resting(Instant::now()),
            paused: self.pauses.words(),
            spared: spared(&self.desired, &self.observed, (&self.approved, doubt)),
            scarce: self.room.is_scarce(),
            crashing: self.crashing(),
        }
    }

    /// Apps whose new release does not stay up and cannot give way to the one before.
    fn crashing(&self) -> BTreeMap<AppName, Held> {
        let now = self.now();
        let hold = |(app, observed): (&AppName, &Arc<ObservedApp>)| {
            let crashing = fallback::crashing(observed, now)?;
            let why_not = crashing.back_to.err()?;
            let hint =
                format!("`hop3-agent rollback {app}` goes back all the same, a commit goes on");
            Some(Held {
                app: app.clone(),
                hold: HoldKind::Quarantined,
                message: format!("{}, and there is no way back: {why_not}", crashing.what),
                hints: vec![hint],
                at: None,
            })
        };
        let held = self.observed.iter().filter_map(hold);
        held.map(|held| (held.app.clone(), held)).collect()
    }

    fn facts(&self) -> Facts {
        // Most apps wait for none, so few need to be looked at.
        let apps = self.desired.apps.values();
        let awaited: BTreeSet<&AppName> = apps.flat_map(|app| &app.target.deploy.after).collect();
        let healthy = awaited.into_iter().filter(|app| self.is_healthy(app));
        Facts {
            healthy: healthy.cloned().collect(),
            flapping: self.repairs.flapping(),
            doubt: self.doubt.clone(),
            room: self.room.clone(),
            packages: self.packages.facts(),
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
            .filter(|target| !pinned(target.key()))
            .unwrap_or(&current.target);
        *target.key() == current.key
            && observed
                .missing(current.id.number, &target.counts)
                .is_empty()
    }

    fn dispatch(&mut self, change: Change) {
        let app = change.app.clone();
        let job = self.job(change);
        self.store().advance();
        tracing::info!(%app, change = job.change.id.short(), class = %job.change.class, "The change begins.");
        self.store().record(
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
    fn target_of(&self, change: &Change) -> Option<FixedTarget> {
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
            .filter(|target| *target.key() == change.key)
            .or(recorded)
            .cloned()
    }

    /// Takes in what became of a change, and plans on. Where many apps change at once, their changes end in crowds: what follows is worked out once
    /// for all that have ended by now. Gives the message behind them.
    pub(super) async fn finished(&mut self, first: Finished) -> Option<Message> {
        let mut other = None;
        let mut done = self.end(first);
        for _ in 0..CROWD {
            match self.inbox.try_recv() {
                Ok(Message::Finished(finished)) => done |= self.end(*finished),
                Ok(message) => {
                    other = Some(message);
                    break;
                }
                Err(_) => break,
            }
        }
        self.forget_superseded();
        self.disapprove(|control, app| !control.observed.contains_key(app));
        if done {
            self.record_applied();
        }
        self.give_up_on_crashing().await;
        self.reconcile();
        other
    }

    /// Takes in what became of one change; says whether it was carried out.
    fn end(&mut self, mut finished: Finished) -> bool {
        let app = finished.app.clone();
        self.lanes.end(&app);
        *self.epochs.entry(app.clone()).or_default() += 1;
        self.learn(&finished);
        match std::mem::replace(&mut finished.observed, Ok(None)) {
            Ok(Some(sight)) => {
                self.listens = sight.listens;
                let mut observed = sight.app;
                if let Some(desired) = self.desired.apps.get(&app) {
                    observed.share(&desired.target);
                }
                self.observed.insert(app, Arc::new(observed));
            }
            Ok(None) => drop(self.observed.remove(&app)),
            Err(error) => {
                tracing::error!(%app, %error, "The app could not be observed.");
                let unreadable = ObservedApp::unreadable(&error);
                self.observed.insert(app, Arc::new(unreadable));
            }
        }
        matches!(finished.outcome, Outcome::Done)
    }

    fn learn(&mut self, finished: &Finished) {
        let Finished {
            app,
            change,
            trial,
            outcome,
            took,
            repair,
            ..
        } = finished;
        let (change, milliseconds) = (
            change.clone(),
            u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        );
        let kind = match outcome {
            Outcome::Done => {
                tracing::info!(%app, milliseconds, "The change is done.");
                if *repair {
                    let repair = (app.clone(), change.clone());
                    self.repairs.note(repair, Instant::now());
                }
                self.forget_failures(app, |tried| tried == trial);
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
                let before = self.attempts.get(app, trial);
                let attempt = Attempt::after(before, trial.clone(), failure.clone(), moment);
                let store = Arc::clone(&self.parts.executor.store);
                let now = Now::at(moment.now);
                self.attempts.note(app, attempt, (now, &store));
                EventKind::ChangeFailed {
                    change,
                    failure: failure.clone(),
                }
            }
        };
        self.store().survived(app);
        self.store().record(Some(app), &kind);
    }

    /// The failure that stands between an app and what the config repo asks for, else any other of it.
    pub(super) fn attempt_of(&self, app: &AppName) -> Option<&Attempt> {
        let wanted = self.desired.apps.get(app);
        wanted
            .and_then(|desired| self.attempts.get(app, desired.target.trial()))
            .or_else(|| self.attempts.of(app).next())
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
