//! Which version of a tool a source asks for, and who asked: `hop3.toml`, then the tool's own pin file, then `.tool-versions` and
//! `mise.toml`, then the manifest's range. Whether the host can serve it is the builder's question.

use hop3_plugin_api::serde_json::Value;
use hop3_plugin_api::{PlanContext, Result, SourceTree};

use crate::place::{Place, join, upwards};
use crate::source::{self, line_with};

/// The places where a language's version may be written.
pub(crate) struct Places {
    /// Its key in the spec: `python` for `python-version`.
    pub(crate) language: &'static str,
    /// Its names in `.tool-versions` and `mise.toml`.
    pub(crate) names: &'static [&'static str],
    /// The tool's own pin files, the strongest first.
    pub(crate) own_files: &'static [(&'static str, PinFile)],
}

/// How a pin file is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PinFile {
    /// Its first word is the version.
    Word,
    /// A line `key=version`.
    Property(&'static str),
    /// A string of a TOML file.
    Toml(&'static [&'static str]),
}

/// A version, in the words of whoever asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pin {
    pub(crate) version: String,
    /// The file that asked and the line, relative to the source's root.
    pub(crate) by: String,
}

impl Pin {
    pub(crate) fn new(version: impl Into<String>, by: impl Into<String>) -> Self {
        Self {
            version: version.into(),
            by: by.into(),
        }
    }

    /// A pin of a manifest: the line is the first that holds `needle`.
    pub(crate) fn of_manifest(
        place: &Place<'_>,
        (path, text): (&str, &str),
        (needle, version): (&str, &str),
    ) -> Self {
        let line = line_with(text, needle);
        Self::new(version, format!("{}:{line}", place.shown(path)))
    }

    /// The same pin in other words.
    pub(crate) fn reworded(self, version: impl Into<String>) -> Self {
        Self::new(version, self.by)
    }
}

/// The pin that counts. Files are looked for in the app's directory, then in those above it.
pub(crate) fn pinned(
    place: &Place<'_>,
    places: &Places,
    manifest: Option<Pin>,
) -> Result<Option<Pin>> {
    if let Some(version) = place.cx.config.build.versions.get(places.language) {
        return Ok(Some(spec_pin(place, places.language, version.trim())?));
    }
    let whole = PlanContext {
        source: place.whole,
        ..place.cx
    };
    for directory in upwards(place.directory) {
        if let Some(pin) = own_file(&whole, directory, places)? {
            return Ok(Some(pin));
        }
    }
    for directory in upwards(place.directory) {
        if let Some(pin) = shared_file(&whole, directory, places)? {
            return Ok(Some(pin));
        }
    }
    Ok(manifest)
}

/// The spec's word, with its line where the spec lies in the source.
fn spec_pin(place: &Place<'_>, language: &str, version: &str) -> Result<Pin> {
    for file in ["hop3/hop3.toml", "hop3.toml"] {
        let text = place.whole.text(file)?.unwrap_or_default();
        let key = format!("{language}-version");
        let asks = |line: &str| line.trim_start().starts_with(&key) && line.contains(version);
        if let Some(index) = text.lines().position(asks) {
            return Ok(Pin::new(version, format!("{file}:{}", index + 1)));
        }
    }
    Ok(Pin::new(version, "hop3.toml"))
}

fn own_file(cx: &PlanContext<'_>, directory: &str, places: &Places) -> Result<Option<Pin>> {
    for (file, kind) in places.own_files {
        let path = join(directory, file);
        let Some(text) = source::text(cx, &path)? else {
            continue;
        };
        if let Some((version, line)) = kind.version(cx, &path, &text)? {
            return Ok(Some(Pin::new(version, format!("{path}:{line}"))));
        }
    }
    Ok(None)
}

impl PinFile {
    /// The version and its line.
    fn version(
        self,
        cx: &PlanContext<'_>,
        path: &str,
        text: &str,
    ) -> Result<Option<(String, usize)>> {
        let found = match self {
            Self::Word => first_word(text).map(str::to_owned),
            Self::Property(key) => property(text, key).map(str::to_owned),
            Self::Toml(keys) => source::toml(cx, path)?
                .and_then(|table| source::toml_string(&table, keys).map(str::to_owned)),
        };
        Ok(found.map(|version| {
            let line = line_with(text, &version);
            (version, line)
        }))
    }
}

fn shared_file(cx: &PlanContext<'_>, directory: &str, places: &Places) -> Result<Option<Pin>> {
    if let Some(pin) = tool_versions(cx.source, directory, places)? {
        return Ok(Some(pin));
    }
    mise(cx, directory, places)
}

fn tool_versions(tree: &dyn SourceTree, directory: &str, places: &Places) -> Result<Option<Pin>> {
    let path = join(directory, ".tool-versions");
    let text = tree.text(&path)?.unwrap_or_default();
    let mut pins = text.lines().enumerate().filter_map(|(index, line)| {
        let mut words = meaningful(line).split_whitespace();
        let name = words.next()?;
        let version = words.next()?;
        let known = places.names.contains(&name);
        known.then(|| Pin::new(version, format!("{path}:{}", index + 1)))
    });
    Ok(pins.next())
}

fn mise(cx: &PlanContext<'_>, directory: &str, places: &Places) -> Result<Option<Pin>> {
    for file in ["mise.toml", ".mise.toml"] {
        let path = join(directory, file);
        let (Some(text), Some(table)) = (source::text(cx, &path)?, source::toml(cx, &path)?) else {
            continue;
        };
        let tools = table.get("tools").and_then(toml::Value::as_table);
        let version = places.names.iter().find_map(|name| {
            let version = mise_version(tools?.get(*name)?)?;
            Some(Pin::new(
                version,
                format!("{path}:{}", mise_line(&text, name)),
            ))
        });
        if version.is_some() {
            return Ok(version);
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

fn mise_line(text: &str, name: &str) -> usize {
    let names = |line: &str| line.trim_start().trim_start_matches('"').starts_with(name);
    text.lines().position(names).map_or(1, |index| index + 1)
}

fn property<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = text.lines().map(meaningful);
    lines.find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then(|| value.trim())
    })
}

fn first_word(text: &str) -> Option<&str> {
    let mut lines = text.lines().map(meaningful);
    lines.find_map(|line| line.split_whitespace().next())
}

fn meaningful(line: &str) -> &str {
    line.split('#').next().unwrap_or_default().trim()
}

/// Whether a version is nothing but numbers and dots.
pub(crate) fn is_plain(version: &str) -> bool {
    version
        .split('.')
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a value pins nothing: `latest`, `system`, `*`.
pub(crate) fn is_open(version: &str) -> bool {
    matches!(version, "" | "*" | "x" | "latest" | "system" | "stable")
}

/// A string of a JSON document.
pub(crate) fn json_string<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}
