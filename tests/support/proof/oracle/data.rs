//! I4: what the guestbook's database holds.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rusqlite::{Connection, OpenFlags};

use super::super::ground::Ground;
use super::files::entries as entries_of;

/// How often the release command ran, by release.
pub(crate) fn migrations(ground: &Ground) -> BTreeMap<u32, u32> {
    let sql = "SELECT release, count(*) FROM migrations_run GROUP BY release";
    let rows = select(ground, sql, |row| Ok((row.get(0)?, row.get(1)?)));
    rows.into_iter().collect()
}

/// The lines that visitors left, in their order.
pub(crate) fn entries(ground: &Ground) -> Vec<String> {
    let sql = "SELECT author || ': ' || message FROM entries ORDER BY id";
    select(ground, sql, |row| row.get(0))
}

fn select<T>(
    ground: &Ground,
    sql: &str,
    row: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Vec<T> {
    let Some(file) = file(ground) else {
        return Vec::new();
    };
    let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    // Before the first release command there is no table.
    let Ok(mut query) = db.prepare(sql) else {
        return Vec::new();
    };
    let rows = query.query_map([], |it| row(it)).unwrap();
    rows.map(Result::unwrap).collect()
}

fn file(ground: &Ground) -> Option<PathBuf> {
    let is_database = |path: &PathBuf| path.extension().is_some_and(|it| it == "sqlite3");
    let files = entries_of(&ground.app("guestbook").join("data"));
    files.into_iter().find(is_database)
}
