//! What an entry of `[[addons]]` with `type = "sqlite"` may say.

use hop3_plugin_api::schemars::{self, JsonSchema};
use hop3_plugin_api::serde_json::{self, Value};
use hop3_plugin_api::{Section, Slot};
use serde::{Deserialize, Serialize};

/// Settings of one database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(crate = "schemars", rename = "sqlite.Settings")]
pub struct SqliteSettings {
    /// How the database keeps its journal when it is created: `wal` (readers and a writer at the same time) or `delete` (one file).
    pub journal_mode: JournalMode,
}

/// How a database keeps its journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(crate = "schemars", rename = "sqlite.JournalMode", inline)]
pub enum JournalMode {
    /// Write-ahead log.
    #[default]
    Wal,
    /// Rollback journal.
    Delete,
}

impl Section for SqliteSettings {
    const SLOT: Slot = Slot::Addon;
    const NAME: &'static str = crate::NAME;
}

impl SqliteSettings {
    /// Reads the keys that this type knows. Addon entries are open: any other key is the spec's business, not an error here.
    pub(crate) fn of(settings: &Value) -> Result<Self, String> {
        let mode = settings.get("journal-mode").cloned();
        let journal_mode = mode.map_or_else(|| Ok(JournalMode::default()), serde_json::from_value);
        let journal_mode = journal_mode.map_err(|e| format!("`journal-mode`: {e}"))?;
        Ok(Self { journal_mode })
    }
}

impl JournalMode {
    /// The mode in SQLite's words.
    pub(crate) fn pragma(self) -> &'static str {
        match self {
            Self::Wal => "WAL",
            Self::Delete => "DELETE",
        }
    }
}
