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
    /// A person ended a pin or a quarantine.
    Resumed,
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
