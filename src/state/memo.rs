//! What the store keeps that decides something: small values by kind, app and name, each with a checksum. One that does not fit its
//! checksum makes the whole store damaged; nothing is decided on it.

use hop3_plugin_api::{AppName, Digest};
use rusqlite::{Connection, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Store;

/// What a value is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Failed attempts at a target.
    Attempt,
    /// A person's pause.
    Pause,
    /// A person's word that an app may be removed with many others.
    Approval,
    /// A repair that is undone again and again.
    Flapping,
    /// A step during which the agent died.
    Death,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Attempt => "attempt",
            Self::Pause => "pause",
            Self::Approval => "approval",
            Self::Flapping => "flapping",
            Self::Death => "death",
        }
    }
}

impl Store {
    /// Everything of a kind, with its app and name.
    pub(super) fn recall<T: DeserializeOwned>(&self, kind: Kind) -> Vec<(AppName, String, T)> {
        let read = |db: &Connection| -> rusqlite::Result<Vec<(String, String, String)>> {
            let sql = "SELECT app, name, value FROM memo WHERE kind = ?1 ORDER BY app, name";
            let mut statement = db.prepare_cached(sql)?;
            statement
                .query_map([kind.as_str()], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })?
                .collect()
        };
        let rows = self.read("recall something from", read).unwrap_or_default();
        let parse = |(app, name, value): (String, String, String)| {
            let value = serde_json::from_str(&value).ok()?;
            Some((AppName::parse(&app).ok()?, name, value))
        };
        rows.into_iter().filter_map(parse).collect()
    }

    /// Remembers a value; says whether it was written.
    pub(super) fn keep<T: Serialize>(&self, (kind, app, name): Place<'_>, value: &T) -> bool {
        let value = serde_json::to_string(value).expect("what is remembered serialises");
        let sum = sum((kind.as_str(), app.as_str(), name), &value);
        self.write("remember something in", |db| {
            db.execute(
                "INSERT INTO memo (kind, app, name, value, sum) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (kind, app, name) DO UPDATE SET value = ?4, sum = ?5",
                params![kind.as_str(), app.as_str(), name, value, sum],
            )
        })
    }

    /// Forgets a value; says whether that was written.
    pub(super) fn forget(&self, (kind, app, name): Place<'_>) -> bool {
        self.write("forget something in", |db| {
            db.execute(
                "DELETE FROM memo WHERE kind = ?1 AND app = ?2 AND name = ?3",
                params![kind.as_str(), app.as_str(), name],
            )
        })
    }
}

/// Where a value is kept.
pub(super) type Place<'a> = (Kind, &'a AppName, &'a str);

fn sum(place: (&str, &str, &str), value: &str) -> String {
    Digest::of(&(place, value)).short().to_owned()
}

/// Whether every value fits its checksum.
pub(super) fn all_sound(db: &Connection) -> rusqlite::Result<bool> {
    let mut statement = db.prepare("SELECT kind, app, name, value, sum FROM memo")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text = |index| row.get::<_, String>(index);
        let (kind, app, name, value) = (text(0)?, text(1)?, text(2)?, text(3)?);
        if sum((&kind, &app, &name), &value) != text(4)? {
            return Ok(false);
        }
    }
    Ok(true)
}
