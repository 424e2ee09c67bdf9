//! From typed sections and a Procfile to [`AppSpec`]: defaults, merging, and the rules that reach across keys.

mod addons;
mod build;
mod env;
mod later;
mod run;
mod site;

use std::collections::{BTreeMap, BTreeSet};

use hop3_plugin_api::{AppConfig, AppName, Limits};
use serde_json::{Map, Value};

use super::app::{AppSpec, DeploySettings, OnInterrupt, Position, SourceSpec, Strategy, Unbuilt};
use super::diagnostic::Diagnostic;
use super::file::directory_name;
use super::procfile::Procfile;
use super::sections::{
    Deploy, Drift, HopFile, InterruptPolicy, LimitsSection, Metadata, RolloutStrategy,
    SourceSection,
};
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
    unbuilt: Vec<Unbuilt>,
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
            unbuilt: Vec::new(),
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
    ) -> (Option<AppSpec>, Vec<Diagnostic>) {
        self.later(&sections);
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
            limits: limits(sections.limits.as_ref()),
            unbuilt: Vec::new(),
            positions: self.positions(procfile),
        });
        self.unbuilt.sort_by(|a, b| a.at.cmp(&b.at));
        let unbuilt = self.unbuilt;
        (spec.map(|spec| AppSpec { unbuilt, ..spec }), self.found)
    }

    fn error(
        &mut self,
        pointer: &str,
        message: impl Into<String>,
        hint: impl super::diagnostic::IntoHint,
    ) {
        self.found
            .push(self.tree.error(pointer, message).hint(hint));
    }

    fn note(&mut self, pointer: &str, message: impl Into<String>) {
        self.found.push(self.tree.note(pointer, message));
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

    fn name(&mut self, metadata: Option<&Metadata>) -> Option<AppName> {
        if let Some(id) = metadata.and_then(|metadata| metadata.id.clone()) {
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

    fn source(&mut self, section: Option<&SourceSection>) -> Option<SourceSpec> {
        let section = section?;
        let kinds = [
            ("git", &section.git),
            ("url", &section.url),
            ("image", &section.image),
        ];
        let given: Vec<&str> = kinds
            .iter()
            .filter(|(_, value)| value.is_some())
            .map(|(name, _)| *name)
            .collect();
        let [kind] = given.as_slice() else {
            if self.in_doubt("/source") {
                return None;
            }
            let message = "`[source]` needs exactly one of `git`, `url` and `image`";
            self.error(
                "/source",
                message,
                "without `[source]` the spec's own directory is the source",
            );
            return None;
        };
        if *kind != "image" {
            self.unbuilt("/source", format!("[source] {kind}"));
            return None;
        }
        let image = section.image.as_deref().unwrap_or_default();
        if !pinned(image) {
            let hint = "pin it by digest: `registry.example/name@sha256:<64 hexadecimal digits>`";
            self.error("/source/image", "the image is not pinned by digest", hint);
        }
        Some(SourceSpec::Image(image.to_owned()))
    }

    fn deploy(&mut self, section: Option<&Deploy>) -> DeploySettings {
        let Some(section) = section else {
            return DeploySettings::default();
        };
        let defaults = DeploySettings::default();
        DeploySettings {
            deployer: self.choice("/deploy/deployer", section.deployer.as_deref()),
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
        for name in plugins
            .keys()
            .filter(|name| !self.schemas.plugins.contains(name))
        {
            let message = format!(
                "the plugin `{name}` is not linked into this binary; its settings are not checked"
            );
            let hint =
                super::suggest::did_you_mean(name, self.schemas.plugins.iter().map(String::as_str));
            self.found.push(
                self.tree
                    .note(&format!("/plugin/{}", escape(name)), message)
                    .hint(hint),
            );
        }
        plugins
    }

    fn positions(&self, procfile: &Procfile) -> BTreeMap<String, Position> {
        let places = self.tree.places().map(|(pointer, place)| {
            (
                pointer.to_owned(),
                self.tree.source.position(place.key.start),
            )
        });
        let mut positions: BTreeMap<String, Position> = places.collect();
        if let Some(start) = positions.get("/run/start").cloned() {
            positions
                .entry("/run/workers/web".to_owned())
                .or_insert(start);
        }
        for entry in &procfile.entries {
            let at = procfile
                .source
                .position(procfile.source.line(entry.line).start);
            positions
                .entry(format!("/run/workers/{}", entry.kind))
                .or_insert(at);
        }
        positions
    }
}

fn limits(section: Option<&LimitsSection>) -> Limits {
    Limits {
        memory: section
            .and_then(|limits| limits.memory)
            .map(|memory| memory.0),
        processes: section
            .and_then(|limits| limits.processes)
            .map(std::num::NonZeroU64::get),
        ..Limits::default()
    }
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

/// Whether an image is named by its digest, in characters that no command line can mistake.
fn pinned(image: &str) -> bool {
    let hex = |digest: &str| {
        digest.len() == 64
            && digest
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let plain = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-/:".contains(c))
    };
    image
        .split_once("@sha256:")
        .is_some_and(|(name, digest)| plain(name) && hex(digest))
}

/// Whether a path stays below where it starts.
fn stays_beneath(path: &str) -> bool {
    !path.is_empty()
        && !path.starts_with('/')
        && !path.contains('\0')
        && !path.split('/').any(|part| part == "..")
}
