//! From typed sections and a Procfile to [`AppSpec`]: defaults, merging, and the rules that reach across keys.

mod addons;
mod build;
mod claims;
mod contexts;
mod env;
mod env_checks;
mod health;
mod hosts;
mod jobs;
mod later;
mod machine;
mod people;
mod proxy;
mod run;
mod source;
mod static_paths;
mod waf;

use std::collections::{BTreeMap, BTreeSet};

use hop3_plugin_api::{AppConfig, AppName, Limits};
use serde_json::{Map, Value};

use super::app::{
    AppSpec, DeploySettings, OnInterrupt, Position, SecretUse, SourceSpec, Strategy, Unbuilt,
};
use super::diagnostic::{Diagnostic, ENOUGH, IntoHint, Related};
use super::file::directory_name;
use super::linked::Part;
use super::positions::Positions;
use super::procfile::Procfile;
use super::sections::{
    Deploy, Docker, Drift, HopFile, InterruptPolicy, LimitsSection, Metadata, RolloutStrategy,
};
use super::suggest::{did_you_mean, one_of, shortened};
use super::tree::{Tree, escape};
use crate::schema::Schemas;

/// A spec in the making, with what was found on the way.
pub(crate) struct Draft<'a> {
    directory: &'a str,
    tree: &'a Tree,
    schemas: &'a Schemas,
    /// What the schema refused, by pointer; it is missing in the sections.
    faulty: &'a BTreeSet<String>,
    found: Vec<Diagnostic>,
    /// How many errors and notes are in `found`, and how many errors more there are.
    told: usize,
    remarked: usize,
    omitted: usize,
    unbuilt: Vec<Unbuilt>,
    secrets: Vec<SecretUse>,
}

impl<'a> Draft<'a> {
    /// Starts with nothing found.
    pub(crate) fn new(
        directory: &'a str,
        schemas: &'a Schemas,
        tree: &'a Tree,
        faulty: &'a BTreeSet<String>,
    ) -> Self {
        Self {
            directory,
            tree,
            schemas,
            faulty,
            found: Vec::new(),
            told: 0,
            remarked: 0,
            omitted: 0,
            unbuilt: Vec::new(),
            secrets: Vec::new(),
        }
    }

    /// Whether the schema refused this, or something within, so that nothing can be concluded from its absence.
    fn in_doubt(&self, pointer: &str) -> bool {
        self.faulty.iter().any(|faulty| {
            faulty == pointer
                || faulty
                    .strip_prefix(pointer)
                    .is_some_and(|rest| rest.starts_with('/'))
        })
    }

    /// Merges everything. The spec is only good when nothing found is an error.
    pub(crate) fn finish(
        mut self,
        sections: HopFile,
        procfile: &Procfile,
    ) -> (Option<AppSpec>, Vec<Diagnostic>, usize) {
        self.unpassable();
        self.later(&sections);
        let ports = self.ports(sections.ports.as_deref());
        let name = self.name(sections.metadata.as_ref());
        let addons = self.addons(sections.addons, sections.provider);
        let hosts = self.hosts(sections.domains.as_ref(), sections.env.as_ref());
        let facts = env::Facts {
            name: name.as_ref(),
            hosts: &hosts,
            addons: &addons,
        };
        let env = self.env(sections.env.as_ref(), &facts);
        let commands = self.commands(sections.run.as_ref(), procfile);
        self.outdone_hooks(sections.build.as_ref(), procfile);
        self.docker(sections.docker.as_ref());
        let static_paths =
            self.static_paths(sections.static_paths.as_ref(), sections.run.as_ref(), &env);
        let build = self.build(
            sections.build.as_ref(),
            sections.run.as_ref(),
            &env,
            &commands,
        );
        let scale = self.scale(sections.scale.unwrap_or_default(), &commands.workers);
        let writable = self.writable(sections.deploy.as_ref());
        let source = self.source(sections.source.as_ref());
        let spec = name.map(|name| AppSpec {
            name,
            directory: self.directory.to_owned(),
            file: self.tree.source.file.clone(),
            config: AppConfig {
                build,
                workers: commands.workers,
                static_paths,
                docker: with_image(self.tree.value.get("docker").cloned(), source.as_ref()),
                plugin: self.plugins(),
                writable,
            },
            source,
            release_commands: commands.release,
            health: self.health(sections.healthcheck.as_ref(), sections.run.as_ref()),
            proxy: self.proxy(sections.proxy.as_ref(), sections.deploy.as_ref(), &env),
            env,
            hosts,
            addons,
            scale,
            deploy: self.deploy(sections.deploy.as_ref()),
            limits: self.limits(sections.limits.as_ref()),
            secrets: Vec::new(),
            ports,
            shares: self.shares(),
            unbuilt: Vec::new(),
            positions: self.positions(procfile),
        });
        self.conclude(spec)
    }

    /// Adds to a spec what was gathered on the way.
    fn conclude(mut self, spec: Option<AppSpec>) -> (Option<AppSpec>, Vec<Diagnostic>, usize) {
        self.unbuilt.sort_by(|a, b| a.at.cmp(&b.at));
        let (secrets, unbuilt) = (self.secrets, self.unbuilt);
        let spec = spec.map(|spec| AppSpec {
            secrets,
            unbuilt,
            ..spec
        });
        (spec, self.found, self.omitted)
    }

    /// Tells an error. Beyond enough of them, more are only counted.
    fn tell(&mut self, error: impl FnOnce(&Tree) -> Diagnostic) {
        if self.told < ENOUGH {
            self.found.push(error(self.tree));
            self.told += 1;
        } else {
            self.omitted += 1;
        }
    }

    /// Tells a note, unless there are enough of them.
    fn remark(&mut self, note: impl FnOnce(&Tree) -> Diagnostic) {
        if self.remarked < ENOUGH {
            self.found.push(note(self.tree));
            self.remarked += 1;
        }
    }

    fn error(&mut self, pointer: &str, message: impl Into<String>, hint: impl IntoHint) {
        self.tell(|tree| tree.error(pointer, message).hint(hint));
    }

    fn key_error(&mut self, pointer: &str, message: impl Into<String>, hint: impl IntoHint) {
        self.tell(|tree| tree.key_error(pointer, message).hint(hint));
    }

    fn note(&mut self, pointer: &str, message: impl Into<String>) {
        self.remark(|tree| tree.note(pointer, message));
    }

    /// An error at a value that is explained by another one.
    fn conflict(&mut self, pointer: &str, (other, label): (&str, &str), words: (String, String)) {
        self.tell(|tree| {
            let found = tree.error(pointer, words.0).hint(words.1);
            found.related(related(tree, other, label))
        });
    }

    fn position(&self, pointer: &str) -> Position {
        self.tree
            .source
            .position(self.tree.place(pointer).key.start)
    }

    fn unbuilt(&mut self, pointer: &str, what: impl Into<String>) {
        let at = self.position(pointer);
        self.unbuilt.push(Unbuilt {
            what: what.into(),
            at,
        });
    }

    /// No text of a spec reaches a program if it cannot: programs take no NUL byte. It can only be written as an escape.
    fn unpassable(&mut self) {
        let text = &self.tree.source.text;
        if !["u0000", "U00000000", "x00"]
            .iter()
            .any(|escape| text.contains(escape))
        {
            return;
        }
        let texts = self.tree.places().filter(|(pointer, _)| {
            let text = self.tree.value.pointer(pointer).and_then(Value::as_str);
            text.is_some_and(|text| text.contains('\0'))
        });
        let pointers: Vec<String> = texts.map(|(pointer, _)| pointer.to_owned()).collect();
        for pointer in pointers {
            let hint = "remove `\\u0000`, or encode the text";
            self.error(
                &pointer,
                "no program can be given a text with a NUL byte",
                hint,
            );
        }
    }

    fn name(&mut self, metadata: Option<&Metadata>) -> Option<AppName> {
        if let Some(id) = metadata.and_then(|metadata| metadata.id.clone()) {
            if metadata.is_some_and(|metadata| metadata.moved_from.as_ref() == Some(&id)) {
                let hint = "write the name that the app had before, or remove the key";
                self.error(
                    "/metadata/moved-from",
                    format!("`{id}` is the app's name now"),
                    hint,
                );
            }
            return Some(id);
        }
        if self.tree.value.pointer("/metadata/id").is_some() {
            return None;
        }
        let name = AppName::parse(directory_name(self.directory));
        name.map_err(|error| {
            let message = format!("the directory's name cannot be the app's name: {error}");
            self.error("", message, "rename the directory, or set `[metadata] id`");
        })
        .ok()
    }

    fn deploy(&mut self, section: Option<&Deploy>) -> DeploySettings {
        let Some(section) = section else {
            return DeploySettings::default();
        };
        let defaults = DeploySettings::default();
        DeploySettings {
            deployer: self.choice(
                Part::Deployer,
                "/deploy/deployer",
                section.deployer.as_deref(),
            ),
            after: section.after.clone().unwrap_or_default(),
            strategy: match section.strategy {
                Some(RolloutStrategy::Recreate) => Strategy::Recreate,
                Some(RolloutStrategy::BlueGreen) | None => Strategy::BlueGreen,
            },
            overlap: section.overlap.unwrap_or(defaults.overlap),
            drain_timeout: section
                .drain_timeout
                .map_or(defaults.drain_timeout, |period| period.0),
            keep_releases: section.keep_releases.unwrap_or(defaults.keep_releases),
            on_interrupt: match section.on_interrupt {
                Some(InterruptPolicy::Hold) => OnInterrupt::Hold,
                Some(InterruptPolicy::Retry) | None => OnInterrupt::Retry,
            },
            heal: section.drift != Some(Drift::Report),
            return_after_release_command: section.return_after_release_command.unwrap_or_default(),
        }
    }

    fn plugins(&mut self) -> BTreeMap<String, Value> {
        let tables = self.tree.value.get("plugin").and_then(Value::as_object);
        let plugins: BTreeMap<String, Value> = tables
            .into_iter()
            .flatten()
            .map(|(name, table)| (name.clone(), table.clone()))
            .collect();
        let schemas = self.schemas;
        let linked = &schemas.plugins;
        for name in plugins.keys().filter(|name| !linked.contains(name)) {
            let message = format!(
                "the plugin `{name}` is not linked into this binary; its settings are not checked"
            );
            let hint = did_you_mean(name, linked.iter().map(String::as_str));
            let pointer = format!("/plugin/{}", escape(name));
            self.remark(|tree| tree.note(&pointer, message).hint(hint));
        }
        plugins
    }

    fn docker(&mut self, section: Option<&Docker>) {
        const RUNTIMES: [&str; 2] = ["docker", "docker-compose"];
        let runtime = section.and_then(|docker| docker.runtime.as_deref());
        if let Some(runtime) = runtime.filter(|runtime| !RUNTIMES.contains(runtime)) {
            let message = format!(
                "without effect here: there is no runtime `{}`",
                shortened(runtime)
            );
            let hint = did_you_mean(runtime, RUNTIMES);
            let hint = hint.unwrap_or_else(|| format!("it is {}", one_of(&RUNTIMES)));
            self.remark(|tree| tree.value_note("/docker/runtime", message).hint(hint));
        }
    }

    fn limits(&mut self, section: Option<&LimitsSection>) -> Limits {
        let memory = section.and_then(|limits| limits.memory);
        if memory.is_some_and(|memory| memory.0 == 0) {
            let hint = "write what the app needs, such as `\"512M\"`";
            self.error("/limits/memory", "no program runs in no memory", hint);
        }
        let processes = section.and_then(|limits| limits.processes);
        Limits {
            memory: memory.map(|memory| memory.0),
            processes: processes.map(std::num::NonZeroU64::get),
            ..Limits::default()
        }
    }

    fn positions(&self, procfile: &Procfile) -> Positions {
        let mut positions = Positions::new(&self.tree.source, &self.tree.places);
        if let Some(start) = positions.get("/run/start") {
            positions.add("/run/workers/web".to_owned(), start);
        }
        for entry in &procfile.entries {
            let line = procfile.source.line(entry.line);
            let at = procfile.source.position(line.start);
            positions.add(format!("/run/workers/{}", entry.kind), at);
        }
        positions
    }
}

/// The key of another place, with what it has to do with this one.
fn related(tree: &Tree, pointer: &str, label: &str) -> Related {
    tree.source.related(tree.place(pointer).key, label)
}

/// `[docker]` as the builder reads it: a pinned image is one of its settings.
fn with_image(docker: Option<Value>, source: Option<&SourceSpec>) -> Option<Value> {
    let Some(SourceSpec::Image(image)) = source else {
        return docker;
    };
    let mut docker = docker.unwrap_or_else(|| Value::Object(Map::new()));
    docker
        .as_object_mut()?
        .insert("image".to_owned(), Value::from(image.as_str()));
    Some(docker)
}

/// Whether a path stays below where it starts.
fn stays_beneath(path: &str) -> bool {
    !path.is_empty()
        && !path.starts_with('/')
        && !path.contains('\0')
        && !path.split('/').any(|part| part == "..")
}
