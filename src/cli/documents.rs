//! `plugins` and `schema`: what this binary is made of and what it understands.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hop3_plugin_api::ToolchainDescription;
use serde_json::Value;

use super::output::{CliError, Exit, json, out};
use super::settings;
use crate::plan::Plan;
use crate::registry::Registry;
use crate::report::Status;
use crate::schema;
use crate::spec::Diagnostic;
use crate::state::Event;

/// `plugins …`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum PluginsCommand {
    /// Every plugin with what it brings.
    List,
    /// One plugin with its settings.
    Show {
        /// The plugin, or something that one brings: `python`.
        name: String,
    },
}

/// Options of `schema`.
#[derive(Debug, clap::Args)]
pub(super) struct SchemaArgs {
    /// hop3, agent, host, plan, status, events or validate; all names are listed without one.
    name: Option<String>,
    /// Compare the files of a directory with what this binary would write; exit 1 when they differ.
    #[arg(long)]
    check: bool,
    /// Write all schemas into the directory.
    #[arg(long, conflicts_with = "check")]
    write: bool,
    /// The directory of `--check` and `--write`.
    #[arg(long, default_value = "schema", value_name = "DIR")]
    directory: PathBuf,
}

/// `plugins`.
pub(super) fn plugins(command: &PluginsCommand, registry: &Registry) -> Result<Exit, CliError> {
    match command {
        PluginsCommand::List => {
            for linked in registry.linked() {
                let brings: Vec<_> = linked
                    .brings
                    .iter()
                    .map(|(kind, name)| format!("{kind} {name}"))
                    .collect();
                out(&format!(
                    "{:<16} {}\n{:16} {}\n",
                    linked.name,
                    linked.description,
                    "",
                    brings.join(", ")
                ));
            }
            Ok(Exit::Success)
        }
        PluginsCommand::Show { name } => show(name, registry),
    }
}

fn show(name: &str, registry: &Registry) -> Result<Exit, CliError> {
    let linked = registry.linked();
    let by_name = |linked: &&crate::registry::Linked| {
        linked.name == name || linked.brings.iter().any(|(_, it)| *it == name)
    };
    let Some(plugin) = linked.iter().find(by_name) else {
        let names: Vec<_> = linked.iter().map(|linked| linked.name).collect();
        return Err(
            CliError::new(format!("no plugin `{name}` is linked into this binary"))
                .hint(format!("linked: {}", names.join(", "))),
        );
    };
    out(&format!("{}: {}\n", plugin.name, plugin.description));
    for (kind, it) in &plugin.brings {
        out(&format!("  {kind} {it}\n"));
    }
    if let Some(toolchain) = registry.toolchains.find(name) {
        out(&described(&toolchain.describe()));
    }
    for section in registry
        .sections()
        .into_iter()
        .filter(|section| section.name == plugin.name || section.name == name)
    {
        out(&format!(
            "  settings ({:?}): {}\n",
            section.slot,
            (section.default)()
        ));
    }
    Ok(Exit::Success)
}

/// What a toolchain says of itself.
fn described(about: &ToolchainDescription) -> String {
    let locks: Vec<String> = about
        .locks
        .iter()
        .map(|(lock, command)| format!("{lock}: {command}"))
        .collect();
    let locks: Vec<&str> = locks.iter().map(String::as_str).collect();
    let parts = [
        ("looks for", about.detects),
        ("installs from", &locks),
        ("versions are pinned by, the strongest first", about.pins),
        ("builds", about.builds),
        (
            "starts, unless the spec or a Procfile says how",
            about.starts,
        ),
        ("directories that become data", about.writes),
        ("remarks", about.remarks),
    ];
    let parts = parts.iter().filter(|(_, lines)| !lines.is_empty());
    parts
        .map(|(what, lines)| format!("  {what}:\n    {}\n", lines.join("\n    ")))
        .collect()
}

/// `schema`.
pub(super) fn schema(args: &SchemaArgs, registry: &Registry) -> Result<Exit, CliError> {
    let documents = documents(registry);
    if args.check {
        return check(&documents, &args.directory);
    }
    if args.write {
        for (name, document) in &documents {
            write(&file(&args.directory, name), &text(document))?;
        }
        return Ok(Exit::Success);
    }
    let Some(name) = &args.name else {
        let names: Vec<_> = documents.keys().copied().collect();
        out(&format!("{}\n", names.join("\n")));
        return Ok(Exit::Success);
    };
    let Some(document) = documents.get(name.as_str()) else {
        let names: Vec<_> = documents.keys().copied().collect();
        let unknown = CliError::new(format!("there is no schema `{name}`"));
        return Err(unknown.hint(format!("schemas: {}", names.join(", "))));
    };
    json(document);
    Ok(Exit::Success)
}

/// All schemas by name.
pub(super) fn documents(registry: &Registry) -> BTreeMap<&'static str, Value> {
    settings::schemas(registry).documents(vec![
        ("plan", schema::answer::<Plan>()),
        ("status", schema::answer::<Status>()),
        ("events", schema::answer::<Event>()),
        ("validate", schema::answer::<Vec<Diagnostic>>()),
    ])
}

fn check(documents: &BTreeMap<&'static str, Value>, directory: &Path) -> Result<Exit, CliError> {
    let differing: Vec<_> = documents
        .iter()
        .filter(|(name, document)| {
            std::fs::read_to_string(file(directory, name))
                .ok()
                .as_deref()
                != Some(text(document).as_str())
        })
        .map(|(name, _)| format!("`{name}.json`"))
        .collect();
    if differing.is_empty() {
        return Ok(Exit::Success);
    }
    Err(CliError::new(format!(
        "{} in `{}` differ from this binary",
        differing.join(", "),
        directory.display()
    ))
    .hint("run `hop3-agent schema --write` and commit the result"))
}

fn file(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.json"))
}

fn text(document: &Value) -> String {
    let mut text = serde_json::to_string_pretty(document).expect("schemas serialise");
    text.push('\n');
    text
}

#[expect(
    clippy::disallowed_methods,
    reason = "schemas are written for the person who asked, away from everything the agent owns"
)]
fn write(file: &Path, text: &str) -> Result<(), CliError> {
    std::fs::write(file, text)
        .map_err(|error| CliError::new(format!("could not write `{}`: {error}", file.display())))
}
