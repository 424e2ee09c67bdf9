//! Whose a store is, and how old: what it is compared with before anything in it is believed.
//!
//! A number counts the lives of the agent and the changes that it began. It stands in the store and in a file beside it; a store that was
//! brought back from a backup has a smaller one than the file.
#![expect(
    clippy::disallowed_methods,
    reason = "the file beside the store is a part of it, and the store knows no seam"
)]

use std::path::{Path, PathBuf};

use hop3_plugin_api::Digest;
use rusqlite::{Connection, OptionalExtension as _};

use crate::host::TEMPORARY;

/// What a store is expected to belong to.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The installation's id.
    pub install: String,
    /// The machine, where it has an id.
    pub machine: Option<String>,
    /// The kernel's name for the time since it started.
    pub boot: String,
    /// What the operator's settings amount to: with others a failure may come out differently.
    pub settings: String,
    /// Whether apps are deployed here: then there must have been a store.
    pub deployed: bool,
}

impl Origin {
    /// The origin of a store in this data dir on this machine, under these settings.
    pub fn of(data_dir: &Path, install: &str, settings: &Digest) -> Self {
        let text = |path: &str| {
            let text = std::fs::read_to_string(path).ok()?;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        Self {
            install: install.to_owned(),
            machine: text("/etc/machine-id"),
            boot: text("/proc/sys/kernel/random/boot_id").unwrap_or_default(),
            settings: settings.to_string(),
            deployed: has_apps(data_dir),
        }
    }

    /// Why a store is not this installation's own newest one, if so.
    pub(super) fn misfit(
        &self,
        db: &Connection,
        serial: Option<i64>,
    ) -> rusqlite::Result<Option<&'static str>> {
        let differs = |known: Option<String>, own: &str| known.is_some_and(|known| known != own);
        if differs(meta(db, "install")?, &self.install) {
            return Ok(Some("the state was that of another installation"));
        }
        if let Some(machine) = &self.machine
            && differs(meta(db, "machine")?, machine)
        {
            return Ok(Some("the state was that of another machine"));
        }
        let known = number(db, "serial")?;
        let older = matches!((known, serial), (Some(known), Some(file)) if known < file);
        Ok(older.then_some("the state was older than what it describes"))
    }
}

/// Whether some app of this data dir has a current release.
fn has_apps(data_dir: &Path) -> bool {
    let apps = std::fs::read_dir(data_dir.join("apps"));
    let mut apps = apps.into_iter().flatten().flatten();
    apps.any(|app| app.path().join("state/current.json").exists())
}

/// What a store says of itself.
pub(super) fn meta(db: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT value FROM meta WHERE name = ?1";
    db.query_row(sql, [name], |row| row.get(0)).optional()
}

pub(super) fn set_meta(db: &Connection, name: &str, value: &str) -> rusqlite::Result<usize> {
    let sql = "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2";
    db.execute(sql, [name, value])
}

fn number(db: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    Ok(meta(db, name)?.and_then(|text| text.parse().ok()))
}

/// The file beside a store.
#[derive(Debug, Clone)]
pub(super) struct SerialFile(PathBuf);

impl SerialFile {
    pub(super) fn beside(store: &Path) -> Self {
        Self(store.with_file_name("serial"))
    }

    /// The number; `None` where there is none that could be read, which then proves nothing.
    pub(super) fn read(&self) -> Option<i64> {
        std::fs::read_to_string(&self.0).ok()?.trim().parse().ok()
    }

    /// Effect: counts on, in the store first and durably: after a power loss the file may lag behind, never the store.
    pub(super) fn advance(&self, db: &Connection) -> rusqlite::Result<usize> {
        db.execute_batch("PRAGMA synchronous = FULL")?;
        let next = number(db, "serial")?
            .unwrap_or(0)
            .max(self.read().unwrap_or(0))
            + 1;
        let written = set_meta(db, "serial", &next.to_string());
        db.execute_batch("PRAGMA synchronous = NORMAL")?;
        let written = written?;
        let beside = self.0.with_file_name(format!("{TEMPORARY}serial"));
        let put = std::fs::write(&beside, format!("{next}\n"))
            .and_then(|()| std::fs::rename(&beside, &self.0));
        if let Err(error) = put {
            // What cannot be removed now is found by the sweep at the next start.
            drop(std::fs::remove_file(&beside));
            tracing::warn!(path = %self.0.display(), %error, "Could not count on beside the state.");
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_cannot_be_written_beside_the_store_leaves_nothing_half() {
        let place = tempfile::tempdir().unwrap();
        let serial = SerialFile::beside(&place.path().join("state.db"));
        std::fs::create_dir(&serial.0).unwrap();
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
            .unwrap();
        serial.advance(&db).unwrap();
        let names = std::fs::read_dir(place.path()).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["serial"]);
    }
}
