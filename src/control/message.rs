//! What the loop is told, and what it answers over the control socket.

use hop3_plugin_api::AppName;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::oneshot;

use super::look::Seen;
use super::packages::Listed;
use crate::lanes::Finished;
use crate::repo::Look;

/// One trigger.
#[derive(Debug)]
pub enum Message {
    /// A forge said that something changed. It has no content.
    Hook,
    /// The config repo was looked at.
    Looked(Box<Look>),
    /// The machine was looked at.
    Observed(Box<Seen>),
    /// It was looked which packages are installed.
    Packages(Box<Listed>),
    /// A supervisor says that something about an app changed.
    Nudged(AppName),
    /// A change ended.
    Finished(Box<Finished>),
    /// A person or program asks.
    Asked(Request, oneshot::Sender<Reply>),
    /// The agent is to end; apps stay as they are.
    Stop,
}

/// A question or order over the control socket, one JSON line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Request {
    /// The state of everything.
    Status,
    /// What would be done now.
    Plan,
    /// Look at the config repo now.
    Sync {
        /// Answer only when nothing is under way any more.
        wait: bool,
    },
    /// Why an app is as it is.
    Why {
        /// The app.
        app: AppName,
    },
    /// What happened.
    History {
        /// Only of this app.
        app: Option<AppName>,
        /// The newest so many.
        most: usize,
    },
    /// Pin an app to an earlier release.
    Rollback {
        /// The app.
        app: AppName,
        /// The release; the one before the current one when absent.
        to: Option<u32>,
    },
    /// Do nothing to an app for a while.
    Pause {
        /// The app.
        app: AppName,
        /// For how long.
        seconds: u64,
        /// In which words.
        why: String,
    },
    /// End a pin, a pause or a rest of an app; without an app, what is held for the whole host.
    Resume {
        /// The app.
        app: Option<AppName>,
    },
}

/// The answer to a request, one JSON line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// It was done; what was asked for.
    Done(Value),
    /// It was refused.
    Refused {
        /// Why.
        message: String,
        /// What to do about it.
        hints: Vec<String>,
    },
}

impl Reply {
    /// A value as an answer.
    pub fn of<T: Serialize>(value: &T) -> Self {
        Self::Done(serde_json::to_value(value).expect("answers serialise"))
    }

    /// A refusal.
    pub fn refused(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused {
            message: message.into(),
            hints: vec![hint.into()],
        }
    }
}
