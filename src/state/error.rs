//! Why the store cannot be used.

use super::SCHEMA_VERSION;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The database failed.
    #[error("could not {doing} the state in `{path}`")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: String,
        /// Why.
        source: rusqlite::Error,
    },
    /// One that must not be used could not be set aside.
    #[error("could not set the state in `{path}` aside")]
    SetAside {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It was written by a newer agent.
    #[error(
        "the state in `{path}` was written by hop3-agent {writer} in format {found}; this is hop3-agent {}, which understands formats up to {SCHEMA_VERSION}",
        env!("CARGO_PKG_VERSION")
    )]
    Newer {
        /// The file.
        path: String,
        /// Who wrote it.
        writer: String,
        /// Its format.
        found: i64,
    },
}

impl StateError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Newer { path, .. } => Some(format!(
                "start the newer version again; or move `{path}` away: apps and their data stay, history is lost"
            )),
            Self::Database { .. } | Self::SetAside { .. } => None,
        }
    }
}
