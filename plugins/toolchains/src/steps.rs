//! Small parts of a plan that every language writes: steps, tools, the guessed worker, and what is said where a lock file is missing.

use std::collections::BTreeMap;

use hop3_plugin_api::{
    Abort, BuildCommand, BuildStep, EnvKey, Pick, PluginError, ToolRequirement, WorkerName,
};

use crate::source::env_key;
use crate::version::Pin;

/// Said in a plan's notes where dependencies float.
pub(crate) const UNLOCKED_NOTE: &str =
    "dependencies are not locked: two builds may install different versions";

/// A step without network.
pub(crate) fn step<'a>(name: &str, words: impl IntoIterator<Item = &'a str>) -> BuildStep {
    BuildStep {
        name: name.to_owned(),
        command: BuildCommand::Argv(words.into_iter().map(str::to_owned).collect()),
        network: false,
    }
}

/// A step that fetches what the source declares.
pub(crate) fn fetch<'a>(name: &str, words: impl IntoIterator<Item = &'a str>) -> BuildStep {
    BuildStep {
        network: true,
        ..step(name, words)
    }
}

/// A step in which the builder writes a file.
pub(crate) fn write(name: &str, path: &str, content: &str) -> BuildStep {
    BuildStep {
        name: name.to_owned(),
        command: BuildCommand::Write {
            path: path.to_owned(),
            content: content.to_owned(),
        },
        network: false,
    }
}

/// A step in which the builder finds what a tool has made.
pub(crate) fn link(name: &str, pick: Pick) -> BuildStep {
    BuildStep {
        name: name.to_owned(),
        command: BuildCommand::Link(pick),
        network: false,
    }
}

/// A tool, with the version that was asked for.
pub(crate) fn tool(program: &str, pin: Option<Pin>) -> ToolRequirement {
    let (version, pinned_by) = pin.map(|pin| (pin.version, pin.by)).unzip();
    ToolRequirement {
        program: program.to_owned(),
        version,
        pinned_by,
    }
}

/// The worker that gets requests.
pub(crate) fn web(command: impl Into<String>) -> BTreeMap<WorkerName, String> {
    let web = WorkerName::parse("web").expect("`web` is a worker name");
    BTreeMap::from([(web, command.into())])
}

/// Variables.
pub(crate) fn env(pairs: &[(&'static str, &str)]) -> BTreeMap<EnvKey, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| (env_key(key), (*value).to_owned()))
        .collect()
}

/// A manifest with dependencies, and nothing that says which versions of them.
pub(crate) fn missing_lock(manifest: &str, command: &str) -> PluginError {
    Abort::new(format!(
        "`{manifest}` has dependencies and there is no lock file for them"
    ))
    .hint(format!(
        "commit one, made by `{command}`, or set `allow-unlocked = true` in `[build]`"
    ))
    .into()
}

/// Lock files of tools that exclude each other.
pub(crate) fn two_managers(
    (lock, manager): (&str, &str),
    (other, of): (&str, &str),
) -> PluginError {
    Abort::new(format!(
        "`{lock}` of {manager} and `{other}` of {of} lie side by side"
    ))
    .hint("remove the lock file of the one that is not used")
    .into()
}

/// Several of something of which one must be chosen.
pub(crate) fn choose_one(what: &str, of: &[String], example: &str) -> PluginError {
    let shown: Vec<String> = of.iter().take(8).map(|name| format!("`{name}`")).collect();
    let more = match of.len().saturating_sub(8) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Abort::new(format!(
        "the source has several {what}: {}{more}",
        shown.join(", ")
    ))
    .hint(format!(
        "say which one is the app: `package = \"{example}\"` in `[plugin.toolchains]`"
    ))
    .into()
}

/// A choice that the source does not offer.
pub(crate) fn no_such(what: &str, named: &str, of: &[String]) -> PluginError {
    let message = format!(
        "`package` of `[plugin.toolchains]` is `{named}`, and the source has no such {what}"
    );
    let refusal = Abort::new(message);
    if of.is_empty() {
        return refusal.into();
    }
    refusal.hint(format!("it has {}", of.join(", "))).into()
}
