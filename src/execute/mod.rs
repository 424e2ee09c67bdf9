//! The only stage with effects: carries out one app's change, step by step, and says what became of it.
//!
//! Never adds, drops or reorders steps. What a step finds different from what the plan was made on, it reports as a failure, and the loop
//! plans again. A failure before the switch leaves the old release as it was.

mod cancel;
mod env;
mod once;
mod retain;
mod route;
mod run;
mod sites;
pub(crate) mod stamps;
mod steps;

use std::fmt::Write as _;
use std::sync::Arc;

use hop3_plugin_api::{AppName, Digest, Fault, PluginError, SourceTree};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, Semaphore};

use crate::machine::Machine;
use crate::plan::{Change, removal_key};
use crate::release::FixedTarget;
use crate::state::Store;

pub use cancel::{Cancel, Canceller, cancellation};
pub(crate) use retain::kept;
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
    /// Held by who installs packages: one at a time.
    pub packages: Arc<Mutex<()>>,
}

/// One app's change with what it is carried out from.
pub struct Job {
    /// The change.
    pub change: Change,
    /// What the app should be; `None` when it is being removed.
    pub target: Option<FixedTarget>,
    /// Its pinned source, or why it cannot be read: the change then fails before it does anything.
    pub source: Result<Arc<dyn SourceTree>, String>,
    /// The commit that asks for it.
    pub revision: Option<String>,
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
    /// A change that a mistake in the agent itself cut off. Trying it again as it is leads there again.
    pub(crate) fn of_panic(app: &AppName, what: &str) -> Self {
        Self {
            app: app.clone(),
            step: "agent".to_owned(),
            fault: Fault::App,
            message: format!("a mistake in the agent or in a plugin cut it off: {what}"),
            hints: vec!["the agent's log has the place; please report it".to_owned()],
            output: String::new(),
        }
    }

    fn new(app: &AppName, step: &str, error: &PluginError) -> Self {
        let output = match error {
            PluginError::Command { tail, .. } | PluginError::Build { tail, .. } => {
                tail.trim_end().to_owned()
            }
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

impl Job {
    /// What the change tries: [`FixedTarget::trial`], or that of a removal.
    pub fn trial(&self) -> Digest {
        let target = self.target.as_ref();
        target.map_or_else(removal_key, |target| target.trial().clone())
    }
}

impl Executor {
    /// Effect: carries out a change.
    pub async fn run(&self, job: Job, cancel: Cancel) -> Outcome {
        Box::pin(run::Run::new(self, job).carry_out(cancel)).await
    }
}
