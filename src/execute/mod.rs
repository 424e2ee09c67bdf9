//! The only stage with effects: carries out one app's change, step by step, and says what became of it.
//!
//! Never adds, drops or reorders steps. What a step finds different from what the plan was made on, it reports as a failure, and the loop
//! plans again. A failure before the switch leaves the old release as it was.

mod env;
mod once;
mod retain;
mod run;
mod sites;
pub(crate) mod stamps;
mod steps;

use std::fmt::Write as _;
use std::sync::Arc;

use hop3_plugin_api::{AppName, Fault, PluginError, SourceTree};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};

use crate::machine::Machine;
use crate::plan::Change;
use crate::release::Target;
use crate::state::Store;

pub use sites::Sites;

/// Everything that all runs share.
#[derive(Clone)]
pub struct Executor {
    /// The machine.
    pub machine: Arc<Machine>,
    /// What each proxy was given.
    pub sites: Arc<Sites>,
    /// History and journal.
    pub store: Arc<Store>,
    /// Limits how many builds run at once.
    pub builds: Arc<Semaphore>,
}

/// One app's change with what it is carried out from.
pub struct Job {
    /// The change.
    pub change: Change,
    /// What the app should be; `None` when it is being removed.
    pub target: Option<Target>,
    /// Its pinned source, or why it cannot be read: the change then fails before it does anything.
    pub source: Result<Arc<dyn SourceTree>, String>,
    /// The commit that asks for it.
    pub revision: Option<String>,
}

/// Ends a run up to its switch step.
#[derive(Debug, Clone)]
pub struct Cancel(watch::Receiver<bool>);

/// The other end of [`Cancel`].
#[derive(Debug)]
pub struct Canceller(watch::Sender<bool>);

/// A canceller and what it cancels.
pub fn cancellation() -> (Canceller, Cancel) {
    let (sender, receiver) = watch::channel(false);
    (Canceller(sender), Cancel(receiver))
}

impl Canceller {
    /// Asks for the end.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }
}

impl Cancel {
    /// Waits until the end is asked for; for ever when it never is.
    async fn asked(&mut self) {
        if self.0.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every step succeeded.
    Done,
    /// A step failed; the ones after it were not tried.
    Failed(Failure),
    /// A newer change took its place.
    Cancelled,
}

/// Why a run failed, for the person who must act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Failure {
    /// The app.
    pub app: AppName,
    /// What was being done: `build`, `gate`, ….
    pub step: String,
    /// Whose failure it is.
    pub fault: Fault,
    /// What went wrong, with its causes.
    pub message: String,
    /// What to do about it.
    #[serde(default)]
    pub hints: Vec<String>,
    /// The last lines of the program that failed.
    #[serde(default)]
    pub output: String,
}

impl Failure {
    fn new(app: &AppName, step: &str, error: &PluginError) -> Self {
        let output = match error {
            PluginError::Command { tail, .. } => tail.trim_end().to_owned(),
            _ => String::new(),
        };
        Self {
            app: app.clone(),
            step: step.to_owned(),
            fault: error.fault(),
            message: chain(error),
            hints: error.hints(),
            output,
        }
    }
}

/// Bytes as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
            text
        })
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

impl Executor {
    /// Effect: carries out a change.
    pub async fn run(&self, job: Job, cancel: Cancel) -> Outcome {
        Box::pin(run::Run::new(self, job).carry_out(cancel)).await
    }
}
