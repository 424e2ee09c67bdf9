//! The store: history, journal, back-off, pauses and approvals in `state.db`. It remembers, it never decides; what runs is known from stamped
//! files, so that losing the store loses no app.
//!
//! Guarantees: a store that is damaged, older than what it describes or somebody else's is set aside under a dated name, never believed and
//! never destroyed; a newer format is refused and left as it is; after an input/output error nothing is written any more.

mod attempts;
mod date;
mod deaths;
mod error;
mod events;
mod memo;
mod open;
mod origin;
mod pauses;
mod repairs;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hop3_plugin_api::{AppName, Digest, Host, Timestamp};
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};

use crate::plan::Step;
use open::Found;
use origin::{SerialFile, meta, set_meta};

pub use attempts::{Attempt, Moment};
pub use date::date;
pub use deaths::Death;
pub use error::StateError;
pub use events::{Event, EventKind};
pub use origin::Origin;
pub use pauses::Pause;
pub use repairs::Repairs;

/// The schema's version; a newer one is refused.
const SCHEMA_VERSION: i64 = 2;

/// The kernel's number for an input/output error.
const EIO: i32 = 5;

/// How many events are kept.
const EVENTS_KEPT: i64 = 10_000;

/// How a step came out, for the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepEnd<'a> {
    /// It succeeded.
    Done,
    /// It failed, for this reason.
    Failed(&'a str),
    /// A newer change or the agent's end cut it short.
    CutShort,
}

/// The open store.
pub struct Store {
    connection: Mutex<Connection>,
    host: Arc<dyn Host>,
    path: String,
    serial: Option<SerialFile>,
    problem: Mutex<Option<String>>,
    broken: AtomicBool,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.path)
    }
}

impl Store {
    /// Opens or makes the store of a data dir. One that must not be believed is set aside, and a new one begun that says so until a person
    /// resumes.
    pub fn open(path: &Path, host: Arc<dyn Host>, origin: &Origin) -> Result<Self, StateError> {
        let (connection, doubt) = match open::examine(path, origin)? {
            Found::Sound(connection) => (connection, None),
            Found::Nothing => {
                let lost = "the state was lost, and a new one was begun".to_owned();
                (open::begin(path)?, origin.deployed.then_some(lost))
            }
            Found::Unfit(why) => {
                let aside = open::set_aside(path, host.as_ref())?;
                let doubt = format!(
                    "{why}; it lies in `{}`, and a new one was begun",
                    aside.display()
                );
                (open::begin(path)?, Some(doubt))
            }
        };
        let store = Self {
            serial: Some(SerialFile::beside(path)),
            ..Self::with(connection, path.display().to_string(), host)
        };
        store.begin_life(origin, doubt);
        Ok(store)
    }

    /// A store that is gone with the process, for one-shot runs and tests.
    pub fn in_memory(host: Arc<dyn Host>) -> Result<Self, StateError> {
        let connection = open::begin(Path::new(":memory:"))?;
        Ok(Self::with(connection, ":memory:".to_owned(), host))
    }

    fn with(connection: Connection, path: String, host: Arc<dyn Host>) -> Self {
        Self {
            connection: Mutex::new(connection),
            host,
            path,
            serial: None,
            problem: Mutex::default(),
            broken: AtomicBool::new(false),
        }
    }

    /// Notes whose the store is now and what the life before left open.
    fn begin_life(&self, origin: &Origin, doubt: Option<String>) {
        let rebooted = self.meta("boot").as_ref() != Some(&origin.boot);
        self.note_deaths(rebooted);
        if self
            .meta("settings")
            .is_some_and(|it| it != origin.settings)
        {
            // What failed under other settings is tried at once.
            self.forget_attempts();
        }
        self.write("sign", |db| {
            set_meta(db, "agent", env!("CARGO_PKG_VERSION"))?;
            set_meta(db, "install", &origin.install)?;
            set_meta(db, "boot", &origin.boot)?;
            set_meta(db, "settings", &origin.settings)?;
            match &origin.machine {
                Some(machine) => set_meta(db, "machine", machine),
                None => Ok(0),
            }
        });
        if let Some(doubt) = doubt {
            tracing::error!("{doubt}");
            self.write("doubt", |db| set_meta(db, "doubt", &doubt));
            let reason = doubt;
            self.record(None, &EventKind::StateRebuilt { reason });
        }
        self.advance();
    }

    /// Counts on: from here on an older copy of the store is known for what it is.
    pub fn advance(&self) {
        if let Some(serial) = &self.serial {
            self.write("count on in", |db| serial.advance(db));
        }
    }

    /// Why the store is younger than what it describes, until a person resumes: removals and data steps hold.
    pub fn doubt(&self) -> Option<String> {
        self.meta("doubt")
    }

    /// A person has looked: what the store says counts again.
    pub fn end_doubt(&self) {
        let sql = "DELETE FROM meta WHERE name = 'doubt'";
        self.write("trust", |db| db.execute(sql, []));
    }

    fn meta(&self, name: &str) -> Option<String> {
        self.read("read", |db| meta(db, name)).flatten()
    }

    /// What is wrong with the store, if anything: its loss degrades history and back-off, never an app.
    pub fn problem(&self) -> Option<String> {
        self.problem
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether an input/output error has shown that the disk is not to be trusted: then the agent ends, and the next one looks anew.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }

    /// Something else than the store met an input/output error: from now on nothing is written here either.
    pub fn distrust(&self, error: &(dyn std::error::Error + 'static)) {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if error_number(error) == Some(EIO) {
                return self.lose_trust(crate::execute::chain(error));
            }
            cause = error.source();
        }
    }

    /// The same for an error whose causes are words only.
    pub fn distrust_words(&self, words: &str) {
        if words.ends_with(&std::io::Error::from_raw_os_error(EIO).to_string()) {
            self.lose_trust(words.to_owned());
        }
    }

    fn lose_trust(&self, problem: String) {
        tracing::error!("The disk is no longer trusted: {problem}.");
        self.broken.store(true, Ordering::SeqCst);
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
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

    /// Journal: a step on the way to a target is about to have effects.
    pub fn step_started(&self, app: &AppName, step: &Step, target: &Digest) {
        if step.id == 0 {
            // What the change before left behind: it may have had more steps.
            self.write("begin the journal of", |db| {
                db.execute("DELETE FROM journal WHERE app = ?1", [app.as_str()])
            });
        }
        let time = self.now();
        self.write("write the journal of", |db| {
            db.execute(
                "INSERT INTO journal (app, step, action, state, time, target) VALUES (?1, ?2, ?3, 'started', ?4, ?5)
                 ON CONFLICT (app, step) DO UPDATE SET action = ?3, state = 'started', time = ?4, error = NULL, target = ?5",
                params![app.as_str(), step.id, step.action.name(), time, target.as_str()],
            )
        });
    }

    /// Journal: a step ended.
    pub fn step_ended(&self, app: &AppName, step: &Step, end: StepEnd<'_>) {
        let (state, error) = match end {
            StepEnd::Done => ("done", None),
            StepEnd::Failed(error) => ("failed", Some(error)),
            StepEnd::CutShort => ("cut short", None),
        };
        let time = self.now();
        self.write("write the journal of", |db| {
            db.execute(
                "UPDATE journal SET state = ?3, time = ?4, error = ?5 WHERE app = ?1 AND step = ?2",
                params![app.as_str(), step.id, state, time, error],
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

    /// Writes, unless the disk has shown that it is not to be trusted: what an input/output error left may not be written over. Says whether it
    /// was written.
    fn write(
        &self,
        doing: &'static str,
        statement: impl FnOnce(&Connection) -> rusqlite::Result<usize>,
    ) -> bool {
        if self.is_broken() {
            return false;
        }
        let written = statement(&self.lock());
        match &written {
            Ok(_) => *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = None,
            Err(error) => self.fail(doing, error),
        }
        written.is_ok()
    }

    /// Says once what is wrong, not at every further attempt.
    fn fail(&self, doing: &str, error: &rusqlite::Error) {
        if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) {
            self.broken.store(true, Ordering::SeqCst);
        }
        let reason = format!("could not {doing} `{}`: {error}", self.path);
        let mut problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        if problem.is_none() {
            tracing::error!(path = %self.path, %error, "Could not {doing} the state.");
        }
        *problem = Some(reason);
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The kernel's number of an error, where it has one.
fn error_number(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    error.downcast_ref::<std::io::Error>()?.raw_os_error()
}
