//! `plugins`, `schema` and `reference`: what this binary is made of and what it understands.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hop3_plugin_api::ToolchainDescription;
use serde_json::Value;

use super::output::{CliError, Exit, out, plain};
use super::settings;
use crate::plan::Plan;
use crate::registry::Registry;
use crate::report::Status;
use crate::schema;
use crate::state::Event;
use crate::validate::Report as ValidateReport;

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
    names: Vec<String>,
    /// Compare the files of a directory with what this binary would write; exit 1 when they differ.
    #[arg(long)]
    check: bool,
    /// Write the named schemas, or all, into the directory.
    #[arg(long, conflicts_with = "check")]
    write: bool,
    /// The directory of `--check` and `--write`.
    #[arg(long, default_value = "schema", value_name = "DIR")]
    directory: PathBuf,
}

/// Options of `reference`.
#[derive(Debug, clap::Args)]
pub(super) struct ReferenceArgs {
    /// hop3.toml, agent.toml or hosts; all names are listed without one.
    names: Vec<String>,
    /// Compare the pages of a directory with what this binary would write; exit 1 when they differ.
    #[arg(long)]
    check: bool,
    /// Write the named pages, or all, into the directory.
    #[arg(long, conflicts_with = "check")]
    write: bool,
    /// The directory of `--check` and `--write`.
    #[arg(long, default_value = "docs/reference", value_name = "DIR")]
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
        ("needs of these tools what a plan names", about.tools),
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
    let parts = parts.map(|(what, lines)| format!("  {what}:\n    {}\n", lines.join("\n    ")));
    parts.collect::<Vec<_>>().concat()
}

/// `schema`.
pub(super) fn schema(args: &SchemaArgs, registry: &Registry) -> Result<Exit, CliError> {
    let documents = documents(registry).into_iter();
    let generated = Generated {
        what: "schema",
        suffix: ".json",
        files: documents
            .map(|(name, document)| (name, pretty(&document)))
            .collect(),
    };
    generated.answer(&args.names, args.check, (args.write, &args.directory))
}

/// `reference`.
pub(super) fn reference(args: &ReferenceArgs, registry: &Registry) -> Result<Exit, CliError> {
    let generated = Generated {
        what: "reference",
        suffix: ".md",
        files: schema::reference::pages(&settings::schemas(registry)),
    };
    generated.answer(&args.names, args.check, (args.write, &args.directory))
}

/// Files that this binary makes of itself: printed, written, or compared with those that were committed.
struct Generated {
    /// The command that makes them.
    what: &'static str,
    suffix: &'static str,
    files: BTreeMap<&'static str, String>,
}

impl Generated {
    fn answer(
        mut self,
        names: &[String],
        check: bool,
        (write, directory): (bool, &Path),
    ) -> Result<Exit, CliError> {
        if let Some(unknown) = names
            .iter()
            .find(|it| !self.files.contains_key(it.as_str()))
        {
            let known: Vec<_> = self.files.keys().copied().collect();
            let unknown = CliError::new(format!("there is no {} `{unknown}`", self.what));
            return Err(unknown.hint(format!("there are {}", known.join(", "))));
        }
        if check || write {
            self.files
                .retain(|name, _| names.is_empty() || names.iter().any(|it| it == name));
        }
        match (check, write) {
            (true, _) => self.check(directory),
            (_, true) => self.write(directory),
            _ => Ok(self.print(names)),
        }
    }

    fn print(&self, names: &[String]) -> Exit {
        if names.is_empty() {
            let known: Vec<_> = self.files.keys().copied().collect();
            out(&format!("{}\n", known.join("\n")));
        }
        for name in names {
            plain(&self.files[name.as_str()]);
        }
        Exit::Success
    }

    fn check(&self, directory: &Path) -> Result<Exit, CliError> {
        let same = |(name, text): &(&&str, &String)| {
            let file = self.file(directory, name);
            std::fs::read_to_string(file).is_ok_and(|found| found == **text)
        };
        let differing = self.files.iter().filter(|it| !same(it));
        let differing: Vec<_> = differing
            .map(|(name, _)| format!("`{name}{}`", self.suffix))
            .collect();
        if differing.is_empty() {
            return Ok(Exit::Success);
        }
        Err(CliError::new(format!(
            "{} in `{}` differ from what this binary makes",
            differing.join(", "),
            directory.display()
        ))
        .hint(format!(
            "run `hop3-agent {} --write` and commit the result",
            self.what
        )))
    }

    fn write(&self, directory: &Path) -> Result<Exit, CliError> {
        for (name, text) in &self.files {
            write(&self.file(directory, name), text)?;
        }
        Ok(Exit::Success)
    }

    fn file(&self, directory: &Path, name: &str) -> PathBuf {
        directory.join(format!("{name}{}", self.suffix))
    }
}

/// All schemas by name.
pub(super) fn documents(registry: &Registry) -> BTreeMap<&'static str, Value> {
    settings::schemas(registry).documents(vec![
        ("plan", schema::answer::<Plan>()),
        ("status", schema::answer::<Status>()),
        ("events", schema::answer::<Event>()),
        ("validate", schema::answer::<ValidateReport>()),
    ])
}

/// A schema as its file has it.
pub(super) fn pretty(document: &Value) -> String {
    let mut text = serde_json::to_string_pretty(document).expect("schemas serialise");
    text.push('\n');
    text
}

#[expect(
    clippy::disallowed_methods,
    reason = "they are written for the person who asked, away from everything the agent owns"
)]
fn write(file: &Path, text: &str) -> Result<(), CliError> {
    std::fs::write(file, text)
        .map_err(|error| CliError::new(format!("could not write `{}`: {error}", file.display())))
}
