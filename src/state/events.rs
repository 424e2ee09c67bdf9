//! What happened, for programs and for `history`. Logs are for people; events are values.

use hop3_plugin_api::{AppName, Digest, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::execute::Failure;
use crate::plan::Class;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(title = "hop3-agent event")]
pub struct Event {
    /// Its number, counted up on this host.
    pub seq: i64,
    /// When.
    pub time: Timestamp,
    /// The app, where it is about one.
    pub app: Option<AppName>,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "event",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
pub enum EventKind {
    /// The agent started.
    Started {
        /// Its version.
        version: String,
    },
    /// A new commit was fetched.
    Fetched {
        /// The commit.
        revision: String,
    },
    /// The config repo could not be reached or read.
    FetchFailed {
        /// Why.
        message: String,
    },
    /// The newest commit does not descend from the accepted one.
    HistoryRewritten {
        /// The accepted commit.
        from: String,
        /// The newest commit of the remote.
        to: String,
        /// Whether it was taken nevertheless.
        taken: bool,
    },
    /// A change was begun.
    ChangeStarted {
        /// Its id.
        change: Digest,
        /// How deep it goes.
        class: Class,
        /// The commit that asks for it.
        revision: Option<String>,
    },
    /// A change was carried out.
    ChangeDone {
        /// Its id.
        change: Digest,
        /// How long it took.
        milliseconds: u64,
    },
    /// A change failed.
    ChangeFailed {
        /// Its id.
        change: Digest,
        /// Why.
        failure: Failure,
    },
    /// A newer change took the place of a running one.
    ChangeCancelled {
        /// Its id.
        change: Digest,
    },
    /// An app was held.
    Held {
        /// Why.
        message: String,
    },
    /// A person pinned an app to a release.
    Pinned {
        /// The release.
        release: u32,
        /// In which words.
        why: String,
    },
    /// A person ended a pin, a pause or a quarantine; without an app: released what a doubt about the state or a mass removal held.
    Resumed,
    /// A person asked that nothing be done to an app for a while.
    Paused {
        /// When that ends by itself.
        until: Timestamp,
        /// In which words.
        why: String,
    },
    /// A pause ran out.
    PauseEnded,
    /// A release did not stay up, and the one before it took over again.
    Returned {
        /// The release that did not stay up.
        from: u32,
        /// The release that serves again.
        to: u32,
        /// What happened.
        why: String,
    },
    /// A repair was undone so often that it is no longer made.
    Flapping {
        /// What is undone.
        what: String,
    },
    /// The agent ended in the middle of a step.
    Interrupted {
        /// The step.
        step: String,
    },
    /// The state was lost or set aside, and a new one begun.
    StateRebuilt {
        /// Why.
        reason: String,
    },
    /// The data dir cannot take any change for now.
    Hampered {
        /// Why.
        reason: String,
    },
    /// It can again.
    Unhampered,
}

/// An event of a row; `None` for one that a newer agent wrote and this one cannot read.
pub(super) fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<Event>> {
    let (seq, time, app, text): (i64, i64, Option<String>, String) =
        (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
    let Ok(kind) = serde_json::from_str(&text) else {
        return Ok(None);
    };
    let app = app.and_then(|app| AppName::parse(&app).ok());
    Ok(Some(Event {
        seq,
        time: Timestamp(u64::try_from(time).unwrap_or(0)),
        app,
        kind,
    }))
}
