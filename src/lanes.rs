//! One lane per app: at most one change of an app is under way. A newer one does not queue behind it; it cancels it, and the loop plans
//! again when the lane is free.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hop3_plugin_api::{AppName, Digest, HostError};
use tokio::time::Instant;

use crate::contain::contained_async;
use crate::execute::{Cancel, Canceller, Executor, Failure, Job, Outcome, cancellation};
use crate::observe::{Scanner, Sight};

/// A change that ended.
#[derive(Debug)]
pub struct Finished {
    /// The app.
    pub app: AppName,
    /// The change.
    pub change: Digest,
    /// What it tried: [`Job::trial`].
    pub trial: Digest,
    /// Whether it interrupts service.
    pub downtime: bool,
    /// Whether it only mends what runs already.
    pub repair: bool,
    /// What became of it.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
    /// The app as it is now; `None` when nothing of it is left, an error when it could not be looked at.
    pub observed: Result<Option<Sight>, HostError>,
}

/// A change under way.
#[derive(Debug)]
struct Busy {
    trial: Digest,
    canceller: Canceller,
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
        let trial = job.trial();
        self.busy.insert(app, Busy { trial, canceller });
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
    pub fn supersede(&self, app: &AppName, wanted: &Digest) {
        if let Some(busy) = self.busy.get(app).filter(|busy| busy.trial != *wanted) {
            busy.canceller.give_way();
        }
    }

    /// Asks for the end of an app's change, if one is under way that has not switched yet.
    pub fn give_way(&self, app: &AppName) {
        if let Some(busy) = self.busy.get(app) {
            busy.canceller.give_way();
        }
    }

    /// Asks for the end of every change that has not switched yet, because the agent ends.
    pub fn leave(&self) {
        for busy in self.busy.values() {
            busy.canceller.leave();
        }
    }
}

/// Carries out a change and looks at what it left, so that the loop itself never waits for either. Whatever goes wrong with it, it ends.
async fn carry_out(executor: &Executor, job: Job, cancel: Cancel) -> Finished {
    let started = Instant::now();
    let (change, app, trial) = (&job.change, job.change.app.clone(), job.trial());
    let (repair, downtime) = (change.repairs().is_some(), change.downtime);
    let change = change.id.clone();
    let outcome = contained_async(executor.run(job, cancel))
        .await
        .unwrap_or_else(|words| Outcome::Failed(Failure::of_panic(&app, &words)));
    let took = started.elapsed();
    Finished {
        observed: look(executor, &app).await,
        app,
        change,
        trial,
        downtime,
        repair,
        outcome,
        took,
    }
}

async fn look(executor: &Executor, app: &AppName) -> Result<Option<Sight>, HostError> {
    let machine = &executor.machine;
    let seen = contained_async(Scanner { machine }.one(app)).await;
    seen.unwrap_or_else(|words| {
        Err(HostError::Refused {
            doing: "look at the app".to_owned(),
            reason: format!("a mistake in the agent or in a plugin cut it off: {words}"),
        })
    })
}
