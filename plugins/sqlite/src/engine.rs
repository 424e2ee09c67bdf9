//! What is done with database files. Runs in the helper process only.
//!
//! Assumptions: the files of an app may have been made by an attacker, so links are not followed, the schema is not trusted and every
//! file is checked before it counts.
#![expect(
    clippy::disallowed_types,
    reason = "this is a helper process: the host decides what it may touch"
)]

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use crate::settings::JournalMode;

/// What the agent asks for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Request {
    /// Makes an empty database where there is nothing.
    Create { path: PathBuf, journal: JournalMode },
    /// Copies a database that may be in use into a new file.
    Backup { from: PathBuf, to: PathBuf },
    /// Copies a backup into a database that holds nothing.
    Restore {
        from: PathBuf,
        to: PathBuf,
        sha256: String,
        journal: JournalMode,
    },
    /// Looks at a database.
    Inspect { path: PathBuf },
}

/// What there is now.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Bytes.
    pub(crate) size: u64,
    /// The engine's version.
    pub(crate) version: String,
    /// Of a backup's file.
    pub(crate) sha256: Option<String>,
}

/// Why it was not done.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Refusal {
    /// The database that should receive a backup holds something.
    NotEmpty,
    /// A file is not what it was, or not a sound database.
    Damaged(String),
    /// The engine or the file system failed.
    Failed(String),
}

type Result<T> = std::result::Result<T, Refusal>;

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
                Self::Damaged(text)
            }
            _ => Self::Failed(text),
        }
    }
}

/// Does what is asked.
pub(crate) fn answer(request: &Request) -> Result<Report> {
    match request {
        Request::Create { path, journal } => create(path, *journal),
        Request::Backup { from, to } => backup(from, to),
        Request::Restore {
            from,
            to,
            sha256,
            journal,
        } => restore(from, to, sha256, *journal),
        Request::Inspect { path } => report(&open(path, Access::Existing)?),
    }
}

fn create(path: &Path, journal: JournalMode) -> Result<Report> {
    let database = open(path, Access::New)?;
    // An empty file is a database too, but it would not remember its journal mode.
    database.execute_batch("BEGIN IMMEDIATE; PRAGMA user_version = 0; COMMIT")?;
    set_journal(&database, journal)?;
    report(&database)
}

fn backup(from: &Path, to: &Path) -> Result<Report> {
    let source = open(from, Access::Existing)?;
    let mut copy = open(to, Access::New)?;
    copy_all(&source, &mut copy)?;
    // One file, whatever the source's mode: nothing beside it can get lost.
    set_journal(&copy, JournalMode::Delete)?;
    check(&copy)?;
    let report = report(&copy)?;
    copy.close().map_err(|(_, error)| error)?;
    Ok(Report {
        sha256: Some(digest(to)?),
        ..report
    })
}

fn restore(from: &Path, to: &Path, sha256: &str, journal: JournalMode) -> Result<Report> {
    if digest(from)? != sha256 {
        let reason = "the backup's file has changed since it was made";
        return Err(Refusal::Damaged(reason.to_owned()));
    }
    let source = open(from, Access::Existing)?;
    check(&source)?;
    let mut target = open(to, Access::Existing)?;
    if !is_empty(&target)? {
        return Err(Refusal::NotEmpty);
    }
    // A write-ahead log could not take over another page size.
    set_journal(&target, JournalMode::Delete)?;
    copy_all(&source, &mut target)?;
    check(&target)?;
    set_journal(&target, journal)?;
    report(&target)
}

#[derive(Clone, Copy)]
enum Access {
    /// The file is there.
    Existing,
    /// The file is not there.
    New,
}

/// Opens a database whose last path component is no symbolic link. The directories above it are the agent's own.
fn open(path: &Path, access: Access) -> Result<Connection> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let directory = directory
        .canonicalize()
        .map_err(|e| failed(directory, &e))?;
    let path = directory.join(path.file_name().unwrap_or_default());
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    if matches!(access, Access::New) {
        if path.symlink_metadata().is_ok() {
            return Err(Refusal::Failed(format!(
                "`{}` exists already",
                path.display()
            )));
        }
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let database = Connection::open_with_flags(&path, flags)?;
    database.busy_timeout(Duration::from_secs(20))?;
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    Ok(database)
}

/// In one step, so that a busy writer cannot make it start over; with a write-ahead log it stops no writer either.
fn copy_all(from: &Connection, to: &mut Connection) -> Result<()> {
    let backup = Backup::new(from, to)?;
    backup.run_to_completion(i32::MAX, Duration::from_millis(50), None)?;
    Ok(())
}

fn set_journal(database: &Connection, journal: JournalMode) -> Result<()> {
    let now: String =
        database
            .pragma_update_and_check(None, "journal_mode", journal.pragma(), |row| row.get(0))?;
    if now.eq_ignore_ascii_case(journal.pragma()) {
        return Ok(());
    }
    Err(Refusal::Failed(format!(
        "the journal mode stays `{now}`: the database is in use"
    )))
}

fn check(database: &Connection) -> Result<()> {
    let verdict: String = database.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(Refusal::Damaged(verdict))
}

fn is_empty(database: &Connection) -> Result<bool> {
    let objects: i64 =
        database.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(objects == 0)
}

fn report(database: &Connection) -> Result<Report> {
    let number = |name: &str| database.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    Ok(Report {
        size: u64::from(number("page_count")?) * u64::from(number("page_size")?),
        version: rusqlite::version().to_owned(),
        sha256: None,
    })
}

fn digest(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(|e| failed(path, &e))?;
    let mut sum = sha2::Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer).map_err(|e| failed(path, &e))? {
            0 => break,
            read => sum.update(&buffer[..read]),
        }
    }
    let bytes = sum.finalize();
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    }))
}

fn failed(path: &Path, error: &std::io::Error) -> Refusal {
    Refusal::Failed(format!("could not read `{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(path: &Path, rows: u32) -> Connection {
        create(path, JournalMode::Wal).unwrap();
        let database = Connection::open(path).unwrap();
        database
            .execute_batch("CREATE TABLE t (n INTEGER, text TEXT)")
            .unwrap();
        for n in 0..rows {
            database
                .execute("INSERT INTO t VALUES (?1, hex(randomblob(200)))", [n])
                .unwrap();
        }
        database
    }

    fn rows(path: &Path) -> u32 {
        let database = Connection::open(path).unwrap();
        database
            .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn a_new_database_is_empty_and_remembers_its_journal_mode() {
        let dir = tempfile::tempdir().unwrap();
        for (journal, mark) in [(JournalMode::Wal, 2), (JournalMode::Delete, 1)] {
            let path = dir.path().join(journal.pragma());
            create(&path, journal).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(bytes[18], mark, "byte 18 of the header is the file format");
            assert!(is_empty(&open(&path, Access::Existing).unwrap()).unwrap());
            assert!(matches!(create(&path, journal), Err(Refusal::Failed(_))));
        }
    }

    #[test]
    fn a_backup_of_a_database_in_use_is_whole_and_stops_no_writer() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("a"), dir.path().join("b"));
        let writer = filled(&from, 500);
        writer
            .execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (-1, 'open')")
            .unwrap();
        let report = backup(&from, &to).unwrap();
        writer.execute_batch("COMMIT").unwrap();
        assert_eq!(rows(&to), 500, "what was not committed is not in it");
        assert_eq!(rows(&from), 501);
        assert_eq!(report.sha256.unwrap().len(), 64);
        assert_eq!(std::fs::metadata(&to).unwrap().len(), report.size);
    }

    #[test]
    fn a_backup_is_restored_into_an_empty_database_only() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        drop(filled(&at("a"), 20));
        let sha256 = backup(&at("a"), &at("b")).unwrap().sha256.unwrap();
        create(&at("c"), JournalMode::Wal).unwrap();
        restore(&at("b"), &at("c"), &sha256, JournalMode::Wal).unwrap();
        assert_eq!(rows(&at("c")), 20);
        assert_eq!(std::fs::read(at("c")).unwrap()[18], 2);
        let again = restore(&at("b"), &at("c"), &sha256, JournalMode::Wal);
        assert_eq!(again, Err(Refusal::NotEmpty));
    }

    #[test]
    fn another_page_size_survives_backup_and_restore() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let database = Connection::open(at("a")).unwrap();
        database
            .execute_batch(
                "PRAGMA page_size = 16384; PRAGMA journal_mode = WAL; CREATE TABLE t (n)",
            )
            .unwrap();
        let sha256 = backup(&at("a"), &at("b")).unwrap().sha256.unwrap();
        create(&at("c"), JournalMode::Wal).unwrap();
        restore(&at("b"), &at("c"), &sha256, JournalMode::Wal).unwrap();
        assert_eq!(rows(&at("c")), 0);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test damages files")]
    fn a_damaged_backup_is_refused_before_anything_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        drop(filled(&at("a"), 200));
        let sha256 = backup(&at("a"), &at("b")).unwrap().sha256.unwrap();
        let mut bytes = std::fs::read(at("b")).unwrap();
        bytes[4096..4196].fill(0xff);
        std::fs::write(at("b"), &bytes).unwrap();
        create(&at("c"), JournalMode::Wal).unwrap();
        let changed = restore(&at("b"), &at("c"), &sha256, JournalMode::Wal);
        assert!(matches!(changed, Err(Refusal::Damaged(_))), "{changed:?}");
        let resealed = digest(&at("b")).unwrap();
        let unsound = restore(&at("b"), &at("c"), &resealed, JournalMode::Wal);
        assert!(matches!(unsound, Err(Refusal::Damaged(_))), "{unsound:?}");
        assert!(is_empty(&open(&at("c"), Access::Existing).unwrap()).unwrap());
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test makes a link")]
    fn a_link_in_place_of_the_database_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        drop(filled(&at("other"), 1));
        std::os::unix::fs::symlink(at("other"), at("link")).unwrap();
        assert!(backup(&at("link"), &at("copy")).is_err());
        assert!(matches!(
            create(&at("link"), JournalMode::Wal),
            Err(Refusal::Failed(_))
        ));
    }
}
