//! Which packages of the operating system are installed, of those that apps name: looked up beside the loop when a commit names one that was not
//! asked for yet, once a round, and whenever a person has the config repo looked at. Where the agent may install them, or nobody can tell, it is
//! not asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hop3_plugin_api::{Abort, Os, Result};

use super::{Control, Message};
use crate::contain::contained_async;
use crate::execute::chain;
use crate::gate;
use crate::machine::Machine;

/// What was answered.
#[derive(Debug)]
pub struct Listed {
    /// Those that were asked for.
    names: BTreeSet<String>,
    /// Those that are missing.
    missing: Result<Vec<String>>,
}

/// What is known of packages.
#[derive(Default)]
pub(super) struct Packages {
    /// Who knows, where it matters.
    system: Option<Arc<dyn Os>>,
    known: BTreeMap<String, bool>,
    under_way: bool,
}

impl Packages {
    pub(super) fn of(machine: &Machine) -> Self {
        let system = machine.system.clone();
        Self {
            system: system.filter(|_| !machine.installs_packages),
            ..Self::default()
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// What the gate must know.
    pub(super) fn facts(&self) -> Option<gate::Packages> {
        self.system.as_ref().map(|system| gate::Packages {
            known: self.known.clone(),
            install: system.install_command(),
        })
    }
}

impl Control {
    /// After a commit was read: asks if it names a package of which nothing is known.
    pub(super) fn look_for_new_packages(&mut self) {
        let names = self.named_packages();
        self.packages.known.retain(|name, _| names.contains(name));
        if names.len() > self.packages.known.len() {
            self.ask_for_packages(names);
        }
    }

    /// Asks for all that apps name: somebody may have installed or removed one.
    pub(super) fn look_for_packages(&mut self) {
        let names = self.named_packages();
        if !names.is_empty() {
            self.ask_for_packages(names);
        }
    }

    fn named_packages(&self) -> BTreeSet<String> {
        if self.packages.system.is_none() {
            return BTreeSet::new();
        }
        let apps = self.desired.apps.values();
        let names = apps.flat_map(|app| &app.target.build.packages);
        names.cloned().collect()
    }

    fn ask_for_packages(&mut self, names: BTreeSet<String>) {
        let Some(system) = self.packages.system.clone() else {
            return;
        };
        // Whoever is being asked answers soon; what is named by then and was not asked for is asked next.
        if std::mem::replace(&mut self.packages.under_way, true) {
            return;
        }
        let (executor, sender) = (self.parts.executor.clone(), self.sender.clone());
        tokio::spawn(async move {
            let asked: Vec<String> = names.iter().cloned().collect();
            let cx = executor.machine.host_context();
            let missing = contained_async(system.missing_packages(&cx, &asked)).await;
            let missing = missing.unwrap_or_else(|words| {
                let words = format!("a mistake in the agent or in a plugin cut it off: {words}");
                Err(Abort::new(words).into())
            });
            let listed = Message::Packages(Box::new(Listed { names, missing }));
            if sender.send(listed).await.is_err() {
                tracing::debug!("The loop ended before it was told of packages.");
            }
        });
    }

    /// Takes in what was answered. Where it could not be told, apps that name packages are tried, and their builds say what is wrong.
    pub(super) fn listed(&mut self, listed: Listed) {
        self.packages.under_way = false;
        let missing = listed.missing.unwrap_or_else(|error| {
            tracing::warn!(error = %chain(&error), "Installed packages could not be looked up.");
            Vec::new()
        });
        let before = std::mem::take(&mut self.packages.known);
        let names = listed.names.into_iter();
        self.packages.known = names
            .map(|name| {
                let is_there = !missing.contains(&name);
                (name, is_there)
            })
            .collect();
        if self.packages.known != before {
            self.reconcile();
        }
        self.look_for_new_packages();
    }
}
