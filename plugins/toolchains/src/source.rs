//! Reading a source for detection: small questions that every language asks. Never leaves the tree.

use std::path::{Component, Path};

use hop3_plugin_api::serde_json::{self, Value};
use hop3_plugin_api::{EnvKey, PlanContext, PluginError, Result, SourceKind};

/// The largest lock file that is read: those of large apps stay far below.
const LOCK_LIMIT: u64 = 32 * 1024 * 1024;

/// Whether the spec names this toolchain.
pub(crate) fn is_named(cx: &PlanContext<'_>, name: &str) -> bool {
    let asked = cx.config.build.toolchain.as_ref();
    asked.is_some_and(|asked| asked.as_str() == name)
}

/// A regular file's text; one that is not UTF-8 is an error, because a manifest must be readable.
pub(crate) fn text(cx: &PlanContext<'_>, path: &str) -> Result<Option<String>> {
    cx.source
        .read(path)?
        .map(|bytes| utf8(path, bytes))
        .transpose()
}

/// The text of a lock file, which may be larger than a manifest.
pub(crate) fn lock_text(cx: &PlanContext<'_>, path: &str) -> Result<Option<String>> {
    let bytes = cx.source.read_up_to(path, LOCK_LIMIT)?;
    bytes.map(|bytes| utf8(path, bytes)).transpose()
}

fn utf8(path: &str, bytes: Vec<u8>) -> Result<String> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.trim_start_matches('\u{feff}').to_owned()),
        Err(_) => Err(config(format!("`{path}` is not UTF-8 text"), None)),
    }
}

/// A JSON file of the source.
pub(crate) fn json(cx: &PlanContext<'_>, path: &str) -> Result<Option<Value>> {
    let Some(text) = text(cx, path)? else {
        return Ok(None);
    };
    serde_json::from_str(&text).map(Some).map_err(|error| {
        let (line, column, said) = (error.line(), error.column(), error.to_string());
        let said = said.split(" at line ").next().unwrap_or_default();
        let message = format!("`{path}:{line}:{column}` is not valid JSON: {said}");
        config(message, None)
    })
}

/// A TOML file of the source.
pub(crate) fn toml(cx: &PlanContext<'_>, path: &str) -> Result<Option<toml::Table>> {
    let text = text(cx, path)?;
    text.map(|text| parsed_toml(path, &text)).transpose()
}

/// A lock file in TOML.
pub(crate) fn lock_toml(cx: &PlanContext<'_>, path: &str) -> Result<Option<toml::Table>> {
    let text = lock_text(cx, path)?;
    text.map(|text| parsed_toml(path, &text)).transpose()
}

fn parsed_toml(path: &str, text: &str) -> Result<toml::Table> {
    text.parse().map_err(|error: toml::de::Error| {
        let (line, column) = error
            .span()
            .map_or((1, 1), |span| place_of(text, span.start));
        let said = error.message();
        let message = format!("`{path}:{line}:{column}` is not valid TOML: {said}");
        config(message, None)
    })
}

/// A value at a path of keys.
pub(crate) fn toml_value<'a>(table: &'a toml::Table, path: &[&str]) -> Option<&'a toml::Value> {
    let (last, parents) = path.split_last()?;
    let mut table = table;
    for parent in parents {
        table = table.get(*parent)?.as_table()?;
    }
    table.get(*last)
}

/// A string at a path of keys.
pub(crate) fn toml_string<'a>(table: &'a toml::Table, path: &[&str]) -> Option<&'a str> {
    toml_value(table, path)?.as_str()
}

/// Strings of a list at a path of keys.
pub(crate) fn toml_strings<'a>(
    table: &'a toml::Table,
    path: &[&str],
) -> impl Iterator<Item = &'a str> {
    let list = toml_value(table, path).and_then(toml::Value::as_array);
    list.into_iter().flatten().filter_map(toml::Value::as_str)
}

/// Names of the regular files of a directory, in order.
pub(crate) fn files(cx: &PlanContext<'_>, directory: &str) -> Result<Vec<String>> {
    let entries = cx.source.list(directory)?.into_iter();
    Ok(entries
        .filter(|entry| matches!(entry.kind, SourceKind::File { .. }))
        .map(|entry| entry.name)
        .collect())
}

/// Names of the directories of a directory, in order.
pub(crate) fn directories(cx: &PlanContext<'_>, directory: &str) -> Result<Vec<String>> {
    let entries = cx.source.list(directory)?.into_iter();
    Ok(entries
        .filter(|entry| entry.kind == SourceKind::Directory)
        .map(|entry| entry.name)
        .collect())
}

/// A relative path without `.` and `..`, or `None` when it leaves the tree.
pub(crate) fn normalised(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => parts.push(name.to_str()?),
            Component::CurDir => {}
            Component::ParentDir => drop(parts.pop()?),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

/// Whether there is a directory with anything in it.
pub(crate) fn has_directory(cx: &PlanContext<'_>, path: &str) -> bool {
    cx.source
        .list(path)
        .is_ok_and(|entries| !entries.is_empty())
}

/// Those of some files and directories that the source has.
pub(crate) fn present(cx: &PlanContext<'_>, paths: &[&str]) -> Vec<String> {
    let there = |path: &&&str| cx.source.has(path) || has_directory(cx, path);
    let paths = paths.iter().filter(there);
    paths.map(|path| (*path).to_owned()).collect()
}

/// The number of the first line that holds a text; 1 where none does.
pub(crate) fn line_with(text: &str, needle: &str) -> usize {
    let holds = |line: &str| line.contains(needle);
    text.lines().position(holds).map_or(1, |index| index + 1)
}

/// A variable that a toolchain sets.
pub(crate) fn env_key(name: &'static str) -> EnvKey {
    EnvKey::parse(name).expect("toolchains name their variables by the grammar")
}

/// Something in the source that does not work.
pub(crate) fn config(message: String, hint: Option<&str>) -> PluginError {
    PluginError::Config {
        message,
        hint: hint.map(str::to_owned),
    }
}

/// Line and column of an offset.
fn place_of(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = 1 + before.matches('\n').count();
    let last = before.rsplit('\n').next().unwrap_or_default();
    (line, 1 + last.chars().count())
}

/// Whether a file's name has an ending. Case counts, as it does for the tools that read the file.
pub(crate) fn has_ending(file: &str, ending: &str) -> bool {
    std::path::Path::new(file)
        .extension()
        .is_some_and(|found| found == ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_normalised_inside_the_tree_or_refused() {
        assert_eq!(normalised("./a/../b//c"), Some("b/c".to_owned()));
        assert_eq!(normalised("."), Some(String::new()));
        assert_eq!(normalised("a/../../b"), None);
        assert_eq!(normalised("/etc/passwd"), None);
    }
}
