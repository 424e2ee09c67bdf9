//! Opening a store: brought on from an older format, refused in a newer one, set aside when it is not to be believed.

use std::path::{Path, PathBuf};

use hop3_plugin_api::Host;
use rusqlite::{Connection, ErrorCode};

use super::date::file_date;
use super::origin::{self, Origin, SerialFile};
use super::{SCHEMA_VERSION, StateError, memo};

/// What was found at a store's place.
pub(super) enum Found {
    /// This installation's own store.
    Sound(Connection),
    /// None, or one that was never written to.
    Nothing,
    /// One that must not be believed, and why.
    Unfit(&'static str),
}

/// Each format's step from the one before.
const MIGRATIONS: [&str; 2] = [
    include_str!("migrations/1.sql"),
    include_str!("migrations/2.sql"),
];

/// A power loss may take the newest lines with it, never the file's integrity; what must not be done twice is stamped elsewhere.
const SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 2000; PRAGMA cache_size = -256;";

/// Looks at the store of a data dir. Changes nothing but its format.
pub(super) fn examine(path: &Path, origin: &Origin) -> Result<Found, StateError> {
    if !path.exists() {
        return Ok(Found::Nothing);
    }
    match sound(path, origin) {
        Err(Fault::Database(_, source)) if is_damage(&source) => {
            Ok(Found::Unfit("the state was damaged"))
        }
        Err(Fault::Database(doing, source)) => Err(StateError::Database {
            doing,
            path: path.display().to_string(),
            source,
        }),
        Err(Fault::Newer(writer, found)) => Err(StateError::Newer {
            path: path.display().to_string(),
            writer,
            found,
        }),
        Ok(found) => Ok(found),
    }
}

enum Fault {
    Database(&'static str, rusqlite::Error),
    Newer(String, i64),
}

fn doing(what: &'static str) -> impl FnOnce(rusqlite::Error) -> Fault {
    move |error| Fault::Database(what, error)
}

fn sound(path: &Path, origin: &Origin) -> Result<Found, Fault> {
    let mut db = Connection::open(path).map_err(doing("open"))?;
    let version = version(&db).map_err(doing("read"))?;
    if version == 0 && is_empty(&db).map_err(doing("read"))? {
        return Ok(Found::Nothing);
    }
    // A future format may have no such table; then its writer stays unnamed.
    let writer = origin::meta(&db, "agent").ok().flatten();
    let own = writer.as_deref() == Some(env!("CARGO_PKG_VERSION"));
    if version > SCHEMA_VERSION && !own {
        let writer = writer.unwrap_or_else(|| "of a later version".to_owned());
        return Err(Fault::Newer(writer, version));
    }
    // This very version never wrote another format than its own.
    let is_odd = !(1..=SCHEMA_VERSION).contains(&version);
    if is_odd || !is_whole(&db).map_err(doing("check"))? {
        return Ok(Found::Unfit("the state was damaged"));
    }
    db.execute_batch(SETTINGS).map_err(doing("set up"))?;
    migrate(&mut db, version).map_err(doing("bring to the newest format"))?;
    if !memo::all_sound(&db).map_err(doing("check"))? {
        return Ok(Found::Unfit("the state was damaged"));
    }
    let serial = SerialFile::beside(path).read();
    let misfit = origin.misfit(&db, serial).map_err(doing("check"))?;
    Ok(misfit.map_or(Found::Sound(db), Found::Unfit))
}

fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Whether nothing was ever written to it.
fn is_empty(db: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) = 0 FROM sqlite_master";
    db.query_row(sql, [], |row| row.get(0))
}

fn is_whole(db: &Connection) -> rusqlite::Result<bool> {
    let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok(verdict == "ok")
}

/// A new, empty store at a place.
pub(super) fn begin(path: &Path) -> Result<Connection, StateError> {
    let begun = Connection::open(path).and_then(|mut db| {
        db.execute_batch(SETTINGS)?;
        migrate(&mut db, 0)?;
        Ok(db)
    });
    begun.map_err(|source| StateError::Database {
        doing: "begin",
        path: path.display().to_string(),
        source,
    })
}

/// Effect: brings a store to the newest format in one transaction: a crash leaves the old format or the new one.
fn migrate(db: &mut Connection, version: i64) -> rusqlite::Result<()> {
    let done = usize::try_from(version).unwrap_or(0);
    if done >= MIGRATIONS.len() {
        return Ok(());
    }
    let transaction = db.transaction()?;
    for step in &MIGRATIONS[done..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}

/// Whether the file itself is at fault: it is, unless the machine is.
fn is_damage(error: &rusqlite::Error) -> bool {
    !matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::OperationInterrupted
                | ErrorCode::OutOfMemory
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly
        )
    )
}

/// Effect: renames a store out of the way, with its journal, under a dated name.
#[expect(
    clippy::disallowed_methods,
    reason = "the store's files are SQLite's, which knows no seam either"
)]
pub(super) fn set_aside(path: &Path, host: &dyn Host) -> Result<PathBuf, StateError> {
    let dated = free_name(&format!(
        "{}.aside-{}",
        path.display(),
        file_date(host.now())
    ));
    for suffix in ["", "-wal", "-shm"] {
        let from = PathBuf::from(format!("{}{suffix}", path.display()));
        match std::fs::rename(&from, format!("{dated}{suffix}")) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(StateError::SetAside {
                    path: from.display().to_string(),
                    source,
                });
            }
            _ => {}
        }
    }
    Ok(PathBuf::from(dated))
}

/// The name itself, or the first numbered one that nothing has: what was set aside before stays.
fn free_name(wanted: &str) -> String {
    let numbered = (2..).map(|number| format!("{wanted}-{number}"));
    let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
    let free = names.find(|name| !Path::new(name).exists());
    free.expect("numbers do not end")
}
