//! From typed sections and a Procfile to [`AppSpec`]: defaults, merging, and the rules that reach across keys.

mod addons;
mod build;
mod carried;
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
mod tell;
mod waf;

use std::collections::BTreeSet;

use hop3_plugin_api::{AppConfig, AppName, EnvTemplate};
use serde_json::Value;

use self::carried::with_image;

use super::app::{AppSpec, SecretUse, SourceSpec, Unbuilt};
use super::diagnostic::Diagnostic;
use super::file::directory_name;
use super::positions::Positions;
use super::procfile::Procfile;
use super::sections::{HopFile, Metadata};
use super::tree::Tree;
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

    /// Merges everything. The spec is only good when nothing found is an error.
    pub(crate) fn finish(
        mut self,
        mut sections: HopFile,
        procfile: &Procfile,
    ) -> (Option<AppSpec>, Vec<Diagnostic>, usize) {
        self.unpassable();
        self.later(&sections);
        let ports = self.ports(sections.ports.as_deref());
        let name = self.name(sections.metadata.as_ref());
        let addons = self.addons(sections.addons.take(), sections.provider.take());
        let hosts = self.hosts(sections.domains.as_ref(), sections.env.as_ref());
        let facts = env::Facts {
            name: name.as_ref(),
            hosts: &hosts,
            addons: &addons,
        };
        let env = self.env(sections.env.as_ref(), &facts);
        let mut commands = self.commands(sections.run.as_ref(), procfile);
        self.outdone_hooks(sections.build.as_ref(), procfile);
        self.docker(sections.docker.as_ref());
        let scale = self.scale(sections.scale.take().unwrap_or_default(), &commands.workers);
        let source = self.source(sections.source.as_ref());
        let health = self.health(sections.healthcheck.as_ref(), sections.run.as_ref());
        let proxy = self.proxy(sections.proxy.as_ref(), sections.deploy.as_ref(), &env);
        let deploy = self.deploy(sections.deploy.as_ref());
        let limits = self.limits(sections.limits.as_ref());
        let release_commands = std::mem::take(&mut commands.release);
        let config = self.config(&sections, &env, commands, source.as_ref());
        let spec = name.map(|name| AppSpec {
            name,
            directory: self.directory.to_owned(),
            file: self.tree.source.file.clone(),
            config,
            source,
            release_commands,
            health,
            proxy,
            env,
            hosts,
            addons,
            scale,
            deploy,
            limits,
            secrets: Vec::new(),
            ports,
            shares: self.shares(),
            unbuilt: Vec::new(),
            positions: self.positions(procfile),
        });
        self.conclude(spec)
    }

    /// What builders and deployers are shown.
    fn config(
        &mut self,
        sections: &HopFile,
        env: &EnvTemplate,
        commands: run::Commands,
        source: Option<&SourceSpec>,
    ) -> AppConfig {
        let (build, run) = (sections.build.as_ref(), sections.run.as_ref());
        AppConfig {
            static_paths: self.static_paths(sections.static_paths.as_ref(), run, env),
            build: self.build(build, run, env, &commands),
            workers: commands.workers,
            docker: with_image(self.tree.value.get("docker").cloned(), source),
            plugin: self.plugins(),
            writable: self.writable(sections.deploy.as_ref()),
        }
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

/// Whether a path stays below where it starts.
fn stays_beneath(path: &str) -> bool {
    !path.is_empty()
        && !path.starts_with('/')
        && !path.contains('\0')
        && !path.split('/').any(|part| part == "..")
}
