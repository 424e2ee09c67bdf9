//! A whole config repo: every app and host file alone, then what only all of them together can show, once for each set of hosts that run the
//! same apps. Two apps that never meet on one host are in nobody's way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hop3_plugin_api::AppName;

use super::hosts::{Group, Hosts, words};
use super::secrets::Secrets;
use super::{Findings, Validator};
use crate::desired::ConfigTree;
use crate::desired::walk::{AppDir, Candidate, Walk};
use crate::spec::{AppSpec, Diagnostic, Position, Surroundings, repo_checks};

impl Validator<'_> {
    /// Checks everything in a config repo. Paths in messages start at its root.
    pub fn config_repo(&self, repo: &dyn ConfigTree) -> Findings {
        let mut findings = Findings::default();
        if let Err((directory, message)) = self.checked(repo, &mut findings) {
            findings.unusable(directory, message, None);
        }
        findings
    }

    /// The error names the directory that cannot be read.
    fn checked(
        &self,
        repo: &dyn ConfigTree,
        findings: &mut Findings,
    ) -> Result<(), (&'static str, String)> {
        let of = |directory| move |message| (directory, message);
        let walk = Walk {
            repo,
            schemas: self.schemas,
            texts: true,
        };
        let hosts = Hosts::read(&walk, self, findings).map_err(of("hosts"))?;
        let secrets = walk.directory("secrets").map_err(of("secrets"))?;
        let secrets = Secrets::read(secrets.as_deref(), findings).map_err(of("secrets"))?;
        let none = || "the config repo has no `apps` directory".to_owned();
        let candidates = walk.candidates().and_then(|found| found.ok_or_else(none));
        let candidates = candidates.map_err(of("apps"))?;
        let mut apps = walk.apps(&candidates, &|_, _| None).map_err(of("apps"))?;
        for (candidate, app) in candidates.iter().zip(&mut apps) {
            match app {
                Some(app) => {
                    let loaded = Arc::get_mut(&mut app.loaded).expect("nobody else has it yet");
                    findings.take(&mut loaded.app);
                }
                None => findings.diagnostics.push(no_app(candidate)),
            }
        }
        findings.diagnostics.extend(hosts.patterns(&candidates));
        findings.diagnostics.extend(nothing(&candidates, &hosts));
        let whole = Whole {
            apps: &apps,
            groups: hosts.groups(&candidates),
            hosts: &hosts,
        };
        findings.diagnostics.extend(whole.conflicts());
        findings.diagnostics.extend(whole.idle());
        findings.diagnostics.extend(whole.secrets(&secrets));
        findings.apps.extend(apps.into_iter().flatten());
        Ok(())
    }
}

/// A directory in `apps/` without a spec; the agent takes it for something else.
fn no_app(candidate: &Candidate) -> Diagnostic {
    let at = Position::start(&candidate.path());
    Diagnostic::note_at(at, "this directory is no app")
        .hint("an app has a `hop3.toml` or a `Procfile`, in `hop3/` or beside its code")
}

/// Notes on a repo from which no host can take anything.
fn nothing(candidates: &[Candidate], hosts: &Hosts) -> Vec<Diagnostic> {
    let mut notes = Vec::new();
    let no_hosts = hosts.valid.as_ref().is_some_and(Vec::is_empty) && !hosts.broken;
    if no_hosts {
        let message =
            "there is a directory `hosts` without any host's file, so no host runs anything";
        let note = Diagnostic::note_at(Position::start("hosts"), message);
        notes.push(
            note.hint("add `hosts/<host>.toml`; without the directory every host runs every app"),
        );
    }
    if candidates.is_empty() {
        notes.push(Diagnostic::note_at(
            Position::start("apps"),
            "there is no app",
        ));
    }
    notes
}

/// All apps and hosts of a repo.
struct Whole<'a> {
    apps: &'a [Option<AppDir>],
    groups: Vec<Group>,
    hosts: &'a Hosts,
}

impl Whole<'_> {
    fn spec(&self, index: usize) -> Option<&AppSpec> {
        self.apps[index].as_ref()?.loaded.app.spec.as_ref()
    }

    fn name(&self, index: usize) -> Option<&AppName> {
        self.apps[index].as_ref()?.loaded.name.as_ref()
    }

    /// What holds apps on some host, once for each key.
    fn conflicts(&self) -> Vec<Diagnostic> {
        let mut found: BTreeMap<(Position, String), Diagnostic> = BTreeMap::new();
        let names = (0..self.apps.len()).filter_map(|index| self.name(index));
        let known = Arc::new(names.cloned().collect());
        for group in &self.groups {
            let specs: Vec<&AppSpec> = group.apps.iter().filter_map(|it| self.spec(*it)).collect();
            let held = repo_checks(&specs, &self.surroundings(group, &known));
            for conflict in held.into_values().flatten() {
                let place = (conflict.position.clone(), conflict.key.clone());
                found.entry(place).or_insert(conflict);
            }
        }
        found.into_values().collect()
    }

    fn surroundings(&self, group: &Group, known: &Arc<BTreeSet<AppName>>) -> Surroundings {
        let broken = group.apps.iter().filter(|it| self.spec(**it).is_none());
        Surroundings {
            broken: broken.filter_map(|it| self.name(*it)).cloned().collect(),
            known: Arc::clone(known),
            host: words(&group.hosts),
            several: self.hosts.several(),
            host_addons: group.addons.clone(),
            ..Surroundings::default()
        }
    }

    /// Notes on apps that no host runs, where it is known what every host runs.
    fn idle(&self) -> Vec<Diagnostic> {
        if self.hosts.broken || self.hosts.valid.as_ref().is_none_or(Vec::is_empty) {
            return Vec::new();
        }
        let idle = (0..self.apps.len())
            .filter(|index| !self.groups.iter().any(|group| group.apps.contains(index)));
        let note = |app: &AppDir| {
            Diagnostic::note_at(Position::start(&app.path), "no host runs this app")
                .hint("name it in `apps` of a file in `hosts/`")
        };
        idle.filter_map(|index| self.apps[index].as_ref())
            .map(note)
            .collect()
    }

    fn secrets(&self, secrets: &Secrets) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let mut specs = Vec::new();
        for index in 0..self.apps.len() {
            let Some(spec) = self.spec(index) else {
                continue;
            };
            specs.push(spec);
            let hosts = self.hosts_of(index);
            let runs_somewhere = self.hosts.valid.is_none() || !hosts.is_empty();
            if !spec.secrets.is_empty() && runs_somewhere {
                found.extend(secrets.missing(spec, &hosts));
            }
        }
        let complete = specs.len() == self.apps.iter().flatten().count();
        if complete {
            let hosts = self.hosts.valid.as_deref().filter(|_| !self.hosts.broken);
            let names =
                hosts.map(|hosts| hosts.iter().map(|it| it.name.as_str()).collect::<Vec<_>>());
            found.extend(secrets.unused(&specs, names.as_deref()));
        }
        found
    }

    fn hosts_of(&self, index: usize) -> Vec<&str> {
        let groups = self.groups.iter();
        let running = groups.filter(|group| group.apps.contains(&index));
        let mut hosts: Vec<&str> = running
            .flat_map(|group| group.hosts.iter().map(String::as_str))
            .collect();
        hosts.sort_unstable();
        hosts
    }
}
