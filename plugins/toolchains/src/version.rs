//! Which version of a tool a source asks for, and who asked: `hop3.toml`, then the tool's own pin file, then `.tool-versions` and
//! `mise.toml`, then the manifest's range. Whether the host can serve it is the builder's question.

use hop3_plugin_api::PlanContext;
use hop3_plugin_api::Result;

use crate::source;

/// The places where a language's version may be written.
pub(crate) struct Places {
    /// Its key in the spec: `python` for `python-version`.
    pub(crate) language: &'static str,
    /// Its names in `.tool-versions` and `mise.toml`.
    pub(crate) names: &'static [&'static str],
    /// The tool's own pin files.
    pub(crate) own_files: &'static [&'static str],
}

/// A version, in the words of whoever asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pin {
    pub(crate) version: String,
    /// The file that asked.
    pub(crate) by: String,
}

impl Pin {
    pub(crate) fn new(version: impl Into<String>, by: impl Into<String>) -> Self {
        Self {
            version: version.into(),
            by: by.into(),
        }
    }
}

/// The pin that counts.
pub(crate) fn pinned(
    cx: &PlanContext<'_>,
    places: &Places,
    manifest: Option<Pin>,
) -> Result<Option<Pin>> {
    if let Some(version) = cx.config.build.versions.get(places.language) {
        return Ok(Some(Pin::new(version.trim(), "hop3.toml")));
    }
    for file in places.own_files {
        if let Some(version) = source::text(cx, file)?.as_deref().and_then(first_word) {
            return Ok(Some(Pin::new(version, *file)));
        }
    }
    if let Some(pin) = tool_versions(cx, places)? {
        return Ok(Some(pin));
    }
    Ok(mise(cx, places)?.or(manifest))
}

fn tool_versions(cx: &PlanContext<'_>, places: &Places) -> Result<Option<Pin>> {
    const FILE: &str = ".tool-versions";
    let text = source::text(cx, FILE)?.unwrap_or_default();
    let pins = text.lines().filter_map(|line| {
        let mut words = meaningful(line).split_whitespace();
        let name = words.next()?;
        let version = words.next()?;
        places
            .names
            .contains(&name)
            .then(|| Pin::new(version, FILE))
    });
    Ok(pins.take(1).next())
}

fn mise(cx: &PlanContext<'_>, places: &Places) -> Result<Option<Pin>> {
    for file in ["mise.toml", ".mise.toml"] {
        let Some(table) = source::toml(cx, file)? else {
            continue;
        };
        let tools = table.get("tools").and_then(toml::Value::as_table);
        let version = places
            .names
            .iter()
            .find_map(|name| mise_version(tools?.get(*name)?));
        if let Some(version) = version {
            return Ok(Some(Pin::new(version, file)));
        }
    }
    Ok(None)
}

/// mise writes `"3.12"`, `["3.12", "3.11"]` or `{ version = "3.12" }`.
fn mise_version(value: &toml::Value) -> Option<&str> {
    match value {
        toml::Value::String(version) => Some(version),
        toml::Value::Array(versions) => versions.first()?.as_str(),
        toml::Value::Table(table) => table.get("version")?.as_str(),
        _ => None,
    }
}

fn first_word(text: &str) -> Option<&str> {
    let mut lines = text.lines().map(meaningful);
    lines.find_map(|line| line.split_whitespace().next())
}

fn meaningful(line: &str) -> &str {
    line.split('#').next().unwrap_or_default().trim()
}
