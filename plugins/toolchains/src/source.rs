//! Reading a source for detection: small questions that every language asks. Never leaves the tree.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use hop3_plugin_api::{EnvKey, PlanContext, PluginError, Result, SourceKind};

/// Whether the spec names this toolchain.
pub(crate) fn is_named(cx: &PlanContext<'_>, name: &str) -> bool {
    let asked = cx.config.build.toolchain.as_ref();
    asked.is_some_and(|asked| asked.as_str() == name)
}

/// A regular file's text; one that is not UTF-8 is an error, because a manifest must be readable.
pub(crate) fn text(cx: &PlanContext<'_>, path: &str) -> Result<Option<String>> {
    let Some(bytes) = cx.source.read(path)? else {
        return Ok(None);
    };
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text.trim_start_matches('\u{feff}').to_owned())),
        Err(_) => Err(config(format!("`{path}` is not UTF-8 text"), None)),
    }
}

/// A TOML file of the source.
pub(crate) fn toml(cx: &PlanContext<'_>, path: &str) -> Result<Option<toml::Table>> {
    let Some(text) = text(cx, path)? else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| line_of(&text, span.start));
        config(
            format!("`{path}`:{line} is not valid TOML: {}", error.message()),
            None,
        )
    })
}

/// Names of the regular files of a directory, in order.
pub(crate) fn files(cx: &PlanContext<'_>, directory: &str) -> Result<Vec<String>> {
    let entries = cx.source.list(directory)?.into_iter();
    Ok(entries
        .filter(|entry| matches!(entry.kind, SourceKind::File { .. }))
        .map(|entry| entry.name)
        .collect())
}

/// Names of the directories of the root, in order.
pub(crate) fn directories(cx: &PlanContext<'_>) -> Result<Vec<String>> {
    let entries = cx.source.list("")?.into_iter();
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

pub(crate) fn no_env() -> BTreeMap<EnvKey, String> {
    BTreeMap::new()
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

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    1 + before.filter(|byte| **byte == b'\n').count()
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
