//! One lane per app: at most one change of an app is under way. A newer one does not queue behind it; it cancels it, and the loop plans
//! again when the lane is free.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hop3_plugin_api::{AppName, Digest, HostError};
use tokio::time::Instant;

use crate::execute::{Cancel, Canceller, Executor, Job, Outcome, cancellation};
use crate::observe::{ObservedApp, Scanner};

/// A change that ended.
#[derive(Debug)]
pub struct Finished {
    /// The app.
    pub app: AppName,
    /// The change.
    pub change: Digest,
    /// The target that it led to.
    pub key: Digest,
    /// Whether it interrupts service.
    pub downtime: bool,
    /// What became of it.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
    /// The app as it is now; `None` when nothing of it is left, an error when it could not be looked at.
    pub observed: Result<Option<ObservedApp>, HostError>,
}

/// A change under way.
#[derive(Debug)]
struct Busy {
    key: Digest,
    canceller: Canceller,
    cancelled: bool,
}

/// All lanes.
#[derive(Debug, Default)]
pub struct Lanes {
    busy: BTreeMap<AppName, Busy>,
}

impl Lanes {
    /// Starts a change; `done` receives its end. The app's lane must be free.
    pub fn start(
        &mut self,
        executor: &Executor,
        job: Job,
        done: impl FnOnce(Finished) + Send + 'static,
    ) {
        let app = job.change.app.clone();
        let (canceller, cancel) = cancellation();
        self.busy.insert(
            app,
            Busy {
                key: job.change.key.clone(),
                canceller,
                cancelled: false,
            },
        );
        let executor = executor.clone();
        tokio::spawn(async move { done(Box::pin(carry_out(&executor, job, cancel)).await) });
    }

    /// Frees the lane of a change that ended.
    pub fn end(&mut self, app: &AppName) {
        self.busy.remove(app);
    }

    /// Apps with a change under way.
    pub fn busy(&self) -> BTreeSet<AppName> {
        self.busy.keys().cloned().collect()
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.busy.is_empty()
    }

    /// Asks for the end of a change that leads to something else than what is wanted now.
    pub fn supersede(&mut self, app: &AppName, wanted: &Digest) {
        let Some(busy) = self.busy.get_mut(app) else {
            return;
        };
        if !busy.cancelled && *wanted != busy.key {
            busy.cancelled = true;
            busy.canceller.cancel();
        }
    }

    /// Asks for the end of every change that has not switched yet.
    pub fn cancel_all(&mut self) {
        for busy in self.busy.values_mut() {
            busy.cancelled = true;
            busy.canceller.cancel();
        }
    }
}

/// Carries out a change and looks at what it left, so that the loop itself never waits for either.
async fn carry_out(executor: &Executor, job: Job, cancel: Cancel) -> Finished {
    let started = Instant::now();
    let (app, change, key) = (
        job.change.app.clone(),
        job.change.id.clone(),
        job.change.key.clone(),
    );
    let downtime = job.change.downtime;
    let outcome = executor.run(job, cancel).await;
    let took = started.elapsed();
    let observed = Scanner {
        machine: &executor.machine,
    }
    .one(&app)
    .await;
    Finished {
        app,
        change,
        key,
        downtime,
        outcome,
        took,
        observed,
    }
}
