//! The plan: what will be done, in which order, and why. A value that is shown, stored, approved and executed, always the same one.
//!
//! Holds no clock, random id, process number, port, absolute path or plaintext. Never has an effect.

mod action;
mod id;
mod make;
mod mend;
mod settled;
mod steps;
mod text;
mod whole;

use hop3_plugin_api::{AppName, Digest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::Position;

pub use action::{Action, ReleaseRef};
pub(crate) use make::removal_key;
pub use make::{AppInput, plan_app, plan_removal};
pub use settled::Settled;
pub use text::render;
pub use whole::{Holds, PlanInput, Resting, destination, plan};

/// The version of the plan's JSON.
pub const FORMAT: u32 = 1;

/// Everything that will be done on one host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(title = "hop3-agent plan")]
pub struct Plan {
    /// The format of this document: 1.
    pub format: u32,
    /// The host that it is for.
    pub host: String,
    /// Identifies what will be done: the digest of the change ids.
    pub id: Digest,
    /// The commit that it leads to.
    pub revision: Option<String>,
    /// One change per app, by name; an app that must wait for others comes after them.
    pub changes: Vec<Change>,
    /// Apps that stay as they are although the config repo or the host asks for something else.
    pub held: Vec<Held>,
    /// Apps that are as they should be.
    pub unchanged: Vec<AppName>,
    /// Mistakes in the config repo that belong to no app: a directory whose name cannot be an app's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// Remarks that need no action.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What happens to one app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Change {
    /// The app.
    pub app: AppName,
    /// Identifies the change: equal ids do the same to the same.
    pub id: Digest,
    /// What it amounts to.
    pub class: Class,
    /// Whether requests may go unanswered meanwhile.
    pub downtime: bool,
    /// The release that it leads to.
    pub key: Digest,
    /// Apps that must be healthy first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<AppName>,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

impl Change {
    /// What it repairs, when it mends what runs already instead of bringing something new.
    pub fn repairs(&self) -> Option<String> {
        match &self.steps.first()?.reason {
            Reason::NotRunning { instances } => Some(format!("{} stopped", instances.join(", "))),
            Reason::Drifted { what } => Some(what.clone()),
            _ => None,
        }
    }

    /// Whether another release takes over.
    pub fn replaces(&self) -> bool {
        let new = |action: &Action| {
            matches!(
                action,
                Action::Build { .. } | Action::ReuseArtifact { .. } | Action::Deploy { .. }
            )
        };
        self.steps.iter().any(|step| new(&step.action))
    }
}

/// An app that is not changed, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Held {
    /// The app.
    pub app: AppName,
    /// What kind of hold it is.
    pub hold: HoldKind,
    /// For people: what is wrong and where.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// The place at fault, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Position>,
}

/// Why an app is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HoldKind {
    /// Its spec is invalid or asks for what this host cannot do.
    Spec,
    /// Another app stands in its way: a name, a host name, a cycle.
    Conflict,
    /// It waits for an app that is not healthy.
    Waiting,
    /// This release failed before; it is tried again later or when a commit changes it.
    Quarantined,
    /// Something of it could not be observed.
    Unknown,
    /// A person pinned it to a release.
    Pinned,
    /// A person paused it for a while.
    Paused,
    /// Policy asks for a person's word first.
    Policy,
    /// It differs from its release, and its spec asks to report that only.
    Drifted,
    /// A repair of it was undone again and again.
    Flapping,
    /// The host can take no change now: its disk is full or read-only.
    Host,
    /// A change of it is under way.
    Busy,
}

impl HoldKind {
    /// Whether the config repo is at fault, and only a commit helps.
    pub fn is_fault(self) -> bool {
        matches!(self, Self::Spec | Self::Conflict)
    }
}

/// How deep a change goes, from nothing to data.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Nothing anyone would notice.
    NoOp,
    /// Requests are routed anew.
    Route,
    /// Something running takes new settings.
    Reload,
    /// Processes are replaced.
    Restart,
    /// A new artifact is built.
    Rebuild,
    /// Data is made, moved or left behind.
    Data,
}

/// One thing that is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Step {
    /// Its position in the change, from 0.
    pub id: u32,
    /// What is done.
    pub action: Action,
    /// Steps that must have succeeded; all of them come earlier.
    pub needs: Vec<u32>,
    /// How deep it goes.
    pub class: Class,
    /// Why.
    pub reason: Reason,
    /// The key of the spec that asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Position>,
    /// The newest commit that touched that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// Why a step is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Reason {
    /// The app is new here.
    Created,
    /// The spec or the source differs from what runs.
    Changed {
        /// What differs.
        fields: Vec<FieldChange>,
    },
    /// It should run and does not.
    NotRunning {
        /// Which instances.
        instances: Vec<String>,
    },
    /// The app is no longer in the config repo, or no longer for this host.
    Removed,
    /// A person asked for it.
    Requested {
        /// In which words.
        why: String,
    },
    /// Something on the host is not as it was left.
    Drifted {
        /// What.
        what: String,
    },
    /// It is left over from a change that did not finish.
    LeftOver,
    /// It follows from an earlier step.
    Follows,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldChange {
    /// The field: `source`, `env.GREETING`, `workers.web`.
    pub field: String,
    /// What it was; absent when it is new or must not be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it will be; absent when it is gone or must not be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

impl Plan {
    /// A plan of these parts, ordered and with its id.
    pub fn assemble(host: &str, revision: Option<String>, parts: Parts) -> Self {
        let Parts {
            mut changes,
            mut held,
            mut unchanged,
            mut errors,
            mut notes,
        } = parts;
        changes.sort_by(|a, b| a.app.cmp(&b.app));
        held.sort_by(|a, b| a.app.cmp(&b.app).then_with(|| a.message.cmp(&b.message)));
        unchanged.sort();
        errors.sort();
        notes.sort();
        Self {
            format: FORMAT,
            host: host.to_owned(),
            id: id::plan_id(&changes),
            revision,
            changes,
            held,
            unchanged,
            errors,
            notes,
        }
    }

    /// Whether nothing would be done.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl Parts {
    /// Adds another plan's parts.
    fn add(&mut self, other: Self) {
        self.changes.extend(other.changes);
        self.held.extend(other.held);
        self.unchanged.extend(other.unchanged);
        self.errors.extend(other.errors);
        self.notes.extend(other.notes);
    }
}

/// What a plan is assembled from, in any order.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    /// Changes.
    pub changes: Vec<Change>,
    /// Held apps.
    pub held: Vec<Held>,
    /// Apps that need nothing.
    pub unchanged: Vec<AppName>,
    /// Mistakes that belong to no app.
    pub errors: Vec<String>,
    /// Remarks.
    pub notes: Vec<String>,
}
