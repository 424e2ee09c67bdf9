//! The store: history, journal and back-off in `state.db`. It remembers, it never decides; what runs is known from stamped files, so that
//! losing the store loses no app.

mod attempts;
mod events;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hop3_plugin_api::{AppName, Digest, Host, Timestamp};
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};

use crate::plan::Step;

pub use attempts::{Attempt, Moment};
pub use events::{Event, EventKind};

/// The schema's version; a newer one is refused.
const SCHEMA_VERSION: i64 = 1;

/// How many events are kept.
const EVENTS_KEPT: i64 = 10_000;

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
    /// A damaged one could not be set aside.
    #[error("could not set the damaged state in `{path}` aside")]
    SetAside {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It was written by a newer agent.
    #[error(
        "the state in `{path}` has format {found}; this agent understands up to {SCHEMA_VERSION}"
    )]
    Newer {
        /// The file.
        path: String,
        /// Its format.
        found: i64,
    },
}

/// The open store.
pub struct Store {
    connection: Mutex<Connection>,
    host: Arc<dyn Host>,
    path: String,
    problem: Mutex<Option<String>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.path)
    }
}

impl Store {
    /// Opens or makes the store of a data dir. One that is damaged is set aside, and a new one begun: no app depends on it.
    pub fn open(path: &Path, host: Arc<dyn Host>) -> Result<Self, StateError> {
        match Self::open_sound(path, Arc::clone(&host)) {
            Err(StateError::Database { source, .. }) if is_damage(&source) => {
                let aside = set_aside(path, &host)?;
                let store = Self::open_sound(path, host)?;
                let problem = format!(
                    "the state was damaged; it lies in `{}`, and a new one was begun",
                    aside.display()
                );
                tracing::error!("{problem}");
                *store.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
                Ok(store)
            }
            opened => opened,
        }
    }

    fn open_sound(path: &Path, host: Arc<dyn Host>) -> Result<Self, StateError> {
        let name = path.display().to_string();
        let connection = Connection::open(path).map_err(|source| StateError::Database {
            doing: "open",
            path: name.clone(),
            source,
        })?;
        Self::with(connection, name, host)
    }

    /// A store that is gone with the process, for one-shot runs and tests.
    pub fn in_memory(host: Arc<dyn Host>) -> Result<Self, StateError> {
        let name = ":memory:".to_owned();
        let connection = Connection::open_in_memory().map_err(|source| StateError::Database {
            doing: "open",
            path: name.clone(),
            source,
        })?;
        Self::with(connection, name, host)
    }

    fn with(connection: Connection, path: String, host: Arc<dyn Host>) -> Result<Self, StateError> {
        let fail = |doing| {
            let path = path.clone();
            move |source| StateError::Database {
                doing,
                path,
                source,
            }
        };
        let version: i64 = connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(fail("read"))?;
        if version > SCHEMA_VERSION {
            return Err(StateError::Newer {
                path,
                found: version,
            });
        }
        connection
            .execute_batch(include_str!("schema.sql"))
            .map_err(fail("prepare"))?;
        Ok(Self {
            connection: Mutex::new(connection),
            host,
            path,
            problem: Mutex::new(None),
        })
    }

    /// What is wrong with the store, if anything: its loss degrades history and back-off, never an app.
    pub fn problem(&self) -> Option<String> {
        self.problem
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Remembers an event.
    pub fn record(&self, app: Option<&AppName>, kind: &EventKind) {
        let event = serde_json::to_string(kind).expect("events serialise");
        let time = self.now();
        self.write("record an event in", |db| {
            db.execute(
                "INSERT INTO event (time, app, event) VALUES (?1, ?2, ?3)",
                params![time, app.map(AppName::as_str), event],
            )?;
            db.execute(
                "DELETE FROM event WHERE seq <= (SELECT max(seq) FROM event) - ?1",
                params![EVENTS_KEPT],
            )
        });
    }

    /// The newest events, oldest first.
    pub fn events(&self, app: Option<&AppName>, most: usize) -> Vec<Event> {
        let sql = "SELECT seq, time, app, event FROM event WHERE ?1 IS NULL OR app = ?1 ORDER BY seq DESC LIMIT ?2";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let read = |db: &Connection| -> rusqlite::Result<Vec<Event>> {
            let mut statement = db.prepare_cached(sql)?;
            let rows =
                statement.query_map(params![app.map(AppName::as_str), most], events::from_row)?;
            rows.filter_map(Result::transpose).collect()
        };
        let mut events = self.read("read events of", read).unwrap_or_default();
        events.reverse();
        events
    }

    /// Journal: a step is about to have effects.
    pub fn step_started(&self, app: &AppName, step: &Step) {
        if step.id == 0 {
            // What the change before left behind: it may have had more steps.
            self.write("begin the journal of", |db| {
                db.execute("DELETE FROM journal WHERE app = ?1", [app.as_str()])
            });
        }
        self.journal(app, step, "started", None);
    }

    /// Journal: a step ended.
    pub fn step_ended(&self, app: &AppName, step: &Step, error: Option<&str>) {
        self.journal(
            app,
            step,
            if error.is_some() { "failed" } else { "done" },
            error,
        );
    }

    fn journal(&self, app: &AppName, step: &Step, state: &str, error: Option<&str>) {
        let time = self.now();
        self.write("write the journal of", |db| {
            db.execute(
                "INSERT INTO journal (app, step, action, state, time, error) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (app, step) DO UPDATE SET action = ?3, state = ?4, time = ?5, error = ?6",
                params![app.as_str(), step.id, step.action.name(), state, time, error],
            )
        });
    }

    /// The step of an app that the journal saw last: its action and state.
    pub fn last_step(&self, app: &AppName) -> Option<(String, String)> {
        let sql = "SELECT action, state FROM journal WHERE app = ?1 ORDER BY step DESC LIMIT 1";
        self.read("read the journal of", |db| {
            db.query_row(sql, params![app.as_str()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()
        })?
    }

    /// All failed attempts that no success has ended, by app and target.
    pub fn attempts(&self) -> BTreeMap<(AppName, Digest), Attempt> {
        let read = |db: &Connection| -> rusqlite::Result<Vec<(String, String)>> {
            let mut statement = db.prepare("SELECT app, attempt FROM attempt")?;
            statement
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        };
        let rows = self.read("read the attempts of", read).unwrap_or_default();
        let parse = |(app, attempt): (String, String)| {
            let attempt: Attempt = serde_json::from_str(&attempt).ok()?;
            Some(((AppName::parse(&app).ok()?, attempt.key.clone()), attempt))
        };
        rows.into_iter().filter_map(parse).collect()
    }

    /// Remembers failed attempts at a target of an app.
    pub fn set_attempt(&self, app: &AppName, attempt: &Attempt) {
        let text = serde_json::to_string(attempt).expect("attempts serialise");
        self.write("record an attempt in", |db| {
            db.execute(
                "INSERT INTO attempt (app, target, attempt) VALUES (?1, ?2, ?3)
                 ON CONFLICT (app, target) DO UPDATE SET attempt = ?3",
                params![app.as_str(), attempt.key.as_str(), text],
            )
        });
    }

    /// Forgets failed attempts at a target of an app.
    pub fn forget_attempt(&self, app: &AppName, target: &Digest) {
        self.write("forget an attempt in", |db| {
            db.execute(
                "DELETE FROM attempt WHERE app = ?1 AND target = ?2",
                params![app.as_str(), target.as_str()],
            )
        });
    }

    fn now(&self) -> i64 {
        let Timestamp(seconds) = self.host.now();
        i64::try_from(seconds).unwrap_or(i64::MAX)
    }

    fn read<T>(
        &self,
        doing: &'static str,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Option<T> {
        match query(&self.lock()) {
            Ok(value) => Some(value),
            Err(error) => {
                self.fail(doing, &error);
                None
            }
        }
    }

    fn write(
        &self,
        doing: &'static str,
        statement: impl FnOnce(&Connection) -> rusqlite::Result<usize>,
    ) {
        match statement(&self.lock()) {
            Ok(_) => *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = None,
            Err(error) => self.fail(doing, &error),
        }
    }

    fn fail(&self, doing: &str, error: &rusqlite::Error) {
        tracing::error!(path = %self.path, %error, "Could not {doing} the state.");
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(format!("could not {doing} `{}`: {error}", self.path));
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the file itself is at fault.
fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
    )
}

/// Effect: renames a damaged store out of the way, with its journal.
#[expect(
    clippy::disallowed_methods,
    reason = "the store's files are SQLite's, which knows no seam either"
)]
fn set_aside(path: &Path, host: &Arc<dyn Host>) -> Result<PathBuf, StateError> {
    let Timestamp(now) = host.now();
    let aside = |suffix: &str| PathBuf::from(format!("{}.damaged-{now}{suffix}", path.display()));
    for suffix in ["", "-wal", "-shm"] {
        let from = PathBuf::from(format!("{}{suffix}", path.display()));
        match std::fs::rename(&from, aside(suffix)) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(StateError::SetAside {
                    path: from.display().to_string(),
                    source,
                });
            }
            _ => {}
        }
    }
    Ok(aside(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hop3_plugin_testing::FakeHost;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a damaged file is made by hand")]
    fn f32_a_damaged_store_is_set_aside_and_said_so() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        std::fs::write(&path, vec![b'x'; 8192]).unwrap();
        let store = Store::open(&path, Arc::new(FakeHost::new())).unwrap();
        assert!(store.problem().unwrap().contains("damaged"));
        store.record(None, &EventKind::Resumed);
        assert_eq!(store.events(None, 10).len(), 1);
        let names = std::fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        assert!(
            names
                .into_iter()
                .any(|name| name.to_string_lossy().contains("damaged"))
        );
    }

    #[test]
    fn f30_a_store_of_a_newer_agent_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        let newer = Connection::open(&path).unwrap();
        newer.execute_batch("PRAGMA user_version = 999").unwrap();
        let refused = Store::open(&path, Arc::new(FakeHost::new())).unwrap_err();
        assert!(matches!(refused, StateError::Newer { found: 999, .. }));
    }
}
