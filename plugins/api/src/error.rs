//! What can go wrong in a plugin, told to the person who must act.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{HostError, NameError, SourceError};

/// A refusal in words: what is wrong and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Abort {
    /// Lower-case sentence without a period.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Abort {
    /// A refusal without a hint.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Whose failure it is: it decides between back-off and quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The app's own: its build exits, its gate stays red, it crashes. Trying again without a change is pointless.
    App,
    /// The host's or the network's: trying again later may well succeed.
    Infrastructure,
}

/// When to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Not before something changes.
    Never,
    /// Later, with growing pauses.
    Backoff,
}

/// Everything a plugin's effect can fail with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// A setting of the operator or of the spec does not work here.
    #[error("{message}")]
    Config {
        /// What is wrong with it.
        message: String,
        /// What would be right.
        hint: Option<String>,
    },
    /// A program ended without success.
    #[error("`{command}` {status}")]
    Command {
        /// The program and its arguments, shortened, never with a secret.
        command: String,
        /// How it ended.
        status: String,
        /// The last lines it wrote.
        tail: String,
    },
    /// A build of the app failed, and the plugin can say where and what to do.
    #[error("{message}")]
    Build {
        /// File, line and step, and what the step said of it.
        message: String,
        /// What to do about it.
        hint: String,
        /// The last lines of the failing step.
        tail: String,
    },
    /// The plugin refuses, in words for people.
    #[error(transparent)]
    Abort(#[from] Abort),
    /// The host lacks something that its operator can give, so it is worth trying again: a program that is not installed.
    #[error("{message}")]
    Lacking {
        /// What is missing, and who needs it.
        message: String,
        /// How the host gets it.
        hint: String,
    },
    /// The machine failed.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The source could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Anything else.
    #[error("{message}")]
    Other {
        /// What was being done.
        message: String,
        /// Why it failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl PluginError {
    /// Whose failure this is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Config { .. } | Self::Command { .. } | Self::Build { .. } | Self::Abort(_) => {
                Fault::App
            }
            Self::Host(_) | Self::Source(_) | Self::Lacking { .. } | Self::Other { .. } => {
                Fault::Infrastructure
            }
        }
    }

    /// When to try again.
    pub fn retry(&self) -> Retry {
        match self.fault() {
            Fault::App => Retry::Never,
            Fault::Infrastructure => Retry::Backoff,
        }
    }

    /// What to do about it, and the last words of the program that failed.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Config { hint, .. } => hint.iter().cloned().collect(),
            Self::Abort(abort) => abort.hint.iter().cloned().collect(),
            Self::Lacking { hint, .. } | Self::Build { hint, .. } => vec![hint.clone()],
            Self::Host(error) => error.hint().into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// An error with its cause, for what has no variant of its own.
    pub fn other(
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Other {
            message: message.into(),
            source: source.into(),
        }
    }
}

impl From<NameError> for PluginError {
    fn from(error: NameError) -> Self {
        Self::Config {
            message: error.to_string(),
            hint: None,
        }
    }
}

/// Whether a plugin takes an app, and if not, why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It takes the app.
    Accept,
    /// It does not; the reason is shown when nothing else takes the app either.
    Reject(String),
}

impl Verdict {
    /// Accepts when the condition holds, else rejects with the reason.
    pub fn when(condition: bool, reason: impl Into<String>) -> Self {
        if condition {
            Self::Accept
        } else {
            Self::Reject(reason.into())
        }
    }

    /// Whether this is an acceptance.
    pub fn accepts(&self) -> bool {
        matches!(self, Self::Accept)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accepts"),
            Self::Reject(reason) => write!(f, "rejects: {reason}"),
        }
    }
}
