//! The agent's state for people and programs: values with a schema. Shows no secret; changes nothing.

use hop3_plugin_api::{AppName, InstanceStatus, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::execute::Failure;
use crate::plan::HoldKind;

/// The version of the status document.
pub const FORMAT: u32 = 1;

/// The state of everything on one host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(title = "hop3-agent status")]
pub struct Status {
    /// The format of this document: 1.
    pub format: u32,
    /// The host.
    pub host: String,
    /// The agent's version.
    pub version: String,
    /// The commit that the host is brought to.
    pub revision: Option<String>,
    /// The config repo.
    pub repo: RepoStatus,
    /// Why nothing is changed at all, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub everything_held: Option<String>,
    /// What is wrong with the agent's own memory, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_problem: Option<String>,
    /// Why the host can take no change now, if so: its disk is full or read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_problem: Option<String>,
    /// Mistakes in the config repo that belong to no app: a directory whose name cannot be an app's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// Every app, by name.
    pub apps: Vec<AppStatus>,
}

/// How the agent stands with its config repo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct RepoStatus {
    /// Its address without credentials.
    pub url: String,
    /// When it answered last.
    pub last_contact: Option<Timestamp>,
    /// `ok`, `unknown` before the first answer, or what is wrong in one word: `unreachable`, `unauthorized`, `host-key-changed`, `non-fast-forward` and so on.
    #[serde(default)]
    pub state: String,
    /// Why it could not be read, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The mirror that answered last, if the address itself did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<MirrorStatus>,
}

/// A mirror that stands in for the config repo's own address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct MirrorStatus {
    /// Its address.
    pub url: String,
    /// What is wrong with the config repo's own address.
    pub because: String,
}

/// The state of one app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AppStatus {
    /// Its name.
    pub app: AppName,
    /// In one word.
    pub state: AppState,
    /// Its current release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<u32>,
    /// The commit that asked for that release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Where it answers.
    pub urls: Vec<String>,
    /// Its processes.
    pub instances: Vec<InstanceStatus>,
    /// What is being done, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Why it is held, if so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<HoldStatus>,
    /// A person's pause, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<PauseStatus>,
    /// The last failure since the last success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// Why an app is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct HoldStatus {
    /// The kind of hold.
    pub hold: HoldKind,
    /// For people.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

/// A person's pause of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PauseStatus {
    /// When it ends by itself.
    pub until: Timestamp,
    /// In which words.
    pub why: String,
}

/// An app's state in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AppState {
    /// It runs what the config repo asks for.
    Running,
    /// A change is under way.
    Changing,
    /// It runs an older release than asked for, and something holds the newer one.
    Held,
    /// The last change failed; the release before it, if any, goes on.
    Failing,
    /// Nothing of it runs.
    Down,
    /// It cannot be told.
    Unknown,
}

impl AppState {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Changing => "changing",
            Self::Held => "held",
            Self::Failing => "failing",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }
}
