//! The `sqlite` addon: a database file in the app's data directory, backed up by SQLite's own online backup.
//!
//! The engine never runs in the agent: a database file is the app's to write, so whatever reads it does so in a helper process
//! (`internal-sqlite`) that may touch nothing but this app's data and its backups.

mod addon;
mod backup;
mod engine;
mod helper;
mod settings;
mod stamp;

use std::sync::Arc;

use hop3_plugin_api::{Addon, Entrypoint, Plugin, SectionDescriptor};

pub use addon::SqliteAddon;
pub use helper::answer;
pub use settings::{JournalMode, SqliteSettings};

/// The type in `[[addons]]`.
const NAME: &str = "sqlite";

/// The plugin.
#[derive(Debug, Clone, Copy, Default)]
pub struct SqlitePlugin;

impl Plugin for SqlitePlugin {
    fn name(&self) -> &'static str {
        NAME
    }

    fn description(&self) -> &'static str {
        "gives apps a database file, without any server"
    }

    fn sections(&self) -> Vec<SectionDescriptor> {
        vec![SectionDescriptor::of::<SqliteSettings>()]
    }

    fn addons(&self) -> Vec<Arc<dyn Addon>> {
        vec![Arc::new(SqliteAddon)]
    }

    fn entrypoints(&self) -> Vec<Entrypoint> {
        vec![helper::ENTRYPOINT]
    }
}
