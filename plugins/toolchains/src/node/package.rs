//! package.json, as far as a plan must understand it. Pure.

use hop3_plugin_api::Result;
use hop3_plugin_api::serde_json::{Map, Value};

use crate::place::Place;
use crate::source;
use crate::version::{Pin, json_string};

/// The tables of packages that are installed.
const DEPENDENCIES: [&str; 3] = ["dependencies", "devDependencies", "optionalDependencies"];

/// A manifest.
pub(crate) struct Package {
    value: Value,
    text: String,
    /// Its path in the project.
    pub(super) path: String,
}

impl Package {
    /// The manifest at a path of the project.
    pub(crate) fn read(place: &Place<'_>, path: &str) -> Result<Option<Self>> {
        let value = source::json(&place.cx, path)?;
        let text = source::text(&place.cx, path)?.unwrap_or_default();
        Ok(value.map(|value| Self {
            value,
            text,
            path: path.to_owned(),
        }))
    }

    /// A script that is not empty.
    pub(crate) fn script(&self, name: &str) -> Option<&str> {
        let script = self.value.get("scripts")?.get(name)?.as_str()?;
        Some(script.trim()).filter(|script| !script.is_empty())
    }

    pub(super) fn string(&self, pointer: &str) -> Option<&str> {
        json_string(&self.value, pointer)
    }

    fn table(&self, name: &str) -> Option<&Map<String, Value>> {
        self.value.get(name)?.as_object()
    }

    /// Packages that are asked for, with where they come from.
    pub(super) fn dependencies(&self) -> impl Iterator<Item = (&str, &str)> {
        let tables = DEPENDENCIES.iter().filter_map(|name| self.table(name));
        tables
            .flatten()
            .filter_map(|(name, from)| Some((name.as_str(), from.as_str()?)))
    }

    pub(super) fn depends_on(&self, name: &str) -> bool {
        self.dependencies().any(|(it, _)| it == name)
    }

    pub(super) fn has_development_dependencies(&self) -> bool {
        self.table("devDependencies")
            .is_some_and(|table| !table.is_empty())
    }

    /// A version that a key asks for; `needle` finds its line.
    pub(super) fn pin(&self, place: &Place<'_>, pointer: &str, needle: &str) -> Option<Pin> {
        let version = self.string(pointer)?;
        let parent = pointer.split('/').nth(1).unwrap_or_default();
        // The key's own line comes after its table's: `node` also names a dependency.
        let before = source::line_with(&self.text, &format!("\"{parent}\""));
        let rest: String = self
            .text
            .lines()
            .skip(before - 1)
            .collect::<Vec<_>>()
            .join("\n");
        let line = before + source::line_with(&rest, needle) - 1;
        Some(Pin::new(
            version,
            format!("{}:{line}", place.shown(&self.path)),
        ))
    }

    /// The place of a key, for messages: `package.json:4`.
    pub(super) fn place_of(&self, place: &Place<'_>, key: &str) -> String {
        let line = source::line_with(&self.text, &format!("\"{key}\""));
        format!("{}:{line}", place.shown(&self.path))
    }
}
